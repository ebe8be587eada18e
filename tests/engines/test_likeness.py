"""One person's photos stay within the limit, another face does not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engines.drawing.geometry import load_geometry
from engines.face.landmarker import Landmarker
from engines.face.likeness import likeness_model
from engines.face.measure import canonical_face, mirror_points, remove_pose
from engines.face.photo import read_photo
from engines.spec import MOTION_CHANNELS
from realtime.faces import second_photo_notes

PHOTO = read_photo(Path(__file__).parents[1] / "data" / "face.jpg")


def test_a_smile_and_a_mirror_image_are_the_same_person():
    basis, _ = load_geometry()
    face, flip = canonical_face(), np.array([-1, 1, 1], np.float32)
    smile = face + 0.1 * sum(basis[MOTION_CHANNELS.index(name)] for name in ("mouthSmileLeft", "mouthSmileRight"))
    model = likeness_model()
    assert model.apart(face, face) == 0
    assert model.apart(face, smile) < 0.5
    assert model.apart(smile, smile[mirror_points()] * flip) < 0.5


def test_a_face_of_other_proportions_is_another_person():
    face = canonical_face()
    longer = face * np.array([1, 1.25, 1], np.float32)
    assert likeness_model().apart(face, remove_pose(longer[None], face)[0][0]) > 1


def test_notes_of_a_second_photo():
    with Landmarker() as landmarker:
        first = landmarker.examine(PHOTO)
        smaller = landmarker.examine(cv2.resize(PHOTO, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA))
        narrow = landmarker.examine(cv2.resize(PHOTO, None, fx=0.75, fy=1.0, interpolation=cv2.INTER_AREA))
    assert not any("another person" in note for note in second_photo_notes(first, smaller, Path("q.jpg")))
    assert "q.jpg looks like another person" in second_photo_notes(first, narrow, Path("q.jpg"))[-1]
