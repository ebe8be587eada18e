"""Where the face is: detection, 478 landmarks, and whether the photo will do.

Networks: BlazeFace (Bazarevsky et al. 2019) and Attention Mesh (Grishchenko et al. 2020), MediaPipe's weights in our
ONNX (train/face/convert_mediapipe.py). Around them: MediaPipe's anchors, decoding, weighted non-maximum suppression and
regions of interest (mediapipe/modules/face_detection, face_landmark), with two differences. Pixels are sampled at
their centres; MediaPipe samples half a crop pixel off, which moves all landmarks by 0.01 eye distances where the face
is large. And the landmarks settle: they are read around the face box, again around the first ones, and then eight times
more in regions moved a little, half of them mirrored, whose mean is taken. Where they lie then depends on where the
region happened to lie by 0.0007 eye distances instead of 0.0036 (lips; standard deviation).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from engines.errors import CutOff, InputError
from engines.face.measure import (
    canonical_face,
    eye_distance,
    head_angles,
    lid_opening,
    mirror_points,
    mouth_measures,
    remove_pose,
)
from engines.face_points import FACE, INNER_LIPS, LEFT_LIDS, LIP_ROWS, OUTER_LIPS, RIGHT_LIDS
from engines.opening import open_session
from engines.session import Session
from engines.spec import SPEECH_CHANNELS

DETECTOR_PX = 128
MESH_INPUT_PX = 192  # input side of Attention Mesh
ROI_SCALE = 1.5  # side of the region of interest over the face box's
MIN_SCORE = 0.5
OVERLAP = 0.3  # boxes that overlap more than this are one face
SEARCH_PX = 1280  # detection never looks at more: tiles of a third are then still sharper than the network's input
TILE_SHARES = (0.6, 0.36)  # sides of tiles, of the shorter side, where the whole picture shows no face
TILTS = (-0.6, 0.6, -1.1, 1.1)  # rad, tried for heads that lie on a shoulder
READINGS = (  # step right and down, zoom, turn: shares of the region's side, factor, rad
    (0.02, 0.02, 1.03, 0.02),
    (-0.02, 0.02, 0.97, -0.02),
    (0.02, -0.02, 0.97, 0.02),
    (-0.02, -0.02, 1.03, -0.02),
)
MIN_PRESENCE = 0.97  # faces of 206 photos, turned, dark, blurred: above 0.99; cats and clouds: up to 0.95
LOST_SHIFT, LOST_ZOOM = 1.0, 1.4  # eye distances and times that a face may move from a picture to the next
MOST_FACES = 12  # a crowd is not read to the end
LARGEST_SPREAD = 0.033  # of the readings, eye distances: faces 0.01, profiles 0.03, cats and moons 0.036 and more
COVERED_SPREAD = 0.016  # lips and lids of 206 photos: up to 0.010; behind a hand or a bar: 0.022 and more
# Half a mouth behind a hand, mug, microphone or phone is guessed well: in the one half's spread every second one shows,
# in the lips' symmetry nine of ten. Spread of 206 photos: up to 0.010, rendered people's lips as they speak: 0.013.
HALF_COVERED_SPREAD = 0.0135
# Of 206 photos: above 0.75, of dim, blurred, noisy, sidelit ones above 0.57, of half hidden mouths mostly below 0.4.
LEAST_SYMMETRY = 0.5
MIN_EYES_PX, SOFT_EYES_PX = 24, 70  # between the eyes
BESIDE = 0.4  # of the largest face's size: from there on others stand beside it and not behind
MAX_YAW, TURNED = np.radians(35), np.radians(20)
FAR_EYE = np.radians(30) - 1e-3  # from here on the far eye may stand out of the outline: 3 of 84 strangers'
MAX_PITCH = np.radians(35)
TILTED = np.radians(30)
CLOSED_LIDS = 0.045  # lid gap in eye distances; shut in blinks: 0.04 and less, smiling eyes: 0.07 and more
# Both lids' mean: of 166 photos six laugh, frown or look down at 0.053 to 0.077, all others have 0.081 and more. One
# lid's gap of the other's, and at most: two are half shut at 0.61 and 0.63, other straight looks have 0.75 and more.
HARDLY_OPEN, HALF_SHUT, HALF_OPEN = 0.078, 0.65, 0.09
OPEN_MOUTH, WIDE_MOUTH = 0.06, 0.30  # gap of the inner lips in eye distances
LIDS = tuple(point for pair in (*LEFT_LIDS, *RIGHT_LIDS) for point in pair)
# What must lie inside the picture: eyes, brows, nose, lips and chin; forehead, cheeks and ears may be cut.
FEATURES = (*LIDS, *OUTER_LIPS, 70, 105, 107, 336, 334, 300, 4, 98, 327, 152)
RIGHT_LIPS = tuple(point for row in LIP_ROWS for point in row[: len(row) // 2])
LEFT_LIPS = tuple(point for row in LIP_ROWS for point in row[::-1][: len(row) // 2])  # in the right half's order
LIPS_PX = 2 * MESH_INPUT_PX  # side of the region that the lips are looked at in: about 115 px between the eyes
LOOK_AT_CAMERA = "take a photo that looks straight at the camera"


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face: box x0 y0 x1 y1 px, key points px (right eye, left eye, nose, mouth, right ear, left ear)."""

    box: np.ndarray
    keypoints: np.ndarray
    score: float

    @property
    def size_px(self) -> float:
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def tilt(self) -> float:
        """Angle of the line through the eyes, rad; positive turns with the clock."""
        x, y = self.keypoints[1] - self.keypoints[0]
        return float(np.arctan2(y, x))


@dataclass(frozen=True, slots=True)
class Reading:
    """Landmarks of one face, and how far they can be trusted."""

    points: np.ndarray  # (478, 3) float32 px: x right, y down, z away from the camera
    presence: float  # probability that they lie on a face
    spread: np.ndarray  # (478,) float32: standard deviation of the readings they are the mean of, eye distances
    lip_symmetry: float = 1.0  # correlation of the lips' brightness in one half with the other half's

    @property
    def half_covered(self) -> bool:
        """Whether something seems to lie over one half of the mouth."""
        halves = max(float(self.spread[list(half)].mean()) for half in (RIGHT_LIPS, LEFT_LIPS))
        return halves > HALF_COVERED_SPREAD or self.lip_symmetry < LEAST_SYMMETRY

    @property
    def is_face(self) -> bool:
        return self.presence >= MIN_PRESENCE and float(self.spread[:FACE].mean()) <= LARGEST_SPREAD


@dataclass(frozen=True, slots=True)
class PhotoReport:
    """The face in a photo and what to know about it before it is animated."""

    face: Face
    landmarks: np.ndarray  # (478, 3) float32 px
    aligned: np.ndarray  # (478, 3) float32, head pose removed, eye distances
    presence: float  # probability that the landmarks lie on a face
    eye_distance_px: float
    pitch: float  # rad, signs as in MOTION_CHANNELS
    yaw: float
    roll: float
    mouth_covered: bool  # or half of it, as far as one can tell
    notes: tuple[str, ...]  # what is less than ideal, one line each


class Landmarker:
    """Finds faces and reads their landmarks. The networks load on first use; about 50 ms a photo after that."""

    def __init__(self, threads: int = 1, backend: str = "onnxruntime") -> None:
        self.threads, self.backend = threads, backend
        self._sessions: dict[str, Session] = {}
        self._mirror = mirror_points()

    def close(self) -> None:
        while self._sessions:
            self._sessions.popitem()[1].close()

    def __enter__(self) -> Landmarker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find_faces(self, rgb: np.ndarray) -> list[Face]:
        """All faces in (H, W, 3) uint8, the surest first.

        Where the picture as a whole shows none, it is looked at from further away (a face that fills it), tilted, and
        in tiles (small faces).
        """
        scale = min(1.0, SEARCH_PX / max(rgb.shape[:2]))
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
        sides = np.array(small.shape[1::-1]) / np.array(rgb.shape[1::-1])  # rounding makes two scales
        for views in _search_views(small.shape[1], small.shape[0]):
            found = [face for center, side, tilt in views for face in self._detect(small, center, side, tilt)]
            faces = [face for face in suppress(found)[:MOST_FACES] if self._is_face(small, face)]
            if faces:
                return [Face(f.box / np.tile(sides, 2), f.keypoints / sides, f.score) for f in faces]
        return []

    def landmarks(self, rgb: np.ndarray, face: Face) -> Reading:
        """The 478 landmarks of one face, settled."""
        center, side, tilt = region_of_box(face)
        for _ in range(2):
            first, presence = self._read_region(rgb, center, side, tilt)
            center, side, tilt = region_of(first)
        readings = []
        for step_x, step_y, zoom, turn in READINGS:
            near = (center + side * np.array([step_x, step_y]), side * zoom, tilt + turn)
            readings += [self._read_region(rgb, *near)[0], self._read_region(rgb, *near, mirrored=True)[0]]
        stacked = np.stack(readings)
        points = stacked.mean(0)
        spread = stacked.std(0)[:, :2].mean(1) / eye_distance(points)
        return Reading(points, presence, spread.astype(np.float32), lip_symmetry(rgb, points))

    def landmarks_near(self, rgb: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Landmarks (478, 3) px of a face that lies about where `around` (478, 3) px says: for pictures in a row.

        Two readings, plain and mirrored, of one region: a ninth of the cost of `landmarks`. What the region does to a
        reading (0.004 eye distances at the lips) is the same for pictures that are read around the same landmarks.
        """
        return self._read_twice(rgb, around)[0]

    def follow(self, rgb: np.ndarray, around: np.ndarray) -> np.ndarray | None:
        """`landmarks_near`, or None where the face is gone or far from where it was: look for it anew."""
        points, presence = self._read_twice(rgb, around)
        before, now = eye_distance(around), eye_distance(points)
        moved = np.linalg.norm((points - around)[:, :2].mean(0))
        is_there = presence >= MIN_PRESENCE and moved < LOST_SHIFT * before and 1 / LOST_ZOOM < now / before < LOST_ZOOM
        return points if is_there else None

    def _read_twice(self, rgb: np.ndarray, around: np.ndarray) -> tuple[np.ndarray, float]:
        region = region_of(around)
        plain, presence = self._read_region(rgb, *region)
        mirrored, _ = self._read_region(rgb, *region, mirrored=True)
        return (plain + mirrored) / 2, presence

    def examine(self, rgb: np.ndarray, beside: bool = False) -> PhotoReport:
        """Find the face to animate and judge the photo. InputError, with advice, where it will not do.

        beside: where the edge cuts the largest face off, a whole one beside it will do, and a note says so.
        """
        found = sorted(self.find_faces(rgb), key=lambda face: -face.size_px)
        cut: CutOff | None = None
        alike: list[Face] = []
        for face in found:
            if cut and all(face is not other for other in alike):
                break  # somebody in the background is not who was meant
            reading = self.landmarks(rgb, self._upright(rgb, face))
            if not reading.is_face:
                continue
            alike = alike or [other for other in found if other.size_px > BESIDE * face.size_px]
            note = largest_face(alike)[1]
            if cut:
                note = f"{len(alike)} faces found: not the largest is used, for there {cut.what}"
            try:
                return judge(face, reading, rgb.shape[:2], (note,))
            except CutOff as error:
                cut = cut or error
                if not beside:
                    break
        raise cut or InputError(
            "no face found in the photo", "use one where the face is sharp, lit, large and uncovered"
        )

    def _is_face(self, rgb: np.ndarray, face: Face) -> bool:
        """The landmark network doubts what the detector takes for a face in clouds and cats."""
        return self._read_region(rgb, *region_of_box(face))[1] >= MIN_PRESENCE

    def _upright(self, rgb: np.ndarray, face: Face) -> Face:
        """The face as it is, or turned over where the photo stands on its head: both networks read mouths as eyes."""
        center, side, tilt = region_of_box(face)
        views = [self._detect(rgb, center, 1.5 * side, angle) for angle in (tilt, tilt + np.pi)]
        scores = [max((found.score for found in faces), default=0.0) for faces in views]
        if scores[1] < scores[0] + 0.05:
            return face
        return largest_face(views[1])[0]

    def _session(self, name: str) -> Session:
        if name not in self._sessions:
            self._sessions[name] = open_session(name, self.backend, threads=self.threads)
        return self._sessions[name]

    def _detect(self, rgb: np.ndarray, center: np.ndarray, side: float, tilt: float) -> list[Face]:
        """Faces in one square view of the picture."""
        view, to_picture = cut_square(rgb, center, side, tilt, DETECTOR_PX, cv2.BORDER_CONSTANT)
        picture = (view / np.float32(127.5) - 1)[None]
        outputs = self._session("face_detector").run({"picture": picture})
        scores = outputs["scores"][0]
        sure = np.flatnonzero(scores >= MIN_SCORE)
        if not len(sure):
            return []
        raw = outputs["boxes"][0][sure]
        anchors = ANCHORS[sure] * DETECTOR_PX
        boxes_center, boxes_size = raw[:, :2] + anchors, raw[:, 2:4]
        keypoints = raw[:, 4:].reshape(-1, 6, 2) + anchors[:, None]
        scale = side / DETECTOR_PX
        boxes_center = boxes_center @ to_picture[:, :2].T + to_picture[:, 2]
        half = boxes_size * scale / 2  # upright boxes, whatever the view's tilt: only centre and size are used
        keypoints = keypoints @ to_picture[:, :2].T + to_picture[:, 2]
        boxes = np.concatenate([boxes_center - half, boxes_center + half], 1)
        return suppress([Face(b, k, float(s)) for b, k, s in zip(boxes, keypoints, scores[sure], strict=True)])

    def _read_region(
        self, rgb: np.ndarray, center: np.ndarray, side: float, tilt: float, mirrored: bool = False
    ) -> tuple[np.ndarray, float]:
        """Landmarks in px of the picture and their presence; `mirrored` reads the mirror image of the region."""
        crop, to_picture = cut_square(rgb, center, side, tilt, MESH_INPUT_PX, cv2.BORDER_REPLICATE)
        if mirrored:
            crop = crop[:, ::-1]
        outputs = self._session("face_landmarks").run({"picture": (crop / np.float32(255))[None]})
        points = outputs["landmarks"]
        if mirrored:
            points = points[self._mirror]
            points[:, 0] = MESH_INPUT_PX - points[:, 0]
        xy = points[:, :2] @ to_picture[:, :2].T + to_picture[:, 2]
        depth = points[:, 2:] * (side / MESH_INPUT_PX)
        return np.concatenate([xy, depth], 1).astype(np.float32), float(outputs["presence"][0])


def region_of_box(face: Face) -> tuple[np.ndarray, float, float]:
    """Centre, side and tilt of the square to read a detected face in."""
    return (face.box[:2] + face.box[2:]) / 2, face.size_px * ROI_SCALE, face.tilt


def region_of(points: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Centre, side and tilt of the square to read a face in, from its landmarks (478, 3)."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    x, y = points[263, :2] - points[33, :2]
    return (low + high) / 2, float((high - low).max()) * ROI_SCALE, float(np.arctan2(y, x))


def lip_symmetry(rgb: np.ndarray, points: np.ndarray) -> float:
    """How alike the two halves of the lips are, -1..1: the correlation of their brightness at landmarks that pair up.

    A seam, rims and teeth lie on both sides; light from one side changes their level and not their order. A hand has
    none of them.
    """
    crop, to_picture = cut_square(rgb, *region_of(points), LIPS_PX, cv2.BORDER_REPLICATE)
    x, y = np.linalg.inv(to_picture[:, :2]) @ (points[:, :2] - to_picture[:, 2]).T.astype(np.float64) - 0.5
    x, y = x.astype(np.float32), y.astype(np.float32)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    seen = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(-1)
    right, left = seen[list(RIGHT_LIPS)], seen[list(LEFT_LIPS)]
    right, left = right - right.mean(), left - left.mean()
    size = float(np.sqrt((right**2).sum() * (left**2).sum()))
    return float((right * left).sum()) / size if size > 0 else 0.0


def make_anchors() -> np.ndarray:
    """Centres of BlazeFace's anchors as shares of the input, (896, 2): 2 a cell of 16x16, 6 a cell of 8x8."""
    anchors = []
    for cells, count in ((16, 2), (8, 6)):
        y, x = np.mgrid[:cells, :cells]
        anchors.append(np.repeat((np.stack([x, y], -1).reshape(-1, 2) + 0.5) / cells, count, axis=0))
    return np.concatenate(anchors)


ANCHORS = make_anchors()


def suppress(faces: list[Face]) -> list[Face]:
    """Weighted non-maximum suppression: boxes that overlap melt into their mean, weighted by score; surest first."""
    left = sorted(faces, key=lambda face: -face.score)
    kept = []
    while left:
        same = [face for face in left if face is left[0] or overlap(left[0].box, face.box) > OVERLAP]
        weights = np.array([face.score for face in same])
        weights /= weights.sum()
        box = np.einsum("n,nk->k", weights, np.stack([face.box for face in same]))
        keypoints = np.einsum("n,nkd->kd", weights, np.stack([face.keypoints for face in same]))
        kept.append(Face(box, keypoints, left[0].score))
        members = {id(face) for face in same}
        left = [face for face in left if id(face) not in members]
    return kept


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (sides <= 0).any():
        return 0.0
    shared = float(sides.prod())
    return shared / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


def cut_square(
    rgb: np.ndarray, center: np.ndarray, side: float, tilt: float, size: int, border: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a tilted square out of a picture and scale it to size x size.

    Returns the pixels, and the matrix (2, 3) that takes a place in the cut-out (px, corner at 0) to the picture. Large
    squares are averaged down before they are sampled, so that fine detail does not alias.
    """
    step = side / size
    x = np.array([np.cos(tilt), np.sin(tilt)]) * step
    y = np.array([-x[1], x[0]])
    corner = np.asarray(center, float) - (x + y) * size / 2
    to_picture = np.column_stack([x, y, corner])
    origin = np.zeros(2)
    shrink = int(step)
    if shrink > 1:
        reach = side * 0.71 + 2 * shrink  # half of the diagonal
        low = np.maximum(np.floor(np.asarray(center) - reach), 0).astype(int)
        high = np.minimum(np.ceil(np.asarray(center) + reach).astype(int), rgb.shape[1::-1])
        high = low + (high - low) // shrink * shrink  # whole blocks, so that the scale is exact
        if (high - low >= shrink).all():
            part = rgb[low[1] : high[1], low[0] : high[0]]
            blocks = tuple(int(length) for length in (high - low) // shrink)
            rgb, origin = cv2.resize(part, blocks, interpolation=cv2.INTER_AREA), low.astype(float)
        else:
            shrink = 1
    shrink = max(shrink, 1)
    # OpenCV counts from the centre of the first pixel, we from its corner.
    sampling = to_picture.copy()
    sampling[:, 2] += (x + y) / 2 - origin
    sampling /= shrink
    sampling[:, 2] -= 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(rgb, sampling, (size, size), flags=flags, borderMode=border), to_picture


View = tuple[np.ndarray, float, float]  # centre, side, tilt


def _search_views(width: int, height: int) -> Iterator[list[View]]:
    """Square views of a picture, in rounds: the next round is looked at only where the last one showed no face."""
    middle, long_side, short_side = np.array([width, height]) / 2, float(max(width, height)), float(min(width, height))
    yield [(middle, long_side, 0.0)]
    yield [(middle, long_side * 1.7, 0.0)]
    yield [(middle, long_side, tilt) for tilt in TILTS]
    for share in TILE_SHARES:
        side = short_side * share
        yield [
            (np.array([x, y]), side, tilt)
            for tilt in (0.0, TILTS[0], TILTS[1])
            for y in _tile_centers(height, side)
            for x in _tile_centers(width, side)
        ]


def _tile_centers(length: float, side: float) -> np.ndarray:
    """Centres of tiles that cover a length, each overlapping the next by half or more."""
    if side >= length:
        return np.array([length / 2])
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return np.linspace(side / 2, length - side / 2, count)


def largest_face(faces: list[Face]) -> tuple[Face, str]:
    """The largest face, and a note where there are others."""
    face = max(faces, key=lambda face: face.size_px)
    if len(faces) == 1:
        return face, ""
    return face, f"{len(faces)} faces found: the largest is used; crop the photo to choose another"


def judge(face: Face, reading: Reading, picture_size: tuple[int, int], notes: tuple[str, ...] = ()) -> PhotoReport:
    """Measure a face and say what stands in the way. InputError where nothing good can come of the photo.

    picture_size is height, width.
    """
    landmarks = reading.points
    aligned, rotation, _, _ = remove_pose(landmarks[None], canonical_face())
    pitch, yaw, roll = (float(angle) for angle in head_angles(rotation)[0])
    eyes_px = float(eye_distance(landmarks))
    mouth_gap = float(mouth_measures(aligned)[0, SPEECH_CHANNELS.index("jawOpen")])
    found = [note for note in notes if note]
    if eyes_px < MIN_EYES_PX:
        raise InputError(
            f"the face is too small ({eyes_px:.0f} px between the eyes)",
            f"{MIN_EYES_PX} px is the least, from {SOFT_EYES_PX} px on it looks sharp: use a larger or closer photo",
        )
    if eyes_px < SOFT_EYES_PX:
        found.append(f"the face is small ({eyes_px:.0f} px between the eyes) and will look soft")
    if abs(yaw) > MAX_YAW:
        raise InputError(f"the face is turned too far to the side ({np.degrees(abs(yaw)):.0f} degrees)", LOOK_AT_CAMERA)
    if abs(pitch) > MAX_PITCH:
        way = "up" if pitch > 0 else "down"
        raise InputError(f"the face is turned too far {way} ({np.degrees(abs(pitch)):.0f} degrees)", LOOK_AT_CAMERA)
    if abs(roll) > TILTED:
        found.append(f"the head is tilted by {np.degrees(abs(roll)):.0f} degrees: upright is better")
    if abs(yaw) > TURNED:
        loses = "the far eye may look torn as the head moves, " if abs(yaw) >= FAR_EYE else ""
        turned = f"the face is turned to the side ({np.degrees(abs(yaw)):.0f} degrees)"
        found.append(f"{turned}: {loses}a straight look is better")
    height, width = picture_size
    xy = landmarks[:FACE, :2]
    inside = np.all((xy >= 0) & (xy <= (width, height)), axis=1)
    features = inside[list(FEATURES)]
    if not features.all():
        raise CutOff("the picture's edge cuts the face off", "use a photo that shows the whole face")
    if inside.mean() < 0.98:
        found.append("the picture's edge cuts the face: what lies outside cannot be shown")
    found += _lid_notes(lid_opening(aligned)[0], abs(yaw) <= TURNED)
    covered = {
        part: bool(reading.spread[list(points)].mean() > COVERED_SPREAD) and mouth_gap <= WIDE_MOUTH
        for part, points in (("mouth", OUTER_LIPS + INNER_LIPS), ("eyes", LIDS))
    }
    hides = "covered (hand, mug, microphone): what hides it would move with the lips; a photo that shows it is better"
    half_covered = reading.half_covered and mouth_gap <= WIDE_MOUTH
    if covered["mouth"]:
        found.append(f"the mouth may be {hides}")
    elif half_covered:
        found.append(f"half of the mouth may be {hides}")
    if covered["eyes"]:
        found.append("the eyes may be covered (hand, hair, dark glasses): a photo that shows them is better")
    elif mouth_gap <= WIDE_MOUTH:
        for lids, side in ((LEFT_LIDS, "left"), (RIGHT_LIDS, "right")):
            if reading.spread[[point for pair in lids for point in pair]].mean() > COVERED_SPREAD:
                found.append(f"the {side} eye may be covered (hair, hand, glare): a photo that shows it is better")
    if covered["eyes"] and (covered["mouth"] or half_covered):
        # None of 84 strangers. Of 11 other files ten are no person (a monkey, clocks, drawings), one hides in a hand.
        found.append("it may be no face at all (a pattern, a thing, a drawing): use a photo of a person")
    if mouth_gap > WIDE_MOUTH:
        found.append("the mouth is wide open: closing it is a guess; a photo with closed lips is better")
    elif mouth_gap > OPEN_MOUTH:
        found.append("the mouth is open: it is brought to rest; teeth that it shows well are kept")
    return PhotoReport(
        face, landmarks, aligned[0], reading.presence, eyes_px, pitch, yaw, roll,
        covered["mouth"] or half_covered, tuple(found),
    )  # fmt: skip


def _lid_notes(gaps: np.ndarray, straight: bool) -> list[str]:
    """What to tell of lids, left and right, (2,) eye distances; straight: whether both are seen alike."""
    sides = ("left", "right")
    shut = [side for gap, side in zip(gaps, sides, strict=True) if gap < CLOSED_LIDS]
    if shut:
        return [f"the {side} eye looks shut: it can't be opened; use a photo with open eyes" for side in shut]
    narrow = int(gaps.argmin())
    if straight and gaps[narrow] < min(HALF_SHUT * gaps.max(), HALF_OPEN):
        return [f"the {sides[narrow]} eye is half shut and stays so: a photo with both eyes open is better"]
    if gaps.mean() < HARDLY_OPEN:
        return ["the eyes are open only a little (a smile, a look down): they can't open further than in the photo"]
    return []
