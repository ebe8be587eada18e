"""Opens the engines and portraits that `render` and `live` use, and keeps analysed portraits by content."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.errors import ConfigError, EngineMismatch, InputError, OutputError, WrongInput
from engines.face.likeness import MOST_TURNED_RAD, likeness_model
from engines.face.measure import eye_distance, eyes_of
from engines.face_points import FACE
from engines.machine import cache_folder
from engines.whole_file import is_half_written, write_atomically

if TYPE_CHECKING:
    from engines.face.landmarker import Landmarker, PhotoReport
    from engines.motion.reach import Reach
    from realtime.talking_clip import Progress

FACE_SIZES = ("full", "face")
ROUNDED_PX = 2  # so much that a photo lacks of the camera's width is rounding, and no side
QUARTER, TILTED_ALIKE = np.pi / 2, np.pi / 6  # nearer than that to a quarter a photo lies on its side, as cameras do
HEAD_ROOM = 1.65  # least height of a camera picture in heights of the face
# Of a camera picture's height: so far apart the eyes are in it at least, as of who sits before a camera, unless the cut
# would have fewer pixels than the picture.
LEAST_EYES = 0.1
SPARED = 0.1  # of a photo's sides: less is not cut off
HEAD_EYES = 4.5  # so many eye distances a head with its hair is high and wide
KEPT_DAYS = 30  # a cached portrait after its last use; an update asks for none of those before it
KEPT_NAME = re.compile(r"[0-9a-f]{32}\.(npz|json)")  # what else lies there is somebody's own
ANALYSIS = 9  # counts changes of how photos are framed and analysed: cached portraits depend on it
# The light of a face's brightest places (98 %) and its median, 0..255, and the share that is white. In 427 photos, all
# skins and dim rooms among them: from 91 up, up to 225, up to .17; three drawings of white plaster: 240.
DARK_LIGHT, BRIGHT_LIGHT, MOST_WHITE, WHITE = 70, 232, 0.3, 250
# Share of a face that is one even colour, when there are so many px between its eyes: five drawings .47 to .70, 166
# photos, retouched and blown out ones among them, up to .10. What differs by no more than a level of 256 is even.
DRAWN, DRAWN_EYES_PX, EVEN = 0.35, 60, 1


@dataclass
class Portrayed:
    """A portrait ready to draw, and what to tell the user about its photo."""

    portrait: Any
    notes: list[str]


def load_portrait(
    path: Path,
    size: str = "full",
    camera: tuple[int, int] | None = None,
    *,
    use_cache: bool = True,
    asked: bool = True,
) -> Portrayed:
    """An enrolled portrait (npz, or a folder with portrait.npz) or a photo, which is analysed once and then cached.

    An enrolled portrait keeps the size that it was enrolled with; that is told where another one was `asked` for. With
    camera (width, height) a photo is cut and scaled to that picture first, the face in its upper middle.
    """
    from engines.portrait import Portrait

    path = Path(path)
    checked_photo(path)
    if size not in FACE_SIZES:
        raise ConfigError(f"there is no size {size!r}", "use --size full or --size face")
    if path.is_dir() and (path / "portrait.npz").is_file():
        path = path / "portrait.npz"
    if path.suffix.lower() == ".npz":
        enrolled = Portrait.load(path).prepare()
        return Portrayed(enrolled, _size_notes(path, enrolled.size, size, camera) if asked else [])
    key = _key(path, size, camera)
    if use_cache and (found := _cached(key)) is not None:
        return found
    made = analyse_photo(path, size, camera)
    if use_cache:
        try:
            kept = _kept(key)
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept.with_suffix(".json"), json.dumps(made.notes).encode())
            made.portrait.save(kept)
        except (OSError, OutputError):
            made.notes.append("the portrait could not be cached: the next start is slower")
        else:
            _prune(kept)
    return made


def _kept(key: str) -> Path:
    return cache_folder() / "portraits" / f"{key}.npz"


def _prune(newest: Path) -> None:
    """Remove what was not used for long, by the folder's own clock. Who is about to read it analyses the photo anew."""
    with suppress(OSError):  # the folder itself: then nothing is removed this time
        long_ago_s = newest.stat().st_mtime - KEPT_DAYS * 86_400
        for path in newest.parent.iterdir():
            ours = KEPT_NAME.fullmatch(path.name) or is_half_written(path)
            with suppress(OSError):  # another's, in use (Windows), or gone by now
                if ours and path.stat().st_mtime < long_ago_s:
                    path.unlink()


def _cached(key: str) -> Portrayed | None:
    """The portrait that was made before, and what was told of its photo; None without, or if they cannot be read."""
    from engines.portrait import Portrait

    try:
        kept = _kept(key)
        notes = kept.with_suffix(".json")
        if not (kept.is_file() and notes.is_file()):
            return None
        for used in (kept, notes):
            with suppress(OSError):  # somebody else's
                os.utime(used)
        try:
            told = json.loads(notes.read_bytes())
            if not isinstance(told, list):
                raise ValueError("notes are a list")
            return Portrayed(Portrait.load(kept).prepare(), [str(note) for note in told])
        except (EngineMismatch, InputError, ValueError, TypeError):
            kept.unlink(missing_ok=True)  # damaged or of another version
    except OSError:  # somebody else's folder
        pass
    return None


def _size_notes(path: Path, found: tuple[int, int], size: str, camera: tuple[int, int] | None) -> list[str]:
    """What to tell of an enrolled portrait that is not as large as was asked: its photo's frame is not kept."""
    from engines.portrait import FACE_SIZE_PX

    height, width = found
    named = f"{path} is {width}x{height} as enrolled"
    if camera is not None and camera != (width, height):
        return [f"{named}: --camera-size has no effect; enroll with --camera-size {camera[0]}x{camera[1]}"]
    if size == "face" and found != (FACE_SIZE_PX, FACE_SIZE_PX):
        return [f"{named}: --size has no effect; enroll with --size face"]
    return []


def checked_photo(path: Path) -> None:
    """WrongInput unless a file, or an enrolled portrait's folder, is there."""
    if not path.exists():
        raise WrongInput(f"there is no photo {path}", "check the path")
    if path.is_dir() and not (path / "portrait.npz").is_file():
        raise WrongInput(f"{path} is a folder, not a photo", "give a photo, or a folder that voxcam enroll made")
    if not path.is_dir() and not path.is_file():
        raise WrongInput(f"{path} is a pipe or a device, not a file", "save the photo to a file first")


def analyse_photo(
    path: Path,
    size: str,
    camera: tuple[int, int] | None,
    teeth: Path | None = None,
    clip: Path | None = None,
    progress: Progress | None = None,
) -> Portrayed:
    """Find the face in a photo and make the portrait.

    teeth: a smiling photo or video of the same person; clip: a video in which the person speaks. Videos take a while:
    progress.
    """
    from engines.face.landmarker import Landmarker
    from engines.face.photo import read_photo
    from engines.portrait import make_portrait

    notes: list[str] = []
    rgb = read_photo(path, notes)
    options: dict[str, Any] = {}
    with Landmarker() as landmarker:
        report = landmarker.examine(rgb, beside=True)
        quarters = round(report.roll / QUARTER)
        if quarters and abs(report.roll - quarters * QUARTER) < TILTED_ALIKE:
            rgb = np.ascontiguousarray(np.rot90(rgb, quarters))
            report = landmarker.examine(rgb, beside=True)
            notes.append("the photo is turned upright")
        notes += [*report.notes, *light_notes(rgb, report.landmarks), *drawn_notes(rgb, report.landmarks)]
        if teeth is not None:
            smile, second = read_smile(teeth, landmarker, progress)
            notes += second_photo_notes(report, second, teeth)
            options["teeth_photo"] = (smile, second.landmarks)
        if clip is not None:
            from engines.encoder import open_encoder
            from realtime.talking_clip import learn_from_clip

            with open_encoder() as encoder:
                learned, speaker = learn_from_clip(clip, landmarker, encoder, progress)
            notes += clip_notes(report, learned, speaker, clip)
            if learned.helps:
                options["reach"] = learned.factors
    landmarks = report.landmarks
    if camera is not None and size == "full":
        rgb, landmarks = frame_photo(rgb, landmarks, camera)
        options["max_side_px"] = max(camera)
    elif size == "full":
        whole = rgb.shape
        rgb, landmarks = cut_near(rgb, landmarks)
        if rgb.shape != whole:
            size_px = f"{rgb.shape[1]}x{rgb.shape[0]}"
            notes.append(f"the photo is cut to {size_px} px around the face, which would turn soft in the whole of it")
    portrait = make_portrait(rgb, landmarks, size=size, **options).prepare()
    if portrait.haze.any():
        notes.append("the face lies in haze, or the light comes from behind: take a photo with the light on your face")
    if portrait.eyes_hidden.all():
        notes.append("dark glasses: the eyes stay as they are; a photo that shows them is better")
    return Portrayed(portrait, notes)


def light_notes(rgb: np.ndarray, landmarks: np.ndarray) -> list[str]:
    """What to tell of a face (478, 3) px in (H, W, 3) uint8 that is nearly black or nearly white."""
    import cv2

    from engines.face.masks import whole_face

    light = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[whole_face(landmarks, rgb.shape[:2])]
    if np.quantile(light, 0.98) < DARK_LIGHT:
        return ["the face is very dark: take a photo in more light"]
    if np.median(light) > BRIGHT_LIGHT or (light >= WHITE).mean() > MOST_WHITE:
        return ["the face is nearly white, overexposed: take a photo in softer light"]
    return []


def drawn_notes(rgb: np.ndarray, landmarks: np.ndarray) -> list[str]:
    """What to tell of a face (478, 3) px in (H, W, 3) uint8 that has the even colours of a drawing: no skin has."""
    import cv2

    from engines.face.masks import whole_face

    scale = min(1.0, DRAWN_EYES_PX / float(eye_distance(landmarks)))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    around = np.ones((3, 3), np.uint8)
    spread = cv2.subtract(cv2.dilate(small, around), cv2.erode(small, around)).max(2)
    if (spread[whole_face(landmarks * scale, small.shape[:2])] <= EVEN).mean() > DRAWN:
        return ["the face looks drawn: photos of people are what it is made for"]
    return []


def read_smile(path: Path, landmarker: Landmarker, progress: Progress | None) -> tuple[np.ndarray, PhotoReport]:
    """The photo, or the picture of a video, that teeth are taken from, and its face; InputError that names it."""
    from engines.face.photo import read_photo
    from realtime.talking_clip import CLIP_ENDINGS, teeth_from_clip

    is_clip = path.suffix.lower() in CLIP_ENDINGS
    smile = teeth_from_clip(path, landmarker, progress) if is_clip else read_photo(path)
    try:
        return smile, landmarker.examine(smile)
    except InputError as error:
        raise InputError(f"the photo for the teeth, {path}: {error.what}", error.fix) from error


def second_photo_notes(first: PhotoReport, second: PhotoReport, path: Path) -> list[str]:
    """What to know about a photo that teeth are taken from. Whose it is is a guess by landmarks: a note, no refusal."""
    from engines.face.landmarker import SOFT_EYES_PX

    notes = []
    if second.eye_distance_px < SOFT_EYES_PX:
        notes.append(
            f"{path}: its face is small ({second.eye_distance_px:.0f} px between the eyes), the teeth look soft"
        )
    if second.mouth_covered:
        notes.append(f"{path}: its mouth may be covered: what hides it would be taken along with the teeth")
    looks_away = max(np.hypot(report.pitch, report.yaw) for report in (first, second))
    if looks_away <= MOST_TURNED_RAD and likeness_model().apart(first.aligned, second.aligned) > 1:
        notes.append(f"{path} looks like another person: take the teeth from a photo of your own")
    return notes


def clip_notes(first: PhotoReport, learned: Reach, speaker: np.ndarray, path: Path) -> list[str]:
    """What a clip taught, and what to know about it; speaker: its mean aligned face (478, 3)."""
    if learned.helps:
        nearer = 100 * (1 - learned.apart / learned.apart_typical)
        notes = [
            f"learned from {learned.spoken_s:.0f} s of speech: your mouth opens {learned.factors[0]:.1f} times as far "
            "as most people's" + (f", moved so it comes {nearer:.0f} % nearer to the clip" if nearer >= 3 else "")
        ]
    else:
        notes = [f"{path} teaches nothing that comes nearer than what most people do: the mouth moves as theirs"]
    if np.hypot(first.pitch, first.yaw) <= MOST_TURNED_RAD and likeness_model().apart(first.aligned, speaker) > 1:
        notes.append(f"{path} looks like another person: speak yourself")
    return notes


def cut_near(rgb: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a photo (H, W, 3) that would be made so small that its face turns soft; landmarks (478, 3) px follow.

    What is left has the photo's shape, as far as a head fits into it, is as large as it can be with a sharp face, and
    not smaller than a portrait's largest side. A photo that would lose less than SPARED of its sides stays whole.
    """
    from engines.face.landmarker import SOFT_EYES_PX
    from engines.portrait import MAX_SIDE_PX

    height, width = rgb.shape[:2]
    eyes_px = float(eye_distance(landmarks))
    share = MAX_SIDE_PX * max(1.0, eyes_px / SOFT_EYES_PX) / max(height, width)
    if share > 1 - SPARED:
        return rgb, landmarks
    head = HEAD_EYES * eyes_px
    cut_width, cut_height = (min(side, round(max(share * side, head))) for side in (width, height))
    return cut_around(rgb, landmarks, cut_width, cut_height)


def cut_around(rgb: np.ndarray, landmarks: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """A part of a photo (H, W, 3), the face in its middle, the eyes at two fifths of its height, as far as it goes."""
    eyes = eyes_of(landmarks)
    left = int(np.clip(round(float(eyes[0]) - width / 2), 0, rgb.shape[1] - width))
    top = int(np.clip(round(float(eyes[1]) - height * 0.4), 0, rgb.shape[0] - height))
    return rgb[top : top + height, left : left + width], landmarks - np.array([left, top, 0], np.float32)


def frame_photo(rgb: np.ndarray, landmarks: np.ndarray, camera: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Cut a photo (H, W, 3) to the camera's shape and scale it to (width, height); landmarks (478, 3) px follow.

    The cut is as large as the photo allows (and as a face allows that would be far away), its middle follows the face
    sideways, and the eyes come to lie at two fifths of its height. Where a head would not fit into such a cut (an
    upright photo, a wide camera), the cut is taller and its sides are made up (realtime/pictures/surroundings.py).
    """
    import cv2

    from realtime.pictures.surroundings import surround

    height, width = rgb.shape[:2]
    camera_width, camera_height = camera
    face_height = float(np.ptp(landmarks[:FACE, 1]))
    scale = min(width / camera_width, height / camera_height)
    near = max(float(eye_distance(landmarks)) / LEAST_EYES, camera_height)
    cut_height = min(height, max(round(min(camera_height * scale, near)), round(HEAD_ROOM * face_height)))
    cut_width = min(width, round(cut_height * camera_width / camera_height))
    cut, landmarks = cut_around(rgb, landmarks, cut_width, cut_height)
    ratio = camera_height / cut_height
    shown_width = min(camera_width, round(cut_width * ratio))
    if camera_width - shown_width <= ROUNDED_PX:
        shown_width = camera_width
    inside = (camera_width - shown_width) // 2  # where the cut begins in the picture
    shown = cv2.resize(
        cut, (shown_width, camera_height), interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    )
    ratios = np.array([shown_width / cut_width, ratio, shown_width / cut_width], np.float32)
    half = np.array([0.5, 0.5, 0], np.float32)
    moved = (landmarks + half) * ratios - half
    framed = shown if shown_width == camera_width else surround(shown, camera_width, inside, moved)
    moved[:, 0] += inside
    return np.ascontiguousarray(framed), moved.astype(np.float32)


def _key(path: Path, size: str, camera: tuple[int, int] | None) -> str:
    from engines.portrait import VERSION, geometry_hash

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the photo {path} cannot be read ({error.strerror})", "check the path") from error
    total = hashlib.sha256(content)
    total.update(f"{ANALYSIS} {VERSION} {geometry_hash()} {size} {camera}".encode())
    return total.hexdigest()[:32]
