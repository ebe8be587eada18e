"""Deadlines in samples: exact for ever, one picture after the other."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import ConfigError
from engines.spec import SPEC
from realtime.pacer import PICTURE_RATES, Pacer, checked_lookahead, checked_rate

rates = st.sampled_from(PICTURE_RATES)
lookaheads = st.sampled_from(SPEC.lookaheads_ms)


@given(rate=rates, lookahead=lookaheads, index=st.integers(0, 2**40))
def test_ends_and_indices_are_inverse(rate: int, lookahead: int, index: int) -> None:
    pacer = Pacer(rate, lookahead)
    end = pacer.end_sample(index)
    assert pacer.index_at(end) == index
    assert pacer.index_at(end - 1) == index - 1
    assert end == int(Fraction((index + 1) * SPEC.sample_rate_hz, rate)) + lookahead * 16


@given(rate=rates, lookahead=lookaheads, sample=st.integers(0, 2**45))
def test_index_at_is_the_newest_that_has_ended(rate: int, lookahead: int, sample: int) -> None:
    pacer = Pacer(rate, lookahead)
    index = pacer.index_at(sample)
    assert index == -1 or pacer.end_sample(index) <= sample
    assert pacer.end_sample(index + 1) > sample


@given(rate=st.sampled_from((25, 50)), lookahead=lookaheads, index=st.integers(0, 2**40))
def test_25_and_50_pictures_end_with_a_chunk(rate: int, lookahead: int, index: int) -> None:
    assert Pacer(rate, lookahead).end_sample(index) % SPEC.chunk_samples == 0


@given(rate=rates, samples=st.integers(1, 10**9))
def test_a_sound_has_as_many_pictures_as_it_lasts(rate: int, samples: int) -> None:
    count = Pacer(rate).count(samples)
    assert (count - 1) * SPEC.sample_rate_hz < samples * rate <= count * SPEC.sample_rate_hz


def test_rates_and_lookaheads_that_are_not_offered() -> None:
    assert checked_rate(25) == 25
    assert checked_lookahead(40) == 40
    with pytest.raises(ConfigError, match="31 pictures a second is not offered"):
        checked_rate(31)
    with pytest.raises(ConfigError, match="one of 0, 40, 80"):
        checked_lookahead(20)
