"""Windows: what is refused, how fractions round, and that the last firing has progress 1 whatever the frequency."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunus.errors import NoEffect, RunError, SettingError
from prunus.window import Span, Window


class TestRefusals:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"start": 3, "end": 3}, r"got start=3 and end=3; for a single firing write end=start\+1 or use OneShot"),
            ({"start": "0.5dur", "end": "0.50dur"}, "start must come before end"),
            ({"start": -1}, "start is -1"),
            ({"end": -2}, "end is -2"),
            ({"end": 2.5}, "end is 2.5"),
            ({"start": True}, "start is True"),
            ({"start": "0.2"}, "such as"),
            ({"start": "20%dur"}, "such as"),
            ({"start": "-0.2dur"}, "such as"),
            ({"start": "dur"}, "such as"),
            ({"start": ".dur"}, "such as"),
            ({"end": "1.2dur"}, "end is '1.2dur'"),
            ({"frequency": 0}, "frequency is 0"),
            ({"unit": "epochs"}, "Did you mean 'epoch'"),
        ],
    )
    def test_says_the_setting_and_the_rule(self, settings, message):
        with pytest.raises(SettingError, match=message):
            Window(**settings)

    def test_a_window_that_rounds_to_nothing_shows_both_places(self):
        with pytest.raises(SettingError, match=r"start 5 and end 5 in a run of 10 epochs"):
            Window("0.5dur", "0.55dur").resolve(10)

    def test_a_number_past_a_fraction_is_refused_once_the_run_is_known(self):
        with pytest.raises(SettingError, match="start 6 and end 5"):
            Window(6, "0.5dur").resolve(10)

    @pytest.mark.parametrize("window", [Window("0.1dur", 5), Window(0, "0.5dur")], ids=str)
    def test_a_fraction_needs_the_length_of_the_run(self, window):
        assert window.needs_total
        with pytest.raises(RunError, match="pass epochs"):
            window.resolve(None)

    def test_span_refuses_to_run_backwards(self):
        with pytest.raises(SettingError, match="end is 2"):
            Span(3, 2)

    def test_total_must_be_a_count(self):
        with pytest.raises(SettingError, match=r"total is 2\.5"):
            Window().resolve(2.5)


class TestResolve:
    @pytest.mark.parametrize(("place", "total", "expected"), [("0.29dur", 100, 29), (".25dur", 10, 2), ("1.dur", 7, 7)])
    def test_fractions_round_down_without_float_error(self, place, total, expected):
        assert Window(0, place).resolve(total).end == expected

    @given(hundredths=st.integers(0, 100), total=st.integers(1, 10**6))
    def test_fractions_are_exact(self, hundredths, total):
        span = Window(0, f"{hundredths / 100}dur").resolve(total) if hundredths * total >= 100 else Span(0, 0)
        assert span.end == hundredths * total // 100

    @pytest.mark.parametrize("window", [Window(10), Window(12, 20), Window("1dur"), Window(10, "0.5dur")], ids=str)
    def test_never_firing_warns_once_with_window_and_length(self, window):
        with pytest.warns(NoEffect, match=f"the window '{window}' never fires: the run has 10 epochs") as caught:
            span = window.resolve(10)
        assert len(caught) == 1 and caught[0].filename == __file__
        assert not any(span.fires(time) for time in range(10)) and not span.reaches_final(10)

    def test_an_empty_run_warns_and_asks_nothing_more(self):
        with pytest.warns(NoEffect):
            assert Window("0.2dur", "0.8dur").resolve(0) == Span(0, 0)

    def test_an_end_past_the_run_stays_as_written(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            span = Window(0, 41, frequency=10).resolve(20)
        assert span.progress(10) == 0.25 and not span.reaches_final(20) and span.reaches_final(41)
        assert not span.reaches_final(40)

    def test_is_a_plain_value(self):
        window = Window("0.2dur", None, 2, "step")
        assert pickle.loads(pickle.dumps(window)) == window and hash(window) == hash(Window("0.2dur", None, 2, "step"))
        assert str(window) == "steps 0.2dur to the end, every 2"


class TestOpenEnd:
    span = Window(3, frequency=2).resolve(None)

    def test_fires_without_knowing_the_end(self):
        assert [time for time in range(9) if self.span.fires(time)] == [3, 5, 7]

    @pytest.mark.parametrize("ask", [lambda s: s.progress(4), lambda s: s.firings(), lambda s: s.reaches_final(9)])
    def test_questions_about_the_end_say_what_to_pass(self, ask):
        with pytest.raises(RunError, match=r"pass epochs .*steps_per_epoch"):
            ask(self.span)


spans = st.builds(
    lambda start, length, frequency: Span(start, start + length, frequency),
    st.integers(0, 50),
    st.integers(1, 200),
    st.integers(1, 30),
)


class TestSpan:
    @given(spans)
    def test_fires_exactly_at_its_firings(self, span):
        assert [time for time in range(span.end + 40) if span.fires(time)] == list(span.firings())

    @given(spans)
    def test_last_firing_has_progress_exactly_one(self, span):
        first, last = span.firings()[0], span.firings()[-1]
        assert span.progress(last) == 1.0 == span.progress(last + 1000)
        assert span.progress(first) == (1.0 if first == last else 0.0)
        assert span.reaches_final(last + 1) and not span.reaches_final(last)

    @given(spans)
    def test_progress_never_falls_and_is_zero_before(self, span):
        path = [span.progress(time) for time in range(-3, span.end + 5)]
        assert path == sorted(path) and all(0.0 <= p <= 1.0 for p in path)
        assert all(span.progress(time) == 0.0 for time in range(-3, span.start))

    def test_one_firing_is_the_last(self):
        assert Span(4, 9, frequency=100).progress(4) == 1.0 and list(Span(4, 9, frequency=100).firings()) == [4]


def test_a_list_of_firings_is_a_window() -> None:
    span = Window(at=(2, 3, 7)).resolve(10)
    assert [time for time in range(10) if span.fires(time)] == [2, 3, 7] == list(span.firings())
    assert [span.next_firing(time) for time in (0, 2, 4, 7, 8)] == [2, 2, 7, 7, None]
    assert [span.progress(time) for time in (0, 2, 3, 6, 7, 9)] == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    assert (span.reaches_final(8), span.reaches_final(7)) == (True, False)
    assert (span.start, span.end, str(Window(at=(2, 3, 7)))) == (2, 8, "epochs 2, 3, 7")
    assert Window(at=(4,)).resolve(None).progress(4) == 1.0


@pytest.mark.parametrize("at", [(3, 2), (1, 1), (-1,), (1.5,), (), [], "12", 3, range(0), {1, 2}], ids=str)
def test_a_list_of_firings_rises_and_is_not_empty(at: Any) -> None:
    with pytest.raises(SettingError, match="at is"):
        Window(at=at)


@pytest.mark.parametrize("beside", [{"start": 1}, {"end": 9}, {"frequency": 2}])
def test_a_list_of_firings_says_all(beside: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="which says all"):
        Window(at=(3, 4), **beside)


def test_a_list_of_firings_outside_the_run_warns() -> None:
    with pytest.warns(NoEffect, match="never fires"):
        Window(at=(5, 6)).resolve(5)


@pytest.mark.parametrize(("window", "span"), [(Window(5, 9), Span(5, 9)), (Window(5), Span(5, 5))])
def test_a_window_behind_the_run_keeps_the_end_that_was_written(window: Window, span: Span) -> None:
    with pytest.warns(NoEffect, match="never fires: the run has 3 epochs"):
        assert window.resolve(3) == span
