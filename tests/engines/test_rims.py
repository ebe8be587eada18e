"""Glasses stay whole: their rims go with the head, whatever lids and brows do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.generator import Generator
from engines.geometry import EYES
from engines.portrait import make_portrait
from tests.engines.test_generator import EYES_PX, code, lashed_face, paint_face


def put_on(photo: np.ndarray, landmarks: np.ndarray, thick: float, colour: tuple[int, int, int]) -> np.ndarray:
    """Glasses on a face: their share of each pixel (H, W); `photo` is changed. thick: eye distances."""
    rims = np.zeros(photo.shape[:2], np.uint8)
    for eye in EYES:
        points = landmarks[list(eye.upper + eye.lower), :2]
        low, high = points.min(0) - EYES_PX * np.array([0.20, 0.13]), points.max(0) + EYES_PX * np.array([0.20, 0.22])
        box = [tuple(int(v * 16) for v in corner - 0.5) for corner in (low, high)]
        cv2.rectangle(rims, *box, 255, max(1, round(thick * EYES_PX)), cv2.LINE_AA, 4)
    share = rims[..., None] / 255.0
    photo[:] = photo * (1 - share) + np.array(colour) * share + 0.5
    return rims


@pytest.mark.parametrize(("thick", "colour"), [(0.07, (25, 20, 20)), (0.05, (60, 20, 25))])
def test_a_blink_and_raised_brows_leave_the_rims_alone(thick: float, colour: tuple[int, int, int]) -> None:
    photo, landmarks = paint_face()
    rims = put_on(photo, landmarks, thick, colour)
    portrait = make_portrait(photo, landmarks)
    assert all(found.cover.size for found in portrait.bare.rims)
    generator = Generator()
    np.testing.assert_array_equal(generator.draw(code(), portrait), photo)
    eyes = np.zeros(photo.shape[:2], bool)
    for found in portrait.bare.rims:
        x, y = found.corner
        eyes[y + 4 : y + found.cover.shape[0] - 8, x + 4 : x + found.cover.shape[1] - 4] = True
    solid = eyes & (rims == 255)
    assert solid.sum() > 200
    for shape in (code(eyeBlinkLeft=1, eyeBlinkRight=1), code(browInnerUp=0.05, browOuterUp=0.05)):
        drawn = generator.draw(shape, portrait)
        assert np.abs(drawn.astype(int) - photo).max() > 40  # lids and brows do move
        assert np.abs(drawn.astype(int) - photo)[solid].max() < 12


def test_rims_turn_with_the_head_as_if_the_eyes_were_open() -> None:
    photo, landmarks = paint_face()
    put_on(photo, landmarks, 0.06, (25, 20, 20))
    portrait, generator = make_portrait(photo, landmarks), Generator()
    turned = {"headYaw": 0.1, "headPitch": -0.05, "headRoll": 0.04}
    opened = generator.draw(code(**turned), portrait).astype(int)
    shut = generator.draw(code(eyeBlinkLeft=1, eyeBlinkRight=1, **turned), portrait).astype(int)
    rims = cv2.erode((opened.sum(-1) < 120).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    for found in portrait.bare.rims:
        x, y = found.corner + np.array([6, 6])
        part = slice(y, y + found.cover.shape[0] - 12), slice(x, x + found.cover.shape[1] - 12)
        assert rims[part].sum() > 60
        assert np.abs(opened - shut)[part][rims[part]].max() < 25


def test_a_bare_face_and_lashes_have_no_rims() -> None:
    for photo, landmarks in (paint_face(), paint_face(seed=3), lashed_face()):
        assert not any(found.cover.size for found in make_portrait(photo, landmarks).bare.rims)
