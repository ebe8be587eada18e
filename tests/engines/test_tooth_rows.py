"""The learned row of teeth lies where the layers expect it, its teeth can be told apart, and faces differ in theirs."""

from __future__ import annotations

import numpy as np
import pytest

from engines.drawing.mouth import LOWER_TOP, TEETH_PX
from engines.face.tooth_rows import (
    HEIGHT_PX,
    WIDTH_PX,
    guessed_lower,
    guessed_upper,
    learned_teeth,
    texture_places,
)

FACE = np.random.default_rng(3).normal(0, 0.014, (20, 3))


@pytest.fixture(scope="module")
def row() -> np.ndarray:
    return learned_teeth()


def light(row: np.ndarray, x: float, y: float) -> float:
    """Mean colour of 3x3 px at a place, eye distances."""
    at_x, at_y = texture_places()
    k, j = np.abs(at_y[:, 0] - y).argmin(), np.abs(at_x[0] - x).argmin()
    return float(row[k - 1 : k + 2, j - 1 : j + 2, :3].mean())


def test_central_incisors_end_at_zero(row):
    assert row.shape == (HEIGHT_PX, WIDTH_PX, 4)
    x, y = texture_places()
    for place in (-0.09, -0.05, 0.05, 0.09):
        column = np.abs(x[0] - place).argmin()
        last = np.flatnonzero(row[:, column, 3] > 0.5).max()
        assert abs(y[last, column]) < 1.6 / TEETH_PX
    assert not row[y > 3 / TEETH_PX, 3].any()


def test_edge_rises_towards_the_corners(row):
    x, y = texture_places()
    ends = [y[np.flatnonzero(row[:, np.abs(x[0] - place).argmin(), 3] > 0.5).max(), 0] for place in (0.07, 0.19, 0.37)]
    assert ends[0] > ends[1] > ends[2]


def test_lines_between_teeth_show(row):
    middle = light(row, 0.0, -0.05)
    assert middle < 0.93 * min(light(row, side, -0.05) for side in (-0.07, 0.07))
    first = light(row, 0.141, -0.05)
    assert first < 0.93 * min(light(row, 0.07, -0.05), light(row, 0.19, -0.05))


def test_both_sides_are_alike(row):
    difference = np.abs(row[:, :, :3] - row[:, ::-1, :3])
    assert difference.mean() < 4


def test_colours_are_premultiplied(row):
    for texture in (guessed_upper(FACE), guessed_lower(FACE)):
        assert (texture[..., :3] <= 256 * texture[..., 3:] + 1e-3).all()


def test_teeth_differ_from_face_to_face_and_hardly_from_photo_to_photo() -> None:
    draw = np.random.default_rng(4)
    here = guessed_upper(FACE)
    again = guessed_upper(FACE + draw.normal(0, 0.0007, FACE.shape))
    others = [guessed_upper(draw.normal(0, 0.014, FACE.shape)) for _ in range(12)]
    np.testing.assert_array_equal(here, guessed_upper(FACE))
    gap = lambda a, b: float(np.abs(a[..., :3] - b[..., :3]).mean())  # noqa: E731
    assert gap(here, again) < 0.35 * min(gap(here, other) for other in others)
    edges = np.array([np.flatnonzero(other[:, 100:130, 3].mean(1) > 0.5).max() for other in [here, *others]])
    assert np.abs(edges - HEIGHT_PX + 0.05 * TEETH_PX).max() < 0.02 * TEETH_PX  # the incisors' edge stays about y = 0
    lines = [np.argmin(other[30:50, 140:165, :3].mean((0, 2))) for other in [here, *others]]  # behind the left incisor
    assert np.ptp(lines) >= 4


def test_lower_teeth_crowd_in_another_way_in_each_face() -> None:
    draw = np.random.default_rng(5)
    rows = [guessed_lower(draw.normal(0, 0.014, FACE.shape)) for _ in range(12)]
    np.testing.assert_array_equal(guessed_lower(FACE), guessed_lower(FACE.copy()))
    inner = slice(WIDTH_PX // 2 - 40, WIDTH_PX // 2 + 40)  # the four incisors
    tops = np.array([np.argmax(row[:, inner, 3] > 0.5, axis=0) for row in rows])
    assert np.ptp(np.median(tops, 1)) < 0.03 * TEETH_PX  # the row stays in its place
    assert (tops.std(0) > 0.4).mean() > 0.7  # its edge differs nearly everywhere


def test_lower_teeth_go_on_behind_the_lip() -> None:
    """An open mouth shows .12 of an eye distance of them; a row that ended before left a black rim above the lip."""
    row = guessed_lower(FACE)
    x, y = texture_places(LOWER_TOP)
    inner = (np.abs(x) < 0.15) & (y > 0.03) & (y < 0.17)
    assert (row[..., 3][inner] > 0.5).mean() > 0.9
