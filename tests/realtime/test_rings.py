"""The two rings: nothing is lost, doubled or reordered, and reading changes nothing."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.spec import MOTION_CHANNELS, SPEC
from realtime.audio.sample_ring import SampleRing
from realtime.clock import FakeClock
from realtime.latent_ring import LatentRing
from realtime.messages import AudioCode, Stop

CHUNK = SPEC.chunk_samples
CHANNELS = len(MOTION_CHANNELS)


@given(
    capacity=st.integers(1, 50),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 70)), max_size=60),
    begin=st.sampled_from([0, 2**31 - 7, 2**40]),
)
def test_sample_ring_is_a_bounded_queue(capacity: int, steps: list[tuple[bool, int]], begin: int) -> None:
    ring = SampleRing(capacity)
    ring.written = ring.read_count = begin
    expected: list[float] = []
    next_value, lost = 0, 0
    for writes, count in steps:
        if writes:
            block = np.arange(next_value, next_value + count, dtype=np.float32)[:, None]
            next_value += count
            room = capacity - len(expected)
            assert ring.write(block) == min(count, room)
            expected += block[:room, 0].tolist()
            lost += max(0, count - room)
        else:
            assert ring.read(count)[:, 0].tolist() == expected[:count]
            expected = expected[count:]
        assert len(ring) == len(expected)
        assert ring.lost == lost


def test_sample_ring_between_two_threads() -> None:
    ring = SampleRing(997, channels=2)
    total, got = 200_000, []

    def write() -> None:
        at = 0
        while at < total:
            block = np.arange(at, min(at + 113, total), dtype=np.float32)
            at += ring.write(np.stack([block, -block], 1)[: ring.capacity - len(ring)])

    writer = threading.Thread(target=write)
    writer.start()
    while sum(map(len, got)) < total:
        ring.doorbell.wait(10_000_000)
        got.append(ring.read(101))
    writer.join()
    whole = np.concatenate(got)
    assert ring.lost == 0
    assert np.array_equal(whole[:, 0], np.arange(total, dtype=np.float32))
    assert np.array_equal(whole[:, 1], -whole[:, 0])


def test_sample_ring_keeps_the_times_of_its_blocks() -> None:
    ring = SampleRing(100)
    ring.write(np.zeros((30, 1), np.float32), 5)
    ring.write(np.zeros((90, 1), np.float32), 7)
    assert ring.stamps() == [(30, 5), (120, 7)]
    assert ring.stamps() == []
    assert (ring.lost, ring.newly_lost(), ring.newly_lost()) == (20, 20, 0)
    ring.write(np.zeros((7, 1), np.float32))
    assert ring.newly_lost() == 7


def test_sample_ring_keeps_the_newest_255_times_in_order() -> None:
    """One place less than it has: into that one the callback may write meanwhile."""
    ring = SampleRing(5_000)
    for k in range(1, 601):
        ring.write(np.zeros((3, 1), np.float32), k)
        if k == 100:
            assert len(ring.stamps()) == 100
    assert ring.stamps() == [(3 * k, k) for k in range(346, 601)]
    ring.write(np.zeros((3, 1), np.float32), 601)
    assert ring.stamps() == [(1_803, 601)]


def fill(ring: LatentRing, codes: int) -> None:
    """Write up to so many: code k holds k."""
    for k in range(ring.codes, codes):
        ring.write(AudioCode(k, np.full(CHANNELS, float(k), np.float32), captured_ns=1000 + k), arrived_ns=2000 + k)


def filled(codes: int, capacity: int = 64) -> LatentRing:
    ring = LatentRing(capacity=capacity)
    fill(ring, codes)
    return ring


def oracle(end_samples: int, codes: int) -> float:
    """Code k holds the value k and speaks of chunk k's middle; the picture shows the motion 20 ms before its end."""
    complete = min(end_samples // CHUNK, codes)
    times = np.arange(complete) * CHUNK + CHUNK / 2
    return float(np.interp(end_samples - CHUNK, times, np.arange(complete)))


@given(end=st.integers(CHUNK, 60 * CHUNK), codes=st.integers(1, 60))
def test_latent_ring_interpolates_between_complete_codes(end: int, codes: int) -> None:
    value = filled(codes, capacity=128).at(end)
    assert value == pytest.approx(np.full(CHANNELS, oracle(end, codes)), abs=1e-5)


@given(end=st.integers(20 * CHUNK, 59 * CHUNK), codes=st.integers(20, 60), later=st.integers(1, 6))
def test_more_sound_never_changes_a_picture(end: int, codes: int, later: int) -> None:
    end = min(end, codes * CHUNK)
    before = filled(codes).at(end)
    assert np.array_equal(filled(codes + later).at(end), before)


def test_latent_ring_reads_change_nothing_and_orders_are_kept() -> None:
    ring = filled(10)
    first = ring.at(8 * CHUNK + 11).copy()
    for end in (3, 10 * CHUNK, 5 * CHUNK, 8 * CHUNK + 11):
        ring.at(end)
    assert np.array_equal(ring.at(8 * CHUNK + 11), first)
    assert ring.at(0).tolist() == [0.0] * CHANNELS
    with pytest.raises(ValueError, match="where 10 was due"):
        ring.write(AudioCode(12, np.zeros(CHANNELS, np.float32), 0))


def test_latent_ring_looks_at_no_code_that_the_writer_may_be_at() -> None:
    """Of 100 codes 64 are there, the oldest eight of them on their way out: 44 is the oldest to be looked at."""
    ring = filled(100, capacity=64)
    looked_at = [float(ring.at(end)[0]) for end in (45 * CHUNK, 46 * CHUNK, 46 * CHUNK + CHUNK // 2, 47 * CHUNK)]
    assert looked_at == [44.0, 44.5, 45.0, 45.5]
    assert [ring.arrived_ns(end * CHUNK) for end in (44, 45, 46, 100, 101)] == [0, 2044, 2045, 2099, 0]


@pytest.mark.parametrize("end", range(10 * CHUNK, 12 * CHUNK, CHUNK // 4))
def test_what_a_picture_needs_stays_while_the_writer_goes_on_as_far_as_it_may(end: int) -> None:
    ring = filled(12, capacity=32)
    ring.release(end)
    ring.release(CHUNK)  # it never goes back
    while ring.codes - ring.read_to < 24:  # as far as the ring is to be looked at
        fill(ring, ring.codes + 1)
    assert ring.codes > 24
    assert ring.at(end)[0] == pytest.approx(oracle(end, 12))


def test_latent_ring_after_many_days() -> None:
    ring = LatentRing(capacity=64)
    ring.codes = 2**31 // CHUNK * 40
    for k in range(ring.codes, ring.codes + 40):
        ring.write(AudioCode(k, np.full(CHANNELS, float(k % 1000), np.float32), captured_ns=k))
    end = (ring.codes - 2) * CHUNK
    assert ring.at(end)[0] == pytest.approx((ring.codes - 3 - 0.5) % 1000)
    assert ring.captured_ns(end) == ring.codes - 3


def test_waiting_ends_with_the_code_the_time_or_the_stream() -> None:
    ring, clock = filled(5), FakeClock(0)
    assert ring.wait_for(5 * CHUNK, until_ns=0, clock=clock)
    assert not ring.wait_for(6 * CHUNK, until_ns=0, clock=clock)
    ring.close(Stop(3, RuntimeError("cause")))
    ring.close(Stop(4))
    assert not ring.wait_for(6 * CHUNK)
    assert str(ring.stop and ring.stop.error) == "cause"


@settings(deadline=None)
@given(st.integers(2, 40))
def test_waiting_writer_is_let_on_by_the_reader(ahead: int) -> None:
    ring = filled(ahead)
    done = threading.Event()

    def wait() -> None:
        ring.wait_for_space(ahead)
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not done.wait(0.005)
    ring.release(CHUNK * 6)
    assert done.wait(5)
