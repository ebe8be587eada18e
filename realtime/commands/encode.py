"""`voxcam encode`: the codes of a sound, or of a folder of sounds, as arrays in an npz file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from engines.errors import ConfigError, InputError, OutputError, VoxcamError, WrongInput
from engines.spec import SPEC
from engines.whole_file import write_atomically, write_npz
from realtime.cli import say
from realtime.commands.options import Articulation, LookaheadMs, Threads
from realtime.commands.progress import progress_bar
from realtime.course import SIZES, chunks_of, encode_chunks, hops_of
from realtime.pacer import checked_lookahead
from realtime.talking_clip import CLIP_ENDINGS
from realtime.targets import checked_folder, checked_target, readable, taken_notes, unless_taken

SOUND_ENDINGS = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aiff", ".aif", ".au", ".wma"),
    *CLIP_ENDINGS,
)


def sounds_in(folder: Path) -> list[Path]:
    """Sound files of a folder by name; InputError where there are none, ConfigError where two share a stem."""
    found = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SOUND_ENDINGS)
    if not found:
        raise InputError(f"{folder} holds no sound files", f"known endings: {' '.join(SOUND_ENDINGS)}")
    stems: dict[str, Path] = {}
    for path in found:
        # Where Take.npz and take.npz are one file.
        other = stems.setdefault(path.stem.casefold() if sys.platform in ("win32", "darwin") else path.stem, path)
        if other is not path:
            raise ConfigError(f"{other.name} and {path.name} would both become {path.stem}.npz", "rename one of them")
    return found


def encode(
    audio: Annotated[
        Path, typer.Option("--audio", "-a", help="A sound file, a video with sound, or a folder of them.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The npz to write; a folder if --audio is one.")],
    lookahead_ms: LookaheadMs = 80,
    plot: Annotated[Path | None, typer.Option(help="Also draw waveform, spectrum, phones and lips (png).")] = None,
    emotion: Annotated[str, typer.Option(help="In the motion: off, auto, or a name such as happiness:0.5.")] = "off",
    articulation: Articulation = 1.0,
    idle: Annotated[bool, typer.Option("--idle/--no-idle", help="Blinks, gaze and head motion in the motion.")] = False,
    seed: Annotated[int, typer.Option(help="Of the idle motion.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    threads: Threads = 1,
) -> None:
    """The codes of a sound as arrays (codes, size), 50 a second: content, emotion, noise, speaker, motion, phones."""
    from engines.encoder import open_encoder
    from engines.shaper import Shaper

    checked_lookahead(lookahead_ms)
    if not audio.exists():
        raise WrongInput(f"there is no sound {audio}", "check the path")
    if plot is not None:
        if audio.is_dir():
            raise ConfigError("--plot draws one sound, not a folder", "give one file as --audio")
        checked_target(plot, overwrite, (".png",))
    if audio.is_dir():
        sounds = sounds_in(audio)
        checked_folder(out, make=False)
        targets = [out / f"{path.stem}.npz" for path in sounds]
    else:
        sounds, targets = [audio], [out]
    if out.is_dir() or not audio.is_dir():  # a folder that is to be made holds nothing yet
        for target in targets:
            checked_target(target, overwrite, (".npz",))

    failed = 0
    shaper = Shaper(SPEC, lookahead_ms, seed, idle, emotion, articulation)
    with open_encoder(threads=threads) as encoder:
        if audio.is_dir():
            checked_folder(out)  # made only now: what was refused before leaves no empty one
        for path, target in zip(sounds, targets, strict=True):
            try:
                with progress_bar(path.name) as progress:
                    hops = hops_of(path, lambda note: say(f"note: {note}"), progress)
                    course = encode_chunks(chunks_of(hops), encoder, shaper, lookahead_ms)
            except InputError as error:
                if len(sounds) == 1:
                    raise
                say(f"voxcam: skipped {error}")
                failed += 1
                continue
            arrays = course.finished()
            wished, target = target, unless_taken(target, overwrite)
            write_npz(target, arrays, compressed=False)
            for note in taken_notes(wished, target):
                say(f"note: {note}")
            print(f"{readable(target)}: {course.count} codes, {course.count / SPEC.codes_per_second:.2f} s")
    if plot is not None:
        write_plot(plot, audio, arrays, overwrite)
    if failed:
        raise VoxcamError(f"{failed} of {len(sounds)} sounds could not be read", "see the lines above")


def write_plot(path: Path, audio: Path, arrays: dict[str, np.ndarray], overwrite: bool) -> None:
    """Waveform, log-mel spectrum, phones, opening of the lips and presence over the first half minute, as a png."""
    import cv2

    from realtime.pictures.codes_plot import PLOT_S, draw_plot

    codes = min(len(arrays["times_s"]), int(np.ceil(PLOT_S * SPEC.codes_per_second)))
    picture = draw_plot(first_samples(audio, PLOT_S), {name: arrays[name][:codes] for name in SIZES}, codes)
    if len(arrays["times_s"]) > codes:
        say(f"note: {path.name} shows the first {PLOT_S:.0f} s")
    written, encoded = cv2.imencode(".png", picture)
    if not written:
        raise OutputError(f"the picture {path} could not be made", "leave --plot out")
    wished, path = path, unless_taken(path, overwrite)
    write_atomically(path, encoded.tobytes())
    for note in taken_notes(wished, path):
        say(f"note: {note}")
    print(readable(path))


def first_samples(audio: Path, seconds: float) -> np.ndarray:
    """The sound's first seconds at 16 kHz, mono, (n,) float32."""
    hops, wanted = [], int(seconds * SPEC.sample_rate_hz) // SPEC.hop_samples
    for hop in hops_of(audio, lambda note: None, lambda done, total: None):
        hops.append(np.array(hop))
        if len(hops) == wanted:
            break
    return np.concatenate(hops)
