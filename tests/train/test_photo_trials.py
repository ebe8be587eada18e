"""Any folder of photos can be looked at; what is refused is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from engines.face.photo import read_photo
from train.face.photo_trials import main

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def landmarks(tmp_path: Path) -> Path:
    """GRID's landmarks, of two talkers whose mouths open and shut."""
    face = np.load(DATA / "face_landmarks.npy").reshape(-1, 478, 3)[0]
    for talker in ("s2", "s4"):
        folder = tmp_path / "landmarks" / "grid" / "train" / talker
        folder.mkdir(parents=True)
        clip = np.repeat(face[None], 50, 0).astype(np.float32)
        clip[:, [14, 17], 1] += np.linspace(0, 12, 50)[:, None]
        np.save(folder / "clip.npy", clip)
    return tmp_path / "landmarks"


def test_a_folder_of_photos(tmp_path: Path, landmarks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = tmp_path / "photos" / "mine"
    photos.mkdir(parents=True)
    shutil.copy(DATA / "face.jpg", photos / "a.jpg")
    (photos / "b.jpg").write_bytes(b"no picture")
    (photos / "notes.txt").write_text("no picture either")
    main([str(photos.parent), "--landmarks", str(landmarks), "--sheet", str(tmp_path / "sheet.jpg")])
    said = capsys.readouterr().out
    assert "b.jpg | " in said
    assert "1 faces | upper rims before 0 of 2 eyes | dark glasses 0" in said
    assert read_photo(tmp_path / "sheet.jpg").shape == (200, 5 * 200 * 2, 3)


def test_a_folder_without_faces(tmp_path: Path, landmarks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--landmarks", str(landmarks)])
    assert "no photo with a face" in capsys.readouterr().err
