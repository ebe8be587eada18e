"""What the lenses of glasses mirror: it stays where it is while the lids behind it shut."""

from __future__ import annotations

import cv2
import numpy as np

from engines.drawing.geometry import ease
from engines.face.masks import disc, inset, polygon, window
from engines.face.rims import BESIDE, FADES, FOREHEAD, NEAR_PX, NO_RIMS, Rims
from engines.face.tones import CHEEKS, LUMA
from engines.face_points import Eye
from engines.ramps import shares_of

# What a lens mirrors, as lightness and warmth over those of the skin under the eye: from where on, and wholly.
GLARE_LIGHT, GLARE_COLD = (1.06, 1.22), (0.75, 0.50)
# Where it is so much colder than cheeks and forehead, too, nothing but a mirror is: of 24 wearers two have one before
# an open eye (three eyes, .08 to .34 of them), all others .04 at most. Skin that is greyer than LEAST_WARM (red less
# blue, as a share of its light) tells none.
MIRROR_COLD, LEAST_MIRROR, LEAST_WARM = (0.70, 0.45), 0.06, 0.08
MIRROR_SPECK, MIRROR_SOFT = 0.02, 0.012  # eye distances: half as wide at least; how soft it begins
# Before the open eye itself it goes on as it is around: sigma, eye distances, and from which share on, and wholly.
MIRROR_ACROSS, ACROSS = 0.05, (0.35, 0.75)
# Where it takes more than the first share of an eye, the lids behind it shut less, from the second on by MIRRORED_BLINK
# only: a lid would cut what a haze leaves to be seen of the eye.
MIRRORED, MIRRORED_BLINK = (0.22, 0.33), 0.4


def glare_over(
    lid: np.ndarray, light: np.ndarray, skin: np.ndarray, cold: tuple[float, float] = GLARE_COLD
) -> np.ndarray:
    """How far each place of a lid (h, w, 3) is what a lens mirrors, 0..1; light (h, w); skin (3,): under the eye."""
    skin_light = max(float(skin @ LUMA), 1.0)
    warmth = float(skin[0] - skin[2]) / skin_light
    share = (lid[..., 0] - lid[..., 2]) / np.maximum(light, 1.0) / max(warmth, 0.05)
    glare: np.ndarray = shares_of(light / skin_light, *GLARE_LIGHT) * shares_of(share, *cold)
    return glare.astype(np.float32)


def keep_mirrored(
    photo: np.ndarray, rims: Rims, landmarks: np.ndarray, eye: Eye, under: np.ndarray, scale: float
) -> tuple[Rims, float]:
    """Rims before an eye with what its lens mirrors, and how far the lids behind it shut, 0..1.

    photo (H, W, 3) uint8; landmarks (478, 3) px; under (n, 2) px: the skin under the eye; scale: px for one eye
    distance.
    """
    points = landmarks[:, :2]
    low, high = window(points[[*eye.upper, *eye.lower, *eye.fold, *eye.brow]], BESIDE * scale, photo.shape)
    places = np.clip(np.round(points[list(CHEEKS + FOREHEAD)]), 0, np.array(photo.shape[1::-1]) - 1).astype(int)
    skin = np.median(photo[places[:, 1], places[:, 0]].astype(np.float32), 0)
    skin_light = max(float(skin @ LUMA), 1.0)
    if (high - low < 8).any() or float(skin[0] - skin[2]) < LEAST_WARM * skin_light:
        return rims, 1.0
    soft_px, speck = max(0.8, MIRROR_SOFT * scale), disc(MIRROR_SPECK * scale)
    part = cv2.GaussianBlur(photo[low[1] : high[1], low[0] : high[0]], (0, 0), soft_px).astype(np.float32)
    light = part @ LUMA
    below = light[polygon(under - low, light.shape) > 0]
    if below.size:  # as shaded as it is behind the lens
        skin *= min(1.0, float(np.median(below)) / skin_light)
    mirror = glare_over(part, light, skin, MIRROR_COLD)
    opening = polygon(points[eye.opening] - low, light.shape)
    known = (cv2.dilate(opening, speck) == 0).astype(np.float32)  # an eye's white is as cold
    mirror = cv2.morphologyEx(mirror * known, cv2.MORPH_OPEN, speck)
    sigma = MIRROR_ACROSS * scale
    across = cv2.GaussianBlur(mirror, (0, 0), sigma) / (cv2.GaussianBlur(known, (0, 0), sigma) + 1e-6)
    taken = float(across[opening > 0].mean()) if opening.any() else 0.0
    if taken < LEAST_MIRROR:
        return rims, 1.0
    mirror = np.where(known > 0, mirror, ease((across - ACROSS[0]) / (ACROSS[1] - ACROSS[0]))).astype(np.float32)
    mirror = cv2.GaussianBlur(cv2.dilate(mirror, speck) * np.maximum(known, across), (0, 0), soft_px)
    cover = 255 * mirror * inset(np.full(light.shape, 255, np.uint8), FADES * scale) + 0.5
    held = float(ease(np.array((taken - MIRRORED[0]) / (MIRRORED[1] - MIRRORED[0]))))
    return joined(rims, cover.astype(np.uint8), low), 1 - (1 - MIRRORED_BLINK) * held


def joined(rims: Rims, cover: np.ndarray, corner: np.ndarray) -> Rims:
    """Rims before an eye, and what else stands before it: cover (h, w) uint8 from `corner` (2,) px on."""
    if not cover.any():
        return rims
    if not rims.cover.size:
        rims = Rims(np.zeros((1, 1), np.uint8), NO_RIMS.near, corner)
    sides = np.array([shape[::-1] for shape in (rims.cover.shape, cover.shape)])
    first = np.minimum(rims.corner, corner)
    width, height = np.maximum(rims.corner + sides[0], corner + sides[1]) - first
    both = np.zeros((height, width), np.uint8)
    for part, at in ((rims.cover, rims.corner - first), (cover, corner - first)):
        here = both[at[1] : at[1] + part.shape[0], at[0] : at[0] + part.shape[1]]
        np.maximum(here, part, out=here)
    x, y, width, height = cv2.boundingRect(both)
    both = np.ascontiguousarray(both[y : y + height, x : x + width])
    return Rims(both, cv2.dilate(both, disc(NEAR_PX)), first + np.array([x, y]))
