"""`voxcam sync-test`: clicks in, flashes and delayed clicks out, through the real path, and the offset between them.

A loop is needed from a sound output back to the microphone: a cable, a virtual one, or a loudspeaker and the room.
The picture is read back from the camera where the system lets us (Linux), else taken at its hand-over.
"""

from __future__ import annotations

import json
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import typer

from engines.encoder import Code
from engines.errors import ConfigError, DeviceError
from engines.spec import MOTION_CHANNELS, SPEC
from realtime.clock import NS, SystemClock
from realtime.commands.options import AsJson, Fps
from realtime.pacer import checked_lookahead, checked_rate

BEEP_S, EVERY_S = 0.12, 1.013  # not a whole number of picture periods: every phase comes up
LOUD = 0.05
JAW = MOTION_CHANNELS.index("jawOpen")


class LevelEncoder:
    """Loudness instead of speech: the jaw of every row is 1 while the chunk that it speaks of is loud."""

    def init_state(self) -> tuple[float, ...]:
        return (0.0,) * (1 + SPEC.lookahead_chunks(max(SPEC.lookaheads_ms)))

    def step(self, chunk: np.ndarray, state: tuple[float, ...]) -> tuple[Code, tuple[float, ...]]:
        state = (float(np.abs(chunk).max() > LOUD), *state[:-1])
        code = Code.silent()
        for row, lookahead_ms in enumerate(SPEC.lookaheads_ms):
            code.motion[row, JAW] = state[SPEC.lookahead_chunks(lookahead_ms)]
        return code, state


class LevelShaper:
    """Hands the jaw on."""

    row = 0

    def init_state(self) -> int:
        return 0

    def step(self, code: Code, state: int, chunk_rms: float) -> tuple[np.ndarray, int]:
        motion = np.zeros(len(MOTION_CHANNELS), np.float32)
        motion[JAW] = code.motion[self.row, JAW]
        return motion, state


class FlashGenerator:
    """White when anything was heard, black otherwise."""

    def draw(self, code: np.ndarray, portrait: Any, out: np.ndarray | None = None) -> np.ndarray:
        if out is None:
            out = np.empty((*portrait, 3), np.uint8)
        out[:] = 255 if code[JAW] > 0.1 else 16
        return out


@dataclass
class Events:
    """When things began, ns of the monotonic clock."""

    heard: list[int] = field(default_factory=list)  # captured by the microphone's stream
    flashes: list[int] = field(default_factory=list)  # seen in the camera, or handed over
    beeps: list[int] = field(default_factory=list)  # heard from the cable


class OnsetFinder:
    """Finds where a sound becomes loud after at least 100 ms of quiet."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._quiet = rate_hz

    def look(self, block: np.ndarray, end_ns: int) -> int | None:
        """block (samples,) whose last sample was captured at end_ns; the onset's time, or None."""
        loud = np.flatnonzero(np.abs(block) > LOUD)
        if not len(loud):
            self._quiet += len(block)
            return None
        begins = self._quiet + int(loud[0]) > self.rate_hz // 10
        self._quiet = len(block) - 1 - int(loud[-1])
        return end_ns - (len(block) - int(loud[0])) * NS // self.rate_hz if begins else None


def summary(events: Events) -> dict[str, Any]:
    """Delays in ms, p50 and p99, of picture and sound after the microphone, and of the sound after the picture."""

    def after(first: list[int], second: list[int]) -> list[float]:
        """From each of `first` to the next of `second` within 0.8 s."""
        found = []
        for begin in first:
            later = [ns for ns in second if 0 <= ns - begin < 800_000_000]
            if later:
                found.append((min(later) - begin) / 1e6)
        return found

    def nearest(first: list[int], second: list[int]) -> list[float]:
        found = [min(((b - a) / 1e6 for b in second), key=abs) for a in first] if second else []
        return [ms for ms in found if abs(ms) < 400]

    def figures(values: list[float]) -> dict[str, float]:
        if not values:
            return {"count": 0}
        p50, p99 = np.percentile(values, [50, 99])
        ends = {"min_ms": round(min(values), 1), "max_ms": round(max(values), 1)}
        return {"p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1), **ends, "count": len(values)}

    return {
        "microphone_to_picture": figures(after(events.heard, events.flashes)),
        "microphone_to_cable": figures(after(events.heard, events.beeps)),
        "sound_after_picture": figures(nearest(events.flashes, events.beeps)),
    }


class Beeper:
    """Plays the clicks: a PortAudio output."""

    def __init__(self, wanted: str) -> None:
        from realtime.audio.microphone import find_device, import_sounddevice

        self._sd = import_sounddevice()
        number, device = find_device(wanted, "output")
        rate = round(device["default_samplerate"])
        self._at, self._rate = 0, rate
        try:
            self._stream = self._sd.OutputStream(device=number, samplerate=rate, channels=1, callback=self._fill)
        except self._sd.PortAudioError as error:
            raise DeviceError(f"the output {wanted!r} cannot be opened ({error})", "voxcam devices") from error

    def _fill(self, out: np.ndarray, count: int, _times: Any, _status: Any) -> None:
        at = self._at + np.arange(count)
        on = (at % round(EVERY_S * self._rate)) < BEEP_S * self._rate
        out[:, 0] = 0.6 * np.sin(at * (2 * np.pi * 1000 / self._rate)) * on
        self._at += count

    def __enter__(self) -> Beeper:
        self._stream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close(ignore_errors=True)


def watch_camera(device: str, events: Events, halt: threading.Event) -> None:
    """Read a camera back and note when it turns bright. Runs in a thread."""
    import cv2

    clock = SystemClock()
    camera, was = cv2.VideoCapture(device, cv2.CAP_V4L2), True
    while not halt.is_set():
        got, picture = camera.read()
        now_ns = clock.now_ns()
        if not got:
            break
        white = picture[::16, ::16].mean() > 128
        if white and not was:
            events.flashes.append(now_ns)
        was = white
    camera.release()


def sync_test(
    play_to: Annotated[str, typer.Option(help="Sound output that leads back to the microphone.")],
    microphone: Annotated[str | None, typer.Option(help="As of live.")] = None,
    camera: Annotated[str | None, typer.Option(help="As of live; none takes pictures at their hand-over.")] = None,
    audio_out: Annotated[str | None, typer.Option(help="As of live: where the delayed microphone goes.")] = None,
    listen: Annotated[str | None, typer.Option(help="The input that hears that output.")] = None,
    seconds: Annotated[float, typer.Option(min=3, max=3600, help="How long.")] = 15.0,
    fps: Fps = 25,
    lookahead_ms: Annotated[int, typer.Option(help="As of live.")] = 0,
    av_offset_ms: Annotated[float, typer.Option(min=-500, max=500, help="As of live.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Measure picture against sound through the real path."""
    checked_rate(fps)
    checked_lookahead(lookahead_ms)
    if (audio_out is None) != (listen is None):
        raise ConfigError("--audio-out and --listen belong together", "give both, or neither")
    found = measure(play_to, microphone, camera, audio_out, listen, seconds, fps, lookahead_ms, av_offset_ms)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    names = {
        "microphone_to_picture": "microphone -> picture",
        "microphone_to_cable": "microphone -> delayed sound",
        "sound_after_picture": "sound after picture",
    }
    for key, name in names.items():
        figures = found[key]
        if figures["count"]:
            spread = f"from {figures['min_ms']} to {figures['max_ms']}"
            print(
                f"{name}: p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms ({spread}, {figures['count']} clicks)"
            )
    print(f"the picture's own grain is {1000 / fps:.0f} ms; your recorder's zero is not known to this test")


def measure(
    play_to: str,
    microphone: str | None,
    camera: str | None,
    audio_out: str | None,
    listen: str | None,
    seconds: float,
    fps: int,
    lookahead_ms: int,
    av_offset_ms: float = 0.0,
) -> dict[str, Any]:
    """Run the real path with clicks and give `summary`'s figures."""
    from realtime.audio.audio_out import AudioOut
    from realtime.audio.microphone import Microphone
    from realtime.pictures.camera import CameraSink
    from realtime.pictures.sinks import NullSink
    from realtime.pipeline import Pipeline

    events, size, halt = Events(), (480, 640), threading.Event()
    with ExitStack() as stack:
        source = Microphone(microphone)
        stack.callback(source.close)
        sink: Any = NullSink() if camera == "none" else CameraSink(camera)
        stack.enter_context(sink)
        sink.open(*size, fps)
        pipeline = Pipeline(
            source,
            LevelEncoder(),
            LevelShaper(),
            FlashGenerator(),
            size,
            [sink],
            size=size,
            picture_rate=fps,
            lookahead_ms=lookahead_ms,
        )
        onsets = OnsetFinder(source.rate_hz)

        def hear(block: np.ndarray, captured_ns: int) -> None:
            if (onset := onsets.look(block[:, 0], captured_ns)) is not None:
                events.heard.append(onset)

        source.taps.append(hear)
        speaker = None
        if audio_out is not None:
            speaker = AudioOut(audio_out, source.rate_hz, pipeline.sound_delay_ns)
            source.taps.append(speaker.tap)
            stack.enter_context(speaker)
        stack.enter_context(source)
        stack.enter_context(pipeline)
        read_back = camera != "none" and sys.platform == "linux"
        if read_back:
            watcher = threading.Thread(target=watch_camera, args=(sink.name, events, halt), daemon=True)
            watcher.start()
            stack.callback(watcher.join, 2.0)
            stack.callback(halt.set)
        else:
            _note_hand_over(pipeline, events)
        if listen is not None:
            listener = Microphone(listen)
            stack.enter_context(listener)
            listening = threading.Thread(target=_listen, args=(listener, events, halt), daemon=True)
            listening.start()
            stack.callback(listening.join, 2.0)
            stack.callback(halt.set)
        settle_s = min(4.0, seconds / 3)
        _wait(pipeline, speaker, settle_s, av_offset_ms)
        stack.enter_context(Beeper(play_to))
        _wait(pipeline, speaker, seconds - settle_s, av_offset_ms)
        halt.set()
    pipeline.raise_if_error()
    if not events.heard:
        raise DeviceError(
            f"the microphone heard nothing of what was played to {play_to!r}", "check the loop, and its volume"
        )
    if not events.flashes and read_back:
        raise DeviceError(f"no flash was seen in {sink.name}", "give another camera, or --camera none")
    if not events.flashes:
        raise DeviceError("no flash was handed over: all its pictures came too late", "close other programs")
    found = summary(events)
    return found | {"lookahead_ms": lookahead_ms, "picture_rate": fps, "starved": pipeline.meters.starved_pictures}


def _note_hand_over(pipeline: Any, events: Events) -> None:
    was = [True]

    def note(picture: Any, sent_ns: int) -> None:
        white = picture.pixels[0, 0, 0] > 128
        if white and not was[0]:
            events.flashes.append(sent_ns)
        was[0] = white

    pipeline.workers[0].on_sent.append(note)


def _listen(listener: Any, events: Events, halt: threading.Event) -> None:
    onsets = OnsetFinder(listener.rate_hz)

    def hear(block: np.ndarray, captured_ns: int) -> None:
        if (onset := onsets.look(block[:, 0], captured_ns)) is not None:
            events.beeps.append(onset)

    listener.taps.append(hear)
    while not halt.is_set():
        listener.read_hop(NS // 10)


def _wait(pipeline: Any, speaker: Any, seconds: float, av_offset_ms: float) -> None:
    clock = SystemClock()
    until_ns = clock.now_ns() + round(seconds * NS)
    while clock.now_ns() < until_ns and pipeline.wait(0.1) is None:
        if speaker is not None:
            speaker.line.delay_ns = pipeline.sound_delay_ns + round(av_offset_ms * 1e6)
