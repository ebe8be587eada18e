"""`voxcam enroll`: analyse a photo once and keep the portrait."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from engines.errors import ConfigError, WrongInput
from realtime.cli import say
from realtime.commands.options import FaceSize, parse_size
from realtime.commands.progress import progress_bar


def enroll(
    photo: Annotated[Path, typer.Argument(help="A photo of one person who looks at the camera.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="portrait.npz, or a folder to put portrait.npz into.")],
    size: FaceSize = "full",
    camera_size: Annotated[str | None, typer.Option(help="Cut the photo for a camera, such as 1280x720.")] = None,
    teeth: Annotated[
        Path | None, typer.Option(help="A smiling photo or clip of the same person, to take the teeth from.")
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(help="Ten seconds of video in which you speak: the mouth moves as far as yours.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing portrait.")] = False,
) -> None:
    """Analyse a photo once and keep the portrait."""
    from realtime.faces import FACE_SIZES, analyse_photo, checked_photo
    from realtime.talking_clip import CLIP_ENDINGS
    from realtime.targets import checked_folder, checked_target, readable, taken_notes, unless_taken

    if size not in FACE_SIZES:
        raise ConfigError(f"there is no size {size!r}", "use --size full or --size face")
    camera = parse_size(camera_size) if camera_size is not None else None
    if size == "face" and camera is not None:
        raise ConfigError("--size face and --camera-size exclude each other", "leave one out")
    target = out if out.suffix.lower() == ".npz" else out / "portrait.npz"
    checked_photo(photo)
    for path in (teeth, clip):
        if path is not None and path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "a pipe or a device"
            raise WrongInput(f"{path} is {kind}, not a file", "save what it gives to a file first")
    checked_folder(target.parent, make=False)
    if target.parent.is_dir():
        checked_target(target, overwrite, (".npz",))
    watched = clip is not None or (teeth is not None and teeth.suffix.lower() in CLIP_ENDINGS)
    with progress_bar("watching the clip") if watched else nullcontext() as progress:
        made = analyse_photo(photo, size, camera, teeth, clip, progress)
    checked_folder(target.parent)  # not before there is something to put into it
    wished, target = target, checked_target(unless_taken(target, overwrite), overwrite, (".npz",))
    made.portrait.save(target)
    for note in (*made.notes, *taken_notes(wished, target)):
        say(f"note: {note}")
    height, width = made.portrait.size
    shown = readable(target)
    print(f"{shown}: {width}x{height}; next: voxcam live --portrait {shown}")
