"""How a face moves: the basis from motion channels to landmark displacements, and the triangles of the mesh.

    basis (25, 478, 3): displacement of each FaceMesh point for one unit of each motion channel, canonical pose,
    eye distances. Mouth channels are a ridge regression over real talking faces (GRID) and real smiles (the London
    set): first on where the landmarks go, then on where the pixels go that are drawn with that and filmed in truth,
    for FaceMesh's chin and cheeks hardly follow the flesh. Brows, squint and sneer are smooth fields of our own,
    solved so that one unit of a channel measures as one. Blinks, gaze and head pose depend on the person or are
    rigid: their rows stay zero here (engines/portrait.py).

Writes engines/weights/geometry.npz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import Delaunay

from engines.drawing.geometry import RING, RINGS, ease, push_out
from engines.errors import ConfigError
from engines.face.measure import canonical_face, eye_distance, mirror_points, mouth_measures, remove_pose, rest_measures
from engines.face.photo import read_photo
from engines.face_points import EYES, FACE, FACE_OVAL, LIP_ROWS, LOWER_SEAM, UPPER_SEAM
from engines.generator import Generator
from engines.portrait import Portrait, make_portrait
from engines.spec import MODEL_CHANNELS, MOTION_CHANNELS, SPEECH_CHANNELS
from engines.whole_file import write_npz
from train.face.face_score import bring_to_pose, drive
from train.face.face_stills import still_codes

MOUTH = SPEECH_CHANNELS[: SPEECH_CHANNELS.index("browInnerUp")]
BROWS = SPEECH_CHANNELS[len(MOUTH) :]
HEAD = [MOTION_CHANNELS.index(name) for name in ("headPitch", "headYaw", "headRoll")]
CLIPS, EVERY = 14, 4  # a talker's clips whose pixels are followed, and every how many-th picture
PAIR_EYES_PX = 100  # pixels between the eyes at which smiles are followed
PAIR_WEIGHT = 1.0
OFF_LIPS = 0.15  # eye distances from the lips, whose landmarks are what codes are read from, to where pixels rule
FLOW_SIGMA = 0.06  # a flow counts as the mean over this, eye distances
CHIN = [152, 148, 377, 176, 400, 175, 199, 200, 172, 136, 150, 149, 397, 365, 379, 378]
PIXEL_RIDGE = 3e-5  # for each picture, squared eye distances


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
    return (solved.reshape(size, *canonical.shape) * lower_face(canonical)).astype(np.float32)


def lower_face(canonical: np.ndarray) -> np.ndarray:
    """How far a point follows the mouth, (478, 1): brows, forehead and lids don't, cheeks under the eyes partly."""
    return ease((canonical[:, 1:2] - 0.08) / 0.35)


@dataclass(frozen=True)
class Misplaced:
    """How far true points are from where they are drawn, at each landmark of the surface."""

    codes: np.ndarray  # (N, 25) that drew them
    apart: np.ndarray  # (N, 468, 2) eye distances, canonical frame
    weight: float  # of one picture


def with_mouth(portrait: Portrait, mouth: np.ndarray) -> Portrait:
    """The portrait with another basis (11, 478, 3) for its mouth channels."""
    basis = portrait.basis.copy()
    basis[: len(MOUTH), :FACE] = mouth[:, :FACE]
    for k in range(len(RINGS)):
        ring = slice(FACE + RING * k, FACE + RING * (k + 1))
        _, own = push_out(portrait.rest[list(FACE_OVAL)], k)
        basis[: len(MOUTH), ring] = own[:, None] * basis[: len(MOUTH), list(FACE_OVAL)]
    return replace(portrait, basis=basis)


def misplaced(generator: Generator, portrait: Portrait, code: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Draw one code and follow its pixels into the true picture (H, W, 3); (468, 2) eye distances."""
    scale = float(portrait.scale[0])
    drawn = generator.draw(code, portrait)
    points = generator.scratch_of(portrait).moved[:FACE].copy()
    low = np.floor(np.maximum(points.min(0) - 8, 0)).astype(int)
    high = np.ceil(np.minimum(points.max(0) + 9, portrait.size[::-1])).astype(int)
    zoom = max(1.0, PAIR_EYES_PX / scale)
    pair = [
        cv2.resize(
            cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[low[1] : high[1], low[0] : high[0]],
            None,
            fx=zoom,
            fy=zoom,
            interpolation=cv2.INTER_CUBIC,
        )
        for picture in (drawn, truth)
    ]
    follow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = (follow.calc(pair[0], pair[1], np.zeros((*pair[0].shape, 2), np.float32)) / zoom).astype(np.float32)
    flow = np.asarray(cv2.GaussianBlur(flow, (0, 0), FLOW_SIGMA * scale * zoom))
    at = ((points - low) * zoom).astype(np.float32)
    apart = cv2.remap(flow, at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR)[0]
    return apart @ np.linalg.inv(portrait.rotation[:2, :2]).T / scale


def talkers_misplaced(
    grid: Path, landmarks: Path, mouth: np.ndarray, say: Callable[[str], None]
) -> Iterator[tuple[str, Misplaced]]:
    """GRID's training talkers under their own motion, drawn with the basis `mouth` (11, 478, 3)."""
    generator, chance = Generator(), np.random.default_rng(1)
    for talker in sorted(path for path in grid.iterdir() if path.is_dir()):
        codes, apart = [], []
        clips = sorted(talker.glob("*.mkv"))
        for clip in (clips[k] for k in chance.permutation(len(clips))[:CLIPS]):
            points = landmarks / talker.name / f"{clip.stem}.npy"
            driven = drive(clip, points) if points.is_file() else None
            if driven is None:
                continue
            portrait = with_mouth(driven.portrait, mouth)
            for k in range(0, len(driven.codes), EVERY):
                if k != driven.first:
                    codes.append(driven.codes[k])
                    apart.append(misplaced(generator, portrait, driven.codes[k], driven.truth[k]))
        if codes:
            say(f"{talker.name}: {len(codes)} pictures")
            yield talker.name, Misplaced(np.stack(codes), np.stack(apart), len(codes) ** -0.5)


def smiles_misplaced(faces: Path, landmarks: Path, mouth: np.ndarray) -> Misplaced:
    """Closed mouth -> own smile of the London set's people."""
    generator = Generator()
    codes, apart = [], []
    for smile in sorted(landmarks.glob("*_smile.npy")):
        names = (smile.stem.replace("smile", "neutral"), smile.stem)
        points = np.stack([np.load(landmarks / f"{name}.npy") for name in names]).astype(np.float32)
        if not np.isfinite(points).all():
            continue
        shrink = min(1.0, PAIR_EYES_PX / float(eye_distance(points[0])))
        pictures = [
            cv2.resize(
                read_photo(faces / "london" / f"{name}.jpg"), None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA
            )
            for name in names
        ]
        points *= np.float32(shrink)
        portrait = make_portrait(pictures[0], points[0])
        code = still_codes(points)
        truth, _ = bring_to_pose(np.stack(pictures), points, code, portrait, 0, smooth=False)
        codes.append(code[1])
        apart.append(misplaced(generator, with_mouth(portrait, mouth), code[1], truth[1]))
    return Misplaced(np.stack(codes), np.stack(apart), PAIR_WEIGHT)


def misplaced_basis(seen: list[Misplaced], canonical: np.ndarray, ridge: float) -> np.ndarray:
    """What to add to the mouth's basis so that points go where the true ones are, (11, 478, 3).

    Ridge regression on mouth channels and head angles, mirrored data added; what goes with the angles is how FaceMesh
    errs in a turned head, and is left out. ridge: for each picture, squared eye distances.
    """
    size = len(MOUTH) + len(HEAD)
    partner = mirror_points()[:FACE]
    normal, target, total = np.zeros((size, size)), np.zeros((size, FACE * 2)), 0.0
    for part in seen:
        mirrored = part.codes * np.where(np.arange(len(MOTION_CHANNELS)) >= HEAD[1], -1, 1)
        mirrored[:, : len(SPEECH_CHANNELS)] = mirror_channels(mirrored[:, : len(SPEECH_CHANNELS)])
        for codes, apart in ((part.codes, part.apart), (mirrored, part.apart[:, partner] * (-1, 1))):
            inputs = codes[:, [*range(len(MOUTH)), *HEAD]].astype(np.float64)
            normal += part.weight * inputs.T @ inputs
            target += part.weight * inputs.T @ apart.reshape(len(apart), -1)
            total += part.weight * len(inputs)
    solved = np.linalg.solve(normal + ridge * total * np.eye(size), target)
    added = np.zeros((len(MOUTH), *canonical.shape), np.float32)
    added[:, :FACE, :2] = solved[: len(MOUTH)].reshape(len(MOUTH), FACE, 2)
    return (added * lower_face(canonical)).astype(np.float32)


def from_lips(canonical: np.ndarray) -> np.ndarray:
    """How far pixels rule and not landmarks, (478, 1): 0 at the lips, 1 beyond OFF_LIPS."""
    lips = canonical[sorted({point for row in LIP_ROWS for point in row}), :2]
    away = np.linalg.norm(canonical[:, None, :2] - lips, axis=-1).min(1)[:, None]
    return np.clip(away / OFF_LIPS, 0, 1)


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
        squint[:, 1] -= 0.075 * bump(canonical, eye.lower[1:-1], 0.10, 0.02, 0.16)
        squint[:, 1] += 0.006 * bump(canonical, eye.upper[1:-1], 0.10, 0.10, 0.02)
    sneer = np.zeros(canonical.shape)
    wings = bump(canonical, (98, 327, 129, 358), 0.13, 0.30, 0.13)
    sneer[:, 1] -= 0.09 * wings + 0.05 * bump(canonical, (39, 269), 0.13, 0.10, 0.04)
    sneer[:, 0] += 0.02 * np.sign(canonical[:, 0]) * wings
    return {"eyeSquint": squint.astype(np.float32), "noseSneer": sneer.astype(np.float32)}


def triangulate(canonical: np.ndarray) -> np.ndarray:
    """Delaunay triangles of the 468 surface points seen from the front, mouth shut: (n, 3) int16.

    The lips are one line in it, of edges of its own; triangles below that line then take the lower lip's points, and a
    strip of triangles joins both lips.
    """
    flat = canonical[:FACE, :2].astype(np.float64)
    points = np.array([k for k in range(FACE) if k not in LOWER_SEAM[1:-1]])
    rings = [UPPER_SEAM, *(eye.upper for eye in EYES), *(eye.lower for eye in EYES)]
    edges = [edge for ring in rings for edge in pairwise(ring)]
    triangles = with_edges(points[Delaunay(flat[points]).simplices], flat, edges)
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
    return np.array(mesh, np.int16)


def with_edges(triangles: np.ndarray, flat: np.ndarray, wanted: list[tuple[int, int]]) -> np.ndarray:
    """Triangles (n, 3) of points flat (P, 2) in which the wanted edges are edges (Sloan 1993: what crosses is flipped).

    Without the lips' line in it, triangles would join the upper lip to the lower one, and tear off both as they part.
    ValueError where an edge cannot be had.
    """

    def turn(a: int, b: int, c: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = flat[a], flat[b], flat[c]
        return float((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))

    def cross(a: int, b: int, p: int, q: int) -> bool:
        return turn(a, b, p) * turn(a, b, q) < 0 and turn(p, q, a) * turn(p, q, b) < 0

    mesh = [frozenset(int(k) for k in triangle) for triangle in triangles]
    for a, b in wanted:
        for _ in range(len(mesh)):
            if any({a, b} <= triangle for triangle in mesh):
                break
            crossed = [t for t in mesh if any(cross(a, b, *edge) for edge in combinations(t, 2))]
            for pair in combinations(crossed, 2):
                shared, apart = pair[0] & pair[1], pair[0] ^ pair[1]
                if len(shared) == 2 and cross(a, b, *shared) and cross(*apart, *shared):
                    mesh = [t for t in mesh if t not in pair] + [apart | {k} for k in shared]
                    break
        else:
            raise ValueError(f"the mesh lacks the edge {a}, {b} of lips or lids")
    return np.array([sorted(triangle) for triangle in mesh])


def inside(polygon: np.ndarray, x: float, y: float) -> bool:
    """Whether a point lies in a polygon (n, 2): even-odd rule."""
    odd = False
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            odd = not odd
    return odd


def fit(
    data: Path,
    landmarks: Path,
    filmed: bool = False,
    held_out: tuple[str, ...] = (),
    say: Callable[[str], None] = print,
) -> dict[str, np.ndarray]:
    """The whole of geometry.npz from DATA/grid, DATA/faces and their landmarks (grid/train/*/*.npy, faces/*.npy).

    filmed: chin, jaw and cheeks go where filmed pixels go, not landmarks (docs/decisions.md). held_out: talkers
    that teach nothing, to measure on.
    """
    canonical = canonical_face()
    talkers = sorted((landmarks / "grid" / "train").iterdir())
    unknown = sorted(set(held_out) - {talker.name for talker in talkers})
    if unknown:
        raise ConfigError(f"no talker is called {', '.join(unknown)}", "one of " + ", ".join(t.name for t in talkers))
    motions = []
    for talker in talkers:
        if talker.name in held_out:
            continue
        found = [clip_motion(np.load(path), canonical) for path in sorted(talker.glob("*.npy"))]
        clips = [clip for clip in found if clip is not None]
        # A talker with hundreds of clips must not outvote the others: his weight grows with the root of their number.
        weight = len(clips) ** -0.5 if clips else 0.0
        motions += [(*clip, weight) for clip in clips]
    smiles = smile_pairs(landmarks / "faces", canonical)
    motions.append((*smiles, 6.0))
    mouth = mouth_basis(motions, canonical)
    if filmed:
        mouth = mouth + follow_film(data, landmarks, mouth, canonical, held_out, say)
    basis = np.zeros((len(MODEL_CHANNELS), *canonical.shape), np.float32)
    basis[: len(MOUTH)] = mouth
    basis[len(MOUTH) : len(SPEECH_CHANNELS)] = brow_basis(canonical)
    for name, field in upper_face_basis(canonical).items():
        basis[MOTION_CHANNELS.index(name)] = field
    return {"basis": basis, "triangles": triangulate(canonical)}


def follow_film(
    data: Path,
    landmarks: Path,
    mouth: np.ndarray,
    canonical: np.ndarray,
    held_out: tuple[str, ...],
    say: Callable[[str], None],
) -> np.ndarray:
    """What the mouth's basis lacks to move drawn pixels to where they were filmed; says how near it brings held_out."""
    seen = dict(talkers_misplaced(data / "grid" / "train", landmarks / "grid" / "train", mouth, say))
    taught = [part for talker, part in seen.items() if talker not in held_out]
    smiles = smiles_misplaced(data / "faces", landmarks / "faces", mouth)
    added = (misplaced_basis([*taught, smiles], canonical, PIXEL_RIDGE) * from_lips(canonical)).astype(np.float32)
    for name in held_out:
        part = seen[name]
        left = part.apart - np.einsum("nc,cpd->npd", part.codes[:, : len(MOUTH)], added[:, :FACE, :2])
        before, after = (np.sqrt((apart[:, CHIN] ** 2).mean()) for apart in (part.apart, left))
        say(f"{name}, held out: chin and jaw {before:.4f} -> {after:.4f} eye distances from the filmed ones")
    return added


def write_geometry(out: Path, basis: np.ndarray, triangles: np.ndarray) -> None:
    """What engines/drawing/geometry.py reads: basis (25, 478, 3), triangles (n, 3)."""
    write_npz(out, {"basis": basis.astype(np.float16), "triangles": triangles})


def command(
    data: Path, landmarks: Path, out: Path, filmed: bool, held_out: tuple[str, ...], say: Callable[[str], None]
) -> None:
    """Fit and write geometry.npz."""
    fitted = fit(data, landmarks, filmed, held_out, say)
    write_geometry(out, fitted["basis"], fitted["triangles"])
    say(f"{out}: basis {fitted['basis'].shape}, {len(fitted['triangles'])} triangles")
