"""The microphone, delayed to match the picture, into a virtual cable; and what brings a lost cable back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engines.errors import DeviceError
from realtime.audio.delay_line import DelayLine
from realtime.audio.microphone import STREAMS, answered, find_device, hushed, import_sounddevice
from realtime.clock import NS, Clock, SystemClock

LATENCY_S = 0.02  # "low" is 9 ms on PulseAudio, which underruns on a busy machine; sound waits longer than this anyway
PACE_S, SLOW = 5.0, 0.9  # an output that takes less than this share of its rate, twice for so long, loses sound
MOST_LOOKS = 64  # between two scans for a lost output: each is a short gap in the microphone's sound


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
