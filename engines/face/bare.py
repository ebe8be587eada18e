"""A photo without what must not travel with the skin: lashes on a lid that shuts, light on lips that part, rims."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.drawing.geometry import ease
from engines.drawing.layers import LASH_REACH, LASHES_FADE
from engines.face.grain import lid_grain
from engines.face.lip_lines import MAYBE_OPEN
from engines.face.masks import disc, polygon, span, stroke
from engines.face.mirrors import glare_over, keep_mirrored
from engines.face.rims import NEAR_PX, NO_RIMS, Rims, take_off_rims
from engines.face.tones import LUMA
from engines.face_points import EYES, LOWER_SEAM, OUTER_LIPS, UPPER_SEAM, Eye

LASH_ROOT, LASH_GAP = 0.012, 0.10  # the lashes' root above the lid's line; a lash is thinner than that, eye distances
LOWER_SKIN = 0.03, 0.10  # skin under an eye, eye distances below its lid
LID_OF_LOWER, BROW_HAIR = (0.55, 0.62), 0.05  # the least a lid's light is of that; and within so much of a brow
LID_SHADED = 0.15  # so much darker than skin under the eye it has that skin's colour
# A lid darker than LID_LIT of the skin around it gains a part of what it lacks, all of that from so far inside its
# edges: within .045 it stood in a dark socket as a flat patch. Its hue stays so far off that of the skin down to the
# cheek (eye distances below the eye), and all of it where that tells paint; that is whole so much sooner.
CHEEK_SKIN, LID_LIT, LID_GAINS, LID_FADES = (0.03, 0.18), 0.88, 0.7, 0.10
LID_HUE, PAINT_HUE, HUE_SOONER = 0.03, (0.12, 0.25), 2.2
LIT_BY = 0.10  # eye distances within which skin around a lid tells its light: at most the cheek's
# What is darker than so much of the bright skin within LID_EVEN eye distances is lashes'. Shade ends at the upper rim,
# within FILL_FADES; what is so much darker than what is wider than THIN on both sides is lashes up to there.
LID_LASHES, LID_EVEN, FILL_FADES = 0.95, 0.07, 0.08
THIN, THIN_DARK = 0.05, 0.40
WET_WIDE, WET_MOST = 0.025, 0.03  # a lid's wet edge glints: half that width at most, lighter than its lid by a share
# A line of which more than this lies between lid and brow, or so far around, is the lid's fold: of 17 strangers' true
# rims .86 at most, of ten folds all, but .76 and .80 of two; where a line crosses the bridge there may be glasses.
FOLD_WITHIN, MAYBE_WORN, FOLD_REACH = 0.70, 0.95, 0.04
FRINGE = (0.15, 0.40, 0.45)  # of everybody, by the darkness of the open lid's edge, at most
SPANNED_PX = 96.0  # px for one eye distance, at most, while skin is spanned over them
# Warm light beside the seam of shut lips: how far it is at its warmest, where it ends, around which the lip's own
# colour is looked for (eye distances), and how much redder than that it may be.
RIM_WARM, RIM_ENDS, RIM_REACH, RIM_RED = 0.016, 0.034, 0.040, 1.2
SPECK, SPECK_REACH = 0.06, 0.040  # specks of light on shut lips: their length, how far beside the seam


OUTWARD = 0.10  # beyond the outer corner lashes reach, eye distances
OTHER_LIGHT = (0.6, 1.45)  # shares of the skin's light: what is darker or lighter is hair, or wall


@dataclass(frozen=True)
class Bare:
    """A photo without what is not skin, step by step."""

    clear: np.ndarray  # (H, W, 3) uint8: the photo without what stands before the eyes
    rims: tuple[Rims, Rims]  # that, of both eyes, and what lenses mirror before them
    shuts: np.ndarray  # (2,) how far an eye shuts in a blink, 0..1: less behind a mirror
    lashless: np.ndarray  # (H, W, 3) uint8: `photo`, but for the shade above an open eye's lashes
    photo: np.ndarray  # (H, W, 3) uint8: also without open eyes' lashes on the lids and bright specks on shut lips
    boxes: np.ndarray  # (3, 4) x0, y0, x1, y1: left eye, right eye, lips; elsewhere it is `clear` itself
    lashes: tuple[np.ndarray, ...]  # of both eyes, (h, w, 3) uint8 in its box: what the lashes keep away, in 1/255
    fringe: np.ndarray  # (2,) how much light the fringe of a shut eye's lashes keeps away at its darkest
    grain: np.ndarray  # (2, h, w, 3) uint8: grain for shut lids, as of `lid_grain`; empty where skin shows none


def lift_marks(photo: np.ndarray, landmarks: np.ndarray, rotation: np.ndarray, scale: float) -> Bare:
    """Take lashes and specks off: what is thinner along the lid (lips) than a line of skin is closed (opened) away.

    A crease of the lid lies along it and stays; so does the lashes' root, which draws the line of a shut eye.
    """
    clear, found, lenses = take_off_rims(photo, landmarks, rotation, scale)
    rims = [keep_folds(clear, photo, found[k], landmarks, EYES[k], scale, lenses) for k in range(2)]
    photo, shuts = clear, np.ones(2, np.float32)
    bare = photo.copy()
    boxes = np.zeros((3, 4), np.int64)
    along = rotation[:2, 0] / np.linalg.norm(rotation[:2, 0])
    up = -rotation[:2, 1] / np.linalg.norm(rotation[:2, 1]) * scale

    def lift(
        region: np.ndarray, which: int, operation: int, length: float, beside: tuple[np.ndarray, ...] = ()
    ) -> None:
        """Within a polygon (n, 2) px, its rim softened; `beside` a lid: polygons of what is around it."""
        reach = max(1, round(length * scale))
        soft = max(0.6, 0.008 * scale)
        margin = reach + int(3 * soft) + 2
        low = np.maximum(np.floor(region.min(0)).astype(int) - margin, 0)
        high = np.minimum(np.ceil(region.max(0)).astype(int) + margin, photo.shape[1::-1])
        if (high <= low).any():
            return
        boxes[which] = [*low, *high]
        part = photo[low[1] : high[1], low[0] : high[0]]
        line = stroke(along, length * scale)
        clean = cv2.morphologyEx(part, operation, line)
        weights = line.astype(np.float32) / line.sum()
        smooth = cv2.filter2D(clean, -1, weights, borderType=cv2.BORDER_REPLICATE)
        clean = np.maximum(part, smooth) if operation == cv2.MORPH_CLOSE else np.minimum(part, smooth)
        if operation == cv2.MORPH_OPEN:
            clean = cool_rims(clean, landmarks[:, :2] - low, along, scale)
        mask = polygon(region - low, part.shape[:2])
        share = cv2.GaussianBlur(mask, (0, 0), soft)[..., None].astype(np.float32) / 255
        if beside and mask.any():
            eye, brow, lower, cheek, below = (polygon(part - low, mask.shape) > 0 for part in beside)
            depth = cv2.distanceTransform(below.astype(np.uint8), cv2.DIST_L2, 3) / scale
            clean = fill_lid(clean, mask > 0, eye, brow, lower, scale, lenses, np.clip(depth / FILL_FADES, 0, 1))
            if (skin := photo[polygon(beside[3], photo.shape[:2]) > 0]).size:
                inside = cv2.distanceTransform(((mask > 0) | eye).astype(np.uint8), cv2.DIST_L2, 3) / scale
                around = lit_by(clean, eye | brow, cheek, np.median(skin, 0), scale)
                clean = lit(clean, around, np.clip(inside / LID_FADES, 0, 1))
        bare[low[1] : high[1], low[0] : high[0]] = part + share * (clean.astype(np.float32) - part) + 0.5

    for k, eye in enumerate(EYES):
        lid = landmarks[list(eye.upper), :2]
        skin, fold = landmarks[list(eye.skin), :2], landmarks[list(eye.fold), :2]
        outward = OUTWARD * scale * along * (1 if k == 0 else -1)
        outward *= skin_beside(photo, lid[0], outward, up, landmarks[list(eye.lower), :2] - LOWER_SKIN[1] * up)
        top = skin + 0.5 * (fold - skin)
        root = lid + LASH_ROOT * up
        line = np.concatenate([[root[0] + outward], root])
        region = np.concatenate([line, top[::-1], [top[0] + outward]])
        opening = np.concatenate([line, (line - LASH_GAP * up)[::-1]])
        lower = landmarks[list(eye.lower[1:-1]), :2]
        under, cheek = (
            np.concatenate([lower - ends[0] * up, (lower - ends[1] * up)[::-1]]) for ends in (LOWER_SKIN, CHEEK_SKIN)
        )
        away = along * scale * (1 if k == 0 else -1)
        below = np.concatenate([[top[0] - up + away, top[0] + away], top, [top[-1] - up]])  # all under the lid's rim
        brow = cv2.convexHull(landmarks[list(eye.brow), :2])[:, 0]
        if lenses:
            rims[k], shuts[k] = keep_mirrored(photo, rims[k], landmarks, eye, under, scale)
        lift(region, k, cv2.MORPH_CLOSE, LASH_GAP, (opening, brow, under, cheek, below))
    seam = [(landmarks[a, :2] + landmarks[b, :2]) / 2 for a, b in zip(UPPER_SEAM, LOWER_SEAM, strict=True)]
    if np.linalg.norm(landmarks[UPPER_SEAM[5], :2] - landmarks[LOWER_SEAM[5], :2]) < MAYBE_OPEN * scale:
        middle = np.array(seam)
        lift(np.concatenate([middle + SPECK_REACH * up, (middle - SPECK_REACH * up)[::-1]]), 2, cv2.MORPH_OPEN, SPECK)
    lashes = tuple(kept_away(photo[y0:y1, x0:x1], bare[y0:y1, x0:x1]) for x0, y0, x1, y1 in boxes[:2])
    lashless = bare.copy()
    for (x0, y0, x1, y1), eye in zip(boxes[:2], EYES, strict=True):
        with_shade, above = photo[y0:y1, x0:x1], above_lashes((x0, y0, x1, y1), landmarks[list(eye.upper), :2], up)
        part = lashless[y0:y1, x0:x1]
        part[:] = part + above[..., None] * (with_shade - part.astype(np.float32)) + 0.5
    fringe = np.array([fringe_of(photo, landmarks[list(eye.upper), :2], up) for eye in EYES])
    grain = lid_grain(photo, landmarks, up, scale)
    return Bare(photo, (rims[0], rims[1]), shuts, lashless, bare, boxes, lashes, fringe, grain)


def keep_folds(
    clear: np.ndarray, photo: np.ndarray, rims: Rims, landmarks: np.ndarray, eye: Eye, scale: float, lenses: bool
) -> Rims:
    """Rims before an eye without what is a fold of its lid: that is put back into `clear` (H, W, 3).

    Taken for a rim a fold stood still, as a black stroke over the shut lid. lenses: whether there may be glasses;
    scale: px for one eye distance.
    """
    if not rims.cover.size:
        return rims
    (x0, y0), (height, width) = rims.corner, rims.cover.shape
    points = landmarks[[*eye.upper, *eye.fold, *eye.brow], :2].astype(np.float32) - rims.corner.astype(np.float32)
    zone = cv2.dilate(polygon(cv2.convexHull(points)[:, 0], (height, width)), disc(FOLD_REACH * scale)) > 0
    count, lines = cv2.connectedComponents((rims.cover > 0).astype(np.uint8))
    folds = np.zeros((height, width), bool)
    for k in range(1, count):
        line = (lines == k) & (rims.cover > 127)
        if line.any() and zone[line].mean() > (MAYBE_WORN if lenses else FOLD_WITHIN):
            folds |= lines == k
    here = slice(y0, y0 + height), slice(x0, x0 + width)
    clear[here][folds] = photo[here][folds]
    cover = np.where(folds, 0, rims.cover).astype(np.uint8)
    return NO_RIMS if not cover.any() else Rims(cover, cv2.dilate(cover, disc(NEAR_PX)), rims.corner)


def skin_beside(photo: np.ndarray, corner: np.ndarray, outward: np.ndarray, up: np.ndarray, under: np.ndarray) -> float:
    """How far from an eye's outer corner (2,) the way `outward` is skin, 0..1: hair may hang there, or the face end.

    up: one eye distance upwards, px; under (n, 2): places on the skin below the eye.
    """
    ways, heights = np.linspace(0, 1.6, 17), np.linspace(0.02, 0.12, 6)
    light = np.median(light_at(photo, corner + ways[:, None, None] * outward + heights[:, None] * up), 1)
    skin = float(np.median(light_at(photo, under[None])))
    is_skin = (light > OTHER_LIGHT[0] * skin) & (light < OTHER_LIGHT[1] * skin)
    # Seen from beyond: what is dark beside the corner itself are its lashes.
    last = ways[np.flatnonzero(is_skin)[-1]] if is_skin.any() else 0.0
    return float(np.clip(last - 0.3, 0, 1))


def fringe_of(photo: np.ndarray, lid: np.ndarray, up: np.ndarray) -> float:
    """How much light the fringe of a shut eye's lashes keeps away: more, the darker an open eye's lid (n, 2) px ends.

    up: one eye distance upwards, px. The line of eight talkers' shut eyes is darker by .3 and half of what their open
    lids' edges are; the lashes that turn with the lid, and the lids' own edges, make up for the rest.
    """
    heights = np.arange(0.0, 0.13, 0.01)[:, None, None]
    light = light_at(photo, lid[1:-1] + heights * up)
    skin = float(np.quantile(light[4:], 0.8))
    return float(np.clip(FRINGE[0] + FRINGE[1] * (1 - np.median(light[:6].min(0)) / max(skin, 1.0)), 0.0, FRINGE[2]))


def light_at(photo: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Light of a photo (H, W, 3) at places (h, w, 2) px, (h, w)."""
    at = places.astype(np.float32)
    found: np.ndarray = cv2.remap(photo, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found @ LUMA


def fill_lid(
    lid: np.ndarray,
    region: np.ndarray,
    eye: np.ndarray,
    brow: np.ndarray,
    lower: np.ndarray,
    scale: float,
    lenses: bool,
    share: np.ndarray,
) -> np.ndarray:
    """Span skin over what is darker than most of a lid: dense lashes leave none between them; (h, w, 3) float32.

    Behind lenses also over what is lighter and colder than skin: they mirror it, and no lid takes that along.

    region (h, w) bool: the lid's skin in the picture; eye, brow: what is under and above it, whose colours are not to
    run into it; lower: skin under the eye, than which no lid is much darker, though a low brow leaves little of it to
    be seen; scale: px for one eye distance; share (h, w): 0 at the lid's upper rim, 1 where all shade is spanned.
    """
    lid = lid.astype(np.float32)
    light = lid @ LUMA
    least = np.where(cv2.dilate(brow.astype(np.uint8), disc(BROW_HAIR * scale)), LID_OF_LOWER[1], LID_OF_LOWER[0])
    below = float(np.median(light[lower])) if lower.any() else 0.0
    skin_below = np.median(lid[lower], 0) if lower.any() else None
    hair = (light < LID_OF_LOWER[1] * below) & ((least == LID_OF_LOWER[1]) | ~region)
    skin_light = bright_around(light, ~(eye | hair), LID_EVEN * scale)
    skin_light = np.maximum(skin_light, np.maximum(least * below, 1.0))
    lashes = np.clip((LID_LASHES - light / skin_light) / 0.10, 0, 1).astype(np.float32)
    glare = glare_over(lid, light, skin_below) if lenses and skin_below is not None else np.zeros_like(lashes)
    brows = cv2.GaussianBlur((hair & region).astype(np.float32), (0, 0), 0.4 * BROW_HAIR * scale)
    thin = cv2.morphologyEx(light, cv2.MORPH_CLOSE, disc(THIN * scale)) - light
    share = np.maximum(ease(share), np.clip(thin / (THIN_DARK * skin_light), 0, 1))
    lashes = np.maximum(lashes * np.maximum(share, brows), glare)
    wider = disc(max(3.0, 0.018 * scale))  # than the region's own softness
    lashes = cv2.dilate(lashes, np.ones((3, 3), np.uint8)) * cv2.dilate(region.astype(np.uint8), wider)
    size = [max(2, round(side * min(1.0, SPANNED_PX / scale))) for side in lid.shape[1::-1]]
    no_skin = (eye | hair | (glare > 0.2)).astype(np.float32)
    small = [cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (lid, lashes, no_skin)]
    skin = cv2.resize(span(small[0], small[1] > 0.02, small[2] > 0.5), lid.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    if skin_below is not None:
        skin = warmed(skin, skin_below)
    skin = np.where(glare[..., None] > 0, skin, np.maximum(skin, lid))  # lashes only keep light away
    spanned = lid + lashes[..., None] * (skin - lid)
    opened = cv2.morphologyEx(spanned, cv2.MORPH_OPEN, disc(WET_WIDE * scale))
    wet = spanned - cv2.GaussianBlur(opened, (0, 0), WET_WIDE * scale)
    most = WET_MOST * (spanned @ LUMA)[..., None]
    where = cv2.dilate(region.astype(np.float32), np.ones((3, 3), np.uint8))[..., None]
    return (spanned - np.maximum(wet - most, 0) * where).astype(np.float32)


def spread(light: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """What is `known` (h, w) bool of a picture's light (h, w), blurred over all of it; (h, w) float32."""
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigma) + 1e-6
    blurred: np.ndarray = cv2.GaussianBlur((light * known).astype(np.float32), (0, 0), sigma)
    return blurred / weight


def bright_around(light: np.ndarray, skin: np.ndarray, sigma: float) -> np.ndarray:
    """The light (h, w) of what is bright of the `skin` (h, w) bool within `sigma` px of each place, (h, w) float32."""
    return spread(light, skin & (light >= spread(light, skin, sigma)), sigma)


def lit_by(lid: np.ndarray, hidden: np.ndarray, cheek: np.ndarray, skin: np.ndarray, scale: float) -> np.ndarray:
    """Skin (3,) as light as that around each place of a lid's picture (h, w, 3), which has the socket's shade.

    hidden, cheek (h, w) bool: eye and brow, which tell nothing; skin that does, however dark it is.
    """
    light, skin_light = lid @ LUMA, max(float(skin @ LUMA), 1.0)
    known = cheek | ~(hidden | (light < LID_OF_LOWER[1] * skin_light))
    around = bright_around(light, known, LIT_BY * scale) / skin_light
    lighter: np.ndarray = np.minimum(around, 1.0)[..., None] * skin
    return lighter


def warmed(lid: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """A lid's spanned skin (h, w, 3) no greyer than the skin (3,) under the eye where it is darker than that.

    Under a low brow what it is spanned from is in the shade of hairs and has their grey; paint is lighter, and stays.
    """
    light = lid @ LUMA
    own = skin / max(float(skin @ LUMA), 1.0) * light[..., None]
    darker = np.clip((1 - light / max(float(skin @ LUMA), 1.0)) / LID_SHADED, 0, 1)
    greyer = (own[..., 0] - own[..., 2]) > (lid[..., 0] - lid[..., 2])
    return lid + (darker * greyer)[..., None] * (own - lid)


def lit(lid: np.ndarray, skin: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A lid (h, w, 3) as it comes out of its fold's shade: nearer to the light and hue of the skin (3,) or (h, w, 3).

    Open, it is seen in the shade of fold and brow, or not at all, and was brown or grey when it shut. Paint has a hue
    of its own, and stays. share (h, w): 1 where it is all lid, 0 towards its fold.
    """
    light, skin_light = np.maximum(lid @ LUMA, 1.0), np.maximum(skin @ LUMA, 1.0)
    hue, skin_hue = lid / light[..., None], skin / skin_light[..., None]
    away = np.maximum(np.abs(hue - skin_hue).max(-1), LID_HUE)
    bare = np.clip((PAINT_HUE[1] - away) / (PAINT_HUE[1] - PAINT_HUE[0]), 0, 1)
    shaded = np.clip((1 + LID_SHADED - light / skin_light) / (2 * LID_SHADED), 0, 1)
    hue += (np.minimum(HUE_SOONER * share, 1) * bare * shaded * (1 - LID_HUE / away))[..., None] * (skin_hue - hue)
    light += share * bare * LID_GAINS * np.maximum(LID_LIT * skin_light - light, 0)
    return np.clip(light[..., None] * hue, 0, 255).astype(np.float32)


def cool_rims(picture: np.ndarray, points: np.ndarray, along: np.ndarray, scale: float) -> np.ndarray:
    """Let nothing beside the seam of shut lips be more orange than its own lip, as dark as it is; (h, w, 3) float32.

    Real lips are redder there (R/G 1.08 to 1.16 of the lip's), never yellower; where light went through flesh to the
    line, parted lips would wear it as an orange rim. points (478, 2) px in the picture; along: unit vector in it from
    corner to corner; scale: px for one eye distance.
    """
    picture = picture.astype(np.float32)
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across = np.array([-along[1], along[0]])
    middle = (points[list(UPPER_SEAM)] + points[list(LOWER_SEAM)]) / 2
    order = np.argsort(middle @ along)
    line = np.interp(x * along[0] + y * along[1], (middle @ along)[order], (middle @ across)[order])
    away = (x * across[0] + y * across[1] - line) / scale  # eye distances below the seam
    lips = polygon(points[list(OUTER_LIPS)], (height, width))
    near = np.clip((RIM_ENDS - np.abs(away)) / (RIM_ENDS - RIM_WARM), 0, 1).astype(np.float32)
    for lip in (away < 0, away >= 0):
        flesh = (1 - near) * ((lips > 0) & lip)
        seen = cv2.GaussianBlur(picture * flesh[..., None], (0, 0), RIM_REACH * scale)
        known = lip & (near > 0) & (seen.min(2) > 0.1)
        own, wanted = picture[known] + 1, seen[known]
        cool = own.copy()
        # Green tells how red and blue it may be; where paint or a dark line leaves next to none, light does.
        as_green, as_light = own[:, 1] / wanted[:, 1], (own @ LUMA) / (wanted @ LUMA)
        cool[:, 0] = np.minimum(own[:, 0], RIM_RED * np.maximum(as_green, as_light) * wanted[:, 0])
        cool[:, 2] = np.maximum(own[:, 2], np.minimum(as_green, as_light) * wanted[:, 2])
        cool *= ((own @ LUMA) / (cool @ LUMA))[:, None]
        picture[known] += near[known][:, None] * (cool - own)
    return np.clip(picture, 0, 255)


def above_lashes(box: tuple[int, int, int, int], lid: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Where in a box x0, y0, x1, y1 px no lashes of an open eye are: (h, w) float32, 0 near its lid (n, 2) px, 1 above.

    up: one eye distance upwards, px.
    """
    y, x = np.mgrid[box[1] : box[3], box[0] : box[2]].astype(np.float32)
    along = np.array([-up[1], up[0]])
    order = np.argsort(lid @ along)
    line = np.interp(x * along[0] + y * along[1], (lid @ along)[order], (lid @ up)[order])
    height = (x * up[0] + y * up[1] - line) / float(up @ up)
    above: np.ndarray = np.clip(1 - (LASH_REACH - height) / LASHES_FADE, 0, 1).astype(np.float32)
    return above


def kept_away(photo: np.ndarray, bare: np.ndarray) -> np.ndarray:
    """The share of `bare`'s light (h, w, 3) that the photo's lashes keep away, uint8 in 1/255."""
    return (255 * np.clip(1 - photo / np.maximum(bare, 1.0), 0, 1) + 0.5).astype(np.uint8)
