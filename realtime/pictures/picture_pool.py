"""Picture buffers that are used again and again: nothing is allocated per picture in the steady state."""

from __future__ import annotations

import threading

import numpy as np


class PicturePool:
    """`count` buffers of one size. A buffer goes round: taken, drawn, held once by each sink, free again."""

    def __init__(self, height: int, width: int, count: int) -> None:
        self.height, self.width = height, width
        self.buffers = [np.zeros((height, width, 3), np.uint8) for _ in range(count)]
        self._holders = [0] * count
        self._free = list(range(count))
        self._lock = threading.Lock()
        self._index = {id(buffer): i for i, buffer in enumerate(self.buffers)}
        self._returned = threading.Condition(self._lock)

    def take(self, timeout_s: float = 0.0) -> np.ndarray | None:
        """A free buffer with one holder, or None when every one is still held."""
        with self._returned:
            if not self._free and timeout_s > 0:
                self._returned.wait_for(lambda: bool(self._free), timeout_s)
            if not self._free:
                return None
            i = self._free.pop()
            self._holders[i] = 1
            return self.buffers[i]

    def hold(self, buffer: np.ndarray) -> None:
        with self._lock:
            self._holders[self._index[id(buffer)]] += 1

    def release(self, buffer: np.ndarray) -> None:
        with self._returned:
            i = self._index[id(buffer)]
            if self._holders[i] < 1:
                raise ValueError("released a buffer that nobody holds")
            self._holders[i] -= 1
            if self._holders[i] == 0:
                self._free.append(i)
                self._returned.notify()
