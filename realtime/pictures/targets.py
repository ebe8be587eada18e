"""Files that a command is to write, checked before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from engines.errors import ConfigError, OutputError, WrongTarget

FILE_ENDINGS = (".mp4", ".mkv", ".mov", ".webm", ".png", ".jpg", ".npz")  # no folder is meant to be called so


def checked_target(path: Path, overwrite: bool, suffixes: tuple[str, ...]) -> Path:
    """The path if a file of this kind can be written there; ConfigError or OutputError with what to do."""
    if path.suffix.lower() not in suffixes:
        name = "" if str(path) == "." else path.name
        if len(suffixes) == 1:
            raise ConfigError(f"{name!r} does not end in {suffixes[0]}", f"name it {path.stem or 'out'}{suffixes[0]}")
        raise ConfigError(f"{name!r} has no known ending", f"use one of {', '.join(suffixes)}")
    try:
        there, is_folder = path.exists(), path.is_dir()
    except OSError as error:  # a name of 300 letters, for one
        raise WrongTarget(f"no file can be called {path.name[:40]}... ({error.strerror})", "name another") from error
    if is_folder:
        raise WrongTarget(f"{path} is a folder", "name a file")
    if there and not overwrite:
        raise ConfigError(f"{path} exists", "add --overwrite, or name another file")
    if path.parent.exists() and not path.parent.is_dir():
        raise WrongTarget(f"{path.parent} is a file, not a folder", "name another")
    if not path.parent.is_dir():
        raise WrongTarget(f"there is no folder {path.parent}", f"mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path.parent} cannot be written to", "name another folder")
    return path


def checked_folder(path: Path) -> Path:
    """The folder, made where it is missing; OutputError where it can't be.

    WrongTarget where a file has its name, or where the name is a video's or a picture's: a file was meant.
    """
    if path.suffix.lower() in FILE_ENDINGS and not path.exists():
        raise WrongTarget(f"{path} would be a folder", f"name a folder, such as {path.with_suffix('')}")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise WrongTarget(f"{path} is a file or lies in one", "name a folder") from error
    except OSError as error:
        raise OutputError(f"the folder {path} cannot be made ({error.strerror})", "name another") from error
    return path
