"""Where a photo's inner lips are, to the pixel: FaceMesh misses their edges by a few.

A mouth that opens from wrong lines wears the other lip's colour, or pieces of teeth, as a rim.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.face.measure import mouth_measures
from engines.face.paths import cheapest_path
from engines.face_points import LIP_ROWS, LOWER_SEAM, UPPER_SEAM

# Inner lips farther apart than this (eye distances), as FaceMesh sees them, are open: nearer ones it may take for it
# because the upper lip is shaded. Closer than that they are where teeth or the dark show between them, so high and in
# such a share of the columns.
OPEN_MOUTH, MAYBE_OPEN = 0.036, 0.012
TEETH_HEIGHT, TEETH_SHARE = 0.010, 0.15
DARK_HEIGHT, DARK_SHARE, DARK = 0.026, 0.50, 0.50  # the last: of the darker lip's light; shade leaves more
SEAM_REACH, EDGE_REACH = 0.045, 0.040  # how far from the landmarks a line is looked for, eye distances
SLIT, OPEN = 0.030, 0.060  # between these gaps an edge may more and more lie inside FaceMesh's, not outside only
WIDE = 0.120  # up to here, from OPEN, what stands between the lips is less and less of one colour
COLUMNS, ROWS = 61, 41
EDGE_WIDTH = 0.016  # what is compared on both sides of an edge, eye distances
# An open mouth's lips begin so far beyond the found edges, where one colour has turned into the other; twice in smiles.
LIP_RIM = 0.008
# How much a lip's own colour varies (OpenCV's 8-bit Lab): light by shade and shine, hue hardly.
LIP_VARIES = np.array([16.0, 7.0, 7.0], np.float32)
STRANGE = 4.0  # distance from the lip's colour, in those, beyond which nothing is stranger


def refine_lips(
    photo: np.ndarray, landmarks: np.ndarray, aligned: np.ndarray, rotation: np.ndarray, scale: float
) -> np.ndarray:
    """Landmarks (478, 3) px with the inner lips where the photo (H, W, 3) has them, and the lips' flesh along.

    Both lines of a shut mouth lie on the dark line between the lips; those of an open one on the lips' edges. Either is
    the best smooth path from corner to corner (dynamic programming), kept near the landmarks.
    """
    across = rotation[:2, 1] / np.linalg.norm(rotation[:2, 1])
    upper, lower = (landmarks[list(seam), :2].astype(np.float64) for seam in (UPPER_SEAM, LOWER_SEAM))
    refined = landmarks.copy()
    gap = float(mouth_measures(aligned[None])[0, 0])
    lab = cv2.cvtColor(cv2.GaussianBlur(photo, (0, 0), max(0.5, 0.004 * scale)), cv2.COLOR_RGB2LAB)
    outer_lines = outer_lips(landmarks)
    if gap > OPEN_MOUTH or (gap > MAYBE_OPEN and inside_shows(lab, (upper, lower), outer_lines, across, scale)):
        inwards = min(1.0, max(0.0, (gap - SLIT) / (OPEN - SLIT)))
        plain = min(1.0, max(0.0, (WIDE - gap) / (WIDE - OPEN)))
        between = colour_of_slit(lab, (upper + lower) / 2)
        lines = [
            follow_edge(lab, line, outer, across * sign, scale, inwards, between, plain)
            for line, outer, sign in zip((upper, lower), outer_lines, (1.0, -1.0), strict=True)
        ]
        crossed = np.minimum(0.0, (lines[1] - lines[0]) @ across)[:, None] / 2
        lines = [lines[0] + crossed * across, lines[1] - crossed * across]
    else:
        lines = [follow_seam(photo, (upper + lower) / 2, across, scale)] * 2
        middle = (landmarks[list(UPPER_SEAM), 2] + landmarks[list(LOWER_SEAM), 2]) / 2
        refined[list(UPPER_SEAM), 2] = refined[list(LOWER_SEAM), 2] = middle
    # The lips' flesh follows its own line, so that no triangle folds.
    along = np.array([across[1], -across[0]])
    if (upper[-1] - upper[0]) @ along < 0:
        along = -along
    place, depth = landmarks[:, :2] @ along, landmarks[:, :2] @ across
    for k, (line, found) in enumerate(zip((upper, lower), lines, strict=True)):
        order = np.argsort(line @ along)
        at = (line @ along)[order]
        away = depth - np.interp(place, at, (line @ across)[order])
        moved = np.interp(place, at, ((found - line) @ across)[order], left=0, right=0)
        own = away <= 0 if k == 0 else away > 0
        follow = np.where(own, moved * np.exp(-((away / SEAM_REACH / scale / 2) ** 2)), 0)
        refined[:, :2] += follow[:, None] * across
    for seam, found in zip((UPPER_SEAM, LOWER_SEAM), lines, strict=True):
        refined[list(seam), :2] = found
    return refined


def outer_lips(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outer line of the upper and the lower lip, (11, 2) px each, corners with them."""
    upper = landmarks[list(LIP_ROWS[0]), :2].astype(np.float64)
    lower = landmarks[list(LIP_ROWS[1]), :2].astype(np.float64)
    return upper, np.concatenate([upper[:1], lower, upper[-1:]])


def follow_seam(photo: np.ndarray, line: np.ndarray, across: np.ndarray, scale: float) -> np.ndarray:
    """The dark line between shut lips near `line` (11, 2) px, (11, 2) px."""
    grey = cv2.GaussianBlur(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), (0, 0), max(0.6, 0.006 * scale)).astype(np.float32)
    offsets, at = strip(line, across, SEAM_REACH * scale)
    values = cv2.remap(grey, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    values = (values - values.mean(0)) / (values.std() + 1e-3)
    cost = values + 1.2 * (offsets[:, None] / offsets[-1]) ** 2
    return line + path_shift(cost, offsets, len(line))[:, None] * across


def follow_edge(
    lab: np.ndarray,
    line: np.ndarray,
    outer: np.ndarray,
    inward: np.ndarray,
    scale: float,
    inwards: float,
    between: np.ndarray,
    plain: float,
) -> np.ndarray:
    """Where a lip ends at an open mouth near `line` (11, 2) px: what lies inward has another colour; (11, 2) px.

    outer (11, 2) px: the lip's other edge, by which its colour is known; inward (2,): unit vector into the mouth;
    inwards: share of a way in that is gone; between (COLUMNS, 3): colour halfway to the other lip, by column; plain:
    how far all that lies inward has that colour, 0..1, so that a lip in its own shade is not taken for it.
    """
    offsets, at = strip(line, inward, EDGE_REACH * scale)
    values = cv2.remap(lab, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    own = flesh_of(lab, line, outer)
    from_lip = np.linalg.norm((values - own) / LIP_VARIES, axis=2)
    strange = np.minimum(from_lip, STRANGE)
    from_slit = np.linalg.norm((values - between) / LIP_VARIES, axis=2)
    strange += plain * (STRANGE * from_lip / (from_lip + from_slit + 0.5) - strange)
    width = max(1, round(EDGE_WIDTH * scale / (offsets[1] - offsets[0])))
    total = np.concatenate([np.zeros((1, COLUMNS)), np.cumsum(np.pad(strange, ((width, width), (0, 0)), "edge"), 0)])
    rows = np.arange(ROWS) + width
    inside, outside = total[rows + width] - total[rows], total[rows] - total[rows - width]
    cost = 1.5 * (outside - inside) / width + 1.2 * (offsets[:, None] / offsets[-1]) ** 2
    shift = path_shift(cost, offsets, len(line))
    rim = LIP_RIM * (1 + inwards) * scale * (1 - np.abs(np.linspace(-1, 1, len(line))) ** 6)
    shift = np.where(shift > 0, inwards * shift, shift) - rim
    return line + shift[:, None] * inward


def inside_shows(
    lab: np.ndarray,
    lines: tuple[np.ndarray, np.ndarray],
    outer: tuple[np.ndarray, np.ndarray],
    across: np.ndarray,
    scale: float,
) -> bool:
    """Whether teeth (paler than either lip, and not dark) or the dark lie between the upper and the lower line."""
    offsets, at = strip((lines[0] + lines[1]) / 2, across, SEAM_REACH * scale)
    seen = cv2.remap(lab, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    light, red = np.min([flesh_of(lab, line, other)[..., :2] for line, other in zip(lines, outer, strict=True)], 0).T
    pale = (seen[..., 1] < red - LIP_VARIES[1]) & (seen[..., 0] > 0.62 * light)
    dark = seen[..., 0] < DARK * light
    teeth, hole = np.stack([pale.sum(0), dark.sum(0)])[:, 10:-10] * (offsets[1] - offsets[0]) / scale
    return bool((teeth > TEETH_HEIGHT).mean() > TEETH_SHARE or (hole > DARK_HEIGHT).mean() > DARK_SHARE)


def colour_of_slit(lab: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Colour along a line (11, 2) px, (COLUMNS, 3) float32."""
    at = along_columns(line).astype(np.float32)
    found = cv2.remap(lab, at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(found.astype(np.float32), (0, 0), 4.0)[0]


def flesh_of(lab: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """A lip's own colour between its two lines (11, 2) px, by column; (COLUMNS, 3) float32."""
    shares = np.linspace(0.3, 0.7, 5)[:, None, None]
    flesh = (along_columns(inner) * (1 - shares) + along_columns(outer) * shares).astype(np.float32)
    own = cv2.remap(lab, flesh[..., 0], flesh[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(np.median(own, 0)[None].astype(np.float32), (0, 0), 4.0)[0]


def along_columns(line: np.ndarray) -> np.ndarray:
    """A row of points (n, 2), COLUMNS of them."""
    t = np.linspace(0, len(line) - 1, COLUMNS)
    return np.stack([np.interp(t, np.arange(len(line)), line[:, k]) for k in range(2)], -1)


def strip(line: np.ndarray, across: np.ndarray, reach: float) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Offsets (ROWS,) px across a line (n, 2) px, and x and y of the places there, (ROWS, COLUMNS) float32 each."""
    offsets = np.linspace(-reach, reach, ROWS)
    at = (along_columns(line)[None] + offsets[:, None, None] * across).astype(np.float32)
    return offsets, (at[..., 0], at[..., 1])


def path_shift(cost: np.ndarray, offsets: np.ndarray, count: int) -> np.ndarray:
    """The cheapest smooth path through `cost` (ROWS, COLUMNS) as offsets (count,) px; at the corners 0."""
    edge = np.abs(np.linspace(-1, 1, COLUMNS)) ** 6  # near the corners the landmarks rule
    cost = cost * (1 - edge) + 6 * edge * (offsets[:, None] / offsets[-1]) ** 2
    steps = 0.12 * np.abs(np.arange(ROWS)[:, None] - np.arange(ROWS)[None]) ** 2
    path = cheapest_path(cost, lambda _: steps)
    shift = cv2.GaussianBlur(offsets[path][None].astype(np.float32), (0, 0), 1.5)[0]
    shift *= 1 - np.abs(np.linspace(-1, 1, COLUMNS)) ** 3
    return np.interp(np.linspace(0, COLUMNS - 1, count), np.arange(COLUMNS), shift)
