"""The shipped mesh: whole, and cut along the lips' line."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np

from engines.drawing.geometry import eyes_last, load_geometry, mesh_triangles, push_out
from engines.face.measure import canonical_face
from engines.face_points import FACE, FACE_OVAL, LEFT, LIP_ROWS, LOWER_SEAM, UPPER_SEAM

TRIANGLES = [frozenset(int(k) for k in triangle) for triangle in load_geometry()[1]]
CORNERS = {UPPER_SEAM[0], UPPER_SEAM[-1]}


def test_no_crack_runs_through_the_face() -> None:
    """Pixels in a crack come from skin that does not move with the lips: beads that flicker as a mouth shuts."""
    count = Counter(frozenset(edge) for triangle in TRIANGLES for edge in combinations(triangle, 2))
    outline = {frozenset(edge) for edge in zip(FACE_OVAL, (*FACE_OVAL[1:], FACE_OVAL[0]), strict=True)}
    assert all(len(triangle) == 3 for triangle in TRIANGLES)
    assert {edge for edge, times in count.items() if times != 2} == outline
    assert all(count[edge] == 1 for edge in outline)


def test_nothing_but_the_gap_between_them_joins_the_lips() -> None:
    upper = {point for row in LIP_ROWS[0::2] for point in row} - {row[end] for row in LIP_ROWS[0::2] for end in (0, -1)}
    lower = {point for row in LIP_ROWS[1::2] for point in row}
    gap = {*UPPER_SEAM, *LOWER_SEAM}
    assert not upper & lower
    for triangle in TRIANGLES:
        if triangle & upper and triangle & lower:
            assert triangle <= gap


def test_an_eye_that_the_mesh_lies_over_is_drawn_last() -> None:
    """As the temple does over the far eye of a turned head, whose outer half stayed open in a blink."""
    triangles = mesh_triangles(load_geometry()[1])
    rest = canonical_face()[:FACE, :2].astype(np.float64)
    points = np.concatenate([rest, *(push_out(canonical_face()[list(FACE_OVAL)], k)[0][:, :2] for k in range(3))])
    np.testing.assert_array_equal(eyes_last(triangles, points), triangles)
    folded = points.copy()
    folded[[LEFT.upper[0], LEFT.upper[1], LEFT.lower[1]], 0] += 0.45  # beyond the face's outline
    ordered = eyes_last(triangles, folded)
    assert sorted(map(tuple, ordered)) == sorted(map(tuple, triangles))
    of_eye = np.isin(ordered, [*LEFT.upper, *LEFT.lower, *LEFT.skin]).any(1)
    assert of_eye.any()
    assert of_eye[-of_eye.sum() :].all()
