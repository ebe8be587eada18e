"""Corners of an open mouth, shut: what a smile shows there of the mouth's dark is no skin, and lips at rest would wear
it as a dot at either end. Nor do its smudges, lines and glints stay beside lips that have left them.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.drawing.geometry import ease
from engines.face.masks import disc, polygon, span, window
from engines.face.measure import canonical_face, head_angles, remove_pose
from engines.face.tones import LUMA
from engines.face.unfold import LOOKED_PX, beard, cheeks, crop_corners, cut, smile_of, to_crop
from engines.face.unsmile import rest_shift
from engines.face_points import CORNERS, LOWER_SEAM, OUTER_LIPS, UPPER_SEAM
from engines.ramps import shares_of

ENDS = ((CORNERS[0], UPPER_SEAM[0]), (CORNERS[1], UPPER_SEAM[-1]))  # outer and inner corner of the lips, either side
REACH = 0.15  # how far from the corner dark may be the mouth's, eye distances
BESIDE, BEYOND = 0.045, 0.10  # and how far beside the opening, and beyond the corner, in which a laugh's dark runs out
DARK = 0.55  # of the way from the mouth's dark to the light of lips and skin beside it: what is darker is the mouth's
APART = (0.030, 0.080)  # lips' gap, eye distances: from the first on corners are shut, from the second on wholly
# Where lips meet at rest they shade each other, and the skin beyond their corner: by so much of its light (R, G, B),
# most just within the corner. Sigmas along the line (in the photo, where a smile stretches it) and across it, which
# grow by a share of the way out; how far and how steeply it falls beyond, all at rest. Eye distances. From 32 people's
# neutral photos against their smiles brought to rest, whose mouths looked a twelfth narrower.
LINE, LINE_AT, LINE_ALONG = np.array([0.22, 0.27, 0.27], np.float32), -0.008, 0.045
LINE_ACROSS, LINE_WIDENS, LINE_OUT, LINE_FALLS = 0.012, 0.30, 0.08, 0.40
AROUND_CORNERS = ((61, 57, 43, 186, 92, 185, 146), (291, 287, 273, 410, 322, 409, 375))
SPANNED_PX = 120.0  # px for one eye distance, at most, while skin is spanned

# What a laugh's corners leave beside them takes the light and hue of the skin around: wholly up to the first distance
# from a line that begins in the corner and ends MARKED beyond it, less and less up to the second; eye distances.
MARKED, BESIDE_IT = 0.05, (0.06, 0.15)
IN_LIPS = (0.01, 0.06)  # the same within the lips, from the corner: farther in flesh has its own colour, up to its tip
TRAVELS = (0.04, 0.09)  # way of the corners to rest, eye distances: below the first they leave nothing, wholly at both
# Sigmas, eye distances: what is finer stays, for it is grain or hair; the lips' outline; the skin's light around.
FINE, OUTLINE, EVEN = 0.018, 0.012, 0.03
HAIR_NEAR = 0.05  # so far around a beard, eye distances, it shades the skin, which says nothing of what is around
GRAIN = 2.5  # of what is fine so many of the skin's medians around stay: more is the edge of a mark
LOWER_FACE, MOUTH_AT = (1.5, 2.0), 0.45  # height and width of the part looked at, eye distances; the lips' place in it


def shut_corners(photo: np.ndarray, landmarks: np.ndarray, scale: float) -> np.ndarray:
    """The photo (H, W, 3) uint8 RGB with skin over the dark of an open mouth's corners; itself where lips are shut.

    landmarks (478, 3) px; scale: px for one eye distance.
    """
    upper, lower = (landmarks[list(seam), :2] for seam in (UPPER_SEAM, LOWER_SEAM))
    wanted = open_share(upper, lower, scale)
    if wanted <= 0.0:
        return photo
    shut = photo.copy()
    inside = np.concatenate([upper, lower[::-1]])
    for outer, inner in ENDS:
        corner = landmarks[outer, :2]
        outward = landmarks[inner, :2] - inside.mean(0)
        tail = np.stack([landmarks[inner, :2], corner + BEYOND * scale * outward / max(np.linalg.norm(outward), 1e-6)])
        low, high = window(corner, 1.7 * REACH * scale, photo.shape)
        if (high - low).min() < 4:
            continue
        here = slice(low[1], high[1]), slice(low[0], high[0])
        shut[here] = shut_corner(photo[here], tail - low, inside - low, scale, wanted)
    return clear_corners(shut, landmarks, scale, wanted)


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


def clear_corners(photo: np.ndarray, landmarks: np.ndarray, scale: float, wanted: float) -> np.ndarray:
    """The photo (H, W, 3) uint8 RGB without what a laugh's corners leave behind on their way to rest.

    Grey smudges, dark hooks, thin lines, wet glints: lips at rest would wear them as a second end. Beards stay, and so
    does the photo itself where corners keep their place. landmarks (478, 3) px; scale: px for one eye distance;
    wanted: how much of it goes, 0..1.
    """
    aligned, rotation, _, _ = (part[0] for part in remove_pose(landmarks[None], canonical_face()))
    pitch, yaw, _ = head_angles(rotation[None])[0]
    wanted *= float(shares_of(smile_of(rest_shift(aligned, float(np.hypot(pitch, yaw)))), *TRAVELS))
    if wanted <= 0.0:
        return photo
    height, width = (round(side * LOOKED_PX) for side in LOWER_FACE)
    linear = scale * rotation[:2, :2] / LOOKED_PX
    mouth = landmarks[list(OUTER_LIPS), :2].mean(0)
    to_photo = np.column_stack([linear, mouth - linear @ (width / 2, MOUTH_AT * height)])
    ends = crop_corners(to_photo, (height, width))
    low, high = window(ends, 0, photo.shape)
    if (high <= low).any():
        return photo
    change = wanted * lacks(cut(photo, to_photo, (height, width)), to_crop(landmarks[:, :2], to_photo))
    to_part, here = to_photo - [[0, 0, low[0]], [0, 0, low[1]]], (slice(low[1], high[1]), slice(low[0], high[0]))
    cleared = photo.copy()
    there = cv2.warpAffine(change, to_part, tuple(int(side) for side in high - low), flags=cv2.INTER_LINEAR)
    cleared[here] = np.clip(photo[here] + there + 0.5, 0, 255)
    return cleared


def lacks(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """What marks beside the corners lack to the light and hue of the skin around, (h, w, 3) float32; 0 elsewhere.

    crop (h, w, 3) uint8: the lower face, upright, at LOOKED_PX; points (478, 2) px of it.
    """
    size = crop.shape[:2]
    lips = polygon(points[list(OUTER_LIPS)], size)
    hair = beard(crop, cheeks(np.ones(size, np.float32), points), points)
    hair = cv2.GaussianBlur(cv2.dilate(hair, disc(HAIR_NEAR * LOOKED_PX)), (0, 0), HAIR_NEAR * LOOKED_PX / 2)
    skin = ((lips == 0) * (1 - hair)).astype(np.float32)
    within = cv2.GaussianBlur(lips / np.float32(255), (0, 0), OUTLINE * LOOKED_PX)
    seen = cv2.GaussianBlur(np.dstack([crop * skin[..., None], skin]), (0, 0), EVEN * LOOKED_PX)
    even = seen[..., :3] / np.maximum(seen[..., 3:], 1e-3)
    broad = cv2.GaussianBlur(crop.astype(np.float32), (0, 0), FINE * LOOKED_PX)
    fine = crop - broad
    lacking = np.zeros(crop.shape, np.float32)
    reach = (MARKED + BESIDE_IT[1]) * LOOKED_PX + 3  # px; a ring of skin that is known lies around what is spanned
    for corner, outward in zip(points[list(CORNERS)], (-1, 1), strict=True):
        low, high = window(corner, reach, size)
        if (high - low).min() < 4:
            continue
        here = slice(low[1], high[1]), slice(low[0], high[0])
        y, x = np.mgrid[here].astype(np.float32)
        along, down = outward * (x - corner[0]) / LOOKED_PX, (y - corner[1]) / LOOKED_PX
        away = np.hypot(along - np.clip(along, 0, MARKED), down)
        near, bare = away < BESIDE_IT[1], skin[here] > 0.5
        share = ease(1 - shares_of(away, *BESIDE_IT)) * (1 - hair[here])
        share *= 1 - within[here] * shares_of(np.hypot(along, down), *IN_LIPS)
        around = span(even[here], near, ~near & ~bare)
        most = GRAIN * np.median(np.abs(fine[here][~near & bare]), 0) if (~near & bare).any() else 255.0
        kept = np.clip(fine[here], -most, most)
        lacking[here] += share[..., None] * (around + kept - crop[here])
    return lacking


def draw_ends(
    photo: np.ndarray, landmarks: np.ndarray, at_rest: np.ndarray, scale: float, coloured: float = 1.0
) -> np.ndarray:
    """The photo (H, W, 3) uint8 RGB with the shade in which the line between lips ends; itself where they are shut.

    landmarks and at_rest (478, 2) px: where the face's points are, and where at rest; scale: px for one eye distance.
    coloured: 0 for a photo without colours .. 1.
    """
    upper, lower = (landmarks[list(seam)] for seam in (UPPER_SEAM, LOWER_SEAM))
    wanted = open_share(upper, lower, scale)
    if wanted <= 0.0:
        return photo
    shade = wanted * (LINE.mean() + coloured * (LINE - LINE.mean()))
    drawn, opening = photo.copy(), np.concatenate([upper, lower[::-1]])
    sideways = at_rest[CORNERS[1]] - at_rest[CORNERS[0]]
    sideways /= max(float(np.linalg.norm(sideways)), 1e-6)
    down = np.array([-sideways[1], sideways[0]])
    for (outer, inner), before, around, side in zip(ENDS, (2, -3), AROUND_CORNERS, (-1, 1), strict=True):
        corner = landmarks[outer]
        low, high = window(corner, (LINE_OUT + 2 * LINE_ALONG) * scale, photo.shape)
        if (high - low).min() < 4:
            continue
        inward = (upper[before] + lower[before]) / 2 - corner
        # Which way in the photo goes out and a little down at rest.
        there, here = (points[list(around)] - points[list(around)].mean(0) for points in (at_rest, landmarks))
        outward = np.linalg.lstsq(there, here, rcond=None)[0].T @ (side * sideways + LINE_FALLS * down)
        line = polygon(opening - low, (int(high[1] - low[1]), int(high[0] - low[0])))
        ends = np.stack([landmarks[inner], corner, corner + LINE_OUT * scale * outward]) - low
        cv2.polylines(line, [np.round(ends).astype(np.int32)], False, 255)
        across = cv2.distanceTransform((line == 0).astype(np.uint8), cv2.DIST_L2, 5) / np.float32(scale)
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        from_corner = np.stack([x, y], -1) - corner.astype(np.float32)
        inside = from_corner @ (inward / max(float(np.linalg.norm(inward)), 1e-6)) / scale
        beyond = np.maximum(from_corner @ (outward / max(float(outward @ outward), 1e-6)) / scale, 0)
        along = np.where(beyond > 0, beyond, -np.maximum(inside, 0))
        width = LINE_ACROSS + LINE_WIDENS * beyond
        share = np.exp(-0.5 * (((along - LINE_AT) / LINE_ALONG) ** 2 + (across / width) ** 2))
        part = slice(low[1], high[1]), slice(low[0], high[0])
        drawn[part] = drawn[part] * (1 - share[..., None] * shade) + 0.5
    return drawn


def open_share(upper: np.ndarray, lower: np.ndarray, scale: float) -> float:
    """How far lips (n, 2) px each are open, for what goes with it: 0, or less, where they are shut .. 1."""
    gap = float(np.linalg.norm(lower - upper, axis=1).max()) / scale
    return min(1.0, (gap - APART[0]) / (APART[1] - APART[0]))
