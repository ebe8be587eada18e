"""The grain of a photo's skin, made anew where the photo has none: on lids that shut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from engines.drawing.lid_grain import GRAIN_MOST
from engines.face.masks import polygon, window
from engines.face_points import EYES

# Where skin is looked at: so far below the lower lids, eye distances; above it are bags.
CHEEK = (0.10, 0.45)
WIDTHS_PX = (0.5, 1.0, 2.0, 4.0)  # sigmas between which lie the bands of grain; what is coarser is form,
COARSEST = 0.03  # and so is what is coarser than so many eye distances, but for the first three
LEAST_SEEN_PX, LEAST_GRAIN = 200, 0.004  # px of skin that tell; share of its light below which a photo has none
PLAINER = 0.6  # share of a cheek that is looked at, the plainer one: elsewhere there are rims, lines, hairs
DARK = 8.0  # levels: below it differences of light are the camera's noise
SIZE = (0.45, 1.00)  # height and width of one eye's grain, eye distances


def lid_grain(photo: np.ndarray, landmarks: np.ndarray, up: np.ndarray, scale: float) -> np.ndarray:
    """Noise as strong and as coarse as the grain of the cheeks, for both lids: (2, h, w, 3) uint8, 128 adds nothing.

    Of size 0 where skin shows none. photo (H, W, 3) uint8, landmarks (478, 3) px; up (2,): one eye distance upwards,
    px; scale: px for one eye distance. One px of it is one of the photo; GRAIN_MOST: what it adds to the light there.
    """
    size = [round(side * scale) for side in SIZE]
    widths = [sigma for sigma in WIDTHS_PX if sigma <= max(COARSEST * scale, WIDTHS_PX[2])]
    grain = np.zeros((2, *size, 3), np.float32)
    for k, eye in enumerate(EYES):
        lower = landmarks[list(eye.lower[1:-1]), :2]
        cheek = np.concatenate([lower - CHEEK[0] * up, (lower - CHEEK[1] * up)[::-1]])
        strengths = strengths_of(photo, cheek, widths)
        white = np.random.default_rng(k).standard_normal(size, np.float32)
        for band, strength in zip(between_blurs(white, widths), strengths, strict=True):
            grain[k] += band[..., None] / band.std() * strength
    if grain.std() < LEAST_GRAIN:
        return np.zeros((2, 0, 0, 3), np.uint8)
    return np.clip(128.5 + 127 / GRAIN_MOST * grain, 0, 255).astype(np.uint8)


def strengths_of(photo: np.ndarray, cheek: np.ndarray, widths: list[float]) -> list[np.ndarray]:
    """How strong the grain of skin in a polygon (n, 2) px is in each band (`between_blurs`): shares of light, (3,)."""
    low, high = window(cheek, 2 * widths[-1], photo.shape)
    if (high - low).min() < 4:
        return [np.zeros(3)] * len(widths)
    skin = photo[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    seen = polygon(cheek - low, skin.shape[:2]) > 0
    if seen.sum() < LEAST_SEEN_PX:
        return [np.zeros(3)] * len(widths)
    light = np.maximum(cv2.GaussianBlur(skin, (0, 0), widths[-1]), DARK)
    shares = [band / light for band in between_blurs(skin, widths)]
    busy = cv2.GaussianBlur(np.square(np.stack(shares)).sum((0, 3)), (0, 0), widths[-1])
    plain = seen & (busy <= np.quantile(busy[seen], PLAINER))
    return [np.sqrt(np.square(share[plain]).mean(0)) for share in shares]


def between_blurs(picture: np.ndarray, widths: Sequence[float]) -> list[np.ndarray]:
    """What of a picture lies between blurs of these widths, px, from the picture itself on."""
    blurred = [picture, *(cv2.GaussianBlur(picture, (0, 0), width) for width in widths)]
    return [fine - coarse for fine, coarse in pairwise(blurred)]
