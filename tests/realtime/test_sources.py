"""Microphones that come and go, files, and pipes: hops without holes in their numbers."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import ConfigError, DeviceError
from realtime.audio.pipe import PIPE_BYTES, Backlog, PipeSource
from realtime.audio.sound import SoundFile
from realtime.audio.sources import HOP, HOP_NS, BlockSource, DeviceSource, FileSource, HopCutter
from realtime.clock import NS, FakeClock
from realtime.messages import AudioHop, Stop


class FakeDevice(DeviceSource):
    """A microphone on a fake clock: `give` is its callback."""

    name = "fake"

    def __init__(self, clock: FakeClock, rate_hz: int = 48_000, channels: int = 2) -> None:
        super().__init__(rate_hz, channels, clock)
        self.clock = clock
        self.opened = 0
        self.away = False

    def _open_device(self) -> None:
        if self.away:
            raise DeviceError("gone")
        self.opened += 1

    def _close_device(self) -> None:
        return

    def give(self, seconds: float, level: float = 0.25) -> None:
        """10 ms blocks at the pace of the fake clock."""
        for _ in range(round(seconds * 100)):
            self.clock.advance(10_000_000)
            self._on_block(np.full((self.rate_hz // 100, self.channels), level, np.float32), False)

    def hops(self, count: int) -> list[AudioHop]:
        found = []
        while len(found) < count:
            hop = self.read_hop(NS // 10)
            if isinstance(hop, AudioHop):
                found.append(hop)
            else:
                self.clock.advance(10_000_000)
        return found


def test_hops_are_numbered_timed_and_whole() -> None:
    device = FakeDevice(FakeClock(NS))
    with device:
        device.give(0.5)
        hops = device.hops(48)
    assert [hop.index for hop in hops] == list(range(48))
    assert not any(hop.gap for hop in hops)
    assert hops[10].samples == pytest.approx(np.full(HOP, 0.25), abs=1e-3)
    spacing = np.diff([hop.captured_ns for hop in hops])
    assert np.abs(spacing - 10_000_000).max() <= 1_000_000


def test_a_microphone_that_vanishes_leaves_gap_hops_and_comes_back() -> None:
    clock = FakeClock(NS)
    device = FakeDevice(clock)
    with device:
        device.give(0.5)
        first = device.hops(49)
        device.away = True
        clock.advance(NS)
        lost = device.hops(100)
        assert device.lost
        assert device.opened == 1
        device.away = False
        clock.advance(NS)
        lost += device.hops(60)
        assert device.opened > 1
        back = []
        for _ in range(40):
            device.give(0.01, level=0.5)
            message = device.read_hop(0)
            if isinstance(message, AudioHop):
                back.append(message)
    every = [*first, *lost, *back]
    assert [hop.index for hop in every] == list(range(len(every)))
    assert all(hop.gap and not hop.samples.any() for hop in lost[5:])
    assert not any(hop.gap for hop in back[-10:])
    assert back[-1].samples == pytest.approx(np.full(HOP, 0.5), abs=1e-3)
    assert not device.lost
    assert device.losses == 1
    times = [hop.captured_ns for hop in every]
    assert all(a <= b + 60_000_000 for a, b in pairwise(times))


def test_what_listens_along_gets_no_empty_block_after_a_loss() -> None:
    """No encoder takes one: a recording would end there."""
    device = FakeDevice(FakeClock(NS))
    heard: list[int] = []
    device.taps.append(lambda block, _: heard.append(len(block)))
    with device:
        device.give(0.5)
        device.hops(60)
        assert device.lost
        device.give(0.01)  # this block is of the time that zero hops have filled
        assert device.read_hop(0) is None
        device.give(0.5)
        device.hops(40)
    assert not device.lost
    assert min(heard) > 0


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_computer_that_slept_is_not_an_hour_of_silence(comes_back: bool) -> None:
    """Where the clock goes on in sleep (Windows): the stream goes on from now, with or without its microphone."""
    clock = FakeClock(NS)
    device = FakeDevice(clock)
    with device:
        device.give(2.0)
        before = device.hops(198)
        clock.advance(3600 * NS)
        device.away = not comes_back
        woken_ns = clock.now_ns()
        after = []
        while len(after) < 100:
            if comes_back:
                device.give(0.01)
            message = device.read_hop(NS // 10)
            if isinstance(message, AudioHop):
                after.append(message)
    assert [hop.index for hop in after] == list(range(len(before), len(before) + 100))
    assert clock.now_ns() - woken_ns > 0.7 * NS, "silence was made up for the time asleep"
    assert all(abs(hop.captured_ns - woken_ns) < 2.5 * NS for hop in after[20:])


def test_what_listens_along_is_told_when_sound_was_captured_not_when_it_came() -> None:
    """Sound servers hand sound over in bursts: told by its arrival, the delayed microphone would jitter by 40 ms."""
    clock = FakeClock(NS)
    device = FakeDevice(clock)
    told: list[tuple[int, int]] = []
    heard = 0

    def tap(block: np.ndarray, captured_ns: int) -> None:
        nonlocal heard
        heard += len(block)
        told.append((heard, captured_ns))

    device.taps.append(tap)
    begin_ns = clock.now_ns()
    with device:
        for _ in range(250):
            clock.advance(40_000_000)
            for _ in range(4):  # each block is read before the next one comes
                device._on_block(np.zeros((480, 2), np.float32), False)
                device.read_hop(0)
    late_ms = [(captured_ns - begin_ns) / 1e6 - count / 48 for count, captured_ns in told]
    settled = late_ms[len(late_ms) // 2 :]
    assert np.ptp(settled) < 1.0
    assert abs(np.median(settled)) < 5.0


def test_overflows_are_counted_and_nothing_blocks() -> None:
    device = FakeDevice(FakeClock(NS))
    with device:
        device._on_block(np.zeros((480, 2), np.float32), True)
        for _ in range(300):
            device._on_block(np.zeros((480, 2), np.float32), False)
        assert device.overflows == 1
        assert device.ring.lost == 301 * 480 - device.ring.capacity


def heard_after_a_standstill(stood_s: float, rate_hz: int, level: float) -> tuple[int, np.ndarray]:
    """Half a second, the voice stands still and the microphone doesn't, half a second of `level` in step with the time.

    The newest hop's index, and the sound (n,) that others hear.
    """
    clock = FakeClock(NS)
    device = FakeDevice(clock, rate_hz)
    heard: list[np.ndarray] = []
    device.taps.append(lambda block, _: heard.append(block))
    with device:
        device.give(0.5)
        device.hops(48)
        device.give(stood_s)
        while device.read_hop(0) is not None:
            pass
        for _ in range(50):
            device.give(0.01, level=level)
            hop = device.read_hop(0)
            assert isinstance(hop, AudioHop)
            assert abs(clock.now_ns() - hop.captured_ns) < 30_000_000
    assert (device.overflows, device.losses) == (1, 0)
    return hop.index, np.concatenate(heard)[:, 0]


@pytest.mark.parametrize("stood_s", [2.9, 3.9])
def test_sound_that_the_ring_has_no_room_for_is_silence_in_its_place(stood_s: float) -> None:
    """The voice stands still, the microphone doesn't: the stream goes on in step with the time, and says so."""
    index, sound = heard_after_a_standstill(stood_s, 48_000, level=0.5)
    assert index == pytest.approx(100 * (1.0 + stood_s), abs=3)
    assert len(sound) == round(48_000 * (1.0 + stood_s))
    assert (sound == 0).sum() == round(48_000 * (stood_s - 2))
    assert (sound[-24_000:] == 0.5).all()


@pytest.mark.parametrize("rate_hz", [48_000, 44_100])
@pytest.mark.parametrize("stood_s", [5.0, 300.0])
def test_a_long_standstill_is_no_silence_that_would_itself_keep_the_voice_from_listening(
    stood_s: float, rate_hz: int
) -> None:
    """The stream falls behind the time, by the whole standstill but for what the ring held, and is all sound."""
    index, sound = heard_after_a_standstill(stood_s, rate_hz, level=0.25)
    assert index == pytest.approx(300, abs=3)
    assert len(sound) == 3 * rate_hz
    assert (sound == 0.25).all()


def test_a_voice_that_is_too_slow_for_a_while_hears_old_sound_but_no_ever_longer_silence() -> None:
    clock = FakeClock(NS)
    device = FakeDevice(clock, 16_000, 1)
    heard: list[bool] = []
    with device:
        for turn in range(3_000):
            device.give(0.01)
            if turn % 3 and isinstance(hop := device.read_hop(0), AudioHop):  # two hops take the time of three
                heard.append(bool(hop.samples.any()))
            assert len(device._ready) <= 400  # what the ring holds, and as much silence
    assert sum(heard) > len(heard) / 2


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_block_that_comes_while_a_full_ring_is_copied_has_its_place_after_it(
    comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is lost, in the one instant at which nobody would ask for it."""
    clock = FakeClock(NS)
    device = FakeDevice(clock, channels=1)
    heard: list[np.ndarray] = []
    with device:
        device.give(0.5)
        while device.read_hop(0) is not None:
            pass
        device.taps.append(lambda block, _: heard.append(block))
        device._interrupted = comes_back
        device.give(2.0)
        ring = device.ring
        with monkeypatch.context() as while_copied:

            def read_slowly(limit: int | None = None) -> np.ndarray:
                while_copied.undo()
                device.give(0.01)
                return ring.read(limit)

            while_copied.setattr(ring, "read", read_slowly)
            device._take_blocks()
        for _ in range(100):
            device.give(0.01, level=0.5)
            while device.read_hop(0) is not None:
                pass
    made = device._index * HOP + len(device._cutter._rest)
    assert made == pytest.approx(device.sample_at(clock.now_ns()), abs=16)
    sound = np.concatenate(heard)[:, 0]
    assert (sound[-48_000:] == 0.5).all()
    assert np.unique(sound[:-48_000]).tolist() == ([] if comes_back else [0.0, 0.25])
    assert (np.diff(np.flatnonzero(sound == 0)) == 1).all()


def test_what_a_driver_makes_up_is_made_sound() -> None:
    """Numbers that are none would stay in the encoder's state for good."""
    device = FakeDevice(FakeClock(NS), 16_000, 1)
    heard: list[np.ndarray] = []
    device.taps.append(lambda block, _: heard.append(block))
    with device:
        block = np.full((480, 1), 0.5, np.float32)
        block[[10, 20, 30, 40], 0] = np.nan, np.inf, -np.inf, 7.0
        device._on_block(block, False)
        hops = [hop.samples for hop in device.hops(3)]
    for sound in (np.concatenate(hops), heard[0][:, 0]):
        assert sound[[9, 10, 20, 30, 40]].tolist() == [0.5, 0.0, 1.0, -1.0, 1.0]


@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=20), rate=st.sampled_from([16_000, 44_100, 48_000]))
def test_cutter_gives_all_sound_in_whole_hops(sizes: list[int], rate: int) -> None:
    cutter = HopCutter(rate)
    hops = [hop for size in sizes for hop in cutter.push(np.ones((size, 1), np.float32))]
    hops += list(cutter.finish())
    samples = -(-sum(sizes) * 16_000 // rate)
    assert len(hops) == cutter.hops == -(-samples // HOP)
    assert all(len(hop) == HOP for hop in hops)


def test_a_file_at_real_time_pace_is_paced_by_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.full((48_000, 1), 0.1, np.float32), 48_000)
    clock = FakeClock(7 * NS)
    heard: list[int] = []
    with FileSource(SoundFile(path), paced=True, clock=clock) as source:
        source.taps.append(lambda block, captured_ns: heard.append(len(block)))
        messages = []
        while not isinstance(message := source.read_hop(NS), Stop):
            messages.append(message)
            assert isinstance(message, AudioHop)
            assert clock.now_ns() >= message.captured_ns
    assert len(messages) == 100
    assert sum(heard) == 48_000
    assert 0 <= clock.now_ns() - 8 * NS < 20_000_000


def test_an_unpaced_source_runs_ahead_of_time() -> None:
    clock = FakeClock(0)
    source = BlockSource(iter([np.ones((1_600, 1), np.float32)]), 16_000, 1, paced=False, clock=clock)
    count = 0
    while not isinstance(source.read_hop(NS), Stop):
        count += 1
    assert (count, clock.now_ns()) == (10, 0)


@pytest.mark.parametrize(
    ("sample_format", "dtype", "scale"), [("s16le", "<i2", 16_384), ("s32le", "<i4", 2**30), ("f32le", "<f4", 0.5)]
)
def test_raw_samples_from_a_pipe(sample_format: str, dtype: str, scale: float) -> None:
    raw = np.full((16_000, 2), scale, dtype).tobytes() + b"\1"  # half a sample too much
    with PipeSource(io.BytesIO(raw), 16_000, 2, sample_format) as source:
        hops = []
        while not isinstance(message := source.read_hop(NS // 10), Stop):
            if message is not None and not message.gap:
                hops.append(message)
    assert len(hops) == 100
    assert hops[50].samples == pytest.approx(np.full(HOP, 0.5), abs=1e-4)


def test_channels_that_cancel_out_are_heard() -> None:
    voice = np.random.default_rng(0).normal(0, 0.1, 16_000).astype("<f4")
    with PipeSource(io.BytesIO(np.stack([voice, -voice], 1).tobytes()), 16_000, 2, "f32le") as source:
        hops = []
        while not isinstance(message := source.read_hop(NS // 10), Stop):
            if message is not None and not message.gap:
                hops.append(message.samples)
    assert np.std(hops[20:-2]) > 0.05


def test_any_bytes_are_some_sound_or_other() -> None:
    """Not a word from numpy either: warnings are errors here."""
    raw = np.random.default_rng(1).bytes(64_000)
    with PipeSource(io.BytesIO(raw), 48_000, 1, "f32le") as source:
        hops = []
        while not isinstance(message := source.read_hop(NS // 10), Stop):
            if message is not None and not message.gap:
                hops.append(message.samples)
    assert len(hops) == 34
    assert np.isfinite(hops).all()
    assert np.abs(hops).max() < 4  # clipped at 1 before it is resampled


class Program:
    """A pipe, or a file, whose program takes its time over each 10 ms of sound."""

    def __init__(self, clock: FakeClock, takes_ms: Iterable[float], descriptor: int) -> None:
        self.clock, self.takes_ms, self.descriptor = clock, iter(takes_ms), descriptor

    def fileno(self) -> int:
        return self.descriptor

    def read1(self, limit: int) -> bytes:
        takes_ms = next(self.takes_ms, None)
        self.clock.advance(round((takes_ms or 0) * 1e6))
        return b"" if takes_ms is None else bytes(limit)

    read = read1


def pumped_ms(takes_ms: Iterable[float], file: bool) -> np.ndarray:
    """When each 10 ms of such a pipe, at most 2 s, are heard."""
    clock = FakeClock(NS)
    descriptors = [os.open(__file__, os.O_RDONLY)] if file else os.pipe()
    source = PipeSource(Program(clock, takes_ms, descriptors[0]), 16_000, 2, "s16le", clock)  # type: ignore[arg-type]
    source._pump(source._reads())
    for descriptor in descriptors:
        os.close(descriptor)
    return np.array([(at_ns - NS) / 1e6 for _, at_ns in source.ring.stamps()])


def test_a_file_on_standard_input_is_heard_at_its_pace() -> None:
    assert pumped_ms([0.0] * 200, file=True) == pytest.approx(np.arange(200) * 10, abs=1.1)


def test_a_fast_pipe_runs_ahead_by_no_more_than_it_holds() -> None:
    heard_ms = pumped_ms([0.0] * 199, file=False)
    held_ms = PIPE_BYTES / (16 * 4)
    assert heard_ms == pytest.approx(np.maximum(0, np.arange(199) * 10 - held_ms), abs=1.1)


@pytest.mark.parametrize("before_ms", [0.0, 600.0, 900.0])
@pytest.mark.parametrize("takes_ms", [[10.0], [10.3], [11.0], [9.996], [40.0, *[0.0] * 3], [160.0, *[0.0] * 15]])
def test_a_live_pipe_is_never_held(takes_ms: list[float], before_ms: float) -> None:
    """Whatever it had written before it was listened to, in bursts, slower or a little faster than time."""
    takes_ms = [0.0] * round(before_ms / 10) + (takes_ms * 200)[:96]
    np.testing.assert_allclose(pumped_ms(takes_ms, file=False), np.cumsum(takes_ms), atol=1e-6)


def test_a_sentence_after_a_silence_is_held_as_the_first_one() -> None:
    """A program that speaks now and then: silence has filled the time in between, and is not made up for."""
    sentence = [0.0] * 49
    heard_ms = pumped_ms([5.0, *sentence, 3_000.0, *sentence], file=True)
    assert heard_ms[50:] - heard_ms[50] == pytest.approx(np.arange(50) * 10, abs=0.5)


def told_at_s(parts: Iterable[tuple[float, float]]) -> float | None:
    """When a backlog is told of, from seconds waited and seconds of sound that came then."""
    backlog, now_ns = Backlog(), NS
    for wait_s, sound_s in parts:
        now_ns += round(wait_s * NS)
        if backlog.add(now_ns, round(sound_s * NS)):
            return now_ns / NS - 1
    return None


LIVE = [(0.01, 0.01)] * 300
BURSTS = [(0.16, 0.16)] * 20


@pytest.mark.parametrize("live", [LIVE, BURSTS, [(0.064, 0.064)] * 50])
@pytest.mark.parametrize("kept_s", [0.4, 3.0, 60.0])
def test_what_a_live_producer_kept_while_it_stood_still_is_old(live: list[tuple[float, float]], kept_s: float) -> None:
    begin_s = sum(wait for wait, _ in live)
    at_s = told_at_s([*live, (kept_s, kept_s), *live])
    assert at_s is not None
    assert at_s - begin_s - kept_s < 1.3


@pytest.mark.parametrize(
    "parts",
    [
        LIVE,
        BURSTS,
        [*LIVE, (5.0, 0.01), *LIVE],  # it kept nothing
        [(3.0, 4.0), (6.0, 2.0), (0.5, 2.0)] * 5,  # sentences
        [(2.0, 0.1), *[(0.05, 0.1)] * 100] * 3,  # made twice as fast as they sound
        [(2.0, 0.1), *[(0.1, 0.13)] * 100] * 3,  # a little faster
    ],
)
def test_sentences_are_heard_to_their_end(parts: list[tuple[float, float]]) -> None:
    assert told_at_s(parts) is None


class Speaker:
    """A pipe whose 10 ms are as loud as the time at which they were said; each is read when it is let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Semaphore(0), threading.Semaphore(0)
        self.data = b""

    def read1(self, limit: int) -> bytes:
        self.asked.release()
        self.let.acquire()
        return self.data

    read = read1

    def give(self, data: bytes) -> None:
        """Until it has been read, and all that follows from it in that thread is done."""
        self.data = data
        self.let.release()
        if data:
            assert self.asked.acquire(timeout=10)


def test_a_live_pipe_that_stood_still_is_on_time_again() -> None:
    clock, speaker = FakeClock(0), Speaker()
    source = PipeSource(speaker, 48_000, 2, "f32le", clock)  # type: ignore[arg-type]
    reader = threading.Thread(target=source._read, daemon=True)
    gaps, late_s = 0, []

    def listen(until_ns: int) -> None:
        nonlocal gaps
        while (message := source.read_hop(max(0, min(HOP_NS, until_ns - clock.now_ns())))) or clock.now_ns() < until_ns:
            if isinstance(message, AudioHop):
                gaps += message.gap
                if not message.gap:
                    late_s.append(clock.now_ns() / NS - 4 * float(message.samples[HOP // 2]))

    def blocks() -> Iterator[bytes]:
        given_at = [90 * HOP_NS if 30 < k < 90 else k * HOP_NS for k in range(1, 261)]  # then what it had kept, too
        given = 0
        while given < len(given_at):
            listen(given_at[given])
            while given < len(given_at) and given_at[given] <= clock.now_ns():
                given += 1
                speaker.give(np.full((480, 2), given / 400, "<f4").tobytes())
            if source._held:
                yield source._held.popleft()

    reader.start()
    assert speaker.asked.acquire(timeout=10)
    source._give_time()
    source._pump(blocks())
    speaker.give(b"")
    reader.join()
    assert gaps > 20, "silence stands for it meanwhile"
    assert max(late_s) > 0.3
    assert float(np.median(late_s[-30:-5])) < 0.1


def test_an_unknown_sample_format_is_named() -> None:
    with pytest.raises(ConfigError, match="no sample format 'mp3'"):
        PipeSource(io.BytesIO(b""), 16_000, 1, "mp3")
