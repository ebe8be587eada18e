"""Portrait: one person, analysed once, ready to be drawn at any motion code.

Everything the generator needs lies in it as plain arrays: the photo, the mesh in the photo's pixels and at rest, how
each point answers each motion channel, and the textures of what the photo may lack (teeth, eyeballs).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from engines.card import WEIGHTS
from engines.drawing.folds import fold_gains
from engines.drawing.geometry import (
    POINTS,
    RING,
    RINGS,
    even_depths,
    eyes_last,
    load_geometry,
    mesh_triangles,
    push_out,
)
from engines.drawing.ground import share_ground
from engines.drawing.mouth import TEETH_PX
from engines.drawing.warp import grid_of, map_size
from engines.errors import ConfigError, EngineMismatch, InputError
from engines.face.bare import Bare, lift_marks
from engines.face.corners import draw_ends, shut_corners
from engines.face.dentition import Teeth, enamel_of, lift_teeth
from engines.face.lip_lines import refine_lips
from engines.face.masks import disc, polygon
from engines.face.measure import canonical_face, eye_distance, head_angles, remove_pose, to_pixel_centres
from engines.face.person import person_mask
from engines.face.rims import behind_dark_glasses, behind_strands
from engines.face.tones import LUMA, haze_of, measure_palette, measure_tones, room_for_light
from engines.face.tooth_rows import LEARNED_BLUR_PX, WHITE, guessed_lower, guessed_upper, tint_teeth
from engines.face.unfold import LOOKED_PX, hidden_mouth, moustache, smile_of, take_folds_off, to_crop
from engines.face.unsmile import rest_shift
from engines.face_points import EYES, FACE, FACE_OVAL, LOWER_SEAM, RIGID, UPPER_SEAM, Eye
from engines.motion.reach import TYPICAL_REACH
from engines.opening import open_session
from engines.spec import MODEL_CHANNELS, SPEC
from engines.whole_file import read_npz, write_npz

VERSION = 14
FACE_SIZE_PX = 256  # size="face": an upright face, eyes FACE_EYES_PX apart, their line at FACE_EYE_LINE_PX
FACE_EYES_PX = 80.0
FACE_EYE_LINE_PX = 98.0
MAX_SIDE_PX = 1280
LEAST_EYES_DRAWN_PX = 12.0  # of a photo that has been made smaller (landmarker.py: MIN_EYES_PX)
HAPPY_SMILE = 0.119  # how far corners go in the happy look (engines/motion/expression.py), eye distances
MOST_SMILE = 1.5  # how much further they go in that of somebody whose photo smiles more broadly
UPPER_RIM, LOWER_RIM = 0.006, 0.016  # lids' rims beyond FaceMesh's lines, eye distances
EYEBALL_RADIUS = 0.19  # eye distances: 12 mm of 63 mm
CROP_SIZE_PX = (96, 120)  # height, width of the lower face as the network sees it
CROP_PX = 48.0  # px for one eye distance
CROP_LEFT, CROP_TOP = -1.25, 0.15  # canonical place of its corner, eye distances
# Upper incisors' edge below the closed lips' line, eye distances, of who shows none: as 13 talkers speak, and further
# down by so much of what the corners rise in a smile (43 people's smiles), for then a lip's inner edge is drawn up.
INCISOR_DROP, DROP_BY_SMILE = 0.037, 0.5
LOWER_DROP = 0.03  # the same of the lower ones
UPPER_BEHIND, LOWER_BEHIND = 0.10, 0.12  # how far the incisors' edges lie behind the lips' line, eye distances
# In a wide laugh the jaw hangs, and the middle between lips lies far below the upper teeth that the photo shows: more
# than the first, where lips stand more than the second apart after the smile's way back. Such lips meet at the teeth's
# edge, which is hung below them as others' are. Eye distances. Of 72 mouths whose teeth could be lifted two laughs have
# .040 and .100, lips .22 and .31 apart; of those apart by more than .10 all others have it above the edge; of the rest
# two have .035 and .037, lips .03 and .06 apart, for there the edge was misread.
TOO_LOW, JAW_HANGS = 0.020, 0.16
# Teeth of a photo that end so far above the line of lips at rest, which is a guess in a smile, are hung below it; what
# ends further below it is not believed.
RAISED, LEAST_DROP, LOWEST = 0.025, 0.005, 0.16
DEEPEST = 0.6  # light of the darkest twentieth between the lips over the cavity's (88 faces, wide: .4 to 1.0)
HAZE_IN_MOUTH = 0.85  # of the darkest of a hazy face: with all of it two open mouths could hardly be seen any more
FLESH = 0.97  # of the skin's red over green: of 206 mouths' teeth all but one's have .965 at most, slits of lips .98


@dataclass(frozen=True)
class Portrait:
    """One person's photo and mesh. Lengths are px of `photo`, or eye distances in the canonical frame where said."""

    photo: np.ndarray  # (H, W, 3) uint8 RGB, a smile's folds off: what code 0 shows, but for a mouth not at rest
    landmarks: np.ndarray  # (478, 3) float32 px
    rotation: np.ndarray  # (3, 3), (1,), (3,): landmarks = scale * canonical @ rotation.T + translation
    scale: np.ndarray
    translation: np.ndarray
    source: np.ndarray  # (POINTS, 2) float32 px: the mesh on the photo
    rest: np.ndarray  # (POINTS, 3) float32 canonical: the mesh at rest, its depths as of `even_depths`
    rest_shift: np.ndarray  # (POINTS, 3) canonical: rest - the photo's own shape; 0 where the mouth is shut
    basis: np.ndarray  # (25, POINTS, 3) float32 canonical, for one unit of each channel
    head_share: np.ndarray  # (POINTS,) share of the head's motion that a point follows
    torso_share: np.ndarray  # (POINTS,) share of the torso's
    ground: np.ndarray  # (h, w, 3) float32: both shares and the depth, at the points of the box's map
    triangles: np.ndarray  # (n, 3) int32
    box: np.ndarray  # (4,) int32 x0, y0, x1, y1: all that may change
    upper_teeth: np.ndarray  # (h, w, 4) float32 premultiplied RGBA, 0..255 and 0..1
    lower_teeth: np.ndarray
    teeth_px: np.ndarray  # (1,) px of the teeth textures for one eye distance
    teeth_place: np.ndarray  # (2, 3) canonical place of the upper and lower incisors' edge
    teeth_by_smile: np.ndarray  # (1,) DROP_BY_SMILE of guessed upper teeth; 0 where a photo shows their place
    teeth_slant: np.ndarray  # (2, 2) from where the upper and lower texture is seen (engines/face/dentition.py)
    cavity: np.ndarray  # (3,) colours, 0..255
    tongue: np.ndarray
    colour: np.ndarray  # (1,) 1: a coloured photo, 0: a black-and-white or toned one; engines/face/tones.py: Palette
    eyes_hidden: np.ndarray  # (2,) bool: left, right; behind dark glasses or hair: lids and gaze stay as they are
    blur_px: np.ndarray  # (1,) sigma of the photo's own blur
    eyeballs: np.ndarray  # (2, h, w, 3) uint8: left and right eye, continued under the lids
    eyeball_corner: np.ndarray  # (2, 2) px of the photo where each crop begins
    irises: np.ndarray  # (2, 3) centre and radius, px of the crop
    crop: np.ndarray  # (96, 120, 3) uint8: the lower face at rest, for the network
    skin_mask: np.ndarray  # (96, 120) uint8: where the network may shade the crop
    tones: np.ndarray  # (12,) float32: skin, lips, eye white, cavity, 0..1
    shape: np.ndarray  # (478, 3) float32: the face at rest away from the canonical one
    reach: np.ndarray  # (11,) how far each of the mouth's channels moves in speech (engines/motion/reach.py)
    features: np.ndarray  # what the network's encoder made of the three; empty where there is none
    vector: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.photo.shape[0], self.photo.shape[1]

    @property
    def own_smile(self) -> float:
        """How far the photo's smile goes, the happy look's being 1: 1 to MOST_SMILE."""
        return min(MOST_SMILE, max(1.0, smile_of(self.rest_shift[:FACE]) / HAPPY_SMILE))

    @cached_property
    def turned(self) -> float:
        """The head's yaw in the photo, rad; to the person's left."""
        return float(head_angles(self.rotation[None])[0, 1])

    @cached_property
    def bare(self) -> Bare:
        """The photo as it is under what must not travel with the skin."""
        return lift_marks(self.photo, self.landmarks, self.rotation, float(self.scale[0]))

    @cached_property
    def room(self) -> np.ndarray:
        """How much lighter the network may make the skin of its crop, (96, 120) float32."""
        return room_for_light(self.crop, self.skin_mask, CROP_PX)

    @cached_property
    def folds(self) -> np.ndarray:
        """What a full smile adds to the light of the network's crop, right and left side, (2, 96, 120) float32."""
        to_photo = crop_to_photo(self.rotation, float(self.scale[0]), self.translation)
        return fold_gains(to_crop(self.source, to_photo), CROP_PX, CROP_SIZE_PX, self.crop) * (
            self.skin_mask / np.float32(255)
        )

    @cached_property
    def mouth_in_hair(self) -> float:
        """How far light hair hides the mouth, 0..1."""
        skin, lip = (float(self.tones[part] @ LUMA) for part in (slice(0, 3), slice(3, 6)))
        down, brighter = self.rotation[:2, 1], lip / max(skin, 1e-3)
        return hidden_mouth(self.photo, self.source, down, float(self.scale[0]), brighter)

    @cached_property
    def haze(self) -> np.ndarray:
        """(4,) as `lift_haze` wants it: the mouth's darkest places become about as light as a hazy face's."""
        skin = 255 * self.tones[:3].astype(np.float64)
        floor = HAZE_IN_MOUTH * haze_of(self.photo, self.landmarks, skin)
        light, most = float(floor @ LUMA), max(float(skin @ LUMA), 1.0)
        drawn = DEEPEST * float(self.cavity @ LUMA)
        if light <= drawn:
            return np.zeros(4)
        # What is drawn is no black: it needs less, and what is added there is less by its own light.
        return np.append(floor * (light - drawn) / (light * (1.0 - min(drawn / most, 0.9))), most)

    def prepare(self) -> Portrait:
        """The portrait itself, after what pictures need beside what is stored: a photo that fails, fails here.

        Whoever makes a portrait in order to draw it, keeps it or loads it calls this before anything is promised: the
        generator would make the same at its first picture. InputError where that cannot be made.
        """
        try:
            _ = self.bare, self.room, self.folds, self.mouth_in_hair, self.haze
        except (cv2.error, ArithmeticError, LookupError, ValueError) as error:
            raise InputError("no picture can be made from this photo", "give another photo of the same face") from error
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the portrait as npz (no pickle), beside and renamed; OutputError where that fails."""
        path = Path(path)
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        head = {"version": VERSION, "spec": SPEC.to_json(), "geometry": geometry_hash(), "sha256": digest(arrays)}
        write_npz(path, {"head": np.array(json.dumps(head)), **arrays})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Portrait:
        """Read a portrait; InputError where there is none, EngineMismatch where it is damaged or of another version."""
        path = Path(path)
        again = "voxcam enroll PHOTO --out " + str(path)
        if not path.is_file():
            raise InputError(f"{path} does not exist", again)
        try:
            stored = read_npz(path.read_bytes())
            head = json.loads(str(stored["head"]))
            arrays = {field.name: stored[field.name] for field in fields(cls)}
            damaged = digest(arrays) != head["sha256"] or not can_be_drawn(arrays)
            current = (head["version"], head["spec"], head["geometry"]) == (VERSION, SPEC.to_json(), geometry_hash())
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:  # not npz, or not ours
            raise EngineMismatch(f"{path} is damaged or no portrait", again) from error
        if damaged:
            raise EngineMismatch(f"{path} is damaged", again)
        if not current:
            raise EngineMismatch(f"{path} was enrolled by another version", again)
        return cls(**arrays)


# Shapes of a stored portrait's arrays, None for any length; the compiled kernels index by them and do not look.
STORED_SHAPES: dict[str, tuple[int | None, ...]] = {
    "photo": (None, None, 3),
    "landmarks": (478, 3),
    "rotation": (3, 3),
    "scale": (1,),
    "translation": (3,),
    "source": (POINTS, 2),
    "rest": (POINTS, 3),
    "rest_shift": (POINTS, 3),
    "basis": (len(MODEL_CHANNELS), POINTS, 3),
    "head_share": (POINTS,),
    "torso_share": (POINTS,),
    "ground": (None, None, 3),
    "triangles": (None, 3),
    "box": (4,),
    "upper_teeth": (None, None, 4),
    "lower_teeth": (None, None, 4),
    "teeth_px": (1,),
    "teeth_place": (2, 3),
    "teeth_by_smile": (1,),
    "teeth_slant": (2, 2),
    "cavity": (3,),
    "tongue": (3,),
    "colour": (1,),
    "eyes_hidden": (2,),
    "blur_px": (1,),
    "eyeballs": (2, None, None, 3),
    "eyeball_corner": (2, 2),
    "irises": (2, 3),
    "crop": (*CROP_SIZE_PX, 3),
    "skin_mask": CROP_SIZE_PX,
    "tones": (12,),
    "shape": (478, 3),
    "reach": TYPICAL_REACH.shape,
}
PIXELS, WHOLE = ("photo", "eyeballs", "crop", "skin_mask"), ("triangles", "box")


def can_be_drawn(arrays: dict[str, np.ndarray]) -> bool:
    """Whether a stored portrait's arrays are such as the mesh needs, their measures numbers that a face can have."""

    def fits(name: str, shape: tuple[int | None, ...]) -> bool:
        array = arrays[name]
        kinds = "u" if name in PIXELS else "i" if name in WHOLE else "fb"
        same = array.ndim == len(shape) and all(
            n == m if m is not None else n > 0 for n, m in zip(array.shape, shape, strict=True)
        )
        return same and array.dtype.kind in kinds and (array.dtype.kind != "u" or array.dtype == np.uint8)

    if not all(fits(name, shape) for name, shape in STORED_SHAPES.items()):
        return False
    height, width = arrays["photo"].shape[:2]
    x0, y0, x1, y1 = arrays["box"]
    numbers = [array for array in arrays.values() if array.dtype.kind == "f"]
    return (
        all(np.isfinite(array).all() for array in numbers)
        and bool(((arrays["triangles"] >= 0) & (arrays["triangles"] < POINTS)).all())
        and bool(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height)
        and arrays["ground"].shape == (*map_size(int(y1 - y0), int(x1 - x0)), 3)
        and bool(arrays["scale"] >= LEAST_EYES_DRAWN_PX / 2)  # px for one eye distance, of what was let in
        and bool((np.ptp(arrays["rest"], axis=0) < 10).all())  # eye distances
        and bool((arrays["reach"] > 0).all())
        and all(bool((np.abs(arrays[name] - 0.5) < 0.5 + 1e-4).all()) for name in ("head_share", "torso_share"))
        and bool((np.abs(arrays["ground"] - (0.5, 0.5, 0)) < (0.5 + 1e-4, 0.5 + 1e-4, 10)).all())
    )


def digest(arrays: dict[str, np.ndarray]) -> str:
    """sha256 over names, shapes and bytes."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def geometry_hash() -> str:
    """sha256 of the trained geometry, teeth, ways to rest, mask and encoder: portraits hold what follows from them."""
    total = hashlib.sha256((WEIGHTS / "geometry.npz").read_bytes())
    for name in ("portrait_encoder", "unsmile", "unfold", "teeth", "person_mask"):
        card = WEIGHTS / f"{name}.card.json"
        if card.is_file():
            total.update(card.read_bytes())
    return total.hexdigest()


def make_portrait(
    rgb: np.ndarray,
    landmarks: np.ndarray | None = None,
    size: str = "full",
    teeth_photo: tuple[np.ndarray, np.ndarray] | None = None,
    max_side_px: int = MAX_SIDE_PX,
    reach: np.ndarray = TYPICAL_REACH,
) -> Portrait:
    """Analyse one photo.

    rgb (H, W, 3) uint8; landmarks (478, 3) px of it, found by engines.face.landmarker where not given; size "full"
    keeps the photo's frame (long side at most `max_side_px`, even), "face" cuts an upright 256x256 face. teeth_photo:
    another photo of the same person, smiling, and its landmarks; reach (11,): how far the mouth moves
    (engines/motion/reach.py).
    InputError where there is no usable face.
    """
    if size not in ("full", "face"):
        raise ConfigError(f"unknown size {size!r}", "use full or face")
    if landmarks is None:
        from engines.face.landmarker import Landmarker  # loaded on use: it opens two ONNX files

        with Landmarker() as landmarker:
            landmarks = landmarker.examine(rgb).landmarks
    landmarks = np.asarray(landmarks, np.float32)
    if landmarks.shape != (478, 3) or not np.isfinite(landmarks).all():
        raise InputError("no face was found in the photo", "give a photo of one person who looks at the camera")
    photo, landmarks = (to_face if size == "face" else to_full)(rgb, landmarks, max_side_px)
    landmarks = to_pixel_centres(landmarks)
    if eye_distance(landmarks) < LEAST_EYES_DRAWN_PX:
        raise InputError("the face in the photo is too small", "give a photo that is closer, or cut it")
    height, width = photo.shape[:2]
    if not (
        (landmarks[:, 0] > 0) & (landmarks[:, 0] < width) & (landmarks[:, 1] > 0) & (landmarks[:, 1] < height)
    ).all():
        margin = int(0.5 * eye_distance(landmarks))
        visible = np.clip(landmarks[:, :2], 0, (width, height))
        if np.abs(visible - landmarks[:, :2]).max() > margin:
            raise InputError("the face is cut by the picture's edge", "give a photo that shows the whole face")
    portrait = analyse(photo, landmarks, None if teeth_photo is None else borrow_teeth(photo, landmarks, *teeth_photo))
    return describe(replace(portrait, reach=reach))


def describe(portrait: Portrait) -> Portrait:
    """The portrait with what the network's encoder makes of it; unchanged where no network is shipped."""
    if not (WEIGHTS / "portrait_encoder.card.json").is_file():
        return portrait
    inputs = {
        "crop": portrait.crop.transpose(2, 0, 1)[None] / np.float32(255),
        "shape": portrait.shape[None],
        "tones": portrait.tones[None],
    }
    with open_session("portrait_encoder") as session:
        outputs = session.run(inputs)
        return replace(portrait, features=outputs["features"].copy(), vector=outputs["vector"].copy())


def borrow_teeth(photo: np.ndarray, landmarks: np.ndarray, smile: np.ndarray, smile_landmarks: np.ndarray) -> Teeth:
    """The teeth of a second photo of the same person, in the first one's light; InputError where it shows none."""
    smile_landmarks = np.asarray(smile_landmarks, np.float32)
    if not np.isfinite(smile_landmarks).all():
        raise InputError("no face was found in the photo for the teeth", "give one with an open smile, or leave it out")
    teeth = shown_teeth(smile, smile_landmarks)
    if teeth is None:
        raise InputError("the photo for the teeth shows none", "give one with an open smile, or leave it out")
    points = to_pixel_centres(smile_landmarks)
    there, here = measure_tones(smile, points), measure_tones(photo, landmarks)
    light = np.clip(here["skin"] / np.maximum(there["skin"], 1), 0.3, 3)
    texture = teeth.texture.copy()
    texture[..., :3] = np.minimum(texture[..., :3] * light, 250 * texture[..., 3:])
    # The place is the second photo's; the first one's nose and eyes say where the skull is.
    return Teeth(texture, teeth.shown, teeth.place, teeth.slant)


def shown_teeth(photo: np.ndarray, landmarks: np.ndarray) -> Teeth | None:
    """The upper teeth that a photo (H, W, 3) with landmarks (478, 3) px shows, in its own light; None: too few."""
    aligned, rotation, scales, _ = (part[0] for part in remove_pose(landmarks[None], canonical_face()))
    points = to_pixel_centres(landmarks)
    teeth = lift_teeth(photo, points, aligned, rotation, float(scales))
    return None if teeth is None or is_flesh(teeth, measure_tones(photo, points)["skin"]) else teeth


def to_full(rgb: np.ndarray, landmarks: np.ndarray, max_side_px: int) -> tuple[np.ndarray, np.ndarray]:
    """The photo in its own frame, at most `max_side_px` long and of even sides."""
    height, width = rgb.shape[:2]
    shrink = min(1.0, max_side_px / max(height, width))
    new_width, new_height = (max(2, round(side * shrink / 2) * 2) for side in (width, height))
    if (new_width, new_height) != (width, height):
        if abs(new_width - width) < 2 and abs(new_height - height) < 2:
            rgb = rgb[: min(height, new_height), : min(width, new_width)]
            rgb = cv2.copyMakeBorder(
                rgb, 0, new_height - rgb.shape[0], 0, new_width - rgb.shape[1], cv2.BORDER_REPLICATE
            )
        else:
            rgb = cv2.resize(rgb, (new_width, new_height), interpolation=cv2.INTER_AREA)
            ratio = np.array([new_width / width, new_height / height, new_width / width], np.float32)
            landmarks = (landmarks * ratio).astype(np.float32)
    return np.ascontiguousarray(rgb), landmarks


def to_face(rgb: np.ndarray, landmarks: np.ndarray, _: int) -> tuple[np.ndarray, np.ndarray]:
    """An upright face of FACE_SIZE_PX: in-plane roll removed, eyes at a fixed place."""
    canonical = canonical_face()
    rotation, scale, translation = remove_pose(landmarks[None], canonical)[1:]
    roll = np.arctan2(rotation[0, 1, 0], rotation[0, 0, 0])
    ratio = FACE_EYES_PX / scale[0]
    turn = ratio * np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    middle = translation[0, :2]
    offset = np.array([FACE_SIZE_PX / 2, FACE_EYE_LINE_PX]) - turn @ middle
    matrix = np.column_stack([turn, offset])
    if ratio < 0.5:
        # Shrink by area first: warpAffine samples and would alias.
        shrink = float(ratio)
        rgb = cv2.resize(rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        matrix[:, :2] /= shrink
    matrix[:, 2] += 0.5 * matrix[:, :2].sum(1) - 0.5  # OpenCV counts from pixels' centres
    photo = cv2.warpAffine(
        rgb, matrix, (FACE_SIZE_PX, FACE_SIZE_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    moved = np.empty_like(landmarks)
    moved[:, :2] = landmarks[:, :2] @ turn.T + offset
    moved[:, 2] = landmarks[:, 2] * ratio
    return photo, moved


class AtRest(NamedTuple):
    """A face as a photo shows it, and its way to rest."""

    landmarks: np.ndarray  # (478, 3) px, lips' edges and lids' rims to the pixel
    rotation: np.ndarray  # (3, 3), and px: landmarks = scale * aligned @ rotation.T + translation
    scale: float
    translation: np.ndarray
    aligned: np.ndarray  # (478, 3) canonical
    shift: np.ndarray  # (478, 3) canonical: what brings it to rest
    smile: float  # `smile_of` the smile's part of that
    teeth: Teeth | None  # that the photo shows
    build: np.ndarray  # (n, 3) how its rigid points lie beside the canonical ones


class Mesh(NamedTuple):
    """The mesh and what lies around it; as in `Portrait`, but for `rest`, whose depths are the face's own."""

    rest: np.ndarray
    rest_shift: np.ndarray
    basis: np.ndarray
    source: np.ndarray
    shares: np.ndarray  # (H, W, 3) float32: the ground, at each pixel of the photo
    box: np.ndarray
    triangles: np.ndarray


def rest_of(photo: np.ndarray, landmarks: np.ndarray) -> AtRest:
    """Where a face's points lie, and its way to rest: a smile's by what is learned, then what still parts the lips."""
    canonical = canonical_face()
    aligned, rotation, scales, translation = (part[0] for part in remove_pose(landmarks[None], canonical))
    scale, build = float(scales), (aligned - canonical)[list(RIGID)]
    lower_face = np.clip((canonical[:, 1] - 0.12) / 0.3, 0, 1)[:, None]
    pitch, yaw, _ = head_angles(rotation[None])[0]
    looked_at = crop_to_photo(rotation, scale, translation, LOOKED_PX)
    height, width = (round(side * LOOKED_PX / CROP_PX) for side in CROP_SIZE_PX)
    hair = moustache(photo, landmarks[:, :2], looked_at, (height, width))
    shift = rest_shift(aligned, float(np.hypot(pitch, yaw)), hair) * lower_face  # a smile's way back; eyes stay
    smile = smile_of(shift)
    landmarks = refine_lips(photo, landmarks, aligned, rotation, scale)
    landmarks = widen_lids(landmarks, rotation, scale)
    aligned = to_canonical(landmarks, rotation, scale, translation)
    teeth = lift_teeth(photo, landmarks, aligned, rotation, scale)
    if teeth is not None and is_flesh(teeth, measure_tones(photo, landmarks)["skin"]):
        teeth = None
    below = 0.0 if teeth is None else teeth_above(aligned + shift, teeth)
    shift += resting_shift(aligned + shift, below)  # lips that still stand apart
    if teeth is not None and below > 0.0:
        rest = aligned + shift
        line = float(rest[UPPER_SEAM[5], 1] + rest[LOWER_SEAM[5], 1]) / 2
        teeth = replace(teeth, place=teeth.place + np.array([0, line + INCISOR_DROP - teeth.place[1], 0]))
    return AtRest(landmarks, rotation, scale, translation, aligned, shift, smile, teeth, build)


def mesh_of(photo: np.ndarray, face: AtRest) -> Mesh:
    """The face's points and the rings around it, how each answers the channels, and what else may move."""
    channel_basis, surface = load_geometry()
    rest = np.zeros((POINTS, 3), np.float32)
    rest[:FACE] = (face.aligned + face.shift)[:FACE]
    basis = np.zeros((len(MODEL_CHANNELS), POINTS, 3), np.float32)
    basis[:, :FACE] = channel_basis[:, :FACE]
    for k, eye in enumerate(EYES):
        basis[MODEL_CHANNELS.index(("eyeBlinkLeft", "eyeBlinkRight")[k]), :FACE] = blink(face.aligned, eye)[:FACE]
    for k in range(len(RINGS)):
        ring = slice(FACE + RING * k, FACE + RING * (k + 1))
        rest[ring], own = push_out(rest[list(FACE_OVAL)], k)
        basis[:, ring] = own[:, None] * basis[:, list(FACE_OVAL)]
    full_shift = np.zeros((POINTS, 3), np.float32)
    full_shift[:FACE] = face.shift[:FACE]
    source = (face.scale * (rest - full_shift) @ face.rotation.T + face.translation)[:, :2].astype(np.float32)
    mask = person_mask(photo, face.translation[:2], face.scale)
    outline = rest[list(FACE_OVAL)]
    shares = share_ground(photo.shape[:2], mask, outline, face.rotation, face.scale, face.translation)
    triangles = eyes_last(mesh_triangles(surface), source)
    return Mesh(rest, full_shift, basis, source, shares, box_of(shares, source), triangles)


def analyse(photo: np.ndarray, landmarks: np.ndarray, own_teeth: Teeth | None = None) -> Portrait:
    """Everything that follows from a photo in its final frame and its landmarks."""
    face = rest_of(photo, landmarks)
    landmarks, rotation, scale, translation, aligned, shift, smile, own, build = face
    rest, full_shift, basis, source, shares, box, triangles = mesh_of(photo, face)
    ring_shares = sample(shares, source[None, FACE:])[0]

    blur_px = photo_blur(photo, landmarks)
    palette = measure_palette(photo, landmarks)
    tones = measure_tones(photo, landmarks)
    tones |= {name: palette.fit(tones[name]) for name in ("cavity", "tongue")}
    teeth_px = min(TEETH_PX, 2.0 * scale)
    upper_teeth, lower_teeth, place, slant, by_smile = place_teeth(
        own_teeth or own, rest, build, tones, teeth_px, blur_px * teeth_px / scale
    )
    skin_mask = mask_skin(rest)
    photo = take_folds_off(
        photo,
        landmarks[:, :2],
        cv2.resize(skin_mask, None, fx=LOOKED_PX / CROP_PX, fy=LOOKED_PX / CROP_PX).astype(np.float32) / 255,
        crop_to_photo(rotation, scale, translation, LOOKED_PX),
        smile,
        palette.colour,
    )
    at_rest = landmarks[:, :2] + scale * shift @ rotation[:2].T
    photo = draw_ends(shut_corners(photo, landmarks, scale), landmarks[:, :2], at_rest, scale, palette.colour)
    eyeballs, corners, irises = cut_eyeballs(photo, landmarks)
    dark_glasses = behind_dark_glasses(photo, landmarks)
    shape = (aligned + shift - canonical_face()).astype(np.float32)
    crop = cv2.warpAffine(
        cv2.GaussianBlur(photo, (0, 0), max(0.3, 0.35 * scale / CROP_PX)) if scale > CROP_PX else photo,
        crop_to_photo(rotation, scale, translation),
        CROP_SIZE_PX[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    colours = np.concatenate([tones[name] / scale_to for name, scale_to in TONES]).astype(np.float32)
    return Portrait(
        photo=photo,
        landmarks=landmarks,
        rotation=rotation,
        scale=np.array([scale]),
        translation=translation,
        source=source,
        rest=np.column_stack([rest[:, :2], even_depths(rest[:, 2], source / scale, triangles)]).astype(np.float32),
        rest_shift=full_shift,
        basis=basis,
        head_share=np.append(np.ones(FACE, np.float32), ring_shares[:, 0]),
        torso_share=np.append(np.zeros(FACE, np.float32), ring_shares[:, 1]),
        ground=on_map(shares, box),
        triangles=triangles,
        box=box,
        upper_teeth=palette.fit_texture(upper_teeth),
        lower_teeth=palette.fit_texture(lower_teeth),
        teeth_px=np.array([teeth_px]),
        teeth_place=place,
        teeth_by_smile=np.array([by_smile]),
        teeth_slant=slant,
        cavity=tones["cavity"],
        tongue=tones["tongue"],
        colour=np.array([palette.colour]),
        eyes_hidden=np.array([dark_glasses or behind_strands(photo, landmarks, eye) for eye in EYES]),
        blur_px=np.array([blur_px]),
        eyeballs=eyeballs,
        eyeball_corner=corners,
        irises=irises,
        crop=crop,
        skin_mask=skin_mask,
        tones=colours,
        shape=shape,
        reach=TYPICAL_REACH,
        features=np.zeros(0, np.float32),
        vector=np.zeros(0, np.float32),
    )


def place_teeth(
    teeth: Teeth | None,
    rest: np.ndarray,
    build: np.ndarray,
    tones: dict[str, np.ndarray],
    teeth_px: float,
    blur_px: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Upper and lower row (h, w, 4) at teeth_px for one eye distance; the place of their edges (2, 3), canonical; from
    where each is seen (2, 2); and DROP_BY_SMILE of guessed upper teeth, else 0.

    teeth: a photo's own upper ones, if it shows any; what can't be teeth by its place or colour is replaced by guessed
    ones. rest (POINTS, 3): the mesh at rest; build: how the face's rigid points lie beside the canonical ones; blur_px:
    the photo's own blur, px of the textures.
    """
    lower_row = guessed_lower(build)
    lower_teeth = tint_teeth(lower_row, tones["white"], teeth_px, blur_px)
    line = (rest[UPPER_SEAM[5]] + rest[LOWER_SEAM[5]]) / 2
    middle_x = float(rest[[UPPER_SEAM[0], UPPER_SEAM[-1]], 0].mean())
    edges = np.array([[INCISOR_DROP, UPPER_BEHIND], [LOWER_DROP, LOWER_BEHIND]]) + line[1:]
    place = np.column_stack([(middle_x, middle_x), edges])
    slant = np.zeros((2, 2))
    if teeth is None or not -RAISED < teeth.place[1] - line[1] < LOWEST or is_flesh(teeth, tones["skin"]):
        own_blur_px = LEARNED_BLUR_PX * teeth_px / TEETH_PX  # the row comes from photos, and has their blur already
        more_px = max(0.0, blur_px**2 - own_blur_px**2) ** 0.5
        upper_teeth = tint_teeth(guessed_upper(build), tones["white"], teeth_px, more_px)
        return upper_teeth, lower_teeth, place, slant, DROP_BY_SMILE
    place[0], slant[0] = teeth.place, teeth.slant
    place[0, 1] = max(place[0, 1], line[1] + LEAST_DROP)
    enamel = enamel_of(teeth)
    if enamel is not None:  # the eyes' white tells of teeth only what one's own ones tell better
        lower_teeth = tint_teeth(lower_row, enamel / WHITE, teeth_px, blur_px)
    return tint_teeth(teeth.texture, np.ones(3), teeth_px, 0.0), lower_teeth, place, slant, 0.0


def box_of(shares: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The part of the photo that may move, (4,) int32: the mesh (n, 2) px, and where shares (H, W, 3) are above 0."""
    height, width = shares.shape[:2]
    rows, columns = (np.flatnonzero(shares[..., :2].any(axis=(axis, 2))) for axis in (1, 0))
    x, y = np.append(source[:, 0], columns[[0, -1]]), np.append(source[:, 1], rows[[0, -1]])
    low = np.floor((x.min(), y.min())).astype(int) - 2
    high = np.ceil((x.max(), y.max())).astype(int) + 3
    return np.array([max(0, low[0]), max(0, low[1]), min(width, high[0]), min(height, high[1])], np.int32)


def on_map(values: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Values (H, W, c) float32 at the points of a box's backward map, (h, w, c)."""
    first_x, first_y, step = grid_of(box)
    rows, columns = map_size(int(box[3] - box[1]), int(box[2] - box[0]))
    places = np.meshgrid(first_x + step * np.arange(columns), first_y + step * np.arange(rows))
    return sample(values, np.stack(places, -1))


def sample(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values (H, W, c) float32 at points (h, w, 2) px, (h, w, c); the nearest ones beyond the edge."""
    at = points.astype(np.float32)
    found: np.ndarray = cv2.remap(values, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found


def is_flesh(teeth: Teeth, skin: np.ndarray) -> bool:
    """Whether lips or gums were taken for teeth: what is redder than skin is no tooth. skin (3,) 0..255."""
    seen = teeth.texture[teeth.shown > 0.95][:, :3]
    red, green = np.median(seen, 0)[:2] if len(seen) else (1.0, 0.0)
    return bool(red * skin[1] > FLESH * green * skin[0])


TONES = (("skin", 255), ("lip", 255), ("white", 1), ("cavity", 255))


def crop_to_photo(rotation: np.ndarray, scale: float, translation: np.ndarray, px: float = CROP_PX) -> np.ndarray:
    """px of the network's crop -> px of the photo, (2, 3): the canonical plane through the eyes, in its pose.

    px: for one eye distance, of the same crop if it is finer.
    """
    linear = scale * rotation[:2, :2] / px
    corner = scale * rotation[:2, :2] @ np.array([CROP_LEFT + 0.5 / px, CROP_TOP + 0.5 / px])
    return np.column_stack([linear, corner + translation[:2]])


def to_canonical(landmarks: np.ndarray, rotation: np.ndarray, scale: float, translation: np.ndarray) -> np.ndarray:
    """Landmarks in px -> canonical frame, the inverse of `scale * x @ rotation.T + translation`."""
    return ((landmarks - translation) @ rotation / scale).astype(np.float32)


def widen_lids(landmarks: np.ndarray, rotation: np.ndarray, scale: float) -> np.ndarray:
    """Move the lids' lines off the eyeball onto the lids' rims: a blink must not drag along a strip of white."""
    widened = landmarks.copy()
    down = rotation[:2, 1] / np.linalg.norm(rotation[:2, 1]) * scale
    for eye in EYES:
        arch = np.sin(np.linspace(0, np.pi, len(eye.upper)))[:, None]
        widened[list(eye.upper), :2] -= UPPER_RIM * arch * down
        widened[list(eye.lower), :2] += LOWER_RIM * arch * down
    return widened


def teeth_above(aligned: np.ndarray, teeth: Teeth) -> float:
    """How far the middle between lips (478, 3) lies below the upper teeth for the jaw's hanging, eye distances; or 0.

    aligned: after a smile's way back; teeth: the photo's own.
    """
    top, bottom = (float(aligned[seam[5], 1]) for seam in (UPPER_SEAM, LOWER_SEAM))
    below = (top + bottom) / 2 - float(teeth.place[1])
    return below if below > TOO_LOW and bottom - top > JAW_HANGS else 0.0


def resting_shift(aligned: np.ndarray, raised: float = 0.0) -> np.ndarray:
    """What shuts a mouth: both inner lips onto one line, flesh around along; 0 if it is shut; (478, 3).

    It is the middle one, or so much above it (eye distances) where the jaw hangs: more of the way is the lower lip's.
    """
    shift = np.zeros_like(aligned)
    upper, lower = list(UPPER_SEAM), list(LOWER_SEAM)
    gap = float(aligned[lower[5], 1] - aligned[upper[5], 1])
    share = min(0.5, raised / max(gap, 1e-6))
    middle = (aligned[upper] + aligned[lower]) / 2 - share * (aligned[lower] - aligned[upper])
    to_upper, to_lower = middle - aligned[upper], middle - aligned[lower]
    x = aligned[:, 0]
    order = np.argsort(middle[:, 0])
    down = np.interp(x, middle[order, 0], to_upper[order, 1], left=0, right=0)
    up = np.interp(x, middle[order, 0], to_lower[order, 1], left=0, right=0)
    above = np.interp(x, middle[order, 0], aligned[upper][order, 1]) - aligned[:, 1]
    below = aligned[:, 1] - np.interp(x, middle[order, 0], aligned[lower][order, 1])
    shift[:, 1] = np.where(above >= 0, down * np.exp(-((above / 0.22) ** 2)), 0)
    shift[:, 1] += np.where(below > 0, up * np.exp(-((below / 0.45) ** 2)), 0)
    shift[upper], shift[lower] = to_upper, to_lower
    return shift.astype(np.float32)


def blink(aligned: np.ndarray, eye: Eye) -> np.ndarray:
    """Displacement that shuts one eye: the upper lid onto the lower lid's line, the lid's skin along; (478, 3)."""
    motion = np.zeros_like(aligned)
    gap = aligned[list(eye.lower)] - aligned[list(eye.upper)]
    gap[:, 0] *= 0.5
    motion[list(eye.upper)] = 0.88 * gap
    motion[list(eye.lower)] = -0.12 * gap
    motion[[eye.upper[0], eye.upper[-1]]] = 0
    motion[list(eye.skin)] = 0.55 * 0.88 * gap[1:-1]
    motion[list(eye.fold)] = 0.06 * 0.88 * gap[1:-1]  # the brow stays where it is
    return motion


def mask_skin(rest: np.ndarray) -> np.ndarray:
    """The lower face inside its outline, fading towards it: (96, 120) uint8 in the network's crop."""
    outline = (rest[list(FACE_OVAL), :2] - (CROP_LEFT, CROP_TOP)) * CROP_PX - 0.5
    inner = cv2.erode(polygon(outline, CROP_SIZE_PX), disc(5), borderValue=0)
    return cv2.GaussianBlur(inner, (0, 0), 2.5)


def photo_blur(photo: np.ndarray, landmarks: np.ndarray) -> float:
    """Sigma of the photo's own blur, px, from how much a second blur weakens its strongest edges (Zhuo & Sim 2011)."""
    low = np.floor(landmarks[:, :2].min(0)).astype(int).clip(0)
    high = np.ceil(landmarks[:, :2].max(0)).astype(int)
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[low[1] : high[1], low[0] : high[0]].astype(np.float32)

    def gradient(image: np.ndarray) -> np.ndarray:
        return np.hypot(cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3))

    sharp, soft = gradient(grey), gradient(cv2.GaussianBlur(grey, (0, 0), 1.0))
    strong = sharp > np.quantile(sharp, 0.97)
    if not strong.any():  # one colour all over
        return 4.0
    ratio = float(np.median(sharp[strong] / np.maximum(soft[strong], 1e-3)))
    return float(np.clip(1.0 / np.sqrt(max(ratio**2 - 1.0, 0.02)), 0.4, 4.0))


def cut_eyeballs(photo: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both eyes' pixels, continued under the lids: crops (2, h, w, 3), corners (2, 2) px, irises (2, 3) crop px."""
    distance = float(eye_distance(landmarks))
    half_width, half_height = int(0.34 * distance) + 2, int(0.22 * distance) + 2
    crops, corners, irises = [], [], []
    padded = cv2.copyMakeBorder(photo, half_height, half_height, half_width, half_width, cv2.BORDER_REPLICATE)
    for eye in EYES:
        lids = landmarks[eye.opening, :2]
        corner = lids.mean(0).round().astype(int) - np.array([half_width, half_height])
        x, y = np.maximum(corner + np.array([half_width, half_height]), 0)
        crop = padded[y : y + 2 * half_height, x : x + 2 * half_width].copy()
        crop = cv2.copyMakeBorder(
            crop, 0, 2 * half_height - crop.shape[0], 0, 2 * half_width - crop.shape[1], cv2.BORDER_REPLICATE
        )
        centre = landmarks[eye.iris[0], :2] - corner
        radius = float(np.linalg.norm(landmarks[list(eye.iris[1:]), :2] - landmarks[eye.iris[0], :2], axis=1).mean())
        crops.append(continue_eye(crop, lids - corner, centre, radius, distance))
        corners.append(corner)
        irises.append([*centre, max(radius, 1.0)])
    return np.stack(crops), np.array(corners, np.float64), np.array(irises, np.float64)


def continue_eye(crop: np.ndarray, lids: np.ndarray, centre: np.ndarray, radius: float, distance: float) -> np.ndarray:
    """Fill what the lids hide: the iris from its mirrored other half, the rest of the eyeball by inpainting."""
    mask = polygon(lids, crop.shape[:2])
    # Lashes and the lids' rims throw the contour off by a pixel or two: trust only what is well inside.
    rim = max(1, int(0.012 * distance))
    known = cv2.erode(mask, disc(rim))
    filled = crop.copy()
    y, x = np.mgrid[: crop.shape[0], : crop.shape[1]].astype(np.float32)
    in_iris = np.hypot(x - centre[0], y - centre[1]) < radius * 1.05
    mirrored_y = (2 * centre[1] - y).astype(np.float32)
    mirrored = cv2.remap(crop, x, mirrored_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mirrored_known = cv2.remap(known, x, mirrored_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    take = in_iris & (known == 0) & (mirrored_known > 0)
    filled[take] = mirrored[take]
    have = (known > 0) | take
    near = cv2.dilate(mask, disc(3 * rim + 4)) > 0
    filled = cv2.inpaint(filled, ((~have) & near).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    # Between the lids the eye stays as the photo shows it.
    soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.7)[..., None]
    return (crop * soft + filled * (1 - soft) + 0.5).astype(np.uint8)
