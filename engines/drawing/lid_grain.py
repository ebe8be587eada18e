"""Grain on a lid that shuts: its skin is unrolled from a few rows of the photo, and grain of those would be streaks."""

from __future__ import annotations

import numba
import numpy as np

from engines.drawing.layers import fetch, line_at, ramp

GRAIN_MOST = 0.25  # share of light that 127 steps of grain add
UNROLLED = (0.015, 0.10)  # way of the lid down from where it is in the photo, eye distances: none, and whole grain
UP_TO = (0.35, 1.0)  # share of the way from the lid's rim to its fold: whole up to there, none from there on
ENDS = 0.12  # share of the eye's width over which it begins at either corner


@numba.njit(cache=True, fastmath=True)
def paint_grain(
    picture: np.ndarray,
    origin: np.ndarray,
    along: np.ndarray,
    across: np.ndarray,
    ends: np.ndarray,
    upper: np.ndarray,
    moved: np.ndarray,
    edges: np.ndarray,
    photo_upper: np.ndarray,
    grain: np.ndarray,
    scale: float,
) -> None:
    """Give the skin between an upper lid's rim and its fold `grain` (h, w, 3), which goes with the rim.

    origin, along, across, ends, upper: as in `Lines`, one by one as of `paint_lashes`; moved (n, 2) px: the mesh of
    now, edges (2, 9): its points from corner to corner along the lid's rim and its fold; photo_upper (LINE,): the rim
    on the photo; scale: px for one eye distance.
    """
    fold = edges[1]
    scratch = np.empty(8 + 2 * len(fold))  # one for all: more would count as an array a picture
    wx, wy, places, above = scratch[:4], scratch[4:8], scratch[8 : 8 + len(fold)], scratch[8 + len(fold) :]
    for k in range(len(fold)):
        dx, dy = moved[fold[k], 0] - origin[0], moved[fold[k], 1] - origin[1]
        places[k], above[k] = dx * along[0] + dy * along[1], dx * across[0] + dy * across[1]
    left, high = moved[fold[0], 0], moved[fold[0], 1]
    right, low = left, high
    for line in range(2):
        for point in edges[line]:
            left, right = min(left, moved[point, 0]), max(right, moved[point, 0])
            high, low = min(high, moved[point, 1]), max(low, moved[point, 1])
    noise = np.empty(3, np.float32)
    middle, bottom = 0.5 * grain.shape[1], grain.shape[0] - 2.0
    for y in range(max(0, int(high)), min(picture.shape[0], int(low) + 2)):
        for x in range(max(0, int(left)), min(picture.shape[1], int(right) + 2)):
            dx, dy = x - origin[0], y - origin[1]
            u = dx * along[0] + dy * along[1]
            place = (u - ends[0]) / (ends[1] - ends[0])
            if place <= 0.0 or place >= 1.0:
                continue
            top = line_at(upper, place)
            height = top - (dx * across[0] + dy * across[1])
            if height < 0.0:
                continue
            k = 1
            while k < len(fold) - 1 and u > places[k]:
                k += 1
            part = min(1.0, max(0.0, (u - places[k - 1]) / max(places[k] - places[k - 1], 1e-4)))
            tall = max(top - (above[k - 1] + part * (above[k] - above[k - 1])), 1e-3)
            share = 1.0 - ramp(height / tall, UP_TO[0], UP_TO[1])
            share *= ramp(top - line_at(photo_upper, place), UNROLLED[0], UNROLLED[1])
            share *= ramp(place, 0.0, ENDS) * ramp(1.0 - place, 0.0, ENDS)
            if share < 0.01:
                continue
            fetch(grain, middle + u * scale, bottom - height * scale, wx, wy, noise)
            for c in range(3):
                value = picture[y, x, c] * (1.0 + share * GRAIN_MOST / 127.0 * (noise[c] - 128.0))
                picture[y, x, c] = np.uint8(min(255.0, max(0.0, value + 0.5)))
