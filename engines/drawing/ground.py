"""What moves around the face: hair and ears with the skull, the torso that carries it, and how the wall gives way.

Ground is made once for a photo: at every point of its map, how far that goes with the head and with the torso, and how
deep it lies. Each picture lays it under the mesh (`lay_ground`), which adds what the face does by itself.
"""

from __future__ import annotations

import cv2
import numba
import numpy as np

from engines.drawing.geometry import FACE, NECK

# Down from the joint that the head turns about (eye distances, upright in the picture) what goes with the head goes
# more and more with the torso, which leans about a point far below.
NECK_FROM, NECK_TO, HIPS = 0.0, 1.2, 5.0
# Beside the person the wall is stretched. Beside the head over this share of the way to the joint, for the farther from
# it the farther all goes: so wide that the largest turn folds nothing; beside the torso over so many eye distances.
BESIDE_HEAD, BESIDE_TORSO = 0.36, 0.30
# What is far from the face is no hair but another head or a hand: shares end between these sizes of its outline.
HAIR_FROM, HAIR_TO = 1.9, 2.6
# Where nobody tells person and wall apart: size of the outline, and share of the head's motion; across, and above.
SIDES = np.array([(1.0, 1.0), (1.12, 0.96), (1.30, 0.65), (1.75, 0.0)])
CROWN = np.array([(1.0, 1.0), (1.18, 0.97), (1.48, 0.74), (1.90, 0.0)])
ABOVE_FROM, ABOVE_TO = 0.15, 1.3  # above the outline's middle, eye distances: where the crown begins, and is whole
BEHIND, BEHIND_OUT = 0.4, 0.34  # how far the crown lies behind the outline, eye distances; so far out of its size
LEAST_PERSON = 0.5  # share of the face that must be a person's, or the mask is another's


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
    height, width = size
    to_px = scale * rotation[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    # From the outline's middle, in the head's own axes, of pixels and of the outline as it is seen.
    seen = outline @ to_px.T + translation[:2]
    away, around = ((px - seen.mean(0)) @ np.linalg.inv(to_px[:, :2]).T for px in (np.stack([x, y], -1), seen))
    angle = np.arctan2(away[..., 1], away[..., 0])
    angles = np.arctan2(around[:, 1], around[:, 0])
    size_there = np.interp(angle, angles, np.hypot(*around.T), period=2 * np.pi)
    outwards = np.hypot(away[..., 0], away[..., 1]) / size_there  # 1 on the outline
    above = ease((-away[..., 1] - ABOVE_FROM) / (ABOVE_TO - ABOVE_FROM))
    middle = outline[:, 2].mean()
    on_that_side = np.interp(angle, angles, outline[:, 2], period=2 * np.pi)
    depth = middle + np.minimum(outwards, 1) ** 2 * (on_that_side - middle)
    depth += BEHIND * above * np.clip((outwards - 1) / BEHIND_OUT, 0, 1)

    from_joint = (np.stack([x, y], -1) - (to_px @ NECK + translation[:2])) / scale
    below = from_joint[..., 1]
    neck = ease((below - NECK_FROM) / (NECK_TO - NECK_FROM))
    face = outwards < 1
    if mask is None or mask[face].size == 0 or mask[face].mean() < LEAST_PERSON:
        sides, crown = (np.interp(outwards, table[:, 0], table[:, 1]) for table in (SIDES, CROWN))
        head, torso = (sides + above * (crown - sides)) * (1 - neck), np.zeros(size)
    else:
        beside = cv2.distanceTransform(((mask < 0.5) & ~face).astype(np.uint8), cv2.DIST_L2, 5) / scale
        reach = BESIDE_HEAD * np.maximum(np.hypot(from_joint[..., 0], below), 1.0)
        head = ease(1 - beside / reach) * ease((HAIR_TO - outwards) / (HAIR_TO - HAIR_FROM)) * (1 - neck)
        torso = ease(1 - beside / BESIDE_TORSO) * neck * np.clip(1 - below / HIPS, 0, 1)
    return np.stack([head, torso, depth], -1).astype(np.float32)


def ease(x: np.ndarray) -> np.ndarray:
    """Smooth step 0..1."""
    x = np.clip(x, 0, 1)
    smooth: np.ndarray = x * x * (3 - 2 * x)
    return smooth


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
