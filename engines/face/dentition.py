"""A person's own upper teeth as a texture (engines/face/tooth_rows.py), lifted from a photo where they are seen."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.drawing.mouth import TEETH_LEFT, TEETH_PX, UPPER_TOP
from engines.face.masks import polygon
from engines.face.paths import cheapest_path
from engines.face.tooth_rows import (
    ENDS_PX,
    HEIGHT_PX,
    TOOTH_WIDTHS,
    WIDTH_PX,
    bow_of,
    learned_edge,
    learned_gaps,
    learned_light,
    learned_teeth,
    median_filter,
    plain_learned,
    texture_places,
)
from engines.face_points import INNER_LIPS


@dataclass(frozen=True)
class Teeth:
    """Upper teeth as a photo shows them."""

    texture: np.ndarray  # (77, 230, 4)
    shown: np.ndarray  # (77, 230) share of it that the photo shows, and no guess
    place: np.ndarray  # (3,) canonical place of the incisors' edge at the midline
    slant: np.ndarray  # (2,) from where they were seen: what one eye distance of depth shifts there (`slant_of`)


def slant_of(rotation: np.ndarray) -> np.ndarray:
    """How far a point one eye distance behind the plane of the face seems shifted in it, x and y; (3, 3) -> (2,)."""
    return np.linalg.solve(rotation[:2, :2], rotation[:2, 2])


# px of the texture that a photo shows. Of 37 smilers' rows five have fewer, and three of them lie in the lip's shade.
TRUSTED_PX = 1000


def enamel_of(teeth: Teeth) -> np.ndarray | None:
    """Colour (3,) 0..255 of a person's own teeth, by which others of theirs can be tinted; None where too few show."""
    seen = teeth.texture[teeth.shown > 0.95][:, :3]
    if len(seen) < TRUSTED_PX:
        return None
    colour: np.ndarray = np.median(seen, 0)
    return colour


DARK_LINE = 0.80  # of a tooth's light: what is darker ends it
BOW_SLACK_PX = 6
NOTCH_PX = 4  # depth of the notches between teeth


def upper_ends(light: np.ndarray, columns: np.ndarray, first: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """y px where the upper teeth end, by column: at the first dark line across them, behind which lower ones begin.

    light (h, w) 0..255; first and bottom row of the pale part in each of the columns.
    """
    smooth = cv2.GaussianBlur(light, (0, 0), sigmaX=1.5, sigmaY=0.7)
    ranges = list(zip(columns, first, bottom, strict=True))
    level = np.array([np.percentile(smooth[a : max(a + 6, b), k], 80) for k, a, b in ranges])
    level = median_filter(level, 31)
    ends = bottom.astype(np.float64)
    for at, (k, upper, lower) in enumerate(ranges):
        below = np.arange(upper + 7, lower)
        dark = below[smooth[below, k] < DARK_LINE * level[at]]
        if len(dark):
            ends[at] = dark[0] - 1
    # Narrow notches are the lines between teeth, narrow spikes columns whose dark line was missed.
    filled = cv2.morphologyEx(ends[None].astype(np.float32), cv2.MORPH_CLOSE, np.ones((1, 19), np.uint8))
    ends = np.maximum(ends, filled[0] - NOTCH_PX)
    cut = cv2.morphologyEx(ends[None].astype(np.float32), cv2.MORPH_OPEN, np.ones((1, 15), np.uint8))
    ends = np.minimum(bottom, np.minimum(ends, cut[0] + 1))
    # A dark line that is missed in many columns: rows of teeth bow like the learned one, and not much more.
    bow = bow_of(columns)
    return np.minimum(ends, bow + np.median(ends - bow) + BOW_SLACK_PX).astype(int)


def score_of(lab: np.ndarray) -> np.ndarray:
    """How much like a tooth each pixel looks, bright and not red; OpenCV's 8-bit Lab as float32 (h, w, 3) -> (h, w)."""
    return lab[..., 0] - 1.6 * np.maximum(lab[..., 1] - 132, 0)


EDGE_SLACK_PX = 10  # how far from the learned row's bow a row may end
LEAST_TOOTH_PX = 15  # no tooth is narrower


def settle_on_edge(score: np.ndarray, columns: np.ndarray, bottom: np.ndarray, pixel: float) -> np.ndarray:
    """Row px by column (float) where upper teeth end: a way down in `score` (h, w), smooth, and about as rows bow.

    bottom: where they were first found, by which the learned row's bow is hung. pixel: width of one of the photo's.
    Lower teeth that stand close behind are as bright; the dark line above them is faint, but where a row ends.
    """
    bow = bow_of(columns)
    usual = np.round(bow + np.quantile(bottom - bow, 0.35)).astype(int)  # a missed line puts it too low, none too high
    reach = np.arange(-EDGE_SLACK_PX, EDGE_SLACK_PX + 1)
    step = max(1, round(pixel))
    rows = np.clip(usual[None] + reach[:, None], step, len(score) - 1 - step)
    fall = (score[rows - step, columns] - score[rows + step, columns]) / 20.0
    cost = 0.8 * (reach[:, None] / 6.0) ** 2 - np.clip(fall, 0.0, 2.0)
    away = lambda k: 0.25 * np.abs(rows[:, k][:, None] - rows[:, k - 1][None])  # noqa: E731
    path = rows[cheapest_path(cost, away), np.arange(len(columns))]
    path = median_filter(path, 9).astype(np.float32)[None]
    # No tooth is so narrow: what hangs down there is a piece of lip.
    path = np.minimum(path, cv2.morphologyEx(path, cv2.MORPH_OPEN, np.ones((1, LEAST_TOOTH_PX), np.uint8)) + 1)
    return cv2.GaussianBlur(path, (0, 0), 1.2)[0]


@dataclass(frozen=True)
class Fit:
    """How the learned row lies on a person's teeth, by column of the texture."""

    columns: np.ndarray  # (230,) the learned row's column that lies there
    edge: np.ndarray  # (230,) row px where its edge lies
    drop: np.ndarray  # (230,) how far it was moved down to get there, px
    softness: float  # of the photo: 0 where single teeth are sharp, 1 where their edges cannot be told


LEVEL_FREEDOM_PX = 3.0, 1.5  # of a tooth's level beside its row's curve, in a sharp photo and a soft one
CORNER_PX = 4  # beside the lines between teeth: an edge there says little of a tooth's level


def fit_row(
    seen: np.ndarray, columns: np.ndarray, first: np.ndarray, bottom: np.ndarray, pixel: float, softness: float = 0.0
) -> Fit:
    """Lay the learned row on the teeth in `seen` (hang_row): line on line, each tooth at one level of its own.

    Levels follow a curve (a row may be tilted and bowed), and differ from it by little, least in soft photos
    (softness_of). So a lip that covers a tooth, or a lower one that touches it, moves its level a little and leaves its
    shape alone.
    """
    everywhere, gaps = np.arange(WIDTH_PX), learned_gaps()
    light = colour_by_column(seen, columns, *plain_part(seen, columns, first, bottom, pixel, softness)).mean(1)
    at = np.interp(everywhere, columns, match_gaps(light, columns, gaps))
    at += np.minimum(everywhere - columns[0], 0) + np.maximum(everywhere - columns[-1], 0)
    learned = np.interp(at, everywhere, learned_edge())
    drop = bottom - learned[columns]
    x = (everywhere + 0.5) / TEETH_PX + TEETH_LEFT
    plain = np.abs(at[columns][:, None] - gaps).min(1) > CORNER_PX
    curve = fit_curve(x[columns][plain], drop[plain])
    line = curve[0] + curve[1] * x + curve[2] * x**2
    tooth, freedom = np.searchsorted(gaps, at), np.interp(softness, (0, 1), LEVEL_FREEDOM_PX)
    levels = np.zeros(WIDTH_PX)
    for k in np.unique(tooth[columns][plain]):
        own = (drop - line[columns])[plain & (tooth[columns] == k)]
        if len(own) > CORNER_PX:
            levels[tooth == k] = np.clip(np.median(own), -freedom, freedom)
    drop = line + cv2.GaussianBlur(levels[None], (0, 0), 1.0)[0]
    return Fit(at, learned + drop, drop, softness)


TILT_DIFFERS, BOW_DIFFERS = 0.05, 0.12  # deviations of rows' edges, by x and by its square, eye distances
CURVE_PX = 2.0  # what an edge found in a column errs by


def fit_curve(x: np.ndarray, drop: np.ndarray) -> np.ndarray:
    """Level px, tilt and bow of a row: a parabola near most of (x, drop), and about as rows are."""
    terms = np.stack([np.ones_like(x), x, x**2], 1)
    prior = np.diag([0.0, *1 / (TEETH_PX * np.array([TILT_DIFFERS, BOW_DIFFERS])) ** 2])
    curve = np.array([np.median(drop), 0.0, 0.0])
    for _ in range(12):
        weights = 1 / (np.maximum(np.abs(drop - terms @ curve), 0.5) * CURVE_PX)  # least absolute distances
        weights *= 2 * len(TOOTH_WIDTHS) / len(x)  # neighbours err alike: a row says as much as its teeth
        curve = np.linalg.solve((terms * weights[:, None]).T @ terms + prior, terms.T @ (weights * drop))
    return curve


# Blur of a mouth, sigma in px of the texture: up to which each tooth keeps the edge it has in the photo, and from which
# that is a piece of lip or of a lower tooth as often as not, so that only its level is its own (42 smiles of 120 to 180
# px between the eyes have 1.3 to 1.85, 155 of 57 to 69 px have 2.15 to 2.75).
SHARP_PX, SOFT_PX, AROUND_PX = 1.7, 2.15, 25  # the last: of the skin beside the lips, which is looked at, too


def softness_of(light: np.ndarray) -> float:
    """How little of single teeth can be told from a mouth (h, w), 0..255: 0 in a sharp photo, 1 in a soft one.

    From how much a second blur weakens its strongest edges (Zhuo & Sim, 2011).
    """

    def gradient(image: np.ndarray) -> np.ndarray:
        return np.hypot(cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1))

    light = light.astype(np.float32)
    first, second = gradient(light), gradient(cv2.GaussianBlur(light, (0, 0), 2.0))
    strong = first >= np.quantile(first, 0.85)
    ratio = float(np.median(first[strong] / np.maximum(second[strong], 1e-3)))
    blur_px = 2.0 / np.sqrt(max(ratio**2 - 1.0, 0.02))
    return float(np.clip((blur_px - SHARP_PX) / (SOFT_PX - SHARP_PX), 0, 1))


def lay_learned(fit: Fit, offset: int) -> np.ndarray:
    """The learned row where it lies on a person's teeth, (77, 230, 4); offset: the texture's first row there."""
    rows = np.arange(HEIGHT_PX)[:, None] + offset - fit.drop
    map_x = np.broadcast_to(fit.columns, rows.shape).astype(np.float32)
    laid = cv2.remap(learned_teeth(), map_x, rows.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    ends = np.abs(fit.columns - (WIDTH_PX - 1) / 2) > (WIDTH_PX - 1) / 2
    laid[:, ends] = 0
    return laid


def colour_by_column(seen: np.ndarray, columns: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Median colours of `seen` (h, w, 3) from row `first` to row `last` in each of the columns, (columns, 3)."""
    return np.array([np.median(seen[a : b + 1, k], 0) for k, a, b in zip(columns, first, last, strict=True)])


RIM_PX = 7.0  # over which a tooth goes over into a learned one below what is seen of it
OWN_OF_SOFT = 0.75  # share of a blurred tooth's own looks; the rest is a learned one's in its light


def hang_row(
    seen: np.ndarray,
    columns: np.ndarray,
    first: np.ndarray,
    bottom: np.ndarray,
    fit: Fit,
    offset: int,
    pixel: float,
) -> tuple[np.ndarray, np.ndarray]:
    """A texture from the teeth in `seen` (h, w, 3), column by column from row `first` to `bottom`, and how far it is
    theirs.

    fit: of the learned row on them, whose edges theirs stay near. offset: the texture's first row there. pixel: width
    of one pixel of the photo, over which what lies beside the teeth tinges them.
    """
    rows = np.arange(HEIGHT_PX) + offset
    edge = edge_beside(bottom, columns, fit)
    start, last = plain_part(seen, columns, first, np.minimum(bottom, edge), pixel, fit.softness)
    own = colour_by_column(seen, columns, start, last)
    margin = max(1, round(pixel))
    smooth_start = np.minimum(cv2.blur(start.astype(np.float32)[None], (9, 1))[0].astype(int) + margin, last)
    here = np.clip(rows[:, None], smooth_start, last)
    theirs = seen[here, columns]
    above = (smooth_start - rows[:, None]).clip(0) / TEETH_PX
    below = (rows[:, None] - last - 1).clip(0) / RIM_PX
    guess = np.clip(np.maximum(above / 0.03, below), 0, 1)[..., None]
    hidden = crowns_above(own, columns, first, smooth_start, edge, rows, fit)
    colour = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.float32)
    cover = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    colour[:, columns] = theirs + np.maximum(guess, (1 - OWN_OF_SOFT) * fit.softness) * (hidden - theirs)
    cover[:, columns] = np.clip((edge - rows[:, None]) / pixel + 0.5, 0, 1)
    texture = np.dstack([colour * cover[..., None], cover])
    shown = cover.copy()
    shown[:, columns] *= 1 - guess[..., 0]
    return cv2.GaussianBlur(texture, (0, 0), 0.6).astype(np.float32), shown


EDGE_FREEDOM_PX, NOTCHES_PX = 4.0, 25  # how far the edge of a sharp tooth may lie from its row; width of notches
SOFT_NOTCHES = 0.4  # depth of the notches between soft teeth, as a share of the learned ones


def edge_beside(bottom: np.ndarray, columns: np.ndarray, fit: Fit) -> np.ndarray:
    """Where the teeth end: at `bottom` in a sharp photo, but for what sticks out of the row; at `fit` in a soft one."""
    whole = fit.edge.astype(np.float32)[None]
    without_notches = cv2.morphologyEx(whole, cv2.MORPH_CLOSE, np.ones((1, NOTCHES_PX), np.uint8))
    learned, straight = whole[0, columns], without_notches[0, columns]
    own = np.clip(bottom, learned - EDGE_FREEDOM_PX, straight + EDGE_FREEDOM_PX)
    own = cv2.GaussianBlur(own.astype(np.float32)[None], (0, 0), 1.0)[0]
    learned = straight + SOFT_NOTCHES * (learned - straight)
    return own + (learned - own) * fit.softness


def plain_part(
    seen: np.ndarray, columns: np.ndarray, first: np.ndarray, bottom: np.ndarray, pixel: float, softness: float
) -> tuple[np.ndarray, np.ndarray]:
    """First and last row in each column, int, of teeth that nothing beside them tinges."""
    last = np.maximum(bottom.astype(int) - round((2 + softness) * pixel), first)
    return below_lip(seen, columns, np.minimum(first + max(1, round(pixel)), last), last), last


def below_lip(seen: np.ndarray, columns: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The row in each column from which teeth are neither in the upper lip's shade nor tinged by it."""
    start = first.copy()
    for at, (k, upper, lower) in enumerate(zip(columns, first, last, strict=True)):
        column = seen[upper : lower + 1, k].astype(np.float32)
        usual = np.median(column[len(column) // 3 :], 0)
        dark = column.mean(1) < 0.88 * usual.mean()
        red = column[:, 1] / column[:, 0].clip(1) < 0.96 * usual[1] / max(usual[0], 1)
        tinged = np.flatnonzero((dark | red)[: max(1, 2 * len(column) // 3)])
        start[at] += tinged.max() + 1 if len(tinged) else 0
    return np.clip(median_filter(start, 9), first, last).astype(int)


TOOTH_BLUR_PX = 8.0  # over which a tooth's own colour is taken for what the lip hides of it
SCALLOPS_PX = 3.0  # how far teeth reach up between the lines between them where their gums are seen
CROWN_PX, SHORT_CROWN = 44.0, 0.75  # height of the learned row's crowns; the shortest ones, as a share of it


def crowns_above(
    own: np.ndarray,
    columns: np.ndarray,
    first: np.ndarray,
    start: np.ndarray,
    bottom: np.ndarray,
    rows: np.ndarray,
    fit: Fit,
) -> np.ndarray:
    """What the lip hides of the teeth in `columns` at `rows`, (rows, columns, 3): the learned crowns and gums, in the
    own teeth's places, widths, height and light.

    own (columns, 3): colours of the teeth, pale from row `first`, plain from row `start` down to row `bottom`.
    """
    plain, likeness, gaps, at = plain_learned(), learned_light(), learned_gaps(), fit.columns[columns]
    smooth = lambda values: cv2.GaussianBlur(values.astype(np.float32)[None], (0, 0), TOOTH_BLUR_PX)[0]  # noqa: E731
    at = np.clip(at, ENDS_PX, WIDTH_PX - 1 - ENDS_PX)
    light = smooth(own) / np.maximum(smooth(likeness)[at.round().astype(int)], 1)
    light = np.minimum(light, 1.3 * np.median(light, 0))
    # Gums go down between teeth; a lip is straight. Where it hides the necks, crowns are the learned ones or longer.
    line = np.abs(at[:, None] - gaps).min(1)
    tooth, gap = line > 9, line < 3
    hidden = max(CROWN_PX, float(np.quantile(bottom - start, 0.9)) + 8)
    scallops = np.median(first[gap]) - np.median(first[tooth]) if tooth.any() and gap.any() else 0.0
    crown = float(np.median((bottom - first)[tooth])) if scallops > SCALLOPS_PX else hidden
    crown = crown if crown > SHORT_CROWN * CROWN_PX else hidden
    height = (bottom - rows[:, None]) * (CROWN_PX / crown)
    map_y = (np.interp(at, np.arange(WIDTH_PX), learned_edge()) - height).astype(np.float32)
    map_x = np.broadcast_to(at.astype(np.float32), map_y.shape).copy()
    return cv2.remap(plain, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * light


GAP_REACH_PX, LEAST_GAP_DEPTH = 9, 0.97  # how far a line between teeth lies from its place, at most; its light, at most


def match_gaps(light: np.ndarray, columns: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """The learned row's column for each of a person's `columns`, so that lines between teeth fall on lines.

    light (columns,): of the person's teeth; gaps: the learned row's lines. From the midline out; where none is found
    within GAP_REACH_PX of its place, the tooth is as wide as a learned one.
    """
    relative = light / np.maximum(median_filter(light, 41), 1)
    middle = int(np.abs(gaps - WIDTH_PX / 2).argmin())
    found = gaps.astype(np.float64)
    for order in (range(middle, len(gaps)), range(middle - 1, -1, -1)):
        for k in order:
            inner = middle if k == middle else k + (1 if k < middle else -1)
            expected = gaps[k] + (found[inner] - gaps[inner] if k != middle else 0.0)
            near = np.abs(columns - expected) <= GAP_REACH_PX
            found[k] = expected
            if near.any():
                depth = np.where(near, relative + 0.004 * np.abs(columns - expected), 9.0)
                best = int(depth.argmin())
                if relative[best] < LEAST_GAP_DEPTH:
                    found[k] = columns[best]
    ends = np.array([0.0, WIDTH_PX - 1.0])
    shifts = found - gaps
    own_places = np.concatenate([[ends[0] + shifts[0]], found, [ends[1] + shifts[-1]]])
    learned_places = np.concatenate([ends[:1], gaps, ends[1:]])
    return np.interp(columns, own_places, learned_places)


FADE_PX = 14  # over which a person's own row goes over into the learned one


def complete_row(texture: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """A person's teeth, continued at both ends by the learned row, laid on them (lay_learned), in their light."""
    cover = texture[..., 3]
    x, _ = texture_places()
    columns = np.flatnonzero(cover.max(0) > 0.5)
    inner = slice(columns[0] + FADE_PX, columns[-1] - FADE_PX)
    seen = cover[:, inner] > 0.9
    both = seen & (learned[:, inner, 3] > 0.9) & (np.abs(x[:, inner]) < 0.22)
    if not both.any():
        return texture
    light = np.median(texture[:, inner][both], 0)[:3] / np.maximum(np.median(learned[:, inner][both], 0)[:3], 1)
    fade = np.clip(np.minimum(np.arange(WIDTH_PX) - columns[0], columns[-1] - np.arange(WIDTH_PX)) / FADE_PX, 0, 1)
    fade = fade * np.clip(cover.max(0), 0, 1)  # columns inside the row that the photo does not show
    own = texture * fade.astype(np.float32)[None, :, None]
    behind = learned * np.array([*light, 1.0], np.float32)
    behind = behind * (1 - fade).astype(np.float32)[None, :, None]
    return own + behind


LEAST_SHOWN_PX = 6  # of the height of most teeth, and two and a half of the photo's
LEAST_GAP = 0.045  # inner lips closer than this (eye distances) show no teeth worth lifting
LEAST_SHARE, LEAST_WIDTH = 0.22, 0.22  # of the opening that is teeth; of their row, eye distances


def lift_teeth(
    photo: np.ndarray, landmarks: np.ndarray, aligned: np.ndarray, rotation: np.ndarray, scale: float
) -> Teeth | None:
    """The upper teeth between the lips of a smiling or open mouth; None where too little of them is seen.

    landmarks (478, 3) px, aligned: the same in the canonical frame. Teeth are the bright, pale part that hangs from the
    upper lip; their necks, which the lip hides, are continued upwards.
    """
    lips = aligned[list(INNER_LIPS)].astype(np.float64)
    if np.median(lips[12:19, 1] - lips[2:9, 1][::-1]) < LEAST_GAP:
        return None
    middle_x = float(lips[[0, 10], 0].mean())
    top_y, bottom_y = float(lips[:, 1].min()) - 0.02, float(lips[:, 1].max()) + 0.02
    depth = float(lips[5, 2]) + 0.06
    width, height = WIDTH_PX, int((bottom_y - top_y) * TEETH_PX)
    y, x = np.mgrid[:height, :width]
    flat_x, flat_y = (x + 0.5) / TEETH_PX + TEETH_LEFT + middle_x, (y + 0.5) / TEETH_PX + top_y
    centre = landmarks[list(INNER_LIPS), :2].mean(0) - scale * (rotation[:2] @ lips.mean(0))
    places = np.stack([flat_x, flat_y, np.full_like(flat_x, depth)], -1)
    px = (scale * places @ rotation[:2].T + centre).astype(np.float32)
    seen = cv2.remap(photo, px[..., 0], px[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    outline = (lips[:, :2] - (TEETH_LEFT + middle_x, top_y)) * TEETH_PX
    opening = np.minimum(cv2.erode(polygon(outline, (height, width)), np.ones((3, 3), np.uint8)), 1)
    if opening.sum() < 400:
        return None
    lab = cv2.cvtColor(seen, cv2.COLOR_RGB2LAB).astype(np.float32)
    score = np.clip(cv2.GaussianBlur(score_of(lab), (0, 0), 2), 0, 255)
    threshold, _ = cv2.threshold(score[opening > 0].astype(np.uint8).reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    teeth = ((score > threshold) & (opening > 0)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        cv2.morphologyEx(teeth, cv2.MORPH_CLOSE, np.ones((5, 5)))
    )
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    row = cv2.morphologyEx((labels == largest).astype(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8)) > 0
    if row.sum() < LEAST_SHARE * opening.sum():
        return None
    columns, first, bottom = span_of(row)
    if len(columns) < LEAST_WIDTH * TEETH_PX:
        return None
    bottom = np.minimum(bottom, upper_ends(lab[..., 0], columns, first, bottom))
    central = np.abs(columns - outline[[0, 10], 0].mean()) < 0.08 * TEETH_PX
    if central.sum() < 5:
        return None
    edge_y = float(np.median(bottom[central])) / TEETH_PX + top_y

    pixel = TEETH_PX / scale
    bottom = settle_on_edge(cv2.GaussianBlur(score_of(lab), (0, 0), 0.7), columns, bottom, pixel)
    low, high = outline.min(0).astype(int) - AROUND_PX, outline.max(0).astype(int) + AROUND_PX
    softness = softness_of(lab[max(0, low[1]) : high[1], max(0, low[0]) : high[0], 0])
    fit = fit_row(seen, columns, first, bottom, pixel, softness)
    offset = round((edge_y - top_y + UPPER_TOP) * TEETH_PX)
    texture, shown = hang_row(seen, columns, first, bottom, fit, offset, pixel)
    if np.median(shown[:, columns].sum(0)) < max(LEAST_SHOWN_PX, 2.5 * pixel):
        return None  # a slit between lips, of their colour
    whole = complete_row(texture, lay_learned(fit, offset))
    return Teeth(whole, shown, np.array([middle_x, edge_y, depth]), slant_of(rotation))


def span_of(row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of the teeth in a mask (h, w), first and last row in each; without slits and slivers in between."""
    seen = np.pad(row.any(0).astype(np.uint8), LEAST_TOOTH_PX)[None]
    whole = cv2.morphologyEx(seen, cv2.MORPH_CLOSE, np.ones((1, LEAST_TOOTH_PX), np.uint8))
    whole = cv2.morphologyEx(whole, cv2.MORPH_OPEN, np.ones((1, LEAST_TOOTH_PX), np.uint8))
    columns, found = np.flatnonzero(whole) - LEAST_TOOTH_PX, np.flatnonzero(row.any(0))
    ends = row[:, found].argmax(0), len(row) - 1 - row[::-1, found].argmax(0)
    first, bottom = (np.interp(columns, found, end).round().astype(int) for end in ends)
    return columns, first, bottom
