"""Portraits that are kept: by the user, and in the cache."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.face.measure import canonical_face, eye_distance
from engines.portrait import Portrait
from realtime import faces
from realtime.faces import Portrayed, load_portrait

FACE = Path(__file__).parents[1] / "data" / "face.jpg"


@pytest.fixture(scope="module")
def small() -> Portrait:
    return load_portrait(FACE, "face", use_cache=False).portrait


class Denied:
    """A cache in another user's home. (To a test that root runs no folder is unreadable.)"""

    def __truediv__(self, name: str) -> Denied:
        return self

    @property
    def parent(self) -> Denied:
        return self

    def with_suffix(self, suffix: str) -> Denied:
        return self

    def is_file(self) -> bool:
        raise PermissionError(13, "Permission denied")

    def mkdir(self, **_: bool) -> None:
        raise PermissionError(13, "Permission denied")


def no_place() -> Path:
    raise PermissionError(13, "not a folder of this user's alone")


@pytest.mark.parametrize("cache", [Denied, no_place])
def test_without_a_cache_the_photo_is_analysed(cache: object, small: Portrait, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "cache_folder", cache)
    made = load_portrait(FACE, "face")
    assert np.array_equal(made.portrait.photo, small.photo)
    assert "could not be cached" in made.notes[-1]


def test_an_enrolled_portrait_tells_that_it_keeps_its_size(small: Portrait, tmp_path: Path) -> None:
    kept = tmp_path / "me.npz"
    small.save(kept)
    (note,) = load_portrait(kept, camera=(1280, 720)).notes
    assert note == (f"{kept} is 256x256 as enrolled: --camera-size has no effect; enroll with --camera-size 1280x720")
    assert load_portrait(kept, camera=(1280, 720), asked=False).notes == []
    assert load_portrait(kept, camera=(256, 256)).notes == []
    assert load_portrait(kept, "face").notes == []
    assert load_portrait(kept).notes == []


def test_a_full_portrait_tells_that_it_is_no_cut_face(tmp_path: Path) -> None:
    kept = tmp_path / "me.npz"
    load_portrait(FACE, camera=(320, 240), use_cache=False).portrait.save(kept)
    (note,) = load_portrait(kept, "face").notes
    assert note == f"{kept} is 320x240 as enrolled: --size has no effect; enroll with --size face"


def test_notes_about_a_photo_are_told_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(faces, "light_notes", lambda *_: ["it smiles"])
    first = load_portrait(FACE, "face").notes
    assert first[-1] == "it smiles"
    with monkeypatch.context() as once:
        once.setattr(faces, "analyse_photo", None)  # the second time it is not analysed
        assert load_portrait(FACE, "face").notes == first
    (notes,) = (tmp_path / "portraits").glob("*.json")
    for damaged in ("damaged", '{"a": 1}'):
        notes.write_text(damaged)
        assert load_portrait(FACE, "face").notes == first
    notes.unlink()  # as an older version left it
    assert load_portrait(FACE, "face").notes == first


@pytest.fixture
def cache(tmp_path: Path, small: Portrait, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache's folder of portraits; photos are analysed at once."""
    monkeypatch.setattr(faces, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(faces, "analyse_photo", lambda *_: Portrayed(small, []))
    return tmp_path / "portraits"


def used_before(path: Path, days: float) -> None:
    at_s = path.stat().st_mtime - days * 86_400
    os.utime(path, (at_s, at_s))


def test_portraits_that_nobody_uses_are_removed(cache: Path) -> None:
    """Those of an older version are never asked for again; nor are those of a photo that was tried once."""
    cache.mkdir()
    unused, another = cache / f"{'0' * 32}.npz", cache / f"{'f' * 32}.npz"
    half = cache / ".0a_b1c2d.part"  # a program was killed while it wrote
    for path, days in ((unused, 31), (unused.with_suffix(".json"), 31), (half, 31), (another, 29)):
        path.touch()
        used_before(path, days)
    load_portrait(FACE, "face")
    assert another.exists()
    assert len(list(cache.iterdir())) == 3
    for path in cache.iterdir():
        used_before(path, 31)
    load_portrait(FACE, "face")  # used again
    load_portrait(FACE)  # and another one is written
    assert len(list(cache.glob("*.npz"))) == len(list(cache.glob("*.json"))) == 2
    assert not another.exists()


@pytest.mark.parametrize("name", ["grandmother.jpg", "me.npz", "notes.json", f"{'0' * 31}.npz", f"{'0' * 32}.npz.bak"])
def test_somebodys_own_file_among_them_stays(cache: Path, name: str) -> None:
    cache.mkdir()
    (cache / name).touch()
    used_before(cache / name, 400)
    load_portrait(FACE, "face")
    assert (cache / name).exists()


def test_a_cache_that_cannot_be_listed_has_kept_the_portrait(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as listed:
        listed.setattr(Path, "iterdir", denied)
        assert load_portrait(FACE, "face").notes == []
    assert len(list(cache.iterdir())) == 2


def test_a_portrait_that_is_removed_while_it_is_read_is_made_anew(
    cache: Path, small: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_portrait(FACE, "face")
    monkeypatch.setattr(os, "utime", lambda path: Path(path).unlink())  # another program is that quick
    made = load_portrait(FACE, "face")
    assert np.array_equal(made.portrait.photo, small.photo)
    assert made.notes == []


def test_drawn_faces_are_told() -> None:
    """Even areas with soft rims, as icons have them; a photo has none, nor has one that is enlarged ten times."""
    rgb = cv2.cvtColor(cv2.imread(str(FACE)), cv2.COLOR_BGR2RGB)
    landmarks = np.load(FACE.with_name("face_landmarks.npy")).reshape(-1, 478, 3)[0]
    x, y, width, height = cv2.boundingRect(landmarks[:, :2].astype(np.int32))
    face, at = rgb[y : y + height, x : x + width], landmarks - np.array([x, y, 0], np.float32)
    assert faces.drawn_notes(face, at) == []
    assert faces.drawn_notes(cv2.resize(face, None, fx=10, fy=10, interpolation=cv2.INTER_CUBIC), 10 * at) == []
    flat = cv2.medianBlur(face, 15) // 64 * 64
    assert "drawn" in faces.drawn_notes(flat, at)[0]


@pytest.mark.parametrize(
    ("gain", "offset", "word"),
    [(0.15, 0, "very dark"), (0.1, 235, "overexposed"), (4, 120, "overexposed"), (1, 0, "")],
)
def test_faces_that_are_nearly_black_or_white_are_told(gain: float, offset: float, word: str) -> None:
    rgb = cv2.cvtColor(cv2.imread(str(FACE)), cv2.COLOR_BGR2RGB)
    landmarks = np.load(FACE.with_name("face_landmarks.npy")).reshape(-1, 478, 3)[0]
    notes = faces.light_notes(cv2.convertScaleAbs(rgb, alpha=gain, beta=offset), landmarks)
    assert [word in note for note in notes] == ([True] if word else [])


def crowd(height: int, width: int, eyes_px: float) -> tuple[np.ndarray, np.ndarray]:
    """A large photo whose face, right and low in it, is small: landmarks of a canonical face, eyes so far apart."""
    photo = np.zeros((height, width, 3), np.uint8)
    landmarks = canonical_face() * eyes_px + np.array([0.6 * width, 0.7 * height, 0], np.float32)
    cv2.circle(photo, tuple(int(value) for value in landmarks[4, :2]), 8, (255, 255, 255), -1)
    return photo, landmarks.astype(np.float32)


@pytest.mark.parametrize(
    ("size", "eyes_px", "left"),
    [
        ((4000, 6000), 140, (1707, 2560)),  # shrunk to 1280 the eyes are 70 px apart
        ((9000, 600), 140, (2560, 600)),  # a head is wider than a shape so narrow
        ((4000, 6000), 40, (853, 1280)),  # nothing is gained by less than a portrait's largest side
        ((4000, 3000), 160, (2926, 2194)),
        ((1000, 1400), 72, (1000, 1400)),  # for so little nothing is cut
        ((3000, 4000), 300, (3000, 4000)),
        ((800, 1200), 30, (800, 1200)),
    ],
)
def test_a_photo_is_cut_where_its_face_would_turn_soft(
    size: tuple[int, int], eyes_px: float, left: tuple[int, int]
) -> None:
    photo, landmarks = crowd(*size, eyes_px)
    cut, moved = faces.cut_near(photo, landmarks)
    assert cut.shape[:2] == left
    seen = np.argwhere(cut[..., 0] > 128).mean(0)
    assert np.abs(seen[::-1] - moved[4, :2]).max() < 2
    assert ((moved[:, :2] > 0) & (moved[:, :2] < left[::-1])).all()


def test_a_camera_comes_near_to_a_small_face() -> None:
    photo, landmarks = crowd(4000, 6000, 120)
    framed, moved = faces.frame_photo(photo, landmarks, (1280, 720))
    assert framed.shape == (720, 1280, 3)
    assert float(eye_distance(moved)) == pytest.approx(72, rel=0.05)
    seen = np.argwhere(framed[..., 0] > 128).mean(0)
    assert np.abs(seen[::-1] - moved[4, :2]).max() < 2


def test_a_cut_is_told(tmp_path: Path) -> None:
    photo = cv2.imread(str(FACE))
    wall = np.full((photo.shape[0], 9000, 3), 127, np.uint8)
    wall[:, 100 : 100 + photo.shape[1]] = photo
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), wall)
    made = load_portrait(path, use_cache=False)
    assert any(note.startswith("the photo is cut to") for note in made.notes)
    assert not any("is cut to" in note for note in load_portrait(FACE, use_cache=False).notes)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_that_lies_on_its_side_is_turned_upright(quarters: int, tmp_path: Path) -> None:
    upright = cv2.imread(str(FACE))
    path = tmp_path / "lying.png"
    cv2.imwrite(str(path), np.rot90(upright, quarters))
    made = load_portrait(path, use_cache=False)
    assert "the photo is turned upright" in made.notes
    assert not any("tilted" in note for note in made.notes)
    assert np.array_equal(made.portrait.photo.shape, load_portrait(FACE, use_cache=False).portrait.photo.shape)
    forehead, chin = made.portrait.landmarks[10], made.portrait.landmarks[152]
    assert chin[1] - forehead[1] > 5 * abs(chin[0] - forehead[0])


@pytest.mark.parametrize(("degrees", "turned"), [(20, False), (45, False), (70, True), (110, True), (135, False)])
def test_a_tilted_head_is_no_photo_that_lies_on_its_side(degrees: float, turned: bool, tmp_path: Path) -> None:
    upright = cv2.imread(str(FACE))
    height, width = upright.shape[:2]
    side = int(np.hypot(height, width))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    path = tmp_path / "tilted.png"
    cv2.imwrite(str(path), cv2.warpAffine(upright, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE))
    notes = load_portrait(path, use_cache=False).notes
    assert ("the photo is turned upright" in notes) is turned


def test_light_from_behind_is_told(tmp_path: Path) -> None:
    photo = cv2.imread(str(FACE)).astype(np.float32)
    path = tmp_path / "hazy.png"
    cv2.imwrite(str(path), (60 + 0.2 * photo).astype(np.uint8))
    assert any("from behind" in note for note in load_portrait(path, use_cache=False).notes)
    assert not any("from behind" in note for note in load_portrait(FACE, use_cache=False).notes)
