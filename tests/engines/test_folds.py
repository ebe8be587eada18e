"""A smile folds the skin beside the nose: symmetric, soft, none at rest, none over a beard."""

from __future__ import annotations

import numpy as np
import pytest

from engines.drawing.folds import CHEEKS, CREASES, DEPTH, FULL_SMILE, LIFT, fold_gains, smile_share
from engines.face.measure import canonical_face
from engines.generator import Generator
from engines.portrait import CROP_LEFT, CROP_PX, CROP_SIZE_PX, CROP_TOP, make_portrait
from engines.spec import MOTION_CHANNELS
from tests.painted_faces import paint_face


def crop_points() -> np.ndarray:
    return (canonical_face()[:468, :2] - (CROP_LEFT, CROP_TOP)) * CROP_PX - 0.5


def gains_over(crop: np.ndarray) -> np.ndarray:
    return fold_gains(crop_points(), CROP_PX, CROP_SIZE_PX, crop)


SKIN = np.full((*CROP_SIZE_PX, 3), 150, np.uint8)


def at(gain: np.ndarray, point: int) -> float:
    x, y = crop_points()[point].round().astype(int)
    return float(gain[y, x])


def test_creases_are_dark_and_cheeks_light() -> None:
    gains = gains_over(SKIN)
    for side in (0, 1):
        assert at(gains[side], CREASES[side][2]) < -0.8 * DEPTH
        assert at(gains[side], CREASES[1 - side][2]) == pytest.approx(0, abs=1e-3)
        assert at(gains[side], CHEEKS[side]) > 0
        assert gains[side].min() >= -1.01 * DEPTH
        assert gains[side].max() <= LIFT * DEPTH
    assert np.abs(gains[0] - gains[1][:, ::-1]).max() < 0.6 * DEPTH  # the canonical face is nearly symmetric
    assert gains[0].sum() == pytest.approx(gains[1].sum(), rel=0.1)


def test_folds_end_softly() -> None:
    gains = gains_over(SKIN)
    assert np.abs(np.diff(gains, axis=1)).max() < 0.6 * DEPTH
    assert not np.abs(gains[:, :, 58:62]).max() > 0.01 * DEPTH  # nothing under the nose


def test_a_beard_is_not_folded() -> None:
    bearded = SKIN.copy()
    bearded[int((0.72 - CROP_TOP) * CROP_PX) :] = 80
    assert np.abs(gains_over(bearded)).max() < 0.05 * DEPTH


def test_only_a_smile_folds() -> None:
    assert smile_share(0.0) == smile_share(-0.1) == smile_share(0.005) == 0.0
    assert smile_share(FULL_SMILE) == pytest.approx(1.0)
    assert smile_share(0.3) == pytest.approx(1.2)


def test_the_drawn_smile_shows_them_on_its_own_side() -> None:
    generator, portrait = Generator(), make_portrait(*paint_face())
    motion = np.zeros(len(MOTION_CHANNELS), np.float32)
    motion[MOTION_CHANNELS.index("mouthSmileLeft")] = FULL_SMILE
    folded = generator.draw(motion, portrait).astype(int)
    left = portrait.folds.copy()
    portrait.folds[:] = 0
    change = (folded - generator.draw(motion, portrait)).sum(-1)
    assert left[1].min() < -0.5 * DEPTH
    assert change.min() < -5
    nose = int(portrait.landmarks[4, 0])
    assert not change[:, :nose].any()  # the person's left is the picture's right
