"""From FaceMesh landmarks to motion channels: head pose removed, lengths in eye distances.

One definition for training labels, enrolment and scoring. Landmarks are the 478 FaceMesh points in px: x right, y down,
z away from the camera in the same scale. "Left" is the person's own left, which is the right side of the picture.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from engines.face_points import LEFT_EYE, LEFT_LIDS, LIP_ROWS, RIGHT_EYE, RIGHT_LIDS, RIGID
from engines.spec import SPEECH_CHANNELS


def canonical_face() -> np.ndarray:
    """The mean resting face, (478, 3) float32 in eye distances, origin between the eyes, looking at the camera."""
    with (files("engines") / "weights" / "canonical_face.npy").open("rb") as file:
        return np.load(file, allow_pickle=False)


def mirror_points() -> np.ndarray:
    """Index of each point's partner on the other side of the face, (478,) int.

    Nearest points of the mirrored face; but lips that touch lie too near, so that their rows are paired by order.
    """
    face = canonical_face()
    partner = ((face[:, None] - face * np.array([-1, 1, 1], np.float32)) ** 2).sum(-1).argmin(1)
    for row in LIP_ROWS:
        partner[list(row)] = row[::-1]
    return partner


def to_pixel_centres(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (..., 3) float32 px, counted from pixels' corners -> from pixels' centres, as OpenCV counts them."""
    return landmarks - np.array([0.5, 0.5, 0], np.float32)


def eye_distance(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the eyes' centres in the landmarks' unit; (..., 478, 3) -> (...)."""
    right = landmarks[..., RIGHT_EYE, :].mean(-2)
    left = landmarks[..., LEFT_EYE, :].mean(-2)
    return np.linalg.norm(left - right, axis=-1)


def eyes_of(landmarks: np.ndarray) -> np.ndarray:
    """The point between the eyes of landmarks (478, 3), (2,) in their unit."""
    middle: np.ndarray = landmarks[[*RIGHT_EYE, *LEFT_EYE], :2].mean(0)
    return middle


def remove_pose(landmarks: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Turn each face to the reference's pose by a similarity on the rigid points (Umeyama 1991).

    landmarks (T, 478, 3), reference (478, 3). Returns aligned (T, 478, 3) in the reference's unit, rotation (T, 3, 3),
    scale (T,) and translation (T, 3) such that landmarks = scale * aligned @ rotation.T + translation. Missing faces
    (NaN) stay NaN.
    """
    missing = ~np.isfinite(landmarks).all((-1, -2))
    points = np.where(missing[:, None, None], reference, landmarks).astype(np.float64)
    rigid = points[:, RIGID, :]
    target = reference[list(RIGID)].astype(np.float64)
    rigid_mean, target_mean = rigid.mean(1, keepdims=True), target.mean(0)
    target = target - target_mean
    covariance = np.einsum("tpi,pj->tij", rigid - rigid_mean, target)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.ones_like(singular)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = np.einsum("tij,tj,tjk->tik", u, sign, vt)
    scale = (singular * sign).sum(-1) / (target**2).sum()
    aligned = np.einsum("tpi,tij->tpj", points - rigid_mean, rotation) / scale[:, None, None] + target_mean
    translation = rigid_mean[:, 0] - scale[:, None] * np.einsum("tij,j->ti", rotation, target_mean)
    aligned[missing] = np.nan
    return aligned.astype(np.float32), rotation, scale, translation


def head_angles(rotation: np.ndarray) -> np.ndarray:
    """Pitch, yaw, roll in rad, signs as in MOTION_CHANNELS; (T, 3, 3) -> (T, 3)."""
    pitch = np.arctan2(-rotation[:, 2, 1], rotation[:, 2, 2])  # y points down: the nose rises where it is positive
    yaw = np.arcsin(np.clip(rotation[:, 2, 0], -1, 1))
    roll = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    return np.stack([pitch, yaw, roll], -1)


def mouth_measures(aligned: np.ndarray) -> np.ndarray:
    """Raw lengths behind SPEECH_CHANNELS, in eye distances; aligned (T, 478, 3) -> (T, 14).

    Subtract the same person's rest (`rest_measures`) to get channels.
    """

    def y(*points: int) -> np.ndarray:
        return aligned[:, points, 1].mean(1)

    def gap(upper: int, lower: int) -> np.ndarray:
        # Signed: closed lips may cross by a hair, and a norm would turn that jitter into opening.
        return aligned[:, lower, 1] - aligned[:, upper, 1]

    def thickness(*pairs: tuple[int, int]) -> np.ndarray:
        return np.mean([np.linalg.norm(aligned[:, a] - aligned[:, b], axis=-1) for a, b in pairs], 0)

    values = {
        "jawOpen": (2 * gap(13, 14) + gap(82, 87) + gap(312, 317)) / 4,
        "jawDrop": y(152, 148, 377, 175),
        "mouthOpenSide": (gap(81, 178) + gap(311, 402) + gap(80, 88) + gap(310, 318)) / 4,
        "mouthStretch": np.linalg.norm(aligned[:, 61] - aligned[:, 291], axis=-1),
        "mouthFunnel": -aligned[:, (13, 14, 0, 17, 37, 267, 84, 314), 2].mean(1),
        "mouthUpperUp": -y(0, 37, 267, 13),
        "mouthLowerDown": y(17, 84, 314, 14),
        "mouthSmileLeft": -y(291, 308),
        "mouthSmileRight": -y(61, 78),
        "mouthRollUpper": -thickness((0, 13), (37, 82), (267, 312)),
        "mouthRollLower": -thickness((17, 14), (84, 87), (314, 317)),
        "browInnerUp": -y(107, 66, 336, 296),
        "browOuterUp": -y(105, 63, 70, 334, 293, 300),
        "browDown": -np.linalg.norm(aligned[:, 107] - aligned[:, 336], axis=-1),
    }
    return np.stack([values[name] for name in SPEECH_CHANNELS], -1).astype(np.float32)


def rest_measures(measures: np.ndarray) -> np.ndarray:
    """A person's rest: the mean over their most closed quarter; (T, 14) -> (14,)."""
    opening = measures[:, SPEECH_CHANNELS.index("jawOpen")]
    return measures[opening <= np.nanquantile(opening, 0.25)].mean(0)


def lid_opening(aligned: np.ndarray) -> np.ndarray:
    """Gap of left and right lids in eye distances, (T, 478, 3) -> (T, 2); divide by the person's open gap."""
    return np.stack(
        [np.mean([aligned[:, low, 1] - aligned[:, up, 1] for up, low in lids], 0) for lids in (LEFT_LIDS, RIGHT_LIDS)],
        -1,
    )
