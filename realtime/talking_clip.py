"""A clip in which somebody speaks, for `voxcam enroll --clip`: pictures beside their sound, and what they teach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.errors import InputError, WrongInput
from engines.face.measure import canonical_face, head_angles, mouth_measures, remove_pose
from engines.spec import SPEC, SPEECH_CHANNELS

if TYPE_CHECKING:
    from engines.encoder import Encoder
    from engines.face.landmarker import Landmarker
    from engines.motion.reach import Reach

MOST_S = 60.0  # of a clip: more teaches nothing new
MOST_RATE_HZ = 30.0  # pictures beyond it are left out
MOST_TURNED_RAD = 0.45  # lips of a head that is turned further are read badly
FIX = "give a video of ten seconds in which you speak, seen from the front"
CLIP_ENDINGS = (".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".flv")
Progress = Callable[[float, float], None]


def pictures_of(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """(middle of the picture in the sound's time, s; (H, W, 3) uint8) of a clip's first minute, upright.

    InputError where there are no pictures or they are damaged.
    """
    import av

    from realtime.audio.sound import media_url

    try:
        with av.open(media_url(path)) as container:
            if not container.streams.video:
                raise InputError("it holds no pictures", FIX)
            video = container.streams.video[0]
            sound = next(iter(container.streams.audio), None)
            begin_s = 0.0
            if sound is not None and sound.start_time and sound.time_base:
                begin_s = float(sound.start_time * sound.time_base)
            half_s = 0.5 / float(video.average_rate) if video.average_rate else 0.0
            last_s = -1.0
            for picture in container.decode(video):
                time_s = float(picture.time or 0.0) - begin_s
                if time_s > MOST_S:
                    return
                if time_s - last_s < 0.9 / MOST_RATE_HZ:
                    continue
                last_s = time_s
                turns = round(picture.rotation / 90)  # against the clock, of a phone held upright
                yield time_s + half_s, np.ascontiguousarray(np.rot90(picture.to_ndarray(format="rgb24"), turns))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"it cannot be read ({getattr(error, 'strerror', None) or error})", FIX) from error


def follow_face(
    path: Path, landmarker: Landmarker, see: Callable[[float, np.ndarray, np.ndarray], None] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (T, 478, 3) px of the largest face in each picture, NaN where there is none, and their times (T,) s.

    see: called with each time, picture (H, W, 3) and its landmarks.
    """
    found: list[np.ndarray] = []
    times: list[float] = []
    around: np.ndarray | None = None
    for time_s, rgb in pictures_of(path):
        points = landmarker.follow(rgb, around) if around is not None else None
        if points is None:
            faces = landmarker.find_faces(rgb)
            points = landmarker.landmarks(rgb, max(faces, key=lambda face: face.size_px)).points if faces else None
        around = points
        found.append(points if points is not None else np.full((478, 3), np.nan, np.float32))
        times.append(time_s)
        if see is not None:
            see(time_s, rgb, found[-1])
    if not found:
        raise InputError("it holds no pictures", FIX)
    return np.stack(found), np.array(times)


def measures_of(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`mouth_measures` (T, 14) of landmarks (T, 478, 3), NaN where no face is or it looks away; and its mean face.

    The mean face (478, 3) is the aligned one, of those pictures alone.
    """
    measures = np.full((len(landmarks), len(SPEECH_CHANNELS)), np.nan, np.float32)
    seen = np.isfinite(landmarks).all((1, 2))
    if not seen.any():
        raise InputError("it shows no face", FIX)
    aligned, rotation, _, _ = remove_pose(landmarks[seen], canonical_face())
    frontal = np.abs(head_angles(rotation)[:, :2]).max(1) < MOST_TURNED_RAD
    if not frontal.any():
        raise InputError("its face looks away", FIX)
    measures[np.flatnonzero(seen)[frontal]] = mouth_measures(aligned[frontal])
    return measures, aligned[frontal].mean(0)


def teeth_from_clip(path: Path, landmarker: Landmarker, progress: Progress | None = None) -> np.ndarray:
    """The picture of a clip that shows the upper teeth best, (H, W, 3); InputError, which names it, where none does."""
    from engines.portrait import shown_teeth

    if not path.is_file():
        raise WrongInput(f"there is no clip {path}", "check the path")
    best, best_score = np.zeros((0, 0, 3), np.uint8), 0.0

    def see(time_s: float, rgb: np.ndarray, landmarks: np.ndarray) -> None:
        nonlocal best, best_score
        if progress is not None:
            progress(time_s, 0.0)
        if np.isfinite(landmarks).all() and (teeth := shown_teeth(rgb, landmarks)) is not None:
            shown, light = teeth.shown, teeth.texture[..., :3].mean(2)
            # Much of them, and sharp: what moves is smeared.
            score = float((np.abs(np.diff(light, axis=1)) * shown[:, 1:]).sum())
            if score > best_score:
                best, best_score = rgb, score

    try:
        follow_face(path, landmarker, see)
    except InputError as error:
        raise InputError(f"the clip for the teeth, {path}: {error.what}", error.fix) from error
    if not best_score:
        raise InputError(f"the clip for the teeth, {path}, shows none", "smile in it, or leave it out")
    return best


def learn_from_clip(
    path: Path, landmarker: Landmarker, encoder: Encoder, progress: Progress | None = None
) -> tuple[Reach, np.ndarray]:
    """What a clip tells of how its person's mouth moves, and the mean aligned face (478, 3) of it.

    InputError that names the clip where it can't be used.
    """
    from engines.motion.reach import MOUTH, learn_reach
    from engines.shaper import Shaper
    from realtime.course import chunks_of, encode_chunks, hops_of

    if not path.is_file():
        raise WrongInput(f"there is no clip {path}", "check the path")
    most_hops = round(MOST_S * SPEC.sample_rate_hz / SPEC.hop_samples)

    def ignore(*_: Any) -> None:
        """What this sound's reader would tell of silence and clipping, the learning finds out by itself."""

    try:
        hops = (hop for _, hop in takewhile(lambda pair: pair[0] < most_hops, enumerate(hops_of(path, ignore, ignore))))
        shaper = Shaper(lookahead_ms=80, idle=False, emotion="off", reach=np.ones(MOUTH))
        codes = encode_chunks(chunks_of(hops), encoder, shaper, 80).finished()["motion"]
        seconds = len(codes) / SPEC.codes_per_second

        def see(time_s: float, *_: Any) -> None:
            if progress is not None:
                progress(time_s, seconds)

        landmarks, times_s = follow_face(path, landmarker, see)
        measures, face = measures_of(landmarks)
        return learn_reach(codes, measures, times_s), face
    except InputError as error:
        if str(path) in error.what:
            raise
        raise InputError(f"the clip {path}: {error.what}", error.fix) from error
