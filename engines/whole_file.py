"""Files that are whole: written beside and renamed, so that nobody sees half of one; .npz files that may be damaged."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from engines.errors import OutputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a reader or a kill never sees half a file; OutputError where it can't be."""
    with atomic_file(path) as file:
        file.write(content)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """The same for who writes in parts: what is written within it takes its name at the end, if nothing is raised."""
    path = Path(path)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A short name of its own: one that is as long as the system allows has room for no more letters.
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
            temporary = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # the temporary file is private by default
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        what, fix = f"cannot write {path} ({error.strerror or error})", "free space or name another folder"
        if sys.platform == "win32" and isinstance(error, PermissionError) and path.is_file():
            fix = "close the program that has it open, or name another file"  # Windows replaces no file that is in use
        raise OutputError(what, fix) from error
    except BaseException:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise


def is_half_written(path: Path) -> bool:
    """Whether its name is one of those that `atomic_file` gives until all is written: a kill leaves such a file."""
    return re.fullmatch(r"\.[a-z0-9_]{8}\.part", path.name) is not None


def write_npz(path: Path, arrays: Mapping[str, np.ndarray], compressed: bool = True) -> None:
    """Write arrays by name as .npz, atomically; OutputError where it can't be."""
    write = np.savez_compressed if compressed else np.savez
    with atomic_file(path) as file:
        write(file, **arrays)  # type: ignore[arg-type]


def read_npz(content: bytes) -> dict[str, np.ndarray]:
    """All arrays of a .npz file by name, without pickle; ValueError where it is damaged or none."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except MemoryError:
        raise
    except Exception as error:  # readers of zip files, their streams and arrays raise a dozen kinds for one cause
        raise ValueError(f"{type(error).__name__}: {error}") from error
