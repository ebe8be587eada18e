"""Resampling a stream with a bounded, small delay.

A windowed-sinc polyphase filter (Smith, "Digital Audio Resampling", 1984-2002). The streaming mode of soxr was tried
first: it holds back 20 to 80 ms, because it works in blocks; this one holds back `half_width` zero crossings: 1 ms.
"""

from __future__ import annotations

from math import gcd

import numpy as np

ZERO_CROSSINGS = 16
KAISER_BETA = 9.0  # stop band about -90 dB
PASS_BAND = 0.91  # of the smaller Nyquist frequency


def _kernel(offsets: np.ndarray, cutoff: float, half_width: int) -> np.ndarray:
    """Windowed sinc at offsets in input samples; cutoff in cycles per two input samples (1 = Nyquist)."""
    inside = np.clip(1 - (offsets / half_width) ** 2, 0, None)
    return cutoff * np.sinc(cutoff * offsets) * np.i0(KAISER_BETA * np.sqrt(inside)) / np.i0(KAISER_BETA)


class Resampler:
    """Mono, fixed ratio, phase-continuous, exact for ever: output i lies at input i * in_rate / out_rate."""

    def __init__(self, in_rate_hz: int, out_rate_hz: int) -> None:
        if in_rate_hz < 1 or out_rate_hz < 1:
            raise ValueError("rates must be positive")
        shared = gcd(in_rate_hz, out_rate_hz)
        self._num, self._den = in_rate_hz // shared, out_rate_hz // shared
        self.passes_through = self._num == self._den
        scale = min(1.0, out_rate_hz / in_rate_hz)
        self.half_width = int(np.ceil(ZERO_CROSSINGS / scale))
        taps = np.arange(-self.half_width, self.half_width + 1)
        phases = np.arange(self._den) / self._den
        table = _kernel(taps[None, :] - phases[:, None], scale * PASS_BAND, self.half_width + 1)
        self._table = (table / table.sum(1, keepdims=True)).astype(np.float32)
        self._taps = taps
        self._kept = np.zeros(self.half_width, np.float32)  # silence before the start
        self._kept_from = -self.half_width  # input index of _kept[0]
        self.samples_in = 0
        self.samples_out = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take (n,) float32, give all outputs whose filter is now filled."""
        self.samples_in += len(samples)
        if self.passes_through:
            self.samples_out += len(samples)
            return samples
        data = np.concatenate([self._kept, samples])
        # Output i needs input up to floor(i num / den) + half_width.
        ready = max(0, ((self.samples_in - self.half_width) * self._den - 1) // self._num + 1)
        first, last = self.samples_out, max(ready, self.samples_out)
        positions = np.arange(first, last, dtype=np.int64) * self._num
        centres = positions // self._den
        phase = positions - centres * self._den
        windows = (
            np.lib.stride_tricks.sliding_window_view(data, len(self._taps)) if len(data) >= len(self._taps) else None
        )
        if windows is None or last == first:
            out = np.zeros(0, np.float32)
        else:
            rows = windows[centres - self.half_width - self._kept_from]
            out = np.einsum("ij,ij->i", rows, self._table[phase])
        self.samples_out = last
        keep_from = min(last * self._num // self._den - self.half_width, self.samples_in)
        if keep_from > self._kept_from:
            data = data[keep_from - self._kept_from :]
            self._kept_from = keep_from
        self._kept = data
        return out

    def finish(self) -> np.ndarray:
        """The outputs still inside, as if silence followed; their number is that of the whole input's length."""
        if self.passes_through:
            return np.zeros(0, np.float32)
        missing = -(-self.samples_in * self._den // self._num) - self.samples_out
        return self.push(np.zeros(self.half_width + 1, np.float32))[:missing]


class VariableResampler:
    """Mono, with a ratio that may change at any time: follows a clock that drifts, without a click.

    Reads from `history` (mono float32) by fractional position; the kernel is a table of 256 phases, interpolated.
    """

    PHASES = 256

    def __init__(self, in_rate_hz: int, out_rate_hz: int) -> None:
        scale = min(1.0, out_rate_hz / in_rate_hz)
        self.half_width = int(np.ceil(ZERO_CROSSINGS / scale))
        self.taps = np.arange(-self.half_width, self.half_width + 1)
        phases = np.arange(self.PHASES + 1) / self.PHASES
        table = _kernel(self.taps[None, :] - phases[:, None], scale * PASS_BAND, self.half_width + 1)
        self._table = (table / table.sum(1, keepdims=True)).astype(np.float32)

    def at(self, data: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Values of data (n,) at fractional positions (m,), which must lie `half_width` + 1 inside."""
        centres = np.floor(positions).astype(np.int64)
        exact = (positions - centres) * self.PHASES
        phase = exact.astype(np.int64)
        share = (exact - phase).astype(np.float32)[:, None]
        weights = self._table[phase] * (1 - share) + self._table[phase + 1] * share
        windows = np.lib.stride_tricks.sliding_window_view(data, len(self.taps))
        values: np.ndarray = np.einsum("ij,ij->i", windows[centres - self.half_width], weights)
        return values
