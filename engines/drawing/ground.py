"""What moves around the face: hair and ears with the skull, the torso that carries it, and how the wall gives way.

Ground is made once for a photo: at every point of its map, how far that goes with the head and with the torso, and how
deep it lies. Each picture lays it under the mesh (`lay_ground`), which adds what the face does by itself.
"""

from __future__ import annotations

import cv2
import numba
import numpy as np

from engines.drawing.geometry import ABOVE_FROM, ABOVE_TO, NECK, ease
from engines.face_points import FACE

# Down from the joint that the head turns about (eye distances, upright in the picture) what goes with the head goes
# more and more with the torso, which leans about a point far below. Shoulders, so far aside of the joint, do from the
# chin's height on; hair that hangs there makes the person less than WIDE times as wide as at the eyes.
NECK_FROM, NECK_TO, HIPS = 0.0, 1.2, 5.0
SHOULDERS_ASIDE, SHOULDERS_FROM, SHOULDERS_TO, WIDE = (1.0, 1.6), -0.5, 0.1, (1.10, 1.30)
TORSO_ASIDE = (3.4, 4.2)  # what is farther aside is somebody else's
# Beside the person the wall is stretched. Beside the head over this share of the way to the joint, for the farther from
# it the farther all goes: so wide that the largest turn folds nothing; beside the torso over so many eye distances.
BESIDE_HEAD, BESIDE_TORSO = 0.25, 0.30
# What is far from the face is no hair but another head or a hand: shares end between these sizes of its outline.
HAIR_FROM, HAIR_TO = 1.9, 2.6
# Where nobody tells person and wall apart: size of the outline, and share of the head's motion; across, and above.
SIDES = np.array([(1.0, 1.0), (1.12, 0.96), (1.30, 0.65), (1.75, 0.0)])
CROWN = np.array([(1.0, 1.0), (1.18, 0.97), (1.48, 0.74), (1.90, 0.0)])
BEHIND, BEHIND_OUT = 0.4, 0.34  # how far the crown lies behind the outline, eye distances; so far out of its size
# Share of the face, and of what is right above it, that must be a person's: or the mask is another's, or misses a hat.
LEAST_PERSON, LEAST_CROWN = 0.5, 0.7


def share_ground(
    size: tuple[int, int],
    mask: np.ndarray | None,
    outline: np.ndarray,
    rotation: np.ndarray,
    scale: float,
    translation: np.ndarray,
) -> np.ndarray:
    """For each pixel its share of the head's motion and of the torso's, 0..1, and its depth; (H, W, 3) float32.

    mask (H, W) 0..1: how likely each pixel shows the person, None where that is unknown: then hair is guessed and no
    torso seen. outline (n, 3): around the face at rest, canonical; rotation, scale, translation: its pose in the photo.
    """
    to_px = scale * rotation[:2]
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    place = np.stack([x, y], -1)
    outwards, above, depth = around_face(place, outline, to_px, translation[:2])
    aside, below = np.moveaxis((place - (to_px @ NECK + translation[:2])) / scale, -1, 0)
    neck = ease((below - NECK_FROM) / (NECK_TO - NECK_FROM))
    guess, face = guess_hair(outwards, above), outwards < 1
    if mask is None or not face.any() or mask[face].mean() < LEAST_PERSON:
        return np.stack([guess * (1 - neck), np.zeros(size), depth], -1).astype(np.float32)

    person = (mask >= 0.5) | face
    beside = cv2.distanceTransform((~person).astype(np.uint8), cv2.DIST_L2, 5) / scale
    neck = np.maximum(neck, shoulders(person, aside, below, scale, translation[1]))
    hair = 1 - beside / (BESIDE_HEAD * np.maximum(np.hypot(aside, below), 1.0))
    hair = np.clip(hair, 0, 1) * ease(till(outwards, HAIR_FROM, HAIR_TO))
    cap = (above > 0.6) & (outwards > 1) & (outwards < 1.3)
    if cap.any() and person[cap].mean() < LEAST_CROWN:
        hair = np.maximum(hair, above * guess)
    torso = ease(1 - beside / BESIDE_TORSO) * ease(till(np.abs(aside), *TORSO_ASIDE)) * np.clip(1 - below / HIPS, 0, 1)
    return np.stack([hair * (1 - neck), torso * neck, depth], -1).astype(np.float32)


def around_face(
    place: np.ndarray, outline: np.ndarray, to_px: np.ndarray, middle_px: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of places (H, W, 2) px: how far out they lie (1: on the outline), how far above, and how deep.

    outline (n, 3) canonical; to_px (2, 3), middle_px: canonical -> px. Three of (H, W).
    """
    # From the outline's middle, in the head's own axes, of places and of the outline as it is seen.
    seen = outline @ to_px.T + middle_px
    away, around = ((px - seen.mean(0)) @ np.linalg.inv(to_px[:, :2]).T for px in (place, seen))
    angle, angles = (np.arctan2(each[..., 1], each[..., 0]) for each in (away, around))
    outwards = np.hypot(away[..., 0], away[..., 1]) / np.interp(angle, angles, np.hypot(*around.T), period=2 * np.pi)
    above = ease((-away[..., 1] - ABOVE_FROM) / (ABOVE_TO - ABOVE_FROM))
    middle = outline[:, 2].mean()
    on_that_side = np.interp(angle, angles, outline[:, 2], period=2 * np.pi)
    depth = middle + np.minimum(outwards, 1) ** 2 * (on_that_side - middle)
    return outwards, above, depth + BEHIND * above * np.clip((outwards - 1) / BEHIND_OUT, 0, 1)


def guess_hair(outwards: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The head's share of what lies around most faces."""
    sides, crown = (np.interp(outwards, table[:, 0], table[:, 1]) for table in (SIDES, CROWN))
    guess: np.ndarray = sides + above * (crown - sides)
    return guess


def shoulders(person: np.ndarray, aside: np.ndarray, below: np.ndarray, scale: float, eyes_y: float) -> np.ndarray:
    """How far each pixel is a shoulder's and not hair that hangs beside the neck, (H, W) 0..1.

    person (H, W) bool; aside, below (H, W): from the joint, eye distances; eyes_y: row of the eyes, px.
    """
    widths = person.sum(1) / scale
    row = int(np.clip(eyes_y, 0, len(widths) - 1))
    at_eyes = np.median(widths[max(0, row - int(0.2 * scale)) : row + int(0.2 * scale) + 1])
    wide = ease((widths / max(at_eyes, 0.1) - WIDE[0]) / (WIDE[1] - WIDE[0]))
    of_row = cv2.GaussianBlur(wide[:, None], (0, 0), 0.15 * scale)
    high = ease((below - SHOULDERS_FROM) / (SHOULDERS_TO - SHOULDERS_FROM))
    return of_row * high * (1 - ease(till(np.abs(aside), *SHOULDERS_ASIDE)))


def till(x: np.ndarray, whole: float, none: float) -> np.ndarray:
    """1 at `whole`, 0 at `none`, straight between and beyond."""
    return (none - x) / (none - whole)


@numba.njit(cache=True, fastmath=True)
def lay_ground(
    shares: np.ndarray, back: np.ndarray, deeper: np.ndarray, lean: np.ndarray, grid: np.ndarray, ground: np.ndarray
) -> None:
    """The backward map of all around the face, as shifts in px: `ground` (h, w, 2) is written.

    shares (h, w, 3) as of `share_ground` at the map's points; back (2, 3): px of now -> px of the photo for what lies
    at depth 0 of the skull, deeper (2,): further px for each eye distance of depth; lean (2,) px: the torso's way; grid
    (3,): px of the map's first point, and its step.
    """
    for j in range(ground.shape[0]):
        y = grid[1] + grid[2] * j
        for i in range(ground.shape[1]):
            head, torso, depth = shares[j, i, 0], shares[j, i, 1], shares[j, i, 2]
            x = grid[0] + grid[2] * i
            shift_x = (back[0, 0] - 1.0) * x + back[0, 1] * y + back[0, 2] + depth * deeper[0]
            shift_y = back[1, 0] * x + (back[1, 1] - 1.0) * y + back[1, 2] + depth * deeper[1]
            ground[j, i, 0] = head * shift_x - torso * lean[0]
            ground[j, i, 1] = head * shift_y - torso * lean[1]


@numba.njit(cache=True, fastmath=True)
def leave_ground(
    moved: np.ndarray,
    source: np.ndarray,
    ground: np.ndarray,
    grid: np.ndarray,
    own: np.ndarray,
    to_px: np.ndarray,
    off: np.ndarray,
) -> None:
    """What the mesh's points add to the ground's shift, px: `off` (n, 2) is written.

    moved, source (n, 2) px; ground, grid as of `lay_ground`; own (n, 3), to_px (2, 3): the mesh's own motion, and
    canonical -> px. FaceMesh's points go where they go; those around them add their own motion alone.
    """
    height, width = ground.shape[0], ground.shape[1]
    for p in range(FACE):
        x = min(max((moved[p, 0] - grid[0]) / grid[2], 0.0), width - 1.001)
        y = min(max((moved[p, 1] - grid[1]) / grid[2], 0.0), height - 1.001)
        i, j = int(x), int(y)
        u, v = x - i, y - j
        for d in range(2):
            under = (1.0 - v) * ((1.0 - u) * ground[j, i, d] + u * ground[j, i + 1, d])
            under += v * ((1.0 - u) * ground[j + 1, i, d] + u * ground[j + 1, i + 1, d])
            off[p, d] = source[p, d] - moved[p, d] - under
    for p in range(FACE, len(moved)):
        for d in range(2):
            off[p, d] = -(to_px[d, 0] * own[p, 0] + to_px[d, 1] * own[p, 1] + to_px[d, 2] * own[p, 2])
