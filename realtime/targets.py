"""Files that a command is to write, checked before any work is done."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from engines.errors import ConfigError, OutputError, WrongTarget

LONG_NAME_BYTES = 100  # some file systems take 143 (eCryptfs), most 255 bytes or UTF-16 units
# What Windows keeps for devices, whatever ending follows, and what it takes in no name.
WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|con(in|out)\$|(com|lpt)[1-9\u00b9\u00b2\u00b3]) *(\..*)?", re.I | re.S)
WINDOWS_REFUSES = re.compile(r'[<>:"|?*\0-\x1f]')
WINDOWS_LONGEST = 255  # UTF-16 units
FILE_ENDINGS = (".mp4", ".mkv", ".mov", ".webm", ".png", ".jpg", ".npz")  # no folder is meant to be called so


def checked_target(path: Path, overwrite: bool, suffixes: tuple[str, ...]) -> Path:
    """The path if a file of this kind can be written there; ConfigError or OutputError with what to do."""
    if path.suffix.lower() not in suffixes:
        name = "" if str(path) == "." else path.name
        if len(suffixes) == 1:
            raise ConfigError(f"{name!r} does not end in {suffixes[0]}", f"name it {path.stem or 'out'}{suffixes[0]}")
        raise ConfigError(f"{name!r} has no known ending", f"use one of {', '.join(suffixes)}")
    if sys.platform == "win32":
        check_windows_name(path.name)
    there = _exists(path)
    if path.is_dir():
        raise WrongTarget(f"{path} is a folder", "name a file")
    if there and not overwrite:
        raise ConfigError(f"{path} exists", "add --overwrite, or name another file")
    if path.parent.exists() and not path.parent.is_dir():
        raise WrongTarget(f"{path.parent} is a file, not a folder", "name another")
    if not path.parent.is_dir():
        make = "mkdir" if sys.platform == "win32" else "mkdir -p"
        raise WrongTarget(f"there is no folder {path.parent}", f"{make} {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path.parent} cannot be written to", "name another folder")
    return path


def check_windows_name(name: str) -> None:
    """WrongTarget where Windows takes no such name: it says so only after the work, or writes to a device instead."""
    if refused := WINDOWS_REFUSES.search(name):
        raise WrongTarget(f"Windows takes no {refused[0]!r} in a file's name ({name[:40]})", "name another")
    if WINDOWS_DEVICES.fullmatch(name):
        raise WrongTarget(f"Windows keeps the name {name} for a device", "name another")
    if len(name.encode("utf-16-le", "surrogatepass")) // 2 > WINDOWS_LONGEST:
        raise WrongTarget(f"no file can be called {name[:40]}... (File name too long)", "name another")


def _exists(path: Path) -> bool:
    """Whether something has this name; WrongTarget where nothing can."""
    try:
        return path.exists()
    except OSError as error:  # a name of 300 letters, for one
        raise WrongTarget(f"no file can be called {path.name[:40]}... ({error.strerror})", "name another") from error


def checked_apart(read: Sequence[tuple[str, Path]], written: Sequence[tuple[str, Path]]) -> None:
    """ConfigError where two of the (option, path) that are written, or one of them and one that is read, are a file."""
    for (name, given), (option, target) in combinations([*read, *written], 2):
        if any(option == other for other, _ in read):
            continue
        try:
            there = given.exists() and target.exists()
            same = given.samefile(target) if there else given.resolve() == target.resolve()
        except (OSError, RuntimeError):  # a name that no file can have, links in a ring: told where it is opened
            continue
        if same:
            raise ConfigError(f"{option} is the same file as {name}", "name another file")


def readable(name: object) -> str:
    """A name that any text may hold: its bytes that are no UTF-8 are shown as \ufffd."""
    return str(name).encode(errors="surrogateescape").decode(errors="replace")


def name_beside(path: Path, word: str, before: str = "") -> Path:
    """NAME.WORD.mp4 beside NAME.mp4.

    A long NAME loses as many letters as are added: the path's own length is all that is known to be possible, be it
    counted in bytes or in letters.
    """
    stem, added = path.stem, len(before) + 1 + len(word)
    if len(os.fsencode(path.name)) > LONG_NAME_BYTES:
        stem = stem[:-added]
    return path.with_name(f"{before}{stem}.{word}{path.suffix}")


def free_name(path: Path, word: str) -> Path:
    """NAME.WORD.mp4 beside NAME.mp4, with a number where that is taken."""
    number, free = 1, name_beside(path, word)
    while free.exists():
        number += 1
        free = name_beside(path, f"{word}{number}")
    return free


def unless_taken(path: Path, overwrite: bool) -> Path:
    """The path, or a free name beside it where another program has written it since it was checked."""
    return path if overwrite or not _exists(path) else free_name(path, "new")


def taken_notes(wished: Path, path: Path) -> list[str]:
    """What to tell of a name that `unless_taken` has changed; nothing where it has not."""
    return [f"another program has written {wished} since: this one is {path}"] if path != wished else []


def checked_folder(path: Path, *, make: bool = True) -> Path:
    """The folder, made where it is missing (or only looked whether it can be); OutputError where it can't be.

    WrongTarget where a file has its name, or where the name is a video's or a picture's: a file was meant.
    """
    if path.suffix.lower() in FILE_ENDINGS and not path.exists():
        raise WrongTarget(f"{path} would be a folder", f"name a folder, such as {path.with_suffix('')}")
    if not make:
        there = next((place for place in (path, *path.parents) if place.exists()), path)
        if not there.is_dir():
            raise WrongTarget(f"{path} is a file or lies in one", "name a folder")
        if not os.access(there, os.W_OK):
            raise OutputError(f"{there} cannot be written to", "name another folder")
        return path
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise WrongTarget(f"{path} is a file or lies in one", "name a folder") from error
    except OSError as error:
        raise OutputError(f"the folder {path} cannot be made ({error.strerror})", "name another") from error
    return path
