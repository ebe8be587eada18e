"""What stands before the eyes: rims of glasses and strands of hair go with the head, whatever lids and brows do, and
behind dark glasses nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.drawing.warp import GRID_PX
from engines.face.masks import disc, inset, polygon, stroke, window
from engines.face.measure import eye_distance
from engines.face.tones import CHEEKS, LID_SKIN, LUMA
from engines.face.upper_rims import upper_rims
from engines.face_points import EYES, Eye

# Before the eyes: darker than this share of a lid's skin, in lines longer than lashes, level and upright.
RIM_DARK, RIM_LEVEL, RIM_UPRIGHT = 0.65, 0.22, 0.16
RIM_WIDE, RIM_DEEP = 0.065, 0.28  # half their width at most; how much darker than around, as a share of skin's light
# Or of another hue: colours, as shares of their light, lie so far from skin's, and so much farther than what is around:
# all of a line, and so much of it surely; half as wide at most; what is darker than this share of skin's light, or than
# so many levels, tells no hue; so far past both corners of an eye it reaches.
RIM_HUE, RIM_HUE_MORE, MOST_SURE = (0.3, 0.42), (0.12, 0.3), 0.3
HUE_WIDE, HUE_DARK, LEAST_LIT, PAST = 0.10, 0.3, 25, 0.05
FRINGE = 0.035  # photos keep colours coarser than light: so far beside a coloured rim skin is tinted by it
# Where it is looked for: beyond an eye's corners, from the brows' line down, below the lower lid; where that fades.
BESIDE, BELOW, FADES = 0.26, 0.16, 0.05
LASHES_END, CORNERS_END, BROWS_END = 0.045, 0.12, 0.05  # around an open eye, its corners, a brow all is theirs
LEAST_RIMS = 0.004  # square eye distances of such lines
NEAR_PX = 2 * GRID_PX
LENSES = 0.5  # line over the bridge from which there may be glasses, though no rim is told

# Dark glasses: around both eyes hardly anything is as light and of the hue as cheeks and forehead are, for another
# reason than shade: little is warm as skin is, or next to nothing lit.
AROUND_EYES = (0.02, 0.14)  # beyond the lids, eye distances
AS_LIGHT, LIKE_SKIN, LEAST_SKIN = 0.45, 0.25, 0.40
WARM, LEAST_WARM, PITCH_DARK = 0.35, 0.75, 0.20
FOREHEAD = (151, 9, 10)
COLOURLESS = 0.05  # red less blue, as a share of the light, below which skin tells no warmth

# Hair hangs before an eye: there light changes so many times as much (squared) from side to side as downwards. Of 694
# eyes of strangers the one behind strands has 14.7, all others up to 2.3, for lids lie level. Looked at that small:
# an eye's width; width and height of the part, and where it begins beside and above the left corner; px.
STRANDS, EYE_PX, EYE_SIZE_PX, EYE_FROM_PX = 5.0, 24.0, (20, 16), (2.0, -8.0)


@dataclass(frozen=True)
class Rims:
    """What stands before one eye."""

    cover: np.ndarray  # (h, w) uint8: how far a pixel is of it; empty where nothing does
    near: np.ndarray  # (h, w) uint8: not 0 where any pixel of it is within NEAR_PX
    corner: np.ndarray  # (2,) x, y px of the photo where both begin


NO_RIMS = Rims(np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.uint8), np.zeros(2, np.int64))


def behind_dark_glasses(photo: np.ndarray, landmarks: np.ndarray) -> bool:
    """Whether dark lenses hide both eyes in a photo (H, W, 3) uint8 RGB; landmarks (478, 3) px."""
    points, scale = landmarks[:, :2], float(eye_distance(landmarks))
    low = np.maximum(np.floor(points.min(0)).astype(int), 0)
    high = np.ceil(points.max(0)).astype(int)
    soft = cv2.GaussianBlur(photo[low[1] : high[1], low[0] : high[0]], (0, 0), max(0.6, 0.02 * scale))
    soft, points = soft.astype(np.float32), points - low
    places = np.clip(np.round(points[list(CHEEKS + FOREHEAD)]), 0, np.array(soft.shape[1::-1]) - 1).astype(int)
    skin = np.median(soft[places[:, 1], places[:, 0]], 0)
    light, warmth = max(float(skin @ LUMA), 1.0), float(skin[0] - skin[2])
    for eye in EYES:
        opening = polygon(points[eye.opening], soft.shape[:2])
        first, last = (cv2.dilate(opening, disc(reach * scale)) for reach in AROUND_EYES)
        seen = soft[(last > 0) & (first == 0)]
        if not len(seen):
            return False
        lit = np.maximum(seen @ LUMA, 1.0)
        hue = np.abs(seen / lit[:, None] - skin / light).max(1)
        warm = (seen[:, 0] - seen[:, 2]) / np.maximum(lit, 12.0) > WARM * warmth / light
        told = warmth > COLOURLESS * light and warm.mean() < LEAST_WARM
        if ((lit > AS_LIGHT * light) & (hue < LIKE_SKIN)).mean() > LEAST_SKIN or not (
            told or np.median(lit) < PITCH_DARK * light
        ):
            return False
    return True


def behind_strands(photo: np.ndarray, landmarks: np.ndarray, eye: Eye) -> bool:
    """Whether hair hides an eye in a photo (H, W, 3) uint8 RGB; landmarks (478, 3) px."""
    corners = landmarks[[eye.upper[0], eye.upper[-1]], :2]
    left, right = corners[np.argsort(corners[:, 0])]
    step = (right - left) / EYE_PX  # px of the photo for one of the small picture
    size = max(float(np.hypot(*step)), 1e-3)
    first = left + EYE_FROM_PX[0] * step + EYE_FROM_PX[1] * np.array([-step[1], step[0]])
    to_photo = np.array([[step[0], -step[1], first[0]], [step[1], step[0], first[1]]])
    low, high = window(corners, EYE_PX * size, photo.shape)
    if (high - low < 4).any():
        return False
    part = cv2.cvtColor(photo[low[1] : high[1], low[0] : high[0]], cv2.COLOR_RGB2GRAY).astype(np.float32)
    to_photo[:, 2] -= low
    small = cv2.warpAffine(
        cv2.GaussianBlur(part, (0, 0), max(0.4, 0.5 * size)),
        to_photo,
        EYE_SIZE_PX,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    sideways, down = (float(np.square(np.diff(small, axis=axis)).sum()) for axis in (1, 0))
    return sideways > STRANDS * max(down, 1.0)


def take_off_rims(
    photo: np.ndarray, landmarks: np.ndarray, rotation: np.ndarray, scale: float
) -> tuple[np.ndarray, tuple[Rims, Rims], bool]:
    """The photo (H, W, 3) uint8 without what stands before the eyes; that, left and right; whether it may be glasses.

    landmarks (478, 3) px; rotation (3, 3), scale: px for one eye distance, of the head.
    """
    clear, points = photo.copy(), landmarks[:, :2]
    upper = upper_rims(photo, points, rotation, scale)
    left, right = (
        take_off(clear, photo, points, eye, outline, rotation, scale)
        for eye, outline in zip(EYES, upper.outlines, strict=True)
    )
    return clear, (left, right), upper.over_bridge > LENSES


def take_off(
    clear: np.ndarray,
    photo: np.ndarray,
    points: np.ndarray,
    eye: Eye,
    outline: np.ndarray,
    rotation: np.ndarray,
    scale: float,
) -> Rims:
    """The same for one eye, taken off in `clear`; outline (n, 2) px of its upper rim, or empty."""
    along = rotation[:2, 0] / np.linalg.norm(rotation[:2, 0])
    up = -rotation[:2, 1] / np.linalg.norm(rotation[:2, 1])
    opening, brow = points[eye.opening], points[list(eye.brow)]
    level, height = opening @ along, np.concatenate([opening, brow]) @ up
    sides = level.min() - BESIDE * scale, level.max() + BESIDE * scale
    ends = height.max(), height[: len(opening)].min() - BELOW * scale
    zone = np.array([x * along + y * up for x, y in zip((*sides, *sides[::-1]), np.repeat(ends, 2), strict=True)])
    margin = 2 * RIM_WIDE * scale  # what is beside tells a line from the edge of something wide
    low, high = window(zone, margin, photo.shape)
    if (high - low < 8).any():
        return NO_RIMS
    part = photo[low[1] : high[1], low[0] : high[0]]
    lid = np.concatenate([points[list(eye.upper[1:-1])], points[list(eye.fold)][::-1]])
    where = polygon(zone - low, part.shape[:2])
    rims = find_rims(part, where, lid - low, opening - low, brow - low, along, scale)
    if len(outline):
        upper = np.minimum(polygon(outline - low, where.shape), 255 - polygon(opening - low, where.shape))
        rims = np.maximum(rims, upper // 255)
    if not rims.any():
        return NO_RIMS
    # Taken off well inside the zone, painted over wherever it was taken off: at rest the photo is what it was.
    inside, around = (inset(where, share * FADES * scale) for share in (1.2, 0.3))
    soft = max(0.6, 0.006 * scale)
    hidden = cv2.dilate(rims, disc(1.5 * soft))
    solid = cv2.dilate(hidden, disc(3 * soft))
    lashes = cv2.dilate(polygon(opening - low, where.shape), disc(LASHES_END * scale))
    solid[(lashes > 0) & (cv2.dilate(rims, disc(soft)) == 0)] = 0  # they turn with their lid
    cover = cv2.GaussianBlur(solid * np.float32(255), (0, 0), max(0.8, 0.7 * soft)) * around + 0.5
    x, y, width, height = cv2.boundingRect(cover.astype(np.uint8))
    if not width:  # all of it where the zone has faded
        return NO_RIMS
    skin = cv2.inpaint(part, hidden, 3, cv2.INPAINT_TELEA)
    crop = clear[low[1] : high[1], low[0] : high[0]]  # the other eye's reaches into it
    crop[:] = crop + inside[..., None] * (skin.astype(np.float32) - crop) + 0.5
    here = cover[y : y + height, x : x + width].astype(np.uint8)
    return Rims(here, cv2.dilate(here, disc(NEAR_PX)), low + np.array([x, y]))


def find_rims(
    part: np.ndarray,
    where: np.ndarray,
    lid: np.ndarray,
    opening: np.ndarray,
    brow: np.ndarray,
    along: np.ndarray,
    scale: float,
) -> np.ndarray:
    """Where long dark lines cross a picture (h, w, 3) of an eye, that are neither lashes nor brow: (h, w) uint8 0, 1.

    where (h, w): not 0 where to look; lid, opening, brow: polygons (n, 2) px in it; along: unit vector from
    corner to corner; scale: px for one eye distance.
    """
    size = part.shape[:2]
    light = part.astype(np.float32) @ LUMA
    bare = light[polygon(lid, size) > 0]
    if not bare.size:
        return np.zeros(size, np.uint8)
    skin = float(np.quantile(bare, LID_SKIN))
    around = cv2.morphologyEx(light, cv2.MORPH_CLOSE, disc(RIM_WIDE * scale))  # a shadow or a head of hair is wider
    dark = ((light < RIM_DARK * skin) & (around - light > RIM_DEEP * skin)).astype(np.uint8)
    dark[where == 0] = 0
    dark[cv2.dilate(polygon(opening, size), disc(LASHES_END * scale)) > 0] = 0
    for corner in opening[[0, len(opening) // 2]]:
        cv2.circle(dark, [round(float(v)) for v in corner], round(CORNERS_END * scale), 0, -1)
    clear_of_brow = dark * (cv2.dilate(polygon(brow, size), disc(BROWS_END * scale)) == 0)
    upright = np.array([-along[1], along[0]])
    level, sides = (
        cv2.morphologyEx(clear_of_brow, cv2.MORPH_OPEN, stroke(axis, length * scale))
        for axis, length in ((along, RIM_LEVEL), (upright, RIM_UPRIGHT))
    )
    coloured = coloured_rims(part, light, where, polygon(lid, size), opening, along, scale)
    rims = np.maximum(level, sides)
    if rims.sum() < LEAST_RIMS * scale**2:
        return coloured
    for _ in range(round(RIM_WIDE * scale)):  # as thick as they are, also where they touch a brow
        rims = np.minimum(cv2.dilate(rims, np.ones((3, 3), np.uint8)), dark)
    return np.maximum(rims, coloured)


def coloured_rims(
    part: np.ndarray,
    light: np.ndarray,
    where: np.ndarray,
    lid: np.ndarray,
    opening: np.ndarray,
    along: np.ndarray,
    scale: float,
) -> np.ndarray:
    """Where a rim of another hue than skin's crosses a picture (h, w, 3) of an eye, dark or not: (h, w) uint8 0, 1.

    The same as of `find_rims`; light (h, w) of the picture, lid (h, w): not 0 where it is bare. A rim is in one piece
    from the bridge of the nose to the temple, past both corners of the eye: neither make-up nor dyed hair is.
    """
    bare = part[lid > 0] / np.maximum(light[lid > 0], 1)[:, None]
    soft = cv2.GaussianBlur(part, (0, 0), max(0.6, 0.01 * scale)).astype(np.float32)
    lit = np.maximum(soft @ LUMA, 1)
    hue = np.abs(soft / lit[..., None] - np.median(bare, 0).astype(np.float32)).max(2)
    hue[lit < max(HUE_DARK * float(np.median(light[lid > 0])), LEAST_LIT)] = 0
    around = cv2.morphologyEx(hue, cv2.MORPH_OPEN, disc(HUE_WIDE * scale))
    sure = (hue > RIM_HUE[1]) & (hue - around > RIM_HUE_MORE[1])
    line = ((hue > RIM_HUE[0]) & (hue - around > RIM_HUE_MORE[0])).astype(np.uint8)
    elsewhere = (where == 0) | (polygon(opening, line.shape) > 0)
    line[elsewhere] = 0
    count, parts = cv2.connectedComponents(line)
    rims = np.zeros_like(line)
    ends = opening @ along
    for one in range(1, count):
        y, x = np.nonzero(parts == one)
        level = np.stack([x, y], 1) @ along
        if (
            sure[y, x].mean() > MOST_SURE
            and level.min() < ends.min() - PAST * scale
            and level.max() > ends.max() + PAST * scale
        ):
            rims[y, x] = 1
    rims = cv2.dilate(rims, disc(FRINGE * scale))
    rims[elsewhere] = 0
    return rims
