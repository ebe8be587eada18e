"""Shards: named arrays of many clips in a few tar files (the WebDataset layout), written once and resumable.

A shard is SHARDS/NNNNN.tar with one file KEY.NAME.npy per array, where the key's slashes are kept. A shard is written
beside and renamed, so an interrupted run leaves whole shards only, and the next run goes on after them. index.json
says what made them (`version`): a cache of another version is refused, or made anew where that is cheap, never mixed.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from engines.errors import ConfigError, InputError
from engines.whole_file import write_atomically

Arrays = dict[str, np.ndarray]


def write_shards(
    folder: Path,
    groups: Sequence[Sequence[str]],
    compute: Callable[[Sequence[str]], dict[str, Arrays]],
    version: dict,
    done: Callable[[int, int], None] = lambda _shard, _count: None,
    anew: bool = False,
) -> int:
    """Compute and write the shards that are not there yet; returns how many were computed.

    groups: the keys of each shard. compute(keys) gives the arrays of each key. done(shard, count) reports progress.
    anew: shards of another version are replaced; otherwise ConfigError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = {"version": version, "groups": [list(group) for group in groups]}
    index = folder / "index.json"
    if index.is_file() and (old := _stamp_of(index)) != stamp:
        if not anew:
            raise ConfigError(
                f"{folder} was made by another version or from other clips", "remove it and prepare again"
            )
        for number in range(len(old["groups"])):
            (folder / f"{number:05d}.tar").unlink(missing_ok=True)
    write_atomically(index, json.dumps(stamp).encode())
    computed = 0
    for number, keys in enumerate(groups):
        path = folder / f"{number:05d}.tar"
        if not path.is_file():
            write_atomically(path, _pack(compute(keys)))
            computed += 1
        done(number + 1, len(groups))
    return computed


def read_shards(folder: Path, version: dict | None = None) -> Iterator[tuple[str, Arrays]]:
    """All (key, arrays) of a folder of shards; InputError when it is not there, damaged, or of another version."""
    index = folder / "index.json"
    if not index.is_file():
        raise InputError(f"{folder} holds no shards", "voxcam train prepare")
    stamp = _stamp_of(index)
    if version is not None and stamp["version"] != version:
        raise InputError(f"{folder} was made by another version", "remove it; voxcam train prepare")
    for number in range(len(stamp["groups"])):
        path = folder / f"{number:05d}.tar"
        if not path.is_file():
            raise InputError(f"{path} is missing", "voxcam train prepare goes on where it stopped")
        arrays: dict[str, Arrays] = {}
        try:
            with tarfile.open(path) as tar:
                for member in tar:
                    key, name = member.name.removesuffix(".npy").rsplit(".", 1)
                    file = tar.extractfile(member)
                    if file is not None:
                        arrays.setdefault(key, {})[name] = np.load(io.BytesIO(file.read()), allow_pickle=False)
        except (tarfile.TarError, ValueError, OSError) as error:
            raise InputError(f"{path} is damaged ({error})", "remove it; voxcam train prepare") from error
        yield from arrays.items()


def _stamp_of(index: Path) -> dict:
    """What index.json says; InputError where it is damaged."""
    try:
        stamp = json.loads(index.read_text(encoding="utf-8"))
        if not isinstance(stamp["groups"], list) or "version" not in stamp:
            raise ValueError("no groups or version")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{index} is damaged ({error})", f"remove {index.parent}; voxcam train prepare") from error
    return stamp


def _pack(clips: dict[str, Arrays]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for key, arrays in clips.items():
            for name, array in arrays.items():
                content = io.BytesIO()
                np.save(content, array, allow_pickle=False)
                member = tarfile.TarInfo(f"{key}.{name}.npy")
                member.size = content.tell()
                content.seek(0)
                tar.addfile(member, content)
    return buffer.getvalue()
