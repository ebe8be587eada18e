"""Contact sheets: pictures over the waveform they were drawn from, with nothing but OpenCV and numpy."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from engines.errors import OutputError
from engines.whole_file import write_atomically
from realtime.pictures.provenance import with_xmp

INK = (40, 42, 48)
PAPER = (250, 249, 247)
LINE = (190, 120, 40)
FAINT = (222, 219, 214)
MOST_LEVELS = 20_000
WAVE_POINTS = 5  # of the waveform's outline in a hop
MARGIN = 16


class ContactSheet:
    """Keeps small copies of pictures while a stream runs, in bounded memory, and draws the sheet at its end.

    All pictures are candidates; when more than eight times `columns` x `rows` are kept, every second one is let go.
    `view` (left, top, right, bottom px) is the part of the picture to show: the face.
    """

    def __init__(
        self,
        columns: int = 8,
        rows: int = 2,
        cell_width_px: int = 240,
        view: tuple[int, int, int, int] | None = None,
    ) -> None:
        self.columns, self.rows, self.cell_width_px, self.view = columns, rows, cell_width_px, view
        self._every = 1
        self._kept: list[tuple[int, float, np.ndarray]] = []  # index, opening, small picture
        self._levels: list[np.ndarray] = []  # (WAVE_POINTS, 2) lowest and highest within `span` hops
        self._pending: list[np.ndarray] = []  # hops of the next entry
        self._span = 1  # hops an entry
        self._hops = 0

    def see(self, index: int, pixels: np.ndarray, opening: float = 0.0) -> None:
        """A picture, and how far the mouth is open in it."""
        if index % self._every:
            return
        if self.view is not None:
            left, top, right, bottom = self.view
            pixels = pixels[top:bottom, left:right]
        height, width = pixels.shape[:2]
        size = (self.cell_width_px, round(self.cell_width_px * height / width))
        self._kept.append((index, opening, cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)))
        if len(self._kept) >= 8 * self.columns * self.rows:
            self._every *= 2
            self._kept = [kept for kept in self._kept if kept[0] % self._every == 0]

    def hear(self, samples: np.ndarray) -> None:
        """(160,) float32, one hop: the lowest and highest values of its parts are kept."""
        parts = samples.reshape(WAVE_POINTS, -1)
        self._pending.append(np.stack([parts.min(1), parts.max(1)], 1))
        self._hops += 1
        if len(self._pending) == self._span:
            self._levels.append(_coarser(np.concatenate(self._pending), self._span))
            self._pending.clear()
        if len(self._levels) >= MOST_LEVELS:
            # Hours: the outline gets coarser.
            merged = _coarser(np.concatenate(self._levels), 2)
            self._levels = list(merged.reshape(-1, WAVE_POINTS, 2))
            self._span *= 2

    def _chosen(self, count: int) -> list[tuple[int, np.ndarray]]:
        """Evenly spread moments; within each stretch in turn the widest and the most closed mouth."""
        count = min(count, len(self._kept))
        edges = np.linspace(0, len(self._kept), count + 1).round().astype(int)
        chosen = []
        for i, (begin, end) in enumerate(pairwise(edges)):
            stretch = self._kept[begin:end]
            index, _, small = (max, min)[i % 2](stretch, key=lambda kept: kept[1])
            chosen.append((index, small))
        return chosen

    def draw(self, picture_rate: int, title: str = "") -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        count = self.columns * self.rows
        chosen = self._chosen(count)
        cell_h = chosen[0][1].shape[0] if chosen else self.cell_width_px
        label_h, wave_h, title_h = 24, 110, 44 if title else 0
        width = MARGIN + self.columns * (self.cell_width_px + MARGIN)
        rows = max(1, -(-len(chosen) // self.columns))
        height = MARGIN + title_h + rows * (cell_h + label_h + MARGIN) + wave_h + 34
        sheet = np.full((height, width, 3), PAPER, np.uint8)
        if title:
            _write(sheet, title, (MARGIN, MARGIN + 22), 0.72, INK, 2)
        seconds = max(self._hops * 0.01, 1e-3)
        for i, (index, small) in enumerate(chosen):
            row, column = divmod(i, self.columns)
            x = MARGIN + column * (self.cell_width_px + MARGIN)
            y = MARGIN + title_h + row * (cell_h + label_h + MARGIN)
            sheet[y : y + cell_h, x : x + self.cell_width_px] = small
            _write(sheet, f"{i + 1}   {index / picture_rate:.2f} s", (x, y + cell_h + 18), 0.46, INK, 1)
        top = height - wave_h - 26
        marks = [(i + 1, (index + 0.5) / picture_rate / seconds) for i, (index, _) in enumerate(chosen)]
        self._draw_wave(sheet, top, wave_h, marks)
        _write(sheet, "0 s", (MARGIN, height - 8), 0.46, INK, 1)
        _write(sheet, f"{seconds:.1f} s", (width - MARGIN - 50, height - 8), 0.46, INK, 1)
        return sheet

    def _draw_wave(self, sheet: np.ndarray, top: int, wave_h: int, marks: list[tuple[int, float]]) -> None:
        width = sheet.shape[1] - 2 * MARGIN
        middle, half = top + wave_h // 2 + 8, wave_h // 2 - 12
        for number, share in marks:
            x = MARGIN + round(min(share, 1.0) * width)
            cv2.line(sheet, (x, top + 14), (x, top + wave_h), FAINT, 1)
            _write(sheet, str(number), (x - 5, top + 10), 0.40, INK, 1)
        if not self._levels and not self._pending:
            return
        levels = np.concatenate([*self._levels, *self._pending[:1]])
        loudest = max(float(np.abs(levels).max()), 1e-4)
        columns = np.minimum((np.arange(width) * len(levels)) // width, len(levels) - 1)
        step = max(1, len(levels) // width)
        for x, at in enumerate(columns):
            part = levels[at : at + step] / loudest
            top_y, bottom_y = round(middle - part[:, 1].max() * half), round(middle - part[:, 0].min() * half)
            cv2.line(sheet, (MARGIN + x, top_y), (MARGIN + x, bottom_y), LINE, 1)

    def save(self, path: Path, picture_rate: int, title: str = "") -> None:
        write_picture(path, self.draw(picture_rate, title))


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """Write a png or jpg that says it is synthetic; OutputError where that fails."""
    suffix = path.suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise OutputError(f"{path.name} has no known ending", "use .png or .jpg")
    if not path.parent.is_dir():  # a wrong path is told, not made
        raise OutputError(f"there is no folder {path.parent}", "name another folder")
    options = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 92]
    done, data = cv2.imencode(suffix, rgb[..., ::-1], options)
    if not done:
        raise OutputError(f"{path} cannot be coded", "use .png")
    write_atomically(path, with_xmp(data.tobytes()))


def _write(
    sheet: np.ndarray, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int], weight: int
) -> None:
    cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, weight, cv2.LINE_AA)


def _coarser(levels: np.ndarray, factor: int) -> np.ndarray:
    """(n, 2) lowest and highest -> (n / factor, 2)."""
    groups = levels.reshape(-1, factor, 2)
    return np.stack([groups[:, :, 0].min(1), groups[:, :, 1].max(1)], 1)


def face_view(portrait: object) -> tuple[int, int, int, int] | None:
    """The part of a portrait's picture that shows the head, a square; None where it tells no landmarks."""
    landmarks = getattr(portrait, "landmarks", None)
    if landmarks is None:
        return None
    height, width = portrait.size  # type: ignore[attr-defined]
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    centre_x, centre_y = (low + high) / 2
    side = min(1.35 * float((high - low).max()), height, width)
    left = int(np.clip(centre_x - side / 2, 0, width - side))
    top = int(np.clip(centre_y - side * 0.54, 0, height - side))
    return left, top, left + int(side), top + int(side)
