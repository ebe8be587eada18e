"""ARKit weights: the 52 names, 0..1, and shut lips that stay shut on another face."""

from __future__ import annotations

import numpy as np
import pytest

from engines.motion import arkit
from engines.motion.arkit import ARKIT, arkit_weights, head_quaternion
from engines.motion.expression import prototype
from engines.spec import MOTION_CHANNELS

AT = {name: i for i, name in enumerate(ARKIT)}


def motion(**values: float) -> np.ndarray:
    code = np.zeros(len(MOTION_CHANNELS))
    for name, value in values.items():
        code[MOTION_CHANNELS.index(name)] = value
    return code


def weights(**values: float) -> dict[str, float]:
    return dict(zip(ARKIT, arkit_weights(motion(**values)).tolist(), strict=True))


def gap_of(made: dict[str, float]) -> float:
    """How far these weights part the lips of a rendered head, by the measured effects."""
    sides = [
        (made[f"mouthUpperUp{s}"] * arkit.UPPER_GAP + made[f"mouthLowerDown{s}"] * arkit.LOWER_GAP) / 2
        for s in ("Left", "Right")
    ]
    return (made["jawOpen"] - made["mouthClose"]) * arkit.JAW_GAP + made["mouthFunnel"] * arkit.FUNNEL_GAP + sum(sides)


def test_the_52_names():
    assert len(ARKIT) == len(set(ARKIT)) == 52
    assert sum(name.endswith("Left") for name in ARKIT) == sum(name.endswith("Right") for name in ARKIT)


def test_rest_is_rest():
    assert not arkit_weights(np.zeros(25)).any()


def test_many_codes_at_once():
    codes = np.random.default_rng(0).normal(0, 0.1, (3, 4, 25))
    made = arkit_weights(codes)
    assert made.shape == (3, 4, 52)
    assert made.dtype == np.float32
    assert np.array_equal(made[2, 3], arkit_weights(codes[2, 3]))
    assert made.min() >= 0
    assert made.max() <= 1


def test_lowered_jaw_with_shut_lips_stays_shut():
    made = weights(jawDrop=0.05, mouthLowerDown=0.05, mouthUpperUp=-0.02)  # a median GRID p, b or m
    assert made["jawOpen"] == pytest.approx(0.2, abs=0.01)
    assert made["mouthClose"] == pytest.approx(made["jawOpen"])
    assert made["mouthLowerDownLeft"] == made["mouthUpperUpLeft"] == 0
    assert gap_of(made) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("look", ["happiness", "anger", "disgust", "fear", "sadness", "boredom", "frown"])
def test_no_look_opens_another_face(look):
    made = dict(zip(ARKIT, arkit_weights(prototype(look)).tolist(), strict=True))
    assert gap_of(made) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("gap", "drop"), [(0.165, 0.09), (0.11, 0.04), (0.06, 0.041), (0.3, 0.02)])
def test_the_gap_arrives(gap, drop):
    """Opening and chin of GRID vowels: the weights part the rendered lips by as much."""
    made = weights(jawOpen=gap, jawDrop=drop, mouthLowerDown=gap, mouthUpperUp=0.02)
    assert gap_of(made) <= gap + 1e-6
    assert gap_of(made) > 0.8 * gap


def test_corners_pucker_and_stretch():
    assert weights(mouthSmileLeft=arkit.SMILE_RISE / 2)["mouthSmileLeft"] == pytest.approx(0.5)
    assert weights(mouthSmileLeft=0.075)["mouthSmileRight"] == 0
    assert weights(mouthSmileLeft=-arkit.FROWN_DROP)["mouthFrownLeft"] == pytest.approx(1, abs=0.01)
    assert weights(mouthStretch=-arkit.PUCKER_WIDTH)["mouthPucker"] == pytest.approx(1, abs=0.01)
    assert weights(mouthStretch=arkit.STRETCH_WIDTH / 2)["mouthStretchLeft"] == pytest.approx(0.5)
    rise = arkit.SMILE_RISE / 2
    smile = weights(mouthStretch=arkit.SMILE_WIDTH / 2, mouthSmileLeft=rise, mouthSmileRight=rise)
    assert smile["mouthStretchLeft"] < 0.01  # the smile's own width


def test_wide_eyes_do_not_blink() -> None:
    made = weights(eyeBlinkLeft=-arkit.WIDE_OPEN / 2, eyeBlinkRight=0.4)
    assert made["eyeWideLeft"] == pytest.approx(0.5)
    assert made["eyeBlinkLeft"] == made["eyeWideRight"] == 0
    assert made["eyeBlinkRight"] == pytest.approx(0.4)


def test_corners_that_the_jaw_lowers_are_no_frown():
    made = weights(jawOpen=0.165, jawDrop=0.09, mouthLowerDown=0.16, mouthSmileLeft=-0.04, mouthSmileRight=-0.04)
    assert made["mouthFrownLeft"] == 0


def test_brows():
    inner, outer = arkit.INNER_INNER, arkit.INNER_OUTER
    made = weights(browInnerUp=inner, browOuterUp=outer)
    assert made["browInnerUp"] == pytest.approx(1, abs=1e-5)
    assert made["browOuterUpLeft"] == pytest.approx(0, abs=1e-5)
    made = weights(browInnerUp=arkit.OUTER_INNER, browOuterUp=arkit.OUTER_OUTER)
    assert made["browOuterUpRight"] == pytest.approx(1, abs=1e-5)
    assert made["browInnerUp"] == pytest.approx(0, abs=1e-5)
    assert weights(browInnerUp=-arkit.BROW_DOWN)["browDownLeft"] == pytest.approx(1, abs=0.01)


def test_left_is_the_persons_own():
    look = weights(eyeLookX=np.radians(15))
    assert look["eyeLookOutLeft"] == look["eyeLookInRight"] == pytest.approx(0.5)
    assert look["eyeLookInLeft"] == look["eyeLookOutRight"] == 0
    assert weights(eyeLookY=-0.1)["eyeLookDownLeft"] > 0.2
    assert weights(eyeBlinkLeft=1)["eyeBlinkLeft"] == 1
    assert weights(eyeBlinkLeft=1)["eyeBlinkRight"] == 0


def turned(quaternion: np.ndarray, vector: tuple[float, float, float]) -> np.ndarray:
    axis, w = quaternion[:3], quaternion[3]
    v = np.array(vector)
    return v + 2 * w * np.cross(axis, v) + 2 * np.cross(axis, np.cross(axis, v))


def test_head_turns_in_unitys_frame():
    """Avatar looks along +z, up is +y, its own right is +x (left-handed; the algebra of rotation is the same)."""
    assert head_quaternion(np.zeros(25)) == pytest.approx([0, 0, 0, 1])
    forward, right = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)
    assert turned(head_quaternion(motion(headPitch=0.3)), forward)[1] > 0.2  # up
    assert turned(head_quaternion(motion(headYaw=0.3)), forward)[0] < -0.2  # to its own left
    assert turned(head_quaternion(motion(headRoll=0.3)), right)[1] > 0.2  # right side up: tilts left
    both = head_quaternion(motion(headPitch=0.2, headYaw=-0.3, headRoll=0.1))
    assert np.linalg.norm(both) == pytest.approx(1)
    around_z = turned(head_quaternion(motion(headRoll=0.1)), forward)
    around_x = turned(head_quaternion(motion(headPitch=0.2)), tuple(around_z))
    assert turned(both, forward) == pytest.approx(turned(head_quaternion(motion(headYaw=-0.3)), tuple(around_x)))
