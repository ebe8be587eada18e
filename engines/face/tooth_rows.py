"""Rows of teeth without a photo, as textures: the learned upper row, and rows guessed from it or drawn, for one face.

A texture is (77, 230, 4) float32, premultiplied RGBA, 256 px for one eye distance; x = 0 is the incisors' midline,
y = 0 their edge (engines/drawing/mouth.py, TEETH_*).
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from engines.card import read_arrays
from engines.drawing.mouth import LOWER_TOP, TEETH_LEFT, TEETH_PX, UPPER_TOP
from engines.errors import EngineMismatch

HEIGHT_PX, WIDTH_PX = round(0.30 * TEETH_PX), round(0.90 * TEETH_PX)
WHITE = np.full(3, 240, np.float32)  # teeth before they are tinted: engines/face/tones.py says how
LEARNED_BLUR_PX = 1.8  # sigma of the learned row, px of the texture
ENDS_PX = 12  # of the learned row, where it fades
# Lower teeth from the midline out: widths and heights, eye distances; how low their edges stand, left and right side of
# the picture.
LOWER_WIDTHS = np.array([0.080, 0.085, 0.09, 0.07, 0.06])
LOWER_HEIGHTS = np.array([0.19, 0.19, 0.20, 0.18, 0.17])
LOWER_LEVELS = np.array([[0.0, 0.004, 0.001, 0.008, 0.01], [0.003, -0.002, 0.006, 0.004, 0.01]])
# They crowd: widths as seen and light (a turned tooth) differ more than above. Levels of .006 left single teeth
# standing above the lip.
LOWER_WIDTHS_DIFFER, LOWER_LEVELS_DIFFER, LOWER_LIGHT_DIFFERS = 0.09, 0.0025, 0.05
# How a row may differ from the learned one; widths of its teeth from the midline out, lengths in eye distances.
TOOTH_WIDTHS = np.array([0.141, 0.107, 0.102, 0.081, 0.068])
SIZES_DIFFER, WIDTHS_DIFFER, CROWNS_DIFFER = 0.06, 0.065, 0.08
LEVELS_DIFFER = np.array([0.003, 0.006, 0.006, 0.006, 0.006])
BOWS_DIFFER, MIDLINE = 0.13, 0.006
RELIEF_SHARE = 0.6  # of the learned deviations; more looks stained
WHIMS = 4 + 4 + 2 * 2 * len(TOOTH_WIDTHS)
FACES_DIFFER = 0.014  # deviation of rigid points in a random direction, over 30 people of the London set


def texture_places(top: float = UPPER_TOP) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every texture pixel, eye distances, (77, 230) each; `top`: of upper or lower teeth."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    return (x + 0.5) / TEETH_PX + TEETH_LEFT, (y + 0.5) / TEETH_PX + top


def guessed_upper(face: np.ndarray) -> np.ndarray:
    """Upper teeth for who shows none: a row like those of many smiles (train/face/teeth.py).

    face: any array that tells one face from another in eye distances, such as how its rigid points lie beside the
    canonical ones. What nobody can know is drawn by it: widths and levels of the single teeth, the row's bow, relief.
    So two people differ as people do, and one photo shows the same teeth in every size.
    """
    own = iter(_whims(face, WHIMS))
    relief, cover, components = _learned()
    relief = relief + RELIEF_SHARE * sum(next(own) * component for component in components)
    x, y = texture_places()
    size, bow, crown, middle = (next(own) for _ in range(4))
    x = x - MIDLINE * middle
    source_x, level = np.empty_like(x), np.empty_like(x)
    for side in (x < 0, x >= 0):
        widths = np.array([width * (1 + WIDTHS_DIFFER * next(own)) for width in TOOTH_WIDTHS]) * (
            1 + SIZES_DIFFER * size
        )
        bounds = np.concatenate([[0], np.cumsum(widths)])
        away = np.abs(x[side])
        source_x[side] = np.interp(away, bounds, np.concatenate([[0], np.cumsum(TOOTH_WIDTHS)])) * np.sign(x[side])
        level[side] = np.interp(away, bounds[:-1] + widths / 2, [differ * next(own) for differ in LEVELS_DIFFER])
    level = cv2.blur(level, (7, 1)) + BOWS_DIFFER * bow * x**2
    source_y = (y - level) / (1 + CROWNS_DIFFER * crown)
    to_px = lambda place, first: ((place - first) * TEETH_PX - 0.5).astype(np.float32)  # noqa: E731
    map_x, map_y = to_px(source_x, TEETH_LEFT), to_px(source_y, UPPER_TOP)
    row = cv2.remap(_texture(relief, cover), map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    row[..., 3] = np.clip(row[..., 3], 0, 1)
    row[..., :3] = np.clip(row[..., :3], 0, 255 * row[..., 3:])
    return row


def guessed_lower(face: np.ndarray) -> np.ndarray:
    """Lower teeth, which no photo shows well enough: drawn, as crowded as the face's build has it."""
    size, height, *each = _whims(face, 2 + 3 * 2 * len(LOWER_WIDTHS), draws=1)
    widths, levels, lights = np.reshape(each, (3, 2, len(LOWER_WIDTHS)))
    return draw_teeth(
        LOWER_WIDTHS * (1 + SIZES_DIFFER * size) * (1 + LOWER_WIDTHS_DIFFER * widths),
        LOWER_HEIGHTS * (1 + CROWNS_DIFFER * height),
        levels=LOWER_LEVELS + LOWER_LEVELS_DIFFER * levels,
        lights=1 + LOWER_LIGHT_DIFFERS * lights,
    )


def _whims(face: np.ndarray, count: int, draws: int = 0) -> np.ndarray:
    """(count,) numbers of mean 0 and variance 1 that change smoothly with a face, and from one to another entirely.

    Random Fourier features (Rahimi & Recht, 2007): people's faces differ by FACES_DIFFER in each random direction.
    """
    draw = np.random.default_rng(draws)
    directions = draw.standard_normal((count, face.size)) / np.sqrt(face.size)
    return np.sqrt(2) * np.sin(1.5 / FACES_DIFFER * directions @ face.ravel() + draw.uniform(0, 2 * np.pi, count))


def draw_teeth(
    widths: np.ndarray | tuple[float, ...],
    heights: np.ndarray | tuple[float, ...],
    levels: np.ndarray | float = 0.0,
    lights: np.ndarray | float = 1.0,
) -> np.ndarray:
    """A plain row of lower teeth, standing with their edge at y = 0; (77, 230, 4) float32 premultiplied RGBA, TEETH_PX.

    widths, heights from the midline out, levels of their edges, eye distances, and lights, as factors: (n,), or (2, n)
    for the picture's left and right side.
    """
    x, y = texture_places(LOWER_TOP)
    y = -y
    light = np.zeros(x.shape)
    cover = np.zeros(x.shape)
    count = len(heights)
    both = [np.broadcast_to(values, (2, count)) for values in (widths, heights, levels, lights)]
    for sign, side_widths, side_heights, side_levels, side_lights in zip((-1, 1), *both, strict=True):
        inner = 0.0
        for tooth in range(count):
            tooth_width, tooth_height = side_widths[tooth], side_heights[tooth]
            middle = inner + tooth_width / 2
            inner += tooth_width
            # A crown: straight sides, rounded edge; slightly narrower at the neck.
            along = (sign * x - middle) / (tooth_width / 2)
            edge = -tooth_height * 0.10 * tooth / count - side_levels[tooth]
            depth = (edge - y) / tooth_height  # 0 at the edge, 1 at the neck
            squeeze = 1.0 - 0.10 * np.clip(depth, 0, 1)
            corner = np.clip(1 - depth / 0.16, 0, 1)
            side = np.abs(along) / squeeze + 0.13 * corner**2
            body = np.clip((1.0 - side) * tooth_width / 2 * TEETH_PX / 1.6 + 0.5, 0, 1)
            body *= np.clip((edge - y) * TEETH_PX / 1.6 + 0.5 - 3.0 * np.abs(along) ** 3, 0, 1)
            body *= np.clip((1.25 - depth) * 6, 0, 1)
            relief = (
                1.0 - 0.20 * np.abs(along) ** 4 - 0.05 * np.clip(1 - depth / 0.2, 0, 1) - 0.14 * np.clip(depth, 0, 1.2)
            )
            relief *= side_lights[tooth] * (1.0 - 0.06 * tooth)
            light = np.where(body > cover, relief, light)
            cover = np.maximum(cover, body)
    return np.dstack([light[..., None] * WHITE * cover[..., None], cover]).astype(np.float32)


def learned_teeth() -> np.ndarray:
    """Mean of many people's upper teeth and gums, (77, 230, 4) float32 premultiplied RGBA, in plain light."""
    relief, cover, _ = _learned()
    return _texture(relief, cover)


def _texture(relief: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return np.dstack([np.clip(relief * WHITE, 0, 255) * cover[..., None], cover])


@lru_cache(maxsize=1)
def _learned() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean relief (77, 230, 3) as a factor of white, cover (77, 230), and K ways to differ (K, 77, 230, 3), one
    deviation each."""
    stored = read_arrays("teeth", "relief", "cover", "components", "spread")
    relief, cover = stored["relief"].astype(np.float32), stored["cover"].astype(np.float32)
    components = stored["components"].astype(np.float32) * stored["spread"][:, None, None, None]
    if relief.shape != (HEIGHT_PX, WIDTH_PX, 3) or cover.shape != (HEIGHT_PX, WIDTH_PX):
        raise EngineMismatch("weights/teeth.npz is of another version", "install voxcam again")
    return relief, cover, components


@lru_cache(maxsize=1)
def plain_learned() -> np.ndarray:
    """Colours of the learned row, not premultiplied, (77, 230, 3)."""
    learned = learned_teeth()
    return learned[..., :3] / np.maximum(learned[..., 3:], 1e-3)


@lru_cache(maxsize=1)
def learned_light() -> np.ndarray:
    """Colour of the learned row's teeth by column, (230, 3)."""
    plain, edges = plain_learned(), learned_edge().round().astype(int)
    return np.stack([plain[edge - 24 : edge - 5, k].mean(0) for k, edge in enumerate(edges)])


@lru_cache(maxsize=1)
def learned_edge() -> np.ndarray:
    """Row of the texture where the learned row ends, by column, (230,); beyond its ends as at them."""
    upwards = learned_teeth()[::-1, :, 3][: HEIGHT_PX // 2]
    inside = np.flatnonzero(upwards.max(0) > 0.5)
    edges = [HEIGHT_PX - 1 - np.interp(0.5, upwards[:, k], np.arange(len(upwards))) for k in inside]
    return np.interp(np.arange(WIDTH_PX), inside, edges)


def bow_of(columns: np.ndarray) -> np.ndarray:
    """Row of the texture where the learned row of teeth ends, by column."""
    ends = HEIGHT_PX - np.argmax(learned_teeth()[::-1, :, 3] > 0.5, axis=0)
    return ends[np.clip(columns, 0, WIDTH_PX - 1)]


@lru_cache(maxsize=1)
def learned_gaps() -> np.ndarray:
    """Columns of the lines between the learned row's teeth."""
    gaps = gaps_of(learned_light().mean(1))
    return gaps[(gaps >= ENDS_PX) & (gaps < WIDTH_PX - ENDS_PX)]


def gaps_of(light: np.ndarray) -> np.ndarray:
    """Columns of the lines between teeth, from the light of a row by column."""
    relative = light / np.maximum(median_filter(light, 41), 1)
    nearby = np.lib.stride_tricks.sliding_window_view(np.pad(relative, 7, mode="edge"), 15).min(1)
    return np.flatnonzero((relative == nearby) & (relative < 0.93))


def median_filter(values: np.ndarray, size: int) -> np.ndarray:
    """Median over `size` neighbours, ends repeated."""
    padded = np.pad(values, size // 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, size), axis=-1)


def tint_teeth(texture: np.ndarray, tint: np.ndarray, teeth_px: float, sigma_px: float) -> np.ndarray:
    """A texture in a photo's light (tint (3,)), at `teeth_px` for one eye distance, blurred by `sigma_px` of those."""
    tinted = texture.copy()
    tinted[..., :3] *= tint
    if teeth_px < TEETH_PX:
        ratio = teeth_px / TEETH_PX
        tinted = cv2.resize(tinted, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(tinted, (0, 0), sigma_px) if sigma_px > 0.2 else tinted
