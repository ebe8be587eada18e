"""The dark of a laughing mouth's corners does not stay on lips that are shut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.drawing.geometry import LOWER_SEAM, UPPER_SEAM
from engines.face.corners import ENDS, REACH, shut_corners
from engines.generator import Generator
from engines.portrait import make_portrait
from tests.engines.test_generator import EYES_PX, code, paint_face

DARK = (40, 14, 16)


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
