"""One row of upper teeth out of many people's: a mean texture and the main ways in which teeth differ.

    python -m train.face.teeth DATA engines/weights

DATA/faces/london holds smiles. Each mouth that shows its upper teeth well is turned to the front and laid into the
frame below; its teeth are found one by one (the dark lines between them, their edges), scaled by their own width and
moved onto the mean row's places, so that the lines of all fall together and the mean stays sharp. What lips hide is
missing, not dark: means and components are taken over what is seen. Mirror images double the data. No person's teeth
are in the file: the mean is over many, and the components are few.

Frame (engines/face/tooth_rows.py reads it): eye distances, x = 0 at the incisors' midline, y = 0 at the central
incisors' edge, y down; x in [-0.45, 0.45], y in [-0.25, 0.05], 256 px for one eye distance: (77, 230) px. teeth.npz
holds `relief` (77, 230, 3) float16, colour as a factor of the teeth's own white; `cover` (77, 230) float16, 0..1;
`components` (K, 77, 230, 3) float16 and `spread` (K,), their standard deviations: relief + sum of c_k * components_k is
another row of teeth; `white` (3,), the colour of teeth, its mean 1.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from engines.drawing.mouth import TEETH_LEFT, TEETH_PX, UPPER_TOP
from engines.face.landmarker import Landmarker
from engines.face.measure import canonical_face, mouth_measures, remove_pose
from engines.face.photo import read_photo
from engines.face.tooth_rows import HEIGHT_PX, WIDTH_PX
from engines.face_points import INNER_LIPS
from train.npz_export import export_npz

MODEL = "teeth"
PX, LEFT, TOP = TEETH_PX, TEETH_LEFT, UPPER_TOP
VIEW_WIDTH_PX, VIEW_HEIGHT_PX = 300, 150
LEAST_GAP = 0.06  # of the inner lips, eye distances
TEETH = 5  # a side: central and lateral incisor, canine, two premolars
# Seen widths of the five from the front, px, and how much they vary (my measurements of the photos).
TYPICAL_PX, VARIATION_PX = np.array([33.0, 25, 24, 19, 16]), np.array([4.0, 3.5, 3.5, 3.5, 4])
SHARPEN = 1.3  # brings the mean's gradients to one row's
NOTCH_PX = 3.5  # how far the edge rises between two teeth
BOW_PX = 3.0
# How far a tooth's edge rises at its corners, px, nearer to the midline and away from it, and the power of that rise
# over half its width: incisors are squarer towards the midline, laterals rounder, canines pointed. A mean of many edges
# is a staircase; one row has open corners.
CORNERS = ((2.2, 6.5, 4.5), (5.0, 8.0, 3.0), (8.0, 10.0, 1.8), (6.0, 7.0, 2.0), (5.0, 6.0, 2.0))
# No row is a ruler: levels of the five, px, on the left and right side of the picture.
UNEVEN_PX = ((0.2, -1.2, 0.8, -0.5, 0.0), (-0.4, 0.9, -0.9, 0.5, 0.0))
RIM = 0.97
REACH = 0.45
COMPONENTS = 4
LEAST_LIKE = 0.8  # correlation with the mean of rows that the components are made from
LICENCES = {"Face Research Lab London Set, DeBruine & Jones 2017, doi 10.6084/m9.figshare.5047666.v5": "CC BY 4.0"}


@dataclass(frozen=True)
class View:
    """A mouth seen from the front, 256 px for one eye distance."""

    name: str
    picture: np.ndarray  # (VIEW_HEIGHT_PX, VIEW_WIDTH_PX, 3) float32 RGB 0..255
    opening: np.ndarray  # (h, w) bool: between the inner lips
    middle_px: float  # x of the nose and eyes' midline


@dataclass(frozen=True)
class Row:
    """The upper teeth found in a view."""

    bounds: np.ndarray  # (2, TEETH + 1) px: x of the lines between teeth from the midline out, left and right of it
    edges: np.ndarray  # (2, TEETH) px: y of each tooth's edge
    mask: np.ndarray  # (h, w) bool: teeth that are seen

    @property
    def width_px(self) -> float:
        """Mean width of the central incisors."""
        return float(np.abs(self.bounds[:, 1] - self.bounds[:, 0]).mean())


def front_view(name: str, photo: np.ndarray, landmarks: np.ndarray) -> View | None:
    """Lay the mouth's opening into a plane behind the lips that looks at the camera; None where it is not open."""
    aligned, rotation, scales, _ = (part[0] for part in remove_pose(landmarks[None], canonical_face()))
    if float(mouth_measures(aligned[None])[0, 0]) < LEAST_GAP:
        return None
    scale = float(scales)
    lips = aligned[list(INNER_LIPS)].astype(np.float64)
    middle_x = float(lips[[0, 10], 0].mean()) / 2  # between the mouth's middle and the head's
    top, depth = float(lips[:, 1].min()) - 0.04, float(lips[5, 2]) + 0.06
    y, x = np.mgrid[:VIEW_HEIGHT_PX, :VIEW_WIDTH_PX] + 0.5
    places = np.stack([(x - VIEW_WIDTH_PX / 2) / PX + middle_x, y / PX + top, np.full_like(x, depth)], -1)
    moved = landmarks[list(INNER_LIPS), :2].mean(0) - scale * (rotation[:2] @ lips.mean(0))
    px = (scale * places @ rotation[:2].T + moved - 0.5).astype(np.float32)
    picture = cv2.remap(photo, px[..., 0], px[..., 1], cv2.INTER_CUBIC).astype(np.float32)
    outline = (lips[:, :2] - (middle_x, top)) * PX + (VIEW_WIDTH_PX / 2, 0)
    opening = np.zeros((VIEW_HEIGHT_PX, VIEW_WIDTH_PX), np.uint8)
    cv2.fillPoly(opening, [np.round((outline - 0.5) * 16).astype(np.int32)], 1, shift=4)
    return View(name, picture, opening > 0, VIEW_WIDTH_PX / 2)


def find_row(view: View) -> Row | None:
    """The upper teeth one by one; None where they are not seen well enough."""
    lab = cv2.cvtColor(np.clip(view.picture, 0, 255).astype(np.uint8), cv2.COLOR_RGB2LAB).astype(np.float32)
    score = np.clip(lab[..., 0] - 2.0 * np.maximum(lab[..., 1] - 133, 0), 0, 255)
    smooth = cv2.GaussianBlur(score, (0, 0), 1.5)
    inside = smooth[view.opening].astype(np.uint8).reshape(-1, 1)
    threshold, _ = cv2.threshold(inside, 0, 255, cv2.THRESH_OTSU)
    bright = ((smooth > threshold) & view.opening).astype(np.uint8)
    columns = np.flatnonzero(bright.sum(0) > 6)
    if len(columns) < 0.35 * PX:
        return None
    # Lines between teeth: darker than what lies 4 px to both sides, all the way down.
    first = np.array([np.flatnonzero(bright[:, k]).min() if bright[:, k].any() else -1 for k in range(VIEW_WIDTH_PX)])
    grey = cv2.GaussianBlur(lab[..., 0], (0, 0), 0.8)
    line = np.zeros_like(grey)
    line[:, 5:-5] = np.minimum(grey[:, :-10], grey[:, 10:])[:, :] - grey[:, 5:-5]
    evidence = np.zeros(VIEW_WIDTH_PX)
    plateau = float(np.percentile(grey[bright > 0], 75))
    for k in columns:
        rows = np.arange(first[k] + 2, min(first[k] + 24, VIEW_HEIGHT_PX))
        rows = rows[view.opening[rows, k]]
        if len(rows) > 5:
            evidence[k] = np.clip(np.percentile(line[rows, k], 60) / plateau * 100, -5, 15)
    evidence = cv2.GaussianBlur(evidence[None].astype(np.float32), (0, 0), 1.0)[0]
    bounds = find_bounds(evidence, view.middle_px)
    if bounds is None:
        return None
    edges = np.zeros((2, TEETH))
    for side in range(2):
        for tooth in range(TEETH):
            low, high = sorted(bounds[side, tooth : tooth + 2])
            width = high - low
            inner = slice(max(0, round(low + 0.22 * width)), max(1, round(high - 0.22 * width)) + 1)
            edges[side, tooth] = find_edge(grey[:, inner].mean(1), bright[:, inner].mean(1))
    if not np.isfinite(edges[:, :3]).all():
        return None
    for side in range(2):  # far teeth whose edge is not seen follow their neighbours
        for tooth in range(3, TEETH):
            if not np.isfinite(edges[side, tooth]):
                edges[side, tooth] = edges[side, tooth - 1] - 2
    mask = tooth_mask(view, score, bounds, edges)
    return Row(bounds, edges, mask)


def find_bounds(evidence: np.ndarray, middle_px: float) -> np.ndarray | None:
    """Lines between teeth: dynamic programming from the midline out, tooth widths near typical ones."""
    best, found = -np.inf, None
    for start in range(round(middle_px) - 24, round(middle_px) + 25):
        for size in (0.8, 0.87, 0.94, 1.0, 1.07, 1.15):
            total = 1.6 * evidence[start] - 0.5 * ((start - middle_px) / 12) ** 2 - 0.5 * ((size - 0.97) / 0.1) ** 2
            sides = []
            for sign in (-1, 1):
                gain, path = walk(evidence, start, sign, size)
                total += gain
                sides.append(path)
            if total > best:
                best, found = total, np.array(sides, float)
    return found


def walk(evidence: np.ndarray, start: int, sign: int, size: float) -> tuple[float, list[int]]:
    """Best lines on one side: sum of evidence less what widths differ from typical; gain and the lines' places."""
    states: dict[int, tuple[float, list[int]]] = {start: (0.0, [start])}
    for tooth in range(TEETH):
        typical, varies = TYPICAL_PX[tooth] * size, VARIATION_PX[tooth] * 0.8
        weight = (1.0, 1.0, 0.9, 0.5, 0.3)[tooth]
        following: dict[int, tuple[float, list[int]]] = {}
        for place, (gain, path) in states.items():
            for width in range(int(typical - 2 * varies), int(typical + 2 * varies) + 2):
                there = place + sign * width
                if not 0 <= there < len(evidence):
                    continue
                value = gain + weight * evidence[there] - 0.7 * ((width - typical) / varies) ** 2
                if there not in following or value > following[there][0]:
                    following[there] = (value, [*path, there])
        states = dict(sorted(following.items(), key=lambda item: -item[1][0])[:40])
    return max(states.values(), key=lambda item: item[0])


def find_edge(grey: np.ndarray, bright: np.ndarray) -> float:
    """y where a tooth ends, from its mean light by row; NaN where it is not seen."""
    rows = np.flatnonzero(bright > 0.5)
    if len(rows) < 7:
        return np.nan
    start = rows[0]
    level = float(np.percentile(grey[rows], 70))
    for y in range(start + 7, len(grey) - 3):
        drop = grey[y - 2] - grey[y + 2]
        if grey[y + 1] < 0.86 * level and drop > 0.06 * level:
            # The steepest place near the crossing, between px.
            near = np.arange(max(y - 4, 0), min(y + 5, len(grey) - 1))
            steep = -np.diff(grey)[near]
            steep = np.clip(steep, 0, None)
            return float((steep * (near + 1.0)).sum() / max(steep.sum(), 1e-6))
    return np.nan


def tooth_mask(view: View, score: np.ndarray, bounds: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Pixels of the upper teeth: pale, inside of the lips by two px, above the teeth's edges."""
    gums = cv2.GaussianBlur(score, (0, 0), 1.0) < 0.66 * float(np.percentile(score[view.opening], 85))
    # Dark lines between teeth are no gums.
    gums = cv2.morphologyEx(gums.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, 9), np.uint8)) > 0
    inside = cv2.erode(view.opening.astype(np.uint8), np.ones((5, 3), np.uint8)) > 0
    x = np.arange(VIEW_WIDTH_PX)
    centres = (bounds[:, :-1] + bounds[:, 1:]) / 2
    order = np.argsort(centres.ravel())
    edge = np.interp(x, centres.ravel()[order], edges.ravel()[order])
    rows = np.arange(VIEW_HEIGHT_PX)[:, None]
    reach = (x >= bounds[0, -1]) & (x <= bounds[1, -1])
    return inside & ~gums & (rows <= edge + 4) & reach


def components(mean: np.ndarray, rows: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Main ways in which rows differ from the mean: (K, 77, 230, 3) of unit norm, and their standard deviations (K,).

    What a row does not show is filled with what the components say, over and over (EM for missing values).
    """
    share = np.repeat(trust.reshape(len(trust), -1), 3, axis=1)
    away = (soften(rows - mean[None]) * trust[..., None]).reshape(len(rows), -1)
    filled = away.copy()
    for _ in range(12):
        u, values, vectors = np.linalg.svd(filled, full_matrices=False)
        guess = (u[:, :COMPONENTS] * values[:COMPONENTS]) @ vectors[:COMPONENTS]
        filled = away + (1 - share) * guess * 0.95
    spread = values[:COMPONENTS] / np.sqrt(len(rows))
    return vectors[:COMPONENTS].reshape(COMPONENTS, HEIGHT_PX, WIDTH_PX, 3), spread


def soften(rows: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(row, (0, 0), 2) for row in rows])


def gather(data: Path) -> list[tuple[View, Row]]:
    found = []
    with Landmarker() as landmarker:
        for path in sorted((data / "faces" / "london").glob("*_smile.jpg")):
            photo = read_photo(path)
            view = front_view(path.stem[:3], photo, landmarker.examine(photo).landmarks)
            row = find_row(view) if view else None
            if view and row:
                found.append((view, row))
    return found


def mean_places(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """The mean row, alike on both sides: lines between teeth (TEETH + 1,) px from the midline, edges (TEETH,) px.

    Each row counts at the mean width of central incisors, so that narrow and wide ones agree in shape.
    """
    width = float(np.mean([row.width_px for row in rows]))
    bounds = [np.abs(row.bounds - row.bounds[:, :1]).mean(0) * width / row.width_px for row in rows]
    edges = [(row.edges.mean(0) - row.edges[:, 0].mean()) * width / row.width_px for row in rows]
    return np.median(bounds, 0), np.median(edges, 0)


def lay(view: View, row: Row, bounds: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move a person's teeth onto the mean row's places.

    Returns relief (77, 230, 3), colour over the teeth's own white, and seen (77, 230): 1 between the lips.
    """
    zoom = row.width_px / bounds[1]
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX] + 0.5
    x, y = x + LEFT * PX, y + TOP * PX
    order = np.argsort(np.concatenate([-bounds[::-1], bounds[1:]]))
    places = np.concatenate([-bounds[::-1], bounds[1:]])[order]
    own = np.concatenate([row.bounds[0, ::-1], row.bounds[1, 1:]])
    from_x = np.interp(x, places, own)
    from_x = np.where(x < places[0], own[0] + (x - places[0]) * zoom, from_x)
    from_x = np.where(x > places[-1], own[-1] + (x - places[-1]) * zoom, from_x)
    centres = (bounds[:-1] + bounds[1:]) / 2
    middles = np.concatenate([-centres[::-1], centres])
    own_edges = np.concatenate([row.edges[0, ::-1], row.edges[1]])
    mean_edges = np.concatenate([edges[::-1], edges])
    shift = cv2.GaussianBlur(np.interp(x[0], middles, own_edges - zoom * mean_edges)[None], (0, 0), 5)
    from_y = y * zoom + shift
    px = ((from_x - 0.5).astype(np.float32), (from_y - 0.5).astype(np.float32))
    picture = cv2.remap(view.picture, *px, cv2.INTER_CUBIC)
    # Near the lips their edge and shadow show: trust grows with the distance from them.
    deep = cv2.distanceTransform(view.opening.astype(np.uint8), cv2.DIST_L2, 3)
    trust = np.clip((deep - 4) / 12, 0, 1) ** 1.5
    seen = cv2.remap(trust.astype(np.float32), *px, cv2.INTER_LINEAR)
    return (picture / white_of(view, row)).astype(np.float32), seen


def white_of(view: View, row: Row) -> np.ndarray:
    """A person's white of teeth: upper quartile of the central incisors' colours, (3,) RGB."""
    centrals = row.mask & (np.abs(np.arange(VIEW_WIDTH_PX) - row.bounds[0, 0]) < row.width_px)
    return np.percentile(view.picture[centrals], 75, axis=0)


def blend(reliefs: np.ndarray, seen: np.ndarray, rounds: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Mean of rows (N, 77, 230, 3) that fall together ever better, over what is seen (N, 77, 230).

    Each round moves every row a little onto the mean (dense flow, smoothed, at most 4 px) and counts most what is like
    the mean. Returns the mean, the rows moved, what is seen of them, and how many rows the mean is worth of.
    """
    flow_of = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grid = np.mgrid[:HEIGHT_PX, :WIDTH_PX].astype(np.float32)[::-1]
    moved, trust = reliefs.copy(), seen.copy()
    flows = np.zeros((len(reliefs), HEIGHT_PX, WIDTH_PX, 2), np.float32)
    weights = np.ones(len(moved))
    mean = weighted(moved, trust, weights)
    for _ in range(rounds):
        target = as_grey(mean)
        for k in range(len(moved)):
            filled = trust[k][..., None] * moved[k] + (1 - trust[k][..., None]) * mean
            step = flow_of.calc(target, as_grey(filled), np.zeros((HEIGHT_PX, WIDTH_PX, 2), np.float32))
            sure = cv2.GaussianBlur(trust[k], (0, 0), 6)[..., None]
            step = cv2.GaussianBlur(step * trust[k][..., None], (0, 0), 6) / np.maximum(sure, 0.05)
            flows[k] = np.clip(flows[k] + step, -4, 4)
        flows -= flows.mean(0)  # the mean row's own shape stays
        for k in range(len(moved)):
            px = (grid[0] + flows[k, ..., 0], grid[1] + flows[k, ..., 1])
            moved[k] = cv2.remap(reliefs[k], *px, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            trust[k] = cv2.remap(seen[k], *px, cv2.INTER_LINEAR)
        likeness = np.array([like(moved[k], mean, trust[k]) for k in range(len(moved))])
        weights = np.exp((likeness - likeness.max()) / 0.06)
        mean = weighted(moved, trust, weights)
    return mean, moved, trust, float(weights.sum() ** 2 / (weights**2).sum())


def as_grey(relief: np.ndarray) -> np.ndarray:
    return np.clip(relief.mean(-1) * 200, 0, 255).astype(np.uint8)


def weighted(rows: np.ndarray, trust: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over rows by trust and weight; where no row is trusted, the nearest trusted colour above or below."""
    share = trust * weights[:, None, None].astype(np.float32)
    total = share.sum(0)
    mean = (rows * share[..., None]).sum(0) / np.maximum(total, 1e-4)[..., None]
    known = total > 0.15 * weights.max()
    for column in range(WIDTH_PX):
        inside = np.flatnonzero(known[:, column])
        if len(inside):
            mean[: inside[0], column] = mean[inside[0], column]
            mean[inside[-1] :, column] = mean[inside[-1], column]
    soft = cv2.GaussianBlur(known.astype(np.float32), (0, 0), 3)[..., None]
    soft = np.clip(2 * soft - 1, 0, 1)
    return cv2.GaussianBlur(mean, (0, 0), sigmaX=14, sigmaY=4) * (1 - soft) + mean * soft


def like(row: np.ndarray, mean: np.ndarray, trust: np.ndarray) -> float:
    """Correlation of light over what is seen."""
    a, b = row.mean(-1), mean.mean(-1)
    total = trust.sum()
    a, b = a - (a * trust).sum() / total, b - (b * trust).sum() / total
    return float((a * b * trust).sum() / np.sqrt((a * a * trust).sum() * (b * b * trust).sum()))


def finish(mean: np.ndarray, bounds: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relief and cover of the row: teeth and gums down to the teeth's edges, nothing below them.

    Colours at the edge are continued from above, so that the blur of the mean does not darken the rim.
    """
    sharp = mean + SHARPEN * (mean - cv2.GaussianBlur(mean, (0, 0), 1.6))
    edge = tooth_edges(edge_line(sharp, bounds, edges), bounds)
    # The central incisors' edge is the frame's y = 0.
    central = np.abs(np.abs((np.arange(WIDTH_PX) + 0.5) + LEFT * PX) - bounds[1] / 2) < 0.25 * bounds[1]
    shift = float(np.median(edge[central])) + TOP * PX
    matrix = np.array([[1, 0, 0], [0, 1, -shift]])
    relief = cv2.warpAffine(
        sharp, matrix, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    edge = edge - shift
    rows = np.arange(HEIGHT_PX)[:, None]
    for column in range(WIDTH_PX):
        last = int(edge[column]) - 3
        relief[last:, column] = relief[last, column] * RIM
    cover = np.clip(edge[None] - rows, 0, 1)
    far = np.abs((np.arange(WIDTH_PX) + 0.5) / PX + LEFT)
    cover = cover * np.clip((REACH - far) / 0.06, 0, 1)[None]
    cover = cv2.GaussianBlur(cover, (0, 0), 0.7).astype(np.float32)
    return np.clip(relief, 0, 1.25).astype(np.float32), np.where(cover < 0.01, 0, cover)


def tooth_edges(line: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """y px of the edge by column (230,): every tooth at the line's level there, with round corners of its own."""
    x = (np.arange(WIDTH_PX) + 0.5) + LEFT * PX
    side = (x > 0).astype(int)
    tooth = np.clip(np.searchsorted(bounds, np.abs(x)) - 1, 0, TEETH - 1)
    centres, halves = (bounds[:-1] + bounds[1:]) / 2, np.diff(bounds) / 2
    across = np.clip((np.abs(x) - centres[tooth]) / halves[tooth], -1, 1)
    levels = np.array([np.median(line[np.abs(np.abs(x) - c) < 0.4 * h]) for c, h in zip(centres, halves, strict=True)])
    inward, outward, power = np.array(CORNERS).T
    rise = np.where(across < 0, inward[tooth], outward[tooth]) * np.abs(across) ** power[tooth]
    edge = levels[tooth] + np.array(UNEVEN_PX)[side, tooth] - rise
    return cv2.GaussianBlur(edge[None], (0, 0), 0.8)[0]


def edge_line(relief: np.ndarray, bounds: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """y px of the teeth's edges by column (230,): the brightest-above, darkest-below path near the known edges."""
    x = np.abs((np.arange(WIDTH_PX) + 0.5) + LEFT * PX)
    tooth = np.clip(np.searchsorted(bounds, x) - 1, 0, TEETH - 1)
    near = np.abs(x[:, None] - bounds[None]).min(1)
    centre, half = (bounds[tooth] + bounds[tooth + 1]) / 2, (bounds[tooth + 1] - bounds[tooth]) / 2
    bow = np.where(tooth >= 2, BOW_PX * np.clip((x - centre) / half, -1, 1) ** 2 - BOW_PX / 2, 0)  # canines are pointed
    expected = edges[tooth] - bow - NOTCH_PX * np.exp(-((near / 3.0) ** 2)) - TOP * PX
    pale = relief.mean(-1) - 1.5 * np.clip(relief[..., 0] - relief[..., 1] - 0.06, 0, None)
    pale = cv2.GaussianBlur(pale, (0, 0), 0.8)
    drop = np.zeros_like(pale)
    drop[2:-2] = pale[:-4] - pale[4:]
    rows = np.arange(HEIGHT_PX)
    level = np.maximum(np.percentile(pale[30:60], 80, axis=0), 0.2)
    cost = -np.clip(drop / level, -0.1, 0.5) * 3 + ((rows[:, None] - expected[None]) / 4) ** 2 * 0.25
    total = cost[:, 0].copy()
    back = np.zeros((HEIGHT_PX, WIDTH_PX), int)
    steps = np.abs(rows[:, None] - rows[None])
    step_cost = np.where(steps <= 3, 0.06 * steps**2, 1e6)
    for column in range(1, WIDTH_PX):
        options = total[None] + step_cost
        back[:, column] = options.argmin(1)
        total = cost[:, column] + options.min(1)
    path = [int(total.argmin())]
    for column in range(WIDTH_PX - 1, 0, -1):
        path.append(int(back[path[-1], column]))
    line = np.array(path[::-1], float)
    line = (line + line[::-1]) / 2  # both sides alike
    return cv2.GaussianBlur(line[None], (0, 0), 1.0)[0] + 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description="Make one row of teeth out of many smiles.")
    parser.add_argument("data", type=Path, help="folder that holds faces/")
    parser.add_argument("folder", type=Path, help="where teeth.npz and its card go")
    arguments = parser.parse_args()
    if not (arguments.data / "faces" / "london").is_dir():
        parser.error(f"{arguments.data / 'faces' / 'london'} is missing")
    found = gather(arguments.data)
    bounds, edges = mean_places([row for _, row in found])
    laid = [lay(view, row, bounds, edges) for view, row in found]
    reliefs, seen = np.stack([relief for relief, _ in laid]), np.stack([trust for _, trust in laid])
    reliefs = np.concatenate([reliefs, reliefs[:, :, ::-1]])
    seen = np.concatenate([seen, seen[:, :, ::-1]])
    mean, moved, trust, worth = blend(reliefs, seen)
    likeness = np.array([like(moved[k], mean, trust[k]) for k in range(len(moved))])
    relief, cover = finish(mean, bounds, edges)
    ways, spread = components(mean, moved[likeness > LEAST_LIKE], trust[likeness > LEAST_LIKE])
    whites = np.stack([white_of(view, row) for view, row in found])
    white = np.median(whites / whites.mean(1, keepdims=True), 0)
    inside = (slice(30, 60), slice(45, 185))
    metrics = {
        "people": len(found),
        "people_by_weight": round(worth / 2, 1),  # mirror images count with their owners
        "gradient_over_one_person": round(
            gradient(relief[inside]) / float(np.median([gradient(row[inside]) for row in reliefs])), 3
        ),
        "most_like_one_person": round(float(likeness.max()), 3),
        "median_likeness": round(float(np.median(likeness)), 3),
    }
    export_npz(
        arguments.folder,
        MODEL,
        {
            "relief": relief.astype(np.float16),
            "cover": cover.astype(np.float16),
            "components": ways.astype(np.float16),
            "spread": spread.astype(np.float32),
            "white": white.astype(np.float32),
        },
        {"weights": (COMPONENTS,)},
        {"relief": (HEIGHT_PX, WIDTH_PX, 3), "cover": (HEIGHT_PX, WIDTH_PX)},
        metrics,
        LICENCES,
    )
    print(f"lines at {bounds.round(1)} px, edges {edges.round(1)} px")


def gradient(relief: np.ndarray) -> float:
    """Mean absolute difference of neighbours' light."""
    return float(np.abs(np.diff(relief.mean(-1), axis=1)).mean())


if __name__ == "__main__":
    main()
