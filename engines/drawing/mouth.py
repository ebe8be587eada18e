"""The inside of a mouth, painted between the lips' lines of now: the lips' edges, flesh, the tongue, two rows of teeth.

One kernel walks the pixels of one box of the picture, `paint_mouth`; what it does to a pixel are the small functions
above it, from the back to the front. A pixel's place along the mouth is u, across it is v, both in eye distances.

They take numbers where they can: of an array that is handed on under a condition numba counts references at every
pixel, which took a quarter of the kernel's time.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from engines.drawing.layers import Lines, OnPhoto, fetch, from_photo, line_at, ramp

TEETH_PX = 256.0  # pixels of a teeth texture for one eye distance
# Place of the textures' first pixel; (0, 0) is the incisors' edge at the midline. Upper teeth hang, lower ones stand.
TEETH_LEFT, UPPER_TOP, LOWER_TOP = -0.45, -0.25, -0.05
INSIDE_TINT = (0.86, 1.02, 1.12)  # light that is lost inside a mouth is lost to red last: flesh throws it back
RIM_UPPER, RIM_LOWER = 0.004, 0.013  # of shut lips, eye distances: the shade and wet where they meet
CREASE = 0.04  # most of the width, eye distances, over which the line between shut lips darkens to either side
CREASE_ENDS = 0.08  # share of the mouth over which it begins at either corner
BLADE = 0.30  # half the width of a raised tongue's blade, eye distances
TIP_BEHIND = 0.015  # how far its tip then stands above the upper teeth's edge
# Rows of teeth bend back from the front teeth like a parabola: by 9 mm at the canines, 18 mm from the midline,
# by 28 mm at the first molars, 26 mm from it. So they are lit.
ARCH = 2.0  # depth over squared distance from the midline, both in eye distances of 63 mm
# Seen from aside they are only as deep as the lips that lie on them, by where landmarks put the corners of 26 photos'
# mouths turned by 15 to 36 degrees (.57 to 1.36, median .83): as deep as ARCH, the row ended before the far corner.
SEEN_ARCH = 0.85
# Light enters a mouth through its gap. Through lips parted by no more than SLIT, eye distances, teeth have at most HELD
# of the light of the lips beside them (ten talkers: .65 to .70 between lips .012 to .08 apart, .77 at most), and more
# with every eye distance; from the second of LET_GO on all of it. Never less than HELD_LEAST of their own: lips may be
# painted black or lie behind a moustache. What they lose, red loses last, by half of what the network's shade has.
# Less still close below the upper lip, and least if lips are narrower than in the photo, for they stand before the
# teeth: LIP_SHADES and PURSED_SHADES of it, up to SHADES_DOWN, eye distances. Flesh lights what is held, with the share
# FLESH_LIGHT of the lips' hue. (786 pictures of 13 talkers, lips .05 to .07 apart: under the upper lip .69 of their
# light, .58 if pursed, was .74 and .74; green over red .44 there, was .49, between lips of .5.)
SLIT, HELD, HELD_RISE, LET_GO, HELD_LEAST, HELD_WARM = 0.04, 0.77, 9.0, (0.07, 0.13), 0.45, 0.5
LIP_SHADES, PURSED_SHADES, SHADES_DOWN, FLESH_LIGHT = 0.75, 0.40, 0.06, 0.45
PURSED = 0.02, 0.10  # share of their width by which lips are narrower: from then on, and most
FLESH_HUES = 0.6, 1.5  # least and most of red, green and blue over the lips' light: they may be painted
SMILE_LETS_IN = 0.6  # lips that a smile draws back shade as little as if they stood apart further, by so much of it
# A row that turns away from the view is a comb: its teeth fade from the first of the squared share of its width that is
# seen, to the second.
BEND = 0.45, 0.15
# Corners of an open mouth are round: over this share of its width at either end, where lips begin so much steeper.
ROUND_ENDS, ROUND = 0.14, 1.0
# There the inside of the cheeks is seen in place of a share CHEEK_SEEN of the throat, between these shares of the
# mouth's half: its light over the lips' beside it, how much of that it loses deep inside, its hue as a multiple of the
# lips' (485 pictures of 13 talkers, .05 to .15 of the width from the corner: .50 to .58 of the lips', was .36 to .47).
CHEEK, CHEEK_LIGHT, CHEEK_DEEP, CHEEK_RED, CHEEK_SEEN = (0.45, 0.95), 0.39, 0.48, 1.6, 0.75
LIP_PLACES, LIP_DEPTHS = 9, (0.03, 0.06)  # where lips are looked at for that: along them, and away from their edges
TEETH_ABOVE_EDGE, TEETH_ASIDE = 0.05, 0.20  # and teeth: above the edge (lower ones: below it), aside of the midline


class Opening(NamedTuple):
    """How the mouth stands; eye distances, but for the tongue."""

    gap: float  # between the lips at the centre
    smile: float  # how far corners are raised
    shown: float  # how far the lower teeth's edge stands above the lip
    lift: float  # the tongue's tip: 0 behind the lower teeth .. 1 behind the edge of the upper ones


class Spot(NamedTuple):
    """A pixel between the lips."""

    place: float  # 0..1 from corner to corner
    side: float  # 0 in the middle .. 1 at a corner
    below_lip: float  # eye distances
    above_lip: float


class Held(NamedTuple):
    """How lips shade teeth between them, the same for all of a picture."""

    share: float  # 0 where they stand apart: nothing is held
    of_lips: float  # the most light that teeth then have, over the lips' beside them
    under_lip: float  # what is left of that close below the upper lip
    upper_light: float  # mean light of either row's teeth
    lower_light: float


@numba.njit(cache=True, fastmath=True, inline="always")
def tap(texture: np.ndarray, x: float, y: float, out: np.ndarray) -> None:
    """Bilinear sample of an RGBA texture (h, w, 4) float32, premultiplied; transparent beyond it."""
    height, width = texture.shape[0], texture.shape[1]
    i, j = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - i, y - j
    for c in range(4):
        out[c] = 0.0
    if i < -1 or j < -1 or i >= width or j >= height:
        return
    for dj in range(2):
        for di in range(2):
            row, column = j + dj, i + di
            if 0 <= row < height and 0 <= column < width:
                weight = (fx if di else 1.0 - fx) * (fy if dj else 1.0 - fy)
                for c in range(4):
                    out[c] += weight * texture[row, column, c]


@numba.njit(cache=True, fastmath=True, inline="always")
def along_arch(a: float, slant: float) -> float:
    """Distance from the midline, as seen from the front, of the tooth that is seen at `a`; 9 behind the bend.

    slant: shift that one eye distance of depth brings, in the plane of the front teeth. Solves
    a = x + slant SEEN_ARCH x^2.
    """
    bend = slant * SEEN_ARCH
    inside = 1.0 + 4.0 * bend * a
    if inside <= 0.04:
        return 9.0
    return 2.0 * a / (1.0 + np.sqrt(inside))


@numba.njit(cache=True, fastmath=True, inline="always")
def fade(texel: np.ndarray, share: float) -> None:
    """Leave a share of a premultiplied texel (4,)."""
    for c in range(4):
        texel[c] *= share


@numba.njit(cache=True, fastmath=True)
def stretched(texture: np.ndarray, x: float, y: float) -> float:
    """Bilinear sample of (h, w) at (x, y) in 0..1, edges repeated."""
    height, width = texture.shape[0], texture.shape[1]
    x, y = x * width - 0.5, y * height - 0.5
    i, j = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - i, y - j
    left, right = max(i, 0), min(i + 1, width - 1)
    top, bottom = max(j, 0), min(j + 1, height - 1)
    first = texture[top, left] * (1.0 - fx) + texture[top, right] * fx
    second = texture[bottom, left] * (1.0 - fx) + texture[bottom, right] * fx
    return first * (1.0 - fy) + second * fy


@numba.njit(cache=True, fastmath=True, inline="always")
def luma(colour: np.ndarray) -> float:
    """Light of a colour (3 or more,)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


@numba.njit(cache=True, fastmath=True)
def light_of_lips(still: OnPhoto, lights: np.ndarray, hue: np.ndarray) -> None:
    """Light (LIP_PLACES,) of the photo's lips from corner to corner, mean of both; hue (3,): their colour over it."""
    photo, photo_frame, photo_lines = still
    wx, wy, colour = np.empty(4), np.empty(4), np.empty(3, np.float32)
    for c in range(3):
        hue[c] = 0.0
    for k in range(lights.shape[0]):
        place = (k + 0.5) / lights.shape[0]
        along = photo_frame[4] + place * (photo_frame[5] - photo_frame[4])
        lights[k] = 0.0
        for depth in LIP_DEPTHS:
            for part in range(2):
                v = line_at(photo_lines[part], place) + (depth if part else -depth)
                px = photo_frame[0] + along * photo_frame[2] - v * photo_frame[3]
                py = photo_frame[1] + along * photo_frame[3] + v * photo_frame[2]
                fetch(photo, px, py, wx, wy, colour)
                lights[k] += luma(colour) / (2 * len(LIP_DEPTHS))
                for c in range(3):
                    hue[c] += colour[c]
    light = max(luma(hue), 1.0)
    for c in range(3):
        hue[c] = min(max(hue[c] / light, FLESH_HUES[0]), FLESH_HUES[1])


@numba.njit(cache=True, fastmath=True, inline="always")
def beside_lips(lights: np.ndarray, place: float) -> float:
    """Of the light (LIP_PLACES,) of lips, what falls beside a place between the corners, 0..1."""
    return line_at(lights, min(1.0, max(0.0, (place * LIP_PLACES - 0.5) / (LIP_PLACES - 1))))


@numba.njit(cache=True, fastmath=True)
def light_of_teeth(texture: np.ndarray, teeth_px: float, top: float, away: float) -> float:
    """Mean light of a row's teeth at `away` from its edge, (h, w, 4) as in `tap`; `top`: place of its first pixel."""
    texel = np.empty(4, np.float32)
    light, cover = 0.0, 1e-3
    for k in range(-8, 9):
        tap(texture, (k / 8 * TEETH_ASIDE - TEETH_LEFT) * teeth_px, (away - top) * teeth_px, texel)
        light += luma(texel)
        cover += texel[3]
    return light / cover


@numba.njit(cache=True, fastmath=True, inline="always")
def bent_place(place: float) -> float:
    """Place 0..1 along the lips' lines at which a pixel's lips are looked up: corners are round."""
    bent = place
    end = min(place, 1.0 - place)
    if end < ROUND_ENDS:
        left = 1.0 - end * (1.0 / ROUND_ENDS)
        bent += (ROUND if place < 0.5 else -ROUND) * end * left * left
    return bent


@numba.njit(cache=True, fastmath=True)
def held_by_lips(
    upper_teeth: np.ndarray, lower_teeth: np.ndarray, teeth_px: float, opening: Opening, narrower: float
) -> Held:
    """Shade of lips on the teeth of now; `narrower`: share of the photo's width by which lips are narrower."""
    drawn_back = SMILE_LETS_IN * opening.smile
    held = 1.0 - ramp(opening.gap + drawn_back, LET_GO[0], LET_GO[1])
    of_lips = HELD + HELD_RISE * max(0.0, opening.gap + drawn_back - SLIT)
    under_lip = LIP_SHADES + (PURSED_SHADES - LIP_SHADES) * ramp(narrower, PURSED[0], PURSED[1])
    upper_light = lower_light = 0.0
    if held > 0.0:
        upper_light = light_of_teeth(upper_teeth, teeth_px, UPPER_TOP, -TEETH_ABOVE_EDGE)
        lower_light = light_of_teeth(lower_teeth, teeth_px, LOWER_TOP, TEETH_ABOVE_EDGE)
    return Held(held, of_lips, under_lip, upper_light, lower_light)


@numba.njit(cache=True, fastmath=True, inline="always")
def edge_of_lips(
    place: float, inside: float, gap: float, photo_gap: float, soft: float, band: float
) -> tuple[float, float, float]:
    """How lips beside their lines come from the photo: which share of a pixel, and what `from_photo` calls rims.

    inside: way from the nearer line towards the other; gap, photo_gap: between the lips there, now and in the
    photo; soft, band: as in `paint_mouth`; eye distances.
    """
    keep = max(ramp(gap, 0.1 * soft, soft), ramp(photo_gap, 0.3 * soft, 1.5 * soft))
    keep *= ramp(inside, -band, -0.4 * band) * ramp(place, 0.0, 0.05) * ramp(1.0 - place, 0.0, 0.05)
    # Lips that were shut in the photo part: the dark, warm line where they met is no lip's colour.
    parted = ramp(gap, 0.02, 0.07) * (1.0 - ramp(photo_gap, 0.3 * soft, 1.5 * soft))
    return keep, parted * min(RIM_UPPER, 0.5 * band), parted * min(RIM_LOWER, 0.5 * band)


@numba.njit(cache=True, fastmath=True, inline="always")
def crease_of_lips(place: float, off_middle: float, gap: float, photo_gap: float, soft: float) -> float:
    """Lips brought together from an open mouth have no seam of their own: the share of light that one takes.

    off_middle: way from the middle between the lines; the rest as in `edge_of_lips`.
    """
    seam = ramp(photo_gap, 0.3 * soft, 1.5 * soft) * (1.0 - ramp(gap, 0.0, 2.0 * soft))
    crease = 0.30 * seam * (1.0 - ramp(off_middle, 0.0, min(2.0 * soft, CREASE)))
    return crease * ramp(place, 0.0, CREASE_ENDS) * ramp(1.0 - place, 0.0, CREASE_ENDS)


@numba.njit(cache=True, fastmath=True, inline="always")
def lay_flesh(
    cavity: np.ndarray, spot: Spot, lip_lights: np.ndarray, cheek_hue: np.ndarray, colour: np.ndarray
) -> None:
    """Throat and cheeks into `colour` (3,): flesh near the lips, darkest in the middle and at the corners.

    lip_lights: of `light_of_lips`; cheek_hue (3,): the cheeks' colour over their light.
    """
    inside = min(spot.below_lip, spot.above_lip)
    lit = (1.08 - 0.50 * ramp(inside, 0.0, 0.10)) * (1.0 - 0.45 * ramp(spot.side, 0.55, 0.95))
    for c in range(3):
        colour[c] = cavity[c] * lit
    if spot.side > CHEEK[0]:
        cheek = ramp(spot.side, CHEEK[0], CHEEK[1])
        lit = CHEEK_LIGHT * cheek * (1.0 - CHEEK_DEEP * ramp(inside, 0.0, 0.05))
        lit *= beside_lips(lip_lights, spot.place)
        for c in range(3):
            colour[c] += lit * cheek_hue[c] - CHEEK_SEEN * cheek * colour[c]


@numba.njit(cache=True, fastmath=True, inline="always")
def on_arch(to_teeth: np.ndarray, slant_x: float, slant_y: float, x: int, y: int) -> tuple[float, float, float]:
    """Of a pixel on a row of teeth: distance from the midline, way below the edge, and how far the row there faces us.

    to_teeth (2, 3): px -> place on the texture; slant_x, slant_y: of the row, as in `paint_mouth`. The last is 1 where
    nothing is slanted, 0 where the row bends out of view.
    """
    a = to_teeth[0, 0] * x + to_teeth[0, 1] * y + to_teeth[0, 2]
    b = to_teeth[1, 0] * x + to_teeth[1, 1] * y + to_teeth[1, 2]
    tooth = along_arch(a, slant_x)
    return tooth, b - slant_y * SEEN_ARCH * tooth * tooth, 1.0 + 4.0 * slant_x * SEEN_ARCH * a


@numba.njit(cache=True, fastmath=True, inline="always")
def lay_tongue(
    tongue: np.ndarray, opening: Opening, spot: Spot, tooth: float, edge: float, rise: float, colour: np.ndarray
) -> float:
    """The tongue over what is in `colour` (3,); returns how far that is its raised blade.

    It rests behind the lower teeth, its back a soft arch, its tip turned down; or its blade, narrower, rises until the
    tip is behind the upper teeth's edge. tooth, edge: of `on_arch`, upper teeth; rise: how far it stands above the
    lower lip, eye distances.
    """
    side, lift = spot.side, opening.lift
    blade = lift * (1.0 - ramp(abs(tooth), 0.5 * BLADE, BLADE))
    arch = max(rise * (1.0 - side * side), 1e-3)
    arch += blade * max(0.0, spot.above_lip + edge + TIP_BEHIND - arch)
    height = spot.above_lip / arch  # 0 at the lower lip, 1 at the rim of its back
    flesh = 1.0 - ramp(height, 0.72 + 0.20 * blade, 1.18 - 0.12 * blade)
    flesh *= (1.0 - ramp(side, 0.45, 0.92)) * ramp(opening.gap, 0.04, 0.14 - 0.06 * lift)
    # Lit from before and above on its tip's round, dark towards the throat, the cheeks and the lower teeth.
    light = 0.30 + 0.53 * ramp(height, 0.0, 0.55) * (1.0 - 0.75 * ramp(height, 0.45, 1.10))
    light *= (1.0 - 0.72 * ramp(side, 0.04, 0.66)) * (0.50 + 0.50 * ramp(opening.gap, 0.12, 0.30))
    light *= 1.0 - 0.13 * (1.0 - ramp(side, 0.0, 0.10)) * ramp(height, 0.30, 0.75)  # its furrow
    # A raised blade shows its underside: dark at its root and where the teeth shade its tip.
    under = (0.40 + 0.48 * ramp(height, 0.10, 0.85)) * (1.0 - 0.35 * ramp(abs(tooth), 0.3 * BLADE, BLADE))
    under *= 0.60 + 0.40 * ramp(edge, -0.01, 0.05)
    light += blade * (under - light)
    wet = (1.0 - ramp(abs(height - 0.50), 0.0, 0.22)) * (1.0 - ramp(side, 0.06, 0.30))
    for c in range(3):
        colour[c] += flesh * (tongue[c] * (1.4 * light + 0.07 * wet) + 6.0 * wet * light - colour[c])
    return blade * flesh


@numba.njit(cache=True, fastmath=True, inline="always")
def lay_teeth(
    texture: np.ndarray, x: float, y: float, facing: float, shade: float, texel: np.ndarray, colour: np.ndarray
) -> None:
    """One row of teeth over what is in `colour` (3,); `texel` (4,) takes the texture's part in it.

    x, y: px of the texture, as in `tap`; facing: of `on_arch`; shade: share of their light.
    """
    tap(texture, x, y, texel)
    if facing < BEND[0]:
        fade(texel, ramp(facing, BEND[1], BEND[0]))
    for c in range(3):
        colour[c] = colour[c] * (1.0 - texel[3]) + texel[c] * shade


@numba.njit(cache=True, fastmath=True, inline="always")
def shade_of_lower(spot: Spot, tooth: float) -> float:
    """Light on a lower tooth at a distance from the midline, over its texture's."""
    shade = (0.60 + 0.25 * ramp(spot.below_lip, 0.02, 0.16)) * (1.0 - 0.15 * ramp(abs(tooth), 0.10, 0.36))
    shade *= 1.0 - 0.50 * ramp(spot.side, 0.50, 1.05)  # what is far back lies in the cheeks' shade
    return shade * (0.70 + 0.30 * ramp(spot.above_lip, -0.01, 0.05))  # what stands close behind the lip gets less


@numba.njit(cache=True, fastmath=True, inline="always")
def shade_of_upper(spot: Spot, tooth: float, smile: float) -> float:
    """Light on an upper tooth at a distance from the midline, over its texture's."""
    shade = (0.50 + 0.50 * ramp(spot.below_lip, -0.005, 0.050)) * (1.0 - 0.50 * ramp(spot.side, 0.50, 1.05))
    # Light enters through the gap.
    shade *= 0.75 + 0.25 * ramp(spot.below_lip + spot.above_lip + SMILE_LETS_IN * smile, 0.02, 0.13)
    # A tooth that looks aside throws less light back: the arch's slope there is 2 ARCH x.
    return shade * (0.55 + 0.45 / np.sqrt(1.0 + (2.0 * ARCH * tooth) ** 2))


@numba.njit(cache=True, fastmath=True, inline="always")
def suited_light(light: float, spared: float, enamel: float, lit: float, blade: float) -> float:
    """What is taken of the network's light, a gain less 1.

    spared: share of its shade that teeth go without; enamel: share of the colour that is teeth; lit: their light over
    their texture's; blade: of `lay_tongue`.
    """
    if light < 0.0:
        light *= 1.0 - spared * enamel
    else:
        # It knows no tongue's height, and what it adds to a mouth's middle is one at rest. No tooth gets brighter than
        # its texture, which is one in full light.
        light += enamel * (min(light, max(1.0 / lit - 1.0, 0.0)) - light)
        light *= 1.0 - blade * (1.0 - enamel)
    return light


@numba.njit(cache=True, fastmath=True, inline="always")
def hold_light(
    held: Held,
    spot: Spot,
    enamel: float,
    bright: float,
    coloured: float,
    lip_lights: np.ndarray,
    lip_hue: np.ndarray,
    colour: np.ndarray,
) -> None:
    """Take from teeth in `colour` (3,) what lips that are hardly apart keep from them, and light them with their hue.

    enamel: share of the colour that is teeth; bright: its light times that share; lip_lights, lip_hue: of
    `light_of_lips`.
    """
    # Not by this pixel's own light: lines between teeth and their relief stay.
    most = held.of_lips * beside_lips(lip_lights, spot.place)
    kept = max(HELD_LEAST, most * enamel / max(bright, 1.0))
    kept = min(1.0, kept * (held.under_lip + (1.0 - held.under_lip) * ramp(spot.below_lip, 0.0, SHADES_DOWN)))
    lost, flesh_light = held.share * enamel * (1.0 - kept), held.share * enamel * coloured * FLESH_LIGHT
    for c in range(3):
        colour[c] *= 1.0 - lost * (1.0 + HELD_WARM * coloured * (INSIDE_TINT[c] - 1.0))
        colour[c] *= 1.0 + flesh_light * (lip_hue[c] - 1.0)


@numba.njit(cache=True, fastmath=True, inline="always")
def lift_haze(haze: np.ndarray, colour: np.ndarray) -> None:
    """Lay haze over what is dark in `colour` (3,): as much as black gains, less the lighter, none from haze[3] on.

    haze (4,): the colour that black turns into, and the light from which on nothing is lifted; 0..255.
    """
    share = max(0.0, 1.0 - luma(colour) / haze[3])
    for c in range(3):
        colour[c] += share * haze[c]


@numba.njit(cache=True, fastmath=True)
def paint_mouth(
    picture: np.ndarray,
    box: np.ndarray,
    lines: Lines,
    soft: float,
    still: OnPhoto,
    band: float,
    skull: np.ndarray,
    jaw: np.ndarray,
    slants: np.ndarray,
    upper_teeth: np.ndarray,
    lower_teeth: np.ndarray,
    teeth_px: float,
    cavity: np.ndarray,
    tongue: np.ndarray,
    gap: float,
    smile: float,
    shown: float,
    lift: float,
    interior: np.ndarray,
    spared: float,
    coloured: float,
    haze: np.ndarray,
    cover: np.ndarray,
) -> None:
    """Paint the inside of the mouth between the lips' lines of now.

    box: x0, y0, x1, y1 px. soft: width of the edge; band: how far beside it lips are taken from the photo; eye
    distances. skull, jaw (2, 3): px -> place on the teeth textures in eye distances. slants (2, 2): for upper and lower
    teeth, by how much one eye distance of depth is seen shifted, beyond what the texture shows already. cavity, tongue
    (3,): colours 0..255. gap, smile, shown, lift: as in `Opening`, one by one: of every tuple numba would keep memory.
    interior (h, w) float32: the network's light on it, as a gain, stretched between the lips; may be empty. spared:
    share of its shade that teeth go without. coloured: 0 for a photo without colours .. 1. haze (4,): of `lift_haze`.
    cover (of the picture's size): takes how much of a pixel is inside the mouth, 0..255.
    """
    origin, along, across, ends, upper, lower = lines
    photo, frame, photo_lines = still
    opening = Opening(gap, smile, shown, lift)
    texel, colour, lip = np.empty(4, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    wx, wy = np.empty(4), np.empty(4)
    lip_lights, lip_hue = np.empty(LIP_PLACES, np.float32), np.empty(3, np.float32)
    light_of_lips(still, lip_lights, lip_hue)
    cheek_hue = np.empty(3, np.float32)
    for c in range(3):
        cheek_hue[c] = 1.0 + CHEEK_RED * coloured * (lip_hue[c] - 1.0)
    narrower = 1.0 - (ends[1] - ends[0]) / (frame[5] - frame[4])
    held = held_by_lips(upper_teeth, lower_teeth, teeth_px, opening, narrower)
    rise = shown + min(0.32 * gap, 0.080) + 0.008  # how far the tongue stands above the lower lip
    for y in range(box[1], box[3]):
        for x in range(box[0], box[2]):
            dx, dy = x - origin[0], y - origin[1]
            place = (dx * along[0] + dy * along[1] - ends[0]) / (ends[1] - ends[0])
            if place <= 0.0 or place >= 1.0:
                continue
            v = dx * across[0] + dy * across[1]
            bent = bent_place(place)
            top, bottom = line_at(upper, bent), line_at(lower, bent)
            within = min(v - top, bottom - v)
            if within < -band:
                continue
            # The edge's softness grows from nothing with the gap, so that shut lips show no line.
            alpha = ramp(within, -0.35 * soft, soft) * ramp(bottom - top, 0.15 * soft, 1.6 * soft)
            if alpha < 1.0:
                # The lips' edges come straight from the photo, for the coarse map would smear one lip into the other.
                top0, bottom0 = line_at(photo_lines[0], bent), line_at(photo_lines[1], bent)
                between, between0 = bottom - top, bottom0 - top0
                keep, above, below = edge_of_lips(place, within, between, between0, soft, band)
                for c in range(3):
                    lip[c] = (1.0 - keep) * picture[y, x, c]
                rims = above, below
                from_photo(
                    photo, frame, place, v, top, bottom, top0, bottom0, soft, keep, rims, band, wx, wy, colour, lip
                )
                crease = crease_of_lips(place, abs(v - 0.5 * (top + bottom)), between, between0, soft)
                for c in range(3):
                    lip[c] *= 1.0 - crease
            if alpha <= 0.002:
                for c in range(3):
                    picture[y, x, c] = np.uint8(min(255.0, max(0.0, lip[c] + 0.5)))
                continue
            spot = Spot(place, abs(2.0 * place - 1.0), v - top, bottom - v)
            lay_flesh(cavity, spot, lip_lights, cheek_hue, colour)
            tooth, edge, facing = on_arch(skull, slants[0, 0], slants[0, 1], x, y)
            edge -= 0.010 * ramp(abs(tooth), 0.12, 0.40)
            blade = lay_tongue(tongue, opening, spot, tooth, edge, rise, colour)
            # Lower teeth, then upper teeth before them, each on its arch.
            low, low_edge, low_facing = on_arch(jaw, slants[1, 0], slants[1, 1], x, y)
            lit = shade_of_lower(spot, low)
            across_px, down_px = (low - TEETH_LEFT) * teeth_px, (low_edge - LOWER_TOP) * teeth_px
            lay_teeth(lower_teeth, across_px, down_px, low_facing, lit, texel, colour)
            enamel, bright = texel[3], texel[3] * lit * held.lower_light
            shade = shade_of_upper(spot, tooth, smile)
            across_px, down_px = (tooth - TEETH_LEFT) * teeth_px, (edge - UPPER_TOP) * teeth_px
            lay_teeth(upper_teeth, across_px, down_px, facing, shade, texel, colour)
            enamel = enamel * (1.0 - texel[3]) + texel[3]
            lit += texel[3] * (shade - lit)
            bright += texel[3] * (shade * held.upper_light - bright)
            if interior.shape[0] > 0:
                light = stretched(interior, place, min(1.0, max(0.0, spot.below_lip / (bottom - top))))
                light = suited_light(light, spared, enamel, lit, blade)
                bright *= 1.0 + light
                for c in range(3):
                    colour[c] *= 1.0 + (1.0 + coloured * (INSIDE_TINT[c] - 1.0)) * light
            if held.share * enamel > 0.0:
                hold_light(held, spot, enamel, bright, coloured, lip_lights, lip_hue, colour)
            if haze[3] > 0.0:
                lift_haze(haze, colour)
            cover[y, x] = np.uint8(255.0 * alpha)
            for c in range(3):
                value = lip[c] * (1.0 - alpha) + colour[c] * alpha
                picture[y, x, c] = np.uint8(min(255.0, max(0.0, value + 0.5)))
