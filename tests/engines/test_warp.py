"""The warp: still pixels are the photo's own, moved ones as near to the truth as bicubic ones, bands without seams."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.drawing import warp as module
from engines.drawing.warp import FINE, GRID_PX, PARTS, BackwardMap, make_finer, warp

SIZE = 96


def smooth_photo(seed: int = 0) -> np.ndarray:
    """A picture (96, 96, 3) as sharp as a good photo."""
    random = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(random.normal(0, 1, (SIZE, SIZE, 3)), (0, 0), 0.8)
    return np.clip(128 + 60 * grain / grain.std(), 0, 255).astype(np.uint8)


def shifted(photo: np.ndarray, x: float, y: float) -> np.ndarray:
    """The true picture fetched from (x, y) px away, by Fourier's theorem, the photo repeated beyond its edges."""
    rows, columns = np.fft.fftfreq(SIZE)[:, None, None], np.fft.fftfreq(SIZE)[None, :, None]
    turned = np.fft.fft2(photo.astype(float), axes=(0, 1)) * np.exp(2j * np.pi * (rows * y + columns * x))
    return np.fft.ifft2(turned, axes=(0, 1)).real


def grid_mesh(count: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Points (count^2, 2) over the picture and the triangles between them."""
    places = np.linspace(0, SIZE - 1, count)
    points = np.stack(np.meshgrid(places, places), -1).reshape(-1, 2).astype(np.float32)
    corner = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)).ravel()
    upper = np.stack([corner, corner + 1, corner + count], -1)
    lower = np.stack([corner + 1, corner + count + 1, corner + count], -1)
    return points, np.concatenate([upper, lower]).astype(np.int32)


def moved_inside(seed: int, reach_px: float) -> np.ndarray:
    """The grid's points, those on the rim where they were."""
    points, _ = grid_mesh()
    inner = ((points > 0) & (points < SIZE - 1)).all(1)
    return (points + inner[:, None] * np.random.default_rng(seed).uniform(-reach_px, reach_px, points.shape)).astype(
        np.float32
    )


def warped(moved: np.ndarray, photo: np.ndarray) -> np.ndarray:
    points, triangles = grid_mesh()
    out = np.zeros_like(photo)
    box = (0, 0, SIZE, SIZE)
    warp(moved, points - moved, triangles, photo, make_finer(photo, box), BackwardMap.over(np.array(box)), out)
    return out


def test_even_points_of_the_finer_photo_are_the_photos_own() -> None:
    photo = smooth_photo()
    finer = make_finer(photo, (8, 4, 60, 96))
    assert finer.shape == (FINE * 92, FINE * 52, 3)
    assert np.array_equal(finer[::FINE, ::FINE], photo[4:96, 8:60])


def test_a_box_is_made_finer_as_the_whole_photo_is() -> None:
    photo = smooth_photo()
    whole = make_finer(photo, (0, 0, SIZE, SIZE))
    assert np.array_equal(make_finer(photo, (8, 4, 60, 90)), whole[FINE * 4 : FINE * 90, FINE * 8 : FINE * 60])


@pytest.mark.parametrize(("x", "y"), [(0.25, 0.0), (0.5, 0.0), (0.25, 0.25), (0.5, 0.25), (0.5, 0.5), (0.75, 0.5)])
def test_between_pixels_it_is_as_near_to_the_truth_as_bicubic(x: float, y: float) -> None:
    photo = smooth_photo()
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    finer = make_finer(photo, (0, 0, SIZE, SIZE))
    ours = cv2.remap(finer, FINE * (columns + x), FINE * (rows + y), cv2.INTER_LINEAR)
    bicubic = cv2.remap(photo, columns + x, rows + y, cv2.INTER_CUBIC)
    bilinear = cv2.remap(photo, columns + x, rows + y, cv2.INTER_LINEAR)
    error = [np.sqrt(((made - shifted(photo, x, y))[8:-8, 8:-8] ** 2).mean()) for made in (ours, bicubic, bilinear)]
    assert error[0] < 1.25 * error[1]
    assert error[0] < 0.7 * error[2]


def test_nothing_moves_where_the_mesh_stays() -> None:
    photo = smooth_photo()
    points, _ = grid_mesh()
    assert np.array_equal(warped(points, photo), photo)
    moved = points.copy()
    moved[4 * 9 + 4] += (3.0, -2.0)  # the middle of the picture
    changed = (warped(moved, photo) != photo).any(2)
    assert changed.any()
    assert not changed[:30].any()
    assert not changed[66:].any()
    assert not changed[:, :30].any()
    assert not changed[:, 66:].any()


def test_a_shift_by_whole_pixels_copies_them() -> None:
    photo = smooth_photo()
    points, triangles = grid_mesh()
    inner = np.array((20, 20, 76, 76))
    out = np.zeros_like(photo)
    finer = make_finer(photo, (0, 0, SIZE, SIZE))
    maps = BackwardMap.over(np.array((0, 0, SIZE, SIZE)))
    away = np.float32((2, 3))
    warp(points + away, np.tile(-away, (len(points), 1)), triangles, photo, finer, maps, out)
    x0, y0, x1, y1 = inner
    assert np.array_equal(out[y0:y1, x0:x1], photo[y0 - 3 : y1 - 3, x0 - 2 : x1 - 2])


@pytest.mark.parametrize("seed", range(6))
def test_bands_leave_no_seam(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = smooth_photo(seed)
    points, _ = grid_mesh()
    still = np.random.default_rng(seed).random(81) < 0.6
    moved = np.where(still[:, None], points, moved_inside(seed, 3.0)).astype(np.float32)
    monkeypatch.setattr(module, "BAND", 10_000)
    whole = warped(moved, photo)
    for band in (1, 3, 7):
        monkeypatch.setattr(module, "BAND", band)
        assert np.array_equal(warped(moved, photo), whole)


def smooth_map(random: np.random.Generator, rows: int, columns: int, most_px: float) -> np.ndarray:
    """Shifts (rows, columns, 2) up to most_px, of 1/64 px each: all that is reckoned from them is exact in float32."""
    shift = cv2.GaussianBlur(random.normal(0, 1, (rows, columns, 2)), (0, 0), 3)
    return (np.round(shift / np.abs(shift).max() * most_px * 64) / 64).astype(np.float32)


def by_remap(finer: np.ndarray, shift: np.ndarray, height: int, width: int) -> np.ndarray:
    """What OpenCV fetches from a finer box through its coarse map, whose points lie amid GRID_PX px."""
    fixed = []
    for axis, count in enumerate((width, height)):
        px = np.arange(count)
        values = np.float64(shift[..., axis])
        for along, length in ((0, height), (1, width)):
            at = np.clip((np.arange(length) - (GRID_PX - 1) / 2) / GRID_PX, 0, None)
            first = np.floor(at).astype(int)
            share = (at - first)[:, None] if along == 0 else at - first
            values = values.take(first, along) * (1 - share) + values.take(first + 1, along) * share
        values = values + (px if axis == 0 else px[:, None])
        fixed.append(np.floor(PARTS * FINE * values + 0.5).astype(int))
    whole = np.stack([points // PARTS for points in fixed], -1).astype(np.int16)
    parts = (fixed[1] % PARTS * PARTS + fixed[0] % PARTS).astype(np.uint16)
    return cv2.remap(finer, whole, parts, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("box", [(0, 0, SIZE, SIZE), (5, 9, 78, 95), (17, 0, 96, 30), (40, 40, 43, 42), (3, 4, 4, 5)])
@pytest.mark.parametrize("most_px", [0.5, 4.0, 40.0])
def test_pixels_are_those_of_remap_to_a_level(
    most_px: float, box: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the map points beyond the box, and where it begins and ends within a cell; in a photo of noise."""
    random = np.random.default_rng(int(2 * most_px) + box[0])
    photo = random.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    x0, y0, x1, y1 = box
    finer, maps, out = make_finer(photo, box), BackwardMap.over(np.array(box)), np.zeros_like(photo)
    shift = smooth_map(random, *maps.shift.shape[:2], most_px)
    monkeypatch.setattr(module, "fill_map", lambda *arguments: np.copyto(arguments[-1], shift))
    nothing = np.zeros(0)
    warp(nothing, nothing, nothing, photo, finer, maps, out)
    off = out[y0:y1, x0:x1].astype(int) - by_remap(finer, shift, y1 - y0, x1 - x0)
    assert np.abs(off).max() <= 1
    assert np.abs(off).mean() < 0.06
    around = out.copy()
    around[y0:y1, x0:x1] = photo[y0:y1, x0:x1]
    assert np.array_equal(around, photo)


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 1e30])
def test_wild_numbers_fetch_from_the_box(wild: float, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.full((SIZE, SIZE, 3), 7, np.uint8)
    box = (8, 8, 88, 88)
    maps, out = BackwardMap.over(np.array(box)), np.zeros_like(photo)
    shift = smooth_map(np.random.default_rng(0), *maps.shift.shape[:2], 3.0)
    shift[::3, ::2] = wild
    monkeypatch.setattr(module, "fill_map", lambda *arguments: np.copyto(arguments[-1], shift))
    nothing = np.zeros(0)
    warp(nothing, nothing, nothing, photo, make_finer(photo, box), maps, out)
    assert np.array_equal(out, photo)


def test_one_colour_stays_it() -> None:
    """Every level, in every channel: nothing is lost on the way between equal points."""
    moved = moved_inside(0, 4.0)
    for level in range(256):
        photo = np.full((SIZE, SIZE, 3), (level, 255 - level, 255), np.uint8)
        assert np.array_equal(warped(moved, photo), photo)
