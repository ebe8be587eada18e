"""Masks and structuring elements, px, and what is spanned over a mask."""

from __future__ import annotations

import cv2
import numpy as np

from engines.face_points import FACE

SPANS, SEED_PX = 200, 9.0  # steps in which a membrane is spanned; how far around a place it begins from, sigma


def window(points: np.ndarray, margin: float, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The first pixel and the one past the last, (x, y) each, of what lies around points (n, 2) or (2,) px.

    `size` (h, w): of the picture; past its edge nothing lies between the two.
    """
    points = np.atleast_2d(points)
    low = np.maximum(np.floor(points.min(0) - margin).astype(int), 0)
    return low, np.minimum(np.ceil(points.max(0) + margin).astype(int) + 1, size[1::-1])


def polygon(points: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """A mask (h, w) uint8 of a polygon (n, 2) px: 255 inside."""
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, shift=4)
    return mask


def whole_face(landmarks: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Where a face with landmarks (478, 3) px lies, (h, w) bool: the hull of its surface."""
    hull = cv2.convexHull(landmarks[:FACE, :2].round().astype(np.int32))
    return cv2.fillConvexPoly(np.zeros(size, np.uint8), hull, 1) > 0


def inset(mask: np.ndarray, margin: float) -> np.ndarray:
    """A mask (h, w) 0..255 as 0..1, 0 along its edge and up to `margin` px inside, softened."""
    inner = cv2.erode(mask, disc(margin), borderValue=0).astype(np.float32) / 255
    return cv2.GaussianBlur(inner, (0, 0), max(0.5, 0.17 * margin))


def stroke(axis: np.ndarray, length: float) -> np.ndarray:
    """A line as a structuring element: unit vector `axis`, `length` px."""
    reach = max(1, round(length))
    line = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    ends = [tuple(int(v) for v in np.round(reach + sign * reach / 2 * axis)) for sign in (-1, 1)]
    cv2.line(line, ends[0], ends[1], 1)
    return line


def disc(radius: float) -> np.ndarray:
    """A disc as a structuring element, px."""
    reach = max(1, round(radius))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))


def span(skin: np.ndarray, hidden: np.ndarray, free: np.ndarray) -> np.ndarray:
    """A membrane (Laplace's equation) over what is `hidden` of skin (h, w, 3): no seam, no light of its own.

    hidden, free (h, w) bool; what is `free` gives nothing: there the membrane ends.
    """
    known = np.where(free, 1e-9, np.where(hidden, 1e-6, 1)).astype(np.float32)
    first = (
        cv2.GaussianBlur(skin * known[..., None], (0, 0), SEED_PX) / cv2.GaussianBlur(known, (0, 0), SEED_PX)[..., None]
    )
    inside = np.where(free & ~hidden, 1e-6, 1).astype(np.float32)[..., None]
    around, hidden = cv2.blur(inside, (3, 3))[..., None], hidden[..., None]
    spanned = np.where(hidden, first, skin)
    for _ in range(SPANS):
        spanned = np.where(hidden, cv2.blur(spanned * inside, (3, 3)) / around, skin)
    return spanned
