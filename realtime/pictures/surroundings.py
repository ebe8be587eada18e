"""What lies beside a photo that is too narrow for the picture: its wall goes on, out of focus, and shoulders fall off.

Nobody knows what is there, so it is made of what the photo shows near its edges, folded outwards like a page, the
farther out the wider: wall and cloth meet the edge as they are, and no second head shows. Wall and person are told
apart (engines/face/person.py) and softened each for itself, so that no shirt runs into the wall. The photo's own wall,
where it is plain, stays as it is but for its last strip, in which it begins to lose its focus: there is no line at
which sharp turns soft. A wall with detail is out of focus all over, as behind a portrait lens: its sides are a fog.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.drawing.geometry import ease
from engines.face.masks import whole_face
from engines.face.measure import eye_distance, eyes_of
from engines.face.person import person_mask

# Lengths are in eye distances, unless said otherwise; `out` is how far a column lies out of the photo.
FOLD = 0.4  # so deep a strip of the photo is folded out
WALL_SOFT = np.array([(-0.4, 0.0), (0.0, 0.05), (0.5, 0.14), (2.5, 0.4)])  # sigma by the way out
# A wall with detail (bricks, leaves, a street) would end where its sides begin, so all of it is out of focus. Detail:
# mean difference, 0..255, of a strip near the edges and the same softened: 13 of 14 strangers' photos whose sides
# disturbed have 2 and more, studio walls up to 0.4. Sigma of grain, of the height; of what is coarser; the strip.
DETAIL = (1.5, 4.0)
DETAIL_FINER, DETAIL_COARSER, DETAIL_WITHIN = 0.004, 0.14, 1.0
EVEN_SOFT = 0.08  # sigma of such a wall, everywhere
WALL_FADES = 0.1  # beside the mask's line: over so much it goes out of focus, for it holds loose hair;
# sooner what has the wall's colour, not the person's: how far from the one to the other what may be, wholly and no
# more; by how many levels they must differ; how softly both are looked at; from where on beside the line.
WALL_LIKE, APART, LOOKED_SOFT, HAIR_LINE = (0.25, 0.55), (15.0, 40.0), 0.06, 0.012
# So deep a strip of it is folded out at most, and only as far as so much of what is wall at the edge still is: what is
# stretched less is no band, and what is filled behind a head is none either.
DETAIL_FOLD, STILL_WALL = 1.2, 0.7
WHOLE_SIDE = 1.2  # the wall of a narrower side is less soft
CLOTH_SOFT = np.array([(0.0, 0.0), (0.3, 0.02), (1.5, 0.08)])
HAIR_SOFT = np.array([(0.0, 0.0), (0.1, 0.015), (0.5, 0.06)])
LINE_SOFT = 0.015  # sigma of the person's line outside the photo
FOLLOWS = 0.4  # so far out the wall sinks with the person's line
CLEAR = 0.08  # what lies so near to the mask's line is neither wall nor person,
MEETS = 0.15  # which is so from here on; nearer to the photo all goes on as it is there
WALL_CLEAR = np.array([(0.0, 0.0), (MEETS, CLEAR), (0.6, 0.25)])  # far out, loose hair would show a second time
LEAST_PERSON = 0.5  # share of the face that must be a person's, or the mask is another's
MOST_ROWS = 720  # of a picture whose sides are made at its own size
LEAST_UNIT = 0.1  # of the height: eyes that are nearer together say nothing

SHORTEST, SHORTEST_ABOVE = 0.12, 0.35  # of what the edge cuts, at the picture's end and above it
TRACED = 0.5  # lines are followed so far into the photo
ARMS = 3.7  # beside the nose: where upper arms end
SHOULDERS_FROM = -0.2  # below the chin: what begins higher and rises outwards is no shoulder
SHOULDER, LEAST_SHOULDER = 1.1, 0.7  # a shoulder's round end: its height; its least width
STEEPEST_SHOULDER = 1.1  # rows for a column, of what begins between nose and chin (measured: 0.2 to 0.9); or it is hair
SHOULDER_FALL, HAIR_FALL = (0.2, 1.0), (0.3, 5.0)  # how steep they go on, rows for a column
HAIR_OUT, HAIR_END = (0.15, 0.5), 0.7  # what is cut above: how far it goes on; the most rows over which it bends down
HAIR_BENDS = (0.15, 1.0)  # share of its height by which its line comes there: where both its ends show; else
STRAND_FALL, STRANDS_ALIKE, STRANDS_FROM = (-0.5, 3.5), 0.4, 0.4  # of strands; sigma down; from there below the line
ALONG_LINE = 1.5  # so steep they are at most right below the line: drawn out farther, curls are streaks
LEAST_APART = 0.4  # of how far apart they were: strands do not cross
STRANDS = np.array([(0.015, 1.0), (0.05, 2.0), (0.2, 2.0)])  # sigma of how thick they are; how much each tells
SHORTEST_STRAND, STRAND_FADES = 0.6, 0.4  # of the way out: where the shortest ends; over how much each fades

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

    landmarks (478, 3) px of `shown`. The person in it stays bit for bit, and so does a plain wall not near its edges.
    Sides of a picture of more than MOST_ROWS are made so small, and enlarged: out of focus, nobody sees it.
    """
    height, shown_width = shown.shape[:2]
    if height <= MOST_ROWS:
        return make_sides(shown, width, inside, landmarks)
    ratio = MOST_ROWS / height
    left, right = round(inside * ratio), round((inside + shown_width) * ratio)
    small = cv2.resize(shown, (right - left, MOST_ROWS), interpolation=cv2.INTER_AREA)
    made = make_sides(small, round(width * ratio), left, (landmarks * ratio).astype(np.float32))
    changed = (made[:, left:right] != small).any(2).astype(np.float32)
    framed = cv2.resize(made, (width, height), interpolation=cv2.INTER_CUBIC)
    share = cv2.resize(changed, (shown_width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    here = framed[:, inside : inside + shown_width]
    here[:] = shown + share * (here.astype(np.float32) - shown) + 0.5
    return framed


def make_sides(shown: np.ndarray, width: int, inside: int, landmarks: np.ndarray) -> np.ndarray:
    """The same at the picture's own size."""
    height, shown_width = shown.shape[:2]
    here = slice(inside, inside + shown_width)
    unit = float(eye_distance(landmarks))
    mask = find_person(shown, landmarks, unit)
    unit = max(unit, LEAST_UNIT * height)
    source, out_px = fold_out(width, inside, shown_width, FOLD * unit)
    out = out_px / unit
    beyond = go_on(shown, mask, source, out_px, inside, landmarks, unit)
    beside, within = from_line(mask, unit)

    side = np.where(np.arange(width) < width / 2, inside, width - here.stop) / unit
    soft = unit * np.interp(out, *WALL_SOFT.T) * np.minimum(side / WHOLE_SIDE, 1)
    detailed = detail_of(shown, beside, unit) * min(float(side.max()) / WHOLE_SIDE, 1) if mask.any() else 0.0
    wall_source = source
    if detailed > 0:
        soft = np.maximum(soft, EVEN_SOFT * unit * detailed)
        left, right = (free_of_person(seen, unit) for seen in (beside, beside[:, ::-1]))
        deep = np.where(np.arange(width) < inside + shown_width / 2, left, right)
        wall_source = fold_out(width, inside, shown_width, unit * (FOLD + detailed * (deep - FOLD)))[0]
    sigma = np.broadcast_to(soft.astype(np.float32), (height, width))
    place = wall_source, beyond.lower * (1 - ease(out / FOLLOWS)).astype(np.float32)
    is_wall = fetch(beside, *place) > np.interp(out, *WALL_CLEAR.T).astype(np.float32)
    grain = Grain(shown, landmarks)
    made = soften(fetch(shown, *place), is_wall, sigma)
    made += lost_grain(sigma) * grain.make(beside > CLEAR, width)
    # Where nobody was told from the wall, all of the photo may be the person.
    softened = np.minimum(sigma[:, here], 1) * ease((beside - CLEAR) / CLEAR) * mask.any()
    if detailed > 0:
        loose = np.maximum(ease(beside / WALL_FADES), like_wall(shown, beside, within, unit))
        softened += detailed * (loose - softened)
    made[:, here] = shown + softened[..., None] * (made[:, here] - shown)

    clear = CLEAR * np.clip(out / MEETS, 0, 1)
    own_grain = grain.make(within > CLEAR, width)
    for columns in (slice(inside), slice(here.stop, None)):
        person = beyond.person[:, columns, None]
        if not person.any():
            continue
        hair, cloth = (unit * np.interp(out[columns], *table.T) for table in (HAIR_SOFT, CLOTH_SOFT))
        sigma = np.where(beyond.hair[:, columns], hair, cloth).astype(np.float32)
        place = source[columns], beyond.lower[:, columns]
        own = soften(fetch(shown, *place), fetch(within, *place) > clear[columns], sigma)
        own += lost_grain(sigma) * own_grain[:, columns]
        made[:, columns] += person * (own - made[:, columns])
    return np.clip(made + 0.5, 0, 255).astype(np.uint8)


def find_person(shown: np.ndarray, landmarks: np.ndarray, unit: float) -> np.ndarray:
    """How likely each pixel of (H, W, 3) uint8 shows the person, (H, W) float32 0..1; zeros where nobody knows.

    The person is what hangs together with the face. All else is somebody else, or a thing that looks like one.
    """
    nobody = np.zeros(shown.shape[:2], np.float32)
    face = whole_face(landmarks, shown.shape[:2])
    if unit < 1 or not face.any():
        return nobody
    mask = person_mask(shown, eyes_of(landmarks), unit)
    if mask is None or mask[face].mean() < LEAST_PERSON:
        return nobody
    parts = cv2.connectedComponents(((mask >= 0.5) | face).astype(np.uint8))[1]
    own = cv2.dilate((parts == parts[face][0]).astype(np.uint8), np.ones((9, 9)))  # with its soft line
    return np.where(own > 0, mask, nobody)


def from_line(mask: np.ndarray, unit: float) -> list[np.ndarray]:
    """How far beside the person each pixel lies, and how far within, (H, W) float32 eye distances; or 0."""
    seen = (mask >= 0.5).astype(np.uint8)
    return [cv2.distanceTransform(part, cv2.DIST_L2, 5) / np.float32(unit) for part in (1 - seen, seen)]


def detail_of(shown: np.ndarray, beside: np.ndarray, unit: float) -> float:
    """How much of a wall's detail would end at the photo's edges, 0..1; beside (H, W) as of `from_line`."""
    columns = np.arange(shown.shape[1])
    near = np.minimum(columns, columns[::-1]) < DETAIL_WITHIN * unit
    where = near & (beside > MEETS)
    if not where.any():
        return 0.0
    finer = cv2.GaussianBlur(shown.astype(np.float32), (0, 0), DETAIL_FINER * len(shown))
    sigma = np.full(beside.shape, DETAIL_COARSER * unit, np.float32)
    coarser = soften(shown.astype(np.float32), beside > CLEAR, sigma)
    detail = float(np.abs(finer - coarser).mean(2)[where].mean())
    return float(ease(np.array((detail - DETAIL[0]) / (DETAIL[1] - DETAIL[0]))))


def like_wall(shown: np.ndarray, beside: np.ndarray, within: np.ndarray, unit: float) -> np.ndarray:
    """How sure it is, by colour, that a pixel right beside the person is wall and no loose hair, (H, W) float32 0..1.

    shown (H, W, 3) uint8; beside, within (H, W) as of `from_line`. 0 where wall and person look alike.
    """
    picture, sigma = shown.astype(np.float32), np.full(beside.shape, LOOKED_SOFT * unit, np.float32)
    wall = soften(picture, beside > WALL_FADES, sigma)
    way = soften(picture, within > HAIR_LINE, sigma) - wall
    far = np.sqrt(np.square(way).sum(2))
    share = ((picture - wall) * way).sum(2) / np.maximum(far, 1.0) ** 2
    unlike = np.clip((share - WALL_LIKE[0]) / (WALL_LIKE[1] - WALL_LIKE[0]), 0, 1)
    sure = np.clip((far - APART[0]) / (APART[1] - APART[0]), 0, 1)
    sure *= np.clip(beside / HAIR_LINE, 0, 1)  # the person stays
    surely = sure * (1 - unlike)
    # Loose hair hangs together with the person; what does not is a dark crumb of the wall.
    hair = ((surely < 0.5) & (beside < WALL_FADES)).astype(np.uint8)
    parts = cv2.connectedComponents(hair, connectivity=4)[1]
    own = np.isin(parts, np.unique(parts[within > 0]))
    crumbs = cv2.GaussianBlur((~own & (hair > 0)).astype(np.float32), (0, 0), 1.0)
    surer: np.ndarray = np.maximum(surely, sure * np.minimum(2 * crumbs, 1))
    return surer


def free_of_person(beside: np.ndarray, unit: float) -> float:
    """How deep from the left edge a wall with detail is folded out, eye distances; beside (H, W) as of `from_line`."""
    rows = (beside > MEETS).sum(0)
    free = rows >= max(1, STILL_WALL * rows[0])
    reach = len(free) if free.all() else int(free.argmin())
    return float(np.clip(reach / unit, FOLD, DETAIL_FOLD))


def fold_out(width: int, inside: int, shown_width: int, depth: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each of the picture's columns the photo's column that goes there, and how far out of the photo it lies, px.

    Beyond the edges the way leads back into the photo, slower and slower, and never `depth` px, of each column, deep.
    Two of (width,).
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

    source, out_px (W,) as of `fold_out`. Shoulders fall off as far out as arms end, hair soon, strand by strand. What
    is folded out sinks with their line, so that cloth goes on along it and strands along themselves.
    """
    height, shown_width = mask.shape
    size = height, len(source)
    person, lower, hair = np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(size, bool)
    rows = np.arange(height, dtype=np.float32)[:, None]
    for is_right in (False, True):
        columns = slice(inside + shown_width, None) if is_right else slice(inside)
        out, back = out_px[columns], source[columns]
        if len(out) == 0:
            continue
        # As if it were the left edge.
        turned = slice(None, None, -1 if is_right else 1)
        picture, seen = shown[:, turned], mask[:, turned] >= 0.5
        nose = float(landmarks[1, 0])
        depth, to_nose = (shown_width - 1 - back, shown_width - nose) if is_right else (back, nose)
        for top, bottom in cut_by_edge(seen, unit):
            steep = steepness(seen, top, bottom, unit)
            is_low = bottom == height and is_shoulder(top, steep, landmarks, unit)
            if bottom < height and bottom - top < SHORTEST_ABOVE * unit:
                continue
            if is_low:
                fall = falls = np.clip(steep, *SHOULDER_FALL)
                end = max(ARMS * unit - to_nose, LEAST_SHOULDER * unit)
                line = round_off(end, min(SHOULDER * unit, bottom - top), fall)
            else:
                line, fall = hair_line(top, bottom, height, steep, unit)
                end = line[-1, 0]
                along = min(fall, ALONG_LINE)
                own = strand_falls(picture, seen, along, unit)[:, None]
                falls = along + ease((rows - top) / (STRANDS_FROM * unit)) * (own - along)
            points = close(line, top, bottom, height, unit)
            points[:, 0] = inside + shown_width - 0.5 + points[:, 0] if is_right else inside - 0.5 - points[:, 0]
            shape = cv2.fillPoly(np.zeros(size, np.uint8), [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
            one = cv2.GaussianBlur(shape, (0, 0), max(0.5, LINE_SOFT * unit)).astype(np.float32) / 255
            if bottom < height:  # it curls: strands have no way to go
                sunk = np.zeros_like(one[:, columns])
            else:
                near = np.minimum(out, end)
                bend = np.interp(near, *line.T) - fall * near if top > 0 else 0 * near
                sunk = sink(rows, falls, near + np.minimum(depth, near), bend)
                away = np.interp(out, *line.T) + top - rows
                sunk *= 1 - ease(away / np.maximum(unit, 2 * np.abs(sunk)))  # not so fast that rows change places
            lower[:, columns] = np.where(np.abs(sunk) > np.abs(lower[:, columns]), sunk, lower[:, columns])
            if not is_low:
                hair |= one > 0
                ends = strand_ends(height, unit, STRANDS if bottom == height else STRANDS[-1:])
                ends = np.interp(rows - sunk, rows[:, 0], ends)
                one[:, columns] *= 1 - ease(1 + (out / end - ends) / STRAND_FADES)
            person = np.maximum(person, one)
    person[:, inside : inside + shown_width] = mask
    return Beyond(person, lower, hair)


def is_shoulder(top: int, steep: float, landmarks: np.ndarray, unit: float) -> bool:
    """Whether what the edge cuts from row `top` to the picture's end is a shoulder; if not, hair."""
    nose, chin = landmarks[[1, 152], 1]
    if top > chin:
        return True
    falls_out = steep > 0 or top > chin + SHOULDERS_FROM * unit
    return bool(top > nose and steep < STEEPEST_SHOULDER and falls_out)


def hair_line(top: int, bottom: int, height: int, steep: float, unit: float) -> tuple[np.ndarray, float]:
    """The line (n, 2) by which hair goes on that the edge cuts from row `top` to `bottom`, and how steep it begins.

    What falls steep does not come far, and where both ends show they meet in one curve.
    """
    both = top > 0 and bottom < height
    tall = (bottom - top) * HAIR_BENDS[0 if both else 1]
    fall = float(np.clip(steep, *HAIR_FALL))
    end = float(np.clip(tall / fall, HAIR_OUT[0] * unit, HAIR_OUT[1] * unit))
    fall = min(fall, tall / end)
    return round_off(end, min(HAIR_END * unit, (bottom - top) / (2 if both else 1) - fall * end), fall), fall


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


def steepness(seen: np.ndarray, top: int, bottom: int, unit: float) -> float:
    """How steep a person falls towards the left edge, which cuts it from row `top` to `bottom`, rows for a column.

    Its upper line or, where both show, the mean of what that falls and the lower one rises; 0 where none does.
    """
    falls = [fall_of(seen, top, unit)] if top > 0 else []
    falls += [fall_of(seen[::-1], len(seen) - bottom, unit)] if bottom < len(seen) else []
    return float(np.mean(falls)) if falls else 0.0


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


def strand_ends(height: int, unit: float, strands: np.ndarray) -> np.ndarray:
    """How far out the strands end that begin in each row, (height,), shares of the way; strands as in STRANDS."""
    white = np.random.default_rng(0).standard_normal((height, 1), np.float32)
    mixed = np.zeros(height)
    for thick, tells in strands:
        wave = cv2.GaussianBlur(white, (1, 0), 0.1, None, thick * unit)[:, 0]
        mixed += tells * wave / max(float(wave.std()), 1e-6)
    order = mixed.argsort().argsort() / max(height - 1, 1)  # as many short ones as long ones
    ends: np.ndarray = SHORTEST_STRAND + (1 - SHORTEST_STRAND) * order
    return ends


def sink(rows: np.ndarray, falls: np.ndarray, way: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """How much higher what comes to lie in each row (H, 1) of each column (n,) began, (H, n) float32 rows.

    falls (H, 1) for each column of the `way` (n,), by where it begins; and all of a column by `bend` (n,).
    """
    nearer = (1 - LEAST_APART) / max(float(way.max()), 1) * rows  # so much they may come together
    falls = np.maximum.accumulate(falls + nearer) - nearer
    ends = rows + falls * way + bend
    begins = np.stack([np.interp(rows[:, 0], end, rows[:, 0]) for end in ends.T], 1)
    sunk: np.ndarray = (rows - begins).astype(np.float32)
    return sunk


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
    lower = (
        (line * np.array([1, -1]) + np.array([0, bottom]))[::-1]
        if bottom < height
        else np.array([(end, height + unit)])
    )
    return np.vstack([upper, lower, (-unit, lower[-1, 1]), (-unit, upper[0, 1])])


def lost_grain(sigma: np.ndarray) -> np.ndarray:
    """How much of its grain a picture has lost that is out of focus by sigma (H, W) px, (H, W, 1) 0..1."""
    return np.minimum(sigma / np.float32(GRAIN_LOST * len(sigma)), 1)[..., None]


class Grain:
    """The noise of a photo (H, w, 3) uint8, which goes on where it is out of focus; landmarks (478, 3) px of it."""

    def __init__(self, shown: np.ndarray, landmarks: np.ndarray) -> None:
        height = len(shown)
        self.patch = max(4, round(PATCH * height))
        self.fine = shown - cv2.GaussianBlur(shown.astype(np.float32), (0, 0), FINER * height)
        self.energy = cv2.boxFilter((self.fine**2).sum(2), -1, (self.patch, self.patch))
        skin = self.plain_place(whole_face(landmarks, shown.shape[:2]))
        self.most = np.inf if skin is None else self.energy[skin]  # leaves and weave are no noise

    def plain_place(self, where: np.ndarray) -> tuple[int, int] | None:
        """The middle of a plain patch all of which lies in `where`, (H, w) bool: row, column."""
        patch, step = self.patch, self.patch // 4
        whole = cv2.erode(
            where.astype(np.uint8), np.ones((patch, patch)), borderType=cv2.BORDER_CONSTANT, borderValue=0
        )
        places = np.argwhere(whole[::step, ::step]) * step
        if len(places) == 0:
            return None
        row, column = places[np.argsort(self.energy[tuple(places.T)], kind="stable")[int(PLAINER * len(places))]]
        return int(row), int(column)

    def make(self, where: np.ndarray, width: int) -> np.ndarray:
        """Noise (H, width, 3) as in a plain place `where`, (H, w) bool, no stronger than skin's; zeros without one."""
        height, patch = len(where), self.patch
        place = self.plain_place(where)
        if place is None:
            return np.zeros((height, width, 3), np.float32)
        y, x = place[0] - patch // 2, place[1] - patch // 2
        taper = np.outer(*[np.hanning(patch + 2)[1:-1]] * 2)[..., None]
        taken = self.fine[y : y + patch, x : x + patch] * taper / np.sqrt((taper**2).sum())
        taken *= np.sqrt(min(1.0, self.most / max(self.energy[place], 1e-6)))
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
