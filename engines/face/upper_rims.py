"""The upper rim of a pair of glasses, followed from the bridge of the nose to the temple.

Lashes and brows are dark lines, too, and rims touch both. What tells a rim from them is where it goes: over the bridge
of the nose and past the outer corner, where no face has such a line.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.face.masks import disc, polygon
from engines.face.paths import cheapest_path
from engines.face.tones import LID_SKIN, LUMA
from engines.face_points import EYES, Eye

# The strip beside the line through an eye's corners, eye distances: from beyond the inner corner to beyond the outer
# one, from above to below; its steps along and across.
BEFORE, AFTER, ABOVE, BELOW = 0.24, 0.26, 0.42, 0.16
ALONG, ACROSS = 0.012, 0.006
WIDEST = 0.070  # half a rim's height, at most; what is darker than its surroundings over more is no line
CLEAR = 0.28  # how much darker a line is, as a share of a lid's light, to count wholly
# How far around an eye, eye distances, a line may be lids' or lashes', and around a brow hair's; the shares it counts.
LIDS, LASHES, BROW = 0.022, 0.045, 0.02
LIDS_COUNT, LASHES_COUNT, BROW_COUNTS = 0.48, 0.8, 0.3
THICKER = 1.4  # than at most places no rim gets: what hangs on it there are lashes or a brow
TURN, JUMP = 0.06, 9.0  # what a step aside by a row costs, squared, in columns without a line, and the most that it may
# Where a line is a rim's: least shares of clear line over the bridge, along the eye and beside the temple (of faces
# without glasses nine in ten have less than 0.6 over the bridge), and where it may lie above the corners' line.
OVER_BRIDGE, OVER_EYE, AT_TEMPLE = 0.78, 0.65, 0.40
OTHER_BRIDGE = 0.45  # glasses cross the bridge on both sides: the least there of an eye before which no line is told
BRIDGE_LIES, EYE_LIES = (-0.08, 0.26), (0.02, 0.34)


@dataclass(frozen=True, slots=True)
class UpperRims:
    """What is seen of a pair of glasses."""

    outlines: tuple[np.ndarray, np.ndarray]  # (n, 2) px, before the left and the right eye; (0, 2) where there is none
    over_bridge: float  # how much of a line crosses the bridge of the nose, the less of both sides, 0..1


def upper_rims(photo: np.ndarray, points: np.ndarray, rotation: np.ndarray, scale: float) -> UpperRims:
    """Follow the upper rims before both eyes.

    photo (H, W, 3) uint8 RGB; points (478, 2) px; rotation (3, 3), scale: px for one eye distance, of the head.
    """
    soft = cv2.GaussianBlur(photo, (0, 0), max(0.5, 0.005 * scale))
    (left, at_left), (right, at_right) = (upper_rim(soft, points, eye, rotation, scale) for eye in EYES)
    over_bridge = min(at_left, at_right)
    if over_bridge < OTHER_BRIDGE:
        left = right = np.zeros((0, 2))
    return UpperRims((left, right), over_bridge)


def upper_rim(
    photo: np.ndarray, points: np.ndarray, eye: Eye, rotation: np.ndarray, scale: float
) -> tuple[np.ndarray, float]:
    """The same for one eye, and how much of a line there is over the bridge, 0..1."""
    outer, inner = points[eye.upper[0]], points[eye.upper[-1]]
    along, up = (axis / np.linalg.norm(axis) for axis in (rotation[:2, 0], -rotation[:2, 1]))
    outward = along * np.sign((outer - inner) @ along)
    width = float((outer - inner) @ outward) / scale
    if width < 4 * ALONG:
        return np.zeros((0, 2)), 0.0
    u, v = np.arange(-BEFORE, width + AFTER, ALONG), np.arange(ABOVE, -BELOW, -ACROSS)
    rise = float((outer - inner) @ up) / scale * np.clip(u / width, 0, 1)  # of the corners' line
    places = inner + scale * (u[None, :, None] * outward + (v[:, None] + rise)[..., None] * up)
    strip = places[..., 0].astype(np.float32), places[..., 1].astype(np.float32)

    def within(part: list[int], reach: float = 0.0) -> np.ndarray:
        """Which places lie in a polygon of landmarks, or so near to it, eye distances."""
        mask = polygon(points[part], photo.shape[:2])
        return cv2.remap(cv2.dilate(mask, disc(reach * scale)) if reach else mask, *strip, cv2.INTER_NEAREST) > 0

    light = cv2.remap(photo, *strip, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) @ LUMA
    bare = light[within([*eye.upper[1:-1], *eye.fold[::-1]])]
    if not bare.size:
        return np.zeros((0, 2)), 0.0
    size = [2 * round(WIDEST / step) + 1 for step in (ALONG, ACROSS)]
    around = cv2.morphologyEx(light, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size))
    dark = np.clip((around - light) / (CLEAR * np.quantile(bare, LID_SKIN)), 0, 1)
    bridge, over, temple = (u > 0.02 - BEFORE) & (u < -0.06), (u > 0) & (u < width), u > width + 0.08
    line = dark.copy()
    line[within(eye.opening, LASHES)] *= LASHES_COUNT
    line[within(eye.opening, LIDS)] *= LIDS_COUNT
    line[within(list(eye.brow), BROW)] *= BROW_COUNTS
    line[np.ix_(v < 0, over)] = 0
    rows, columns = np.arange(len(v)), np.arange(len(u))
    turns = np.minimum(TURN * (rows[:, None] - rows) ** 2, JUMP)
    path = cheapest_path(1 - line, lambda _: turns)
    clear, height = dark[path, columns], v[path]
    over_bridge = float(clear[bridge].mean())
    if (
        over_bridge < OVER_BRIDGE
        or clear[over].mean() < OVER_EYE
        or clear[temple].mean() < AT_TEMPLE
        or not BRIDGE_LIES[0] < height[bridge].mean() < BRIDGE_LIES[1]
        or not EYE_LIES[0] < height[over].mean() < EYE_LIES[1]
    ):
        return np.zeros((0, 2)), over_bridge
    first, last = (np.clip(path + step * reach_of(light, path, step), 0, len(v) - 1) for step in (-1, 1))
    return np.concatenate([places[first, columns], places[last, columns][::-1]]), over_bridge


def reach_of(light: np.ndarray, path: np.ndarray, step: int) -> np.ndarray:
    """How many rows a dark line reaches to one side of its path, (columns,): that of most columns near.

    light (rows, columns); step: -1 up, 1 down. It ends half-way up to the first light beside it.
    """
    count, columns = round(WIDEST / ACROSS), np.arange(len(path))
    rows = np.clip(path + step * np.arange(-2, count + 1)[:, None], 0, len(light) - 1)
    beside = light[rows, columns]
    bottom, beside = beside[:5].min(0), beside[2:]
    rising = np.maximum.accumulate(beside, 0)
    fell = np.logical_or.accumulate(beside < rising - 0.25 * (rising - bottom), 0)
    top = np.where(fell, 0, rising).max(0)
    beyond = beside > 0.5 * (bottom + top)
    reach = np.where(beyond.any(0), beyond.argmax(0), count)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(reach, 6, "edge"), 13)
    return np.minimum(np.median(near, 1), THICKER * np.median(reach)).astype(int) + 1
