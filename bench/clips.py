"""Clips with pictures and sound in GRID's layout, and the true course of their mouths.

    FOLDER/TALKER/CLIP.mkv (or mp4, mpg, avi, flv, mov, webm)     FOLDER/TALKER/CLIP.align beside it: start end word

As GRID comes, pictures may lie in TALKER/video/, words in TALKER/align/, and the sound of silent pictures in CLIP.wav
beside them or in TALKER/audio/. Times in .align are in 25,000 units a second. A folder of clips without talkers counts
as one talker.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench.rig import read_sound
from engines.card import read_card
from engines.errors import InputError, WrongInput
from engines.face.landmarker import Landmarker
from engines.face.measure import canonical_face, mouth_measures, remove_pose, rest_measures
from engines.face_points import INNER_LIPS, OUTER_LIPS
from engines.machine import default_engines_dir
from engines.spec import SPEC
from engines.whole_file import read_npz, write_npz
from realtime.audio.sound import media_url

VIDEO = (".mkv", ".mp4", ".mpg", ".avi", ".flv", ".mov", ".webm")
NO_TALKERS = ("video", "videos", "mpg", "mpg_vcd", "mpg_6000", "pictures")  # folders between a talker and the clips
ALIGN_UNITS_S = 25_000
READERS = ("face_detector", "face_landmarks")  # the networks that find a mouth
TEACHERS = 36  # clips that baselines are taught on at most
LIPS = (*OUTER_LIPS, *INNER_LIPS)
EMOTIONS = {  # CREMA-D's; train/data/corpora.py has them, too, but bench imports nothing of train
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}


@dataclass(frozen=True, slots=True)
class Clip:
    talker: str
    name: str
    sound: np.ndarray  # (samples,) float32, 16 kHz
    picture_rate: float
    motion: np.ndarray  # (pictures, 14) SPEECH_CHANNELS, eye distances from rest; NaN where no face was found
    lips: np.ndarray  # (pictures, 40, 3) pose removed, eye distances
    rest_lips: np.ndarray  # (40, 3)
    words_s: tuple[float, float] | None  # from the first word's start to the last word's end
    emotion: str = ""

    @property
    def in_words(self) -> np.ndarray:
        """Pictures whose middle lies between the first word and the last; all where words are not known."""
        middle = (np.arange(len(self.motion)) + 0.5) / self.picture_rate
        if self.words_s is None:
            return np.ones(len(middle), bool)
        return (middle >= self.words_s[0]) & (middle <= self.words_s[1])


def find_clips(folder: Path, most: int = 0) -> list[tuple[str, Path]]:
    """(talker, path) of each clip, evenly over talkers where `most` limits them; InputError where there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise WrongInput(f"there is no folder {folder}", "name a folder of clips in GRID's layout: TALKER/CLIP.mkv")
    by_talker: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO and path.is_file():
            by_talker.setdefault(talker_of(path, folder), []).append(path)
    if not by_talker:
        raise InputError(
            f"{folder} holds no clips with pictures ({', '.join(VIDEO)})",
            "name a folder of clips in GRID's layout: TALKER/CLIP.mkv, and TALKER/CLIP.align beside it",
        )
    chosen = []
    depth = max(len(paths) for paths in by_talker.values())
    for k in range(depth):
        chosen += [(talker, paths[k]) for talker, paths in by_talker.items() if k < len(paths)]
    return sorted(chosen[:most] if most else chosen)


def talker_of(path: Path, folder: Path) -> str:
    """The name of the folder that holds a clip, or of the one above where that says only `video`."""
    parent = path.parent
    while parent != folder and parent.name.lower() in NO_TALKERS:
        parent = parent.parent
    return parent.name if parent != folder else folder.resolve().name


def beside(path: Path, ending: str, folders: tuple[str, ...]) -> Path:
    """CLIP.ending next to a clip, or in a folder such as `align` near it: TALKER/align/, or align/TALKER/."""
    near = path.parents[:3]
    places = [*near, *(above / name / inner for above in near for name in folders for inner in ("", path.parent.name))]
    found = [place / f"{path.stem}{ending}" for place in places]
    return next((candidate for candidate in found if candidate.is_file()), found[0])


def load_clip(talker: str, path: Path, landmarker: Landmarker) -> Clip | None:
    """Sound, and the mouth's true course by our own landmarker (kept in the cache); None where no face is seen."""
    sound, picture_rate = read_clip(path)
    if len(sound) < SPEC.sample_rate_hz // 10:
        raise InputError(f"{path} has {len(sound) / SPEC.sample_rate_hz:.2f} s of sound", "use longer clips")
    landmarks = _landmarks(path, landmarker)
    seen = np.isfinite(landmarks).all((1, 2))
    if seen.sum() < 10:
        return None
    aligned, *_ = remove_pose(landmarks, canonical_face())
    measures = mouth_measures(aligned)
    rest = rest_measures(measures[seen])
    motion = measures - rest
    opening = motion[:, 0]
    closed = seen & (opening <= np.nanquantile(opening, 0.25))
    lips = aligned[:, LIPS, :]
    tag = next((EMOTIONS[part] for part in path.stem.split("_") if part in EMOTIONS), "")
    return Clip(
        talker,
        path.stem,
        sound,
        picture_rate,
        motion,
        lips,
        lips[closed].mean(0),
        read_words(beside(path, ".align", ("align", "alignments"))),
        tag,
    )


def read_words(path: Path) -> tuple[float, float] | None:
    """First word's start and last word's end in s; None where there is no file. InputError where it is none."""
    if not path.exists():
        return None
    spans = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.fullmatch(r"\s*(\d+)\s+(\d+)\s+(\S+)\s*", line)
        if match is None:
            if line.strip():
                raise InputError(
                    f"{path} has a line that is not `start end word`: {line[:40]!r}", "repair or delete it"
                )
            continue
        if match.group(3).lower() not in ("sil", "sp"):
            spans.append((int(match.group(1)) / ALIGN_UNITS_S, int(match.group(2)) / ALIGN_UNITS_S))
    return (spans[0][0], spans[-1][1]) if spans else None


def read_clip(path: Path) -> tuple[np.ndarray, float]:
    """Sound (samples,) float32 16 kHz, and pictures a second; InputError if unreadable."""
    try:
        with av.open(media_url(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} has no pictures", "use clips that have pictures and sound")
            rate = float(container.streams.video[0].average_rate or 25)
            own = read_audio(path, container) if container.streams.audio else None
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error})", "repair or delete it") from error
    if own is None or not len(own):
        apart = beside(path, ".wav", ("audio", "wav", "sound"))
        if not apart.is_file():
            raise InputError(f"{path} has no sound, and there is no {apart.name}", "use clips that have both")
        own = read_sound(apart)
    return own, rate


def read_audio(path: Path, container: Any) -> np.ndarray:
    """The first sound of an open clip, (samples,) float32, 16 kHz, mono."""
    resampler = av.AudioResampler("flt", "mono", SPEC.sample_rate_hz)
    parts = [part.to_ndarray()[0] for sound in container.decode(audio=0) for part in resampler.resample(sound)]
    parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.concatenate([np.zeros(0, np.float32), *parts]).astype(np.float32)


def pictures_of(path: Path) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 RGB, one after another, so that a long clip never sits in memory."""
    try:
        with av.open(media_url(path)) as container:
            for picture in container.decode(video=0):
                yield picture.to_ndarray(format="rgb24")
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error})", "repair or delete it") from error


def _landmarks(path: Path, landmarker: Landmarker) -> np.ndarray:
    """(pictures, 478, 3) px, NaN where there is no face; the face of the last picture is looked for first."""
    judged = hashlib.sha256(path.read_bytes())
    judged.update("".join(read_card(name).sha256 for name in READERS).encode())
    kept = default_engines_dir().parent / "landmarks" / f"{judged.hexdigest()[:24]}.npz"
    if (known := _kept(kept)) is not None:
        return known
    missing = np.full((478, 3), np.nan, np.float32)
    found, face = [], None
    for picture in pictures_of(path):
        if face is None:
            faces = landmarker.find_faces(picture)
            face = max(faces, key=lambda candidate: candidate.size_px) if faces else None
        reading = landmarker.landmarks(picture, face) if face is not None else None
        if reading is None or not reading.is_face:
            face = None
        found.append(missing if reading is None or not reading.is_face else reading.points.astype(np.float32))
    landmarks = np.array(found, np.float32).reshape(-1, 478, 3)
    write_npz(kept, {"landmarks": landmarks})
    return landmarks


def _kept(path: Path) -> np.ndarray | None:
    """The landmarks that `_landmarks` kept in a file, (pictures, 478, 3); None where it is not there or damaged."""
    try:
        landmarks = read_npz(path.read_bytes())["landmarks"]
    except (OSError, ValueError, KeyError):
        return None
    return landmarks if landmarks.ndim == 3 and landmarks.shape[1:] == (478, 3) else None


def load_clips(folder: Path, most: int, progress: Callable[[str], None] = lambda text: None) -> list[Clip]:
    """Clips with a face, in order; InputError where fewer than two can be read and have one.

    One that cannot be read is told and left out: a thousand others should not wait for it.
    """
    clips, unreadable = [], []
    paths = find_clips(folder, most)
    with Landmarker() as landmarker:
        for k, (talker, path) in enumerate(paths):
            progress(f"clips: {k + 1} of {len(paths)}, {talker}/{path.stem}")
            try:
                clip = load_clip(talker, path, landmarker)
            except InputError as error:
                progress(f"left out: {error}")
                unreadable.append(error)
                continue
            if clip is None:
                progress(f"left out: no face is seen in {path}")
            else:
                clips.append(clip)
    if len(clips) < 2:
        if unreadable:
            raise unreadable[0]
        raise InputError(
            f"a face is seen in {len(clips)} of the {len(paths)} clips in {folder}", "use two clips or more with faces"
        )
    return clips
