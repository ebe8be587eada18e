"""`voxcam render`: a photo and a sound become a talking video. The same path as live, run faster than time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from engines.errors import OutputError, Stopped
from engines.spec import SPEC
from realtime.cli import say
from realtime.clock import NS, SystemClock
from realtime.commands.options import (
    Articulation,
    C2paCertificates,
    C2paKey,
    Engine,
    FaceSize,
    Fps,
    LookaheadMs,
    Mood,
    PortraitPath,
    Seed,
    Threads,
    checked_engine,
)
from realtime.commands.progress import progress_bar
from realtime.pacer import checked_lookahead, checked_rate
from realtime.pictures.provenance import ContentSigner, open_signer

WORTH_TELLING_S = 2.0  # of compiling: a kernel or two are not worth a line


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was made, and how fast."""

    path: Path
    seconds: float  # of sound
    pictures: int
    wall_s: float  # from the first hop to the finished file
    first_picture_s: float  # from the start of the stream
    complete: bool  # False when it was interrupted: then there is a file only where there are pictures
    notes: tuple[str, ...] = ()

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of sound; below 1 is faster than time."""
        return self.wall_s / self.seconds if self.seconds else 0.0


def render_file(
    portrait: Any,
    engines: Any,
    audio: Path,
    out: Path,
    *,
    picture_rate: int = 25,
    lookahead_ms: int = 80,
    badge: bool = False,
    overwrite: bool = False,
    sheet: Path | None = None,
    title: str = "",
    signer: ContentSigner | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Rendered:
    """Render one file. `progress(done_s, total_s)` is called a few times a second.

    Interrupted (KeyboardInterrupt), it finishes the file with what there is and returns with complete=False. It takes
    the place of no other one then: the path is that of NAME.part.mp4 beside it, and a sheet that is there stays.
    """
    from realtime.audio.sound import SoundFile
    from realtime.audio.sources import FileSource
    from realtime.pictures.badge import Badge
    from realtime.pictures.sheet import ContactSheet, face_view
    from realtime.pictures.video_file import VideoFile
    from realtime.pipeline import Pipeline
    from realtime.targets import free_name, readable, taken_notes, unless_taken

    clock = SystemClock()
    height, width = portrait.size
    compiled_s = engines.take_up(portrait)  # start-up, and no part of how fast a video is made
    begin_ns = clock.now_ns()
    notes = []
    if compiled_s > WORTH_TELLING_S:
        notes.append(f"drawing was compiled for this machine in {compiled_s:.0f} s: once, and kept")
    contact = ContactSheet(view=face_view(portrait)) if sheet is not None else None
    with ExitStack() as stack:
        sound = stack.enter_context(SoundFile(audio))
        source = FileSource(sound, paced=False)
        file = VideoFile(out, sound.rate_hz, sound.channels, overwrite=overwrite, portrait_name=title, signer=signer)
        stack.callback(file.abandon)  # nothing where it is closed by then
        pipeline = Pipeline(
            source,
            engines.encoder,
            engines.shaper,
            engines.generator,
            portrait,
            [file],
            size=(height, width),
            picture_rate=picture_rate,
            lookahead_ms=lookahead_ms,
            badge=Badge(height, width) if badge else None,
        )
        file.open(height, width, picture_rate)
        if contact is not None:
            pipeline.on_picture.append(
                lambda picture: contact.see(picture.index, picture.pixels, pipeline.face.opening)
            )
            pipeline.voice.on_hop.append(contact.hear)
        complete = True
        try:
            with pipeline:
                while pipeline.wait(0.1) is None:
                    if progress is not None:
                        progress(pipeline.meters.pictures / picture_rate, sound.seconds or 0.0)
        except KeyboardInterrupt:
            complete = False
        error = pipeline.error if complete else pipeline.recording_error
        if error is not None:
            file.abandon()
            raise error
        if not complete:
            file.cut_sound()
            if out.exists():
                file.path = free_name(out, "part")
        file.close()
        if progress is not None and complete:
            progress(1.0, 1.0)
        wall_s = (clock.now_ns() - begin_ns) / NS
        seconds = min(pipeline.sound_samples / SPEC.sample_rate_hz, pipeline.meters.pictures / picture_rate)
        if complete:
            seconds = sound.read_s
        if contact is not None and sheet is not None and pipeline.meters.pictures and (complete or not sheet.exists()):
            wished, sheet = sheet, unless_taken(sheet, overwrite)
            notes += taken_notes(wished, sheet)
            try:
                contact.save(sheet, picture_rate, readable(title))
            except OutputError as refused:
                raise OutputError(f"the video {file.path} is kept, but {refused.what}", refused.fix) from refused
        return Rendered(
            file.path,
            seconds,
            pipeline.meters.pictures if complete else file.pictures,
            wall_s,
            (pipeline.first_picture_ns - begin_ns) / NS,
            complete,
            (*notes, *source.warnings(), *file.notes),
        )


def render(
    portrait: PortraitPath,
    audio: Annotated[Path, typer.Option("--audio", "-a", help="Any sound file, or a video with sound.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The video to write: mp4, mkv or webm.")],
    fps: Fps = 25,
    lookahead_ms: LookaheadMs = 80,
    emotion: Mood = "auto",
    articulation: Articulation = 1.0,
    size: FaceSize = "full",
    seed: Seed = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    badge: Annotated[bool, typer.Option("--badge/--no-badge", help="Draw a small AI badge in a corner.")] = False,
    sheet: Annotated[Path | None, typer.Option(help="Also write a contact sheet (png or jpg).")] = None,
    engine: Engine = "onnxruntime",
    threads: Threads = 1,
    c2pa_cert: C2paCertificates = None,
    c2pa_key: C2paKey = None,
) -> None:
    """A photo and a sound become a talking video."""
    from engines.compiling import watch_compiling
    from engines.motion.expression import parse_emotion
    from realtime.audio.sound import SoundFile
    from realtime.engines_in_use import open_engines, seed_of
    from realtime.faces import load_portrait
    from realtime.pictures.video_file import CODECS
    from realtime.targets import checked_apart, checked_target

    checked_rate(fps)
    checked_lookahead(lookahead_ms)
    checked_engine(engine)
    parse_emotion(emotion)  # a slip is told before a photo is analysed
    checked_target(out, overwrite, tuple(CODECS))
    signer = open_signer(c2pa_cert, c2pa_key, out)
    written = [("--out", out)]
    if sheet is not None:
        checked_target(sheet, overwrite, (".png", ".jpg", ".jpeg"))
        written.append(("--sheet", sheet))
    checked_apart([("--portrait", portrait), ("--audio", audio)], written)
    SoundFile(audio).close()  # a sound that cannot be read is told before a photo is analysed
    portrayed = load_portrait(portrait, size)
    for note in portrayed.notes:
        say(f"note: {note}")
    seed = seed_of(portrayed.portrait) if seed is None else seed
    with (
        watch_compiling(say),
        open_engines(emotion=emotion, articulation=articulation, seed=seed, threads=threads, engine=engine) as engines,
        progress_bar("rendering") as progress,
    ):
        made = render_file(
            portrayed.portrait,
            engines,
            audio,
            out,
            picture_rate=fps,
            lookahead_ms=lookahead_ms,
            badge=badge,
            overwrite=overwrite,
            sheet=sheet,
            title=portrait.stem,
            signer=signer,
            progress=progress,
        )
    tell(made, out, portrayed.portrait.size)


def tell(made: Rendered, out: Path, size: tuple[int, int]) -> None:
    """Notes and the closing line; Stopped where it was interrupted. size: height and width, px."""
    for note in made.notes:
        say(f"note: {note}")
    if made.complete or made.pictures:
        print(closing_line(made, size))
    if not made.complete:
        raise Stopped(stopped_line(made, out))


def stopped_line(made: Rendered, out: Path) -> str:
    """What an interrupted one has left."""
    if not made.pictures:
        return "stopped before the first picture: nothing was written"
    if made.path != out:
        return f"stopped before the end: {made.path} holds what was made so far, {out} is as it was"
    return "stopped before the end: the file holds what was made so far"


def closing_line(made: Rendered, size: tuple[int, int]) -> str:
    from realtime.targets import readable

    factor, path = made.real_time_factor, readable(made.path)
    speed = f"{1 / factor:.1f}x faster than time" if 0 < factor <= 1 else f"{factor:.1f}x slower than time"
    return (
        f"{path}: {made.seconds:.2f} s, {made.pictures} pictures {size[1]}x{size[0]}, made in {made.wall_s:.2f} s "
        f"(real-time factor {factor:.2f}: {speed})"
    )
