"""GRID's motion labels: landmarks -> SPEECH_CHANNELS at code times, with each talker's sound/picture offset corrected.

The landmarks are FaceMesh's (478, 3) in px, one file (pictures, 478, 3) a clip, found beforehand. Labels are in eye
distances from the clip's own rest; `talker_scale` is what a talker's labels are divided by, so that a talker with large
lips and one with small lips teach the same thing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
from scipy.interpolate import CubicSpline

from engines.errors import InputError
from engines.face.landmarker import Landmarker, largest_face
from engines.face.measure import canonical_face, mouth_measures, remove_pose, rest_measures
from engines.spec import PHONES, SPEC, SPEECH_CHANNELS
from engines.whole_file import write_atomically
from train.data.corpora import Clip

PICTURE_S = 0.04  # GRID's, and rendered people's
OPEN = SPEECH_CHANNELS.index("jawOpen")
SMOOTHING_PICTURES = 0.35  # deviation of the Gaussian: more makes quick lips late and small (docs/decisions.md)
SILENCE = PHONES[0]
SILENT_S = 0.2  # and more from every phone: nobody speaks
AT_LEAST_0 = tuple(SPEECH_CHANNELS.index(name) for name in ("jawOpen", "mouthOpenSide"))


def picture_measures(landmarks: np.ndarray) -> np.ndarray:
    """Motion of each picture, (pictures, 478, 3) px -> (pictures, 14) eye distances from rest; NaN: no face."""
    aligned, *_ = remove_pose(np.asarray(landmarks, np.float32), canonical_face())
    measures = mouth_measures(aligned)
    if not np.isfinite(measures).all(1).sum() > 10:
        raise InputError("a clip shows a face in fewer than ten pictures", "leave the clip out")
    return measures - np.nan_to_num(rest_measures(measures))


def smooth(courses: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing along time of (steps, channels); NaN rows are left out and filled from their neighbours."""
    reach = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    known = np.isfinite(courses).all(1)
    values = np.where(known[:, None], courses, 0)
    weight = np.convolve(known.astype(float), kernel, "same")
    total = np.stack([np.convolve(column, kernel, "same") for column in values.T], 1)
    out = total / np.maximum(weight, 1e-6)[:, None]
    times = np.arange(len(courses))
    good = weight > 1e-3
    return np.stack([np.interp(times, times[good], column[good]) for column in out.T], 1)


def at_codes(motion: np.ndarray, codes: int, offset_s: float = 0.0) -> np.ndarray:
    """Resample pictures to code times: (pictures, 14) -> (codes, 14). offset_s > 0: the pictures come too late.

    By a cubic spline, since a straight line between two pictures would smooth what is quick.
    """
    picture_times = (np.arange(len(motion)) + 0.5) * PICTURE_S - offset_s
    code_times = (np.arange(codes) + 0.5) * SPEC.chunk_samples / SPEC.sample_rate_hz
    return CubicSpline(picture_times, motion)(code_times.clip(picture_times[0], picture_times[-1]))


def clip_motion(
    landmarks: np.ndarray, codes: int, offset_s: float = 0.0, smoothing: float = SMOOTHING_PICTURES
) -> np.ndarray:
    """One clip's labels, (codes, 14) float32 in eye distances."""
    motion = at_codes(smooth(picture_measures(landmarks), smoothing), codes, offset_s)
    motion[:, AT_LEAST_0] = np.maximum(motion[:, AT_LEAST_0], 0)
    return motion.astype(np.float32)


def silent_pictures(clip: Clip, pictures: int, offset_s: float = 0.0) -> np.ndarray:
    """Which pictures of a GRID clip show its talker silent, before and after the sentence: (pictures,) bool.

    offset_s: how late the pictures are against the sound. None of them does where the corpus tells no phones.
    """
    middles = (np.arange(pictures) + 0.5) * PICTURE_S - offset_s
    silent = np.full(pictures, bool(clip.phones))
    for start, end, phone in clip.phones or ():
        if phone != SILENCE:
            silent &= (middles < start - SILENT_S) | (middles > end + SILENT_S)
    return silent


def landmarks_of(clip: Clip, landmarks_root: Path) -> np.ndarray | None:
    """The cached landmarks of a GRID clip, or None where there are none; InputError where they are damaged."""
    path = landmarks_root / f"{clip.key}.npy"
    try:
        return np.load(path, allow_pickle=False) if path.is_file() else None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} is damaged ({error})", "remove it; voxcam train prepare finds it again") from error


def fast_landmarker() -> Landmarker:
    """For many pictures: OpenVINO takes less than half of ONNX Runtime's time for these networks, where it is there."""
    return Landmarker(backend="openvino" if find_spec("openvino") else "onnxruntime")


def find_landmarks(
    clips: Sequence[Clip],
    landmarks_root: Path,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
) -> None:
    """Find the landmarks of every picture of clips that have none cached; a picture without a face is NaN."""
    missing = [clip for clip in clips if clip.pictures and not (landmarks_root / f"{clip.key}.npy").is_file()]
    if not missing:
        return
    with fast_landmarker() as landmarker:
        for number, clip in enumerate(missing):
            found = []
            with av.open(str(clip.pictures)) as container:
                for picture in container.decode(video=0):
                    rgb = picture.to_ndarray(format="rgb24")
                    faces = landmarker.find_faces(rgb)
                    found.append(
                        landmarker.landmarks(rgb, largest_face(faces)[0]).points if faces else np.full((478, 3), np.nan)
                    )
            buffer = io.BytesIO()
            np.save(buffer, np.stack(found).astype(np.float32), allow_pickle=False)
            path = landmarks_root / f"{clip.key}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, buffer.getvalue())
            progress("landmarks", number + 1, len(missing))


def talker_scales(labels: dict[str, np.ndarray], talker_of: dict[str, str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Standard deviation of each talker's channels, and the typical person's: the mean over talkers.

    A talker of few clips is drawn to the typical one (as if ten clips of it were added).
    """
    groups: dict[str, list[np.ndarray]] = {}
    for key, motion in labels.items():
        groups.setdefault(talker_of[key], []).append(motion)
    spread = {talker: np.concatenate(parts).std(0) for talker, parts in groups.items()}
    counts = {talker: len(parts) for talker, parts in groups.items()}
    many = [talker for talker in groups if counts[talker] >= 9]
    typical = np.mean([spread[talker] for talker in many or groups], 0)
    scales = {
        talker: (counts[talker] * spread[talker] + 10 * typical * (counts[talker] < 9))
        / (counts[talker] + 10 * (counts[talker] < 9))
        for talker in groups
    }
    return scales, typical.astype(np.float32)


def measure_offsets(
    features: dict[str, np.ndarray], pictures: dict[str, np.ndarray], talker_of: dict[str, str], reach: int = 6
) -> dict[str, float]:
    """Each talker's sound/picture offset in s (> 0: pictures late), against the typical talker.

    A ridge regression from the teacher's features (five codes around) to lip opening is taught on the other talkers;
    the offset is the shift of the pictures at which its answer for this talker correlates best, to the tenth of a code
    by a parabola. Talkers of fewer than five clips get 0. The median talker is 0 by definition.
    """
    talkers = sorted(set(talker_of.values()))
    gram: dict[str, np.ndarray] = {}
    moment: dict[str, np.ndarray] = {}
    inputs: dict[str, np.ndarray] = {}
    opening: dict[str, np.ndarray] = {}
    for key, heard in features.items():
        heard = np.asarray(heard, np.float32)
        padded = np.pad(heard, ((2, 2), (0, 0)), mode="edge")
        window = np.concatenate([padded[shift : shift + len(heard)] for shift in (0, 2, 4)], 1)
        inputs[key] = np.concatenate([window, np.ones((len(heard), 1), np.float32)], 1)
        course = at_codes(pictures[key], len(heard))[:, OPEN]
        opening[key] = (course - course.mean()) / max(course.std(), 1e-4)
        talker = talker_of[key]
        gram[talker] = gram.get(talker, 0) + inputs[key].T @ inputs[key] / np.sqrt(
            sum(t == talker for t in talker_of.values())
        )
        moment[talker] = moment.get(talker, 0) + inputs[key].T @ opening[key] / np.sqrt(
            sum(t == talker for t in talker_of.values())
        )
    offsets: dict[str, float] = {}
    for talker in talkers:
        keys = [key for key in features if talker_of[key] == talker]
        if len(keys) < 5:
            continue
        others = [other for other in talkers if other != talker]
        left = np.sum([gram[other] for other in others], axis=0)
        weights = np.linalg.solve(
            left + 0.01 * np.trace(left) / len(left) * np.eye(len(left)), sum(moment[o] for o in others)
        )
        scores = []
        for shift in range(-reach, reach + 1):
            r = [
                np.corrcoef((inputs[key] @ weights)[reach:-reach], np.roll(opening[key], -shift)[reach:-reach])[0, 1]
                for key in keys
            ]
            scores.append(float(np.mean(r)))
        best = int(np.clip(np.argmax(scores), 1, 2 * reach - 1))
        a, b, c = scores[best - 1 : best + 2]
        bend = a - 2 * b + c
        offsets[talker] = (best - reach + (0.5 * (a - c) / bend if bend < 0 else 0)) * SPEC.code_s
    middle = float(np.median(list(offsets.values()))) if offsets else 0.0
    return {talker: offsets.get(talker, middle) - middle for talker in talkers}
