"""Run the laws over every optimizer, with every regularizer, and with several implementations where it matters."""

from __future__ import annotations

from functools import partial
from itertools import product

import pytest
import torch

from prunus.optim import OPTIMIZERS
from prunus.regularizers import REGULARIZERS
from tests.laws import optim as laws
from tests.twins.optim import TWINS

SETTINGS = {
    "adabreg": [
        {"lr": 0.05},
        {"lr": 0.02, "delta": 2.0, "betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.5},
        {"lr": 0.1, "betas": (0.0, 0.0), "lambda_change": "keep_survivors"},
    ],
    "linbreg": [
        {"lr": 0.1},
        {"lr": 0.1, "delta": 0.5, "momentum": 0.9, "weight_decay": 0.5, "lambda_change": "keep_survivors"},
        {"lr": 0.0},
    ],
    "proxsgd": [{"lr": 0.1}, {"lr": 0.1, "weight_decay": 0.5}],
}
REGS = {name: partial(kind, lamda=0.2) for name, kind in REGULARIZERS.items()}
MEMBERS = [(name, settings) for name, choices in SETTINGS.items() for settings in choices]
BASES = [
    ("adabreg", {"lr": 0.05}, partial(torch.optim.Adam, lr=0.05)),
    ("adabreg", {"lr": 0.05, "delta": 2.0}, partial(torch.optim.Adam, lr=0.1)),
    (
        "adabreg",
        {"lr": 0.05, "betas": (0.8, 0.9), "eps": 0.01},
        partial(torch.optim.Adam, lr=0.05, betas=(0.8, 0.9), eps=0.01),
    ),
    (
        "adabreg",
        {"lr": 0.05, "delta": 2.0, "weight_decay": 0.3},
        partial(torch.optim.Adam, lr=0.1, weight_decay=0.3),
    ),
    ("linbreg", {"lr": 0.1}, partial(torch.optim.SGD, lr=0.1)),
    (
        "linbreg",
        {"lr": 0.1, "delta": 2.0, "weight_decay": 0.3},
        partial(torch.optim.SGD, lr=0.2, weight_decay=0.3),
    ),
    ("proxsgd", {"lr": 0.1, "weight_decay": 0.3}, partial(torch.optim.SGD, lr=0.1, weight_decay=0.3)),
    ("linbreg", {"lr": 0.1, "delta": 0.25}, partial(torch.optim.SGD, lr=0.025)),
    ("proxsgd", {"lr": 0.1}, partial(torch.optim.SGD, lr=0.1)),
]

ALL_DTYPES = list(product(laws.ANYWHERE, (torch.float64, torch.float32)))

every_reg = pytest.mark.parametrize("make_reg", REGS.values(), ids=REGS)
every_member = pytest.mark.parametrize(("name", "settings"), MEMBERS, ids=str)
first_of_each = pytest.mark.parametrize(("name", "settings"), [(name, SETTINGS[name][0]) for name in SETTINGS], ids=str)


def without_decay(settings: dict) -> dict:
    return {**settings, "weight_decay": 0.0}


def test_every_member_has_a_twin_and_settings() -> None:
    assert list(OPTIMIZERS) == sorted(OPTIMIZERS) == sorted(TWINS) == sorted(SETTINGS)


@every_reg
@every_member
@pytest.mark.parametrize(("implementation", "dtype"), [*ALL_DTYPES, ("auto", torch.float32)], ids=str)
def test_follows_its_twin(name, settings, make_reg, implementation, dtype) -> None:
    settings = {**settings, "implementation": implementation}
    laws.law_follows_its_twin(OPTIMIZERS[name], TWINS[name], make_reg, settings, dtype)


@every_reg
@pytest.mark.parametrize("change", ["none", "keep_survivors"])
@pytest.mark.parametrize("implementation", laws.ANYWHERE)
@pytest.mark.parametrize(("name", "settings"), [(name, SETTINGS[name][1]) for name in ("adabreg", "linbreg")], ids=str)
def test_follows_its_twin_while_lambda_moves(name, settings, make_reg, change, implementation) -> None:
    settings = {**settings, "lambda_change": change, "implementation": implementation}
    laws.law_follows_its_twin_while_lambda_moves(OPTIMIZERS[name], TWINS[name], make_reg, settings)


@pytest.mark.parametrize(("name", "settings", "base"), BASES, ids=str)
@pytest.mark.parametrize("implementation", laws.ANYWHERE)
def test_equals_its_base(name, settings, base, implementation) -> None:
    laws.law_equals_its_base(OPTIMIZERS[name], {**settings, "implementation": implementation}, base)


PLAIN = (
    laws.law_implementations_agree,
    laws.law_resumes_bit_equal,
    laws.law_load_shares_nothing,
    laws.law_copies_go_their_own_way,
    laws.law_without_gradient_nothing_happens,
    laws.law_hooks_run,
)


@pytest.mark.parametrize("law", PLAIN, ids=lambda law: law.__name__)
@every_reg
@every_member
def test_keeps_the_law(law, name, settings, make_reg) -> None:
    if settings["lr"] > 0:
        law(OPTIMIZERS[name], make_reg, settings)


@every_reg
@first_of_each
@pytest.mark.parametrize(
    ("dtype", "implementation"),
    [(torch.bfloat16, "auto"), (torch.bfloat16, "foreach"), (torch.float16, "foreach")],
    ids=str,
)
def test_state_is_wide(name, settings, make_reg, dtype, implementation) -> None:
    settings = {**settings, "implementation": implementation}
    laws.law_state_is_wide(OPTIMIZERS[name], make_reg, settings, dtype)
    laws.law_resumes_bit_equal(OPTIMIZERS[name], make_reg, settings, dtype)


@every_reg
@first_of_each
def test_writes_in_place(name, settings, make_reg) -> None:
    laws.law_writes_in_place(OPTIMIZERS[name], make_reg, settings)


SMOOTH = (laws.law_accumulates, laws.law_closure_sees_gradients, laws.law_schedulers_of_torch_work)


@pytest.mark.parametrize("law", SMOOTH, ids=lambda law: law.__name__)
@every_member
def test_keeps_the_law_of_a_loop(law, name, settings) -> None:
    if settings["lr"] > 0:
        law(OPTIMIZERS[name], REGS["l1"], settings)


@every_reg
@every_member
def test_groups_are_optimizers(name, settings, make_reg) -> None:
    laws.law_groups_are_optimizers(OPTIMIZERS[name], make_reg, REGS["l1"], settings)


@pytest.mark.parametrize("make_reg", [make for name, make in REGS.items() if REGULARIZERS[name].convex])
@every_member
def test_rest_is_rest(name, settings, make_reg) -> None:
    if OPTIMIZERS[name].has_dual:
        laws.law_rest_is_rest(OPTIMIZERS[name], make_reg, without_decay(settings))


@pytest.mark.parametrize("make_reg", [make for name, make in REGS.items() if REGULARIZERS[name].convex])
@pytest.mark.parametrize("implementation", laws.ANYWHERE)
@every_member
def test_survivors_stay(name, settings, make_reg, implementation) -> None:
    if OPTIMIZERS[name].has_dual:
        settings = without_decay({**settings, "implementation": implementation})
        laws.law_survivors_stay(OPTIMIZERS[name], make_reg, settings)


@pytest.mark.parametrize("implementation", laws.ANYWHERE)
@first_of_each
def test_skips_what_is_not_finite(name, settings, implementation) -> None:
    settings = {**settings, "implementation": implementation}
    laws.law_skips_what_is_not_finite(OPTIMIZERS[name], REGS["l1"], settings)
    laws.law_overflows_change_nothing(OPTIMIZERS[name], REGS["l1"], settings)
