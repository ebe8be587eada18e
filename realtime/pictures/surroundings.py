"""What lies beside a photo that is too narrow for the picture: its wall goes on, out of focus, and shoulders fall off.

Nobody knows what is there, so it is made of what the photo shows near its edges, folded outwards like a page, the
farther out the wider: wall and cloth meet the edge as they are, and no second head shows. Wall and person are told
apart (engines/face/person.py) and softened each for itself, so that no shirt runs into the wall. The wall begins to
lose its focus inside the photo already, away from the person: there is no line at which sharp turns soft.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.drawing.geometry import ease
from engines.face.measure import eye_distance
from engines.face.person import person_mask

# Lengths are in eye distances, unless said otherwise; `out` is how far a column lies out of the photo.
FOLD = 0.4  # so deep a strip of the photo is folded out
WALL_SOFT = np.array([(-0.7, 0.0), (0.0, 0.12), (0.8, 0.24), (2.5, 0.45)])  # sigma by the way out
WHOLE_SIDE = 1.2  # the wall of a narrower side is less soft
CLOTH_SOFT = np.array([(0.0, 0.0), (0.3, 0.02), (1.5, 0.08)])
HAIR_SOFT = np.array([(0.0, 0.0), (0.1, 0.015), (0.3, 0.06)])
LINE_SOFT = 0.015  # sigma of the person's line outside the photo
SHARP_AROUND = (0.04, 0.30)  # the wall around the person: from as it is to all soft,
SHARP_OUT = (-0.5, 0.0)  # which ends so far out
FOLLOWS = 0.4  # so far out the wall sinks with the person's line, and is sharp right beside it
CLEAR = 0.08  # what lies so near to the mask's line is neither wall nor person,
MEETS = 0.15  # which is so from here on; nearer to the photo all goes on as it is there
LEAST_PERSON = 0.5  # share of the face that must be a person's, or the mask is another's
LEAST_UNIT = 0.1  # of the height: eyes that are nearer together say nothing

SHORTEST, SHORTEST_ABOVE = 0.12, 0.35  # of what the edge cuts: shoulders, and what is above them
TRACED = 0.5  # lines are followed so far into the photo
ARMS = 3.7  # beside the nose: where upper arms end
SHOULDERS_FROM = -0.2  # below the chin: what begins lower is a shoulder
SHOULDER, LEAST_SHOULDER = 1.1, 0.7  # a shoulder's round end: its height; its least width
HAIR_OUT, HAIR_END = 0.25, 0.7  # what is cut above: how far it goes on; the height of its round ends
SHOULDER_FALL, HAIR_FALL = (0.2, 1.0), (0.3, 3.0)  # how steep they fall where the edge cuts them, rows for a column
STRAND_FALL, STRANDS_ALIKE, STRANDS_FROM = (-0.5, 3.0), 0.25, 0.4  # of strands; sigma down; from there below the line

PATCH, FINER = 32 / 720, 3 / 720  # of the height: the patch that shows the grain; sigma of what is coarser
PLAINER = 0.1  # so many patches are plainer than the one that is taken
GRAIN_LOST = 2 / 720  # sigma, of the height, by which a picture has lost its grain
GRAIN_WIDTH = 256  # px after which it begins again


@dataclass
class Beyond:
    """What goes on of a person beyond the photo's edges, for each pixel of the picture, (H, W)."""

    person: np.ndarray  # float32 0..1; inside the photo its mask
    lower: np.ndarray  # float32: so many rows lower lies what the photo shows in the column that goes there
    hair: np.ndarray  # bool: it is hair or the like, no shoulder


def surround(shown: np.ndarray, width: int, inside: int, landmarks: np.ndarray) -> np.ndarray:
    """A picture (H, width, 3) uint8 that has `shown` (H, w, 3) uint8 in its columns from `inside` on.

    landmarks (478, 3) px of `shown`. The person in it stays bit for bit.
    """
    height, shown_width = shown.shape[:2]
    here = slice(inside, inside + shown_width)
    unit = float(eye_distance(landmarks))
    mask = find_person(shown, landmarks, unit)
    unit = max(unit, LEAST_UNIT * height)
    source, out_px = fold_out(width, inside, shown_width, FOLD * unit)
    out = out_px / unit
    beyond = go_on(shown, mask, source, out_px, inside, landmarks, unit)
    beside, within = from_line(mask, unit)
    clear = CLEAR * np.clip(out / MEETS, 0, 1)

    around = from_line(beyond.person, unit)[0]
    sharp = still_sharp(around, out)
    side = np.where(np.arange(width) < width / 2, inside, width - inside - shown_width) / unit
    soft = np.interp(out, *WALL_SOFT.T) * np.minimum(side / WHOLE_SIDE, 1)
    sigma = (unit * soft * (1 - sharp)).astype(np.float32)
    lower = beyond.lower * (1 - ease(out / FOLLOWS)).astype(np.float32)
    made = soften(fetch(shown, source, lower), fetch(beside, source, lower) > clear, sigma)
    made += lost_grain(sigma) * make_grain(shown, beside > CLEAR, width)
    softened = np.minimum(sigma[:, here], 1) * ease((beside - CLEAR) / CLEAR)
    made[:, here] = shown + softened[..., None] * (made[:, here] - shown)

    for columns in (slice(inside), slice(here.stop, None)):
        person = beyond.person[:, columns, None]
        if not person.any():
            continue
        hair, cloth = (unit * np.interp(out[columns], *table.T) for table in (HAIR_SOFT, CLOTH_SOFT))
        sigma = np.where(beyond.hair[:, columns], hair, cloth).astype(np.float32)
        place = source[columns], beyond.lower[:, columns]
        own = soften(fetch(shown, *place), fetch(within, *place) > clear[columns], sigma)
        own += lost_grain(sigma) * make_grain(shown, within > CLEAR, person.shape[1])
        made[:, columns] += person * (own - made[:, columns])
    return np.clip(made + 0.5, 0, 255).astype(np.uint8)


def find_person(shown: np.ndarray, landmarks: np.ndarray, unit: float) -> np.ndarray:
    """How likely each pixel of (H, W, 3) uint8 shows the person, (H, W) float32 0..1; zeros where nobody knows.

    The person is what hangs together with the face. All else is somebody else, or a thing that looks like one.
    """
    nobody = np.zeros(shown.shape[:2], np.float32)
    outline = cv2.convexHull(landmarks[:468, :2].round().astype(np.int32))
    face = cv2.fillConvexPoly(np.zeros(shown.shape[:2], np.uint8), outline, 1) > 0
    if unit < 1 or not face.any():
        return nobody
    mask = person_mask(shown, landmarks[[33, 133, 362, 263], :2].mean(0), unit)
    if mask is None or mask[face].mean() < LEAST_PERSON:
        return nobody
    parts = cv2.connectedComponents(((mask >= 0.5) | face).astype(np.uint8))[1]
    own = cv2.dilate((parts == parts[face][0]).astype(np.uint8), np.ones((9, 9)))  # with its soft line
    return np.where(own > 0, mask, nobody)


def from_line(mask: np.ndarray, unit: float) -> list[np.ndarray]:
    """How far beside the person each pixel lies, and how far within, (H, W) float32 eye distances; or 0."""
    seen = (mask >= 0.5).astype(np.uint8)
    return [cv2.distanceTransform(part, cv2.DIST_L2, 5) / np.float32(unit) for part in (1 - seen, seen)]


def still_sharp(around: np.ndarray, out: np.ndarray) -> np.ndarray:
    """How sharp the wall stays that lies `around` (H, W) beside the person and `out` (W,) of the photo; 0..1."""
    near, all_soft = SHARP_AROUND
    sharp = (1 - ease((around - near) / (all_soft - near))) * (1 - ease((out - SHARP_OUT[0]) / np.ptp(SHARP_OUT)))
    # What lies right beside the person is the photo's, up to its edge and a little farther.
    kept: np.ndarray = np.maximum(sharp, (1 - ease((around - CLEAR) / CLEAR)) * (1 - ease(out / FOLLOWS)))
    return kept


def fold_out(width: int, inside: int, shown_width: int, depth: float) -> tuple[np.ndarray, np.ndarray]:
    """For each of the picture's columns the photo's column that goes there, and how far out of the photo it lies, px.

    Beyond the edges the way leads back into the photo, slower and slower, and never `depth` px deep. Two of (width,).
    """
    x = np.arange(width, dtype=np.float32) - inside
    left, right = -0.5 - x, x - (shown_width - 0.5)
    out = np.maximum(left, right)
    back = depth * (1 - np.exp(-np.maximum(out, 0) / depth)) - 0.5
    source = np.where(left > 0, back, np.where(right > 0, shown_width - 1 - back, x))
    return source.astype(np.float32), out


def fetch(picture: np.ndarray, source: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The picture's columns `source` (n,), `lower` (H, n) rows lower than they were; float32."""
    rows = np.arange(len(picture), dtype=np.float32)[:, None] - lower
    columns = np.broadcast_to(source, lower.shape).copy()
    fetched: np.ndarray = cv2.remap(
        picture.astype(np.float32), columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return fetched


def soften(picture: np.ndarray, known: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) float32 out of focus by sigma (H, W) px; what is not known, (H, W) bool, is filled.

    A pyramid, from coarse to fine: each level adds what is sharper where that is wanted and known.
    """
    weight = np.maximum(known.astype(np.float32), np.float32(1e-4))  # where nothing is known, all is
    levels, sigmas = [np.dstack([picture * weight[..., None], weight])], [sigma]
    while min(levels[-1].shape[:2]) > 4:
        levels.append(cv2.pyrDown(levels[-1]))
        sigmas.append(cv2.resize(sigmas[-1], levels[-1].shape[1::-1], interpolation=cv2.INTER_AREA))
    filled = levels[-1][..., :3] / levels[-1][..., 3:]
    for k in range(len(levels) - 2, -1, -1):
        weight = levels[k][..., 3:]
        filled = cv2.pyrUp(filled, dstsize=levels[k].shape[1::-1])
        # Down by k levels and up again is a sigma of about 0.8 * 2^k.
        wanted = np.clip(k + 1 - np.log2(np.maximum(sigmas[k], np.float32(1e-3)) / np.float32(0.8)), 0, 1)
        filled += wanted[..., None] * np.minimum(2 * weight, 1) * (levels[k][..., :3] / weight - filled)
    return filled


def go_on(
    shown: np.ndarray,
    mask: np.ndarray,
    source: np.ndarray,
    out_px: np.ndarray,
    inside: int,
    landmarks: np.ndarray,
    unit: float,
) -> Beyond:
    """How the person of a photo (H, w, 3) with mask (H, w) goes on beside it.

    source, out_px (W,) as of `fold_out`. Shoulders fall off as far out as arms end, hair soon. What is folded out sinks
    with their line, so that cloth goes on along it and strands along themselves.
    """
    height, shown_width = mask.shape
    size = height, len(source)
    shape, lower, hair = np.zeros(size, np.uint8), np.zeros(size, np.float32), np.zeros(size, bool)
    chin, nose = float(landmarks[152, 1]), float(landmarks[1, 0])
    rows = np.arange(height)[:, None]
    for is_right in (False, True):
        columns = slice(inside + shown_width, None) if is_right else slice(inside)
        out, back = out_px[columns], source[columns]
        if len(out) == 0:
            continue
        # As if it were the left edge.
        turned = slice(None, None, -1 if is_right else 1)
        picture, seen = shown[:, turned], mask[:, turned] >= 0.5
        depth, to_nose = (shown_width - 1 - back, shown_width - nose) if is_right else (back, nose)
        for top, bottom in cut_by_edge(seen, unit):
            is_low = top > chin + SHOULDERS_FROM * unit and bottom == height
            if not is_low and bottom - top < SHORTEST_ABOVE * unit:
                continue
            steep = 0.0 if top == 0 else fall_of(seen, top, unit)
            if is_low:
                fall = falls = np.clip(steep, *SHOULDER_FALL)
                end = max(ARMS * unit - to_nose, LEAST_SHOULDER * unit)
                line = round_off(end, min(SHOULDER * unit, bottom - top), fall)
            else:
                fall = 0.0 if top == 0 else np.clip(steep, *HAIR_FALL)
                own = strand_falls(picture, seen, fall, unit)
                falls = fall + ease((rows - top) / (STRANDS_FROM * unit)) * (own[:, None] - fall)
                line = round_off(HAIR_OUT * unit, min(HAIR_END * unit, (bottom - top) / 2), fall)
            points = close(line, top, bottom, height, unit)
            points[:, 0] = inside + shown_width - 0.5 + points[:, 0] if is_right else inside - 0.5 - points[:, 0]
            one = cv2.fillPoly(np.zeros(size, np.uint8), [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
            shape = np.maximum(shape, one)
            if not is_low:
                hair |= cv2.dilate(one, np.ones((9, 9))) > 0
            sunk = np.interp(out, *line.T) - fall * out + falls * (out + depth)
            away = np.interp(out, *line.T) + top - rows
            if bottom < height:
                away = np.maximum(away, rows - bottom)
            sunk = sunk * (1 - ease(away / np.maximum(unit, 2 * np.abs(sunk))))  # not so fast that rows change places
            lower[:, columns] = np.where(np.abs(sunk) > np.abs(lower[:, columns]), sunk, lower[:, columns])
    person = cv2.GaussianBlur(shape, (0, 0), max(0.5, LINE_SOFT * unit)).astype(np.float32) / 255
    person[:, inside : inside + shown_width] = mask
    return Beyond(person, lower, hair)


def cut_by_edge(seen: np.ndarray, unit: float) -> list[tuple[int, int]]:
    """From which row to which the left edge cuts a person, (H, w) bool."""
    height = len(seen)
    strip = seen[:, : max(2, round(0.04 * unit))].mean(1) >= 0.5
    ends = np.flatnonzero(np.diff(strip, prepend=False, append=False)).reshape(-1, 2)
    ends = np.where(ends >= height - 2, height, np.where(ends <= 1, 0, ends))
    return [(int(top), int(bottom)) for top, bottom in ends if bottom - top >= SHORTEST * unit]


def fall_of(seen: np.ndarray, top: int, unit: float) -> float:
    """Rows for a column by which a person's upper line falls towards the left edge, which it meets at row `top`."""
    rows, row = [], top
    for column in seen.T[: max(2, round(TRACED * unit))]:
        while row > 0 and column[row - 1]:
            row -= 1
        while row < len(column) - 1 and not column[row]:
            row += 1
        rows.append(row)
    return -float(np.polyfit(np.arange(len(rows)), rows, 1)[0])


def strand_falls(shown: np.ndarray, seen: np.ndarray, fall: float, unit: float) -> np.ndarray:
    """Rows for a column by which strands fall towards the left edge, in each row, (H,); `fall` where there are none."""
    strip = slice(0, max(4, round(TRACED / 2 * unit)))
    grey = cv2.cvtColor(np.ascontiguousarray(shown[:, strip]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    known = cv2.erode(seen[:, strip].astype(np.float32), np.ones((3, 3)))
    across, down = (cv2.Sobel(grey, -1, *step) * known for step in ((1, 0), (0, 1)))
    tensor = np.stack([across**2, down**2, across * down], -1).mean(1, keepdims=True)
    xx, yy, xy = cv2.GaussianBlur(tensor, (0, 0), 0.1, None, STRANDS_ALIKE * unit)[:, 0].T
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)  # across the strands
    own = np.clip(1 / np.where(np.abs(np.tan(angle)) < 0.01, 0.01, np.tan(angle)), *STRAND_FALL)
    alike = np.hypot(xx - yy, 2 * xy) / np.maximum(xx + yy, 1e-3)
    falls: np.ndarray = fall + alike * (own - fall)
    return falls


def round_off(end: float, tall: float, fall: float) -> np.ndarray:
    """A line from (0, 0) that falls `fall` rows a column and, over `tall` rows more, bends down at x = end: (n, 2)."""
    angle = np.linspace(0, np.pi / 2, 33)
    x = end * np.sin(angle)
    return np.stack([x, fall * x + tall * (1 - np.cos(angle))], 1)


def close(line: np.ndarray, top: int, bottom: int, height: int, unit: float) -> np.ndarray:
    """The outline of what an edge cuts from row `top` to `bottom`, x px out of it, (n, 2): its line and its lower end.

    What the picture's own edge cuts goes on past it. The shape reaches into the photo: its end there is not soft.
    """
    end = line[-1, 0]
    upper = line + np.array([0, top]) if top > 0 else np.array([(end, -unit)])
    ending = round_off(end, min(HAIR_END * unit, (bottom - top) / 2), 0) * np.array([1, -1]) + np.array([0, bottom])
    lower = ending[::-1] if bottom < height else np.array([(end, height + unit)])
    return np.vstack([upper, lower, (-unit, lower[-1, 1]), (-unit, upper[0, 1])])


def lost_grain(sigma: np.ndarray) -> np.ndarray:
    """How much of its grain a picture has lost that is out of focus by sigma (H, W) px, (H, W, 1) 0..1."""
    return np.minimum(sigma / np.float32(GRAIN_LOST * len(sigma)), 1)[..., None]


def make_grain(shown: np.ndarray, where: np.ndarray, width: int) -> np.ndarray:
    """Noise (H, width, 3) like a photo's, (H, w, 3) uint8, in a plain place `where` (H, w) bool; zeros without one."""
    height = len(shown)
    patch = max(4, round(PATCH * height))
    whole = cv2.erode(where.astype(np.uint8), np.ones((patch, patch)), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    places = np.argwhere(whole[:: patch // 4, :: patch // 4]) * (patch // 4)
    if len(places) == 0:
        return np.zeros((height, width, 3), np.float32)
    fine = shown - cv2.GaussianBlur(shown.astype(np.float32), (0, 0), FINER * height)
    energy = cv2.boxFilter((fine**2).sum(2), -1, (patch, patch))[tuple(places.T)]
    y, x = places[np.argsort(energy, kind="stable")[int(PLAINER * len(places))]] - patch // 2
    taper = np.outer(*[np.hanning(patch + 2)[1:-1]] * 2)[..., None]
    taken = fine[y : y + patch, x : x + patch] * taper / np.sqrt((taper**2).sum())
    # As strong and as coarse as the patch, with neither its places nor its directions.
    power = np.abs(np.fft.fft2(taken, axes=(0, 1))) ** 2
    coarse = np.fft.fftfreq(patch, 1 / patch)
    ring = np.rint(np.hypot(coarse, coarse[:, None])).astype(int)
    rings = np.bincount(ring.ravel())
    power = np.dstack([(np.bincount(ring.ravel(), power[..., c].ravel()) / rings)[ring] for c in range(3)])
    kernel = np.fft.fftshift(np.fft.ifft2(np.sqrt(power), axes=(0, 1)).real, axes=(0, 1)).astype(np.float32)
    white = np.random.default_rng(0).standard_normal((height, min(width, GRAIN_WIDTH)), np.float32)
    grain = np.dstack([cv2.filter2D(white, -1, kernel[..., c]) for c in range(3)])
    return np.tile(grain, (1, -(-width // grain.shape[1]), 1))[:, :width]
