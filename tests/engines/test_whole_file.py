"""Nobody sees half a file, and a damaged one is refused in one way."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

from engines.errors import OutputError
from engines.whole_file import atomic_file, is_half_written, read_npz, write_atomically, write_npz

ARRAYS = {"a": np.arange(300, dtype=np.float32), "input.b": np.array("text"), "none": np.zeros((0, 3), np.int32)}


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.card.json"
    write_atomically(path, b"old")

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OutputError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.card.json"]


@pytest.mark.parametrize(("system", "fix"), [("win32", "close the program that has it open"), ("linux", "free space")])
def test_a_file_that_is_in_use_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, fix: str
) -> None:
    path = tmp_path / "codes.npz"
    path.write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr("sys.platform", system)
    with pytest.raises(OutputError, match=f"Access is denied.*: {fix}"):
        write_atomically(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["codes.npz"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: io.BytesIO, **_: np.ndarray) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OutputError, match="No space left"):
        write_npz(tmp_path / "codes.npz", ARRAYS, compressed=False)
    assert not list(tmp_path.iterdir())


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    """What it is written into first is private."""
    path = tmp_path / "a.card.json"
    for content in (b"new", b"again"):
        write_atomically(path, content)
        assert path.stat().st_mode & 0o444 == 0o444


def test_a_name_as_long_as_the_system_allows(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 251}.npz"
    write_npz(path, ARRAYS)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_what_is_half_written_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.engine"
    with atomic_file(path):
        (half,) = tmp_path.iterdir()
        assert is_half_written(half)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert not any(is_half_written(Path(name)) for name in ("a.engine", "film.part", ".film.part", ".env"))


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_come_back_as_they_were(tmp_path: Path, compressed: bool) -> None:
    write_npz(tmp_path / "a.npz", ARRAYS, compressed)
    found = read_npz((tmp_path / "a.npz").read_bytes())
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_arrays_raise_one_kind(tmp_path: Path, compressed: bool) -> None:
    """What reads them raises seven. What lies between the arrays may be damaged without a trace."""
    write_npz(tmp_path / "a.npz", ARRAYS, compressed)
    whole = (tmp_path / "a.npz").read_bytes()
    random = np.random.default_rng(6)
    refused = 0
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(random.integers(8))
        try:
            read_npz(bytes(damaged))
        except ValueError:
            refused += 1
    assert refused > len(whole) / 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x80\x04K\x01.", b"voice"])
def test_what_is_no_npz_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=": "):
        read_npz(content)


def test_a_lone_array_is_refused() -> None:
    file = io.BytesIO()
    np.save(file, ARRAYS["a"])
    with pytest.raises(ValueError, match=": "):
        read_npz(file.getvalue())
