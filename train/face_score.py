"""`voxcam train score face`: how well the generator draws people under their own true motion, against a static photo.

Portrait: the first closed-mouth picture of a GRID clip. Driven by the clip's own landmarks (mouth, brows, lids), head
pose left out; every true picture is brought into the portrait's pose by a similarity on rigid points, smoothed over
pictures. Mouth box: 1.92 x 1.6 eye distances around the resting mouth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from engines.generator import Generator
from engines.landmarker import Face, Landmarker
from engines.measure import (
    INNER_LIPS,
    OUTER_LIPS,
    RIGID,
    canonical_face,
    eye_distance,
    head_angles,
    lid_opening,
    mouth_measures,
    remove_pose,
    rest_measures,
)
from engines.portrait import Portrait, make_portrait
from engines.spec import MOTION_CHANNELS, SPEECH_CHANNELS

LIPS = OUTER_LIPS + INNER_LIPS
BLINK = MOTION_CHANNELS.index("eyeBlinkLeft")
HEAD = MOTION_CHANNELS.index("headPitch")


@dataclass
class Driven:
    """One clip as the generator sees it."""

    name: str
    portrait: Portrait
    codes: np.ndarray  # (T, 25)
    truth: np.ndarray  # (T, H, W, 3) uint8, in the portrait's pose
    landmarks: np.ndarray  # (T, 478, 3) px of `truth`
    first: int  # the picture that is the portrait


def read_clip(path: Path) -> np.ndarray:
    """All pictures of a clip, (T, H, W, 3) uint8."""
    with av.open(str(path)) as container:
        return np.stack([picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)])


def true_codes(landmarks: np.ndarray) -> np.ndarray:
    """Motion codes of a clip from its landmarks, (T, 25): speech channels and lids, smoothed against jitter."""
    aligned, *_ = remove_pose(landmarks, canonical_face())
    measures = mouth_measures(aligned)
    measures = gaussian_filter1d(measures - rest_measures(measures), 0.6, axis=0, mode="nearest")
    codes = np.zeros((len(landmarks), len(MOTION_CHANNELS)), np.float32)
    codes[:, : len(SPEECH_CHANNELS)] = measures
    lids = lid_opening(aligned)
    # FaceMesh's lids of a shut eye still stand half open (docs/decisions.md): below .88 a blink begins.
    codes[:, BLINK : BLINK + 2] = np.clip((0.88 - lids / np.quantile(lids, 0.8, axis=0)) / 0.45, 0, 1)
    return codes


def bring_to_pose(
    pictures: np.ndarray, landmarks: np.ndarray, codes: np.ndarray, portrait: Portrait, first: int, smooth: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Put head angles into the codes and bring every picture to where that code draws the head.

    pictures (T, H, W, 3), landmarks (T, 478, 3) of them, picture `first` being the portrait. Returns the pictures in
    the portrait's place and size, and their landmarks. `codes` (T, 25) is changed in place.
    """
    canonical = canonical_face()
    _, rotation, _, _ = remove_pose(landmarks, canonical)
    angles = head_angles(np.einsum("ij,tjk->tik", rotation[first].T, rotation))
    if smooth:
        angles = gaussian_filter1d(angles, 1.0, axis=0, mode="nearest") - angles[first]
    codes[:, HEAD : HEAD + 3] = angles
    generator, rigid = Generator(), list(RIGID)
    still = np.zeros(codes.shape[1], np.float32)
    targets = []
    for angle in angles:
        still[HEAD : HEAD + 3] = angle
        targets.append(generator._move(still, portrait, generator._buffers(portrait))[0][rigid].copy())
    corner = np.array([0.5, 0.5], np.float32)
    points = landmarks[..., :2] - corner
    matrices = similarity(points[:, rigid], np.stack(targets), 1.0 if smooth else 0.0)
    height, width = portrait.size
    placed = [
        cv2.warpAffine(picture, matrix, (width, height), None, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        for picture, matrix in zip(pictures, matrices, strict=True)
    ]
    moved = landmarks.copy()
    moved[..., :2] = np.einsum("tij,tpj->tpi", matrices[:, :, :2], points) + matrices[:, None, :, 2]
    return np.stack(placed), moved


def similarity(points: np.ndarray, target: np.ndarray, smoothing: float) -> np.ndarray:
    """2D similarity (T, 2, 3) that brings points (T, n, 2) to target (T, n, 2), least squares, smoothed in time."""
    mean, target_mean = points.mean(1, keepdims=True), target.mean(1, keepdims=True)
    z, w = (points - mean) @ np.array([1, 1j]), (target - target_mean) @ np.array([1, 1j])
    factor = (z.conj() * w).sum(1) / (np.abs(z) ** 2).sum(1)
    shift = target_mean[:, 0] @ np.array([1, 1j]) - factor * (mean[:, 0] @ np.array([1, 1j]))
    parts = np.stack([factor.real, factor.imag, shift.real, shift.imag], 1)
    if smoothing:
        parts = gaussian_filter1d(parts, smoothing, axis=0, mode="nearest")
    real, imaginary, x, y = parts.T
    return np.stack([np.stack([real, -imaginary, x], -1), np.stack([imaginary, real, y], -1)], 1)


def drive(clip: Path, landmarks_file: Path) -> Driven | None:
    """Prepare one clip; None where a face is missing in some picture or no picture has a closed mouth."""
    pictures, landmarks = read_clip(clip), np.load(landmarks_file).astype(np.float32)
    if len(pictures) != len(landmarks) or not np.isfinite(landmarks).all():
        return None
    codes = true_codes(landmarks)
    shut = np.flatnonzero((codes[:, 0] < 0.012) & (codes[:, BLINK : BLINK + 2].max(1) < 0.15))
    if not len(shut):
        return None
    first = int(shut[0])
    portrait = make_portrait(pictures[first], landmarks[first])
    codes = codes - np.where(np.arange(codes.shape[1]) < len(SPEECH_CHANNELS), codes[first], 0)
    truth, moved = bring_to_pose(pictures, landmarks, codes, portrait, first, smooth=True)
    return Driven(f"{clip.parent.name}/{clip.stem}", portrait, codes, truth, moved, first)


def mouth_box(portrait: Portrait) -> tuple[slice, slice]:
    """Rows and columns of the mouth box, px of the portrait."""
    distance = float(eye_distance(portrait.landmarks))
    x, y = portrait.landmarks[[13, 14], :2].mean(0)
    y += 0.12 * distance
    height, width = portrait.size
    rows = slice(max(0, round(y - 0.8 * distance)), min(height, round(y + 0.8 * distance)))
    return rows, slice(max(0, round(x - 0.96 * distance)), min(width, round(x + 0.96 * distance)))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two grey pictures 0..255 (Wang et al. 2004), 11 px Gaussian window."""
    a, b = a.astype(np.float64), b.astype(np.float64)

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (11, 11), 1.5)

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((similar / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))).mean())


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, 0..255."""
    return float(10 * np.log10(255**2 / max(1e-9, ((a.astype(np.float64) - b) ** 2).mean())))


def sharpness(grey: np.ndarray) -> float:
    """Mean gradient size of a grey picture."""
    x = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3)
    y = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3)
    return float(np.hypot(x, y).mean())


def grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def score_clip(driven: Driven, generator: Generator, every: int = 3) -> dict[str, list[float]]:
    """Numbers of every `every`-th picture of one clip, the portrait's own picture left out."""
    rows, columns = mouth_box(driven.portrait)
    static = driven.portrait.photo
    found: dict[str, list[float]] = {}
    for k in range(0, len(driven.truth), every):
        if k == driven.first:
            continue
        drawn, truth = generator.draw(driven.codes[k], driven.portrait), driven.truth[k]
        a, b, c = (grey(picture[rows, columns]) for picture in (drawn, truth, static))
        values = {
            "ssim": ssim(a, b),
            "ssim_static": ssim(c, b),
            "psnr": psnr(drawn[rows, columns], truth[rows, columns]),
            "psnr_static": psnr(static[rows, columns], truth[rows, columns]),
            "sharpness": sharpness(a) / sharpness(b),
            "sharpness_static": sharpness(c) / sharpness(b),
            "open": float(driven.codes[k][0]),
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return found


def redetect(landmarker: Landmarker, picture: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Landmarks of a picture whose face is known to lie about where `around` (478, 3) px says; (478, 3) px."""
    low, high = around[:468, :2].min(0), around[:468, :2].max(0)
    keypoints = around[[33, 263, 4, 13, 234, 454], :2]
    return landmarker.landmarks(picture, Face(np.concatenate([low, high]), keypoints, 1.0)).points


def mouth_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance of the lips' landmarks between two faces (478, 3) px, pose removed, eye distances."""
    aligned, *_ = remove_pose(np.stack([a, b]), canonical_face())
    return float(np.linalg.norm(aligned[0, list(LIPS), :2] - aligned[1, list(LIPS), :2], axis=1).mean())


def landmark_numbers(
    driven: Driven, generator: Generator, landmarker: Landmarker, every: int
) -> dict[str, list[float]]:
    """Re-detected landmarks of drawn pictures against those of the true ones: distances, openings, lids."""
    found: dict[str, list[float]] = {name: [] for name in ("lmd", "lmd_static", "open_drawn", "open_true")}
    static = redetect(landmarker, driven.portrait.photo, driven.portrait.landmarks)
    for k in range(0, len(driven.truth), every):
        if k == driven.first:
            continue
        truth = redetect(landmarker, driven.truth[k], driven.landmarks[k])
        drawn = redetect(landmarker, generator.draw(driven.codes[k], driven.portrait), driven.landmarks[k])
        aligned, *_ = remove_pose(np.stack([truth, drawn]), canonical_face())
        opening = mouth_measures(aligned)[:, 0]
        values = mouth_distance(drawn, truth), mouth_distance(static, truth), float(opening[1]), float(opening[0])
        for name, value in zip(found, values, strict=True):
            found[name].append(value)
    return found


def summarise(rows: dict[str, list[float]]) -> dict[str, float]:
    """Means; of openings, correlation and slope of drawn against true."""
    openings = {name: np.array(rows[name]) for name in ("open_drawn", "open_true") if name in rows}
    means = {name: float(np.mean(values)) for name, values in rows.items() if name not in openings and name != "open"}
    if openings:
        drawn, true = openings["open_drawn"], openings["open_true"]
        means["opening_r"] = float(np.corrcoef(drawn, true)[0, 1])
        means["opening_slope"] = float(np.polyfit(true, drawn, 1)[0])
        means["lmd_ratio"] = means["lmd"] / means["lmd_static"]
    return means


def score_people(
    clips: list[tuple[Path, Path]], generators: dict[str, Generator], every: int = 4, landmark_every: int = 8
) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Each generator's numbers over clips (video, landmarks): yields the clip's name and the numbers so far."""
    rows: dict[str, dict[str, list[float]]] = {name: {} for name in generators}
    with Landmarker() as landmarker:
        for clip, landmarks in clips:
            driven = drive(clip, landmarks)
            if driven is None:
                continue
            for name, generator in generators.items():
                numbers = score_clip(driven, generator, every)
                numbers |= landmark_numbers(driven, generator, landmarker, landmark_every)
                for key, values in numbers.items():
                    rows[name].setdefault(key, []).extend(values)
            yield driven.name, {name: summarise(values) for name, values in rows.items()}


def time_draw(portrait: Portrait, generator: Generator, repeats: int = 60) -> dict[str, float]:
    """Milliseconds of one core a picture, median: all moving, speech alone, and the network alone."""
    everything = np.zeros(len(MOTION_CHANNELS), np.float32)
    everything[: len(SPEECH_CHANNELS)] = 0.05
    speech = everything.copy()
    everything[BLINK : BLINK + 2] = 0.5
    everything[HEAD : HEAD + 5] = 0.03
    out = np.empty_like(portrait.photo)

    def median(action: Callable[[], object]) -> float:
        action()
        spent = []
        for _ in range(repeats):
            start = time.process_time()
            action()
            spent.append(time.process_time() - start)
        return 1000 * float(np.median(spent))

    times = {
        "all": median(lambda: generator.draw(everything, portrait, out)),
        "speech": median(lambda: generator.draw(speech, portrait, out)),
    }
    if generator.session is not None:
        times["network"] = median(lambda: generator._learned(everything, portrait))
    return times


def speech_shapes(landmarks: Path) -> dict[str, np.ndarray]:
    """Codes to look at: real speech shapes (means over GRID talkers s2 and s4), and made expressions."""
    codes = np.concatenate(
        [
            true_codes(np.load(path))
            for talker in ("s2", "s4")
            for path in sorted((landmarks / talker).glob("*.npy"))[:12]
        ]
    )
    codes[:, len(SPEECH_CHANNELS) - 3 :] = 0

    def near(opening: float) -> np.ndarray:
        return codes[np.abs(codes[:, 0] - opening).argsort()[:40]].mean(0)

    def code(**values: float) -> np.ndarray:
        made = np.zeros(len(MOTION_CHANNELS), np.float32)
        for name, value in values.items():
            made[MOTION_CHANNELS.index(name)] = value
        return made

    smile = code(
        mouthSmileLeft=0.08, mouthSmileRight=0.08, mouthStretch=0.15, jawOpen=0.07, mouthOpenSide=0.055,
        mouthFunnel=-0.04, mouthUpperUp=0.035, mouthLowerDown=0.02, jawDrop=0.02, eyeSquint=0.5,
    )  # fmt: skip
    return {
        "rest": code(),
        "parted": near(0.06),
        "half": near(0.14),
        "wide": near(0.24),
        "smile": smile,
        "pucker": codes[np.argsort(codes[:, SPEECH_CHANNELS.index("mouthStretch")])[:40]].mean(0),
        "blink": code(eyeBlinkLeft=1, eyeBlinkRight=1),
        "gaze": code(eyeLookX=0.25, eyeLookY=0.05),
        "turned": near(0.14) + code(headYaw=0.12, headPitch=0.05, headRoll=0.05),
    }


def draw_sheet(
    portraits: list[Portrait], codes: dict[str, np.ndarray], generator: Generator, tile_px: int, part: str = "face"
) -> np.ndarray:
    """One row a portrait: the photo, then every code; (rows * tile, columns * tile, 3). part: face, mouth, eyes."""
    rows = []
    for portrait in portraits:
        scale = float(portrait.scale[0])
        x, y = portrait.landmarks[{"face": 4, "mouth": 13, "eyes": 168}[part], :2]
        reach = {"face": 1.7, "mouth": 0.62, "eyes": 0.95}[part] * scale
        zoom = tile_px / 2 / reach
        matrix = np.array([[zoom, 0, tile_px / 2 - x * zoom], [0, zoom, tile_px / 2 - y * zoom]])
        tiles = []
        for picture in (portrait.photo, *(generator.draw(code, portrait) for code in codes.values())):
            if zoom < 1:
                picture = cv2.GaussianBlur(picture, (0, 0), 0.4 / zoom)
            tiles.append(
                cv2.warpAffine(picture, matrix, (tile_px, tile_px), None, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
            )
        rows.append(np.hstack(tiles))
    return np.vstack(rows)
