"""Resampling: any cut gives the same samples, tones stay pure, the delay is bounded."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.audio.resampler import Resampler, VariableResampler

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)


def in_pieces(samples: np.ndarray, rate: int, cuts: list[int]) -> np.ndarray:
    resampler = Resampler(rate, 16_000)
    edges = [0, *sorted(cut % (len(samples) + 1) for cut in cuts), len(samples)]
    parts = [resampler.push(samples[a:b]) for a, b in itertools.pairwise(edges)]
    return np.concatenate([*parts, resampler.finish()])


@settings(deadline=None, max_examples=40)
@given(rate=st.sampled_from(RATES), cuts=st.lists(st.integers(0, 10**6), max_size=12), seed=st.integers(0, 9))
def test_any_cuts_give_the_same_samples(rate: int, cuts: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.2, rate // 10).astype(np.float32)
    whole = in_pieces(samples, rate, [])
    assert np.array_equal(in_pieces(samples, rate, cuts), whole)
    assert len(whole) == -(-len(samples) * 16_000 // rate)


@pytest.mark.parametrize("rate", RATES)
def test_tones_pass_in_place_and_aliases_do_not(rate: int) -> None:
    time_in = np.arange(rate) / rate
    for hz in (100.0, 1000.0, 3000.0):
        out = in_pieces(np.sin(2 * np.pi * hz * time_in).astype(np.float32), rate, [])
        expected = np.sin(2 * np.pi * hz * np.arange(len(out)) / 16_000)
        middle = slice(400, -400)
        assert np.abs(out[middle] - expected[middle]).max() < 1e-3
    if rate > 20_000:
        alias = in_pieces(np.sin(2 * np.pi * 9_500 * time_in).astype(np.float32), rate, [])
        assert np.abs(alias[400:-400]).max() < 1e-3


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate != 16_000])
def test_no_more_is_held_back_than_the_filter_is_wide(rate: int) -> None:
    resampler = Resampler(rate, 16_000)
    for _ in range(50):
        resampler.push(np.zeros(rate // 100, np.float32))
        held_s = resampler.samples_in / rate - resampler.samples_out / 16_000
        assert held_s <= (resampler.half_width + 1) / rate + 1 / 16_000


def test_positions_stay_exact_after_days() -> None:
    resampler = Resampler(44_100, 16_000)
    days = 44_100 * 86_400 * 40
    resampler.samples_in, resampler.samples_out = days, 16_000 * 86_400 * 40
    resampler._kept_from = days - resampler.half_width
    time_in = np.arange(4_410) / 44_100
    out = resampler.push(np.sin(2 * np.pi * 500 * time_in).astype(np.float32))
    expected = np.sin(2 * np.pi * 500 * np.arange(len(out)) / 16_000)
    assert np.abs(out[100:] - expected[100:]).max() < 1e-3


@settings(deadline=None)
@given(ratio=st.floats(0.997, 1.003), hz=st.floats(100, 6000))
def test_variable_ratio_keeps_a_tone(ratio: float, hz: float) -> None:
    resampler = VariableResampler(48_000, 48_000)
    data = np.sin(2 * np.pi * hz * np.arange(3_000) / 48_000).astype(np.float32)
    positions = 100 + ratio * np.arange(2_700)
    expected = np.sin(2 * np.pi * hz * positions / 48_000)
    assert np.abs(resampler.at(data, positions) - expected).max() < 2e-3


@pytest.mark.parametrize(
    ("in_rate", "out_rate", "passes_hz", "vanishes_hz"),
    [(48_000, 48_000, 15_000, None), (48_000, 44_100, 14_000, 23_500), (48_000, 16_000, 4_000, 10_000)],
)
def test_variable_ratio_keeps_what_the_output_can_hold_and_nothing_else(
    in_rate: int, out_rate: int, passes_hz: int, vanishes_hz: int | None
) -> None:
    """A tone above its Nyquist frequency would come back as another."""
    resampler = VariableResampler(in_rate, out_rate)
    positions = 100 + in_rate / out_rate * np.arange(800)
    for hz, level in ((passes_hz, 1.0), (vanishes_hz, 0.0)):
        if hz is not None:
            tone = np.sin(2 * np.pi * hz * np.arange(2_600) / in_rate).astype(np.float32)
            expected = level * np.sin(2 * np.pi * hz * positions / in_rate)
            assert np.abs(resampler.at(tone, positions) - expected).max() < 2e-3
