"""`voxcam live`: a photo and a microphone become a camera."""

from __future__ import annotations

import json
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ENOSPC
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO

import numpy as np
import typer

from engines.errors import ConfigError, OutputError, VoxcamError, WrongTarget
from engines.spec import ARTICULATION, EMOTIONS, MOTION_CHANNELS, SPEC
from realtime.audio.microphone import STREAMS, hushed
from realtime.cli import say
from realtime.clock import NS, STARTED_NS, SystemClock, cpu_s, today
from realtime.engines_in_use import Articulation, Seed
from realtime.interrupts import interrupts
from realtime.pacer import checked_lookahead, checked_rate
from realtime.pictures.provenance import C2paCertificates, C2paKey, open_signer
from realtime.pictures.targets import checked_apart, readable

CAMERA_SIZES = "640x360, 640x480, 960x540, 1280x720 or 1920x1080"
SNAPSHOT_S = 5.0  # longest that the end waits for a slow disk
EMOTION_KEYS = ("auto", "off", "happiness", "sadness", "anger", "fear", "disgust")


def parse_size(text: str) -> tuple[int, int]:
    """'1280x720' -> (1280, 720); ConfigError for anything else, odd, tiny or huge."""
    width_text, cross, height_text = text.lower().partition("x")
    if not (cross and width_text.isdecimal() and height_text.isdecimal()):
        raise ConfigError(f"{text!r} is no picture size", f"use one such as {CAMERA_SIZES}")
    width, height = int(width_text), int(height_text)
    if width % 2 or height % 2 or not (160 <= width <= 3840 and 120 <= height <= 2160):
        raise ConfigError(f"a camera cannot be {text}", f"use one such as {CAMERA_SIZES}")
    return width, height


def open_source(microphone: str | None, source: str | None, rate: int, channels: int, sample_format: str) -> Any:
    """The source that the options name; not yet entered."""
    from realtime.audio.sources import FileSource, PipeSource

    if source is not None and microphone is not None:
        raise ConfigError("--microphone and --source exclude each other", "leave one out")
    if source == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise ConfigError(
                "--source - reads a pipe, not a terminal",
                "ffmpeg -re -i SOUND -ar 16000 -ac 1 -f s16le - | voxcam live ...",
            )
        return PipeSource(None, rate, channels, sample_format)
    if source is not None:
        from realtime.audio.sound import SoundFile

        return FileSource(SoundFile(source), paced=True)
    if microphone is not None and microphone.startswith("pyaudio:"):
        from realtime.audio.pyaudio_microphone import PyAudioMicrophone

        return PyAudioMicrophone(microphone.partition(":")[2])
    from realtime.audio.microphone import Microphone

    return Microphone(microphone)


class LiveSession:
    """What the keys do, what is logged, what is told: the user's side of a running pipeline."""

    def __init__(
        self,
        pipeline: Any,
        engines: Any,
        portrait_path: Path,
        camera_size: tuple[int, int],
        emotion: str,
        badge: Any,
        log: TextIO | None,
        audio_out: Any,
        av_offset_ms: float,
        camera_name: str,
    ) -> None:
        from realtime.engines_in_use import LighterEngines
        from realtime.governor import UNKNOWN, Governor

        self.pipeline, self.engines, self.portrait_path = pipeline, engines, portrait_path
        self.camera_size, self.emotion, self.badge = camera_size, emotion, badge
        self.log, self.audio_out, self.av_offset_ms = log, audio_out, av_offset_ms
        self.log_error: OutputError | None = None
        self.clock = SystemClock()
        self.governor = Governor()
        self.lighter = LighterEngines(engines, self.tell)
        if self.lighter.possible:
            self.governor.engine = UNKNOWN
        self._uses_lighter = False
        self.start_ns = self.clock.now_ns()
        self.cpu_before_s = cpu_s()
        self.next_second_ns = self.start_ns + NS
        self.state: dict[str, Any] = {
            "microphone": readable(pipeline.source.name),
            "camera": readable(camera_name),
            "emotion": emotion,
            "articulation": engines.shaper.articulation,
            "badge": pipeline.face.badge is not None,
            "notes": [],
            "sound_out": self._cable_line if audio_out is not None else None,
        }
        self.has_view = False
        self._said = 0  # how many of the notes
        self._lost_cameras: list[str] = []
        self._was_lost = False
        self._writing: list[threading.Thread] = []  # of snapshots
        pipeline.warn = self.tell
        if getattr(engines.generator, "session", None) is not None:
            pipeline.face.spare = type(engines.generator)  # the closed form alone
        if audio_out is not None:
            audio_out.tell = self.tell
        for _, engine in engines.sessions:
            if hasattr(engine, "on_fallback"):
                engine.on_fallback = self.tell

    def tell(self, message: str) -> None:
        """Into the view where there is one, else soon a line on stderr. Any thread may call it."""
        self.state["notes"].append(" ".join(readable(message).split()))

    def say_notes(self, wait: bool = False) -> None:
        """Say what was told since. Not during a scan for sound devices, which leads stderr to nowhere."""
        if not STREAMS.lock.acquire(blocking=wait):
            return
        try:
            notes = self.state["notes"]
            while self._said < len(notes):
                self._said += 1
                if not self.has_view:
                    say(f"note: {notes[self._said - 1]}")
        finally:
            STREAMS.lock.release()

    def _cable_line(self) -> str:
        line = self.audio_out.line
        return f"{self.audio_out.name}: {line.delay_ns / 1e6:.0f} ms behind, off by {line.error_ns / 1e6:+.1f} ms"

    def key(self, key: str) -> bool:
        """Act on a key; False to quit."""
        controls = self.pipeline.controls
        if key == "m":
            controls.mute = not controls.mute
            if self.audio_out is not None:
                self.audio_out.line.muted = controls.mute
        elif key == "e":
            at = EMOTION_KEYS.index(self.emotion) if self.emotion in EMOTION_KEYS else -1
            self.emotion = self.state["emotion"] = EMOTION_KEYS[(at + 1) % len(EMOTION_KEYS)]
            self.engines.shaper.choose_emotion(self.emotion)
        elif key in ("+", "-"):
            shaper = self.engines.shaper
            wanted = round(shaper.articulation + (0.1 if key == "+" else -0.1), 1)
            shaper.articulation = self.state["articulation"] = min(ARTICULATION[1], max(ARTICULATION[0], wanted))
        elif key == "l":
            choices = SPEC.lookaheads_ms
            controls.lookahead_ms = choices[(choices.index(controls.lookahead_ms) + 1) % len(choices)]
        elif key == "b":
            face = self.pipeline.face
            face.badge = None if face.badge is not None else self.badge
            self.state["badge"] = face.badge is not None
        elif key == "r":
            threading.Thread(target=self.reload, name="reload", daemon=True).start()
        elif key == "s":
            controls.snapshot.append(self._snapshot)
        return key != "q"

    def reload(self) -> None:
        """Read the photo again; the new face fades in."""
        from realtime.faces import load_portrait

        try:
            portrayed = load_portrait(self.portrait_path, camera=self.camera_size)
        except VoxcamError as error:
            self.tell(f"the portrait stays: {error}")
            return
        portrait = portrayed.portrait
        if portrait.size != (self.pipeline.face.height, self.pipeline.face.width):
            self.tell("the portrait stays: the new one has another size, start live again")
            return
        # What a first picture makes of a portrait is made here: the face thread would stand still for it.
        type(self.engines.generator)().draw(np.zeros(len(MOTION_CHANNELS), np.float32), portrait)
        self.pipeline.face.swap(portrait)
        self.engines.move_as(portrait)
        for note in portrayed.notes:
            self.tell(note)
        self.tell(f"{self.portrait_path.name} fades in")

    def _snapshot(self, pixels: np.ndarray) -> None:
        """Called in the face thread, which must not wait until a picture is coded and on the disk."""
        writing = threading.Thread(target=self._write_snapshot, args=(pixels,), name="snapshot", daemon=True)
        self._writing = [*filter(threading.Thread.is_alive, self._writing), writing]
        writing.start()

    def _write_snapshot(self, pixels: np.ndarray) -> None:
        from realtime.pictures.sheet import write_picture

        path = Path(f"voxcam-{today()}.png")
        try:
            write_picture(path, pixels)
            self.tell(f"snapshot: {path}")
        except OutputError as error:
            self.tell(str(error))
        except Exception as error:
            self.tell(f"no snapshot ({type(error).__name__}: {error})")

    def finish_snapshots(self) -> None:
        """Wait for those that are being written."""
        for writing in self._writing:
            writing.join(SNAPSHOT_S)

    def poll(self) -> None:
        """A few times a second: the delay of the cable, what was lost; once a second the log and the governor."""
        pipeline = self.pipeline
        if self.audio_out is not None:
            self.audio_out.line.delay_ns = pipeline.sound_delay_ns + round(self.av_offset_ms * 1e6)
        if pipeline.source.lost != self._was_lost:
            self._was_lost = pipeline.source.lost
            self.tell(pipeline.source.lost_words[0 if self._was_lost else 1])
        cameras = [worker.sink.name for worker in pipeline.workers if worker.sink.lost]
        if cameras != self._lost_cameras:
            gone, back = (set(a) - set(b) for a, b in ((cameras, self._lost_cameras), (self._lost_cameras, cameras)))
            self._lost_cameras = cameras
            for name in sorted(gone):
                self.tell(f"{name} is lost: it is tried again every second")
            for name in sorted(back):
                self.tell(f"{name} is back")
        now_ns = self.clock.now_ns()
        if now_ns < self.next_second_ns:
            return
        slept = now_ns - self.next_second_ns > NS
        self.next_second_ns = now_ns + NS if slept else self.next_second_ns + NS
        if self.audio_out is not None:
            self.audio_out.revive()
        busy_ns = sum(pipeline.meters.stages[name].sum_ns for name in ("generate", "compose"))
        late = pipeline.meters.late_pictures - pipeline.slept_pictures
        message = self.governor.look(now_ns / NS, pipeline.meters.pictures, late, busy_ns)
        self._govern()
        if message:
            self.tell(message)
        self.write_log()

    def write_log(self) -> None:
        """One line, where there is a log; one that cannot be written stops, is told now and raised at the end."""
        if self.log is None:
            return
        try:
            print(json.dumps(self.entry()), file=self.log, flush=True)
        except OSError as error:
            self.log, fix = None, "free some space" if error.errno == ENOSPC else "name another file"
            self.log_error = OutputError(f"the log stopped ({error.strerror})", fix)
            self.tell(str(self.log_error))

    def _govern(self) -> None:
        """Do what the governor wants: a lighter engine made ready, in use or not, and the share of pictures."""
        from realtime.governor import WANTED

        controls = self.pipeline.controls
        if self.governor.engine == WANTED:
            self.lighter.look()
            if self.lighter.found is not None:
                self.governor.prepared(self.lighter.found)
                if self.lighter.found:
                    names = ", ".join(sorted({f"{s.backend} {s.precision}" for _, _, s in self.lighter.pairs}))
                    self.tell(f"this machine is very busy: a lighter engine ({names}) works until there is room")
        if self.governor.lighter != self._uses_lighter:
            self._uses_lighter = self.governor.lighter
            for owner, full, lighter in self.lighter.pairs:
                waiting = controls.before_hop if owner is self.engines.encoder else controls.before_picture
                waiting.append(partial(owner.use, lighter if self._uses_lighter else full))
        controls.rate_divisor = self.governor.divisor

    def entry(self) -> dict[str, object]:
        """One line of the log."""
        pipeline = self.pipeline
        elapsed_s = (self.clock.now_ns() - self.start_ns) / NS
        values: dict[str, object] = pipeline.meters.snapshot()
        newest = pipeline.ring.newest
        if newest is not None and newest.emotion is not None:
            values["emotion"] = {n: round(float(p), 3) for n, p in zip(EMOTIONS, newest.emotion, strict=True)}
        values |= {
            "elapsed_s": round(elapsed_s, 2),
            "first_picture_s": round(max(0, pipeline.first_picture_ns - STARTED_NS) / NS, 3),
            "cpu_share": round((cpu_s() - self.cpu_before_s) / max(elapsed_s, 1e-3), 3),
            "lookahead_ms": pipeline.controls.lookahead_ms,
            "picture_rate": pipeline.picture_rate / pipeline.controls.rate_divisor,
            "engines": self.engines.names,
            "failure": None if pipeline.failure is None else str(pipeline.failure),
            "muted": pipeline.controls.mute,
            "microphone_lost": pipeline.source.lost,
            "overflows": pipeline.source.overflows,
            "arrival_lag_ms": round(pipeline.arrival.lag_ns / 1e6, 2),
            "device_latency_ms": round(pipeline.source.device_latency_ms, 1),
            "sinks": {w.sink.name: {"sent": w.sent, "dropped": w.dropped} for w in pipeline.workers},
            "sound_delay_ms": round(pipeline.sound_delay_ns / 1e6, 2),
        }
        if self.audio_out is not None:
            line = self.audio_out.line
            values["audio_out"] = {
                "delay_ms": round(line.delay_ns / 1e6, 2),
                "error_ms": round(line.error_ns / 1e6, 2),
                "correction_ppm": round(line.correction * 1e6, 1),
                "silent_samples": line.silent_samples,
                "skipped_samples": line.skipped_samples,
                "pulls": self.audio_out.pulls,
                "rate_hz": self.audio_out.rate_hz,
                "samples": self.audio_out.samples,
                "underflows": self.audio_out.underflows,
                "latency_ms": round(self.audio_out.latency_ns / 1e6, 1),
                "ahead_ms": round(self.audio_out.ahead_ns / 1e6, 1),
                "jumps": line.jumps,
            }
        return values


def live(
    portrait: Annotated[Path, typer.Option("--portrait", "-p", help="A photo, or a portrait made by voxcam enroll.")],
    microphone: Annotated[
        str | None, typer.Option(help="Name, part of it, or number; pyaudio:NAME for PyAudio.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="The virtual camera, such as /dev/video0; none for no camera.")
    ] = None,
    camera_size: Annotated[str, typer.Option(help="Width x height of the camera picture.")] = "1280x720",
    preview: Annotated[bool, typer.Option("--preview", help="Show a window.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Write raw RGB pictures to standard output.")] = False,
    out: Annotated[Path | None, typer.Option(help="Record into this mp4, mkv or webm.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing recording or log.")] = False,
    c2pa_cert: C2paCertificates = None,
    c2pa_key: C2paKey = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so long.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Instead of a microphone: a sound file, or - for raw samples.")
    ] = None,
    source_rate: Annotated[int, typer.Option(min=4000, max=384000, help="Of raw samples, Hz.")] = 16_000,
    source_channels: Annotated[int, typer.Option(min=1, max=32, help="Of raw samples.")] = 1,
    source_format: Annotated[str, typer.Option(help="Of raw samples: s16le, s32le or f32le.")] = "s16le",
    fps: Annotated[int, typer.Option(help="Pictures a second.")] = 25,
    lookahead_ms: Annotated[int, typer.Option(help="Future sound that a picture may use: 0, 40 or 80 ms.")] = 0,
    emotion: Annotated[str, typer.Option(help="auto, off, or one by name, such as happiness:0.5.")] = "auto",
    articulation: Articulation = 1.0,
    seed: Seed = None,
    audio_out: Annotated[str | None, typer.Option(help="Play the microphone there, in step with the picture.")] = None,
    make_cable: Annotated[bool, typer.Option("--make-cable", help="Make a virtual cable for that (Linux).")] = False,
    av_offset_ms: Annotated[float, typer.Option(min=-500, max=500, help="Extra delay of that sound.")] = 0.0,
    badge: Annotated[bool, typer.Option("--badge/--no-badge", help="The small AI badge in the corner.")] = True,
    osc: Annotated[str | None, typer.Option(help="Also send the motion to HOST:PORT (VMC over OSC).")] = None,
    json_log: Annotated[Path | None, typer.Option(help="Write one JSON line a second.")] = None,
    engine: Annotated[str, typer.Option(help="auto, onnxruntime, openvino, openvino:bf16, ...")] = "onnxruntime",
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of the encoder.")] = 1,
    nice: Annotated[int, typer.Option(min=0, max=19, help="Let other programs go first.")] = 0,
) -> None:
    """A photo and your microphone become a camera for calls. Ctrl-C or q ends it."""
    from realtime.engines_in_use import open_engines, seed_of
    from realtime.faces import load_portrait
    from realtime.pictures.badge import Badge
    from realtime.pictures.sinks import NullSink, RawSink
    from realtime.pipeline import Pipeline

    checked_rate(fps)
    checked_lookahead(lookahead_ms)
    size = parse_size(camera_size)
    if seconds is not None and not math.isfinite(seconds):
        raise ConfigError(f"--seconds {seconds} is no length of time", "leave it out to go on until Ctrl-C")
    checked_apart(
        [("--portrait", portrait), *([("--source", Path(source))] if source not in (None, "-") else [])],
        [(name, path) for name, path in (("--out", out), ("--json-log", json_log)) if path is not None],
    )
    if json_log is not None:
        _check_log(json_log, overwrite)
    signer = open_signer(c2pa_cert, c2pa_key, out)
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    if make_cable and audio_out is not None:
        raise ConfigError("--make-cable and --audio-out exclude each other", "leave one out")
    if raw and sys.stdout.isatty():
        raise ConfigError("--raw would fill the terminal with pictures", "send it on: | ffplay -f rawvideo ... -")

    with ExitStack() as stack:
        cable = None
        if make_cable:
            from realtime.audio.cable import Cable

            cable = stack.enter_context(Cable())
            say(f"choose {cable.source} as the microphone in your call")
        sound = open_source(microphone, source, source_rate, source_channels, source_format)
        stack.callback(sound.close)
        sinks: list[Any] = []
        if camera != "none":
            from realtime.pictures.camera import CameraSink

            sinks.append(CameraSink(camera))
        if out is not None:
            from realtime.pictures.video_file import VideoFile

            sinks.append(
                VideoFile(
                    out,
                    sound.rate_hz,
                    sound.channels,
                    overwrite=overwrite,
                    preset="ultrafast",
                    signer=signer,
                    keep=True,
                )
            )
        if preview:
            from realtime.pictures.preview import PreviewSink

            sinks.append(PreviewSink())
        if raw:
            sinks.append(RawSink())
        if not sinks:
            sinks.append(NullSink())
        portrayed = load_portrait(portrait, camera=size)
        for note in portrayed.notes:
            say(f"note: {note}")
        height, width = portrayed.portrait.size
        seed = seed_of(portrayed.portrait, SystemClock().now_ns()) if seed is None else seed
        engines = stack.enter_context(
            open_engines(emotion=emotion, articulation=articulation, seed=seed, threads=threads, engine=engine)
        )
        engines.take_up(portrayed.portrait, say)
        for sink in sinks:
            stack.enter_context(sink)
            sink.open(height, width, fps)
        mark = Badge(height, width)
        pipeline = Pipeline(
            sound,
            engines.encoder,
            engines.shaper,
            engines.generator,
            portrayed.portrait,
            sinks,
            size=(height, width),
            picture_rate=fps,
            lookahead_ms=lookahead_ms,
            badge=mark if badge else None,
            samples_limit=round(seconds * SPEC.sample_rate_hz) if seconds else None,
        )
        sender = None
        if osc is not None:
            from realtime.osc import OscSender

            sender = stack.enter_context(OscSender(osc))
            pipeline.voice.on_code.append(lambda code: sender.send(code.motion))
        speaker = None
        if audio_out is not None or make_cable:
            from realtime.audio.audio_out import AudioOut

            speaker = AudioOut(audio_out or "pulse", sound.rate_hz, pipeline.sound_delay_ns)
            if cable is not None:
                speaker.name, speaker.prepare = cable.source, cable.restore
            sound.taps.append(speaker.tap)
        session = LiveSession(
            pipeline, engines, portrait, size, emotion, mark, None, speaker, av_offset_ms, sinks[0].name
        )
        if sender is not None:
            sender.tell = session.tell
        stack.enter_context(session.lighter)
        stack.enter_context(sound)
        if speaker is not None:
            stack.enter_context(speaker)
        if json_log is not None:  # now that everything else is there: what fails leaves no empty one
            session.log = stack.enter_context(_open_log(json_log, overwrite))
        try:
            _run(session, raw)
        except KeyboardInterrupt:
            pipeline.stop()
        finally:
            session.finish_snapshots()
            session.say_notes(wait=True)
            print(_closing_line(session), file=sys.stderr if raw else sys.stdout)
        session.write_log()
        for note in sound.warnings():
            say(f"note: {note}")
    pipeline.raise_if_error()
    if session.log_error is not None:
        raise session.log_error


def _run(session: LiveSession, raw: bool) -> None:
    """The main thread's part: the view and the keys where there is a terminal, else a plain wait."""
    from realtime.commands.keys import Keys, in_foreground

    pipeline = session.pipeline
    terminal = sys.stdout.isatty() and in_foreground(sys.stdout.fileno())
    interactive = terminal and not raw and os.environ.get("TERM") not in ("dumb", "unknown")
    with ExitStack() as stack:
        stack.enter_context(pipeline)
        keys = stack.enter_context(Keys())
        view = None
        if interactive:
            from rich.live import Live

            from realtime.commands.live_view import draw

            session.has_view = True
            stack.callback(setattr, session, "has_view", False)
            if sys.stderr.isatty():
                stack.enter_context(hushed())
            view = stack.enter_context(Live(draw(pipeline, session.state), refresh_per_second=8, transient=True))
        else:
            say(f"live: {session.state['microphone']} -> {session.state['camera']} (Ctrl-C ends it)")
        keys_told = keys.on or raw
        while pipeline.wait(0.12) is None:
            if interrupts.came:  # and was swallowed
                interrupts.heed()
                return
            session.poll()
            session.say_notes()
            if view is not None:
                view.update(draw(pipeline, session.state))
            if keys.on and not keys_told:  # `fg` has brought it forward: there is no view that names them
                keys_told = True
                from realtime.commands.live_view import KEYS

                say(f"keys: {KEYS}")
            while key := keys.pressed():
                if not session.key(key):
                    return


def _closing_line(session: LiveSession) -> str:
    meters, age = session.pipeline.meters, session.pipeline.meters.newest_sample_age
    elapsed_s = max((session.clock.now_ns() - session.start_ns) / NS, 1e-3)
    return (
        f"{meters.pictures} pictures in {elapsed_s:.1f} s, {meters.late_pictures} late; newest sound in a picture "
        f"{age.percentile_ms(50):.1f} ms old, p99 {age.percentile_ms(99):.1f}; "
        f"{(cpu_s() - session.cpu_before_s) / elapsed_s:.2f} of a core"
    )


def _check_log(path: Path, overwrite: bool) -> None:
    """ConfigError or WrongTarget where there can be none; nothing is opened."""
    try:
        if path.is_file() and not overwrite:
            raise ConfigError(f"{path} exists", "add --overwrite, or name another file")
        if path.is_dir():
            raise WrongTarget(f"there can be no log {path} (it is a folder)", "name a file in a folder")
        if not path.parent.is_dir():
            raise WrongTarget(f"there can be no log {path} (there is no such folder)", "name a file in a folder")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})", "name another file") from error


@contextmanager
def _open_log(path: Path, overwrite: bool) -> Iterator[TextIO]:
    """A new file for one session: its counters begin at zero, so it is not added to another one's."""
    _check_log(path, overwrite)
    try:
        file = path.open("w")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise WrongTarget(f"there can be no log {path} ({error.strerror})", "name a file in a folder") from error
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})", "name another file") from error
    try:
        yield file
    finally:
        with suppress(OSError):  # a line that could not be written is tried once more
            file.close()
