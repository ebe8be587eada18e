"""The face as a mesh: how its points move, and the backward map for the warp.

Points are FaceMesh's 468 (engines/face_points.py; no irises), followed by rings of RING points pushed out from the face
outline, over which its own motion fades; the outermost ring adds nothing to what the ground does
(engines/drawing/ground.py).
"""

from __future__ import annotations

from importlib.resources import files
from itertools import pairwise

import numba
import numpy as np

from engines.errors import EngineMismatch
from engines.face_points import FACE, FACE_OVAL, LEFT, LOWER_SEAM, RIGHT, UPPER_SEAM
from engines.spec import MODEL_CHANNELS
from engines.whole_file import read_npz

RING = len(FACE_OVAL)
RINGS = ((1.12, 0.50), (1.30, 0.15), (1.55, 0.0))  # size, share of the face's own motion
# Above the outline's middle, eye distances: where the crown begins, and is whole. Brows move nothing there.
ABOVE_FROM, ABOVE_TO = 0.15, 1.3
POINTS = FACE + RING * len(RINGS)
LIP_SEAM, LEFT_SEAM, RIGHT_SEAM = (
    np.array(pair) for pair in ((UPPER_SEAM, LOWER_SEAM), (LEFT.upper, LEFT.lower), (RIGHT.upper, RIGHT.lower))
)

# From the lower lip down to the chin, side by side: a lip that comes down pushes the flesh below before it.
CHIN_COLUMNS = np.array(
    [
        (375, 273, 422, 430, 394),
        (321, 335, 424, 431, 395),
        (405, 406, 418, 262, 369),
        (314, 313, 421, 428, 396),
        (17, 18, 200, 199, 175),
        (84, 83, 201, 208, 171),
        (181, 182, 194, 32, 140),
        (91, 106, 204, 211, 170),
        (146, 43, 202, 210, 169),
    ]
)
LEAST_FLESH = 0.45  # of its height at rest that the flesh between two rows keeps

STEEPEST = 2.0  # depth over width as seen in the photo: a head that turns by .1 rad squeezes nothing below .8

EDGE_STRETCH = 1.35  # how far pixels at the picture's edge are stretched, at most, where there are none beyond it

NECK = np.array([0.0, 1.45, 1.0])  # the head turns about it; canonical frame, eye distances


@numba.njit(cache=True)
def push_chin(source: np.ndarray, moved: np.ndarray, down_x: float, down_y: float) -> None:
    """Keep the flesh between lower lip and chin from folding over, as it looks in the picture: `moved` is changed.

    Where the photo itself shows a point above the one that is over it, under the lip of a lowered head, it gets no
    worse.
    """
    for column in range(CHIN_COLUMNS.shape[0]):
        for row in range(1, CHIN_COLUMNS.shape[1]):
            above, below = CHIN_COLUMNS[column, row - 1], CHIN_COLUMNS[column, row]
            height = (source[below, 0] - source[above, 0]) * down_x + (source[below, 1] - source[above, 1]) * down_y
            left = (moved[below, 0] - moved[above, 0]) * down_x + (moved[below, 1] - moved[above, 1]) * down_y
            short = max(0.0, min(height, LEAST_FLESH * height) - left)
            moved[below, 0] += short * down_x
            moved[below, 1] += short * down_y


@numba.njit(cache=True)
def uncross(moved: np.ndarray, seam: np.ndarray, down_x: float, down_y: float) -> None:
    """Lips (or lids) touch but never cross: where they would, both go to the middle. seam (2, n): upper, lower."""
    for k in range(seam.shape[1]):
        upper, lower = seam[0, k], seam[1, k]
        gap = (moved[lower, 0] - moved[upper, 0]) * down_x + (moved[lower, 1] - moved[upper, 1]) * down_y
        if gap < 0.0:
            moved[upper, 0] += 0.5 * gap * down_x
            moved[upper, 1] += 0.5 * gap * down_y
            moved[lower, 0] -= 0.5 * gap * down_x
            moved[lower, 1] -= 0.5 * gap * down_y


@numba.njit(cache=True)
def move_mesh(
    code: np.ndarray,
    basis: np.ndarray,
    rest: np.ndarray,
    rest_shift: np.ndarray,
    head_share: np.ndarray,
    torso_share: np.ndarray,
    turn: np.ndarray,
    offset: np.ndarray,
    lean: np.ndarray,
    to_px: np.ndarray,
    source: np.ndarray,
    own: np.ndarray,
    moved: np.ndarray,
) -> None:
    """Where the mesh goes at a code: moved (n, 2) px, lips and lids uncrossed.

    code (c,), basis (c, n, 3), rest and rest_shift (n, 3), head_share and torso_share (n,), source (n, 2): as in
    engines/portrait.py; turn (3, 3), offset (3,): the head's motion; lean (2,) px: the torso's; to_px (2, 3): canonical
    lengths to px; own (n, 3): scratch, float32.
    """
    own[:] = 0.0
    for c in range(len(code)):
        if code[c] != 0.0:
            for p in range(len(rest)):
                for d in range(3):
                    own[p, d] += code[c] * basis[c, p, d]
    for p in range(len(rest)):
        x, y, z = rest[p, 0] + own[p, 0], rest[p, 1] + own[p, 1], rest[p, 2] + own[p, 2]
        # The head's change only, so that no motion is exactly none.
        head_x = (turn[0, 0] - 1.0) * x + turn[0, 1] * y + turn[0, 2] * z + offset[0]
        head_y = turn[1, 0] * x + (turn[1, 1] - 1.0) * y + turn[1, 2] * z + offset[1]
        head_z = turn[2, 0] * x + turn[2, 1] * y + (turn[2, 2] - 1.0) * z + offset[2]
        dx = rest_shift[p, 0] + own[p, 0] + head_share[p] * head_x
        dy = rest_shift[p, 1] + own[p, 1] + head_share[p] * head_y
        dz = rest_shift[p, 2] + own[p, 2] + head_share[p] * head_z
        for d in range(2):
            moved[p, d] = source[p, d] + to_px[d, 0] * dx + to_px[d, 1] * dy + to_px[d, 2] * dz
            moved[p, d] += torso_share[p] * lean[d]
    down_x = to_px[0, 0] * turn[0, 1] + to_px[0, 1] * turn[1, 1]
    down_y = to_px[1, 0] * turn[0, 1] + to_px[1, 1] * turn[1, 1]
    length = max(np.sqrt(down_x * down_x + down_y * down_y), 1e-9)
    down_x, down_y = down_x / length, down_y / length
    push_chin(source, moved, down_x, down_y)
    uncross(moved, LIP_SEAM, down_x, down_y)
    uncross(moved, LEFT_SEAM, down_x, down_y)
    uncross(moved, RIGHT_SEAM, down_x, down_y)


def push_out(outline: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Ring k around an outline (RING, 3) at rest, canonical: its points, and their shares of the outline's motion."""
    middle = outline.mean(0)
    above = ease((middle[1] - outline[:, 1] - ABOVE_FROM) / (ABOVE_TO - ABOVE_FROM))
    size, own = RINGS[k]
    points = outline.copy()
    points[:, :2] += (size - 1) * (outline[:, :2] - middle[:2])
    return points, own * (1 - above)


def even_depths(depths: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Depths (n,) whose steps from point to point, seen at points (n, 2) of the photo, are no steeper than STEEPEST.

    All in eye distances. Cheeks and the outline behind them meet in a photo, half an eye distance apart in depth: a
    head that turned would fold the mesh there, and the picture with it. Each gives way by half.
    """
    edges = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
    most = STEEPEST * np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    least_deep, deepest = depths.astype(np.float64), depths.astype(np.float64)
    for _ in range(len(depths)):
        before = least_deep.copy(), deepest.copy()
        for here, there in ((0, 1), (1, 0)):
            np.minimum.at(least_deep, edges[:, here], before[0][edges[:, there]] + most)
            np.maximum.at(deepest, edges[:, here], before[1][edges[:, there]] - most)
        if np.array_equal(before[0], least_deep) and np.array_equal(before[1], deepest):
            break
    even: np.ndarray = (least_deep + deepest) / 2
    return even


def ease(x: np.ndarray) -> np.ndarray:
    """Smooth step 0..1."""
    x = np.clip(x, 0, 1)
    smooth: np.ndarray = x * x * (3 - 2 * x)
    return smooth


def load_geometry() -> tuple[np.ndarray, np.ndarray]:
    """The trained basis (25, 478, 3) float32 and triangles (n, 3) int32; EngineMismatch where the file is damaged."""
    path = files("engines") / "weights" / "geometry.npz"
    try:
        stored = read_npz(path.read_bytes())
        basis = stored["basis"].astype(np.float32)
        triangles = stored["triangles"].astype(np.int32)
    except (OSError, ValueError, KeyError) as error:
        raise EngineMismatch(f"weights/geometry.npz is damaged ({error})", "install voxcam again") from error
    if basis.shape != (len(MODEL_CHANNELS), 478, 3) or triangles.ndim != 2 or triangles.shape[1] != 3:
        raise EngineMismatch("weights/geometry.npz is of another version", "install voxcam again")
    return basis, triangles


def mesh_triangles(surface: np.ndarray) -> np.ndarray:
    """Triangles of the surface and of the rings around it, (n, 3) int32."""
    rings = [list(FACE_OVAL)] + [list(range(FACE + RING * k, FACE + RING * (k + 1))) for k in range(len(RINGS))]
    outer = []
    for inner_ring, outer_ring in pairwise(rings):
        for k in range(RING):
            n = (k + 1) % RING
            outer.append((inner_ring[k], inner_ring[n], outer_ring[k]))
            outer.append((inner_ring[n], outer_ring[n], outer_ring[k]))
    return np.concatenate([surface, np.array(outer, np.int32)]).astype(np.int32)


def eyes_last(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Triangles (n, 3) with those of an eye behind all others where these lie over it: the last one drawn is seen.

    points (n, 2) px, of the photo: in a head turned by 30 degrees the mesh of temple and cheek reaches over the far
    eye, and held its outer half still in a blink. (All of them from far to near: silhouettes of turning heads got
    teeth. Every eye last: its corner stood out of the silhouette of one in six of them.)
    """
    last = np.zeros(len(triangles), bool)
    for eye in (LEFT, RIGHT):
        lids = list(dict.fromkeys(eye.upper + eye.lower))
        of_eye = np.isin(triangles, [*lids, *eye.skin]).any(1)
        if any(covers(points[triangles[~of_eye]], points[lid]) for lid in lids):
            last |= of_eye
    return np.concatenate([triangles[~last], triangles[last]])


def covers(corners: np.ndarray, place: np.ndarray) -> bool:
    """Whether any of triangles with corners (n, 3, 2) lies over a place (2,)."""
    to_next, to_place = np.roll(corners, -1, axis=1) - corners, place - corners
    sides = to_next[..., 0] * to_place[..., 1] - to_next[..., 1] * to_place[..., 0]
    return bool(((sides > 0).all(1) | (sides < 0).all(1)).any())


def head_rotation(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """Rotation of the head in the canonical frame (x right, y down, z away), signs as in MOTION_CHANNELS; (3, 3).

    Chosen so that engines.face.measure.head_angles reads the same angles back.
    """
    cp, sp, cy, sy, cr, sr = np.cos(pitch), -np.sin(pitch), np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@numba.njit(cache=True, fastmath=True)
def fill_map(
    moved: np.ndarray, off: np.ndarray, triangles: np.ndarray, ground: np.ndarray, grid: np.ndarray, shift: np.ndarray
) -> None:
    """Rasterise the moved mesh into a coarse backward map.

    moved (P, 2) px; triangles (n, 3); the point (j, i) of `shift` (h, w, 2) lies at px grid[:2] + grid[2] (i, j) of the
    picture and receives where its pixel comes from, as a shift in px: the ground's (h, w, 2), and inside the mesh what
    its points are `off` (P, 2) that.
    """
    height, width = shift.shape[0], shift.shape[1]
    shift[:] = ground
    x0, y0, step = grid[0], grid[1], grid[2]
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        dax, day, dbx, dby, dcx, dcy = off[a, 0], off[a, 1], off[b, 0], off[b, 1], off[c, 0], off[c, 1]
        ax, ay = (moved[a, 0] - x0) / step, (moved[a, 1] - y0) / step
        bx, by = (moved[b, 0] - x0) / step, (moved[b, 1] - y0) / step
        cx, cy = (moved[c, 0] - x0) / step, (moved[c, 1] - y0) / step
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-6:
            continue
        first_row = max(0, int(np.ceil(min(ay, by, cy) - 1e-4)))
        last_row = min(height - 1, int(np.floor(max(ay, by, cy) + 1e-4)))
        first_column = max(0, int(np.ceil(min(ax, bx, cx) - 1e-4)))
        last_column = min(width - 1, int(np.floor(max(ax, bx, cx) + 1e-4)))
        inverse = 1.0 / area
        for j in range(first_row, last_row + 1):
            for i in range(first_column, last_column + 1):
                wb = ((i - ax) * (cy - ay) - (cx - ax) * (j - ay)) * inverse
                wc = ((bx - ax) * (j - ay) - (i - ax) * (by - ay)) * inverse
                wa = 1.0 - wb - wc
                if wa >= -1e-4 and wb >= -1e-4 and wc >= -1e-4:
                    shift[j, i, 0] = ground[j, i, 0] + wa * dax + wb * dbx + wc * dcx
                    shift[j, i, 1] = ground[j, i, 1] + wa * day + wb * dby + wc * dcy
    keep_inside(shift, step)


@numba.njit(cache=True, fastmath=True)
def keep_inside(shift: np.ndarray, step: float) -> None:
    """Fetch nothing from beyond the map: where the picture's edge cuts the mesh, what lies at it is stretched instead.

    shift (h, w, 2) px: as in `fill_map`, its last points up to `step` beyond the picture's edge.
    """
    height, width = shift.shape[0], shift.shape[1]
    farthest = np.float32(0.0)
    for j in range(height):
        for i in range(width):
            farthest = max(farthest, abs(shift[j, i, 0]), abs(shift[j, i, 1]))
    most = 1.0 - 1.0 / EDGE_STRETCH  # a shift, for one px of distance from the edge
    reach = int(min(farthest / (most * step), height + width)) + 3
    for j in range(height):
        above, below = most * step * j, most * step * max(0, height - 3 - j)
        if j < reach or j >= height - reach:
            for i in range(width):
                shift[j, i, 1] = min(max(shift[j, i, 1], -above), below)
        for i in range(min(reach, width)):
            shift[j, i, 0] = max(shift[j, i, 0], -most * step * i)
            shift[j, width - 1 - i, 0] = min(shift[j, width - 1 - i, 0], most * step * max(0, i - 2))
