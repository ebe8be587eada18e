"""Bounds of codes are given by name, and nothing but lips goes further one way than the other without a reason."""

from __future__ import annotations

import numpy as np
import pytest

from engines import generator, shaper
from engines.bounds import bounds
from engines.generator import Generator
from engines.portrait import make_portrait
from engines.spec import MOTION_CHANNELS
from tests.painted_faces import code, paint_face

BOTH_WAYS = ("eyeLookX", "eyeLookY", "headPitch", "headYaw", "headRoll", "headX", "headY")


def test_bounds_are_by_name() -> None:
    low, high = bounds(-1, 2, jawOpen=(0, 0.5), tongueUp=(-3, 4))
    assert low.shape == high.shape == (len(MOTION_CHANNELS),)
    assert (low[0], low[1], low[-1]) == (0, -1, -3)
    assert (high[0], high[1], high[-1]) == (0.5, 2, 4)


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="jawOpened"):
        bounds(0, 1, jawOpened=(0, 1))


@pytest.mark.parametrize("made", [generator, shaper])
def test_heads_and_eyes_go_as_far_both_ways(made) -> None:
    for name in BOTH_WAYS:
        at = MOTION_CHANNELS.index(name)
        assert made.LOW[at] == -made.HIGH[at], name


def test_what_is_shaped_can_be_drawn() -> None:
    """But lips and brows, whose bounds differ by the code they come with."""
    for name in (*BOTH_WAYS, "eyeBlinkLeft", "eyeBlinkRight", "eyeSquint", "noseSneer", "tongueUp"):
        at = MOTION_CHANNELS.index(name)
        assert generator.LOW[at] <= np.float32(shaper.LOW[at]), name
        assert generator.HIGH[at] >= np.float32(shaper.HIGH[at]), name


def test_a_head_is_shifted_as_far_both_ways() -> None:
    portrait = make_portrait(*paint_face())
    drawer = Generator()
    for name in ("headX", "headY"):
        for sign in (-1, 1):
            farthest = drawer.draw(code(**{name: 0.3 * sign}), portrait)
            np.testing.assert_array_equal(drawer.draw(code(**{name: 0.4 * sign}), portrait), farthest)
