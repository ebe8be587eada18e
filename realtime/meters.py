"""Counters and latency histograms: preallocated, cheap to add to, read by one slow thread."""

from __future__ import annotations

from dataclasses import dataclass, field

STEP_NS, FINE = 100_000, 5_000  # 0.1 ms a bucket up to 0.5 s
COARSE_NS, COARSE = 10_000_000, 6_000  # 10 ms a bucket for a minute more: a machine that cannot keep up

FINE_NS = STEP_NS * FINE


class Histogram:
    """Durations in buckets: percentiles without keeping values."""

    def __init__(self) -> None:
        self._buckets = [0] * (FINE + COARSE)
        self.count = 0
        self.sum_ns = 0
        self.max_ns = 0

    def add(self, ns: int) -> None:
        fine = max(ns, 0) // STEP_NS
        self._buckets[fine if fine < FINE else min(FINE + (ns - FINE_NS) // COARSE_NS, FINE + COARSE - 1)] += 1
        self.count += 1
        self.sum_ns += ns
        if ns > self.max_ns:
            self.max_ns = ns

    @property
    def mean_ms(self) -> float:
        return self.sum_ns / self.count / 1e6 if self.count else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Upper edge of the bucket that holds this percentile; 0 when empty."""
        if not self.count:
            return 0.0
        target, seen = self.count * percent / 100, 0
        for i, n in enumerate(self._buckets):
            seen += n
            if n and seen >= target:
                edge_ns = (i + 1) * STEP_NS if i < FINE else FINE_NS + (i + 1 - FINE) * COARSE_NS
                return (min(edge_ns, max(self.max_ns, 1)) if i + 1 < FINE + COARSE else self.max_ns) / 1e6
        return self.max_ns / 1e6

    def summary(self) -> dict[str, float]:
        return {
            "p50_ms": round(self.percentile_ms(50), 2),
            "p95_ms": round(self.percentile_ms(95), 2),
            "p99_ms": round(self.percentile_ms(99), 2),
            "max_ms": round(self.max_ns / 1e6, 2),
            "mean_ms": round(self.mean_ms, 3),
            "count": self.count,
        }


STAGES = ("hop", "encode", "ring_wait", "generate", "compose", "hand_over")


@dataclass
class Meters:
    """One stream's numbers. Each field has one writer."""

    hops: int = 0
    gap_hops: int = 0
    codes: int = 0
    pictures: int = 0
    late_pictures: int = 0  # skipped because their time was past
    starved_pictures: int = 0  # drawn with a held code because sound was late
    level: float = 0.0  # RMS of the last chunk, 0..1
    presence: float = 0.0
    snr_db: float = 0.0
    drift_ppm: float = 0.0
    newest_sample_age: Histogram = field(default_factory=Histogram)
    stages: dict[str, Histogram] = field(default_factory=lambda: {name: Histogram() for name in STAGES})

    def snapshot(self) -> dict[str, object]:
        """Everything as plain values, for a log line."""
        return {
            "hops": self.hops,
            "gap_hops": self.gap_hops,
            "codes": self.codes,
            "pictures": self.pictures,
            "late_pictures": self.late_pictures,
            "starved_pictures": self.starved_pictures,
            "level": round(self.level, 4),
            "presence": round(self.presence, 3),
            "snr_db": round(self.snr_db, 1),
            "drift_ppm": round(self.drift_ppm, 1),
            "newest_sample_age": self.newest_sample_age.summary(),
            "stages": {name: histogram.summary() for name, histogram in self.stages.items() if histogram.count},
        }
