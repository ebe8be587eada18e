from __future__ import annotations

from pathlib import Path

import pytest

from engines.errors import ConfigError
from train.data import teacher
from train.data.teacher import PAUSE_CHUNKS, pack_windows


def test_windows_hold_every_chunk_once_and_nothing_overlaps() -> None:
    chunks = {"a": 150, "b": 700, "c": 1, "d": 4000, "e": 1399, "f": 600}
    covered = {key: [] for key in chunks}
    for window in pack_windows(chunks):
        end = 0
        for key, first, offset, count in window:
            assert first >= end + PAUSE_CHUNKS
            end = first + count
            covered[key] += range(offset, offset + count)
        assert end <= 1500
    assert covered == {key: list(range(count)) for key, count in chunks.items()}


def test_a_teacher_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str):
        raise ModuleNotFoundError

    monkeypatch.setattr(teacher, "files", missing)
    with pytest.raises(ConfigError, match="not installed") as caught:
        teacher.model_folder()
    assert "voxcam[teacher]" in caught.value.fix


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.bin"):
        teacher.model_folder(tmp_path)
