from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from engines.errors import ConfigError, InputError, OutputError
from train.data import shards
from train.data.shards import read_shards, write_shards

GROUPS = [["a/1", "a/2.x"], ["b/3"], ["b/4"]]
VERSION = {"made": 1}


def compute(keys):
    return {key: {"sound": np.arange(len(key), dtype=np.int16), "labels": np.ones((2, 3))} for key in keys}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert write_shards(tmp_path, GROUPS, compute, VERSION) == 3
    found = dict(read_shards(tmp_path, VERSION))
    assert list(found) == ["a/1", "a/2.x", "b/3", "b/4"]
    np.testing.assert_array_equal(found["a/2.x"]["sound"], np.arange(5))
    assert found["b/3"]["labels"].shape == (2, 3)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    asked: list[str] = []

    def stop_at_b4(keys):
        if "b/4" in keys:
            raise KeyboardInterrupt
        asked.extend(keys)
        return compute(keys)

    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path, GROUPS, stop_at_b4, VERSION)
    with pytest.raises(InputError, match="goes on"):
        dict(read_shards(tmp_path))
    assert write_shards(tmp_path, GROUPS, compute, VERSION) == 1
    assert asked == ["a/1", "a/2.x", "b/3"]
    assert len(dict(read_shards(tmp_path))) == 4


def test_another_version_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, GROUPS, compute, VERSION)
    with pytest.raises(InputError, match="another version"):
        dict(read_shards(tmp_path, {"made": 2}))
    with pytest.raises(ConfigError, match="another version"):
        write_shards(tmp_path, GROUPS, compute, {"made": 2})


def test_what_is_cheap_is_made_anew(tmp_path: Path) -> None:
    write_shards(tmp_path, GROUPS, compute, VERSION)
    assert write_shards(tmp_path, GROUPS[:1], compute, {"made": 2}, anew=True) == 1
    assert set(dict(read_shards(tmp_path, {"made": 2}))) == set(GROUPS[0])
    assert len(list(tmp_path.glob("*.tar"))) == 1


def test_damage_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path, GROUPS, compute, VERSION)
    path = tmp_path / "00001.tar"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match=r"00001\.tar"):
        dict(read_shards(tmp_path))


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "kept"
    target.write_bytes(b"good")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        shards.write_atomically(target, b"new")
    assert target.read_text() == "good"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("content", ["{", "[]", '{"groups": 3, "version": {}}', '{"groups": []}'])
def test_a_damaged_index_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(InputError, match=r"index\.json is damaged"):
        dict(read_shards(tmp_path))
    with pytest.raises(InputError, match=r"index\.json is damaged"):
        write_shards(tmp_path, GROUPS, compute, VERSION)
