"""The photo's own pixels, fetched to where the moved mesh says.

ground, mesh -> coarse backward map (a point for each 4x4 px)   engines/drawing/geometry.py, fill_map
coarse map -> where every pixel comes from, band by band         refine_map
pixels, halfway between four of a photo twice as fine            cv2.remap
where a row moves evenly (a torso), the same without a map        shift_rows

The photo is made twice as fine once, by Lanczos' kernel of eight taps; between its points a straight line is then as
near to the truth as OpenCV's bicubic kernel on the photo itself, in a fifth of its time (docs/decisions.md). Where
nothing moves the pixels are the photo's own, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np

from engines.drawing.geometry import fill_map

GRID_PX = 4  # one grid point of the backward map for each 4x4 px
FINE = 2  # points of the finer photo for each px
BAND = 16  # grid rows that are fetched at once, between the first and the last column that moves in them
EVEN_PX, LEAST_EVEN = 1 / 128, 48  # columns that go equally far, so many px of them, need no map
MARGIN_PX = 4  # half the kernel's taps: what the finer photo's edge needs of its surroundings
_OFFSETS = np.arange(-3, 5) - 0.5
HALFWAY = (np.sinc(_OFFSETS) * np.sinc(_OFFSETS / 4)).astype(np.float32)  # Lanczos' weights between two pixels
HALFWAY /= HALFWAY.sum()
HERE = (np.arange(-3, 5) == 0).astype(np.float32)


@dataclass
class BackwardMap:
    """Where the pixels of one box come from; buffers, made once."""

    corner: tuple[int, int]  # x0, y0 of the box, px of the photo
    size: tuple[int, int]  # H, W of the box
    shift: np.ndarray  # (h, w, 2) float32: the coarse map, px
    ground: np.ndarray  # (h, w, 2) float32: what it is around the face
    grid: np.ndarray  # (3,): px of its first point, and the step to the next
    row: np.ndarray  # (2, w) float32: one picture row of it, 1/32 points of the finer photo; x, y
    course: np.ndarray  # (2, 4 (w + 1)) float32: the same for every px, from half a cell before the box on
    # The map of a band of the box in fixed point. One band's buffer serves all: it stays in the processor's cache.
    whole: np.ndarray  # (BAND * GRID_PX, W, 2) int16: whole points of the finer photo
    parts: np.ndarray  # (BAND * GRID_PX, W) uint16: 1/32 of them

    @classmethod
    def over(cls, box: np.ndarray) -> BackwardMap:
        """For a box x0, y0, x1, y1 px."""
        x0, y0, x1, y1 = (int(value) for value in box)
        height, width = y1 - y0, x1 - x0
        rows, columns = map_size(height, width)
        return cls(
            corner=(x0, y0),
            size=(height, width),
            shift=np.zeros((rows, columns, 2), np.float32),
            ground=np.zeros((rows, columns, 2), np.float32),
            grid=grid_of(box),
            row=np.zeros((2, columns), np.float32),
            course=np.zeros((2, GRID_PX * (columns + 1)), np.float32),
            whole=np.zeros((BAND * GRID_PX, width, 2), np.int16),
            parts=np.zeros((BAND * GRID_PX, width), np.uint16),
        )


def map_size(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the coarse map over a box, px."""
    return -(-height // GRID_PX) + 1, -(-width // GRID_PX) + 1


def grid_of(box: np.ndarray) -> np.ndarray:
    """Px of the first point of the coarse map over a box x0, y0, x1, y1, and the step to the next; (3,)."""
    centre = (GRID_PX - 1) / 2
    return np.array([box[0] + centre, box[1] + centre, GRID_PX], np.float64)


def make_finer(photo: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """A box x0, y0, x1, y1 of a photo (H, W, 3) uint8, twice as fine: (2h, 2w, 3), its even points the photo's own."""
    x0, y0, x1, y1 = box
    low_x, low_y = max(0, x0 - MARGIN_PX), max(0, y0 - MARGIN_PX)
    around = photo[low_y : y1 + MARGIN_PX, low_x : x1 + MARGIN_PX]
    inner = slice(y0 - low_y, y1 - low_y), slice(x0 - low_x, x1 - low_x)
    finer = np.empty((FINE * (y1 - y0), FINE * (x1 - x0), 3), np.uint8)
    for odd_row, down in enumerate((HERE, HALFWAY)):
        for odd_column, right in enumerate((HERE, HALFWAY)):
            halfway = cv2.sepFilter2D(around, -1, right, down, anchor=(3, 3), borderType=cv2.BORDER_REPLICATE)
            finer[odd_row::FINE, odd_column::FINE] = halfway[inner]
    return finer


def split_finer(finer: np.ndarray, first_row: int) -> np.ndarray:
    """Rows of a finer box (2h, 2w, 3) from px row `first_row` on, its four phases apart: (4, rows, 3 w), contiguous.

    The phases are the photo's own points and those halfway to the right, below, and both.
    """
    rows = finer[FINE * first_row :]
    phases = [rows[down::FINE, right::FINE] for down in range(FINE) for right in range(FINE)]
    return np.ascontiguousarray(np.stack(phases)).reshape(FINE * FINE, len(rows) // FINE, 3 * rows.shape[1] // FINE)


def warp(
    moved: np.ndarray,
    off: np.ndarray,
    triangles: np.ndarray,
    photo: np.ndarray,
    finer: np.ndarray,
    phases: np.ndarray,
    maps: BackwardMap,
    out: np.ndarray,
) -> None:
    """The photo (H, W, 3) in `out`, its box's pixels fetched through the ground in `maps` and the moved mesh.

    moved, off (n, 2) px: the mesh of now, and what its points add to the ground; `finer`: the box of `make_finer`;
    `phases`: its last rows as of `split_finer`.
    """
    x0, y0 = maps.corner
    height, width = maps.size
    out[:y0], out[y0 + height :] = photo[:y0], photo[y0 + height :]
    rows = slice(y0, y0 + height)
    out[rows, :x0], out[rows, x0 + width :] = photo[rows, :x0], photo[rows, x0 + width :]
    still, drawn = photo[rows, x0 : x0 + width], out[rows, x0 : x0 + width]
    fill_map(moved, off, triangles, maps.ground, maps.grid, maps.shift)
    for first in range(0, len(maps.shift), BAND):
        last = min(first + BAND, len(maps.shift))
        # Pixels lie between grid points: they move with the rows beside the band, too, and with the next columns.
        top, bottom, left, right = moving_part(maps.shift, max(first - 1, 0), min(last + 1, len(maps.shift)))
        top, left = max(first, top - 1) * GRID_PX, max(0, left - 1) * GRID_PX
        bottom, right = min(height, min(last, bottom + 2) * GRID_PX), min(width, (right + 2) * GRID_PX)
        begin, end = first * GRID_PX, min(height, last * GRID_PX)
        if top >= bottom:
            drawn[begin:end] = still[begin:end]
            continue
        # What lies around the moving part of the band, copied: not under it, for memory is what a picture waits for.
        drawn[begin:top], drawn[bottom:end] = still[begin:top], still[bottom:end]
        drawn[top:bottom, :left], drawn[top:bottom, right:] = still[top:bottom, :left], still[top:bottom, right:]
        even, split_from = (right, right), height - phases.shape[1]
        near = slice(max(first - 1, 0), min(last + 1, len(maps.shift)))
        if (
            begin >= split_from and begin + maps.shift[near, :, 1].min() >= split_from + 1
        ):  # all that is fetched is there
            even = even_columns(maps.shift, near.start, near.stop, left, right)
            shift_rows(phases, maps.shift, (top, bottom), even, (x0, y0), height, out)
        for begin, end in ((left, even[0]), (even[1], right)):
            if begin < end:
                refine_map(maps.shift, (top, bottom, begin, end), maps.row, maps.course, maps.whole, maps.parts)
                whole, parts = maps.whole[: bottom - top, begin:end], maps.parts[: bottom - top, begin:end]
                target = drawn[top:bottom, begin:end]
                cv2.remap(finer, whole, parts, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REPLICATE)


@numba.njit(cache=True)
def even_columns(shift: np.ndarray, first: int, last: int, left: int, right: int) -> tuple[int, int]:
    """Columns px between which each of the map's rows first..last - 1 moves evenly, around the middle of left..right.

    Multiples of GRID_PX; both `right` where they are fewer than LEAST_EVEN.
    """
    begin, end = left // GRID_PX, min(shift.shape[1], right // GRID_PX + 1)
    middle = (begin + end) // 2
    for j in range(first, last):
        x, y = shift[j, middle, 0], shift[j, middle, 1]
        for way in (-1, 1):
            i = middle
            while begin <= i < end and abs(shift[j, i, 0] - x) < EVEN_PX and abs(shift[j, i, 1] - y) < EVEN_PX:
                i += way
            if way < 0:
                begin = max(begin, i + 1)
            else:
                end = min(end, i)
    # A pixel lies between two points of the map, half a cell beside the first.
    begin, end = GRID_PX * (begin + 1), GRID_PX * (end - 2)
    return (begin, end) if end - begin >= LEAST_EVEN else (right, right)


@numba.njit(cache=True, fastmath=True)
def shift_rows(
    phases: np.ndarray,
    shift: np.ndarray,
    rows: tuple[int, int],
    columns: tuple[int, int],
    corner: tuple[int, int],
    height: int,
    out: np.ndarray,
) -> None:
    """Pixels of rows that move evenly between two columns, as `refine_map` and cv2.remap would fetch them.

    phases: the last rows of a box of `height` px whose `corner` lies so in `out` (H, W, 3); rows, columns: px of the
    box; shift (h, w, 2): its map.
    """
    left, right = columns
    if left >= right:
        return
    half, middle = (GRID_PX - 1) / 2.0, (left + right) // 2 // GRID_PX
    first_row, last = height - phases.shape[1], phases.shape[1] - 1
    for y in range(rows[0], rows[1]):
        at = (y - half) / GRID_PX
        j = min(max(int(np.floor(at)), 0), shift.shape[0] - 2)
        share = min(max(at - j, 0.0), 1.0)
        x_parts = int(np.floor(32 * FINE * (shift[j, middle, 0] * (1 - share) + shift[j + 1, middle, 0] * share) + 0.5))
        y_parts = int(np.floor(32 * FINE * (shift[j, middle, 1] * (1 - share) + shift[j + 1, middle, 1] * share) + 0.5))
        x, y_at = x_parts >> 5, FINE * y + (y_parts >> 5)  # points of the finer photo
        x_part, y_part = x_parts & 31, y_parts & 31
        target = out[corner[1] + y].reshape(-1)[3 * (corner[0] + left) : 3 * (corner[0] + right)]
        above, below = min(max((y_at >> 1) - first_row, 0), last), min(max(((y_at + 1) >> 1) - first_row, 0), last)
        phase_above, phase_below = FINE * (y_at & 1), FINE * ((y_at + 1) & 1)
        begin, begin_next = 3 * (left + (x >> 1)), 3 * (left + ((x + 1) >> 1))
        a = phases[phase_above + (x & 1), above, begin : begin + len(target)]
        b = phases[phase_above + ((x + 1) & 1), above, begin_next : begin_next + len(target)]
        c = phases[phase_below + (x & 1), below, begin : begin + len(target)]
        d = phases[phase_below + ((x + 1) & 1), below, begin_next : begin_next + len(target)]
        of_a, of_b = np.int32((32 - x_part) * (32 - y_part)), np.int32(x_part * (32 - y_part))
        of_c, of_d = np.int32((32 - x_part) * y_part), np.int32(x_part * y_part)
        for k in range(len(target)):
            target[k] = (of_a * a[k] + of_b * b[k] + of_c * c[k] + of_d * d[k] + np.int32(512)) >> np.int32(10)


@numba.njit(cache=True)
def moving_part(shift: np.ndarray, first: int, last: int) -> tuple[int, int, int, int]:
    """First and last row and column where anything moves in rows first..last - 1; first > last where nothing does."""
    top, bottom, left, right = last, -1, shift.shape[1], -1
    for j in range(first, last):
        for i in range(shift.shape[1]):
            if shift[j, i, 0] != 0.0 or shift[j, i, 1] != 0.0:
                top, bottom = min(top, j), max(bottom, j)
                left, right = min(left, i), max(right, i)
    return top, bottom, left, right


@numba.njit(cache=True, fastmath=True)
def refine_map(
    shift: np.ndarray,
    part: tuple[int, int, int, int],
    row: np.ndarray,
    course: np.ndarray,
    whole: np.ndarray,
    parts: np.ndarray,
) -> None:
    """Coarse shifts -> OpenCV's fixed-point map onto the finer photo, bilinear between grid points.

    part: top, bottom, left, right, px of the box, in multiples of GRID_PX but for its ends. `row` and `course` are
    scratch, as in `BackwardMap`; the part's first row is written to the first one of `whole` and `parts`.
    """
    top, bottom, left, right = part
    rows, columns = shift.shape[0], shift.shape[1]
    half = (GRID_PX - 1) / 2.0
    unit, rounding = np.float32(32.0 * FINE), np.float32(0.5 + (1 << 15))
    first, last = left // GRID_PX - 1, min(columns - 1, right // GRID_PX + 1)  # cells: between two grid points
    for y in range(top, bottom):
        at = (y - half) / GRID_PX
        j = min(max(int(np.floor(at)), 0), rows - 2)
        fy = np.float32(min(max(at - j, 0.0), 1.0))
        # Truncation of what is made positive rounds like floor(v + 0.5).
        base = unit * np.float32(y) + rounding
        for i in range(max(first, 0), last + 1):
            row[0, i] = unit * (shift[j, i, 0] + (shift[j + 1, i, 0] - shift[j, i, 0]) * fy) + rounding
            row[1, i] = unit * (shift[j, i, 1] + (shift[j + 1, i, 1] - shift[j, i, 1]) * fy) + base
        for cell in range(first, last + 1):
            i = max(cell, 0)
            k = min(cell + 1, columns - 1)
            from_x, from_y = row[0, i], row[1, i]
            step_x, step_y = (row[0, k] - from_x) / np.float32(GRID_PX), (row[1, k] - from_y) / np.float32(GRID_PX)
            x = (cell + 1) * GRID_PX  # of `course`, which begins half a cell before the box
            for n in range(GRID_PX):
                course[0, x + n] = from_x + step_x * np.float32(n + 0.5)
                course[1, x + n] = from_y + step_y * np.float32(n + 0.5)
        # Slices of whole rows: for them the loop below can be made SIMD.
        begin, end = left + GRID_PX // 2, right + GRID_PX // 2
        course_x, course_y = course[0, begin:end], course[1, begin:end]
        whole_row, parts_row = whole[y - top, left:right], parts[y - top, left:right]
        for x in range(right - left):
            px = np.int32(course_x[x] + unit * np.float32(left + x)) - np.int32(1 << 15)
            py = np.int32(course_y[x]) - np.int32(1 << 15)
            whole_row[x, 0] = np.int16(px >> 5)
            whole_row[x, 1] = np.int16(py >> 5)
            parts_row[x] = np.uint16(((py & 31) << 5) | (px & 31))
