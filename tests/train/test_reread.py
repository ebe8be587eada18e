import numpy as np
import pytest

pytest.importorskip("torch")

from engines.face.measure import canonical_face, mirror_points
from engines.face_points import INNER_LIPS, OUTER_LIPS
from engines.portrait import make_portrait
from engines.spec import MOTION_CHANNELS
from tests.painted_faces import paint_face
from train.face.geometry import MOUTH, from_lips, with_mouth
from train.face.reread import Reading, at_lips

LIPS = [*OUTER_LIPS, *INNER_LIPS]
YAW = MOTION_CHANNELS.index("headYaw")


def person(seed: int, short: np.ndarray, by_yaw: float = 0.0, real: bool = True) -> Reading:
    """Sixty pictures whose points lie `short` (11, 478, 3) for each channel from the true ones, and go with the yaw."""
    random = np.random.default_rng(seed)
    codes = np.zeros((60, len(MOTION_CHANNELS)), np.float32)
    codes[:, : len(MOUTH)] = random.uniform(0, 0.3, (60, len(MOUTH)))
    codes[:, YAW] = random.normal(0, 0.1, 60) + 0.3 * codes[:, 0]
    apart = np.einsum("nc,cpd->npd", codes[:, : len(MOUTH)], short)
    apart[..., 0] += by_yaw * codes[:, YAW, None]
    return Reading(real, codes, np.zeros_like(apart), apart, 1.0)


def test_lips_that_fall_short_are_moved_on_and_the_rest_of_the_face_is_left():
    canonical = canonical_face()
    short = np.zeros((len(MOUTH), 478, 3), np.float32)
    short[0, :, 1] = 0.05  # all points stand too high by a twentieth of the opening
    added = at_lips([person(1, short), person(2, short)], canonical)
    np.testing.assert_allclose(added[0, LIPS, 1], 0.05, atol=0.01)
    assert np.abs(added[1:, LIPS]).max() < 0.01
    assert np.abs(added[:, from_lips(canonical)[:, 0] == 1]).max() == 0
    assert np.abs(added[..., 2]).max() == 0  # depth is not seen


def test_what_goes_with_a_turned_head_is_the_readers_and_not_the_mouths():
    still = np.zeros((len(MOUTH), 478, 3), np.float32)
    added = at_lips([person(3, still, by_yaw=0.2)], canonical_face())
    assert np.abs(added).max() < 0.01


def test_left_and_right_learn_alike():
    canonical, partner = canonical_face(), mirror_points()
    short = np.zeros((len(MOUTH), 478, 3), np.float32)
    short[2, canonical[:, 0] > 0, 1] = 0.08  # of one half of one person's face alone
    added = at_lips([person(4, short)], canonical)
    np.testing.assert_allclose(added[2, LIPS, 1], added[2, partner[LIPS], 1], atol=1e-6)


def test_real_talkers_count_more_than_rendered_people_however_many_these_are():
    canonical = canonical_face()
    short = np.zeros((len(MOUTH), 478, 3), np.float32)
    short[0, :, 1] = 0.06
    rendered = [person(seed, -short, real=False) for seed in range(10, 30)]
    added = at_lips([person(5, short), *rendered], canonical)
    assert (added[0, LIPS, 1] > 0.01).all()


def test_another_mouth_moves_the_rings_around_the_face_as_the_drawing_does():
    portrait = make_portrait(*paint_face())
    same = with_mouth(portrait, portrait.basis[: len(MOUTH), :478])
    np.testing.assert_allclose(same.basis, portrait.basis, atol=1e-7)
    assert np.abs(portrait.basis[: len(MOUTH), 478:]).max() > 0.01
