"""`voxcam train score face`, the measuring: people drawn under their own true motion and by sound, against the truth.

Portrait: the first closed-mouth picture of a clip. True motion is the clip's own landmarks (mouth, brows, lids, head
angles); by sound, the head's angles are the true ones too, since sound doesn't tell them, and everything else comes the
shipped way: encoder, shaper, generator. Every true picture is brought to where the drawn head stands by a similarity on
rigid points, smoothed over pictures. Mouth box: 1.92 x 1.6 eye distances around the resting mouth.

Landmark distances (LMD): the same landmarker reads drawn, true and static pictures around the same place; pose removed,
mean over the 40 points of the lips, in eye distances. Of rendered people the truth is also the renderer's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from engines.errors import InputError
from engines.face.landmarker import Landmarker
from engines.face.measure import (
    canonical_face,
    eye_distance,
    head_angles,
    lid_opening,
    mouth_measures,
    remove_pose,
    rest_measures,
)
from engines.face_points import EYES, FACE, INNER_LIPS, OUTER_LIPS, RIGID
from engines.generator import Generator, hold_turn
from engines.portrait import Portrait, make_portrait
from engines.spec import MOTION_CHANNELS, SPEECH_CHANNELS
from train.data.motion_labels import PICTURE_S
from train.data.rendered_people import RenderedTalker
from train.face.picture_metrics import grey, psnr, sharpness, ssim

LIPS = OUTER_LIPS + INNER_LIPS
BLINK = MOTION_CHANNELS.index("eyeBlinkLeft")
HEAD = MOTION_CHANNELS.index("headPitch")
SPEECH = len(SPEECH_CHANNELS)
# The renderer's 68 points (iBUG) and FaceMesh's that lie there: lips, and what is rigid or nearly so.
EXACT_LIPS = (
    *zip(range(48, 60), (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181), strict=True),
    *zip(range(60, 68), (78, 82, 13, 312, 308, 317, 14, 87), strict=True),
)
EXACT_RIGID = ((36, 33), (39, 133), (42, 362), (45, 263), (27, 168), (30, 4), (31, 98), (35, 327))
EXACT_LIDS = (((43, 47), (44, 46)), ((37, 41), (38, 40)))  # upper and lower, left and right eye
MOST_LAG = 6  # pictures that drawn and true opening are shifted against each other


@dataclass
class Driven:
    """One clip as the generator sees it."""

    name: str
    portrait: Portrait
    codes: np.ndarray  # (T, 26) true motion
    truth: np.ndarray  # (T, H, W, 3) uint8, in the portrait's pose
    landmarks: np.ndarray  # (T, 478, 3) px of `truth`
    first: int  # the picture that is the portrait
    times_s: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (T,) of the pictures' middles in the sound
    exact: np.ndarray | None = None  # (T, 20, 2) true displacement of EXACT_LIPS from rest, eye distances
    lids: np.ndarray | None = None  # (T, 2) true opening as a share of open, left and right


def read_clip(path: Path) -> np.ndarray:
    """All pictures of a clip, (T, H, W, 3) uint8."""
    with av.open(str(path)) as container:
        return np.stack([picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)])


def true_codes(landmarks: np.ndarray) -> np.ndarray:
    """Motion codes of a clip from its landmarks, (T, 26): speech channels and lids, smoothed against jitter."""
    aligned, *_ = remove_pose(landmarks, canonical_face())
    measures = mouth_measures(aligned)
    measures = gaussian_filter1d(measures - rest_measures(measures), 0.6, axis=0, mode="nearest")
    codes = np.zeros((len(landmarks), len(MOTION_CHANNELS)), np.float32)
    codes[:, : len(SPEECH_CHANNELS)] = measures
    lids = lid_opening(aligned)
    codes[:, BLINK : BLINK + 2] = closure(lids, np.quantile(lids, 0.8, axis=0))
    return codes


def closure(lids: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """How far lids are shut, 0..1, by what FaceMesh reads of them now and of the open eye.

    Its lids of a shut eye still stand half open (docs/decisions.md): below .88 a blink begins.
    """
    return np.clip((0.88 - lids / np.maximum(wide, 1e-3)) / 0.45, 0, 1)


def bring_to_pose(
    pictures: np.ndarray, landmarks: np.ndarray, codes: np.ndarray, portrait: Portrait, first: int, smooth: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Put head angles into the codes and bring every picture to where that code draws the head.

    pictures (T, H, W, 3), landmarks (T, 478, 3) of them, picture `first` being the portrait. Returns the pictures in
    the portrait's place and size, and their landmarks. `codes` (T, 26) is changed in place.
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
        held = hold_turn(still, portrait)
        targets.append(generator.mesh(held, portrait)[rigid])
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


def drive(clip: Path, landmarks_file: Path, among: np.ndarray | None = None) -> Driven | None:
    """Prepare one clip; None where a face is missing in some picture or no picture has a closed mouth.

    among (T,): pictures of which one may be the portrait; else each may.
    """
    pictures, landmarks = read_clip(clip), np.load(landmarks_file).astype(np.float32)
    if len(pictures) != len(landmarks) or not np.isfinite(landmarks).all():
        return None
    return drive_pictures(f"{clip.parent.name}/{clip.stem}", pictures, landmarks, 25.0, among)


def drive_pictures(
    name: str, pictures: np.ndarray, landmarks: np.ndarray, rate_hz: float, among: np.ndarray | None = None
) -> Driven | None:
    """Prepare pictures (T, H, W, 3) of one person and their landmarks (T, 478, 3); None where no mouth is shut."""
    codes = true_codes(landmarks)
    first = first_shut(codes, among)
    if first is None:
        return None
    portrait = make_portrait(pictures[first], landmarks[first])
    codes[:, :SPEECH] -= codes[first, :SPEECH] - measured_rest_shift(portrait, landmarks[first])
    truth, moved = bring_to_pose(pictures, landmarks, codes, portrait, first, smooth=True)
    times = (np.arange(len(pictures)) + 0.5) / rate_hz
    return Driven(name, portrait, codes, truth, moved, first, times)


def first_shut(codes: np.ndarray, among: np.ndarray | None = None) -> int | None:
    """The first picture of true codes (T, 26) with a shut mouth and open eyes; None where there is none.

    among (T,): pictures that are looked at; else all are.
    """
    found = (codes[:, 0] < 0.012) & (codes[:, BLINK : BLINK + 2].max(1) < 0.15)
    shut = np.flatnonzero(found if among is None else found & among)
    return int(shut[0]) if len(shut) else None


def measured_rest_shift(portrait: Portrait, landmarks: np.ndarray) -> np.ndarray:
    """How far the photo's own mouth is from where the portrait rests, (14,): shut lips may smile."""
    here = align(landmarks[None])
    rest = here.copy()
    rest[0, :FACE] += portrait.rest_shift[:FACE]
    return (mouth_measures(here) - mouth_measures(rest))[0]


def drive_rendered(talker: RenderedTalker) -> Driven:
    """A rendered person under the motion that was rendered: lids exactly, lips as our landmarker reads them."""
    landmarks = talker.landmarks.astype(np.float32)
    codes = true_codes(landmarks)
    portrait = make_portrait(talker.pictures[0], landmarks[0])
    codes[:, :SPEECH] -= codes[0, :SPEECH] - measured_rest_shift(portrait, landmarks[0])
    gaps = np.stack(
        [sum(np.linalg.norm(talker.exact[:, a] - talker.exact[:, b], axis=-1) for a, b in lids) for lids in EXACT_LIDS],
        -1,
    )
    lids = gaps / gaps[0]
    codes[:, BLINK : BLINK + 2] = np.clip(1 - lids, 0, 1)
    truth, moved = bring_to_pose(talker.pictures, landmarks, codes, portrait, 0, smooth=True)
    times = (np.arange(len(landmarks)) - 0.5) * PICTURE_S  # picture 0 stands before the sound
    driven = Driven(talker.name, portrait, codes, truth, moved, 0, times)
    driven.exact, driven.lids = exact_displacement(talker.exact, landmarks[0]), lids
    return driven


def exact_displacement(exact: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The renderer's lips (T, 68, 3), head motion left out -> how far they are from rest, (T, 20, 2) eye distances.

    Turned into the canonical frame by a similarity from the renderer's rigid points at rest to our landmarker's.
    """
    aligned = remove_pose(rest[None], canonical_face())[0][0].astype(np.float64)
    theirs, ours = (np.array(points) for points in zip(*EXACT_RIGID, strict=True))
    a, b = exact[0, theirs].astype(np.float64), aligned[ours]
    a, b = a - a.mean(0), b - b.mean(0)
    u, singular, vt = np.linalg.svd(a.T @ b)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    turn = (u * sign) @ vt * ((singular * sign).sum() / (a**2).sum())
    lips = exact[:, [theirs for theirs, _ in EXACT_LIPS]]
    return ((lips - lips[0]) @ turn)[..., :2]


def mouth_box(portrait: Portrait) -> tuple[slice, slice]:
    """Rows and columns of the mouth box, px of the portrait."""
    distance = float(eye_distance(portrait.landmarks))
    x, y = portrait.landmarks[[13, 14], :2].mean(0)
    y += 0.12 * distance
    height, width = portrait.size
    rows = slice(max(0, round(y - 0.8 * distance)), min(height, round(y + 0.8 * distance)))
    return rows, slice(max(0, round(x - 0.96 * distance)), min(width, round(x + 0.96 * distance)))


def lips_mask(portrait: Portrait, truth: np.ndarray) -> np.ndarray:
    """Where the lips are in the photo or in the true picture (478, 3) px, a little around them; (H, W) bool."""
    mask = np.zeros(portrait.size, np.uint8)
    for points in (portrait.landmarks, truth):
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points[list(OUTER_LIPS), :2]).astype(np.int32)), 1)
    reach = max(1, round(0.05 * float(eye_distance(portrait.landmarks))))
    return cv2.dilate(mask, np.ones((2 * reach + 1,) * 2, np.uint8)) > 0


def align(points: np.ndarray) -> np.ndarray:
    """Landmarks (T, 478, 3) px -> canonical frame, head pose removed."""
    return remove_pose(points, canonical_face())[0]


@dataclass
class Truth:
    """What the landmarker reads on a clip's true pictures and on its portrait."""

    pictures: np.ndarray  # indices of the pictures that are compared
    aligned: np.ndarray  # (n, 478, 3)
    static: np.ndarray  # (n, 478, 3) the portrait's photo, read around the same places

    @classmethod
    def read(cls, driven: Driven, landmarker: Landmarker, every: int) -> Truth:
        chosen = np.array([k for k in range(0, len(driven.truth), every) if k != driven.first])
        true, static = (
            align(np.stack([landmarker.landmarks_near(picture(k), driven.landmarks[k]) for k in chosen]))
            for picture in (lambda k: driven.truth[k], lambda k: driven.portrait.photo)
        )
        return cls(chosen, true, static)


def lips_apart(a: np.ndarray, b: np.ndarray, about_mean: bool = False) -> np.ndarray:
    """Mean distance of the lips between aligned faces (..., 478, 3), eye distances.

    about_mean: the lips' own mean is taken off both first (Chen et al. 2018), so that only the mouth's shape counts.
    """
    apart = (a - b)[..., list(LIPS), :2]
    if about_mean:
        apart = apart - apart.mean(-2, keepdims=True)
    return np.linalg.norm(apart, axis=-1).mean(-1)


def drawn_lids(generator: Generator, portrait: Portrait) -> np.ndarray:
    """Gap of the lids that the last picture was drawn between, as a share of the photo's own; left, right."""
    moved, shares = generator.scratch_of(portrait).moved, []
    for eye in EYES:
        middle = slice(3, 6)
        now, before = (
            np.linalg.norm(points[list(eye.upper[middle])] - points[list(eye.lower[middle])], axis=1).mean()
            for points in (moved, portrait.source)
        )
        shares.append(now / before)
    return np.array(shares)


def score_drawn(
    driven: Driven,
    truth: Truth,
    codes: np.ndarray,
    generator: Generator,
    landmarker: Landmarker,
    every: int = 1,
    pixels: bool = True,
) -> dict[str, np.ndarray]:
    """Draw a clip by `codes` (T, 26) and compare with the truth: name -> a number for each compared picture.

    every: each so many-th of the truth's pictures is compared. pixels: also SSIM, PSNR, sharpness.
    """
    rows, columns = mouth_box(driven.portrait)
    static = driven.portrait.photo
    found: dict[str, list[float]] = {}
    aligned, lids = [], []
    chosen = range(0, len(truth.pictures), every)
    for i in chosen:
        k = truth.pictures[i]
        drawn, real = generator.draw(codes[k], driven.portrait), driven.truth[k]
        lids.append(drawn_lids(generator, driven.portrait))
        aligned.append(landmarker.landmarks_near(drawn, driven.landmarks[k]))
        if not pixels:
            continue
        a, b, c = (grey(picture[rows, columns]) for picture in (drawn, real, static))
        lips = lips_mask(driven.portrait, driven.landmarks[k])
        values = {
            "ssim": ssim(a, b),
            "ssim_static": ssim(c, b),
            "psnr": psnr(drawn[rows, columns], real[rows, columns]),
            "psnr_static": psnr(static[rows, columns], real[rows, columns]),
            "psnr_lips": psnr(drawn, real, lips),
            "psnr_lips_static": psnr(static, real, lips),
            "sharpness": sharpness(a) / sharpness(b),
            "sharpness_static": sharpness(c) / sharpness(b),
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    result = {name: np.array(values) for name, values in found.items()}
    compared = list(chosen)
    made, real, static_aligned = align(np.stack(aligned)), truth.aligned[compared], truth.static[compared]
    result["lmd"] = lips_apart(made, real)
    result["lmd_static"] = lips_apart(static_aligned, real)
    result["shape"], result["shape_static"] = lips_apart(made, real, True), lips_apart(static_aligned, real, True)
    result["open_drawn"], result["open_true"] = mouth_measures(made)[:, 0], mouth_measures(real)[:, 0]
    result["lid_drawn"], result["lid_true"] = (
        (lid_opening(x) / lid_opening(static_aligned)).mean(1) for x in (made, real)
    )
    result["lid_lines"] = np.array(lids).mean(1)
    if driven.exact is not None and driven.lids is not None:
        points = [ours for _, ours in EXACT_LIPS]
        moved = made[:, points, :2] - static_aligned[:, points, :2]
        exact = driven.exact[truth.pictures[compared]]
        result["lmd_exact"] = np.linalg.norm(moved - exact, axis=-1).mean(-1)
        result["lmd_exact_static"] = np.linalg.norm(exact, axis=-1).mean(-1)
        read = real[:, points, :2] - static_aligned[:, points, :2]
        result["lmd_exact_read"] = np.linalg.norm(read - exact, axis=-1).mean(-1)  # the landmarker's own error
        result["lid_exact"] = driven.lids[truth.pictures[compared]].mean(1)
    return result


def sync_lag(drawn: np.ndarray, true: np.ndarray) -> tuple[float, np.ndarray]:
    """By how many pictures `drawn` comes late, and r at lags -MOST_LAG .. MOST_LAG; courses (T,) of the opening.

    The peak is that of a parabola through the three best lags. NaN where a course does not move.
    """
    lags = range(-MOST_LAG, MOST_LAG + 1)
    r = np.full(len(lags), np.nan)
    for i, lag in enumerate(lags):
        a = drawn[max(0, lag) : len(drawn) + min(0, lag)]
        b = true[max(0, -lag) : len(true) + min(0, -lag)]
        if len(a) > 10 and a.std() > 1e-6 and b.std() > 1e-6:
            r[i] = np.corrcoef(a, b)[0, 1]
    if not np.isfinite(r).all():
        return float("nan"), r
    best = int(np.clip(r.argmax(), 1, len(r) - 2))
    left, middle, right = r[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float(lags[best] + (0.5 * (left - right) / bend if bend < 0 else 0.0)), r


def summarise(clips: Iterable[dict[str, np.ndarray]]) -> dict[str, float]:
    """Of clips' numbers: means; of openings r and slope; of lids slopes and the reading at the deepest tenth."""
    clips = list(clips)
    if not clips:
        raise InputError("no clip could be scored", "check the data root and the landmarks")
    joined = {name: np.concatenate([clip[name] for clip in clips]) for name in clips[0]}
    courses = ("open_drawn", "open_true", "lid_drawn", "lid_true", "lid_lines", "lid_exact")
    means = {name: float(values.mean()) for name, values in joined.items() if name not in courses}
    means["pictures"] = len(joined["lmd"])
    means["clips"] = len(clips)
    drawn, true = joined["open_drawn"], joined["open_true"]
    means["opening_r"] = float(np.corrcoef(drawn, true)[0, 1]) if drawn.std() > 1e-6 else 0.0
    means["opening_slope"] = float(np.polyfit(true, drawn, 1)[0])
    means["lmd_share"] = means["lmd"] / means["lmd_static"]
    means["shape_share"] = means["shape"] / means["shape_static"]
    means["lid_read_slope"] = float(np.polyfit(joined["lid_true"], joined["lid_drawn"], 1)[0])
    if "lmd_exact" in means:
        means["lmd_exact_share"] = means["lmd_exact"] / means["lmd_exact_static"]
        means["lmd_exact_read_share"] = means["lmd_exact_read"] / means["lmd_exact_static"]
        shut = joined["lid_exact"]
        means["lid_slope"] = float(np.polyfit(shut, joined["lid_lines"], 1)[0])
        deepest = shut <= 0.12
        if deepest.any():
            means["lid_deepest"] = float(joined["lid_lines"][deepest].mean())
            means["lid_deepest_true"] = float(shut[deepest].mean())
            means["lid_deepest_read"] = float(joined["lid_drawn"][deepest].mean())
            means["lid_deepest_read_true"] = float(joined["lid_true"][deepest].mean())
    return means
