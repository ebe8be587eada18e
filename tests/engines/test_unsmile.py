"""A smile comes to rest, a face at rest stays, and both sides of the face are treated alike."""

from __future__ import annotations

import numpy as np
import pytest

from engines.drawing.geometry import load_geometry
from engines.face.measure import canonical_face, mirror_points
from engines.face.unsmile import (
    BEARDED_GOES,
    BROAD_GOES,
    CROOKED,
    LIPS,
    TURNED_GOES,
    level_corners,
    rest_shift,
    share_of_way,
)
from engines.face_points import CORNERS
from engines.spec import MOTION_CHANNELS


def face_with(**channels: float) -> np.ndarray:
    basis, _ = load_geometry()
    moved = sum(value * basis[MOTION_CHANNELS.index(name)] for name, value in channels.items())
    return (canonical_face() + moved).astype(np.float32)


def lips_away(face: np.ndarray) -> float:
    return float(np.linalg.norm((face - canonical_face())[LIPS, :2], axis=1).mean())


SMILE = {"mouthSmileLeft": 0.10, "mouthSmileRight": 0.10, "mouthStretch": 0.25, "jawOpen": 0.08}


def test_a_smile_comes_to_rest():
    face = face_with(**SMILE)
    shift = rest_shift(face)
    assert shift.dtype == np.float32
    assert lips_away(face + shift) < 0.5 * lips_away(face)


def test_a_face_at_rest_stays():
    assert not rest_shift(canonical_face()).any()


def test_the_shift_fades_in():
    sizes = [
        np.abs(rest_shift(face_with(**{k: v * share for k, v in SMILE.items()}))).max() for share in (0.05, 0.4, 1)
    ]
    assert sizes[0] == 0
    assert 0 < sizes[1] < sizes[2]


def test_both_sides_alike():
    flip = np.array([-1, 1, 1], np.float32)
    face = face_with(mouthSmileLeft=0.12, mouthSmileRight=0.05, mouthStretch=0.2)
    mirrored = face[mirror_points()] * flip
    np.testing.assert_allclose(rest_shift(mirrored), rest_shift(face)[mirror_points()] * flip, atol=0.01)


def test_a_turned_head_is_not_taken_for_a_smile():
    slight = next(
        f
        for f in (face_with(**{k: v * share for k, v in SMILE.items()}) for share in np.linspace(0.1, 1, 30))
        if rest_shift(f).any()
    )
    assert not rest_shift(slight, 0.28).any()
    broad = face_with(**SMILE)
    np.testing.assert_array_equal(rest_shift(broad, 0.10), rest_shift(broad))
    assert np.abs(rest_shift(broad, 0.28)).max() > 0.5 * np.abs(rest_shift(broad)).max()


def test_a_laugh_beyond_all_that_was_learned_rests_at_half_a_smile():
    broad = face_with(**{name: 2.5 * value for name, value in SMILE.items()})
    assert lips_away(canonical_face() + rest_shift(broad)) == pytest.approx(BROAD_GOES, abs=0.002)
    assert lips_away(canonical_face() + rest_shift(broad, bearded=1.0)) == pytest.approx(BEARDED_GOES, abs=0.002)
    assert lips_away(canonical_face() + rest_shift(broad, 0.5)) == pytest.approx(TURNED_GOES, abs=0.002)


def test_a_smile_like_the_learned_ones_goes_all_the_way():
    assert share_of_way(0.125, 0.24) == 1
    assert share_of_way(0.5 * BEARDED_GOES, 0.0, 1.0) == share_of_way(0.5 * TURNED_GOES, 0.6) == 1
    assert share_of_way(0.125, 0.0, 1.0) < share_of_way(0.125, 0.0, 0.5) < 1


def lower_corner(face: np.ndarray) -> float:
    return float(face[CORNERS[0], 1] - face[CORNERS[1], 1])


def test_a_lopsided_smile_rests_nearly_level_and_a_crooked_face_at_rest_stays() -> None:
    lopsided = face_with(mouthSmileLeft=0.16, mouthSmileRight=0.06, mouthStretch=0.25, jawOpen=0.08)
    skewed = lopsided.copy()
    skewed[:, 1] += 0.06 * lopsided[:, 0] / (lopsided[CORNERS[1], 0] - lopsided[CORNERS[0], 0])
    for face in (lopsided, skewed):
        assert abs(lower_corner(face + rest_shift(face))) < CROOKED
    even = face_with(**SMILE)
    rested = even + rest_shift(even)
    assert abs(lower_corner(rested)) < 0.01
    # As crooked as many faces are, a mouth keeps most of that; what is no mouth keeps its place.
    slight = rested.copy()
    slight[LIPS, 1] += 0.01 * rested[LIPS, 0] / (rested[CORNERS[1], 0] - rested[CORNERS[0], 0])
    assert abs(lower_corner(slight + level_corners(slight))) > 0.8 * abs(lower_corner(slight))
    assert np.abs(level_corners(skewed)[[10, 33, 263]]).max() < 0.002
