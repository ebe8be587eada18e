"""What to do when the machine is too slow: draw fewer pictures, and more again when there is room. Said once."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_S = 2.0
TOO_LATE = 0.15  # share of late pictures in a window that steps down
ROOM = 0.45  # share of the time between pictures spent on drawing below which there is room for twice as many
CALM_WINDOWS = 5
SLOWEST_DIVISOR = 4


@dataclass
class Governor:
    """Call `look` about once a second with running totals; it gives the picture divisor to use and a line to say."""

    divisor: int = 1
    _since_s: float | None = None
    _drawn: int = 0
    _late: int = 0
    _busy_ns: int = 0
    _calm: int = 0
    _told: bool = False

    def look(self, now_s: float, drawn: int, late: int, busy_ns: int) -> str:
        """drawn, late: pictures so far; busy_ns: time spent drawing so far. Returns a line to say, or ""."""
        if self._since_s is None:
            self._since_s, self._drawn, self._late, self._busy_ns = now_s, drawn, late, busy_ns
            return ""
        if now_s - self._since_s < WINDOW_S:
            return ""
        new, missed = drawn - self._drawn, late - self._late
        load = (busy_ns - self._busy_ns) / 1e9 / (now_s - self._since_s)
        self._since_s, self._drawn, self._late, self._busy_ns = now_s, drawn, late, busy_ns
        if missed > TOO_LATE * max(new + missed, 1) and self.divisor < SLOWEST_DIVISOR:
            self.divisor *= 2
            self._calm = 0
            if not self._told:
                self._told = True
                return "this machine is too busy for all pictures: fewer are drawn until there is room (sound is whole)"
            return ""
        self._calm = self._calm + 1 if missed <= 0.02 * max(new, 1) and load < ROOM else 0
        if self.divisor > 1 and self._calm >= CALM_WINDOWS:
            self.divisor //= 2
            self._calm = 0
        return ""
