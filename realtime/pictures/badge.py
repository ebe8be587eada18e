"""The small "AI" badge in the corner that tells viewers the face is synthetic."""

from __future__ import annotations

import cv2
import numpy as np

SHARE = 0.045  # of the picture's height
OVERSAMPLE = 8


class Badge:
    """A rounded plate with the letters AI, made once for a picture size and blended into its lower right corner."""

    def __init__(self, height: int, width: int) -> None:
        plate_h = max(12, round(height * SHARE))
        plate_w = round(plate_h * 1.55)
        margin = max(4, round(plate_h * 0.45))
        alpha, shade = _plate(plate_h, plate_w)
        self._rows = slice(max(0, height - margin - plate_h), max(0, height - margin))
        self._columns = slice(max(0, width - margin - plate_w), max(0, width - margin))
        rows, columns = self._rows.stop - self._rows.start, self._columns.stop - self._columns.start
        alpha, shade = alpha[:rows, :columns, None], shade[:rows, :columns, None]
        # out = (picture * keep + add) >> 8, in 16 bits
        self._keep = np.repeat(np.round((1 - alpha) * 256).astype(np.uint16), 3, axis=2)
        self._add = np.repeat(np.round(alpha * shade * 256).astype(np.uint16), 3, axis=2)
        self._work = np.empty(self._keep.shape, np.uint16)

    def __call__(self, pixels: np.ndarray) -> None:
        """Blend into (H, W, 3) uint8 in place."""
        corner = pixels[self._rows, self._columns]
        np.multiply(corner, self._keep, out=self._work, casting="unsafe", dtype=np.uint16)
        self._work += self._add
        self._work >>= 8
        corner[:] = self._work


def _plate(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Opacity and grey level 0..255 of the plate, drawn large and scaled down so that edges are smooth."""
    h, w = height * OVERSAMPLE, width * OVERSAMPLE
    radius = round(h * 0.3)
    plate = np.zeros((h, w), np.uint8)
    cv2.rectangle(plate, (radius, 0), (w - radius, h), 255, -1)
    cv2.rectangle(plate, (0, radius), (w, h - radius), 255, -1)
    for x in (radius, w - radius - 1):
        for y in (radius, h - radius - 1):
            cv2.circle(plate, (x, y), radius, 255, -1)
    letters = np.zeros((h, w), np.uint8)
    thick = max(1, round(h * 0.085))
    top, bottom = round(h * 0.24), round(h * 0.76)
    left, apex, right, bar = (round(w * x) for x in (0.20, 0.38, 0.56, 0.74))
    for start, end in (((left, bottom), (apex, top)), ((apex, top), (right, bottom)), ((bar, top), (bar, bottom))):
        cv2.line(letters, start, end, 255, thick, cv2.LINE_AA)
    y = round(h * 0.58)
    cv2.line(letters, (round(w * 0.27), y), (round(w * 0.49), y), 255, thick, cv2.LINE_AA)
    size = (width, height)
    plate_alpha = cv2.resize(plate, size, interpolation=cv2.INTER_AREA) / 255
    letter_alpha = cv2.resize(letters, size, interpolation=cv2.INTER_AREA) / 255
    alpha = np.maximum(plate_alpha * 0.55, letter_alpha * 0.95)
    shade = np.where(alpha > 0, letter_alpha * 0.95 / np.maximum(alpha, 1e-6), 0) * 255
    shade = shade + (1 - np.clip(shade / 255, 0, 1)) * 20
    return alpha.astype(np.float32), shade.astype(np.float32)
