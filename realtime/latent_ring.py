"""The ring between sound and pictures: motion codes, 50 a second, addressed by sample count.

Everything with memory lies before it. Reading changes nothing, so pictures may be dropped, repeated or asked for at
any rate.
"""

from __future__ import annotations

import numpy as np

from engines.spec import MOTION_CHANNELS, SPEC
from realtime.clock import NS, Clock, Doorbell, SystemClock
from realtime.messages import AudioCode, Stop


class LatentRing:
    """The newest `capacity` codes, one writer, one reader, allocated once.

    The reader may look at the newest `capacity - 8` codes: the rest is the margin in which the writer works.
    """

    def __init__(self, channels: int = len(MOTION_CHANNELS), capacity: int = 256) -> None:
        if capacity < 16:
            raise ValueError("capacity must be 16 or more")
        self.capacity = capacity
        self.codes = 0  # how many were written, ever
        self.stop: Stop | None = None
        self.newest: AudioCode | None = None
        self.doorbell = Doorbell()  # rings at each code
        self.space = Doorbell()  # rings when the reader moves on
        self.read_to = 0  # the reader needs no code before this one
        self._motion = np.zeros((capacity, channels), np.float32)
        self._captured_ns = np.zeros(capacity, np.int64)
        self._arrived_ns = np.zeros(capacity, np.int64)

    @property
    def end_sample(self) -> int:
        """Sound up to here has been heard."""
        return self.codes * SPEC.chunk_samples

    def write(self, code: AudioCode, arrived_ns: int = 0) -> None:
        if code.index != self.codes:
            raise ValueError(f"code {code.index} came where {self.codes} was due")
        at = code.index % self.capacity
        self._motion[at] = code.motion
        self._captured_ns[at] = code.captured_ns
        self._arrived_ns[at] = arrived_ns
        self.newest = code
        self.codes += 1
        self.doorbell.ring()

    def close(self, stop: Stop) -> None:
        """No code follows. The reader sees it after the codes before."""
        if self.stop is None:
            self.stop = stop
        self.doorbell.ring()
        self.space.ring()

    def at(self, end_samples: int, out: np.ndarray | None = None) -> np.ndarray:
        """The motion of a picture that ends at sample `end_samples`; (channels,) float32.

        It is the motion 20 ms earlier (and earlier by the lookahead, which the rows of the codes already carry),
        between the codes that were complete at that sample; the newest one when none is later. Where codes are
        missing, because the sound is late, the newest is held.
        """
        if out is None:
            out = np.empty(self._motion.shape[1], np.float32)
        chunk = SPEC.chunk_samples
        codes = self.codes
        newest = min(end_samples // chunk, codes) - 1
        if newest < 0:
            out[:] = 0  # nothing is complete yet: the face rests
            return out
        # Step s speaks of the middle of its chunk; in steps the wanted time is end / 320 - 1.5.
        twice = 2 * end_samples - 3 * chunk
        before = max(twice // (2 * chunk), 0, codes - self.capacity + 8)
        before = min(before, newest)
        after = min(before + 1, newest)
        share = min(max(twice - before * 2 * chunk, 0), 2 * chunk) / (2 * chunk)
        first, second = self._motion[before % self.capacity], self._motion[after % self.capacity]
        np.subtract(second, first, out=out)
        out *= np.float32(share)
        out += first
        return out

    def captured_ns(self, end_samples: int) -> int:
        """When the newest sample heard by a picture that ends there was captured; 0 when it has heard none."""
        newest = min(end_samples // SPEC.chunk_samples, self.codes) - 1
        return int(self._captured_ns[newest % self.capacity]) if newest >= 0 else 0

    def arrived_ns(self, end_samples: int) -> int:
        """When the last code of a picture that ends there was written; 0 when that is not known (any more)."""
        last = end_samples // SPEC.chunk_samples - 1
        known = 0 <= last < self.codes and last >= self.codes - self.capacity + 8
        return int(self._arrived_ns[last % self.capacity]) if known else 0

    def wait_for(self, end_samples: int, until_ns: int | None = None, clock: Clock | None = None) -> bool:
        """Wait until all codes that end at or before a sample are there. False when time is up or the stream ended."""
        clock = clock or SystemClock()
        needed = end_samples // SPEC.chunk_samples
        while self.codes < needed:
            if self.stop is not None:
                return self.codes >= needed
            left_ns = NS // 4 if until_ns is None else until_ns - clock.now_ns()
            if left_ns <= 0:
                return False
            clock.wait(self.doorbell, min(left_ns, NS // 4))
        return True

    def wait_for_space(self, ahead: int) -> None:
        """Let the writer wait until it is at most `ahead` codes before the reader (offline: nothing is overrun)."""
        while self.codes - self.read_to >= ahead and self.stop is None:
            self.space.wait(NS // 4)

    def release(self, end_samples: int) -> None:
        """The reader needs no picture before one that ends at this sample any more."""
        self.read_to = max(self.read_to, end_samples // SPEC.chunk_samples - 3)
        self.space.ring()
