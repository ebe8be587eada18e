"""Landmarks of clips that are kept: for the networks that found them, and made again where they are damaged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench import clips
from engines.card import read_card

POINTS = np.zeros((478, 3), np.float32)


@dataclass
class Counting:
    """In the landmarker's place: one face in every picture; counts how often it is asked."""

    asked: int = 0

    def find_faces(self, _picture: np.ndarray) -> list:
        return [SimpleNamespace(size_px=100.0)]

    def landmarks(self, _picture: np.ndarray, _face: object) -> SimpleNamespace:
        self.asked += 1
        return SimpleNamespace(is_face=True, points=POINTS + self.asked)


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(clips, "default_engines_dir", lambda: tmp_path / "cache" / "engines")
    monkeypatch.setattr(clips, "pictures_of", lambda _path: iter([np.zeros((8, 8, 3), np.uint8)] * 3))
    path = tmp_path / "clip.mkv"
    path.write_bytes(b"a clip")
    return path


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "landmarks").glob("*.npz"))


def test_landmarks_are_found_once(clip: Path, tmp_path: Path) -> None:
    landmarker = Counting()
    first, second = (clips._landmarks(clip, landmarker) for _ in range(2))
    assert landmarker.asked == 3
    np.testing.assert_array_equal(first, second)
    assert len(kept(tmp_path)) == 1


@pytest.mark.parametrize("name", clips.READERS)
def test_other_networks_look_again(clip: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    landmarker = Counting()
    clips._landmarks(clip, landmarker)

    def other(card: str) -> SimpleNamespace:
        return SimpleNamespace(sha256="other" if card == name else read_card(card).sha256)

    monkeypatch.setattr(clips, "read_card", other)
    clips._landmarks(clip, landmarker)
    assert landmarker.asked == 6


@pytest.mark.parametrize("damage", ["empty", "cut", "another's"])
def test_damaged_landmarks_are_found_again(clip: Path, tmp_path: Path, damage: str) -> None:
    landmarker = Counting()
    clips._landmarks(clip, landmarker)
    (path,) = kept(tmp_path)
    if damage == "another's":
        np.savez(path, landmarks=np.zeros(5))
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[: 0 if damage == "empty" else len(whole) // 2])
    assert clips._landmarks(clip, landmarker).shape == (3, 478, 3)
    assert landmarker.asked == 6
    clips._landmarks(clip, landmarker)
    assert landmarker.asked == 6
