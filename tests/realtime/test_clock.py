"""The map from samples to time follows drift and survives jumps; days pass without an overflow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from realtime.clock import NS, CaptureClock, Doorbell, FakeClock, SystemClock


def stream(clock: CaptureClock, seconds: float, ppm: float, seed: int = 0, begin: int = 0, start_ns: int = 0) -> int:
    """10 ms blocks of a device that is `ppm` fast, each late by 0 to 30 ms; gives the last count."""
    random = np.random.default_rng(seed)
    count = begin
    for i in range(round(seconds * 100)):
        count += 160
        true_ns = start_ns + round((i + 1) * NS / 100 / (1 + ppm * 1e-6))
        clock.observe(count, true_ns + int(random.exponential(3e6)))
    return count


@pytest.mark.parametrize("ppm", [-500.0, -300.0, 0.0, 200.0, 500.0])
def test_follows_a_device_that_drifts(ppm: float) -> None:
    clock = CaptureClock(16_000)
    count = stream(clock, 300, ppm)
    assert clock.drift_ppm == pytest.approx(ppm, abs=15)
    true_ns = 300 * NS / (1 + ppm * 1e-6)
    assert abs(clock.captured_ns(count) - true_ns) < 2_000_000


def test_bursts_do_not_look_like_drift() -> None:
    clock = CaptureClock(16_000)
    for i in range(1_500):  # four blocks at once, each 40 ms
        clock.observe((i + 1) * 160, (i // 4 + 1) * 40_000_000)
    assert abs(clock.drift_ppm) < 30


def test_there_and_back() -> None:
    clock = CaptureClock(16_000)
    count = stream(clock, 100, 150.0)
    for sample in (count, count + 16_000, count - 8_000):
        assert abs(clock.count_at(clock.captured_ns(sample)) - sample) <= 1


def test_a_sleeping_computer_is_no_drift() -> None:
    clock = CaptureClock(16_000)
    count = stream(clock, 60, 50.0)
    drift = clock.drift_ppm
    later_ns = 60 * NS + 3600 * NS
    clock.observe(count + 160, later_ns)
    assert abs(clock.captured_ns(count + 160) - later_ns) < 1_000_000
    assert clock.drift_ppm == drift


@pytest.mark.parametrize("kept_s", [4, 6, 9])
def test_what_was_kept_while_the_program_stood_still_comes_in_a_burst(kept_s: int) -> None:
    """A server hands it over faster than it was spoken, but not at once: the line must not stay late behind it."""
    clock = CaptureClock(16_000)
    count = stream(clock, 60, 50.0)
    woken_ns = (60 + kept_s) * NS
    for _ in range(100 * kept_s):  # ten times as fast
        count += 160
        woken_ns += NS // 1_000
        clock.observe(count, woken_ns)
    for _ in range(100):
        count += 160
        woken_ns += NS // 100
        clock.observe(count, woken_ns)
    assert abs(clock.captured_ns(count) - woken_ns) < NS // 10


def hand_over(clock: CaptureClock, blocks: range, late_ns: Callable[[int], int]) -> int:
    """10 ms blocks of an exact device, each late by what `late_ns` says of its number; the last one's count."""
    for i in blocks:
        clock.observe(160 * i, i * NS // 100 + late_ns(i))
    return 160 * blocks[-1]


@pytest.mark.parametrize("late_ns", [80_000_000, -80_000_000])
def test_one_odd_second_moves_the_line_a_little_and_many_move_it_wholly(late_ns: int) -> None:
    """Sound is paced by it: all of the jump at once would be heard."""
    clock = CaptureClock(16_000)
    hand_over(clock, range(1, 1_002), lambda i: 0)  # ten windows
    count = hand_over(clock, range(1_002, 1_102), lambda i: late_ns)
    moved_ns = clock.captured_ns(count) - count * NS // 16_000
    assert 0 < moved_ns / late_ns < 0.25
    count = hand_over(clock, range(1_102, 6_002), lambda i: late_ns)
    assert clock.captured_ns(count) - count * NS // 16_000 == pytest.approx(late_ns, rel=0.05)


def test_seconds_that_scatter_are_no_drift() -> None:
    """A line through 30 of them alone would have a slope of hundreds of ppm."""
    clock, random = CaptureClock(16_000), np.random.default_rng(5)
    late_ns = random.integers(0, 40_000_000, 70).tolist()
    drifts = []
    for second in range(70):
        hand_over(clock, range(100 * second + 1, 100 * second + 101), lambda i, s=second: late_ns[s])  # type: ignore[misc]
        drifts.append(abs(clock.drift_ppm))
    assert max(drifts) < 20


def test_a_device_that_stops_ever_again_is_not_slow() -> None:
    """10 ms in each second: no crystal is that far off, and its sound is not to be played a hundredth too slowly."""
    clock = CaptureClock(16_000)
    count = hand_over(clock, range(1, 12_001), lambda i: i // 100 * 10_000_000)
    assert clock.drift_ppm == 0
    assert clock.captured_ns(count) == pytest.approx(count * NS / 16_000 + 1.2 * NS, abs=NS // 10)


def test_a_hurried_start_is_no_drift() -> None:
    """What a device had in store comes 3 ms a second faster than it was spoken, for four seconds."""
    clock = CaptureClock(16_000)
    drifts = []
    for second in range(120):
        hand_over(clock, range(100 * second + 1, 100 * second + 101), lambda i: -30_000 * min(i, 400))
        drifts.append(abs(clock.drift_ppm))
    assert max(drifts) < 1


def test_a_burst_that_comes_half_a_second_early_begins_the_line_anew() -> None:
    """The line lay late: no drift brings a block so early."""
    clock = CaptureClock(16_000)
    hand_over(clock, range(1, 2_001), lambda i: 0)
    count = hand_over(clock, range(2_001, 2_002), lambda i: -NS // 2)
    assert clock.captured_ns(count) == count * NS // 16_000 - NS // 2


def test_after_forty_days() -> None:
    clock = CaptureClock(16_000)
    begin, start_ns = 16_000 * 86_400 * 40, 86_400 * 40 * NS
    count = stream(clock, 120, -100.0, begin=begin, start_ns=start_ns)
    assert count > 2**31
    assert abs(clock.captured_ns(count) - (start_ns + 120 * NS / (1 - 100e-6))) < 3_000_000


def test_asking_before_anything_was_heard() -> None:
    with pytest.raises(ValueError, match="nothing observed"):
        CaptureClock(16_000).captured_ns(1)


def test_doorbell_rings_once_and_never_blocks() -> None:
    bell = Doorbell()
    assert not bell.wait(0)
    bell.ring()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(1_000)


def test_clocks_sleep_to_absolute_times() -> None:
    fake = FakeClock(5)
    fake.sleep_until(3)
    assert fake.now_ns() == 5
    fake.sleep_until(10**18)
    assert fake.now_ns() == 10**18
    real = SystemClock()
    due_ns = real.now_ns() + 2_000_000
    real.sleep_until(due_ns)
    assert real.now_ns() >= due_ns
