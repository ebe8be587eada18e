"""What a command is to write is checked before it works, with words and the right exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from engines.errors import ConfigError, OutputError, VoxcamError, WrongTarget
from realtime.targets import checked_apart, checked_folder, checked_target, free_name, name_beside, readable

KINDS = (".mp4", ".mkv")


def test_what_can_be_written(tmp_path: Path) -> None:
    there = tmp_path / "there.mp4"
    there.touch()
    assert checked_target(there, True, KINDS) == there
    assert checked_target(tmp_path / "NEW.MKV", False, KINDS) == tmp_path / "NEW.MKV"
    assert checked_folder(tmp_path / "a" / "b").is_dir()
    assert checked_folder(tmp_path / "a").is_dir()


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("there.mp4", ConfigError, "add --overwrite"),
        ("out.avi", ConfigError, "use one of .mp4, .mkv"),
        ("", ConfigError, "no known ending"),
        (".mp4", ConfigError, "no known ending"),
        ("no/out.mp4", WrongTarget, "mkdir -p"),
        ("there.mp4/out.mp4", WrongTarget, "is a file, not a folder"),
        ("folder.mp4", WrongTarget, "is a folder: name a file"),
        ("x" * 300 + ".mp4", WrongTarget, "File name too long"),
        ("\u8a9e" * 84 + ".mp4", WrongTarget, "File name too long"),  # 256 bytes
    ],
)
def test_what_can_not(tmp_path: Path, name: str, kind: type[VoxcamError], words: str) -> None:
    (tmp_path / "there.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(kind, match=words) as told:
        checked_target(tmp_path / name if name else Path(), False, KINDS)
    assert told.value.exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.mp4", "there.mp4"]


def test_a_place_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mistake of the user's: the same command works where the folder may be written."""
    monkeypatch.setattr("realtime.targets.os.access", lambda *_: False)
    with pytest.raises(OutputError, match="cannot be written to") as told:
        checked_target(tmp_path / "out.mp4", False, KINDS)
    assert told.value.exit_code == 1


def test_folders_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "inner"):
        with pytest.raises(WrongTarget, match="is a file or lies in one"):
            checked_folder(place)

    with pytest.raises(WrongTarget, match=r"me.mp4 would be a folder: name a folder, such as .*me$"):
        checked_folder(tmp_path / "me.mp4")
    assert not (tmp_path / "me.mp4").exists()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OutputError, match="No space left") as told:
        checked_folder(tmp_path / "new")
    assert told.value.exit_code == 1


def test_a_folder_that_is_only_looked_at_is_not_made(tmp_path: Path) -> None:
    checked_folder(tmp_path / "a" / "b", make=False)
    (tmp_path / "file").touch()
    with pytest.raises(WrongTarget, match="is a file or lies in one"):
        checked_folder(tmp_path / "file" / "inner", make=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_files_that_are_the_same(tmp_path: Path) -> None:
    talk, link, new = tmp_path / "talk.mp4", tmp_path / "link.mp4", tmp_path / "new.mp4"
    talk.touch()
    link.symlink_to(talk)
    read = [("--portrait", tmp_path / "me.png"), ("--source", talk)]
    checked_apart(read, [("--out", new)])
    checked_apart([("--portrait", talk), ("--source", talk)], [("--out", new)])
    with pytest.raises(ConfigError, match="--out is the same file as --source"):
        checked_apart(read, [("--out", link)])
    with pytest.raises(ConfigError, match="--json-log is the same file as --out"):
        checked_apart(read, [("--out", new), ("--json-log", tmp_path / "." / "new.mp4")])


def test_names_beside_others(tmp_path: Path) -> None:
    assert free_name(tmp_path / "r.mp4", "part").name == "r.part.mp4"
    (tmp_path / "r.part.mp4").touch()
    assert free_name(tmp_path / "r.mp4", "part").name == "r.part2.mp4"
    assert readable("t\udcf6n") == "t\ufffdn"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a name has 255 UTF-16 units")
@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u8a9e", "\U0001f600", "\udcf6"])
def test_names_beside_a_name_as_long_as_they_can_be(tmp_path: Path, letter: str) -> None:
    letters, rest = divmod(251, len(os.fsencode(letter)))
    longest = checked_target(tmp_path / ("x" * rest + letter * letters + ".mp4"), False, KINDS)
    assert len(os.fsencode(longest.name)) == 255
    for taken in range(3):
        free = free_name(longest, "new")
        free.touch()
        assert free.name.endswith(f"{letter}.new{taken + 1 if taken else ''}.mp4")
    assert name_beside(longest, "1234567.part", ".").name.startswith("." + longest.name[:40])


def test_short_names_are_kept_whole(tmp_path: Path) -> None:
    assert name_beside(tmp_path / "call.mp4", "7.part", ".").name == ".call.7.part.mp4"
