"""Time: the only module that reads a clock. All times are integer nanoseconds of one monotonic clock."""

from __future__ import annotations

import _thread
import time
from collections import deque
from typing import Protocol

NS = 1_000_000_000
JUMP_NS = NS
EARLY_NS = NS // 5  # no drift makes a block come so much earlier than thought possible
STARTED_NS = time.perf_counter_ns()  # this program, as early as one of our modules can know
SETTLE_WINDOWS, FIT_POINTS = 4, 30
PRIOR_PPM = 100.0


class Doorbell:
    """Wakes one waiting thread. Ringing never blocks, so an audio callback may do it.

    A lock used as a binary semaphore: `threading.Condition` would make the callback wait for the reader.
    """

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def ring(self) -> None:
        # Two ringers may both find it locked; the loser's release fails, and one ring is as good as two.
        if self._lock.locked():
            try:
                self._lock.release()
            except RuntimeError:
                return

    def wait(self, timeout_ns: int) -> bool:
        """True when it rang (now or since the last wait), False after the timeout."""
        return self._lock.acquire(timeout=max(0.0, timeout_ns / NS))


class Clock(Protocol):
    """What paces a stream: a real clock, or a fake one in tests."""

    def now_ns(self) -> int: ...

    def sleep_until(self, due_ns: int) -> None: ...

    def wait(self, bell: Doorbell, timeout_ns: int) -> bool: ...


class SystemClock:
    """The computer's monotonic clock."""

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def sleep_until(self, due_ns: int) -> None:
        """Sleep to an absolute time; returns at once when that is past."""
        while (left_ns := due_ns - time.perf_counter_ns()) > 0:
            time.sleep(left_ns / NS)

    def wait(self, bell: Doorbell, timeout_ns: int) -> bool:
        """True when the bell rang within the timeout."""
        return bell.wait(timeout_ns)


class FakeClock:
    """A clock that moves only when it is told to, or slept on: days pass in milliseconds."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep_until(self, due_ns: int) -> None:
        self._now_ns = max(self._now_ns, due_ns)

    def wait(self, bell: Doorbell, timeout_ns: int) -> bool:
        """A bell that has not rung yet lets all of the timeout pass."""
        rang = bell.wait(0)
        if not rang:
            self._now_ns += max(0, timeout_ns)
        return rang

    def advance(self, step_ns: int) -> None:
        self._now_ns += step_ns


def cpu_s() -> float:
    """CPU seconds that this process has used, all threads."""
    return time.process_time()


def today() -> str:
    """Date and time for file names, such as 20250131-142530 (the only use of wall time)."""
    return time.strftime("%Y%m%d-%H%M%S")


class CaptureClock:
    """Maps a device's sample counter to the monotonic clock.

    A block can only arrive late, never early, so each second's earliest arrival lies closest to the truth. The line
    follows those points: in the first seconds at once, then slowly; its slope by least squares over the last minutes.
    `drift_ppm` says how much faster than nominal the device counts.
    """

    def __init__(self, rate_hz: int, window_s: float = 1.0, history: int = 240) -> None:
        self.rate_hz = rate_hz
        self.drift_ppm = 0.0
        self._window = round(rate_hz * window_s)
        self._points: deque[tuple[int, int]] = deque(maxlen=history)  # (count, earliest offset) a window
        self._anchor: tuple[int, int] | None = None  # at this count it was this time
        self._window_end = 0
        self._earliest: tuple[int, int] | None = None
        self._windows = 0

    @property
    def started(self) -> bool:
        return self._anchor is not None

    def restart(self) -> None:
        """Forget the line but keep the slope: the device was lost, or the computer slept."""
        self._points.clear()
        self._anchor = None
        self._earliest = None
        self._windows = 0

    def _span_ns(self, samples: int) -> int:
        exact = samples * NS // self.rate_hz
        return exact - round(exact * self.drift_ppm * 1e-6)

    def captured_ns(self, count: int) -> int:
        """When the device had captured `count` samples (may lie ahead)."""
        if self._anchor is None:
            raise ValueError("nothing observed yet")
        at_count, at_ns = self._anchor
        return at_ns + self._span_ns(count - at_count)

    def count_at(self, now_ns: int) -> int:
        """How many samples the device had captured at a time."""
        if self._anchor is None:
            raise ValueError("nothing observed yet")
        at_count, at_ns = self._anchor
        exact = (now_ns - at_ns) * self.rate_hz // NS
        return at_count + exact + round(exact * self.drift_ppm * 1e-6)

    def observe(self, count: int, arrived_ns: int) -> None:
        """A block arrived and brought the total to `count` samples."""
        if self._anchor is None:
            self._anchor = (count, arrived_ns)
            self._window_end = count + self._window
            self._earliest = None
            return
        error_ns = arrived_ns - self.captured_ns(count)
        if error_ns < 0 and self._windows < SETTLE_WINDOWS:  # earlier than thought possible: the line was too late
            self._anchor = (count, arrived_ns)
        elif error_ns > JUMP_NS or error_ns < -EARLY_NS:
            # The computer slept, or the device stood still; or a server hands over in a burst what it kept meanwhile.
            self.restart()
            self.observe(count, arrived_ns)
            return
        offset_ns = arrived_ns - count * NS // self.rate_hz
        if self._earliest is None or offset_ns < self._earliest[1]:
            self._earliest = (count, offset_ns)
        if count >= self._window_end:
            self._close_window(count)

    def _close_window(self, count: int) -> None:
        assert self._earliest is not None
        at_count, offset_ns = self._earliest
        self._points.append(self._earliest)
        late_ns = offset_ns + at_count * NS // self.rate_hz - self.captured_ns(at_count)
        # By an eighth of what is missing: one odd second must not move it far, since sound is paced by it.
        self._anchor = (at_count, self.captured_ns(at_count) + late_ns // 8)
        self._earliest = None
        self._window_end = count + self._window
        self._windows += 1
        if self._windows <= SETTLE_WINDOWS:
            self._points.clear()  # a device's first seconds come in a hurry
        if len(self._points) >= FIT_POINTS:
            self._fit_slope()

    def _fit_slope(self) -> None:
        """Least squares, drawn towards none as far as the points scatter (a normal prior of 100 ppm)."""
        first_count, first_ns = self._points[0]
        x = [(count - first_count) / self.rate_hz for count, _ in self._points]
        y = [(offset - first_ns) / NS for _, offset in self._points]
        n = len(x)
        mean_x, mean_y = sum(x) / n, sum(y) / n
        spread = sum((a - mean_x) ** 2 for a in x)
        slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
        rest = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True)) / (n - 2)
        # Bursts repeat: neighbouring points err together, so the error is taken three times as large.
        variance_ppm = 9 * rest / spread * 1e12
        fitted_ppm = -slope * 1e6 * PRIOR_PPM**2 / (PRIOR_PPM**2 + variance_ppm)  # ever later: it counts slowly
        if abs(fitted_ppm) < 2000:  # beyond that the device was stopped, not slow
            self.drift_ppm += (fitted_ppm - self.drift_ppm) * 0.2
