"""Teeth drawn at known places are found there, and rows that are moved apart fall together."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.face.tooth_rows import draw_teeth
from train.face.teeth import (
    HEIGHT_PX,
    LEFT,
    PX,
    TOP,
    VIEW_HEIGHT_PX,
    VIEW_WIDTH_PX,
    WIDTH_PX,
    Row,
    View,
    edge_line,
    find_row,
    lay,
    mean_places,
    tooth_edges,
)

WIDTHS = (0.135, 0.105, 0.095, 0.075, 0.06)


def smile(shift_px: float = 0.0) -> View:
    """A drawn row behind red lips; its midline `shift_px` right of the view's middle, its edge at y = 80 px."""
    row = draw_teeth(WIDTHS, (0.16, 0.15, 0.16, 0.14, 0.13))[::-1]  # lower ones, hung
    picture = np.full((VIEW_HEIGHT_PX, VIEW_WIDTH_PX, 3), (40.0, 18, 16), np.float32)
    corner = np.array([[1, 0, VIEW_WIDTH_PX / 2 + shift_px + LEFT * PX], [0, 1, 80 + TOP * PX]])
    placed = cv2.warpAffine(row, corner, (VIEW_WIDTH_PX, VIEW_HEIGHT_PX))
    picture = picture * (1 - placed[..., 3:]) + placed[..., :3]
    opening = np.zeros((VIEW_HEIGHT_PX, VIEW_WIDTH_PX), np.uint8)
    cv2.ellipse(opening, (VIEW_WIDTH_PX // 2, 66), (125, 26), 0, 0, 360, 1, -1)
    picture[opening == 0] = (150, 80, 80)
    return View("drawn", picture.astype(np.float32), opening > 0, VIEW_WIDTH_PX / 2)


@pytest.mark.parametrize("shift_px", [-6.0, 0.0, 9.0])
def test_drawn_teeth_are_found(shift_px):
    row = find_row(smile(shift_px))
    assert row is not None
    middle = VIEW_WIDTH_PX / 2 + shift_px
    lines = np.cumsum((0, *WIDTHS[:3])) * PX
    np.testing.assert_allclose(row.bounds[0, :4], middle - lines, atol=2.5)
    np.testing.assert_allclose(row.bounds[1, :4], middle + lines, atol=2.5)
    np.testing.assert_allclose(row.edges[:, 0], 80, atol=2.5)


def test_closed_or_toothless_mouth_gives_no_row():
    view = smile()
    dark = View("dark", np.full_like(view.picture, 30), view.opening, view.middle_px)
    assert find_row(dark) is None


def test_rows_are_laid_onto_the_mean_places():
    views = [smile(-6.0), smile(9.0)]
    rows = [row for view in views if (row := find_row(view))]
    assert len(rows) == 2
    bounds, edges = mean_places(rows)
    laid = [lay(view, row, bounds, edges)[0] for view, row in zip(views, rows, strict=True)]
    band = (slice(30, 58), slice(40, 190))
    assert np.abs(laid[0][band] - laid[1][band]).mean() < 0.05
    moved = np.roll(laid[1], 12, axis=1)
    assert np.abs(laid[0][band] - moved[band]).mean() > 0.1


def test_edge_line_follows_a_step():
    relief = np.full((HEIGHT_PX, WIDTH_PX, 3), 0.2, np.float32)
    relief[:60] = 0.95
    bounds, edges = np.array([0, 36, 61, 84, 103, 120.0]), np.full(5, 60 + TOP * PX)
    line = edge_line(relief, bounds, edges)
    middle_of_teeth = [WIDTH_PX // 2 + 18, WIDTH_PX // 2 - 18, WIDTH_PX // 2 + 48]
    np.testing.assert_allclose(line[middle_of_teeth], 60, atol=1.2)


def test_width_is_the_centrals():
    bounds = np.array([[150, 118, 90, 70, 50, 40], [150, 184, 210, 230, 250, 260.0]])
    assert Row(bounds, np.zeros((2, 5)), np.zeros((1, 1), bool)).width_px == 33


def test_edges_have_open_corners_between_teeth():
    bounds = np.array([0, 36, 61, 84, 103, 120.0])
    edge = tooth_edges(np.full(WIDTH_PX, 60.0), bounds)
    middle = WIDTH_PX // 2
    for side in (-1, 1):
        bodies = [edge[middle + side * k] for k in (18, 48, 72)]
        np.testing.assert_allclose(bodies, 60, atol=1.5)
        for line, tooth in ((36, bodies[0]), (61, bodies[1])):
            assert edge[middle + side * line] < tooth - 2.5
    assert np.abs(edge - edge[::-1]).max() > 0.5  # nobody's row is a mirror image
