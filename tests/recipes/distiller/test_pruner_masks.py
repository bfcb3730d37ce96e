"""Every class decides the masks of its slow twin, and those of tables worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunus.recipes.distiller.blocks import BlockShape
from prunus.recipes.distiller.contract import Chosen, Pruner, Rule, Scene
from prunus.recipes.distiller.names import Names
from prunus.recipes.distiller.pruners import (
    PRUNERS,
    ActivationAPoZRankedFilterPruner,
    ActivationMeanRankedFilterPruner,
    BaiduRNNPruner,
    BernoulliFilterPruner,
    GradientRankedFilterPruner,
    L1RankedStructureParameterPruner,
    MagnitudeParameterPruner,
    RandomLevelStructureParameterPruner,
    RandomRankedFilterPruner,
    SensitivityPruner,
    SparsityLevelParameterPruner,
    SplicingPruner,
    StructureParameterPruner,
)
from prunus.recipes.distiller.pruners.sensitivity import deviation
from prunus.window import Span
from tests.recipes.distiller.pruner_examples import convolutional
from tests.twins import distiller_pruners as twin

SPAN = Span(1, 8, 2)
LEVELS = (0.0, 0.1, 0.29, 0.5, 0.75, 1.0)


def weights_of(*shape: int, seed: int = 0) -> Tensor:
    """Few distinct values, so that there are ties."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-3, 4, shape, generator=generator).to(torch.float64) / 4


def holding(weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    """A layer with exactly this weight."""
    if weight.dim() == 4:
        layer: nn.Module = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], bias=bias is not None)
    else:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.double().weight.data.copy_(weight)
    if bias is not None:
        layer.bias.data.copy_(bias)
    return layer


def start(pruner: Pruner, model: nn.Module, span: Span = SPAN) -> Rule:
    found = {target.name: target for target in Names(model).targets}
    rest = [found[name] for name in found if name not in pruner.names] if pruner.everything else []
    rule = pruner.rule(Chosen({name: found[name] for name in pruner.names}, rest), span, model)
    rule.begin()
    return rule


def masks(rule: Rule, epoch: int = 1, span: Span = SPAN, seed: int = 0, **more: Any) -> Mapping[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scene = Scene(epoch, span.progress(epoch), span, generator=generator, **more)
    return {name: verdict.mask for name, verdict in rule.masks(scene).items()}


def mask(pruner: Pruner, weight: Tensor, **more: Any) -> Tensor:
    found = masks(start(pruner, holding(weight)), **more)
    return found.get("weight", torch.ones(weight.shape, dtype=torch.bool))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize(
    ("group", "shape", "key"),
    [
        ("Filters", (6, 3, 2, 2), "Filters"),
        ("3D", (6, 3, 2, 2), "Filters"),
        ("Channels", (4, 6, 2, 2), "Channels"),
        ("Channels", (4, 6), "Channels"),
        ("Rows", (4, 6), "input features"),
        ("Rows", (4, 6, 2, 2), "input features"),
    ],
)
def test_ranked_structures(level: float, p: int, group: str, shape: tuple[int, ...], key: str) -> None:
    weight = weights_of(*shape)
    pruner = PRUNERS[f"L{p}RankedStructureParameterPruner"]
    found = mask(pruner(group_type=group, desired_sparsity=level, weights="weight"), weight)
    groups = dict(sorted(twin.grouped(weight, twin.KEYS[key]).items()))
    assert torch.equal(found, twin.ranked(weight, level, p, groups))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", [(1, 4), (2, 2), (1, 1), (4, 1), (2, 4), (8, 1)], ids=str)
def test_blocks(level: float, shape: tuple[int, int]) -> None:
    weight = weights_of(8, 3, 2, 2)
    settings = {"group_type": "Blocks", "kwargs": BlockShape((*shape, 1, 1)), "weights": "weight"}
    found = mask(PRUNERS["L1RankedStructureParameterPruner"](desired_sparsity=level, **settings), weight)
    assert torch.equal(found, twin.ranked(weight, level, 1, twin.blocks(weight, *shape)))


def test_2x2_blocks_are_1x4_blocks() -> None:
    weight = weights_of(8, 4, 2, 2)
    shapes = [BlockShape((2, 2, 1, 1)), BlockShape((1, 4, 1, 1))]
    make = PRUNERS["L1RankedStructureParameterPruner"]
    both = [make(group_type="Blocks", desired_sparsity=0.5, weights="weight", kwargs=one) for one in shapes]
    assert torch.equal(mask(both[0], weight), mask(both[1], weight))


@pytest.mark.parametrize("p", [1, 2])
def test_gradual_classes_follow_the_table_of_the_reference(p: int) -> None:
    span, weight = Span(0, 38, 2), weights_of(100, 1, 1, 1)
    settings = {"group_type": "Filters", "initial_sparsity": 0.05, "final_sparsity": 0.8, "weights": "weight"}
    rule = start(PRUNERS[f"L{p}RankedStructureParameterPruner_AGP"](**settings), holding(weight), span)
    gone = {epoch: 100 - int(masks(rule, epoch, span)["weight"].sum()) for epoch in (0, 2, 4, 36)}
    assert gone == {0: 5, 2: 16, 4: 27, 36: 80}


@pytest.mark.parametrize("pruner", ["Activation", "Gradient", "Random", "Bernoulli"])
def test_the_other_gradual_classes_rank_as_their_twins_with_the_last_level(pruner: str) -> None:
    kind = f"{pruner}APoZ" if pruner == "Activation" else pruner
    kind = f"{kind}FilterPruner" if pruner == "Bernoulli" else f"{kind}RankedFilterPruner"
    settings = {"group_type": "Filters", "weights": "conv2.weight"}
    gradual = PRUNERS[f"{kind}_AGP"](initial_sparsity=0.1, final_sparsity=0.5, **settings)
    settled = PRUNERS[kind](desired_sparsity=0.5, **settings)
    found = []
    for one in (gradual, settled):
        model = convolutional()
        rule = start(one, model)
        model(torch.rand(5, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).sum().backward()
        found.append(masks(rule, 7)["conv2.weight"])
    assert torch.equal(*found) and not found[0].all()


def test_a_leader_is_rated_anew_and_decides_for_all() -> None:
    model = nn.Sequential(holding(weights_of(6, 2, 1, 1)), holding(weights_of(6, 2, 1, 1, seed=1)))
    settings = {"group_type": "Filters", "desired_sparsity": 0.5, "weights": ("1.weight", "0.weight")}
    rule = start(L1RankedStructureParameterPruner(**settings, group_dependency="Leader"), model)
    for _ in range(2):
        found, weight = masks(rule), model[1].weight.detach()
        led = twin.ranked(weight, 0.5, 1, twin.grouped(weight, twin.KEYS["Filters"]))
        assert torch.equal(found["0.weight"], led) and torch.equal(found["1.weight"], led)
        weight.copy_(weight.flip(0))


def test_a_leader_of_whom_nothing_goes_decides_nothing() -> None:
    settings = {"group_type": "Filters", "desired_sparsity": 0.1, "weights": "weight", "group_dependency": "Leader"}
    assert masks(start(L1RankedStructureParameterPruner(**settings), holding(weights_of(6, 2, 1, 1)))) == {}


class TestThresholds:
    def test_sensitivity_by_hand(self) -> None:
        """[0, 0, 3, -3]: mean 0, the sum of squares is 18, σ = √(18/3) = √6 = 2.4494897427831781."""
        weight = torch.tensor([[0.0, 0.0], [3.0, -3.0]], dtype=torch.float64)
        (measured,) = deviation(weight)
        assert abs(measured - 6**0.5) < 1e-12
        assert mask(SensitivityPruner({"weight": 1.2}), weight).tolist() == [[False, False], [True, True]]
        assert not mask(SensitivityPruner({"weight": 1.23}), weight).any()

    @pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 2.5])
    def test_the_deviation_is_that_of_the_first_firing(self, factor: float) -> None:
        model, first = holding(weights_of(4, 6)), weights_of(4, 6)
        rule = start(SensitivityPruner({"weight": factor}), model)
        assert torch.equal(masks(rule)["weight"], twin.sensitivity(first, first, factor))
        model.weight.data.copy_(weights_of(4, 6, seed=1) * 3)
        later = model.weight.detach()
        assert torch.equal(masks(rule, 3)["weight"], twin.sensitivity(later, first, factor))
        again = start(SensitivityPruner({"weight": factor}), model)
        again.load_state_dict(rule.state_dict())
        assert torch.equal(masks(again, 3)["weight"], twin.sensitivity(later, first, factor))

    def test_one_element_has_no_deviation_and_stays(self) -> None:
        rule = start(SensitivityPruner({"*": 5.0}), holding(weights_of(1, 6), torch.ones(1)))
        assert list(masks(rule)) == ["weight"]

    def test_a_star_takes_biases_too(self) -> None:
        model = holding(weights_of(2, 3), torch.tensor([0.1, 0.5], dtype=torch.float64))
        found = masks(start(MagnitudeParameterPruner({"weight": 0.3, "*": 0.2}), model))
        assert torch.equal(found["weight"], twin.above(weights_of(2, 3), 0.3))
        assert found["bias"].tolist() == [False, True]

    def test_what_equals_the_threshold_goes(self) -> None:
        assert not mask(MagnitudeParameterPruner({"*": 0.5}), torch.full((2, 2), 0.5)).any()

    @pytest.mark.parametrize("level", LEVELS)
    def test_levels(self, level: float) -> None:
        weight = weights_of(5, 7)
        groups = twin.grouped(weight, twin.KEYS["element"])
        assert torch.equal(
            mask(SparsityLevelParameterPruner({"*": level}), weight), twin.ranked(weight, level, 1, groups)
        )

    def test_splicing(self) -> None:
        model = holding(weights_of(4, 6))
        first, before = weights_of(4, 6), None
        pruner = SplicingPruner({"weight": 0.2}, 0.7, 1.4, 0.5)
        rule = start(pruner, model)
        for epoch in (1, 3, 5, 7):
            weight = weights_of(4, 6, seed=epoch - 1)
            model.weight.data.copy_(weight)
            found = masks(rule, epoch, previous={} if before is None else {"weight": before})["weight"]
            before = twin.spliced(weight, first, before, 0.2, 0.7, 1.4, (epoch - 1) * 0.5 + 1)
            assert torch.equal(found, before)

    def test_splicing_brings_back(self) -> None:
        """|w| = [1, 2, 3, 4]: mean 2.5, σ = √(5/3); thresholds 2.5·0.9 = 2.25 and 2.5·1.1 = 2.75."""
        weight = torch.tensor([[1.0, -2.0], [3.0, -4.0]], dtype=torch.float64)
        rule = start(SplicingPruner({"weight": 0.0}, 0.9, 1.1), holding(weight))
        dead = torch.zeros(2, 2, dtype=torch.bool)
        assert masks(rule, previous={"weight": dead})["weight"].tolist() == [[False, False], [True, True]]

    @pytest.mark.parametrize("offset", [0, 2, 7])
    def test_the_ramp_of_baidu(self, offset: int) -> None:
        pruner = BaiduRNNPruner(0.17, offset, 2.0, "weight")
        weight = torch.linspace(-0.3, 0.3, 24, dtype=torch.float64).view(4, 6)
        for epoch in SPAN.firings():
            limit = twin.baidu(epoch, 0.17, offset, 2.0, 1, 8, 2)
            assert abs(pruner.threshold(epoch, SPAN) - limit) < 1e-12
            assert torch.equal(mask(pruner, weight, epoch=epoch), twin.above(weight, limit))

    def test_the_ramp_of_baidu_by_hand(self) -> None:
        """q 0.9, epochs 0 to 10, offset 2: S = 1.8 / (4 + 24) = 0.0642857…; e1: 2S; e2: 3S + 2S·1; e9: 3S + 2S·8."""
        pruner, slope = BaiduRNNPruner(0.9, 2, 2.0, "weight"), 1.8 / 28
        found = [pruner.threshold(epoch, Span(0, 10)) for epoch in (0, 1, 2, 9)]
        assert all(abs(one - times * slope) < 1e-12 for one, times in zip(found, (1, 2, 5, 19), strict=True))

    @pytest.mark.parametrize("criterion", ["Max", "Mean_Abs"])
    @pytest.mark.parametrize(
        ("group", "shape"),
        [
            *((group, (3, 4, 2, 2)) for group in ("2D", "3D", "Filters", "Channels")),
            *((group, (3, 5)) for group in ("Channels", "Rows", "Cols")),
        ],
    )
    def test_groups(self, criterion: str, group: str, shape: tuple[int, ...]) -> None:
        weight = weights_of(*shape)
        for limit in (0.0, 0.3, 0.4, 0.5):
            found = mask(StructureParameterPruner({"weight": (limit, group)}, criterion), weight)
            assert torch.equal(found, twin.thresholded(weight, limit, group, criterion))

    def test_the_mean_of_a_row_is_its_mean(self) -> None:
        """Rows of 2 x 4 sum to 4 and 2: means 1 and 0.5; Distiller divides by 2 and keeps both."""
        weight = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]])
        found = mask(StructureParameterPruner({"weight": (0.7, "Rows")}, "Mean_Abs"), weight)
        assert found.any(dim=1).tolist() == [True, False]


class TestFilters:
    settings: dict[str, Any] = {"group_type": "Filters", "weights": "weight"}  # noqa: RUF012

    @pytest.mark.parametrize("level", LEVELS)
    def test_gradients(self, level: float) -> None:
        model, weight, gradient = (
            holding(weights_of(6, 3, 2, 2)),
            weights_of(6, 3, 2, 2),
            weights_of(6, 3, 2, 2, seed=1),
        )
        model.weight.grad = gradient.clone()
        found = masks(start(GradientRankedFilterPruner(**self.settings, desired_sparsity=level), model))
        wanted = twin.by_gradient(weight, gradient, level)
        assert torch.equal(found.get("weight", torch.ones_like(wanted)), wanted)

    def test_negative_sums_go_first(self) -> None:
        model = holding(torch.ones(3, 1, 1, 1))
        model.weight.grad = torch.tensor([-9.0, 1.0, 2.0]).double().view(3, 1, 1, 1)
        found = masks(start(GradientRankedFilterPruner(**self.settings, desired_sparsity=0.4), model))
        assert found["weight"].flatten().tolist() == [False, True, True]

    @pytest.mark.parametrize("level", LEVELS)
    @pytest.mark.parametrize(("figure", "least"), [("APoZ", False), ("Mean", False), ("Mean", True)])
    def test_activations(self, level: float, figure: str, least: bool) -> None:
        more = {"drop_least": True} if least else {}
        settings = {"group_type": "Filters", "weights": "conv2.weight", "desired_sparsity": level, **more}
        kind = {"APoZ": ActivationAPoZRankedFilterPruner, "Mean": ActivationMeanRankedFilterPruner}[figure]
        model = convolutional()
        rule = start(kind(**settings), model)
        for decision in range(2):
            seen = []
            for size in (3, 5):
                generator = torch.Generator().manual_seed(10 * decision + size)
                images = torch.rand(size, 1, 4, 4, generator=generator, dtype=torch.float64)
                seen.append(model[:4](images).detach())
            wanted = twin.by_activations(model.conv2.weight, seen, level, figure, least)
            assert torch.equal(masks(rule).get("conv2.weight", torch.ones_like(wanted)), wanted)

    def test_figures_of_activations_by_hand(self) -> None:
        """Channel 0 holds 0, 0, 2, 0: 75 % zeros, mean 0.5; channel 1 holds 1, 3, 0, 4: 25 %, mean 2."""
        values = torch.tensor([[[[0.0, 0.0]], [[1.0, 3.0]]], [[[2.0, 0.0]], [[0.0, 4.0]]]])
        found = {}
        for kind in (ActivationAPoZRankedFilterPruner, ActivationMeanRankedFilterPruner):
            rule = start(kind(group_type="Filters", weights="conv2.weight", desired_sparsity=0.5), convolutional())
            rule.gathered["conv2.weight"].add(values)
            found[kind.__name__[10:14]] = rule.gathered["conv2.weight"].take("conv2.weight", 2).tolist()
        assert found == {"APoZ": [75.0, 25.0], "Mean": [0.5, 2.0]}

    @pytest.mark.parametrize("level", LEVELS)
    def test_chance_drops_exactly_the_share_and_zeros_first(self, level: float) -> None:
        weight = torch.ones(8, 2, 1, 1, dtype=torch.float64)
        weight[[1, 6]] = 0.0
        found = mask(RandomRankedFilterPruner(**self.settings, desired_sparsity=level), weight)
        generator = torch.Generator().manual_seed(0)
        draws = torch.rand(8, generator=generator, dtype=torch.float64)
        scores = [-1.0 if at in (1, 6) else float(draws[at]) for at in range(8)]
        groups = twin.grouped(weight, twin.KEYS["Filters"])
        assert torch.equal(found, twin.mask_of(weight, groups, twin.lowest_go(scores, level)))

    def test_the_share_is_drawn_from_the_range_for_each_parameter(self) -> None:
        model = nn.Sequential(*(holding(weights_of(100, 1, 1, 1, seed=at)) for at in range(20)))
        names = tuple(f"{at}.weight" for at in range(20))
        settings = {"group_type": "Filters", "weights": names, "sparsity_range": (0.2, 0.6)}
        found = masks(start(RandomLevelStructureParameterPruner(**settings), model))
        draws = torch.rand(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        for at, draw in enumerate(draws.tolist()):
            weight = weights_of(100, 1, 1, 1, seed=at)
            groups = twin.grouped(weight, twin.KEYS["Filters"])
            assert torch.equal(found[f"{at}.weight"], twin.ranked(weight, 0.2 + 0.4 * draw, 1, groups))

    def test_a_leader_draws_once(self) -> None:
        model = nn.Sequential(holding(weights_of(50, 1, 1, 1)), holding(weights_of(50, 1, 1, 1, seed=1)))
        settings = {"group_type": "Filters", "weights": ("0.weight", "1.weight"), "group_dependency": "Leader"}
        for pruner in (
            RandomLevelStructureParameterPruner(**settings, sparsity_range=(0.2, 0.6)),
            BernoulliFilterPruner(**settings, desired_sparsity=0.5),
        ):
            found = masks(start(pruner, model))
            assert torch.equal(found["0.weight"], found["1.weight"])

    @pytest.mark.parametrize("level", LEVELS[1:])
    def test_bernoulli(self, level: float) -> None:
        weight = torch.ones(40, 2, 1, 1, dtype=torch.float64)
        rule = start(BernoulliFilterPruner(**self.settings, desired_sparsity=level), holding(weight))
        verdict = rule.masks(Scene(1, 0.0, SPAN, generator=torch.Generator().manual_seed(0)))["weight"]
        draws = torch.rand(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64).tolist()
        kept = [draw >= level for draw in draws]
        if not any(kept):
            kept[draws.index(max(draws))] = True
        assert torch.equal(verdict.mask, twin.mask_of(weight, twin.grouped(weight, twin.KEYS["Filters"]), kept))
        assert verdict.scale == 40 / sum(kept)

    def test_noise(self) -> None:
        settings = {**self.settings, "desired_sparsity": 0.5}
        weight = torch.arange(1.0, 21.0, dtype=torch.float64).view(20, 1, 1, 1)
        plain = mask(L1RankedStructureParameterPruner(**settings), weight)
        assert torch.equal(mask(L1RankedStructureParameterPruner(**settings, noise=1e-9), weight), plain)
        noisy = mask(L1RankedStructureParameterPruner(**settings, noise=1.0), weight)
        generator = torch.Generator().manual_seed(0)
        torch.rand(1, generator=generator, dtype=torch.float64)
        factors = torch.randn(20, generator=generator, dtype=torch.float64).tolist()
        scores = [(at + 1) * factor for at, factor in enumerate(factors)]
        wanted = twin.mask_of(weight, twin.grouped(weight, twin.KEYS["Filters"]), twin.lowest_go(scores, 0.5))
        assert torch.equal(noisy, wanted) and not torch.equal(noisy, plain)
