"""A smile's folds, taken off a photo that is drawn at rest; learned from pairs of photos (train/face/unfold.py).

Lips that are brought to rest below the creases of a laugh look like another, older person's. The gain that turns the
light of smiling cheeks into that of resting ones is, place by place, a linear function of how the light there differs
from the light around it, near and far: folds are where they are on this face, and how much goes is learned.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from engines.card import read_arrays
from engines.errors import EngineMismatch
from engines.face.grain import between_blurs
from engines.face.masks import disc, polygon, span, window
from engines.face.tones import LUMA
from engines.face_points import CORNERS, LOWER_SEAM, OUTER_LIPS, UPPER_SEAM
from engines.ramps import share_of, shares_of

MODEL = "unfold"
LOOKED_PX = 96.0  # px for one eye distance at which it looks at the lower face
BLURS_PX = (1.5, 4.0, 10.0, 24.0)  # between these widths lie the bands of light that it tells apart
FACTORS = 1 + len(BLURS_PX)
TYPICAL_SMILE = 0.060  # how far the corners go to rest, eye distances
# All folds go from the second on, none up to the first: nine in ten calm faces lie below it, nine in ten smiles above.
FADES_IN = (0.020, 0.060)
LINE, CREASE = 0.018, (0.04, 0.12)  # half the width of a line, eye distances; gains between which it is filled
HAIR, HAIR_REACH = (0.030, 0.045), 0.08  # share of light that lines take of a neighbourhood, of skin and of a beard
# A beard is lines all over, a crease is one: hairs lie between these widths, and half of this neighbourhood is lines.
HAIRS_PX, HAIRS_REACH_PX, STEPS = (0.6, 1.6), 21, 1500
BEARDED = (0.0072, 0.0084)  # texture of upper lip and chin, of the light's logarithm, that makes a face a bearded one
MOUSTACHED = (0.010, 0.014)  # the same of an upper lip alone, which may be one's
BEARD, GRAIN = (0.55, 1.0), 1.3  # share of it that skin and hair have; of the skin's grain that hair must exceed
MOUSTACHE = (-0.10, 0.00)  # below the nose, eye distances: what lies higher beside it is a crease
UNEVEN, LEAST_SEEN = 2.0, 50  # an upper lip's texture counts up to so many chins'; px that each must show
ON_HAIR, BROAD_PX = 0.5, 8.0  # of what would go from skin there, and its blur: folds shade a beard too, broadly
# Where lips are shut a dark seam lies between them, of at most .90 of the light of the darker lip (75 photos; two with
# hair over an upper lip 1.07 and 1.28, a mask 1.06), and of 104 faces' lips only three have more than 1.2 of the skin's
# light: painted ones with a seam, and white hair. What has neither seam nor a lip's light is hair over a mouth.
NO_SEAM, LIGHT_AS_HAIR, SHUT = (0.95, 1.05), (1.20, 1.40), 0.02  # shut: eye distances between the lips' lines
SEAM_AWAY, SEAM_BLUR, LIP_AWAY = 0.05, 0.010, (0.08, 0.10, 0.12)  # where it and lips are looked for, eye distances
UNDER_NOSE = 2
CHEEKS, UPPER_LIP, CHIN = (
    (50, 280, 101, 330, 205, 425),
    (98, 97, 2, 326, 327, 322, 270, 269, 267, 0, 37, 39, 40, 92),
    (43, 106, 182, 83, 18, 313, 406, 335, 273, 422, 262, 428, 199, 208, 32, 202),
)
MOST = 0.8  # of the light's logarithm, which a low sun's folds come to
TINT = np.array([0.87, 1.05, 1.10], np.float32)  # of the logarithm, by colour: a crease is red (72 people)
DARK = 8.0  # levels: below it differences of light are the camera's noise
FOLDED, HUE_REACH = (0.02, 0.08), 0.14  # gains between which skin counts as a fold's; where its hue comes from, sigma
IN_SHADOW = (0.60, 0.85)  # of the light of the skin around: below the first it is dark for another reason than a fold
# A grin's folds leave smudges: share that goes of what is darker than the skin around, its blurs; in which smiles.
SMUDGE, SMUDGE_PX, GRIN = 0.8, (0.8, 2.0), (0.08, 0.16)
TOO_DARK, SHADOW_PX = (0.45, 0.70), 6  # of the logarithm: more is no smudge; reach of what is not
# A deep fold's core is too dark, or too red, for any gain: it would stay as a slash. So much darker or redder than both
# sides of what is so wide, where the gain is such, it is a scar if it is so long (no mole), so near the way of the
# nose's fold and not so near to a beard, where the fold goes on; px at LOOKED_PX, logarithms.
SCAR_PX, SCAR_DARK, SCAR_RED, SCAR_GAIN, SCAR_LONG_PX, SCAR_AWAY_PX, SCAR_HAIR_PX = 5, 0.12, 0.08, 0.12, 10, 16.0, 6
# How far beyond itself skin is spanned over it, from what skin around, and softened; levels it may be darker at most.
SCAR_WIDER_PX, SCAR_SEEN_PX, SCAR_SOFT_PX, SCAR_DIMS = 3, 12, 1.0, 4.0
NOSE_FOLDS = ((129, 57), (358, 287))  # a nose's wing, and beside the corner below it
NOSE = (
    *(168, 6, 98, 327, 240, 460, 64, 294, 129, 358, 48, 278),
    *(219, 439, 49, 279, 131, 360, 198, 420, 174, 399, 122, 351),
)


def smile_of(shift: np.ndarray) -> float:
    """How far the way to rest (478, 3) draws the corners down and together, eye distances; 0 for an open mouth."""
    right, left = shift[CORNERS[0]], shift[CORNERS[1]]
    inward = max(0.0, float(right[0] - left[0]) / 2)
    return float(np.hypot(inward, max(0.0, float(right[1] + left[1]) / 2)))


def bands(light: np.ndarray, smile: float) -> np.ndarray:
    """What the gain is made of: the smile, and the light's logarithm (h, w) in bands; (FACTORS, h, w) float32."""
    return np.stack([np.full_like(light, smile / TYPICAL_SMILE), *between_blurs(light, BLURS_PX)])


def zoom_of(to_photo: np.ndarray) -> float:
    """How many px of the photo one px of the crop is."""
    return float(np.sqrt(abs(np.linalg.det(to_photo[:, :2]))))


def cut(photo: np.ndarray, to_photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The crop (h, w, 3) uint8 of a photo, blurred before where it is the coarser one; to_photo (2, 3)."""
    zoom = zoom_of(to_photo)
    soft: np.ndarray = cv2.GaussianBlur(photo, (0, 0), 0.4 * zoom) if zoom > 1 else photo
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(soft, to_photo, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def to_crop(points: np.ndarray, to_photo: np.ndarray) -> np.ndarray:
    """px of the photo -> px of the crop, (n, 2)."""
    return np.linalg.solve(to_photo[:, :2], (points - to_photo[:, 2]).T).T


def crop_corners(to_photo: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Where the corners of a crop of `size` (height, width) lie in the photo, (4, 2) px; to_photo (2, 3)."""
    height, width = size
    corners: np.ndarray = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ to_photo.T
    return corners


def light_of(crop: np.ndarray) -> np.ndarray:
    """The logarithm of the light, (h, w, 3) uint8 -> (h, w) float32."""
    return np.log(crop.astype(np.float32) @ LUMA + np.float32(DARK))


def cheeks(skin_mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where folds may go: skin (h, w), 0..1, without nose and lips; points (478, 2) px of it."""
    kept = np.zeros(skin_mask.shape, np.uint8)
    lips, nose = (np.round(points[list(part)]).astype(np.int32) for part in (OUTER_LIPS, NOSE))
    cv2.fillPoly(kept, [lips], 1)
    cv2.fillConvexPoly(kept, cv2.convexHull(nose), 1)
    wider = cv2.dilate(kept, np.ones((7, 7), np.uint8))
    return skin_mask * (1 - cv2.GaussianBlur(wider.astype(np.float32), (0, 0), 3.0))


def take_folds_off(
    photo: np.ndarray,
    points: np.ndarray,
    skin_mask: np.ndarray,
    to_photo: np.ndarray,
    smile: float,
    colour: float = 1.0,
) -> np.ndarray:
    """The photo (H, W, 3) uint8 RGB with its cheeks at rest; itself where nobody smiles.

    points (478, 2) px of the photo. skin_mask (h, w) 0..1 and to_photo (2, 3), px -> px of the photo: the lower face
    at LOOKED_PX. smile: `smile_of` the way to rest. colour: 0 for a photo without colours.
    """
    share = min(1.0, (smile - FADES_IN[0]) / (FADES_IN[1] - FADES_IN[0]))
    if share <= 0.0:
        return photo
    corners = crop_corners(to_photo, skin_mask.shape)
    margin = LINE * zoom_of(to_photo) * LOOKED_PX + 2
    low, high = window(corners, margin, photo.shape)
    if (high <= low).any():
        return photo
    here = slice(low[1], high[1]), slice(low[0], high[0])
    unfolded = photo.copy()
    unfolded[here] = unfold_part(
        photo[here], points - low, skin_mask, to_photo - [[0, 0, low[0]], [0, 0, low[1]]], share, smile, colour
    )
    return unfolded


def unfold_part(
    photo: np.ndarray,
    points: np.ndarray,
    skin_mask: np.ndarray,
    to_photo: np.ndarray,
    share: float,
    smile: float,
    colour: float,
) -> np.ndarray:
    """The same for the part of a photo that the lower face fills; share: how much of the folds goes."""
    crop = cut(photo, to_photo, skin_mask.shape[:2])
    height, width = skin_mask.shape
    weights = np.stack([cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR) for part in unfold_weights()])
    here = to_crop(points, to_photo)
    kept = cheeks(skin_mask, here)
    hair = beard(crop, kept, here)
    gain = share * np.clip((weights * bands(light_of(crop), smile)).sum(0), -MOST, MOST) * kept
    of_skin = (gain * (1 - hair)).astype(np.float32)
    of_hair = (ON_HAIR * hair * cv2.GaussianBlur(gain, (0, 0), BROAD_PX)).astype(np.float32)
    around = colour_around(crop, of_skin, kept * (1 - hair))
    of_skin = of_skin + SMUDGE * float(shares_of(smile, *GRIN)) * left_dark(crop, of_skin, around)
    size = photo.shape[1::-1]
    there, on_hair = (cv2.warpAffine(part, to_photo, size, flags=cv2.INTER_LINEAR) for part in (of_skin, of_hair))
    lit = photo * np.exp(there[..., None] * (1 + np.float32(colour) * (TINT - 1)) + on_hair[..., None])
    lit = even_hue(lit, around, there, to_photo)
    filled = fill_lines(np.clip(lit + 0.5, 0, 255).astype(np.uint8), there, zoom_of(to_photo) * LOOKED_PX)
    # Where hair may grow on the lip, a moustache's end is taken for no scar, unless the folds are a grin's.
    share *= max(float(shares_of(smile, *GRIN)), 1 - float(shares_of(textures(crop, kept, here)[2], *MOUSTACHED)))
    return close_scars(filled, here, of_skin, kept, hair, to_photo, share)


def beard(crop: np.ndarray, skin: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where moustache and beard grow, (h, w) 0..1; crop (h, w, 3) uint8, skin (h, w), points (478, 2) px of them.

    Dark or red, grey or little darker than skin: hair is told from skin by its texture, and from a crease by filling
    its neighbourhood. Whose upper lip and chin do not both have that, beyond the cheeks' own grain, has no beard.
    """
    lines, own, on_lip, on_chin = textures(crop, skin, points)
    hairs = float(np.sqrt(on_chin * min(on_lip, UNEVEN * on_chin)))
    bearded = float(shares_of(hairs, *BEARDED))
    if bearded <= 0:
        return np.zeros(skin.shape, np.float32)
    texture = beyond(cv2.medianBlur(lines, HAIRS_REACH_PX).astype(np.float32) / STEPS, GRAIN * own)
    share = shares_of(texture, *(part * hairs for part in BEARD))
    height = (np.arange(len(skin)) - points[UNDER_NOSE, 1]) / LOOKED_PX
    return bearded * cv2.GaussianBlur(share, (0, 0), 2.0) * shares_of(height, *MOUSTACHE).astype(np.float32)[:, None]


def moustache(photo: np.ndarray, points: np.ndarray, to_photo: np.ndarray, size: tuple[int, int]) -> float:
    """Share of the upper lip on which a beard grows, 0..1: what a long way to rest would tear.

    photo (H, W, 3) uint8, points (478, 2) px of it; size (h, w) and to_photo (2, 3): the lower face at LOOKED_PX.
    """
    crop, here = cut(photo, to_photo, size), to_crop(points, to_photo)
    lip = polygon(here[list(UPPER_LIP)], size) > 0
    return float(beard(crop, cheeks(np.ones(size, np.float32), here), here)[lip].mean()) if lip.any() else 0.0


def hidden_mouth(photo: np.ndarray, points: np.ndarray, down: np.ndarray, scale: float, brighter: float) -> float:
    """How far light hair hides a shut mouth, 0..1; 0 for an open one.

    photo (H, W, 3) uint8; points (478 or more, 2) px of it, down (2,) the face's way down, scale px for one eye
    distance; brighter: the lips' light over the skin's.
    """
    upper, lower = points[list(UPPER_SEAM[3:-3])], points[list(LOWER_SEAM[3:-3])]
    light_as_hair = share_of(brighter, *LIGHT_AS_HAIR)
    if light_as_hair <= 0.0 or np.linalg.norm(upper - lower, axis=1).max() > SHUT * scale:
        return 0.0
    light = cv2.GaussianBlur(photo, (0, 0), max(0.5, SEAM_BLUR * scale)).astype(np.float32) @ LUMA
    middle = ((upper + lower) / 2)[:, None]
    down = down / max(float(np.hypot(*down)), 1e-6)

    def seen(ways: np.ndarray) -> np.ndarray:
        at = (middle + scale * ways[:, None] * down).astype(np.float32)
        found: np.ndarray = cv2.remap(light, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return found

    seam = seen(np.linspace(-SEAM_AWAY, SEAM_AWAY, 11)).min(1)
    away = np.array(LIP_AWAY)
    lips = np.minimum(seen(-away).mean(1), seen(away).mean(1))
    return light_as_hair * share_of(float(np.median(seam / np.maximum(lips, 1.0))), *NO_SEAM)


def textures(crop: np.ndarray, skin: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, float, float, float]:
    """Lines all over, (h, w) uint8 in STEPS; the cheeks' own grain; what upper lip and chin have beyond it, 0: unseen.

    crop (h, w, 3) uint8, skin (h, w), points (478, 2) px of them.
    """
    light = light_of(crop)
    near, far = (cv2.GaussianBlur(light, (0, 0), width) for width in HAIRS_PX)
    lines = np.clip(np.abs(near - far) * STEPS, 0, 255).astype(np.uint8)
    marked = np.round(points).astype(np.int32)
    grain, lip, chin = (np.zeros(skin.shape, np.uint8) for _ in range(3))
    for cheek in CHEEKS:
        cv2.circle(grain, (int(marked[cheek, 0]), int(marked[cheek, 1])), 4, 1, -1)
    cv2.fillPoly(lip, [marked[list(UPPER_LIP)]], 1)
    cv2.fillPoly(chin, [marked[list(CHIN)]], 1)
    places = [(part > 0) & (skin > 0.9) for part in (grain, lip, chin)]
    if min(int(place.sum()) for place in places) < LEAST_SEEN:
        return lines, 0.0, 0.0, 0.0
    own, on_lip, on_chin = (float(np.median(lines[place])) / STEPS for place in places)
    return lines, own, float(beyond(on_lip, own)), float(beyond(on_chin, own))


def beyond(texture: np.ndarray | float, grain: float) -> np.ndarray:
    """What is left of a texture without the skin's own grain."""
    return np.sqrt(np.maximum(np.square(texture) - grain**2, 0))


def colour_around(crop: np.ndarray, gain: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Mean colour of the skin around folds, (h, w, 3) float32; crop (h, w, 3) uint8, gain and skin (h, w)."""
    known = (skin * (1 - shares_of(np.abs(gain), *FOLDED)) + 1e-4).astype(np.float32)
    seen = cv2.GaussianBlur(np.dstack([crop * known[..., None], known]), (0, 0), HUE_REACH * LOOKED_PX)
    return np.ascontiguousarray(seen[..., :3] / seen[..., 3:])


def left_dark(crop: np.ndarray, gain: np.ndarray, around: np.ndarray) -> np.ndarray:
    """How much darker than the skin `around` (h, w, 3) folds stay with their gain (h, w), a logarithm (h, w) from 0."""
    wanted, light = np.log(around @ LUMA + np.float32(DARK)), light_of(crop) + gain
    fine, less = (wanted - cv2.GaussianBlur(light, (0, 0), width) for width in SMUDGE_PX)
    # What is too dark for a smudge keeps its surroundings, too: lifted, they would glow beside it.
    shadow = cv2.GaussianBlur(cv2.dilate(shares_of(less, *TOO_DARK), disc(SHADOW_PX)), (0, 0), SHADOW_PX / 2)
    lifted: np.ndarray = np.clip(np.minimum(fine, less), 0, TOO_DARK[0]) * shares_of(gain, *FOLDED) * (1 - shadow)
    return lifted


def even_hue(lit: np.ndarray, around: np.ndarray, gain: np.ndarray, to_photo: np.ndarray) -> np.ndarray:
    """Give skin (H, W, 3) that was a fold's the hue of the skin `around` it (h, w, 3), at its own light.

    What lies in a crease is lit by skin alone: lightened, it would stand there as an orange line. What stays dark is in
    shadow, and warm by right.
    """
    skin = cv2.warpAffine(around, to_photo, lit.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    light, wanted = lit @ LUMA, np.maximum(skin @ LUMA, 1.0)
    share = shares_of(gain, *FOLDED) * shares_of(light / wanted, *IN_SHADOW)
    return lit + share[..., None] * (light[..., None] * (skin / wanted[..., None]) - lit)


def fill_lines(photo: np.ndarray, gain: np.ndarray, eyes_px: float) -> np.ndarray:
    """Close what is narrower than the gain (H, W) sees: the line at the bottom of a deep crease. Hair stays."""
    reach = max(1, round(LINE * eyes_px))
    closed = cv2.morphologyEx(photo, cv2.MORPH_CLOSE, disc(reach))
    more = np.maximum(cv2.GaussianBlur(closed, (0, 0), 0.4 * reach).astype(np.float32) - photo, 0)
    deep = shares_of(cv2.GaussianBlur(gain, (0, 0), 0.5 * reach), *CREASE)
    # One line is little of its neighbourhood; a beard is lines all over.
    lines = cv2.GaussianBlur(more @ LUMA / np.maximum(photo @ LUMA, 20), (0, 0), HAIR_REACH * eyes_px)
    return (photo + (deep * (1 - shares_of(lines, *HAIR)))[..., None] * more + 0.5).astype(np.uint8)


def close_scars(
    photo: np.ndarray,
    points: np.ndarray,
    gain: np.ndarray,
    skin: np.ndarray,
    hair: np.ndarray,
    to_photo: np.ndarray,
    share: float,
) -> np.ndarray:
    """Span skin over what the gain left of the nose's folds; photo (H, W, 3), the rest as of `scars`; share: how much.

    to_photo (2, 3): px of the crop -> px of the photo.
    """
    if share <= 0:
        return photo
    crop = cut(photo, to_photo, skin.shape)
    hidden = cv2.dilate(scars(crop, points, gain, skin, hair), disc(SCAR_WIDER_PX)) > 0
    if not hidden.any():
        return photo
    low, high = window(np.argwhere(hidden)[:, ::-1], SCAR_SEEN_PX, hidden.shape)
    here = slice(low[1], high[1]), slice(low[0], high[0])
    change, free = np.zeros(crop.shape, np.float32), ~hidden & (skin * (1 - hair) < 0.5)
    change[here] = span(crop[here].astype(np.float32), hidden[here], free[here]) - crop[here]
    change *= shares_of(change @ LUMA, -SCAR_DIMS, 0.0)[..., None]  # beside a shadow it would be drawn out
    soft = cv2.GaussianBlur(hidden.astype(np.float32), (0, 0), SCAR_SOFT_PX) * hidden
    there = cv2.warpAffine(share * soft[..., None] * change, to_photo, photo.shape[1::-1], flags=cv2.INTER_LINEAR)
    return np.clip(photo + there + 0.5, 0, 255).astype(np.uint8)


def scars(crop: np.ndarray, points: np.ndarray, gain: np.ndarray, skin: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """1 where a lightened crop (h, w, 3) keeps the dark or red core of a nose's fold, else 0, (h, w) uint8.

    points (478, 2) px of it; gain (h, w): by what logarithm it was lightened; skin and hair (h, w) 0..1.
    """
    red, green = (np.log(crop[..., k].astype(np.float32) + np.float32(DARK)) for k in (0, 1))
    darker = cv2.morphologyEx(light_of(crop), cv2.MORPH_BLACKHAT, disc(SCAR_PX)) > SCAR_DARK
    redder = cv2.morphologyEx(red - green, cv2.MORPH_TOPHAT, disc(SCAR_PX)) > SCAR_RED
    far = np.ones(skin.shape, np.uint8)
    for ends in NOSE_FOLDS:
        cv2.polylines(far, [np.round(points[list(ends)]).astype(np.int32)], False, 0)
    near = cv2.distanceTransform(far, cv2.DIST_L2, 5) < SCAR_AWAY_PX
    folded = cv2.dilate(gain, disc(SCAR_WIDER_PX)) > SCAR_GAIN
    marks = ((darker | redder) & near & folded & (skin > 0.5)).astype(np.uint8)
    count, places, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(marks, cv2.MORPH_CLOSE, disc(2)))
    hairy = np.unique(places[cv2.dilate(hair, disc(SCAR_HAIR_PX)) > 0.5])
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(1)
    taken = [k for k in range(1, count) if sides[k] >= SCAR_LONG_PX and k not in hairy]
    found: np.ndarray = np.isin(places, taken).astype(np.uint8)
    return found


@lru_cache(maxsize=1)
def unfold_weights() -> np.ndarray:
    """(FACTORS, h, w) float32; EngineMismatch where the file is missing or damaged."""
    weights = read_arrays(MODEL, "weights")["weights"].astype(np.float32)
    if weights.ndim != 3 or len(weights) != FACTORS or not np.isfinite(weights).all():
        raise EngineMismatch(f"weights/{MODEL}.npz is damaged (shape {weights.shape})", "install voxcam again")
    return weights
