"""Random draws: from the generator that is passed, one after another, without a look at the weights."""

from __future__ import annotations

import torch

from prunus.criteria import Random
from prunus.structures import Element, Row


def test_a_saved_generator_goes_on_where_it_was():
    weight, generator = torch.zeros(5, 3), torch.Generator().manual_seed(3)
    Random().score(weight, Row(), generator=generator)
    state = generator.get_state()
    expected = Random().score(weight, Row(), generator=generator)
    resumed = torch.Generator()
    resumed.set_state(state)
    assert torch.equal(Random().score(weight, Row(), generator=resumed), expected)


def test_the_weights_play_no_part_and_the_draw_is_uniform():
    one, other = (
        Random().score(weight, Element(), generator=torch.Generator().manual_seed(0))
        for weight in (torch.zeros(100, 100), torch.full((100, 100), torch.inf))
    )
    assert torch.equal(one, other) and ((one >= 0) & (one < 1)).all()
    assert torch.histc(one, 10, 0, 1).sub(1000).abs().max() < 120
