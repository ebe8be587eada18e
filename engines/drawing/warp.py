"""The photo's own pixels, fetched to where the moved mesh says.

ground, mesh -> coarse backward map (a point for each 4x4 px)   engines/drawing/geometry.py, fill_map
row by row: where its pixels come from                          lay_course, place_row
the four points around each, of a photo twice as fine           fetch_row, ask_ahead
the pixel between them                                          weigh_row

The photo is made twice as fine once, by Lanczos' kernel of eight taps; between its points a straight line is then as
near to the truth as OpenCV's bicubic kernel on the photo itself, in a fraction of its time (docs/decisions.md). Where
nothing moves the pixels are the photo's own, bit for bit; the others are those of cv2.remap by the same map, to a
level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from engines.drawing.geometry import fill_map

GRID_PX = 4  # one grid point of the backward map for each 4x4 px
FINE = 2  # points of the finer photo for each px
PARTS = 32  # into which the way from one of these points to the next is divided
BAND = 16  # grid rows that are fetched at once, between the first and the last column that moves in them
AHEAD = 2  # rows before a row is drawn, memory is asked for its points
LINE_PX = 10  # whose points lie in one line of the processor's cache, of 64 bytes
# Half a level, and what `weigh` cuts off on its way there, on average: 1/256 levels, in both halves of 32 bits.
ROUNDING = np.uint32((128 + 12) * 0x10001)
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
    # Of one picture row at a time, so that they stay in the processor's cache:
    course: np.ndarray  # (2, 2, 4 w) float32: the map's rows above and below it, as `lay_course` lays them
    places: np.ndarray  # (W,) int32: the first of the four points around each px, counted through the finer box
    parts: np.ndarray  # (2, W) uint32: how far px lie beyond these, 1/32 points; x, y
    pairs: np.ndarray  # (2, W) uint64: the two upper and the two lower points, as of `two_points`

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
            course=np.zeros((2, 2, GRID_PX * columns), np.float32),
            places=np.zeros(width, np.int32),
            parts=np.zeros((2, width), np.uint32),
            pairs=np.zeros((2, width), np.uint64),
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


def warp(
    moved: np.ndarray,
    off: np.ndarray,
    triangles: np.ndarray,
    photo: np.ndarray,
    finer: np.ndarray,
    maps: BackwardMap,
    out: np.ndarray,
) -> None:
    """The photo (H, W, 3) in `out`, its box's pixels fetched through the ground in `maps` and the moved mesh.

    moved, off (n, 2) px: the mesh of now, and what its points add to the ground; `finer`: the box of `make_finer`.
    """
    fill_map(moved, off, triangles, maps.ground, maps.grid, maps.shift)
    fetch_box(finer, photo, maps, out)


def fetch_box(finer: np.ndarray, photo: np.ndarray, maps: BackwardMap, out: np.ndarray) -> None:
    """The photo in `out`, its box's pixels fetched from `finer` by the map; all as in `warp`."""
    draw_box(
        maps.shift,
        finer,
        photo.reshape(len(photo), -1),
        maps.corner,
        maps.size,
        BAND,
        maps.course,
        maps.places,
        maps.parts,
        maps.pairs,
        out.reshape(len(out), -1),
    )


@numba.njit(cache=True)
def draw_box(
    shift: np.ndarray,
    finer: np.ndarray,
    photo: np.ndarray,
    corner: tuple[int, int],
    size: tuple[int, int],
    band: int,
    course: np.ndarray,
    places: np.ndarray,
    parts: np.ndarray,
    pairs: np.ndarray,
    out: np.ndarray,
) -> None:
    """The photo (H, 3 W) in `out`, what moves in the box at `corner` fetched from `finer`.

    shift (h, w, 2): the box's map, `band` rows of it at once; course, places, parts, pairs: as in `BackwardMap`.
    """
    (x0, y0), (height, width) = corner, size
    copy_rows(photo, 0, y0, out)
    copy_rows(photo, y0 + height, len(out), out)
    for first in range(0, len(shift), band):
        last = min(first + band, len(shift))
        # Pixels lie between grid points: they move with the rows beside the band, too, and with the next columns.
        top, bottom, left, right = moving_part(shift, max(first - 1, 0), min(last + 1, len(shift)))
        top, left = max(first, top - 1) * GRID_PX, max(0, left - 1) * GRID_PX
        bottom, right = min(height, min(last, bottom + 2) * GRID_PX), min(width, (right + 2) * GRID_PX)
        begin, end = first * GRID_PX, min(height, last * GRID_PX)
        if top >= bottom:
            top = bottom = end
        # What lies around the moving part of the band, copied: not under it, for memory is what a picture waits for.
        copy_rows(photo, y0 + begin, y0 + top, out)
        copy_rows(photo, y0 + bottom, y0 + end, out)
        first_byte, last_byte = 3 * (x0 + left), 3 * (x0 + right)
        above, below = course[0], course[1]
        for y in range(top, bottom):
            still, target = photo[y0 + y], out[y0 + y]
            copy(still[:first_byte], target[:first_byte])
            copy(still[last_byte:], target[last_byte:])
            row, step = divmod(y + GRID_PX // 2, GRID_PX)  # the map's row below; the first one for what is above it
            if y == top:
                lay_course(shift[max(row - 1, 0)], left, right, above)
                lay_course(shift[row], left, right, below)
            elif step == 0:
                above, below = below, above
                lay_course(shift[row], left, right, below)
            share = np.float32((step + 0.5) / GRID_PX)
            place_row(above, below, share, (left, y), finer.shape[:2], places[: right - left], parts)
            fetch_row(finer.reshape(-1), places[: right - left], 3 * finer.shape[1], pairs)
            ask_ahead(finer.reshape(-1), places[: right - left], 3 * finer.shape[1])
            weigh_row(pairs, parts, target[first_byte:last_byte])


@numba.njit(cache=True)
def copy_rows(photo: np.ndarray, first: int, end: int, out: np.ndarray) -> None:
    for y in range(first, end):
        copy(photo[y], out[y])


@numba.njit(cache=True)
def copy(line: np.ndarray, target: np.ndarray) -> None:
    """One line in another: numba's own copying takes ten times as long."""
    for k in range(len(target)):
        target[k] = line[k]


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


@numba.njit(cache=True)
def lay_course(row: np.ndarray, left: int, right: int, course: np.ndarray) -> None:
    """Where px left..right - 1 of the box come from as one row (w, 2) of the map has it: course (2, 4 w).

    x and y in 1/32 points of the finer box, y from the pixel itself on. `course` begins half a cell before the box.
    """
    half, unit = GRID_PX // 2, np.float32(PARTS * FINE)
    for column in range((left + half) // GRID_PX, (right - 1 + half) // GRID_PX + 1):
        before, at = max(column - 1, 0), GRID_PX * column
        x, y = unit * (np.float32(np.int32(at - half)) + row[before, 0]), unit * row[before, 1]
        way_x, way_y = unit * (row[column, 0] - row[before, 0]), unit * (row[column, 1] - row[before, 1])
        for step in range(GRID_PX):
            share = np.float32((step + 0.5) / GRID_PX)
            course[0, at + step] = x + (way_x * share + unit * np.float32(step))
            course[1, at + step] = y + way_y * share


# A processor does twice as many numbers of 32 bits at once as of 64, and numba makes 64 of whatever it reckons with
# two of 32. So below every result is made 32 bits again.


@numba.njit(cache=True)
def place_row(
    above: np.ndarray,
    below: np.ndarray,
    share: np.float32,
    first: tuple[int, int],
    finer: tuple[int, int],
    places: np.ndarray,
    parts: np.ndarray,
) -> None:
    """Where the px of a row come from: places (n,) and parts, as in `BackwardMap`.

    above, below: the courses it lies between, `share` of the way down; first: x, y of its first px; finer: rows and
    columns of the finer box, whose edge goes on beyond it.
    """
    begin, end = first[0] + GRID_PX // 2, first[0] + GRID_PX // 2 + len(places)
    x_above, y_above = above[0, begin:end], above[1, begin:end]
    x_below, y_below = below[0, begin:end], below[1, begin:end]
    half, from_y = np.float32(0.5), np.float32(PARTS * FINE * first[1] + 0.5)
    none, most_x, most_y = np.int32(0), np.int32(PARTS * (finer[1] - 1)), np.int32(PARTS * (finer[0] - 1))
    # What comes from the very last row or column lies a whole point beyond the one before.
    last_row, last_column, stride = np.int32(finer[0] - 2), np.int32(finer[1] - 2), np.int32(finer[1])
    point, parts_x, parts_y = np.int32(PARTS), parts[0], parts[1]
    for k in range(len(places)):
        # Kept inside as whole numbers: so not even a wild one fetches from elsewhere in memory.
        x = min(max(np.int32(x_above[k] + (x_below[k] - x_above[k]) * share + half), none), most_x)
        y = min(max(np.int32(y_above[k] + (y_below[k] - y_above[k]) * share + from_y), none), most_y)
        row, column = min(np.int32(y // point), last_row), min(np.int32(x // point), last_column)
        places[k] = np.int32(row * stride) + column
        parts_x[k], parts_y[k] = np.uint32(x - np.int32(column * point)), np.uint32(y - np.int32(row * point))


@numba.njit(cache=True)
def fetch_row(finer: np.ndarray, places: np.ndarray, stride: int, pairs: np.ndarray) -> None:
    """The points at n places of the finer box, `stride` bytes a row: pairs (2, n)."""
    upper, lower = pairs[0], pairs[1]
    # The lower two are the last of their eight bytes: nothing is read beyond the box.
    to_lower, two_bytes = np.uint64(stride - 2), np.uint64(16)
    for k in range(len(places)):
        at = np.uint64(3) * np.uint64(places[k])
        upper[k] = two_points(finer, at)
        lower[k] = two_points(finer, at + to_lower) >> two_bytes


@numba.njit(cache=True)
def ask_ahead(finer: np.ndarray, places: np.ndarray, stride: int) -> None:
    """Ask memory for the points of a row further down, on its way while the rows before it are weighed.

    A photo twice as fine has left the processor's cache when its next picture is drawn; half of the time was waiting.
    """
    to_lower, to_ahead = np.uint64(stride), np.uint64(AHEAD * FINE * stride)
    for k in range(0, len(places), LINE_PX):
        at = np.uint64(3) * np.uint64(places[k]) + to_ahead
        prefetch(finer, at)  # type: ignore[call-arg]  # numba itself passes its context
        prefetch(finer, at + to_lower)  # type: ignore[call-arg]


@intrinsic
def prefetch(context: Any, data: Any, at: Any) -> Any:
    """The processor's own instruction for bytes `at` of `data`: a hint, which may point anywhere."""

    def emit(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        begin = target.make_array(signature.args[0])(target, builder, arguments[0]).data
        place, number = builder.gep(begin, [arguments[1]]), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        builder.call(hint, [place, number(0), number(3), number(1)])  # to be read, soon, data
        return target.get_dummy_value()

    return types.void(data, at), emit


@numba.njit(cache=True)
def two_points(finer: np.ndarray, at: np.uint64) -> np.uint64:
    """The bytes R G B of a point, those of the one to the right, and two more; the compiler makes one load of it."""
    found = np.uint64(0)
    for k in range(8):
        found |= np.uint64(finer[at + np.uint64(k)]) << np.uint64(8 * k)
    return found


@numba.njit(cache=True)
def weigh_row(pairs: np.ndarray, parts: np.ndarray, target: np.ndarray) -> None:
    """The pixels (3 n,) between n pairs of points."""
    count = len(target) // 3
    upper, lower = pairs[0, :count].view(np.uint32), pairs[1, :count].view(np.uint32)
    parts_x, parts_y = parts[0], parts[1]
    one_byte, three_bytes = np.uint32(8), np.uint32(24)
    for k in range(count):
        a, c = upper[2 * k], lower[2 * k]
        b = np.uint32(a >> three_bytes) | np.uint32(upper[2 * k + 1] << one_byte)
        d = np.uint32(c >> three_bytes) | np.uint32(lower[2 * k + 1] << one_byte)
        red_blue = weigh(a, b, c, d, parts_x[k], parts_y[k])
        green = weigh(a >> one_byte, b >> one_byte, c >> one_byte, d >> one_byte, parts_x[k], parts_y[k])
        target[3 * k] = np.uint8(red_blue >> one_byte)
        target[3 * k + 1] = np.uint8(green >> one_byte)
        target[3 * k + 2] = np.uint8(red_blue >> three_bytes)


@numba.njit(cache=True)
def weigh(a: np.uint32, b: np.uint32, c: np.uint32, d: np.uint32, part_x: np.uint32, part_y: np.uint32) -> np.uint32:
    """Between points a, b and c, d below them: 256 times what their first and third byte are there, 16 bits for each.

    Both are reckoned with at once, in one number. What is the same in all points stays the same.
    """
    both, eighths, two = np.uint32(0x00FF00FF), np.uint32(0x07FF07FF), np.uint32(2)
    rest_x, rest_y = np.uint32(np.uint32(PARTS) - part_x), np.uint32(np.uint32(PARTS) - part_y)
    left = np.uint32(np.uint32(np.uint32(a & both) * rest_y) + np.uint32(np.uint32(c & both) * part_y))
    right = np.uint32(np.uint32(np.uint32(b & both) * rest_y) + np.uint32(np.uint32(d & both) * part_y))
    # Of these 1/32 levels eighths are kept: 32 times as much still has room in 16 bits.
    left, right = np.uint32(np.uint32(left >> two) & eighths), np.uint32(np.uint32(right >> two) & eighths)
    return np.uint32(np.uint32(left * rest_x) + np.uint32(right * part_x) + ROUNDING)
