"""Where sound comes from. Every source gives hops of 10 ms at 16 kHz and, to whoever taps it, its native sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from engines.errors import DeviceError
from engines.spec import SPEC
from realtime.audio.resampler import Resampler
from realtime.audio.sample_ring import SampleRing
from realtime.audio.sound import PhaseKeeper, SoundFile, to_mono
from realtime.clock import JUMP_NS, NS, CaptureClock, Clock, SystemClock
from realtime.messages import AudioHop, Stop

HOP = SPEC.hop_samples
HOP_NS = HOP * NS // SPEC.sample_rate_hz
LOST_AFTER_NS = 200_000_000
LOST_AFTER_LOOKS = 12  # a busy machine may not run us for long: that is not the microphone's fault
RETRY_NS = 500_000_000
FIRST_BLOCK_NS = 1_500_000_000

Tap = Callable[[np.ndarray, int], None]
"""Called with (samples, channels) float32 at the native rate and the time its last sample was captured."""


class HopCutter:
    """Native sound in, hops out: mixed to mono, resampled, cut."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.hops = 0
        self._resampler = Resampler(rate_hz, SPEC.sample_rate_hz)
        self._rest = np.zeros(0, np.float32)

    def push(self, block: np.ndarray) -> Iterator[np.ndarray]:
        """(samples, channels) float32 in; each full hop (160,) out."""
        self._rest = np.concatenate([self._rest, self._resampler.push(to_mono(block))])
        yield from self._cut()

    def finish(self) -> Iterator[np.ndarray]:
        """The end of the sound: the last hop is filled with zeros."""
        rest = np.concatenate([self._rest, self._resampler.finish()])
        self._rest = np.concatenate([rest, np.zeros(-len(rest) % HOP, np.float32)])
        yield from self._cut()

    def _cut(self) -> Iterator[np.ndarray]:
        at = 0
        while len(self._rest) - at >= HOP:
            self.hops += 1
            yield self._rest[at : at + HOP]
            at += HOP
        self._rest = self._rest[at:]


class Source(AbstractContextManager["Source"]):
    """One interface for microphones, files and pipes.

    `read_hop` gives the next hop, None when none came within the timeout, Stop at the end. `captured_ns` says when a
    16 kHz sample of this stream was, or will be, captured.
    """

    name = "source"
    rate_hz = SPEC.sample_rate_hz
    channels = 1
    paced = True  # comes at the pace of time
    device_latency_ms = 0.0  # what the device reports of itself; not part of our counts
    lost_words = ("the microphone is lost: the face idles until it is back", "sound is back")

    def __init__(self) -> None:
        self.taps: list[Tap] = []

    def read_hop(self, timeout_ns: int) -> AudioHop | Stop | None:
        raise NotImplementedError

    def captured_ns(self, sample: int) -> int:
        raise NotImplementedError

    def sample_at(self, now_ns: int) -> int:
        """The inverse of `captured_ns`."""
        raise NotImplementedError

    @property
    def drift_ppm(self) -> float:
        return 0.0

    @property
    def lost(self) -> bool:
        return False

    @property
    def overflows(self) -> int:
        """How often sound went by unheard: in the device, or because the voice stood still."""
        return 0

    def warnings(self) -> list[str]:
        return []

    def look_after(self) -> None:
        """Called about once a second beside a cable, in a thread that nobody waits for."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back; may be called twice."""

    def _tap(self, block: np.ndarray, captured_ns: int) -> None:
        if not len(block):  # a device that has just come back: no encoder takes an empty block
            return
        for tap in self.taps:
            tap(block, captured_ns)


class BlockSource(Source):
    """A source that pulls its blocks from an iterator, such as a file's, at the pace of time or as fast as it goes."""

    def __init__(
        self,
        blocks: Iterator[np.ndarray],
        rate_hz: int,
        channels: int,
        *,
        paced: bool,
        clock: Clock | None = None,
        name: str = "sound",
    ) -> None:
        super().__init__()
        self.name, self.rate_hz, self.channels, self.paced = name, rate_hz, channels, paced
        self._blocks = blocks
        self._clock = clock or SystemClock()
        self._cutter = HopCutter(rate_hz)
        self._hops = self._cut_all()
        self._index = 0
        self._start_ns: int | None = None
        self._native = 0

    def _cut_all(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            self._native += len(block)
            if self.taps:
                if self.paced and self._start_ns is not None:
                    # A tap may play this sound: it must not get it before its time.
                    self._clock.sleep_until(self._captured_ns())
                self._tap(block, self._captured_ns())
            yield from self._cutter.push(block)
        yield from self._cutter.finish()

    def _captured_ns(self) -> int:
        """When the newest native sample was captured."""
        return (self._start_ns or 0) + self._native * NS // self.rate_hz

    def read_hop(self, timeout_ns: int) -> AudioHop | Stop | None:
        if self._start_ns is None:
            self._start_ns = self._clock.now_ns()
        samples = next(self._hops, None)
        if samples is None:
            return Stop(self._clock.now_ns())
        index, self._index = self._index, self._index + 1
        due_ns = self.captured_ns((index + 1) * HOP)
        if self.paced:
            self._clock.sleep_until(due_ns)
        return AudioHop(index, samples, due_ns)

    def captured_ns(self, sample: int) -> int:
        return (self._start_ns or 0) + sample * NS // SPEC.sample_rate_hz

    def sample_at(self, now_ns: int) -> int:
        return (now_ns - (self._start_ns or 0)) * SPEC.sample_rate_hz // NS


class FileSource(BlockSource):
    """A sound file, at real-time pace or as fast as it can be read."""

    def __init__(self, sound: SoundFile, *, paced: bool, clock: Clock | None = None) -> None:
        self.sound = sound
        # Hops of 10 ms at real-time pace, so that a tap hears them as a microphone would give them.
        block = max(1, sound.rate_hz // 100) if paced else None
        super().__init__(
            sound.blocks(block), sound.rate_hz, sound.channels, paced=paced, clock=clock, name=sound.path.name
        )

    def warnings(self) -> list[str]:
        return self.sound.warnings()

    def close(self) -> None:
        self.sound.close()


class Intake(NamedTuple):
    """What a device of one kind writes into; replaced as a whole, between two openings."""

    ring: SampleRing
    rate_hz: int


class TapFitter:
    """A device's sound in the rate and the channels that taps were promised when the stream began."""

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        self.samples = 0  # given, at the rate of the taps
        self._resamplers = [Resampler(from_hz, to_hz) for _ in range(channels)]

    def push(self, block: np.ndarray) -> np.ndarray:
        """(samples, any channels) in, (samples, channels) out."""
        channels = len(self._resamplers)
        if block.shape[1] != channels:
            block = np.repeat(to_mono(block)[:, None], channels, axis=1)
        if not self._resamplers[0].passes_through:
            block = np.stack([each.push(block[:, i]) for i, each in enumerate(self._resamplers)], axis=1)
        self.samples += len(block)
        return block


class DeviceSource(Source):
    """What microphones share: a ring that a callback fills, the watchdog, and the way back after a loss.

    A subclass opens a device whose callback calls `_on_block` and nothing else. When no block came for 200 ms the
    stream goes on with zero hops marked `gap` at the clock's pace, and the device is opened again until that works.

    `rate_hz` and `channels` are what taps get for the whole stream. The device may come back as another kind (a headset
    that has changed its profile): `_use_kind` takes what it is now.
    """

    drops_backlog = True  # what waited in a device that stalled is of a time that zero hops have filled

    def __init__(self, rate_hz: int, channels: int, clock: Clock | None = None, retry: bool = True) -> None:
        super().__init__()
        self.rate_hz, self.channels = rate_hz, channels
        self._intake = Intake(SampleRing(2 * rate_hz, channels), rate_hz)
        self._device_overflows = 0  # counted by the device's thread, the other one by the voice's
        self._standstills = 0
        self.losses = 0
        self._retry = retry
        self._clock = clock or SystemClock()
        self._map = CaptureClock(SPEC.sample_rate_hz)
        self._phase = PhaseKeeper(rate_hz)
        self._cutter = HopCutter(rate_hz)
        self._fitter = TapFitter(rate_hz, rate_hz, channels)
        self._fitted_from = 0  # 16 kHz sample of this stream where the fitter's sound begins
        self._tapped = 0  # samples that taps have got
        self._ready: list[np.ndarray] = []
        self._index = 0
        self._shift = 0  # 16 kHz samples of this stream before the cutter's first one
        self._lost = False
        self._interrupted = False  # the device was closed in between, so sound is missing however soon it is back
        self._last_block_ns = 0
        self._looks = 0  # in vain, since the last block
        self._next_try_ns = 0

    @property
    def ring(self) -> SampleRing:
        return self._intake.ring

    @property
    def device_rate_hz(self) -> int:
        return self._intake.rate_hz

    # -- the device's thread

    def _on_block(self, block: np.ndarray, overflowed: bool) -> None:
        """Copy and count. Runs in the device's thread: no waiting, no raising."""
        self._device_overflows += overflowed
        self.ring.write(block, self._clock.now_ns())

    # -- for subclasses

    def _open_device(self) -> None:
        """Open and start; DeviceError when that cannot be."""
        raise NotImplementedError

    def _close_device(self) -> None:
        raise NotImplementedError

    def _over(self) -> bool:
        """Whether nothing more will come: a microphone never ends."""
        return False

    def _use_kind(self, rate_hz: int, channels: int) -> None:
        """The rate and channels at which the device is to be opened next; only while it is closed and lost."""
        if (rate_hz, channels) != (self.device_rate_hz, self.ring.channels):
            self._intake = Intake(SampleRing(2 * rate_hz, channels), rate_hz)

    # -- the voice thread

    def __enter__(self) -> Source:
        self._open_device()
        self._give_time()
        return self

    def _give_time(self) -> None:
        """A device that was opened may take its time to start."""
        self._last_block_ns = self._next_try_ns = self._clock.now_ns() + FIRST_BLOCK_NS

    def close(self) -> None:
        self._close_device()

    @property
    def lost(self) -> bool:
        return self._lost

    @property
    def overflows(self) -> int:
        return self._device_overflows + self._standstills

    @property
    def drift_ppm(self) -> float:
        return self._map.drift_ppm

    def captured_ns(self, sample: int) -> int:
        if not self._map.started:
            return self._clock.now_ns() + HOP_NS
        return self._map.captured_ns(sample)

    def sample_at(self, now_ns: int) -> int:
        return self._map.count_at(now_ns) if self._map.started else self._index * HOP

    def read_hop(self, timeout_ns: int) -> AudioHop | Stop | None:
        until_ns = self._clock.now_ns() + timeout_ns
        while not self._ready:
            if self._over():
                return Stop(self._clock.now_ns())
            if len(self.ring):
                self._take_blocks()
                continue
            now_ns = self._clock.now_ns()
            overdue = now_ns - self._last_block_ns > LOST_AFTER_NS and self._looks >= LOST_AFTER_LOOKS
            if self._lost or self._interrupted or overdue:
                hop = self._while_lost(now_ns, until_ns)
                if hop is not None:
                    return hop
            if self._clock.now_ns() >= until_ns:
                return None
            self._looks += 1
            self._clock.wait(self.ring.doorbell, min(HOP_NS, until_ns - self._clock.now_ns()))
        samples = self._ready.pop(0)
        index, self._index = self._index, self._index + 1
        return AudioHop(index, samples, self.captured_ns((index + 1) * HOP))

    def _take_blocks(self) -> None:
        self._looks = 0
        ring, rate_hz = self._intake
        if self._interrupted:
            self._mark_lost(self._clock.now_ns())
        if self._lost:
            if self.drops_backlog:
                ring.read()
                ring.newly_lost()
            self._come_back(ring, rate_hz)
        block = self._phase.push(_wholesome(ring.read()))
        lost = ring.newly_lost()
        stamps = ring.stamps()  # not before the others: they place what those have told
        if lost:
            self._standstills += 1
        if lost > ring.capacity:  # its silence would keep us from listening: the stream falls behind the time
            self._shift -= _at_16k(lost, rate_hz)
            self._map.restart()
            stamps = stamps[-1:]
        elif lost:  # we stood still for longer than the ring holds: silence keeps the place of what it had no room for
            block = np.concatenate([block, np.zeros((lost, block.shape[1]), np.float32)])
        for came, at_ns in stamps:
            self._last_block_ns = at_ns
            self._map.observe(self._shift + _at_16k(came, rate_hz), at_ns)
        fitted = self._fitter.push(block)
        # Not when the block arrived: blocks come in bursts, and pictures go by the same line.
        self._tap(fitted, self._map.captured_ns(self._fitted_from + _at_16k(self._fitter.samples, self.rate_hz)))
        self._tapped += len(fitted)
        self._ready.extend(self._cutter.push(block))

    def _mark_lost(self, now_ns: int) -> None:
        if not self._lost:
            self._lost = True
            self.losses += 1
            if not self._interrupted:
                self._next_try_ns = now_ns
            if not self._map.started:
                self._map.observe(self._index * HOP, now_ns)
        self._interrupted = False

    def _while_lost(self, now_ns: int, until_ns: int) -> AudioHop | None:
        self._mark_lost(now_ns)
        if self._retry and now_ns >= self._next_try_ns:
            self._next_try_ns = now_ns + RETRY_NS
            self._try_again()
        due_ns = self._map.captured_ns((self._index + 1) * HOP)
        if now_ns - due_ns > JUMP_NS:  # the computer slept: silence begins now, not an hour ago
            self._map.restart()
            self._map.observe(self._index * HOP, now_ns)
            due_ns = self._map.captured_ns((self._index + 1) * HOP)
        if due_ns > until_ns:
            return None
        self._clock.sleep_until(due_ns)
        index, self._index = self._index, self._index + 1
        missing = self._index * HOP * self.rate_hz // SPEC.sample_rate_hz - self._tapped
        if missing > 0:  # a recording that went without would be out of step from here on
            self._tap(np.zeros((missing, self.channels), np.float32), due_ns)
            self._tapped += missing
        return AudioHop(index, np.zeros(HOP, np.float32), due_ns, gap=True)

    def _try_again(self) -> None:
        try:
            self._close_device()
            self._open_device()
        except DeviceError:
            return  # still away; the next try comes

    def _come_back(self, ring: SampleRing, rate_hz: int) -> None:
        """Blocks flow again: this stream's counter goes on where the zero hops left it."""
        self._lost = False
        ring.stamps()
        self._phase = PhaseKeeper(rate_hz)
        self._cutter = HopCutter(rate_hz)
        self._fitter = TapFitter(rate_hz, self.rate_hz, self.channels)
        self._fitted_from = self._index * HOP
        self._shift = self._index * HOP - _at_16k(ring.read_count + ring.lost, rate_hz)
        self._map.restart()
        self._map.observe(self._shift + _at_16k(ring.came, rate_hz), self._clock.now_ns())
        self._last_block_ns = self._clock.now_ns()


def _at_16k(count: int, rate_hz: int) -> int:
    return count * SPEC.sample_rate_hz // rate_hz


def _wholesome(block: np.ndarray) -> np.ndarray:
    """A driver's samples, in place: what is no number is silence, what is too loud is clipped."""
    if len(block) and not float(np.abs(block).max()) <= 1.0:
        np.nan_to_num(block, copy=False, nan=0.0)
        np.clip(block, -1.0, 1.0, out=block)
    return block
