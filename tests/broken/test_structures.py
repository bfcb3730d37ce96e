"""Planted wrong structures: every law catches its own."""

from __future__ import annotations

import pytest
import torch

from prunus.structures import NM, Block, Channel, Column, Element, Filter, Kernel, Row, get_structure
from tests.laws import structures as laws
from tests.twins.structures import PLACES

WEIGHT = torch.arange(24.0, dtype=torch.float64).reshape(4, 6)


class ForgetsToTransposeBack(Column):
    def _restore(self, groups, shape):
        return groups.reshape(shape)


class ReadsTheFirstRowTwice(Row):
    def _arrange(self, weight):
        return torch.cat([weight[:1], weight[:-1]])


class CallsColumnsRows(Row):
    def _arrange(self, weight):
        return weight.t()

    def _restore(self, groups, shape):
        return groups.reshape(shape[1], shape[0]).t()


class FollowsTheStorage(Filter):
    def split(self, weight):
        storage = torch.as_strided(weight, (weight.numel(),), (1,), weight.storage_offset())
        return storage.reshape(self._size(weight.shape))


class CutsTheGraph(Element):
    def split(self, weight):
        return super().split(weight.detach())


class RepeatsInTheWrongOrder(Row):
    def expand(self, per_group, shape):
        return per_group.repeat(shape[1]).reshape(shape)


class ExpandsToAReadOnlyView(Row):
    def expand(self, per_group, shape):
        return self.join(per_group.unsqueeze(1).expand(*self._size(shape)), shape)


class ExpandsIntoItsArgument(Element):
    def expand(self, per_group, shape):
        return per_group.reshape(shape)


class SaysItFitsEverything(Kernel):
    def require(self, shape):
        pass


class LaysAGridOverEveryShape(Block):
    def grid(self, shape):
        return None


class LooksAtTheFirstPlace(Row):
    def any_in_groups(self, mask):
        return self.split(mask)[:, 0].bool()


class PadsWhatIsMissing(Channel):
    def join(self, groups, shape):
        return torch.zeros(shape)


class CountsAcrossOutputs(NM):
    def _arrange(self, weight):
        return weight.t()

    def _restore(self, groups, shape):
        return groups.reshape(shape[1], shape[0]).t()


class DividesTheWholeWeight(NM):
    def misfit(self, shape):
        return None


class TakesTheKernelForInputs(NM):
    def _arrange(self, weight):
        return weight

    def _restore(self, groups, shape):
        return groups.reshape(shape)


class StandsForNoCount(NM):
    level = 0.3


def caught(law, *arguments):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        law(*arguments)


def test_round_trip_catches_a_wrong_inverse():
    caught(laws.law_round_trip_is_bit_exact, ForgetsToTransposeBack(), WEIGHT)


def test_partition_catches_an_entry_in_two_groups():
    caught(laws.law_every_entry_is_in_exactly_one_group, ReadsTheFirstRowTwice(), (4, 6))


def test_twin_catches_a_consistent_structure_with_the_wrong_groups():
    wrong = CallsColumnsRows()
    laws.law_round_trip_is_bit_exact(wrong, WEIGHT)
    caught(laws.law_groups_are_those_of_the_twin, wrong, (4, 6), PLACES["row"])


def test_layout_catches_a_reader_of_storage():
    caught(laws.law_memory_layout_is_irrelevant, FollowsTheStorage(), WEIGHT)


def test_gradient_catches_a_detached_split():
    with pytest.raises(RuntimeError):
        laws.law_split_and_join_are_differentiable(CutsTheGraph(), WEIGHT)


@pytest.mark.parametrize(
    "wrong",
    [RepeatsInTheWrongOrder(), ExpandsToAReadOnlyView(), ExpandsIntoItsArgument()],
    ids=lambda one: type(one).__name__,
)
def test_expand_catches_wrong_order_and_views(wrong):
    caught(laws.law_expand_repeats_one_value_a_group, wrong, (4, 6))


def test_grid_catches_rows_taken_for_columns():
    class SaysColumnsAreRows(Column):
        def grid(self, shape):
            return 1, shape[1], shape[0]

    caught(laws.law_the_grid_shows_where_groups_lie, SaysColumnsAreRows(), (4, 6))


@pytest.mark.parametrize("wrong", [SaysItFitsEverything(), LaysAGridOverEveryShape(4, 4)], ids=str)
def test_misfit_catches_a_structure_that_accepts_what_it_refuses(wrong):
    caught(laws.law_misfit_is_what_require_and_split_say, wrong, (4, 6))


def test_marks_catch_a_reader_of_first_places():
    caught(laws.law_a_group_is_marked_where_any_of_its_places_is, LooksAtTheFirstPlace(), (4, 6))


def test_counts_catch_a_forgiving_join():
    caught(laws.law_join_and_expand_refuse_wrong_counts, PadsWhatIsMissing(), (4, 6))


def test_value_catches_another_class_of_the_same_name():
    caught(laws.law_is_a_frozen_value, CallsColumnsRows(), get_structure)


@pytest.mark.parametrize(
    "wrong", [CountsAcrossOutputs(1, 2), DividesTheWholeWeight(2, 4), StandsForNoCount(1, 2)], ids=str
)
def test_budget_catches_sets_that_cross_outputs_and_impossible_levels(wrong):
    caught(laws.law_a_budget_divides_every_output, wrong, (4, 6))


def test_twin_catches_sets_along_the_kernel():
    caught(laws.law_groups_are_those_of_the_twin, TakesTheKernelForInputs(), (2, 4, 3), PLACES["n_m"])
