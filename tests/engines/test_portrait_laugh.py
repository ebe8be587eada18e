"""A wide laugh comes to rest by its jaw: the upper lip stays by the teeth that it shows, and they stay the person's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.errors import InputError
from engines.face_points import INNER_LIPS, LOWER_SEAM, UPPER_SEAM
from engines.portrait import INCISOR_DROP, Portrait, make_portrait, resting_shift
from tests.painted_faces import EYES_PX, paint_face

ZOOM = 3  # teeth of paint_face's own size are too coarse to be lifted
TEETH = 0.08  # how far they hang below the upper lip, eye distances


def laughing(opened: float) -> tuple[np.ndarray, np.ndarray]:
    """A face whose open mouth is dark but for its upper teeth, and its landmarks."""
    photo, landmarks = paint_face(opened)
    photo = cv2.resize(photo, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
    landmarks = landmarks * ZOOM
    mouth, teeth = np.zeros(photo.shape[:2], np.uint8), np.zeros(photo.shape[:2], np.uint8)
    cv2.fillPoly(mouth, [np.round(landmarks[list(INNER_LIPS), :2]).astype(np.int32)], 1)
    upper = landmarks[list(UPPER_SEAM), :2]
    down = np.array([0.0, TEETH * EYES_PX * ZOOM])
    cv2.fillPoly(teeth, [np.round(np.concatenate([upper, (upper + down)[::-1]])).astype(np.int32)], 1)
    photo[mouth > 0] = (45, 18, 20)
    photo[(mouth > 0) & (teeth > 0)] = (236, 228, 212)
    return cv2.GaussianBlur(photo, (0, 0), 0.8), landmarks


def moved(portrait: Portrait) -> tuple[float, float]:
    """How far down the upper and the lower lip go to rest, in their middle, eye distances."""
    return tuple(float(portrait.rest_shift[seam[5], 1]) for seam in (UPPER_SEAM, LOWER_SEAM))


def test_a_hanging_jaw_does_not_pull_the_upper_lip_over_the_teeth() -> None:
    portrait = make_portrait(*laughing(0.30))
    down, up = moved(portrait)
    assert down - up > 0.25  # it is wide
    assert 0.5 * TEETH < down < 0.25 * (down - up)  # down to the teeth's edge, not halfway
    line = float(portrait.rest[UPPER_SEAM[5], 1])
    assert float(portrait.rest[LOWER_SEAM[5], 1]) == pytest.approx(line, abs=0.01)
    assert portrait.teeth_place[0, 1] - line == pytest.approx(INCISOR_DROP, abs=0.005)
    assert portrait.teeth_by_smile[0] == 0.0  # its own teeth, no guessed ones


def test_lips_that_stand_a_little_apart_meet_halfway() -> None:
    portrait = make_portrait(*laughing(0.06))
    down, up = moved(portrait)
    assert 0.4 < down / (down - up) < 0.5


def test_lips_meet_on_one_line_wherever_it_is() -> None:
    _, landmarks = paint_face(0.2)
    aligned = (landmarks / EYES_PX).astype(np.float32)
    upper, lower = list(UPPER_SEAM), list(LOWER_SEAM)
    for raised in (0.0, 0.05, 9.0):
        shift = resting_shift(aligned, raised)
        np.testing.assert_allclose((aligned + shift)[upper], (aligned + shift)[lower], atol=1e-5)
        assert shift[upper, 1].min() >= -1e-5  # never above the upper lip itself
    halfway, by_jaw = (resting_shift(aligned, raised) for raised in (0.0, 0.05))
    assert halfway[upper[5], 1] - by_jaw[upper[5], 1] == pytest.approx(0.05, abs=1e-3)


def test_what_a_picture_needs_is_made_before_it() -> None:
    portrait = make_portrait(*paint_face())
    assert "bare" not in vars(portrait)
    assert portrait.prepare() is portrait
    assert {"bare", "room", "folds"} <= set(vars(portrait))


def test_a_photo_of_which_no_picture_can_be_made_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It failed in the call, at the first picture."""

    def fail(*_: object) -> None:
        cv2.dilate(np.zeros((0, 0), np.uint8), np.ones((3, 3), np.uint8))

    monkeypatch.setattr("engines.portrait.lift_marks", fail)
    with pytest.raises(InputError, match="no picture can be made"):
        make_portrait(*paint_face()).prepare()
