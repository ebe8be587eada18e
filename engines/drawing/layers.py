"""What is laid over the warped photo: shades of the skin, eyeballs, lashes; and how lips' and lids' lines are traced.

Every kernel walks the pixels of one small box of the picture. A pixel's place along the mouth (or eye) is u, across it
is v, both in eye distances; where it lies between the two lips (lids) of now decides whether it is painted at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

LINE = 96  # samples of one lip or lid line
DEEPEST = 0.25  # share of its light that a network may take from skin
LASH_REACH = 0.10  # height of lashes above an open eye, eye distances
LASHES_FADE = 0.05  # eye distances within that, over which they end
# Shares of a blink: while lashes, which turn with their lid, take the place of the photo's own ones; while shade and
# hair above them leave the lid, which is well on its way by then; while they point at the viewer. Lengths of lashes
# seen, as shares of an open eye's: at least then, and below a shut eye.
LASHES_LIFT, SHADE_LIFT, LASHES_TURN = (0.03, 0.20), (0.20, 0.50), (0.40, 0.60)
LASHES_FACING, LASHES_DOWN = 0.25, 0.77
FRINGE_ABOVE, FRINGE_BELOW = 0.030, 0.051  # where a shut eye's fringe is down to 1/e, eye distances (eight talkers)
LASHES_BEYOND = 0.25  # how far beyond the eye's corner they reach, as a share of its width


class Lines(NamedTuple):
    """Two lips or lids of now, in their own frame."""

    origin: np.ndarray  # (2,) px, the middle between the corners
    along: np.ndarray  # (2,) axis from corner to corner, px -> eye distances
    across: np.ndarray  # (2,)
    ends: np.ndarray  # (2,) u of both corners
    upper: np.ndarray  # (LINE,) v along the upper one, evenly in u between the ends
    lower: np.ndarray  # (LINE,)


class OnPhoto(NamedTuple):
    """The same two on the photo, where their pixels are fetched from."""

    photo: np.ndarray  # (H, W, 3) uint8
    frame: np.ndarray  # (6,) origin, one eye distance along (px), u of both corners
    lines: np.ndarray  # (2, LINE) upper and lower, as in `Lines`


@numba.njit(cache=True, fastmath=True)
def trace(points: np.ndarray, origin: np.ndarray, along: np.ndarray, across: np.ndarray, line: np.ndarray) -> None:
    """Draw a smooth line through `points` (n, 2) px and sample it evenly in u between its ends: line (LINE,) of v.

    `along` and `across` are the frame's axes divided by the eye distance in px; Catmull-Rom between points.
    """
    count = points.shape[0]
    u = np.empty(count)
    v = np.empty(count)
    for k in range(count):
        dx, dy = points[k, 0] - origin[0], points[k, 1] - origin[1]
        u[k] = dx * along[0] + dy * along[1]
        v[k] = dx * across[0] + dy * across[1]
    for k in range(1, count):
        u[k] = max(u[k], u[k - 1] + 1e-4)
    samples = line.shape[0]
    segment = 0
    for i in range(samples):
        at = u[0] + (u[count - 1] - u[0]) * i / (samples - 1)
        while segment < count - 2 and at > u[segment + 1]:
            segment += 1
        a, b = max(0, segment - 1), segment
        c, d = segment + 1, min(count - 1, segment + 2)
        width = u[c] - u[b]
        t = min(1.0, max(0.0, (at - u[b]) / width))
        slope_b = (v[c] - v[a]) / max(1e-4, u[c] - u[a]) * width
        slope_c = (v[d] - v[b]) / max(1e-4, u[d] - u[b]) * width
        t2, t3 = t * t, t * t * t
        line[i] = (
            (2 * t3 - 3 * t2 + 1) * v[b] + (t3 - 2 * t2 + t) * slope_b + (3 * t2 - 2 * t3) * v[c] + (t3 - t2) * slope_c
        )


@numba.njit(cache=True, fastmath=True, inline="always")
def ramp(x: float, low: float, high: float) -> float:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3.0 - 2.0 * t)


@numba.njit(cache=True, fastmath=True, inline="always")
def line_at(line: np.ndarray, place: float) -> float:
    """A traced line's v at place 0..1 along it."""
    at = place * (line.shape[0] - 1)
    k = int(at)
    f = at - k
    return line[k] * (1 - f) + line[min(k + 1, line.shape[0] - 1)] * f


@numba.njit(cache=True, fastmath=True)
def shade_skin(
    picture: np.ndarray,
    box: np.ndarray,
    shift: np.ndarray,
    grid: np.ndarray,
    skin: np.ndarray,
    to_skin: np.ndarray,
    cover: np.ndarray,
    covered: np.ndarray,
    gains: np.ndarray,
) -> None:
    """Multiply skin by 1 + what the network says of it; the texture rides on the warp.

    box: x0, y0, x1, y1 px. shift (h, w, 2): the coarse backward map; grid: x0, y0, step of it, px. skin (h, w, 3):
    gain; to_skin (2, 3): px of the photo -> px of it. cover: share of a pixel inside the mouth, which is left as it is;
    covered: x0, y0, x1, y1 px, all of it. gains (h, w, 3) is scratch.
    """
    height, width = skin.shape[0], skin.shape[1]
    step = grid[2]
    first_i, first_j = max(0, int((box[0] - grid[0]) / step) - 1), max(0, int((box[1] - grid[1]) / step) - 1)
    last_i = min(shift.shape[1] - 1, int((box[2] - grid[0]) / step) + 2)
    last_j = min(shift.shape[0] - 1, int((box[3] - grid[1]) / step) + 2)
    for j in range(first_j, last_j + 1):
        for i in range(first_i, last_i + 1):
            px = grid[0] + i * step + shift[j, i, 0]
            py = grid[1] + j * step + shift[j, i, 1]
            x = to_skin[0, 0] * px + to_skin[0, 1] * py + to_skin[0, 2]
            y = to_skin[1, 0] * px + to_skin[1, 1] * py + to_skin[1, 2]
            gains[j, i, 0] = gains[j, i, 1] = gains[j, i, 2] = 0.0
            if 0.0 <= x < width - 1 and 0.0 <= y < height - 1:
                a, b = int(x), int(y)
                fx, fy = x - a, y - b
                for c in range(3):
                    upper = skin[b, a, c] * (1 - fx) + skin[b, a + 1, c] * fx
                    lower = skin[b + 1, a, c] * (1 - fx) + skin[b + 1, a + 1, c] * fx
                    gains[j, i, c] = upper * (1 - fy) + lower * fy
    width = box[2] - box[0]
    row = np.zeros(3 * (last_i + 2), np.float32)  # gains of one picture row at the grid's columns
    factors = np.empty(3 * width, np.float32)  # the same for every pixel of the box, and 1
    one, half = np.float32(1.0), np.float32(0.5)
    for y in range(box[1], box[3]):
        at = (y - grid[1]) / step
        j = min(max(int(np.floor(at)), first_j), last_j - 1)
        fy = np.float32(min(max(at - j, 0.0), 1.0))
        first, last = last_i, first_i  # cells in which there is any gain
        for i in range(first_i, last_i + 1):
            some = False
            for c in range(3):
                row[3 * i + c] = gains[j, i, c] + (gains[j + 1, i, c] - gains[j, i, c]) * fy
                some |= row[3 * i + c] != 0.0
            if some:
                first, last = min(first, i - 1), i
        first, last = max(first, first_i), min(last, last_i - 1)
        if first > last:
            continue
        left = max(0, int(np.ceil(grid[0] + first * step)) - box[0])
        right = min(width, int(np.ceil(grid[0] + last * step)) + int(step) - box[0])
        for i in range(first, last + 1):
            start = int(np.ceil(grid[0] + i * step)) - box[0]
            for k in range(int(step)):
                x = start + k
                if left <= x < right:
                    f = np.float32((x + box[0] - grid[0]) / step - i)
                    for c in range(3):
                        factors[3 * x + c] = one + row[3 * i + c] + (row[3 * i + 3 + c] - row[3 * i + c]) * f
        if covered[1] <= y < covered[3]:
            for x in range(max(left, covered[0] - box[0]), min(right, covered[2] - box[0])):
                share = one - np.float32(cover[y, box[0] + x]) * np.float32(1 / 255)
                for c in range(3):
                    factors[3 * x + c] = one + (factors[3 * x + c] - one) * share
        # Whole rows of numbers, whatever their channel: a loop that can be made SIMD.
        pixels = picture[y].reshape(-1)[3 * (box[0] + left) : 3 * (box[0] + right)]
        own = factors[3 * left : 3 * right]
        for n in range(len(pixels)):
            pixels[n] = np.uint8(min(np.float32(255), np.float32(pixels[n]) * own[n] + half))


@numba.njit(cache=True, fastmath=True)
def add_shades(
    learned: np.ndarray,
    mask: np.ndarray,
    room: np.ndarray,
    slack: float,
    folds: np.ndarray,
    right: float,
    left: float,
    tint: np.ndarray,
    colour: float,
    skin: np.ndarray,
) -> None:
    """Gain of skin, (h, w, 3): the network's where mask (h, w) uint8 lets it, and shares of both folds (2, h, w).

    room (h, w): the most that the network may add, and DEEPEST the most that it may take, but for `slack`. colour:
    share of what differs between red, green and blue; 0 for a photo without colours.
    """
    deepest = -np.float32(DEEPEST + slack)
    for y in range(skin.shape[0]):
        for x in range(skin.shape[1]):
            share = np.float32(mask[y, x]) * np.float32(1 / 255)
            fold = np.float32(right) * folds[0, y, x] + np.float32(left) * folds[1, y, x]
            for c in range(3):
                value = max(deepest, min(learned[y, x, c], room[y, x] + np.float32(slack)))
                skin[y, x, c] = value * share + fold * tint[c]
            if colour < 1.0:
                grey = (
                    np.float32(0.3) * skin[y, x, 0]
                    + np.float32(0.59) * skin[y, x, 1]
                    + np.float32(0.11) * skin[y, x, 2]
                )
                for c in range(3):
                    skin[y, x, c] = grey + np.float32(colour) * (skin[y, x, c] - grey)


@numba.njit(cache=True, fastmath=True, inline="always")
def cubic(t: float, weights: np.ndarray) -> None:
    """Weights of OpenCV's bicubic kernel (a = -0.75) at offset t in 0..1."""
    a = -0.75
    weights[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
    weights[1] = ((a + 2) * t - (a + 3)) * t * t + 1
    s = 1 - t
    weights[2] = ((a + 2) * s - (a + 3)) * s * s + 1
    weights[3] = 1 - weights[0] - weights[1] - weights[2]


@numba.njit(cache=True, fastmath=True)
def fetch(image: np.ndarray, x: float, y: float, wx: np.ndarray, wy: np.ndarray, out: np.ndarray) -> None:
    """Bicubic sample of (h, w, 3) uint8 at (x, y) px, edges repeated; wx, wy (4,) are scratch."""
    height, width = image.shape[0], image.shape[1]
    i, j = int(np.floor(x)), int(np.floor(y))
    cubic(x - i, wx)
    cubic(y - j, wy)
    a, b, c, d = wx[0], wx[1], wx[2], wx[3]
    # Four columns by name and sums in registers: through arrays every sum would be stored and read again.
    first, second = min(width - 1, max(0, i - 1)), min(width - 1, max(0, i))
    third, fourth = min(width - 1, max(0, i + 1)), min(width - 1, max(0, i + 2))
    red = green = blue = 0.0
    for dj in range(4):
        row = image[min(height - 1, max(0, j - 1 + dj))]
        weight = wy[dj]
        red += weight * (a * row[first, 0] + b * row[second, 0] + c * row[third, 0] + d * row[fourth, 0])
        green += weight * (a * row[first, 1] + b * row[second, 1] + c * row[third, 1] + d * row[fourth, 1])
        blue += weight * (a * row[first, 2] + b * row[second, 2] + c * row[third, 2] + d * row[fourth, 2])
    out[0], out[1], out[2] = red, green, blue


@numba.njit(cache=True, fastmath=True)
def from_photo(
    photo: np.ndarray,
    photo_frame: np.ndarray,
    place: float,
    v: float,
    top: float,
    bottom: float,
    top0: float,
    bottom0: float,
    soft: float,
    keep: float,
    rims: tuple[float, float],
    reach: float,
    wx: np.ndarray,
    wy: np.ndarray,
    colour: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add `keep` parts of what the photo shows beside its own lip (lid) lines to `out` (3,).

    place 0..1 along the mouth, v across it; top, bottom: the lines of now there; top0, bottom0: those of the photo.
    Above the middle a pixel is as far from the upper line as in the photo, below it from the lower one; both meet
    softly. rims: strips beside the photo's upper and lower line that are left out; what lies within `reach` is drawn
    out over them. wx, wy (4,), colour (3,) are scratch.
    """
    along = photo_frame[4] + place * (photo_frame[5] - photo_frame[4])
    share = ramp(v - 0.5 * (top + bottom), -0.5 * soft, 0.5 * soft)
    for part in range(2):
        weight = keep * (share if part else 1.0 - share)
        if weight > 0.0:
            away = max(v - bottom, 0.0) if part else max(top - v, 0.0)
            away += rims[part] * (1.0 - ramp(away, 0.0, reach))
            own = bottom0 + away if part else top0 - away
            px = photo_frame[0] + along * photo_frame[2] - own * photo_frame[3]
            py = photo_frame[1] + along * photo_frame[3] + own * photo_frame[2]
            fetch(photo, px, py, wx, wy, colour)
            for c in range(3):
                out[c] += weight * colour[c]


@numba.njit(cache=True, fastmath=True)
def paint_eye(
    picture: np.ndarray,
    box: np.ndarray,
    lines: Lines,
    soft: float,
    still: OnPhoto,
    band: float,
    eyeball: np.ndarray,
    back: np.ndarray,
    iris: np.ndarray,
    gaze: np.ndarray,
    closing: float,
) -> None:
    """Paint the eyeball between the lids of now.

    box: x0, y0, x1, y1 px. soft: width of the edge; band: how far beside it lids are taken from the photo; eye
    distances. eyeball (h, w, 3) uint8: the eye's own pixels, continued under the lids; back (2, 3): px of the picture
    -> px of eyeball. iris: its centre and radius in px of eyeball; gaze: shift of the iris in px. closing:
    below 0 wide, 0 open .. 1 shut, the depth of the upper lid's shadow.
    """
    origin, along, across, ends, upper, lower = lines
    photo, photo_frame, photo_lines = still
    wx, wy = np.empty(4), np.empty(4)
    lid, colour = np.empty(3, np.float32), np.empty(3, np.float32)
    no_rims = (0.0, 0.0)
    for y in range(box[1], box[3]):
        for x in range(box[0], box[2]):
            dx, dy = x - origin[0], y - origin[1]
            place = (dx * along[0] + dy * along[1] - ends[0]) / (ends[1] - ends[0])
            if place <= 0.0 or place >= 1.0:
                continue
            v = dx * across[0] + dy * across[1]
            top, bottom = line_at(upper, place), line_at(lower, place)
            inside = min(v - top, bottom - v)
            if inside < -band:
                continue
            # The lids' edges come straight from the photo, for the coarse map would squeeze the eye between them.
            top0, bottom0 = line_at(photo_lines[0], place), line_at(photo_lines[1], place)
            moved = ramp(abs(top0 - top) + abs(bottom0 - bottom), 0.002, 0.02)
            keep = ramp(inside, -band, -0.4 * band) * moved * ramp(place, 0.0, 0.06) * ramp(1.0 - place, 0.0, 0.06)
            for c in range(3):
                lid[c] = (1.0 - keep) * picture[y, x, c]
            from_photo(
                photo, photo_frame, place, v, top, bottom, top0, bottom0, soft, keep, no_rims, band, wx, wy, colour, lid
            )
            # Where they meet, lashes and shade draw a line.
            shut = 1.0 - ramp(bottom - top, 0.0, 3.0 * soft)
            crease = 1.0 - 0.14 * shut * moved * (1.0 - ramp(abs(v - 0.5 * (top + bottom)), 0.0, 1.6 * soft))
            for c in range(3):
                lid[c] *= crease
            alpha = ramp(inside, 0.0, soft) * ramp(bottom - top, 0.3 * soft, 2.0 * soft)
            if alpha > 0.002:
                px = back[0, 0] * x + back[0, 1] * y + back[0, 2]
                py = back[1, 0] * x + back[1, 1] * y + back[1, 2]
                # The iris moves as a whole; the white stretches between it and the corners.
                distance = np.sqrt((px - gaze[0] - iris[0]) ** 2 + (py - gaze[1] - iris[1]) ** 2) / iris[2]
                follow = 1.0 - ramp(distance, 1.05, 2.3)
                fetch(eyeball, px - gaze[0] * follow, py - gaze[1] * follow, wx, wy, colour)
                shadow = 1.0 - max(0.0, closing) * 0.35 * (1.0 - ramp(v - top, 0.0, 0.05))
                for c in range(3):
                    lid[c] = lid[c] * (1.0 - alpha) + colour[c] * shadow * alpha
            for c in range(3):
                picture[y, x, c] = np.uint8(min(255.0, max(0.0, lid[c] + 0.5)))


@numba.njit(cache=True, fastmath=True)
def paint_lashes(
    picture: np.ndarray,
    box: np.ndarray,
    origin: np.ndarray,
    along: np.ndarray,
    across: np.ndarray,
    ends: np.ndarray,
    upper: np.ndarray,
    lashes: np.ndarray,
    corner: np.ndarray,
    photo_frame: np.ndarray,
    photo_upper: np.ndarray,
    closing: float,
) -> None:
    """Darken what lies behind the upper lashes, which turn with a closing lid: up, towards the viewer, down.

    origin, along, across, ends, upper: as in `Lines`, but one by one: a tuple costs numba memory, more than is painted
    here. photo_frame, photo_upper: the upper lid on the photo, as in `OnPhoto`. lashes (h, w, 3) uint8: the share of
    light that the photo's lashes keep away, in 1/255; corner (2,): its first pixel in the photo. closing: 0 open .. 1
    shut.
    """
    wx, wy, dark = np.empty(4), np.empty(4), np.empty(3, np.float32)
    drawn = ramp(closing, LASHES_LIFT[0], LASHES_LIFT[1])
    down = ramp(closing, LASHES_TURN[0], LASHES_TURN[1])
    length_up = 1.0 - (1.0 - LASHES_FACING) * min(1.0, closing / LASHES_TURN[1])
    length_down = LASHES_FACING + (LASHES_DOWN - LASHES_FACING) * ramp(closing, LASHES_TURN[0], 1.0)
    for y in range(box[1], box[3]):
        for x in range(box[0], box[2]):
            dx, dy = x - origin[0], y - origin[1]
            u = dx * along[0] + dy * along[1]
            place = (u - ends[0]) / (ends[1] - ends[0])
            share = drawn * ramp(place, -LASHES_BEYOND, 0.0) * ramp(1.0 - place, -LASHES_BEYOND, 0.0)
            if share == 0.0:
                continue
            place_on_lid = min(1.0, max(0.0, place))
            under = dx * across[0] + dy * across[1] - line_at(upper, place_on_lid)
            share *= down if under > 0.0 else 1.0 - down
            # How far from its root, as it stands on the open eye.
            height = under / length_down if under > 0.0 else -under / length_up
            share *= ramp(LASH_REACH - height, 0.0, LASHES_FADE)
            if share == 0.0:
                continue
            u = photo_frame[4] + place * (photo_frame[5] - photo_frame[4])
            v = line_at(photo_upper, place_on_lid) - height
            px = photo_frame[0] + u * photo_frame[2] - v * photo_frame[3] - corner[0]
            py = photo_frame[1] + u * photo_frame[3] + v * photo_frame[2] - corner[1]
            fetch(lashes, px, py, wx, wy, dark)
            for c in range(3):
                kept = 1.0 - share * min(1.0, max(0.0, dark[c] / 255.0))
                picture[y, x, c] = np.uint8(picture[y, x, c] * kept + 0.5)


@numba.njit(cache=True, fastmath=True)
def paint_fringe(
    picture: np.ndarray,
    soft: np.ndarray,
    coarse: float,
    box: np.ndarray,
    lines: Lines,
    fringe: float,
    closing: float,
) -> None:
    """Darken the line of an eye that shuts, as lashes too fine for the photo do, and soften it as the photo is.

    As in `paint_eye`; soft (h, w, 3) uint8: the box of the picture, as blurred as the photo, of which a share `coarse`
    is taken. fringe: share of light it takes at its darkest. closing: 0 open .. 1 shut.
    """
    origin, along, across, ends, upper, _ = lines
    turned = ramp(closing, LASHES_TURN[0], 1.0)
    for y in range(box[1], box[3]):
        for x in range(box[0], box[2]):
            dx, dy = x - origin[0], y - origin[1]
            place = (dx * along[0] + dy * along[1] - ends[0]) / (ends[1] - ends[0])
            share = turned * ramp(place, -0.08, 0.12) * ramp(1.0 - place, -0.08, 0.12)
            if share == 0.0:
                continue
            under = dx * across[0] + dy * across[1] - line_at(upper, min(1.0, max(0.0, place)))
            away = under / (FRINGE_BELOW if under > 0.0 else FRINGE_ABOVE)
            share *= np.exp(-away * away)
            if share < 0.01:
                continue
            for c in range(3):
                value = np.float32(soft[y - box[1], x - box[0], c]) - np.float32(picture[y, x, c])
                value = picture[y, x, c] + value * share * coarse
                picture[y, x, c] = np.uint8(value * (1.0 - fringe * share) + 0.5)


@numba.njit(cache=True, fastmath=True)
def paint_rims(
    picture: np.ndarray,
    box: np.ndarray,
    photo: np.ndarray,
    cover: np.ndarray,
    near: np.ndarray,
    corner: np.ndarray,
    shift: np.ndarray,
    grid: np.ndarray,
) -> None:
    """Paint what stands before an eye over it, as it is in the photo (H, W, 3).

    box: x0, y0, x1, y1 px; cover, near (h, w) uint8: how far a pixel of the photo is of that, and not 0 where any
    within two cells is, from `corner` (2,) on; shift (h, w, 2): coarse backward map of what no lid or brow moves; grid:
    x0, y0, step of it, px.
    """
    wx, wy, colour = np.empty(4), np.empty(4), np.empty(3, np.float32)
    height, width = cover.shape
    step = int(grid[2])
    left, top = int(grid[0] - (step - 1) / 2), int(grid[1] - (step - 1) / 2)  # of the first cell, around a point each
    for b in range(max(1, (box[1] - top) // step), min(shift.shape[0] - 1, (box[3] - top) // step + 1)):
        for a in range(max(1, (box[0] - left) // step), min(shift.shape[1] - 1, (box[2] - left) // step + 1)):
            i = int(grid[0] + a * step + shift[b, a, 0]) - corner[0]
            j = int(grid[1] + b * step + shift[b, a, 1]) - corner[1]
            if near[min(max(j, 0), height - 1), min(max(i, 0), width - 1)] == 0:
                continue
            for y in range(top + b * step, min(top + (b + 1) * step, picture.shape[0])):
                at = (y - grid[1]) / grid[2]
                v = int(np.floor(at))
                fy = at - v
                for x in range(left + a * step, min(left + (a + 1) * step, picture.shape[1])):
                    at = (x - grid[0]) / grid[2]
                    u = int(np.floor(at))
                    fx = at - u
                    px = x + (shift[v, u, 0] * (1 - fx) + shift[v, u + 1, 0] * fx) * (1 - fy)
                    px += (shift[v + 1, u, 0] * (1 - fx) + shift[v + 1, u + 1, 0] * fx) * fy
                    py = y + (shift[v, u, 1] * (1 - fx) + shift[v, u + 1, 1] * fx) * (1 - fy)
                    py += (shift[v + 1, u, 1] * (1 - fx) + shift[v + 1, u + 1, 1] * fx) * fy
                    i, j = int(np.floor(px)), int(np.floor(py))
                    gx, gy = px - i, py - j
                    i, j = i - corner[0], j - corner[1]
                    if i < 0 or j < 0 or i > width - 2 or j > height - 2:
                        continue
                    share = (cover[j, i] * (1 - gx) + cover[j, i + 1] * gx) * (1 - gy)
                    share += (cover[j + 1, i] * (1 - gx) + cover[j + 1, i + 1] * gx) * gy
                    if share == 0.0:
                        continue
                    share /= 255.0
                    fetch(photo, px, py, wx, wy, colour)
                    for c in range(3):
                        value = picture[y, x, c] * (1.0 - share) + colour[c] * share
                        picture[y, x, c] = np.uint8(min(255.0, max(0.0, value + 0.5)))
