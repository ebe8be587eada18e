"""From FaceMesh landmarks to motion channels: head pose removed, lengths in eye distances.

One definition for training labels, enrolment and scoring. Landmarks are the 478 FaceMesh points in px: x right, y down,
z away from the camera in the same scale. "Left" is the person's own left, which is the right side of the picture.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from engines.spec import SPEECH_CHANNELS

RIGHT_EYE, LEFT_EYE = (33, 133), (362, 263)  # outer and inner corner of each eye
RIGID = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 98, 327, 10, 151, 127, 356, 54, 284, 103, 332)
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
LIP_ROWS = (  # four rings from the skin inward, upper and lower half, each from the person's right to the left
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    (146, 91, 181, 84, 17, 314, 405, 321, 375),
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (77, 90, 180, 85, 16, 315, 404, 320, 307),
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    (96, 89, 179, 86, 15, 316, 403, 319, 325),
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    (95, 88, 178, 87, 14, 317, 402, 318, 324),
)
RIGHT_LIDS = ((160, 144), (159, 145), (158, 153))  # upper, lower
LEFT_LIDS = ((387, 373), (386, 374), (385, 380))


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


def eye_distance(landmarks: np.ndarray) -> np.ndarray:
    """Distance between the eyes' centres in the landmarks' unit; (..., 478, 3) -> (...)."""
    right = landmarks[..., RIGHT_EYE, :].mean(-2)
    left = landmarks[..., LEFT_EYE, :].mean(-2)
    return np.linalg.norm(left - right, axis=-1)


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
