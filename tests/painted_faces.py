"""Faces that are painted for tests: how they look and where their landmarks lie is known to the pixel."""

from __future__ import annotations

import cv2
import numpy as np

from engines.drawing.folds import CREASES
from engines.drawing.geometry import load_geometry
from engines.face.measure import canonical_face
from engines.face.unfold import CHIN, LOOKED_PX
from engines.face_points import EYES, INNER_LIPS, LEFT, LOWER_SEAM, OUTER_LIPS, RIGHT, UPPER_SEAM
from engines.portrait import CROP_PX, crop_to_photo, mask_skin
from engines.spec import MOTION_CHANNELS

EYES_PX = 60.0  # eye distance of paint_face
CLOSE_EYES_PX, CLOSE_PX = 110.0, 480  # eye distance and size of paint_creases
MOUSTACHE = (212, 216, 92, 165, 164, 391, 322, 436, 432)


def code(**values: float) -> np.ndarray:
    made = np.zeros(len(MOTION_CHANNELS), np.float32)
    for name, value in values.items():
        made[MOTION_CHANNELS.index(name)] = value
    return made


def paint_face(opened: float = 0.0, size: int = 320, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A drawn face with the canonical shape: textured skin, dark line between the lips, eyes; and its landmarks."""
    face = canonical_face()
    basis, _ = load_geometry()
    if opened:
        face = face + opened * basis[MOTION_CHANNELS.index("jawOpen")]
        face[list(LOWER_SEAM[1:-1]), 1] += opened
    landmarks = face * EYES_PX + (size / 2, 0.36 * size, 0)
    random = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(random.normal(0, 40, (size, size, 3)).astype(np.float32), (0, 0), 2.0)
    photo = np.array([196, 150, 128], np.float32) + grain

    def polygon(points: list[int], colour: tuple[int, int, int]) -> None:
        cv2.fillPoly(photo, [np.round((landmarks[points, :2] - 0.5) * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)

    polygon(list(OUTER_LIPS), (170, 90, 92))
    seam = np.round((landmarks[list(UPPER_SEAM), :2] - 0.5) * 16).astype(np.int32)
    if opened:
        polygon(list(INNER_LIPS), (235, 230, 215))
    else:
        cv2.polylines(photo, [seam], False, (70, 30, 35), 2, cv2.LINE_AA, 4)
    for eye in (LEFT, RIGHT):
        polygon([*eye.upper, *eye.lower[-2:0:-1]], (225, 222, 218))
        centre = landmarks[eye.iris[0], :2] - 0.5
        cv2.circle(
            photo, tuple(int(v * 16) for v in centre), int(0.09 * EYES_PX * 16), (60, 45, 35), -1, cv2.LINE_AA, 4
        )
    return np.clip(photo, 0, 255).astype(np.uint8), landmarks.astype(np.float32)


def lashed_face() -> tuple[np.ndarray, np.ndarray]:
    """A face with long lashes above both open eyes."""
    photo, landmarks = paint_face()
    for eye in (LEFT, RIGHT):
        for x, y in landmarks[list(eye.upper[1:-1]), :2]:
            ends = [tuple(round((v - 0.5) * 16) for v in end) for end in ((x, y), (x, y - 0.10 * EYES_PX))]
            cv2.line(photo, *ends, (30, 20, 15), 1, cv2.LINE_AA, 4)
    return photo, landmarks


def put_on(
    photo: np.ndarray, landmarks: np.ndarray, thick: float, colour: tuple[int, int, int], above: float = 0.13
) -> np.ndarray:
    """Glasses on a face: their share of each pixel (H, W); `photo` is changed. thick, above the eye: eye distances."""
    rims = np.zeros(photo.shape[:2], np.uint8)
    for eye in EYES:
        points = landmarks[list(eye.upper + eye.lower), :2]
        low, high = points.min(0) - EYES_PX * np.array([0.20, above]), points.max(0) + EYES_PX * np.array([0.20, 0.22])
        box = [tuple(int(v * 16) for v in corner - 0.5) for corner in (low, high)]
        cv2.rectangle(rims, *box, 255, max(1, round(thick * EYES_PX)), cv2.LINE_AA, 4)
    share = rims[..., None] / 255.0
    photo[:] = photo * (1 - share) + np.array(colour) * share + 0.5
    return rims


def paint_creases(crease: float) -> tuple[np.ndarray, np.ndarray]:
    """Skin with a crease from nose to mouth on both sides, `crease` of its light darker; and its landmarks."""
    points = (canonical_face() * CLOSE_EYES_PX + (CLOSE_PX / 2, 0.36 * CLOSE_PX, 0)).astype(np.float32)
    shade = np.zeros((CLOSE_PX, CLOSE_PX), np.float32)
    for line in CREASES:
        cv2.polylines(shade, [np.round(points[list(line), :2] * 16).astype(np.int32)], False, 1.0, 4, cv2.LINE_AA, 4)
    shade = cv2.GaussianBlur(shade, (0, 0), 3.0)
    noise = np.random.default_rng(0).normal(0, 6, (CLOSE_PX, CLOSE_PX, 1))
    grain = cv2.GaussianBlur(noise, (0, 0), 1.0)[..., None]
    skin = np.array([206.0, 160, 140]) * (1 - crease * (shade / shade.max())[..., None]) + grain
    return np.clip(skin, 0, 255).astype(np.uint8), points


def place() -> tuple[np.ndarray, np.ndarray]:
    """Mask of the skin, and where its crop lies in the photo."""
    fine = LOOKED_PX / CROP_PX
    skin = cv2.resize(mask_skin(canonical_face()), None, fx=fine, fy=fine).astype(np.float32) / 255
    return skin, crop_to_photo(np.eye(3), CLOSE_EYES_PX, np.array([CLOSE_PX / 2, 0.36 * CLOSE_PX, 0]), LOOKED_PX)


def bearded(dark: float, light: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A moustache down to beside the mouth and a chin beard, of hairs between `dark` and `light` of skin's light.

    Last: where it grows beside the mouth, (h, w) bool.
    """
    photo, points = paint_creases(0.0)
    shape = photo.shape[:2]
    upper, chin = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    cv2.polylines(upper, [np.round(points[list(MOUSTACHE), :2]).astype(np.int32)], False, 1, 34)
    cv2.fillPoly(chin, [np.round(points[list(CHIN), :2]).astype(np.int32)], 1)
    strands = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, shape), (0, 0), sigmaX=0.9, sigmaY=2.5)
    hairs = np.clip(0.5 + 0.4 * strands / strands.std(), 0, 1) * (light - dark) + dark
    grows = cv2.GaussianBlur(np.maximum(upper, chin).astype(np.float32), (0, 0), 1.0)
    photo = (photo * (1 + grows * (hairs - 1))[..., None]).clip(0, 255).astype(np.uint8)
    y, x = np.mgrid[: shape[0], : shape[1]]
    beside = (np.abs(x - CLOSE_PX / 2) > 1.0 * (points[291, 0] - CLOSE_PX / 2)) & (y > points[2, 1] + 4)
    return photo, points, (cv2.erode(upper, np.ones((17, 17), np.uint8)) > 0) & beside


def blurred(photo: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 without hairs."""
    soft: np.ndarray = cv2.GaussianBlur(photo, (0, 0), 5.0)
    return soft
