"""The dark and the marks of a laughing mouth's corners do not stay beside lips that are shut."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from engines.drawing.geometry import load_geometry
from engines.face.corners import (
    BESIDE_IT,
    ENDS,
    LINE,
    LINE_ALONG,
    LINE_OUT,
    MARKED,
    REACH,
    clear_corners,
    draw_ends,
    lacks,
    shut_corners,
)
from engines.face.measure import canonical_face
from engines.face.unfold import cut, smile_of, to_crop
from engines.face_points import LOWER_SEAM, OUTER_LIPS, UPPER_SEAM
from engines.generator import Generator
from engines.motion.expression import prototype
from engines.portrait import HAPPY_SMILE, MOST_SMILE, make_portrait
from engines.spec import MOTION_CHANNELS
from tests.painted_faces import EYES_PX, bearded, blurred, code, paint_face, place

DARK = (40, 14, 16)
SKIN, LIPS, SIZE_PX = (196.0, 150.0, 128.0), (170.0, 90.0, 92.0), 320
SMUDGED = (-46.0, -34.0, -22.0)  # darker and greyer, yet lighter than what `shut_corners` takes for the mouth's dark
LAUGH = {"mouthSmileLeft": 0.12, "mouthSmileRight": 0.12, "mouthStretch": 0.2, "jawOpen": 0.12}


def laughing_face() -> tuple[np.ndarray, np.ndarray]:
    """A face with an open mouth whose dark runs out a little beyond the corners that landmarks tell."""
    photo, landmarks = paint_face(opened=0.12)
    inside = landmarks[[*UPPER_SEAM, *LOWER_SEAM[-2:0:-1]], :2]
    middle = inside.mean(0)
    wider = middle + (inside - middle) * (1.12, 1.0)
    cv2.fillPoly(photo, [np.round((wider - 0.5) * 16).astype(np.int32)], DARK, cv2.LINE_AA, 4)
    teeth = middle + (inside - middle) * (0.6, 0.8)
    cv2.fillPoly(photo, [np.round((teeth - 0.5) * 16).astype(np.int32)], (230, 222, 205), cv2.LINE_AA, 4)
    return photo, landmarks


def marked_laugh(smudge: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A laugh with a grey smudge beyond either corner, its landmarks, and where the smudges lie, (h, w) bool."""
    basis, _ = load_geometry()
    face = canonical_face() + sum(value * basis[MOTION_CHANNELS.index(name)] for name, value in LAUGH.items())
    face[list(LOWER_SEAM[1:-1]), 1] += 0.1
    landmarks = (face * EYES_PX + (SIZE_PX / 2, 0.36 * SIZE_PX, 0)).astype(np.float32)
    grain = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 6, (SIZE_PX, SIZE_PX, 1)), (0, 0), 0.7)[..., None]
    photo = np.array(SKIN) + grain
    opening = [*UPPER_SEAM, *LOWER_SEAM[-2:0:-1]]
    for line, colour in ((OUTER_LIPS, LIPS), (opening, (235.0, 230.0, 215.0))):
        cv2.fillPoly(photo, [np.round((landmarks[list(line), :2] - 0.5) * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)
    there = np.zeros(photo.shape[:2], np.float32)
    for (outer, _), outward in zip(ENDS, (-1, 1), strict=True):
        x, y = landmarks[outer, :2] + (outward * 0.06 * EYES_PX, 0)
        cv2.circle(there, (round(float(x)), round(float(y))), round(0.025 * EYES_PX), 1.0, -1, cv2.LINE_AA)
    photo += smudge * cv2.GaussianBlur(there, (0, 0), 1.0)[..., None] * SMUDGED
    return np.clip(photo, 0, 255).astype(np.uint8), landmarks, there > 0.5


def test_no_dots_at_the_corners_of_a_mouth_brought_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def dark_at_the_ends() -> int:
        portrait = make_portrait(*laughing_face())
        drawn = Generator().draw(code(), portrait)
        ends = portrait.scale[0] * portrait.rest[[61, 291]] @ portrait.rotation.T + portrait.translation
        return sum(int((drawn[y - 9 : y + 10, x - 9 : x + 10, 0] < 90).sum()) for x, y, _ in ends.astype(int))

    shut = dark_at_the_ends()  # drawn lips are 170, their grain included; the mouth's dark is 40
    monkeypatch.setattr("engines.portrait.shut_corners", lambda photo, _landmarks, _scale: photo)
    left = dark_at_the_ends()
    assert shut < 0.5 * left


def test_only_corners_change() -> None:
    photo, landmarks = laughing_face()
    change = np.abs(shut_corners(photo, landmarks, EYES_PX).astype(int) - photo).max(2).astype(np.uint8)
    assert change.max() > 60
    for _, inner in ENDS:
        cv2.circle(change, [round(float(v)) for v in landmarks[inner, :2]], round(1.2 * REACH * EYES_PX), 0, -1)
    assert not change.any()


def test_a_beard_around_the_corners_stays() -> None:
    photo, landmarks = laughing_face()
    bearded = photo.copy()
    for outer, _ in ENDS:
        x, y = landmarks[outer, :2].astype(int)
        bearded[y + 5 : y + 30, x - 12 : x + 12] = (52, 40, 34)
    change = np.abs(shut_corners(bearded, landmarks, EYES_PX).astype(int) - bearded).max(2)
    for outer, _ in ENDS:
        x, y = landmarks[outer, :2].astype(int)
        assert not change[y + 12 : y + 30, x - 12 : x + 12].any()


@pytest.mark.parametrize("opened", [0.0, 0.01])
def test_lips_that_are_shut_are_left_alone(opened: float) -> None:
    photo, landmarks = paint_face(opened)
    assert shut_corners(photo, landmarks, EYES_PX) is photo


def test_a_corner_at_the_pictures_edge() -> None:
    photo, landmarks = laughing_face()
    x = int(landmarks[61, 0]) - 1
    cut = np.ascontiguousarray(photo[:, x:])
    assert shut_corners(cut, landmarks - np.array([x, 0, 0], np.float32), EYES_PX).shape == cut.shape
    assert shut_corners(photo, landmarks - np.array([500, 0, 0], np.float32), EYES_PX).shape == photo.shape


def test_a_laughs_marks_do_not_stay_beside_its_corners() -> None:
    photo, landmarks, there = marked_laugh()
    unmarked, _, _ = marked_laugh(0.0)
    marked_face, face = (make_portrait(picture, landmarks + np.array([0.5, 0.5, 0])) for picture in (photo, unmarked))
    before = np.abs(photo[there].mean(0) - SKIN)
    assert before.max() > 25
    for cleared, wanted in ((shut_corners(photo, landmarks, EYES_PX), SKIN), (marked_face.photo, face.photo[there])):
        after = np.abs(cleared[there].mean(0) - np.reshape(wanted, (-1, 3)).mean(0))
        assert (after < 0.3 * before).all()  # in red, green and blue: light and hue


def test_skin_keeps_its_grain() -> None:
    photo, landmarks, there = marked_laugh(0.0)
    cleared = clear_corners(photo, landmarks, EYES_PX, 1.0)
    fine = [
        picture[..., 1] - cv2.GaussianBlur(picture[..., 1], (0, 0), 1.0) for picture in np.float32([photo, cleared])
    ]
    assert fine[1][there].std() > 0.7 * fine[0][there].std()
    assert np.abs(cleared.astype(float) - photo)[there].mean() < 3.0


def test_lips_and_all_that_is_far_from_the_corners_stay() -> None:
    photo, landmarks, _ = marked_laugh()
    change = np.abs(clear_corners(photo, landmarks, EYES_PX, 1.0).astype(int) - photo).max(2).astype(np.uint8)
    for outer, _ in ENDS:
        reach = round((MARKED + BESIDE_IT[1]) * EYES_PX) + 2
        cv2.circle(change, [round(float(v)) for v in landmarks[outer, :2]], reach, 0, -1)
    assert not change.any()


def test_corners_that_keep_their_place_are_left_alone() -> None:
    photo, landmarks = paint_face(opened=0.12)
    assert clear_corners(photo, landmarks, EYES_PX, 1.0) is photo


def test_hair_beside_the_corners_stays() -> None:
    photo, points, _ = bearded(0.3, 0.8)
    skin, to_photo = place()
    here = to_crop(points[:, :2], to_photo)
    hairs, smudges = (np.abs(lacks(cut(p, to_photo, skin.shape), here)).sum() for p in (photo, blurred(photo)))
    assert hairs < 0.3 * smudges


def test_a_laughs_corner_at_the_pictures_edge() -> None:
    photo, landmarks, _ = marked_laugh()
    x = int(landmarks[61, 0]) - 1
    part = np.ascontiguousarray(photo[:, x:])
    assert clear_corners(part, landmarks - np.array([x, 0, 0], np.float32), EYES_PX, 1.0).shape == part.shape
    assert clear_corners(photo, landmarks - np.array([900, 0, 0], np.float32), EYES_PX, 1.0) is photo


def test_the_line_between_lips_ends_in_a_shade() -> None:
    """Darkest at the corner, a little below it beyond, none farther out or across; in the light's own hue."""
    plain = np.full((SIZE_PX, SIZE_PX, 3), SKIN, np.uint8)
    _, landmarks = paint_face(opened=0.12)
    points = landmarks[:, :2]
    share = draw_ends(plain, points, points, EYES_PX) / plain.astype(float)
    for (outer, _), outward in zip(ENDS, (-1, 1), strict=True):
        x, y = np.round(points[outer]).astype(int)
        across = share[y - 12 : y + 13, x].mean(-1)
        assert np.abs(share[y, x] - (1 - LINE)).max() < 0.06
        assert np.abs(across.argmin() - 12) <= 2
        assert across[[0, -1]].min() > 0.98
        place = (float(points[outer, 0] - 0.5 + outward * 0.05 * EYES_PX), float(points[outer, 1] + 2.5))
        beyond = cv2.getRectSubPix(share.mean(-1).astype(np.float32), (1, 19), place)[:, 0]
        assert 0.85 < beyond.min() < 0.97
        assert beyond.argmin() > 6  # below the corner
        far = x + outward * round((LINE_OUT + 2 * LINE_ALONG) * EYES_PX - 2)
        assert share[y - 20 : y + 30, far].min() > 0.98


def test_lips_that_are_shut_have_a_line_of_their_own() -> None:
    photo, landmarks = paint_face(opened=0.01)
    assert draw_ends(photo, landmarks[:, :2], landmarks[:, :2], EYES_PX) is photo
    outside = landmarks[:, :2] + (4 * SIZE_PX, 0)
    assert np.array_equal(draw_ends(photo, outside, outside, EYES_PX), photo)


def test_who_laughs_in_the_photo_smiles_as_broadly() -> None:
    calm = make_portrait(*paint_face())
    assert calm.own_smile == 1.0
    to_rest = np.zeros_like(calm.rest_shift)
    to_rest[[61, 291], :2] = (0.09, 0.07), (-0.09, 0.07)
    assert replace(calm, rest_shift=0.5 * to_rest).own_smile == 1.0
    assert replace(calm, rest_shift=1.3 * to_rest).own_smile == pytest.approx(1.3 * 0.114 / HAPPY_SMILE, rel=0.01)
    assert replace(calm, rest_shift=3 * to_rest).own_smile == MOST_SMILE


def test_the_happy_look_goes_as_far_as_portraits_think() -> None:
    basis, _ = load_geometry()
    happy = prototype("happiness")[: len(basis)] @ basis.reshape(len(basis), -1)
    assert smile_of(-happy.reshape(-1, 3)) == pytest.approx(HAPPY_SMILE, rel=0.04)
