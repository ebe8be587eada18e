"""The trials of eyes measure what they say."""

from __future__ import annotations

import cv2
import numpy as np

from engines.face_points import EYES
from engines.portrait import make_portrait
from tests.painted_faces import paint_face
from train.face.eye_trials import ACROSS, RIMS, across_line, openings, put_on


def test_the_light_across_a_line_is_skin_then_the_line() -> None:
    photo, landmarks = paint_face()
    photo[:] = (200, 160, 140)
    for eye in EYES:
        middle = (landmarks[list(eye.upper), :2] + landmarks[list(eye.lower), :2]) / 2
        cv2.polylines(photo, [np.round((middle - 0.5) * 16).astype(np.int32)], False, (100, 80, 70), 3, cv2.LINE_AA, 4)
    light = across_line(photo, landmarks)
    assert light.shape == ACROSS.shape
    assert abs(light[len(ACROSS) // 2] - 0.5) < 0.05
    assert light[[3, -4]].min() > 0.97


def test_drawn_glasses_have_rims() -> None:
    photo, landmarks = paint_face()
    worn = put_on(photo, landmarks, *RIMS[1])
    assert 0.004 < (np.abs(worn.astype(int) - photo).max(-1) > 40).mean() < 0.2
    assert all(rims.cover.size for rims in make_portrait(worn, landmarks).bare.rims)


def test_pictures_without_a_face_have_no_opening() -> None:
    _, landmarks = paint_face()
    points = np.stack([landmarks, np.full_like(landmarks, np.nan)])
    found = openings(points)
    assert found[0] > 0.05
    assert np.isnan(found[1])
