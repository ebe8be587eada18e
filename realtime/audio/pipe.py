"""Sound from standard input: raw samples that another program writes (`--source -`)."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from engines.errors import ConfigError, InputError, StreamError
from realtime.audio.sources import HOP_NS, LOST_AFTER_NS, DeviceSource
from realtime.clock import NS, Clock, Doorbell
from realtime.messages import AudioHop, Stop

PIPE_HASTE = 1.0005  # a live producer's clock may be a little fast: it must not fall behind hour by hour
PIPE_BYTES = 65_536  # what a pipe holds: a live producer may have written as much before it is first read
MOST_HELD, MOST_HELD_BYTES = 6_000, 16_000_000  # blocks of 10 ms, read ahead of their time to see how they come
LOOKED_NS = NS  # so long a live producer is told from one that speaks now and then
STEADY_NS = 50_000_000  # a program that makes speech hardly does so at the very pace at which it sounds
RAW_FORMATS: dict[str, tuple[np.dtype[Any], float]] = {
    "s16le": (np.dtype("<i2"), 32768.0),
    "s32le": (np.dtype("<i4"), 2147483648.0),
    "f32le": (np.dtype("<f4"), 1.0),
}


def is_file(pipe: BinaryIO) -> bool:
    """Whether somebody wrote `< sound.raw`."""
    try:
        return stat.S_ISREG(os.fstat(pipe.fileno()).st_mode)
    except (OSError, AttributeError):
        return False


class Backlog:
    """Whether a pipe's sound comes from now on, or is of a time for which silence has stood.

    Sound that comes in a burst may be a sentence that a program has made: all of it is to be heard. Or a live producer
    stood still, and gives what it had kept. Only then the rest goes on at the very pace of time, and would be late for
    good: `add` says so after a second.
    """

    def __init__(self) -> None:
        self._behind_ns = 0  # if all of it were heard at its pace
        self._at_ns = 0
        self._seen: deque[tuple[int, int]] = deque()  # when something came, and how far behind it was just before

    def add(self, now_ns: int, sound_ns: int) -> bool:
        """Sound came; True where what waits is old."""
        before_ns = max(0, self._behind_ns - (now_ns - self._at_ns))
        if now_ns - self._at_ns > LOST_AFTER_NS:
            self._seen.clear()
        self._behind_ns, self._at_ns = before_ns + sound_ns, now_ns
        self._seen.append((now_ns, before_ns))
        if now_ns - self._seen[0][0] < LOOKED_NS:
            return False
        while now_ns - self._seen[1][0] >= LOOKED_NS:
            self._seen.popleft()
        middle_ns = now_ns - LOOKED_NS // 2
        first_ns = min((behind for at_ns, behind in self._seen if at_ns < middle_ns), default=0)
        second_ns = min(behind for at_ns, behind in self._seen if at_ns >= middle_ns)
        if min(first_ns, second_ns) <= LOST_AFTER_NS or abs(first_ns - second_ns) > STEADY_NS:
            return False
        self._behind_ns = 0
        self._seen.clear()
        return True

    def forget(self) -> None:
        """The producer had to wait: how it comes says nothing."""
        self._seen.clear()


class PipeSource(DeviceSource):
    """Raw samples on standard input, at whatever pace they come but not faster than they sound for long.

    What a live producer has written before it was listened to passes at once, and what it had kept while it stood still
    goes within a second, so that no delay is left of either.
    """

    drops_backlog = False  # what is old has gone by then
    lost_words = ("nothing comes from standard input: the face idles until it goes on", "sound is back")

    def __init__(
        self, pipe: BinaryIO | None, rate_hz: int, channels: int, sample_format: str, clock: Clock | None = None
    ) -> None:
        if sample_format not in RAW_FORMATS:
            raise ConfigError(f"no sample format {sample_format!r}", f"use one of {', '.join(RAW_FORMATS)}")
        super().__init__(rate_hz, channels, clock, retry=False)
        self.name = "standard input"
        self._pipe = pipe or sys.stdin.buffer
        self._dtype, self._scale = RAW_FORMATS[sample_format]
        self._step = self._dtype.itemsize * channels  # bytes of one sample of all channels
        self._held: deque[bytes] = deque()
        self._came = Doorbell()
        self._read_ended = self._skipped = self._closing = False
        self._read_error: BaseException | None = None
        self._pump_ended = False  # all of it is in the ring
        self._ended = False  # and all hops of it have been made

    def _open_device(self) -> None:
        threads = ((self._read, ()), (self._pump, (self._held_blocks(),)))
        for target, arguments in threads:  # daemons: a read may never return
            threading.Thread(target=target, args=arguments, name="pipe", daemon=True).start()

    def _read(self) -> None:
        """Take what comes when it comes, within reason; what is old goes away unheard."""
        backlog, step_ns = Backlog(), NS / (self._step * self.rate_hz * PIPE_HASTE)
        most = min(MOST_HELD, MOST_HELD_BYTES * 100 // (self._step * self.rate_hz))
        for data in self._reads():
            if backlog.add(self._clock.now_ns(), round(len(data) * step_ns)):
                self._held.clear()
                self._skipped = True
            self._held.append(data)
            self._came.ring()
            while len(self._held) > most and not self._closing:
                backlog.forget()
                self._clock.sleep_until(self._clock.now_ns() + HOP_NS)
        self._read_ended = True
        self._came.ring()

    def _reads(self) -> Iterator[bytes]:
        """Whole samples, as the pipe gives them."""
        rest, step = b"", self._step
        read = getattr(self._pipe, "read1", self._pipe.read)
        try:
            while not self._closing and (data := read(max(step, self.rate_hz // 100 * step))):
                data = rest + data
                whole = len(data) // step * step
                rest = data[whole:]
                yield data[:whole]
        except (OSError, ValueError) as error:
            self._read_error = error

    def _held_blocks(self) -> Iterator[bytes]:
        while not self._closing:
            ended = self._read_ended  # asked before: nothing comes after it
            try:
                yield self._held.popleft()
            except IndexError:
                if ended:
                    return
                self._came.wait(NS // 10)

    def _pump(self, blocks: Iterable[bytes]) -> None:
        """Give sound at its pace, but let pass what a live producer may have written before it was listened to."""
        due_ns = 0
        ahead_ns = 0 if is_file(self._pipe) else PIPE_BYTES * NS // (self._step * self.rate_hz)
        for data in blocks:
            block = np.frombuffer(data, self._dtype).reshape(-1, self.channels).astype(np.float32)
            if self._scale != 1.0:
                block /= self._scale
            now_ns = self._clock.now_ns()
            if now_ns - due_ns > LOST_AFTER_NS or self._skipped:  # the first block, or silence has taken its place
                if due_ns:  # a sentence after a pause is not hurried
                    ahead_ns = min(ahead_ns, LOST_AFTER_NS)
                due_ns, self._skipped = now_ns, False
            self._clock.sleep_until(due_ns - ahead_ns)
            due_ns += len(block) * NS // round(self.rate_hz * PIPE_HASTE)
            while len(block) and not self._closing:
                taken = self.ring.write(block[: self.ring.capacity - len(self.ring)], self._clock.now_ns())
                block = block[taken:]
                if len(block):  # a pipe can wait, unlike a microphone
                    self._clock.sleep_until(self._clock.now_ns() + HOP_NS)
        self._pump_ended = True
        self.ring.doorbell.ring()

    def read_hop(self, timeout_ns: int) -> AudioHop | Stop | None:
        if self._read_error is not None:
            raise StreamError(f"standard input broke ({self._read_error})", "start the program before it again")
        if self._pump_ended and not len(self.ring) and not self._ended:
            if not self.ring.written:
                raise InputError("standard input ended without any sound", "look at the program before it")
            self._ready.extend(self._cutter.finish())
            self._ended = True
        return super().read_hop(timeout_ns)

    def _over(self) -> bool:
        return self._ended

    def _close_device(self) -> None:
        self._closing = True
