"""`voxcam live`: a photo and a microphone become a camera."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engines.errors import ConfigError, OutputError, WrongTarget
from engines.spec import SPEC
from realtime.audio.microphone import STREAMS, Microphone, hushed
from realtime.cli import say
from realtime.clock import NS, SystemClock, cpu_s
from realtime.commands.live_session import LiveSession
from realtime.commands.options import (
    CAMERA_SIZE,
    Articulation,
    C2paCertificates,
    C2paKey,
    Engine,
    Fps,
    LookaheadMs,
    Mood,
    PortraitPath,
    Seed,
    Threads,
    checked_engine,
    parse_size,
)
from realtime.interrupts import interrupts
from realtime.pacer import checked_lookahead, checked_rate
from realtime.pictures.provenance import open_signer
from realtime.targets import check_windows_name, checked_apart

if TYPE_CHECKING:
    from realtime.audio.audio_out import AudioOut
    from realtime.audio.cable import Cable
    from realtime.audio.sources import Source
    from realtime.engines_in_use import Engines
    from realtime.pictures.provenance import ContentSigner
    from realtime.pictures.sinks import Sink
    from realtime.pipeline import Pipeline

CABLE_S, LEAST_CABLE_S = 4.0, 1.0  # how long the end waits until the cable is removed; where the sound server hangs
SHOW_CURSOR = b"\x1b[?25h"


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """The command line of `voxcam live`, by the names of its options."""

    portrait: Path
    microphone: str | None
    camera: str | None
    camera_size: str | None
    preview: bool
    raw: bool
    out: Path | None
    overwrite: bool
    c2pa_cert: Path | None
    c2pa_key: Path | None
    seconds: float | None
    source: str | None
    source_rate: int | None
    source_channels: int | None
    source_format: str | None
    fps: int
    lookahead_ms: int
    emotion: str
    articulation: float
    seed: int | None
    audio_out: str | None
    make_cable: bool
    av_offset_ms: float
    badge: bool
    osc: str | None
    json_log: Path | None
    engine: str
    threads: int
    nice: int

    @property
    def picture_size(self) -> str:
        """The camera picture's, asked for or not."""
        return self.camera_size or CAMERA_SIZE


def open_source(microphone: str | None, source: str | None, rate: int, channels: int, sample_format: str) -> Source:
    """The source that the options name; not yet entered."""
    if source == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise ConfigError(
                "--source - reads a pipe, not a terminal",
                "ffmpeg -re -i SOUND -ar 16000 -ac 1 -f s16le - | voxcam live ...",
            )
        from realtime.audio.pipe import PipeSource

        return PipeSource(None, rate, channels, sample_format)
    if source is not None:
        from realtime.audio.sound import SoundFile
        from realtime.audio.sources import FileSource

        return FileSource(SoundFile(source), paced=True)
    if microphone is not None and microphone.startswith("pyaudio:"):
        from realtime.audio.pyaudio_microphone import PyAudioMicrophone

        return PyAudioMicrophone(microphone.partition(":")[2])
    from realtime.audio.microphone import Microphone

    return Microphone(microphone)


def live(
    portrait: PortraitPath,
    microphone: Annotated[
        str | None, typer.Option(help="Name, part of it, or number; pyaudio:NAME for PyAudio.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="The virtual camera, such as /dev/video0; none for no camera.")
    ] = None,
    camera_size: Annotated[
        str | None, typer.Option(help="Width x height of the camera picture.", show_default=CAMERA_SIZE)
    ] = None,
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
    source_rate: Annotated[
        int | None, typer.Option(min=4000, max=384000, help="Of raw samples, Hz; 16000 if left out.")
    ] = None,
    source_channels: Annotated[int | None, typer.Option(min=1, max=32, help="Of raw samples; 1 if left out.")] = None,
    source_format: Annotated[
        str | None, typer.Option(help="Of raw samples: s16le, s32le or f32le; s16le if left out.")
    ] = None,
    fps: Fps = 25,
    lookahead_ms: LookaheadMs = 0,
    emotion: Mood = "auto",
    articulation: Articulation = 1.0,
    seed: Seed = None,
    audio_out: Annotated[str | None, typer.Option(help="Play the microphone there, in step with the picture.")] = None,
    make_cable: Annotated[bool, typer.Option("--make-cable", help="Make a virtual cable for that (Linux).")] = False,
    av_offset_ms: Annotated[float, typer.Option(min=-500, max=500, help="Extra delay of that sound.")] = 0.0,
    badge: Annotated[bool, typer.Option("--badge/--no-badge", help="The small AI badge in the corner.")] = True,
    osc: Annotated[str | None, typer.Option(help="Also send the motion to HOST:PORT (VMC over OSC).")] = None,
    json_log: Annotated[Path | None, typer.Option(help="Write one JSON line a second.")] = None,
    engine: Engine = "onnxruntime",
    threads: Threads = 1,
    nice: Annotated[int, typer.Option(min=0, max=19, help="Let other programs go first.")] = 0,
) -> None:
    """A photo and your microphone become a camera for calls. Ctrl-C or q ends it."""
    options = LiveOptions(**locals())
    _check(options)
    if nice:
        if hasattr(os, "nice"):
            os.nice(nice)
        else:
            say("note: --nice has no effect on this system")
    interrupts.impatient = True  # devices may hang
    with ExitStack() as stack:
        session = _opened(options, stack)
        pipeline = session.pipeline
        try:
            _run(session, raw)
        except KeyboardInterrupt:
            pipeline.stop()
        finally:
            session.finish_snapshots()
            session.say_notes(wait=True)
            say(_closing_line(session), sys.stderr if raw else sys.stdout)
        session.write_log()
        for note in pipeline.source.warnings():
            say(f"note: {note}")
    for note in (note for worker in pipeline.workers for note in worker.sink.notes):
        say(f"note: {note}")
    pipeline.raise_if_error()
    if session.log_error is not None:
        raise session.log_error


def _check(options: LiveOptions) -> None:
    """ConfigError for what cannot be meant, before a photo is analysed and a device is opened."""
    from engines.motion.expression import parse_emotion
    from realtime.osc import parse_target

    checked_rate(options.fps)
    checked_lookahead(options.lookahead_ms)
    checked_engine(options.engine)
    parse_emotion(options.emotion)
    parse_size(options.picture_size)
    if options.osc is not None:
        parse_target(options.osc)
    if options.seconds is not None and not math.isfinite(options.seconds):
        raise ConfigError(f"--seconds {options.seconds} is no length of time", "leave it out to go on until Ctrl-C")
    _check_files(options)
    _check_sound(options)
    if options.raw and sys.stdout.isatty():
        raise ConfigError("--raw would fill the terminal with pictures", "send it on: | ffplay -f rawvideo ... -")


def _check_files(options: LiveOptions) -> None:
    read = [("--portrait", options.portrait)]
    if options.source is not None and options.source != "-":
        read.append(("--source", Path(options.source)))
    written = (("--out", options.out), ("--json-log", options.json_log))
    checked_apart(read, [(name, path) for name, path in written if path is not None])
    if options.json_log is not None:
        _check_log(options.json_log, options.overwrite)


def _check_sound(options: LiveOptions) -> None:
    if options.source is not None and options.microphone is not None:
        raise ConfigError("--microphone and --source exclude each other", "leave one out")
    if options.make_cable and options.audio_out is not None:
        raise ConfigError("--make-cable and --audio-out exclude each other", "leave one out")
    if options.av_offset_ms and not options.make_cable and options.audio_out is None:
        raise ConfigError("--av-offset-ms moves the sound of a cable", "add --make-cable or --audio-out")
    if options.source == "-":
        return
    told = {"rate": options.source_rate, "channels": options.source_channels, "format": options.source_format}
    for name, value in told.items():
        if value is not None:
            raise ConfigError(f"--source-{name} tells of raw samples, and none are read", "add --source -")


def _opened(options: LiveOptions, stack: ExitStack) -> LiveSession:
    """All that a call needs, ready to run; the stack closes it."""
    from realtime.pictures.badge import Badge

    signer = open_signer(options.c2pa_cert, options.c2pa_key, options.out)
    cable = None
    if options.make_cable:
        cable = stack.enter_context(_cable())
        say(f"choose {cable.source} as the microphone in your call")
    sound = open_source(
        options.microphone,
        options.source,
        options.source_rate or SPEC.sample_rate_hz,
        options.source_channels or 1,
        options.source_format or "s16le",
    )
    stack.callback(sound.close)
    sinks = _sinks(sound, options.camera, options.out, options.overwrite, signer, options.preview, options.raw)
    pipeline, engines = _pipeline(options, stack, sound, sinks)
    sender = None
    if options.osc is not None:
        from realtime.osc import OscSender

        sender = stack.enter_context(OscSender(options.osc))
        pipeline.voice.on_code.append(lambda code: sender.send(code.motion))
    speaker = _speaker(sound, options.audio_out, cable, pipeline.sound_delay_ns)
    session = LiveSession(
        pipeline,
        engines,
        options.portrait,
        parse_size(options.picture_size),
        options.emotion,
        pipeline.face.badge or Badge(pipeline.face.height, pipeline.face.width),
        None,
        speaker,
        options.av_offset_ms,
        sinks[0].name,
    )
    if sender is not None:
        sender.tell = session.tell
    stack.enter_context(session.lighter)
    stack.enter_context(sound)
    if speaker is not None:
        stack.enter_context(speaker)
    for sink in sinks:
        if sink.wants_sound:
            stack.callback(sink.close)  # a recording comes first: sound devices may take their time
    if options.json_log is not None:  # now that everything else is there: what fails leaves no empty one
        session.log = stack.enter_context(_open_log(options.json_log, options.overwrite))
    return session


def _pipeline(options: LiveOptions, stack: ExitStack, sound: Source, sinks: list[Sink]) -> tuple[Pipeline, Engines]:
    """The portrait's pipeline from the sound, not yet entered, to the sinks, which are opened; and its engines."""
    from engines.compiling import watch_compiling
    from realtime.engines_in_use import open_engines, seed_of
    from realtime.faces import load_portrait
    from realtime.pictures.badge import Badge
    from realtime.pipeline import Pipeline

    # Whose size is as enrolled wonders only where a size was asked for, or a call sees it.
    asked = options.camera_size is not None or options.camera != "none"
    portrayed = load_portrait(options.portrait, camera=parse_size(options.picture_size), asked=asked)
    for note in portrayed.notes:
        say(f"note: {note}")
    portrait, seed = portrayed.portrait, options.seed
    with watch_compiling(say):
        engines = stack.enter_context(
            open_engines(
                emotion=options.emotion,
                articulation=options.articulation,
                seed=seed_of(portrait, SystemClock().now_ns()) if seed is None else seed,
                threads=options.threads,
                engine=options.engine,
            )
        )
        engines.take_up(portrait)
    height, width = portrait.size
    for sink in sinks:
        stack.enter_context(sink)
        if sink.wants_sound:
            stack.enter_context(interrupts.at_sudden_end(interrupts.to_finish, sink.close))
        sink.open(height, width, options.fps)
    pipeline = Pipeline(
        sound,
        engines.encoder,
        engines.shaper,
        engines.generator,
        portrait,
        sinks,
        size=(height, width),
        picture_rate=options.fps,
        lookahead_ms=options.lookahead_ms,
        badge=Badge(height, width) if options.badge else None,
        samples_limit=round(options.seconds * SPEC.sample_rate_hz) if options.seconds else None,
    )
    return pipeline, engines


def _sinks(
    sound: Source,
    camera: str | None,
    out: Path | None,
    overwrite: bool,
    signer: ContentSigner | None,
    preview: bool,
    raw: bool,
) -> list[Sink]:
    """Where the pictures go, the camera first; not yet open. Never none: delays are measured at the first one.

    camera: None for the one that is there, "none" for none; out: the recording, with the sound in it.
    """
    from realtime.pictures.sinks import NullSink, RawSink

    sinks: list[Sink] = []
    if camera != "none":
        from realtime.pictures.camera import CameraSink

        sinks.append(CameraSink(camera))
    if out is not None:
        from realtime.pictures.video_file import VideoFile

        sinks.append(
            VideoFile(
                out, sound.rate_hz, sound.channels, overwrite=overwrite, preset="ultrafast", signer=signer, keep=True
            )
        )
    if preview:
        from realtime.pictures.preview import PreviewSink

        sinks.append(PreviewSink())
    if raw:
        sinks.append(RawSink())
    return sinks or [NullSink()]


def _speaker(sound: Source, audio_out: str | None, cable: Cable | None, delay_ns: int) -> AudioOut | None:
    """The delayed microphone, to a sound output or into a cable of ours; None where nobody wants it. Not yet entered.

    delay_ns: how far behind its capture the sound is heard at first; the session corrects it.
    """
    if audio_out is None and cable is None:
        return None
    from realtime.audio.audio_out import AudioOut

    speaker = AudioOut(audio_out or "pulse", sound.rate_hz, delay_ns)
    if cable is not None:
        speaker.name, speaker.prepare = cable.source, cable.restore
        if isinstance(sound, Microphone):
            sound.hears_cable = cable.hears_itself
    sound.taps.append(speaker.tap)
    return speaker


@contextmanager
def _cable() -> Iterator[Cable]:
    """Removed at the end, also at a sudden one, unless the sound server does not answer any more."""
    from realtime.audio.cable import Cable

    cable = Cable()
    remove = partial(cable.__exit__, None, None, None)
    with interrupts.at_sudden_end(interrupts.to_put_back, remove):
        try:
            yield cable.__enter__()
        finally:
            STREAMS.at_end(remove, CABLE_S, LEAST_CABLE_S)


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

            stack.enter_context(interrupts.at_sudden_end(interrupts.terminal, _show_cursor))
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


def _show_cursor() -> None:
    """What the view has hidden."""
    os.write(sys.stdout.fileno(), SHOW_CURSOR)


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
    if sys.platform == "win32":
        check_windows_name(path.name)
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
def _open_log(path: Path, overwrite: bool) -> Iterator[FileIO]:
    """A new file for one session, unbuffered: its counters begin at zero, so it is not added to another one's."""
    _check_log(path, overwrite)
    try:
        file = path.open("wb", buffering=0)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise WrongTarget(f"there can be no log {path} ({error.strerror})", "name a file in a folder") from error
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})", "name another file") from error
    try:
        yield file
    finally:
        with suppress(OSError):
            file.close()
