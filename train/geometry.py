"""How a face moves: the basis from motion channels to landmark displacements, and the triangles of the mesh.

    basis (25, 478, 3): displacement of each FaceMesh point for one unit of each motion channel, canonical pose,
    eye distances. Mouth channels are a ridge regression over real talking faces (GRID) and real smiles (the London
    set); brows, squint and sneer are smooth fields of our own, solved so that one unit of a channel measures as one.
    Blinks, gaze and head pose depend on the person or are rigid: their rows stay zero here (engines/portrait.py).

Writes engines/weights/geometry.npz.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import Delaunay

from engines.geometry import EYES, FACE_OVAL, LOWER_SEAM, UPPER_SEAM
from engines.measure import canonical_face, mirror_points, mouth_measures, remove_pose, rest_measures
from engines.spec import MOTION_CHANNELS, SPEECH_CHANNELS

MOUTH = SPEECH_CHANNELS[: SPEECH_CHANNELS.index("browInnerUp")]
BROWS = SPEECH_CHANNELS[len(MOUTH) :]


def mirror_motion(displacement: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Displacements of the mirrored face; (N, 478, 3) -> (N, 478, 3)."""
    return displacement[:, partner] * np.array([-1, 1, 1], np.float32)


def mirror_channels(measures: np.ndarray) -> np.ndarray:
    """Speech channels of the mirrored face: left and right smiles change places; (N, 14) -> (N, 14)."""
    swapped = measures.copy()
    left, right = SPEECH_CHANNELS.index("mouthSmileLeft"), SPEECH_CHANNELS.index("mouthSmileRight")
    swapped[:, [left, right]] = measures[:, [right, left]]
    return swapped


def clip_motion(landmarks: np.ndarray, canonical: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """One clip's displacements from rest (T, 478, 3) and channels (T, 14), smoothed over pictures against jitter."""
    landmarks = landmarks[np.isfinite(landmarks).all((1, 2))]
    if len(landmarks) < 25:
        return None
    aligned, *_ = remove_pose(landmarks, canonical)
    aligned = gaussian_filter1d(aligned, 1.0, axis=0, mode="nearest")
    measures = mouth_measures(aligned)
    opening = measures[:, 0]
    rest = aligned[opening <= np.quantile(opening, 0.25)].mean(0)
    return aligned - rest, measures - rest_measures(measures)


def smile_pairs(folder: Path, canonical: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Closed mouth -> smile of real people: displacements (N, 478, 3) and channels (N, 14)."""
    displacements, channels = [], []
    for smiling in sorted(folder.glob("*_smile.npy")):
        pair = np.stack([np.load(smiling.with_name(smiling.name.replace("smile", "neutral"))), np.load(smiling)])
        if not np.isfinite(pair).all():
            continue
        aligned, *_ = remove_pose(pair, canonical)
        measures = mouth_measures(aligned)
        displacements.append(aligned[1] - aligned[0])
        channels.append(measures[1] - measures[0])
    return np.stack(displacements), np.stack(channels)


def mouth_basis(
    motions: list[tuple[np.ndarray, np.ndarray, float]], canonical: np.ndarray, ridge: float = 2e-4
) -> np.ndarray:
    """Ridge regression of displacement on mouth channels, mirrored data added: (11, 478, 3).

    motions: (displacements, channels, weight of one picture). `ridge` is per picture, in squared eye distances.
    """
    partner = mirror_points()
    size = len(MOUTH)
    normal, target, total = np.zeros((size, size)), np.zeros((size, canonical.size)), 0.0
    for displacement, channels, weight in motions:
        for moved, code in (
            (displacement, channels),
            (mirror_motion(displacement, partner), mirror_channels(channels)),
        ):
            code = code[:, :size].astype(np.float64)
            normal += weight * code.T @ code
            target += weight * code.T @ moved.reshape(len(moved), -1)
            total += weight * len(code)
    solved = np.linalg.solve(normal + ridge * total * np.eye(size) * 0.02, target)
    basis = solved.reshape(size, *canonical.shape)
    # The mouth leaves brows, forehead and lids alone; a smile still lifts cheeks and lower lids a little.
    height = np.clip((canonical[:, 1] - 0.08) / 0.35, 0, 1)
    return (basis * (height * height * (3 - 2 * height))[None, :, None]).astype(np.float32)


def bump(canonical: np.ndarray, points: tuple[int, ...], sigma_x: float, sigma_up: float, sigma_down: float):
    """A smooth field that is 1 at the points and fades away from them; eye distances -> (478,)."""
    near = np.zeros(len(canonical))
    for point in points:
        away = canonical[:, :2] - canonical[point, :2]
        sigma_y = np.where(away[:, 1] < 0, sigma_up, sigma_down)
        near = np.maximum(near, np.exp(-0.5 * ((away[:, 0] / sigma_x) ** 2 + (away[:, 1] / sigma_y) ** 2)))
    return near


def brow_basis(canonical: np.ndarray) -> np.ndarray:
    """Fields for browInnerUp, browOuterUp, browDown: (3, 478, 3), mixed so that each measures as itself alone."""
    inner = bump(canonical, (107, 66, 336, 296, 55, 285), 0.20, 0.30, 0.10)
    outer = bump(canonical, (105, 63, 70, 334, 293, 300), 0.22, 0.30, 0.09)
    side = np.tanh(canonical[:, 0] / 0.12)
    fields = np.zeros((3, *canonical.shape))
    fields[0, :, 1], fields[1, :, 1] = -inner, -outer
    fields[2, :, 0] = -side * bump(canonical, (107, 66, 336, 296, 55, 285), 0.16, 0.22, 0.10)
    fields[2, :, 1] = 0.35 * inner
    step = 1e-3
    moved = np.concatenate([canonical[None], canonical[None] + step * fields]).astype(np.float64)
    measures = mouth_measures(moved)[:, len(MOUTH) :]
    response = (measures[1:] - measures[0]) / step  # (field, channel)
    return np.einsum("cf,fpd->cpd", np.linalg.inv(response), fields).astype(np.float32)


def upper_face_basis(canonical: np.ndarray) -> dict[str, np.ndarray]:
    """Fields of our own for eyeSquint and noseSneer (FACS AU6/7 and AU9), one unit each: {name: (478, 3)}."""
    squint = np.zeros(canonical.shape)
    for eye in EYES:
        squint[:, 1] -= 0.045 * bump(canonical, eye.lower[1:-1], 0.10, 0.02, 0.16)
        squint[:, 1] += 0.022 * bump(canonical, eye.upper[1:-1], 0.10, 0.10, 0.02)
    sneer = np.zeros(canonical.shape)
    wings = bump(canonical, (98, 327, 129, 358), 0.13, 0.30, 0.13)
    sneer[:, 1] -= 0.09 * wings + 0.05 * bump(canonical, (39, 269), 0.13, 0.10, 0.04)
    sneer[:, 0] += 0.02 * np.sign(canonical[:, 0]) * wings
    return {"eyeSquint": squint.astype(np.float32), "noseSneer": sneer.astype(np.float32)}


def triangulate(canonical: np.ndarray) -> np.ndarray:
    """Delaunay triangles of the 468 surface points seen from the front, mouth shut: (n, 3) int16.

    The lips are one line in it; triangles below that line then take the lower lip's points, and a strip of triangles
    joins both lips. The edges of lips and lids must be edges of the mesh: ValueError where one is missing.
    """
    flat = canonical[:468, :2].astype(np.float64)
    points = np.array([k for k in range(468) if k not in LOWER_SEAM[1:-1]])
    triangles = points[Delaunay(flat[points]).simplices]
    lower_of = dict(zip(UPPER_SEAM[1:-1], LOWER_SEAM[1:-1], strict=True))
    seam = flat[list(UPPER_SEAM)]
    mesh = []
    for triangle in triangles:
        x, y = flat[triangle].mean(0)
        if not inside(flat[list(FACE_OVAL)], x, y):
            continue
        below = y > np.interp(x, seam[:, 0], seam[:, 1])
        mesh.append([lower_of.get(int(k), int(k)) if below else int(k) for k in triangle])
    for k in range(len(UPPER_SEAM) - 1):
        (a, b), (c, d) = UPPER_SEAM[k : k + 2], LOWER_SEAM[k : k + 2]
        mesh += [t for t in ([a, b, d], [a, d, c]) if len(set(t)) == 3]
    edges = {tuple(sorted((t[i], t[(i + 1) % 3]))) for t in mesh for i in range(3)}
    rings = [UPPER_SEAM, LOWER_SEAM, *(eye.upper for eye in EYES), *(eye.lower for eye in EYES)]
    needed = [tuple(sorted(edge)) for ring in rings for edge in pairwise(ring)]
    if not edges.issuperset(needed):
        raise ValueError(f"the mesh lacks edges of lips or lids: {set(needed) - edges}")
    return np.array(mesh, np.int16)


def inside(polygon: np.ndarray, x: float, y: float) -> bool:
    """Whether a point lies in a polygon (n, 2): even-odd rule."""
    odd = False
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            odd = not odd
    return odd


def fit(landmarks: Path) -> dict[str, np.ndarray]:
    """The whole of geometry.npz from a folder of landmarks (grid/train/*/*.npy, faces/*.npy)."""
    canonical = canonical_face()
    motions = []
    for talker in sorted((landmarks / "grid" / "train").iterdir()):
        found = [clip_motion(np.load(path), canonical) for path in sorted(talker.glob("*.npy"))]
        clips = [clip for clip in found if clip is not None]
        # A talker with hundreds of clips must not outvote the others: his weight grows with the root of their number.
        weight = len(clips) ** -0.5 if clips else 0.0
        motions += [(*clip, weight) for clip in clips]
    smiles = smile_pairs(landmarks / "faces", canonical)
    motions.append((*smiles, 6.0))
    mouth = mouth_basis(motions, canonical)
    basis = np.zeros((len(MOTION_CHANNELS), *canonical.shape), np.float32)
    basis[: len(MOUTH)] = mouth
    basis[len(MOUTH) : len(SPEECH_CHANNELS)] = brow_basis(canonical)
    for name, field in upper_face_basis(canonical).items():
        basis[MOTION_CHANNELS.index(name)] = field
    return {"basis": basis, "triangles": triangulate(canonical)}


def command(landmarks: Path, out: Path) -> None:
    """Fit and write geometry.npz."""
    fitted = fit(landmarks)
    partial = out.with_suffix(".partial.npz")
    np.savez_compressed(partial, basis=fitted["basis"].astype(np.float16), triangles=fitted["triangles"])
    partial.replace(out)
    print(f"{out}: basis {fitted['basis'].shape}, {len(fitted['triangles'])} triangles")
