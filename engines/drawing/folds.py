"""Folds of a smile: shade from the nose's wings to beside the mouth, light on the cheeks that rise above it.

A gain of the photo's lower face in the crop of the network's skin (engines/portrait.py, CROP_*), which rides on the
warp. In 41 people's smiles the network draws the mean of them, which is right and blurred; where a single person's
crease would run is told by the mesh.
"""

from __future__ import annotations

import cv2
import numpy as np

CREASES = ((129, 203, 206, 216, 212), (358, 423, 426, 436, 432))  # the person's right and left, from the nose down
CHEEKS = (205, 425)
DEPTH, LIFT = 0.055, 0.5  # of the light that a full smile's crease takes; share of it that the cheek gains
CREASE, LIP_SIDE, CHEEK_SIDE = 0.035, 0.06, 0.16  # reach of both, eye distances
TINT = np.array([0.85, 1.0, 1.05], np.float32)  # skin's own light fills the crease with red
FULL_SMILE = 0.08  # a corner raised by so many eye distances
LEAST_SMILE = 0.008  # speech alone folds nothing
BEARD = (0.70, 0.85)  # light beside the mouth over the cheek's: a beard, and skin


def fold_gains(points: np.ndarray, px: float, size: tuple[int, int], crop: np.ndarray) -> np.ndarray:
    """What a full smile's folds add to 1: (2, h, w) float32, the person's right and left side.

    points (468+, 2) px of the crop, `px` for one eye distance; crop (h, w, 3) uint8: hair is not shaded.
    """
    y, x = np.mgrid[: size[0], : size[1]]
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), 1.5)
    gains = np.zeros((2, *size), np.float32)
    for side, crease in enumerate(CREASES):
        knots, fine = np.linspace(0, 1, len(crease)), np.linspace(0, 1, 24)
        line = np.column_stack([np.polyval(np.polyfit(knots, points[list(crease), k], 3), fine) for k in (0, 1)])
        nearest = np.hypot(x[..., None] - line[:, 0], y[..., None] - line[:, 1])
        at = nearest.argmin(-1)
        distance = nearest.min(-1) / px
        along = np.gradient(line, axis=0)
        across = (x - line[at, 0]) * along[at, 1] - (y - line[at, 1]) * along[at, 0]
        on_cheek = across < 0 if side == 0 else across > 0
        near = np.exp(-((distance / CREASE) ** 2))
        shade = np.where(on_cheek, near, np.exp(-distance / LIP_SIDE))
        light = np.where(on_cheek, (1 - near) * np.exp(-((distance / CHEEK_SIDE) ** 2)), 0)
        length = np.clip(fine[at] / 0.25, 0, 1) * np.clip((1 - fine[at]) / 0.35, 0, 1)  # 0 at and beyond both ends
        gains[side] = DEPTH * length**2 * (3 - 2 * length) * (LIFT * light - shade)
        gains[side] *= bare_share(grey, line[6:20], points[CHEEKS[side]])
    return gains


def bare_share(grey: np.ndarray, line: np.ndarray, cheek: np.ndarray) -> float:
    """1 where the crease runs over skin, 0 where over a beard; grey (h, w), line (n, 2) and cheek (2,) px of it."""
    limits = (grey.shape[1] - 1, grey.shape[0] - 1)
    here = np.clip(np.round(line), 0, limits).astype(int)
    there = np.clip(np.round(cheek), 0, limits).astype(int)
    ratio = float(np.median(grey[here[:, 1], here[:, 0]])) / max(float(grey[there[1], there[0]]), 1.0)
    return float(np.clip((ratio - BEARD[0]) / (BEARD[1] - BEARD[0]), 0, 1))


def smile_share(corner: float) -> float:
    """0 no fold .. 1.2, by how high a corner is raised, eye distances; a smiling photo's own are off (unfold.py)."""
    return float(np.clip((corner - LEAST_SMILE) / (FULL_SMILE - LEAST_SMILE), 0, 1.2))
