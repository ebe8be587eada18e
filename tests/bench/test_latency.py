"""Definitions of delay, checked where no clock is needed; and one short run of the real path."""

from __future__ import annotations

import numpy as np
import pytest

from bench.latency import algorithmic_delay_ms, changed, first_pictures, impulse_delays, measure_latency
from bench.rig import EVENT_S, Events, make_events
from engines.spec import SPEC
from realtime.pacer import Pacer


def test_impulse_shows_at_the_end_of_its_chunk_and_never_before(rig):
    with rig.engines() as engines:
        for offset, delay in impulse_delays(engines.encoder):
            assert delay == SPEC.chunk_samples - offset


@pytest.mark.parametrize(("rate", "expected"), [(25, 20.0), (50, 10.0), (30, 23.3), (60, 16.7)])
def test_delay_of_the_spec_alone(rate, expected):
    assert algorithmic_delay_ms(0, rate) == pytest.approx(expected, abs=0.05)


def test_events_are_loud_sudden_and_apart():
    events = make_events(12.0, seed=2)
    assert len(events.at) >= 7
    for at in events.at:
        before = events.samples[at - 4000 : at]
        after = events.samples[at : at + 1600]
        assert np.sqrt((after**2).mean()) > 30 * np.sqrt((before**2).mean())
    assert np.diff(events.at).min() > (EVENT_S + 0.8) * SPEC.sample_rate_hz


@pytest.mark.parametrize("rate", [25, 30, 60])
def test_events_lie_evenly_in_the_time_between_pictures(rate):
    for seed in range(4):
        waits = np.sort(-make_events(25.0, seed).at * rate / SPEC.sample_rate_hz % 1)  # in periods
        assert len(waits) >= 17
        assert abs(np.median(waits) - 0.5) < 0.08
        assert np.diff(waits, prepend=0, append=1).max() < 0.16


def test_no_event_no_picture(rig):
    """With nothing but quiet after an "event" the two courses are nearly one: nothing may count as shown."""
    quiet = (np.random.default_rng(0).standard_normal(SPEC.sample_rate_hz * 2) * 3e-4).astype(np.float32)
    assert first_pictures(rig, Events(quiet, np.array([16_000])), 0, 25) == [-1]


def test_event_shows_soon_and_never_before_it_was_heard(rig):
    events = make_events(6.0)
    for rate in (25, 60):
        pacer = Pacer(rate)
        shown = first_pictures(rig, events, 0, rate)
        delays = [pacer.end_sample(i) - s for i, s in zip(shown, events.at, strict=True) if i >= 0]
        assert len(delays) >= len(events.at) - 1
        assert min(delays) > 0
        assert np.median(delays) < 0.2 * SPEC.sample_rate_hz


def test_visible_change():
    picture = np.zeros((100, 100, 3), np.uint8)
    other = picture.copy()
    other[0, :1] = 200
    assert not changed(picture, other)
    other[0, :3] = 200
    assert changed(picture, other)
    other[:] = 5
    assert not changed(picture, other)


@pytest.mark.slow
def test_rows_of_a_short_live_run(rig):
    rows = measure_latency(rig, (0,), (25,), 4.0)
    measures = {row["measure"] for row in rows}
    assert {"newest_sample_age", "event_to_picture", "stage:encode", "stage:generate", "impulse_to_code"} <= measures
    for row in rows:
        assert {"lookahead_ms", "picture_rate", "p50_ms", "p95_ms", "p99_ms", "max_ms", "count"} <= row.keys()
    age = next(row for row in rows if row["measure"] == "newest_sample_age")
    event = next(row for row in rows if row["measure"] == "event_to_picture")
    assert age["pictures"] + age["late"] >= 90, "a busy machine drops pictures; each one is counted"
    assert 0 < age["count"] <= age["pictures"]
    assert 0 < age["p50_ms"] < event["p50_ms"]
