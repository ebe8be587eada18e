"""Corners of an open mouth, shut: what a smile shows there of the mouth's dark is no skin, and lips at rest would wear
it as a dot at either end.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.drawing.geometry import LOWER_SEAM, UPPER_SEAM
from engines.face.masks import disc, polygon, span
from engines.face.tones import LUMA
from engines.face.unfold import CORNERS

ENDS = ((CORNERS[0], UPPER_SEAM[0]), (CORNERS[1], UPPER_SEAM[-1]))  # outer and inner corner of the lips, either side
REACH = 0.15  # how far from the corner dark may be the mouth's, eye distances
BESIDE, BEYOND = 0.045, 0.10  # and how far beside the opening, and beyond the corner, in which a laugh's dark runs out
DARK = 0.55  # of the way from the mouth's dark to the light of lips and skin beside it: what is darker is the mouth's
APART = (0.030, 0.080)  # lips' gap, eye distances: from the first on corners are shut, from the second on wholly
SPANNED_PX = 120.0  # px for one eye distance, at most, while skin is spanned


def shut_corners(photo: np.ndarray, landmarks: np.ndarray, scale: float) -> np.ndarray:
    """The photo (H, W, 3) uint8 RGB with skin over the dark of an open mouth's corners; itself where lips are shut.

    landmarks (478, 3) px; scale: px for one eye distance.
    """
    upper, lower = (landmarks[list(seam), :2] for seam in (UPPER_SEAM, LOWER_SEAM))
    gap = float(np.linalg.norm(lower - upper, axis=1).max()) / scale
    wanted = min(1.0, (gap - APART[0]) / (APART[1] - APART[0]))
    if wanted <= 0.0:
        return photo
    shut = photo.copy()
    inside = np.concatenate([upper, lower[::-1]])
    for outer, inner in ENDS:
        corner = landmarks[outer, :2]
        outward = landmarks[inner, :2] - inside.mean(0)
        tail = np.stack([landmarks[inner, :2], corner + BEYOND * scale * outward / max(np.linalg.norm(outward), 1e-6)])
        low = np.maximum(np.floor(corner - 1.7 * REACH * scale).astype(int), 0)
        high = np.minimum(np.ceil(corner + 1.7 * REACH * scale).astype(int) + 1, photo.shape[1::-1])
        if (high - low).min() < 4:
            continue
        here = slice(low[1], high[1]), slice(low[0], high[0])
        shut[here] = shut_corner(photo[here], tail - low, inside - low, scale, wanted)
    return shut


def shut_corner(part: np.ndarray, tail: np.ndarray, inside: np.ndarray, scale: float, wanted: float) -> np.ndarray:
    """The same for one corner in a part (h, w, 3) of the photo.

    inside (n, 2) px: the opening between the lips; tail (2, 2): from its corner to where its dark may run out.
    """
    zoom = min(1.0, SPANNED_PX / scale)
    size = [max(2, round(side * zoom)) for side in part.shape[1::-1]]
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    inside, tail, reach = inside * zoom, tail * zoom, REACH * scale * zoom
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    away = np.hypot(x - tail[0, 0], y - tail[0, 1])
    mouth = polygon(inside, small.shape[:2]) > 0
    light = small @ LUMA
    wedge = mouth.astype(np.uint8)
    cv2.polylines(wedge, [np.round(tail).astype(np.int32)], False, 1)
    near = cv2.dilate(wedge, disc(BESIDE * scale * zoom)) > 0
    flesh, inner = light[near & ~mouth], light[mouth & (away < reach)]
    if not flesh.size or not inner.size:
        return part
    deep = np.quantile(inner, 0.1)
    dark = mouth | (near & (light < deep + DARK * (np.median(flesh) - deep)))
    hidden = cv2.dilate((dark & (away < reach)).astype(np.uint8), disc(1)) > 0
    over = span(small, hidden, mouth & ~hidden)
    share = np.clip((reach - away) / (0.35 * reach), 0, 1) * hidden
    share = cv2.GaussianBlur(share.astype(np.float32), (0, 0), max(0.6, 0.006 * scale * zoom)) * wanted
    change = cv2.resize(share[..., None] * (over - small), part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.clip(part + change + 0.5, 0, 255).astype(np.uint8)
