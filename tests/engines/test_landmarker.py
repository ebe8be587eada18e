"""The face is found where MediaPipe finds it, at any size and tilt, and a photo that will not do is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.card import WEIGHTS
from engines.errors import EngineMismatch, InputError
from engines.face.landmarker import (
    ANCHORS,
    RIGHT_LIPS,
    Face,
    Landmarker,
    PhotoReport,
    Reading,
    cut_square,
    judge,
    largest_face,
    overlap,
    suppress,
)
from engines.face.measure import canonical_face, eye_distance, lid_opening, mirror_points
from engines.face.photo import read_photo
from engines.face_points import INNER_LIPS, LEFT_LIDS, RIGHT_LIDS

DATA = Path(__file__).parents[1] / "data"
UNSURE = 0.03  # eye distances; MediaPipe's own sampling is 0.01 off, its readings jitter by as much


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read_photo(DATA / "face.jpg")


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.load(DATA / "face_landmarks.npy")


@pytest.fixture(scope="module")
def landmarker():
    with Landmarker() as landmarker:
        yield landmarker


def error(landmarks: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance in eye distances."""
    return float(np.linalg.norm((landmarks - truth)[:, :2], axis=1).mean() / eye_distance(truth))


def turned(photo: np.ndarray, degrees: float, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """The photo turned against the clock about its centre, and the matrix that takes its points along."""
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    by_pixel_centre = matrix.copy()  # OpenCV counts from the centre of the first pixel, landmarks from its corner
    by_pixel_centre[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5
    return cv2.warpAffine(photo, by_pixel_centre, (width, height), borderValue=(128, 128, 128)), matrix


def test_landmarks_agree_with_mediapipe(landmarker, photo, truth):
    report = landmarker.examine(photo)
    assert error(report.landmarks, truth) < UNSURE
    depth = report.landmarks[:, 2] - truth[:, 2]
    assert np.abs(depth).mean() / eye_distance(truth) < 0.05
    assert report.landmarks.dtype == np.float32
    assert report.landmarks.shape == (478, 3)
    assert report.presence > 0.99
    assert report.eye_distance_px == pytest.approx(eye_distance(truth), rel=0.03)
    assert report.notes == ()


@pytest.mark.parametrize("degrees", [-45, -20, 20, 45, 90, 180])
def test_tilted_heads_are_found(landmarker, photo, truth, degrees):
    picture, matrix = turned(photo, degrees, 0.7)
    report = landmarker.examine(picture)
    expected = np.column_stack([truth[:, :2] @ matrix[:, :2].T + matrix[:, 2], truth[:, 2]])
    assert error(report.landmarks, expected) < UNSURE
    assert any("tilted" in note for note in report.notes) == (abs(degrees) > 30)


@pytest.mark.parametrize("scale", [0.5, 2.0, 6.0])
def test_size_of_the_photo_does_not_matter(landmarker, photo, truth, scale):
    picture = cv2.resize(
        photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    assert error(landmarker.examine(picture).landmarks, truth * scale) < UNSURE


def test_small_face_in_a_wide_picture(landmarker, photo, truth):
    picture = np.full((1500, 3000, 3), 90, np.uint8)
    picture[700:1300, 2300:2750] = photo
    moved = truth + np.array([2300, 700, 0], np.float32)
    assert error(landmarker.examine(picture).landmarks, moved) < UNSURE


def test_face_that_fills_the_picture(landmarker, photo, truth):
    low, high = truth[:, :2].min(0).astype(int) - 8, truth[:, :2].max(0).astype(int) + 8
    report = landmarker.examine(np.ascontiguousarray(photo[low[1] : high[1], low[0] : high[0]]))
    assert error(report.landmarks, truth - [*low, 0]) < UNSURE


def test_largest_of_several_faces(landmarker, photo, truth):
    small = cv2.resize(photo, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    picture = np.full((600, 900, 3), 120, np.uint8)
    picture[:420, :315] = small
    picture[:, 400:850] = photo
    assert len(landmarker.find_faces(picture)) == 2
    report = landmarker.examine(picture)
    assert error(report.landmarks, truth + np.array([400, 0, 0], np.float32)) < UNSURE
    assert "2 faces found" in report.notes[0]


def test_another_one_where_the_largest_is_cut_off(landmarker, photo, truth):
    small = cv2.resize(photo, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    picture = np.full((600, 900, 3), 120, np.uint8)
    picture[:420, :315] = small
    chin = int(truth[14, 1])
    picture[-chin:, 400:850] = photo[:chin]
    with pytest.raises(InputError, match="edge cuts"):
        landmarker.examine(picture)  # as for a photo of teeth, which must not be another's
    report = landmarker.examine(picture, beside=True)
    assert error(report.landmarks, 0.7 * truth) < UNSURE
    assert report.notes[0].startswith("2 faces found: not the largest is used, for there the picture's edge cuts")


def test_nobody_in_the_background_takes_the_place_of_who_is_cut_off(landmarker, photo, truth, monkeypatch):
    small = cv2.resize(photo, None, fx=0.23, fy=0.23, interpolation=cv2.INTER_AREA)
    picture = np.full((600, 900, 3), 120, np.uint8)
    picture[50 : 50 + small.shape[0], 50 : 50 + small.shape[1]] = small
    behind = landmarker.find_faces(picture)
    chin = int(truth[14, 1])
    picture[-chin:, 400:850] = photo[:chin]
    found = [*landmarker.find_faces(picture), *behind]  # a detector that is content with a large one finds no other
    assert len(found) == 2
    monkeypatch.setattr(landmarker, "find_faces", lambda _: found)
    with pytest.raises(InputError, match="edge cuts"):
        landmarker.examine(picture, beside=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_face(landmarker, seed):
    blobs = np.random.default_rng(seed).integers(0, 255, (20, 30, 3), np.uint8)
    for picture in (
        np.full((400, 500, 3), 77, np.uint8),
        cv2.resize(blobs, (1500, 1000), interpolation=cv2.INTER_CUBIC),
    ):
        with pytest.raises(InputError, match="no face found"):
            landmarker.examine(picture)


def test_face_cut_by_the_edge(landmarker, photo, truth):
    with pytest.raises(InputError, match="edge cuts"):
        landmarker.examine(np.ascontiguousarray(photo[: int(truth[14, 1])]))


def test_covered_mouth_is_noted(landmarker, photo, truth):
    picture = photo.copy()
    low, high = truth[list(INNER_LIPS), :2].min(0).astype(int) - 40, truth[list(INNER_LIPS), :2].max(0).astype(int) + 40
    picture[low[1] : high[1], low[0] : high[0]] = (170, 130, 110)
    assert any("mouth may be covered" in note for note in landmarker.examine(picture).notes)


def hidden_half(photo: np.ndarray, truth: np.ndarray, side: int) -> np.ndarray:
    """A hand in the colour of the cheek over that half of the mouth that lies at `side` (-1, 1) of its middle."""
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    away = (x - truth[[13, 14], 0].mean()) * side / eye_distance(truth)
    height = (y - truth[[13, 14], 1].mean()) / eye_distance(truth)
    alpha = np.clip(away * 20, 0, 1) * np.clip((0.45 - np.abs(height)) * 20, 0, 1) * (away < 1)
    cheek = truth[50, :2].astype(int)
    skin = np.median(photo[cheek[1] - 8 : cheek[1] + 8, cheek[0] - 8 : cheek[0] + 8], (0, 1))
    hand = skin * (1 - 0.15 * height)[..., None]
    return (photo * (1 - alpha[..., None]) + hand * alpha[..., None]).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [-1, 1])
def test_half_a_hand_over_the_mouth_is_noted(landmarker, photo, truth, side):
    notes = landmarker.examine(hidden_half(photo, truth, side)).notes
    assert any("half of the mouth may be covered" in note for note in notes)


def test_light_from_one_side_is_no_hand(landmarker, photo):
    ramp = np.linspace(0.3, 1.4, photo.shape[1])[None, :, None]
    for picture in (photo * ramp, photo * ramp[:, ::-1], photo * 0.25, cv2.GaussianBlur(photo, (0, 0), 3)):
        notes = landmarker.examine(picture.clip(0, 255).astype(np.uint8)).notes
        assert not any("covered" in note for note in notes)


def test_one_unsure_half_is_noted():
    face, reading = face_of(canonical_face() * 100 + [500, 400, 0])
    spread = reading.spread * 0.5
    spread[list(RIGHT_LIPS)] = 0.014  # below what all of the lips must reach
    notes = judge(face, Reading(reading.points.astype(np.float32), 1.0, spread), (1000, 1000)).notes
    assert [note[:32] for note in notes] == ["half of the mouth may be covered"]


def face_of(landmarks: np.ndarray) -> tuple[Face, Reading]:
    box = np.concatenate([landmarks[:, :2].min(0), landmarks[:, :2].max(0)])
    return Face(box, np.zeros((6, 2)), 0.9), Reading(landmarks, 1.0, np.full(478, 0.01, np.float32))


def seen(yaw: float = 0, pitch: float = 0, eyes_px: float = 100, **moved: float) -> PhotoReport:
    """Judge the canonical face, turned by degrees; `moved` lowers points (p14=0.2 opens the lips), eye distances."""
    face = canonical_face().copy()
    for name, shift in moved.items():
        face[int(name[1:]), 1] += shift
    a, b = np.radians([yaw, pitch])
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    landmarks = (face @ (about_y @ about_x).T * eyes_px + [500, 400, 0]).astype(np.float32)
    return judge(*face_of(landmarks), (1000, 1000))


def test_a_straight_look_has_no_notes():
    report = seen()
    assert report.notes == ()
    assert abs(report.yaw) < 0.02
    assert abs(report.pitch) < 0.02


@pytest.mark.parametrize("sign", [-1, 1])
def test_turned_heads(sign):
    assert seen(yaw=sign * 30).yaw == pytest.approx(sign * np.radians(30), abs=0.01)
    assert "turned to the side (30" in seen(yaw=sign * 30).notes[0]
    with pytest.raises(InputError, match="side \\(45 degrees"):
        seen(yaw=sign * 45)
    with pytest.raises(InputError, match="up" if sign > 0 else "down"):
        seen(pitch=sign * 45)


def test_small_faces():
    assert "small (50 px" in seen(eyes_px=50).notes[0]
    assert "small (25 px" in seen(eyes_px=25).notes[0]
    with pytest.raises(InputError, match=r"too small \(20 px.*24 px is the least"):
        seen(eyes_px=20)


def test_open_mouth_and_shut_eyes():
    lower_lip = {f"p{p}": 0.15 for p in (14, 87, 317)}
    assert "mouth is open" in seen(**lower_lip).notes[0]
    assert "wide open" in seen(**{name: 0.4 for name in lower_lip}).notes[0]
    upper_lid = {f"p{p}": 0.15 for p in (387, 386, 385)}
    assert seen(**upper_lid).notes[0].startswith("the left eye looks shut")


def lowered(left: float, right: float) -> dict[str, float]:
    """How far both upper lids come down, as `seen` takes it."""
    return {f"p{upper}": down for lids, down in ((LEFT_LIDS, left), (RIGHT_LIDS, right)) for upper, _ in lids}


def test_eyes_that_are_nearly_shut_are_told():
    gap = lid_opening(canonical_face()[None])[0, 0]
    assert seen(**lowered(gap - 0.1, gap - 0.1)).notes == ()
    assert "open only a little" in seen(**lowered(gap - 0.074, gap - 0.074)).notes[0]
    assert seen(**lowered(gap - 0.138, gap - 0.085)).notes[0].startswith("the right eye is half shut")
    assert not any("half shut" in note for note in seen(yaw=25, **lowered(gap - 0.138, gap - 0.085)).notes)


def test_a_far_eye_is_told():
    assert "far eye" in seen(yaw=32).notes[0]
    assert "far eye" not in seen(yaw=26).notes[0]


def test_a_face_of_which_nothing_is_sure_may_be_none():
    face, reading = face_of(canonical_face() * 100 + [500, 400, 0])
    notes = judge(face, Reading(reading.points.astype(np.float32), 1.0, 2 * reading.spread), (1000, 1000)).notes
    assert any("no face at all" in note for note in notes)


def test_one_covered_eye_is_told():
    face, reading = face_of(canonical_face() * 100 + [500, 400, 0])
    spread = reading.spread * 0.5
    spread[[point for pair in LEFT_LIDS for point in pair]] = 0.018
    notes = judge(face, Reading(reading.points.astype(np.float32), 1.0, spread), (1000, 1000)).notes
    assert [note[:31] for note in notes] == ["the left eye may be covered (ha"]


def test_anchors_are_the_centres_of_two_grids():
    assert ANCHORS.shape == (896, 2)
    np.testing.assert_allclose(ANCHORS[[0, 1, 2, 511]], [[1 / 32] * 2, [1 / 32] * 2, [3 / 32, 1 / 32], [31 / 32] * 2])
    np.testing.assert_allclose(ANCHORS[[512, 895]], [[1 / 16] * 2, [15 / 16] * 2])


def test_overlapping_boxes_melt_by_score():
    def face(x: float, score: float) -> Face:
        return Face(np.array([x, 0, x + 10, 10.0]), np.full((6, 2), x), score)

    faces = suppress([face(1, 0.6), face(100, 0.7), face(0, 0.9)])
    assert [f.score for f in faces] == [0.9, 0.7]
    np.testing.assert_allclose(faces[0].box, [0.4, 0, 10.4, 10])
    np.testing.assert_allclose(faces[0].keypoints, 0.4)
    assert overlap(faces[0].box, faces[1].box) == 0
    assert overlap(np.array([0, 0, 2, 2]), np.array([1, 0, 3, 2])) == pytest.approx(1 / 3)
    assert largest_face(faces)[0].score in (0.9, 0.7)


@pytest.mark.parametrize("side", [60.0, 128.0, 700.0])
@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_cut_square_knows_where_its_pixels_come_from(side, tilt):
    y, x = np.mgrid[:1000, :1000]
    ramp = np.stack([x / 4, y / 4, 0 * x], -1).astype(np.float32)  # a picture that holds its own coordinates
    cut, to_picture = cut_square(ramp, np.array([480.0, 520.0]), side, tilt, 64, cv2.BORDER_REPLICATE)
    v, u = np.mgrid[:64, :64] + 0.5
    places = np.stack([u, v], -1) @ to_picture[:, :2].T + to_picture[:, 2]
    np.testing.assert_allclose((cut[..., :2] * 4 + 0.5)[4:-4, 4:-4], places[4:-4, 4:-4], atol=0.3)


def test_mirror_points_pair_left_and_right():
    partner = mirror_points()
    np.testing.assert_array_equal(partner[partner], np.arange(478))
    pairs = [
        (33, 263),
        (61, 291),
        (78, 308),
        (80, 310),
        (191, 415),
        (13, 13),
        (14, 14),
        (88, 318),
        (468, 473),
        (105, 334),
    ]
    for right, left in pairs:
        assert partner[right] == left


def test_damaged_weights_are_refused(tmp_path, monkeypatch, photo):
    for name in ("face_detector", "face_landmarks"):
        data = bytearray((WEIGHTS / f"{name}.onnx").read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / f"{name}.onnx").write_bytes(data)
        (tmp_path / f"{name}.card.json").write_bytes((WEIGHTS / f"{name}.card.json").read_bytes())
    monkeypatch.setattr("engines.card.WEIGHTS", tmp_path)
    with pytest.raises(EngineMismatch, match="face_detector"):
        Landmarker().find_faces(photo)
