"""`voxcam live`: a photo and a microphone become a camera."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from engines.errors import ConfigError, OutputError, WrongTarget
from engines.spec import SPEC
from realtime.audio.microphone import STREAMS, hushed
from realtime.cli import say
from realtime.clock import NS, SystemClock, cpu_s
from realtime.commands.live_session import LiveSession
from realtime.commands.options import (
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
    parse_size,
)
from realtime.interrupts import interrupts
from realtime.pacer import checked_lookahead, checked_rate
from realtime.pictures.provenance import open_signer
from realtime.targets import checked_apart

if TYPE_CHECKING:
    from realtime.audio.audio_out import AudioOut
    from realtime.audio.cable import Cable
    from realtime.audio.sources import Source
    from realtime.pictures.provenance import ContentSigner
    from realtime.pictures.sinks import Sink

CABLE_S, LEAST_CABLE_S = 4.0, 1.0  # how long the end waits until the cable is removed; where the sound server hangs
SHOW_CURSOR = b"\x1b[?25h"


def open_source(microphone: str | None, source: str | None, rate: int, channels: int, sample_format: str) -> Source:
    """The source that the options name; not yet entered."""
    if source is not None and microphone is not None:
        raise ConfigError("--microphone and --source exclude each other", "leave one out")
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
    from realtime.engines_in_use import open_engines, seed_of
    from realtime.faces import load_portrait
    from realtime.pictures.badge import Badge
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

    interrupts.impatient = True  # devices may hang
    with ExitStack() as stack:
        cable = None
        if make_cable:
            cable = stack.enter_context(_cable())
            say(f"choose {cable.source} as the microphone in your call")
        sound = open_source(microphone, source, source_rate, source_channels, source_format)
        stack.callback(sound.close)
        sinks = _sinks(sound, camera, out, overwrite, signer, preview, raw)
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
            if sink.wants_sound:
                stack.enter_context(interrupts.at_sudden_end(interrupts.to_finish, sink.close))
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
        speaker = _speaker(sound, audio_out, cable, pipeline.sound_delay_ns)
        session = LiveSession(
            pipeline, engines, portrait, size, emotion, mark, None, speaker, av_offset_ms, sinks[0].name
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
    for note in (note for sink in sinks for note in sink.notes):
        say(f"note: {note}")
    pipeline.raise_if_error()
    if session.log_error is not None:
        raise session.log_error


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
