"""A ring of sound between an audio callback and the thread that reads it: one writer, one reader, no locks."""

from __future__ import annotations

import numpy as np

from realtime.clock import Doorbell

STAMPS = 256


class SampleRing:
    """`capacity` samples of `channels` float32, allocated once.

    Counts are Python integers that never wrap. The writer only moves `written`, the reader only `read_count`; each is
    one reference assignment, which the interpreter makes atomic.
    """

    def __init__(self, capacity: int, channels: int = 1) -> None:
        if capacity < 1 or channels < 1:
            raise ValueError(f"a ring needs room, not {capacity} x {channels}")
        self.capacity = capacity
        self.channels = channels
        self.written = 0
        self.read_count = 0
        self.lost = 0  # samples refused because the reader was too slow
        self.doorbell = Doorbell()
        self._data = np.zeros((capacity, channels), np.float32)
        self._stamps = np.zeros((STAMPS, 2), np.int64)
        self.stamped = 0
        self._stamps_read = 0
        self._lost_told = 0

    def __len__(self) -> int:
        return self.written - self.read_count

    @property
    def came(self) -> int:
        """Samples that were given, taken or lost."""
        return self.written + self.lost

    def newly_lost(self) -> int:
        """Samples lost since the last call; asked after a read of all, their place is after what that has given."""
        lost = self.lost  # once: the writer moves it
        new, self._lost_told = lost - self._lost_told, lost
        return new

    def write(self, block: np.ndarray, now_ns: int = 0) -> int:
        """Copy (samples, channels) in; what does not fit is counted as lost. Returns how many were taken."""
        room = self.capacity - (self.written - self.read_count)
        count = min(len(block), room)
        at = self.written % self.capacity
        first = min(count, self.capacity - at)
        self._data[at : at + first] = block[:first]
        self._data[: count - first] = block[first:count]
        self.lost += len(block) - count
        self.written += count
        if now_ns:
            self._stamps[self.stamped % STAMPS] = (self.came, now_ns)
            self.stamped += 1
        self.doorbell.ring()
        return count

    def read(self, limit: int | None = None) -> np.ndarray:
        """Take what is there, at most `limit`: a new (samples, channels) array."""
        count = len(self) if limit is None else min(limit, len(self))
        at = self.read_count % self.capacity
        first = min(count, self.capacity - at)
        out = np.empty((count, self.channels), np.float32)
        out[:first] = self._data[at : at + first]
        out[first:] = self._data[: count - first]
        self.read_count += count
        return out

    def stamps(self) -> list[tuple[int, int]]:
        """(`came`, time) of each block since the last call; at most the newest 255."""
        end = self.stamped
        begin = max(self._stamps_read, end - STAMPS + 1)
        self._stamps_read = end
        return [tuple(self._stamps[i % STAMPS].tolist()) for i in range(begin, end)]
