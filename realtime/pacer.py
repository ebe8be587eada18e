"""When each picture is due, in samples and in time. Integers only, so that weeks add up.

Picture n of a stream covers media time [n, n + 1) / rate and ends at sample (n + 1) / rate + lookahead. At 25 and 50
pictures a second every end is the end of a chunk, so a picture is drawn the moment its newest sound is there.
"""

from __future__ import annotations

from fractions import Fraction

from engines.errors import ConfigError
from engines.spec import SPEC

PICTURE_RATES = (10, 12, 15, 20, 24, 25, 30, 48, 50, 60)


class Pacer:
    """Picture index <-> end sample for one picture rate and lookahead."""

    def __init__(self, picture_rate: int | Fraction, lookahead_ms: int = 0) -> None:
        self.picture_rate = Fraction(picture_rate)
        self.lookahead_samples = lookahead_ms * SPEC.sample_rate_hz // 1000
        samples = SPEC.sample_rate_hz / self.picture_rate
        self._num, self._den = samples.numerator, samples.denominator

    @property
    def period_ns(self) -> int:
        return self._num * 1_000_000_000 // (self._den * SPEC.sample_rate_hz)

    def end_sample(self, index: int) -> int:
        """Picture `index` may hear sound up to here."""
        return (index + 1) * self._num // self._den + self.lookahead_samples

    def index_at(self, sample: int) -> int:
        """The newest picture whose end is at or before a sample; -1 before the first one."""
        reached = sample - self.lookahead_samples
        # end(i) <= reached  <=>  (i + 1) num // den <= reached  <=>  (i + 1) num < (reached + 1) den
        return max(-1, ((reached + 1) * self._den - 1) // self._num - 1)

    def count(self, samples: int) -> int:
        """How many pictures a sound of this length has; a rest of a picture counts as one."""
        return -(-samples * self._den // self._num)


def checked_rate(picture_rate: int) -> int:
    if picture_rate not in PICTURE_RATES:
        raise ConfigError(f"{picture_rate} pictures a second is not offered", f"use --fps with one of {_list()}")
    return picture_rate


def checked_lookahead(lookahead_ms: int) -> int:
    if lookahead_ms not in SPEC.lookaheads_ms:
        choices = ", ".join(map(str, SPEC.lookaheads_ms))
        raise ConfigError(
            f"a lookahead of {lookahead_ms} ms is not offered", f"use --lookahead-ms with one of {choices}"
        )
    return lookahead_ms


def _list() -> str:
    return ", ".join(map(str, PICTURE_RATES))
