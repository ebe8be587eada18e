"""Light on teeth between lips that are hardly apart."""

from __future__ import annotations

import numpy as np

from engines.drawing.layers import LINE, Lines, OnPhoto
from engines.drawing.mouth import paint_mouth
from engines.face.tones import LUMA
from engines.generator import Generator
from engines.portrait import make_portrait
from tests.painted_faces import EYES_PX, code, paint_face

SCALE = 4  # of the painted face, so that a narrow gap is some pixels high


def gap_of(**motion: float) -> np.ndarray:
    """Mean colours from the upper to the lower lip's edge in the mouth's middle, (rows, 3), of a face whose own bright
    teeth fill the gap."""
    photo, landmarks = paint_face(size=320)
    photo = np.repeat(np.repeat(photo, SCALE, 0), SCALE, 1)
    portrait, generator = make_portrait(photo, landmarks * SCALE), Generator()
    portrait.upper_teeth[:] = (225, 222, 214, 1)
    motion_code = code(**motion)
    picture, mesh = generator.draw(motion_code, portrait), generator.mesh(motion_code, portrait)
    (x, upper), lower = mesh[13], mesh[14, 1]
    reach = round(0.08 * EYES_PX * SCALE)
    edge = 0.012 * EYES_PX * SCALE  # where lips and teeth mix
    rows = picture[round(upper + edge) : round(lower - edge) + 1, round(x) - reach : round(x) + reach]
    return rows.astype(float).mean(1)


NARROW = {"jawOpen": 0.05, "mouthOpenSide": 0.04}


def test_teeth_in_a_narrow_gap_are_no_bare_plate() -> None:
    """The lip above shades them, and lips light them with their hue: they were of one grey."""
    rows = gap_of(**NARROW)
    light = rows @ LUMA
    assert light[: len(light) // 3].mean() < 0.94 * light[-len(light) // 3 :].mean()
    assert np.median(rows[:, 1] / rows[:, 0]) < 0.85


def test_pursed_lips_shade_teeth_more() -> None:
    usual, pursed = gap_of(**NARROW), gap_of(**NARROW, mouthStretch=-0.15)
    assert pursed.mean() < 0.9 * usual.mean()


def test_teeth_in_an_open_mouth_keep_their_light_and_colour() -> None:
    rows = gap_of(jawOpen=0.25, mouthOpenSide=0.2)
    bright = rows[rows @ LUMA >= np.quantile(rows @ LUMA, 0.9)].mean(0)
    assert bright @ LUMA > 170
    assert bright[1] / bright[0] > 0.93


def test_teeth_that_turn_away_are_no_comb() -> None:
    """Squeezed where their arch bends out of view, they ended in bright lines."""
    photo, landmarks = paint_face(size=320)
    photo = np.repeat(np.repeat(photo, SCALE, 0), SCALE, 1)
    portrait, generator = make_portrait(photo, landmarks * SCALE), Generator()
    portrait.teeth_slant[:, 0] += 2.1
    motion = code(jawOpen=0.28, jawDrop=0.2, mouthOpenSide=0.16)
    light, mesh = generator.draw(motion, portrait) @ LUMA, generator.mesh(motion, portrait)
    row = light[round(float(mesh[13, 1])) + 4 * SCALE, round(float(mesh[61, 0])) : round(float(mesh[291, 0]))]
    assert np.abs(np.diff(row)).max() < 80


def test_teeth_reach_the_far_corner_of_a_turned_head() -> None:
    """The row bent out of view long before the lips did, and a dark hole was left beside it."""
    photo, landmarks = paint_face(size=320)
    photo = np.repeat(np.repeat(photo, SCALE, 0), SCALE, 1)
    portrait, generator = make_portrait(photo, landmarks * SCALE), Generator()
    portrait.upper_teeth[:] = (225, 222, 214, 1)
    portrait.teeth_slant[:, 0] += 0.7  # 35 degrees
    motion = code(jawOpen=0.28, jawDrop=0.2, mouthOpenSide=0.16)
    light, mesh = generator.draw(motion, portrait) @ LUMA, generator.mesh(motion, portrait)
    x, y = round(float(mesh[[61, 291], 0].mean())), round(float(mesh[13, 1])) + 6 * SCALE
    far, near = (light[y, round(x + side * EYES_PX * SCALE)] for side in (0.24, -0.24))
    assert far > 0.6 * near


def wedge() -> tuple[np.ndarray, np.ndarray]:
    """A mouth of two straight-sided wedges, 240 px wide and 100 high, between even lips: picture and cover."""
    eyes_px, half = 300.0, 0.4
    picture = np.full((200, 320, 3), (190, 110, 105), np.uint8)
    slope = np.minimum(np.linspace(0, 2, LINE), np.linspace(2, 0, LINE)) * 50 / eyes_px
    along, across = np.array([1.0, 0.0]) / eyes_px, np.array([0.0, 1.0]) / eyes_px
    lines = Lines(np.array([160.0, 100.0]), along, across, np.array([-half, half]), -slope, slope)
    still = OnPhoto(picture.copy(), np.array([160.0, 100.0, eyes_px, 0.0, -half, half]), np.zeros((2, LINE)))
    flat = np.array([[1.0, 0.0, -160.0], [0.0, 1.0, -100.0]]) / eyes_px
    cover = np.zeros(picture.shape[:2], np.uint8)
    paint_mouth(
        picture,
        np.array([0, 0, 320, 200]),
        lines,
        0.01,
        still,
        0.02,
        flat,
        flat,
        np.zeros((2, 2)),
        np.zeros((77, 230, 4), np.float32),
        np.zeros((77, 230, 4), np.float32),
        256.0,
        np.array([60.0, 18.0, 12.0], np.float32),
        np.array([120.0, 70.0, 65.0], np.float32),
        0.33,
        0.0,
        0.0,
        0.0,
        np.zeros((0, 0), np.float32),
        0.0,
        1.0,
        np.zeros(4),
        cover,
    )
    return picture, cover


def test_corners_of_an_open_mouth_are_round_and_of_flesh() -> None:
    """They were black, with straight sides."""
    picture, cover = wedge()
    heights = (cover > 127).sum(0)
    assert heights[[40 + 9, 279 - 9]].min() > 0.35 * heights[[40 + 29, 279 - 29]].max()
    corner = picture[96:105, 52:60].mean((0, 1))
    assert 40 < corner @ LUMA < 70  # lips have 133
    assert 0.35 < corner[1] / corner[0] < 0.55
