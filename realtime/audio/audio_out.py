"""The microphone, delayed to match the picture, into a virtual cable.

Each sample is due at its capture time plus the delay of the picture that shows it. The output device counts by its own
clock: its drift against the microphone's is followed by resampling, at most 0.2 % off, which nobody hears.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engines.errors import DeviceError
from realtime.audio.microphone import STREAMS, answered, find_device, hushed, import_sounddevice
from realtime.audio.resampler import VariableResampler
from realtime.audio.sample_ring import SampleRing
from realtime.audio.sound import to_mono
from realtime.clock import NS, Clock, SystemClock

MOST_CORRECTION = 2e-3  # of the rate
GAIN = 0.15  # of the error in s, a second
DRIFT_GAIN = 0.01  # of the error in s, a second, a second
WINDOW_S = 0.5  # callbacks come in bursts: errors are judged by their median over this long
FIRST_JUMP_NS, JUMP_NS = 4_000_000, 30_000_000  # a median error beyond this is mended at once: at first, and later
SETTLED_WINDOWS = 12
RESETTLE_NS = 10_000_000  # a delay or a capture time that changes by so much at once begins anew: jumps mend it soon
FADE_SAMPLES = 192  # a jump is a short cross-fade, not a click
RING_S = 3.0
LATENCY_S = 0.02  # "low" is 9 ms on PulseAudio, which underruns on a busy machine; sound waits longer than this anyway
PACE_S, SLOW = 5.0, 0.9  # an output that takes less than this share of its rate, twice for so long, loses sound
MOST_LOOKS = 64  # between two scans for a lost output: each is a short gap in the microphone's sound


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


class AudioOut:
    """A PortAudio output fed by a delay line. Give `tap` to a source's taps."""

    def __init__(self, wanted: str | int | None, in_rate_hz: int, delay_ns: int, clock: Clock | None = None) -> None:
        self._sd = import_sounddevice()
        self._wanted = wanted
        self._number, device = find_device(wanted, "output")
        self.name = device["name"]
        self.rate_hz = round(device["default_samplerate"]) or 48_000
        self.line = DelayLine(in_rate_hz, self.rate_hz, delay_ns)
        self.underflows = 0
        self.pulls = 0
        self.samples = 0
        self.tell: Callable[[str], None] = lambda message: None
        self.prepare: Callable[[], object] = lambda: None  # before it is opened; may raise DeviceError
        self._pulls_seen = 0
        self._opened_anew = False  # since `revive` last looked
        self._left = False
        self._lost = False
        self._scans_seen = 0
        self._looks_to_scan, self._looks_between = 1, 1
        self._pace_from: tuple[int, int] | None = None  # (time, samples taken)
        self._slow_windows = 0
        self._told_slow = False
        self.latency_ns = 0
        self.ahead_ns = 0  # what the newest callback was told
        self._clock = clock or SystemClock()
        self._stream: Any = None
        self._channels = min(2, device["max_output_channels"])
        self._mono = np.zeros(16_384, np.float32)

    def _callback(self, out: np.ndarray, count: int, times: Any, status: Any) -> None:
        self.pulls += 1
        self.samples += count
        self.underflows += bool(status)
        ahead_s = times.outputBufferDacTime - times.currentTime
        # Some systems tell no times here: then the stream's own figure counts.
        ahead_ns = round(ahead_s * NS) if 0 < ahead_s < 1 else self.latency_ns
        self.ahead_ns = ahead_ns
        mono = self._mono[:count]
        self.line.pull(mono, self._clock.now_ns() + ahead_ns)
        out[:] = mono[:, None]

    def __enter__(self) -> AudioOut:
        try:
            answered(self._enter)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _enter(self) -> AudioOut:
        with STREAMS.lock:
            STREAMS.add(self)
            self.resume()
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        STREAMS.close(self, self.suspend)

    def resume(self) -> None:
        """Open and start the output; DeviceError when that cannot be."""
        sd = self._sd
        self.prepare()
        self._number, _ = find_device(self._wanted, "output")
        try:
            with STREAMS.lock, hushed():
                self._stream = sd.OutputStream(
                    device=self._number,
                    samplerate=self.rate_hz,
                    channels=self._channels,
                    dtype="float32",
                    blocksize=0,
                    latency=LATENCY_S,
                    callback=self._callback,
                )
            self.latency_ns = round(float(self._stream.latency) * NS)
            self.line.begin_anew()
            self._stream.start()
            self._opened_anew = True
        except (sd.PortAudioError, ValueError, OSError) as error:
            self.suspend()
            raise DeviceError(f"the sound output {self.name!r} cannot be opened ({error})", "voxcam devices") from error

    def suspend(self) -> None:
        """Close the output; `resume` opens it again."""
        stream, self._stream = self._stream, None
        self._pace_from, self._slow_windows = None, 0
        if stream is not None:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)

    def revive(self) -> None:
        """Called about once a second: opens the output again when it has stopped asking for sound.

        In a thread that nobody waits for: a sound server that hangs keeps it.
        """
        if self.pulls != self._pulls_seen:
            self._pulls_seen = self.pulls
            if self._lost:
                self._lost, self._looks_to_scan, self._looks_between = False, 1, 1
                self.tell(f"{self.name} is back")
            self._watch_pace()
            return
        with STREAMS.lock:
            if self._left or self._opened_anew:  # it may need a moment
                self._opened_anew = False
                return
            self.suspend()
            try:
                self.resume()
            except DeviceError as error:
                self._still_lost(error)

    def _still_lost(self, error: DeviceError) -> None:
        """Tell once; scan for it, ever less often, unless the microphone, which is lost too, does so anyway."""
        if not self._lost:
            self._lost = True
            self.tell(f"{self.name} is lost, nobody hears you: it is tried again ({error.what})")
        if STREAMS.scans != self._scans_seen:
            self._scans_seen = STREAMS.scans
            return
        self._looks_to_scan -= 1
        if self._looks_to_scan <= 0:
            self._looks_to_scan = self._looks_between = min(2 * self._looks_between, MOST_LOOKS)
            STREAMS.scan()
            self._scans_seen = STREAMS.scans

    def _watch_pace(self) -> None:
        """Tell once of an output that takes sound too slowly, such as a null sink of PulseAudio with rewinds."""
        now_ns, samples = self._clock.now_ns(), self.samples
        if self._pace_from is None:
            self._pace_from = (now_ns, samples)
            return
        begin_ns, before = self._pace_from
        if now_ns - begin_ns < PACE_S * NS:
            return
        share = (samples - before) / ((now_ns - begin_ns) / NS * self.rate_hz)
        self._pace_from = (now_ns, samples)
        self._slow_windows = self._slow_windows + 1 if share < SLOW else 0
        if self._slow_windows == 2 and not self._told_slow:  # one alone may be a device that was lost
            self._told_slow = True
            self.tell(
                f"{self.name} takes only {share:.0%} of the sound, the rest is lost: use --make-cable, or make the "
                "null sink with norewinds=1"
            )

    def tap(self, block: np.ndarray, captured_ns: int) -> None:
        self.line.push(block, captured_ns)
