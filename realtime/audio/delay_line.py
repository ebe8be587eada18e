"""The microphone's sound, delayed to match the picture and in step with another device's clock.

Each sample is due at its capture time plus the delay of the picture that shows it. The output device counts by its own
clock: its drift against the microphone's is followed by resampling, at most 0.2 % off, which nobody hears.
"""

from __future__ import annotations

import numpy as np

from realtime.audio.resampler import VariableResampler
from realtime.audio.sample_ring import SampleRing
from realtime.audio.sound import to_mono
from realtime.clock import NS

MOST_CORRECTION = 2e-3  # of the rate
GAIN = 0.15  # of the error in s, a second
DRIFT_GAIN = 0.01  # of the error in s, a second, a second
WINDOW_S = 0.5  # callbacks come in bursts: errors are judged by their median over this long
FIRST_JUMP_NS, JUMP_NS = 4_000_000, 30_000_000  # a median error beyond this is mended at once: at first, and later
SETTLED_WINDOWS = 12
RESETTLE_NS = 10_000_000  # a delay or a capture time that changes by so much at once begins anew: jumps mend it soon
FADE_SAMPLES = 192  # a jump is a short cross-fade, not a click
RING_S = 3.0


class DelayLine:
    """Sound in at the microphone's rate, sound out at the output's, each sample at its due time.

    `push` runs in the voice thread, `pull` in the output's callback. Without a device: tests drive both.
    """

    def __init__(self, in_rate_hz: int, out_rate_hz: int, delay_ns: int) -> None:
        self.in_rate_hz, self.out_rate_hz = in_rate_hz, out_rate_hz
        self.delay_ns = delay_ns  # wanted, from capture to the output's loudspeaker end
        self.error_ns = 0.0  # how late the sound leaves against its due time, median of a window
        self.correction = 0.0  # share by which the input is read faster
        self.silent_samples = 0  # given because nothing was there, or to wait
        self.skipped_samples = 0
        self.jumps = 0
        self.muted = False
        self._resampler = VariableResampler(in_rate_hz, out_rate_hz)
        self._margin = self._resampler.half_width + 1
        self._history = np.zeros(2 * self._margin, np.float32)
        self._position = float(self._margin)  # of the next output sample in the history
        self._ring = SampleRing(round(out_rate_hz * RING_S))
        self._mark: tuple[int, int] | None = None  # (output count, when its input was captured)
        self._drift = 0.0  # the part of the correction that stays: the clocks' difference
        self._steered_windows = 0
        self._steered_delay_ns = delay_ns
        self._moved_ns = 0  # capture times against the nominal rate, since it was steered
        self._earlier = 0.0  # share by which sound falls due ever earlier
        self._captured_ns = 0
        self._unsettled = False
        # The callback's own:
        self._errors: list[int] = []
        self._window_samples = 0
        self._slack = 0  # least that was left in the ring after a pull in this window
        self._hold = 0  # silent samples still to give before sound goes on
        self._up = np.linspace(0, 1, FADE_SAMPLES, dtype=np.float32)
        self._tail = np.zeros(0, np.float32)  # what a jump left, faded out: goes over the next samples
        self._fades_in = False
        self._windows = 0  # since it last began anew
        self._judged_delay_ns = delay_ns

    def push(self, block: np.ndarray, captured_ns: int) -> None:
        """(samples, channels) float32 of the microphone; the last one was captured at that time."""
        mono = np.zeros(len(block), np.float32) if self.muted else to_mono(block)
        due_ns = self._captured_ns + len(block) * NS // self.in_rate_hz
        if self._captured_ns and abs(captured_ns - due_ns) > RESETTLE_NS:
            self._unsettled = True  # the microphone was away
        elif self._captured_ns:
            self._moved_ns += captured_ns - due_ns
        self._captured_ns = captured_ns
        if self._steered_windows != self._windows:
            self._steered_windows = self._windows
            self._steer()
        history = np.concatenate([self._history, mono])
        step = self.in_rate_hz / self.out_rate_hz * (1 + self.correction)
        count = max(0, int((len(history) - self._margin - 1 - self._position) / step))
        if count:
            positions = self._position + step * np.arange(count)
            self._ring.write(self._resampler.at(history, positions)[:, None])
            self._position += step * count
        # The next output sample lies `behind` input samples before the newest one.
        behind = len(history) - self._position
        self._mark = (self._ring.written, captured_ns - round(behind * NS / self.in_rate_hz))
        drop = max(0, int(self._position) - self._margin)
        self._history = history[drop:]
        self._position -= drop

    def _steer(self) -> None:
        """How much faster the input is read: as due times move, and by a part of the error, and for the clocks' drift.

        Capture times and the delay creep when a machine becomes busy or quiet, mostly against each other; an error of
        theirs alone would have to be 10 ms before it moved the sound as fast.
        """
        error_s = self.error_ns / NS
        moved_ns = self._moved_ns + self.delay_ns - self._steered_delay_ns
        self._moved_ns, self._steered_delay_ns = 0, self.delay_ns
        earlier = float(np.clip(-moved_ns / NS / WINDOW_S, -MOST_CORRECTION, MOST_CORRECTION))
        self._earlier += (earlier - self._earlier) / 4
        if self._windows > SETTLED_WINDOWS and abs(error_s) < 0.01:  # else it would wind up
            drift = self._drift + DRIFT_GAIN * error_s * WINDOW_S
            self._drift = float(np.clip(drift, -MOST_CORRECTION, MOST_CORRECTION))
        wanted = self._earlier + GAIN * error_s + self._drift
        self.correction = float(np.clip(wanted, -MOST_CORRECTION, MOST_CORRECTION))

    def pull(self, out: np.ndarray, leaves_ns: int) -> None:
        """Fill (samples,) float32; its first sample leaves the computer at that time. Runs in the device's thread."""
        mark = self._mark
        if mark is None:
            out[:] = 0
            return
        if self._hold == 0:
            due_ns = mark[1] - (mark[0] - self._ring.read_count) * NS // self.out_rate_hz + self.delay_ns
            self._errors.append(leaves_ns - due_ns)  # > 0: the sound leaves too late
        held = min(self._hold, len(out))
        self._hold -= held
        sound = self._ring.read(len(out) - held)[:, 0]
        if self._fades_in and len(sound):
            self._fades_in = False
            fade = min(FADE_SAMPLES, len(sound))
            sound[:fade] *= self._up[:fade]
        out[:held] = 0
        out[held : held + len(sound)] = sound
        out[held + len(sound) :] = 0
        if len(self._tail):
            over = min(len(self._tail), len(out))
            out[:over] += self._tail[:over]
            self._tail = self._tail[over:]
        self.silent_samples += len(out) - len(sound)
        self._slack = min(self._slack, len(self._ring))
        self._window_samples += len(out)
        if self._window_samples >= WINDOW_S * self.out_rate_hz and self._errors:
            self._judge()

    def _judge(self) -> None:
        """Once a window: jump when the sound is far off, else leave the rest to the resampler."""
        error_ns = sorted(self._errors)[len(self._errors) // 2]
        self._errors.clear()
        self._window_samples = 0
        if self._unsettled or abs(self.delay_ns - self._judged_delay_ns) > RESETTLE_NS:
            self._unsettled = False
            self._windows = 0
        self._judged_delay_ns = self.delay_ns
        most_ns = FIRST_JUMP_NS if self._windows < SETTLED_WINDOWS else JUMP_NS
        off = abs(error_ns) * self.out_rate_hz // NS
        if error_ns < -most_ns:
            tail = self._ring.read(min(FADE_SAMPLES, off))[:, 0]
            self._jump(tail)
            self._hold = off + len(tail)  # the tail is heard once, over the silence
            error_ns = 0
        elif error_ns > most_ns:
            # Only what is not needed: sound that has not arrived yet cannot leave earlier.
            spare = max(0, min(off, self._slack - self.out_rate_hz // 200))
            if spare:
                self._jump(self._ring.read(spare)[:FADE_SAMPLES, 0])
            self.skipped_samples += spare
            error_ns -= spare * NS // self.out_rate_hz
        if error_ns > 0 and self._slack < self.out_rate_hz // 500:
            error_ns = 0  # the ring runs empty: reading faster would only tear it
        self._slack = len(self._ring)
        self.error_ns = float(error_ns)
        self._windows += 1

    def begin_anew(self) -> None:
        """Forget what waits: it was said while the output was away. Only while nothing pulls."""
        self._ring.read_count = self._ring.written
        self._errors.clear()
        self._window_samples = self._slack = self._hold = self._windows = 0
        self._tail = np.zeros(0, np.float32)

    def _jump(self, tail: np.ndarray) -> None:
        """Sound goes on elsewhere: `tail` is what would have come."""
        self.jumps += 1
        self._tail = tail * self._up[::-1][: len(tail)]
        self._fades_in = True
