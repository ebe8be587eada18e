"""What to do when the machine is too slow: a lighter engine, then fewer pictures, and back again when there is room.

Said once on the way down and once when all is as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_S = 2.0
TOO_LATE = 0.15  # share of late pictures in a window that steps down
ROOM = 0.45  # share of the time between pictures spent on drawing below which there is room for twice as many,
ROOM_FOR_FULL = 0.75  # and for the full engine
CALM_WINDOWS, MOST_CALM_WINDOWS = 5, 80  # before a step up; twice as long after each one that did not hold
SLOWEST_DIVISOR = 4
PATIENCE_WINDOWS = 3  # bad ones, while a lighter engine is being made ready

UNKNOWN, WANTED, READY, NONE = "unknown", "wanted", "ready", "none"


@dataclass
class Governor:
    """Call `look` about once a second with running totals; act on `engine`, `lighter` and `divisor`; say what it gives.

    `engine` becomes WANTED when a lighter one should be made ready (beside the stream); answer with `prepared`.
    """

    engine: str = NONE  # UNKNOWN where a lighter one may be had
    lighter: bool = False  # the lighter engine should work
    divisor: int = 1  # every picture, every second one, ...
    _since_s: float | None = None
    _drawn: int = 0
    _late: int = 0
    _busy_ns: int = 0
    _calm: int = 0
    _calm_needed: int = CALM_WINDOWS
    _since_up: int = MOST_CALM_WINDOWS  # windows since the last step up
    _waited: int = 0
    _told: bool = False
    _told_up: bool = False

    def prepared(self, there_is_one: bool) -> None:
        """The search for a lighter engine has ended. It works from now on: it was wanted because of overload."""
        self.engine = READY if there_is_one else NONE
        self.lighter = there_is_one
        self._since_s = None  # judged by a window of its own

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
        self._since_up += 1
        if missed > TOO_LATE * max(new + missed, 1):
            return self._step_down()
        if self.engine == WANTED:
            return ""
        room = load < (ROOM if self.divisor > 1 else ROOM_FOR_FULL)
        self._calm = self._calm + 1 if missed <= 0.02 * max(new, 1) and room else 0
        return self._step_up() if self._calm >= self._calm_needed else ""

    def _step_down(self) -> str:
        self._calm = 0
        if self._since_up <= CALM_WINDOWS:
            self._calm_needed = min(2 * self._calm_needed, MOST_CALM_WINDOWS)
            self._since_up = MOST_CALM_WINDOWS
        if self.engine == UNKNOWN:
            self.engine = WANTED
            return ""
        if self.engine == WANTED and self._waited < PATIENCE_WINDOWS:
            self._waited += 1
            return ""
        if self.engine == READY and not self.lighter:
            self.lighter = True
            return ""
        if self.divisor == SLOWEST_DIVISOR:
            return ""
        self.divisor *= 2
        if self._told:
            return ""
        self._told = True
        return "this machine is too busy for all pictures: fewer are drawn until there is room (sound is whole)"

    def _step_up(self) -> str:
        if self.divisor == 1 and not self.lighter:
            return ""
        self._calm, self._since_up = 0, 0
        if self.divisor > 1:
            self.divisor //= 2
        else:
            self.lighter = False
        if self.divisor > 1 or self.lighter or self._told_up:
            return ""
        self._told_up = True
        return "there is room again: all is as it was"
