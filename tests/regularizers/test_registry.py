"""get_regularizer: names in any case, suggestions, and nothing swallowed."""

from __future__ import annotations

import pytest

from prunus.errors import SettingError
from prunus.regularizers import RegL1L2, get_regularizer


def test_names_in_any_case():
    assert get_regularizer("L1_L2", lamda=0.1) == RegL1L2(0.1)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("l1_l3", {}, "Did you mean 'l1_l2'"),
        (None, {}, "Did you mean 'none'"),
        ("l1", {"delta": 1.0}, "does not take delta"),
        ("l1", {"lambda": 1.0}, "Did you mean 'lamda'"),
        ("soft_bernoulli", {"generator": 1}, "does not take generator"),
    ],
)
def test_unknown_names_and_settings(name, settings, message):
    with pytest.raises(SettingError, match=message):
        get_regularizer(name, **settings)
