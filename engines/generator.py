"""Generator: one motion code and one portrait -> one picture. It has no memory.

moved = mesh at rest + basis . code, turned with the head       engines/drawing/geometry.py, 576 points
ground = hair with the head, torso with its lean                 engines/drawing/ground.py, on a coarse grid
shift = the moved mesh rasterised over it                        engines/drawing/geometry.py
picture = the photo's own pixels fetched through that map        engines/drawing/warp.py
eyes, mouth = layers between the lids and lips of now            engines/drawing/layers.py, mouth.py
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numba
import numpy as np

from engines.bounds import bounds
from engines.card import WEIGHTS
from engines.drawing.folds import TINT, smile_share
from engines.drawing.geometry import NECK, fill_map, head_rotation, move_mesh
from engines.drawing.ground import lay_ground, leave_ground
from engines.drawing.layers import (
    LASH_REACH,
    LASHES_LIFT,
    LASHES_TURN,
    LINE,
    SHADE_LIFT,
    Lines,
    OnPhoto,
    add_shades,
    paint_eye,
    paint_fringe,
    paint_lashes,
    paint_rims,
    shade_skin,
    trace,
)
from engines.drawing.lid_grain import paint_grain
from engines.drawing.mouth import paint_mouth
from engines.drawing.warp import FINE, GRID_PX, BackwardMap, make_finer, warp
from engines.errors import ConfigError, EngineMismatch
from engines.face.dentition import slant_of
from engines.face.unfold import crop_corners
from engines.face_points import EYES, FACE_OVAL, LOWER_SEAM, UPPER_SEAM
from engines.opening import open_session
from engines.portrait import CROP_PX, CROP_SIZE_PX, EYEBALL_RADIUS, LOWER_DROP, Portrait, crop_to_photo
from engines.ramps import share_of
from engines.session import Session
from engines.spec import MODEL_CHANNELS, MOTION_CHANNELS

INTERIOR_SIZE = (24, 48)  # height, width of the network's light between the lips
# How far the lower teeth's edge stands above the soft edge of an open mouth's lip: at least, a share of the lip's way
# down and one of its way down without the chin (eye distances); and at most, as a share of the way to the upper teeth.
LOWER_SHOWN, SHOWN_BY_LIP, SHOWN_BY_LIP_ALONE, SHOWN_MOST = 0.020, 0.17, 0.10, 0.60
# The network learned on teeth of three pixels that never stand quite where true ones do, so that it shades them: right
# in sum, but single teeth are .91 as bright as true ones. Where single teeth can be seen, from SHARP_PX for one eye
# distance on, this share of the shade is left out; below SMALL_PX none.
TEETH_SPARED, SMALL_PX, SHARP_PX = 0.5, 50.0, 110.0
FRINGE_SEEN = 0.35  # share of a fringe that is none of the lashes seen one by one
BAND_PX = 6.0  # beside lips and lids, where the coarse map is too coarse, pixels are fetched one by one
# Codes beyond these are not faces; a wild number must not tear the picture.
LOW, HIGH = bounds(
    *(-0.30, 0.45),  # lips and brows
    jawOpen=(0.0, 0.45),
    jawDrop=(-0.10, 0.45),
    mouthOpenSide=(-0.02, 0.40),
    eyeBlinkLeft=(-0.2, 1.0),
    eyeBlinkRight=(-0.2, 1.0),
    eyeSquint=(0.0, 1.0),
    noseSneer=(0.0, 1.0),
    eyeLookX=(-0.5, 0.5),
    eyeLookY=(-0.4, 0.4),
    headPitch=(-0.30, 0.30),
    headYaw=(-0.35, 0.35),
    headRoll=(-0.30, 0.30),
    headX=(-0.30, 0.30),
    headY=(-0.30, 0.30),
    tongueUp=(0.0, 1.0),
).astype(np.float32)

# A photo's own turn from which on a head turns less, rad, over how much it falls, and what is left.
TURNED_FROM, TURNED_OVER, LEAST_TURN = np.radians(10.0), np.radians(25.0), 0.3

JAW_OPEN, JAW_DROP = MOTION_CHANNELS.index("jawOpen"), MOTION_CHANNELS.index("jawDrop")
BLINK = MOTION_CHANNELS.index("eyeBlinkLeft")
SQUINT = MOTION_CHANNELS.index("eyeSquint")
LOOK = MOTION_CHANNELS.index("eyeLookX")
HEAD = MOTION_CHANNELS.index("headPitch")
TONGUE = MOTION_CHANNELS.index("tongueUp")
# What parts the lips; of a mouth under hair a share is left, while the chin goes its whole way (jawDrop).
LIPS_APART = tuple(
    MOTION_CHANNELS.index(name) for name in ("jawOpen", "mouthOpenSide", "mouthUpperUp", "mouthLowerDown")
)
GAP_IN_HAIR = 0.33
SMILE = MOTION_CHANNELS.index("mouthSmileRight")  # the left one before it
EYE_CHANNELS = (
    BLINK,
    BLINK + 1,
    SQUINT,
    *(MOTION_CHANNELS.index(f"brow{name}") for name in ("InnerUp", "OuterUp", "Down")),
)
# Along the rim and the fold of an upper lid from corner to corner, left and right eye, each from left to right.
LID_EDGES = tuple(
    np.array([eye.upper, (eye.upper[0], *eye.fold, eye.upper[-1])])[:, ::step].copy()
    for eye, step in zip(EYES, (-1, 1), strict=True)
)
JAW_LINE = list(FACE_OVAL[9:28])  # from ear to ear


@dataclass
class RimsMotion:
    """Buffers for what stands before the eyes; empty where nothing does."""

    triangles: np.ndarray  # (n, 3) of the mesh around the eyes
    moved: np.ndarray  # (POINTS, 2) float32: the mesh whose lids and brows are still
    shift: np.ndarray  # (h, w, 2) float32: its backward map, where `Scratch.maps.shift` lies


@dataclass
class Scratch:
    """Buffers for one portrait, made once."""

    owner: Portrait  # held: a new portrait at a dead one's address would be taken for it
    maps: BackwardMap
    light_step: int  # how many times finer the network's light is sampled than the backward map
    fine_shift: np.ndarray  # (light_step h, light_step w, 2) float32: the backward map there; `maps.shift` for 1
    gains: np.ndarray  # (light_step h, light_step w, 3) float32: the network's gain of skin
    cover: np.ndarray  # (picture) uint8: inside of the mouth; all 0 between pictures
    moved: np.ndarray  # (POINTS, 2) float32
    own: np.ndarray  # (POINTS, 3) float32: displacement of the mesh before the head moves
    lean: np.ndarray  # (2,) px: how far the torso carries the head
    source: np.ndarray  # (picture, 3) uint8: the photo, lashes and specks faded as far as lids and lips have left them
    finer: np.ndarray  # (2 h, 2 w, 3) uint8: what moves of it, twice as fine
    marks: list[list[tuple[np.ndarray, ...]]]  # of both lids and the lips: stages of the photo, place in source (finer)
    source_there: bool  # and all that follows from the photo alone
    faded: np.ndarray  # (3,) how far, of the left lid, the right lid (0..2, as of `lifted`), the lips (0..1)
    lines: np.ndarray  # (2, LINE): lips or lids of now
    # What follows from the photo alone, of the lips and the left and right lids: `trace_photo`'s frames and lines, and
    # planes through the eyes.
    photo_frames: np.ndarray  # (3, 6)
    photo_lines: np.ndarray  # (3, 2, LINE)
    eye_planes: np.ndarray  # (2, 2, 3)
    skin: np.ndarray  # (96, 120, 3) float32: gain of the lower face's skin
    rims: RimsMotion
    to_px: np.ndarray  # (2, 3): canonical lengths -> px
    depths: np.ndarray  # (2, 2, 3): planes of the skull at depth 0 and 1 in the photo, canonical x, y -> px
    off: np.ndarray  # (POINTS, 2) float32 px: what the mesh's points add to the ground

    def on_photo(self, pair: int) -> OnPhoto:
        """The lips (0), the left or the right lids (1, 2) on the photo."""
        return OnPhoto(self.source, self.photo_frames[pair], self.photo_lines[pair])


def open_generator(
    card: str | Path = "generator",
    backend: str = "onnxruntime",
    precision: str = "fp32",
) -> Generator:
    """A generator with the shipped network, arguments as of `open_session`; the closed form where none is shipped."""
    if card == "generator" and not (WEIGHTS / "generator.card.json").is_file():
        return Generator()
    return Generator(open_session(card, backend, precision=precision))


@dataclass(frozen=True)
class Learned:
    """What the network adds at one code; arrays of size 0 add nothing."""

    skin: np.ndarray  # (96, 120, 3) gain of the photo's lower face, CROP_* in engines/portrait.py
    interior: np.ndarray  # (24, 48) gain of what is seen between the lips, stretched between them


NO_RIMS_MOVE = RimsMotion(np.zeros((0, 3), np.int32), np.zeros((0, 2), np.float32), np.zeros((0, 0, 2), np.float32))
STILL = np.column_stack([np.eye(3), np.zeros(3)])
DEPTHS = np.array([(0.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
NO_SHADE = np.zeros((*CROP_SIZE_PX, 3), np.float32)
NOTHING = Learned(np.zeros(0, np.float32), np.zeros((0, 0), np.float32))


class Generator:
    """Draws portraits. Not for two threads at once: it keeps scratch buffers, but no memory of earlier pictures."""

    def __init__(self, session: Session | None = None) -> None:
        """With a session of generator.onnx its corrections are used; without one the closed form alone draws."""
        if session is not None:
            found = {name: tensor.shape[1:] for name, tensor in session.outputs.items()}
            if found != {"skin": (*CROP_SIZE_PX, 3), "interior": INTERIOR_SIZE}:
                session.close()
                raise EngineMismatch(f"{session.card.name} is no voxcam generator", "use generator.onnx")
        self.session = session
        self._scratch: dict[int, Scratch] = {}
        self._held: Portrait | None = None

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.session is not None:
            self.session.close()

    def use(self, session: Session) -> None:
        """Go on with another session of the same model, between two pictures. The session before it is left open."""
        if self.session is not None:
            session.share_buffers(self.session)
        self.session = session

    def draw(self, code: np.ndarray, portrait: Portrait, out: np.ndarray | None = None) -> np.ndarray:
        """The portrait at a motion code (26,): a picture (H, W, 3) uint8 RGB, in `out` where given.

        Codes are clamped to what faces do; numbers that are not finite count as rest.
        """
        code = np.asarray(code, np.float32)
        if code.shape != LOW.shape:
            raise ConfigError(f"a motion code has {len(LOW)} channels, not {code.shape}", "see engines/spec.py")
        code = np.clip(np.where(np.isfinite(code), code, 0), LOW, HIGH)
        if out is None:
            out = np.empty_like(portrait.photo)
        elif out.shape != portrait.photo.shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise ConfigError(
                f"out must be C-contiguous uint8 {portrait.photo.shape}", "pass np.empty_like(portrait.photo)"
            )
        code = hold_turn(code, portrait)
        hidden = portrait.eyes_hidden
        if hidden[0] and hidden[1]:
            code = still_eyes(code)
            code[LOOK : LOOK + 2] = 0
        elif hidden[0] or hidden[1]:
            code[BLINK if hidden[0] else BLINK + 1] = 0
        for side in range(2):  # one by one: no array is made
            code[BLINK + side] *= portrait.bare.shuts[side]
        scratch = self.scratch_of(portrait)
        if portrait.mouth_in_hair > 0.0:
            for channel in LIPS_APART:
                code[channel] *= 1.0 - (1.0 - GAP_IN_HAIR) * portrait.mouth_in_hair
        learned = self.corrections(code, portrait)
        moved, skull = self._move(code, portrait, scratch)
        fade_marks(portrait, moved, code, scratch)
        lay_around(portrait, skull, scratch)
        maps = scratch.maps
        leave_ground(moved, portrait.source, maps.ground, maps.grid, scratch.own, scratch.to_px, scratch.off)
        warp(moved, scratch.off, portrait.triangles, portrait.photo, scratch.finer, maps, out)
        for side in range(2):
            if hidden[side]:
                continue
            if abs(code[BLINK + side]) > 0.01 or abs(code[LOOK]) + abs(code[LOOK + 1]) > 0.002 or code[SQUINT] > 0.01:
                draw_eye(portrait, moved, skull, side, code, scratch, out)
        if scratch.rims.triangles.size:
            self._move(still_eyes(code), portrait, scratch, scratch.rims.moved)
            draw_rims(portrait, scratch, out)
        box = draw_mouth(portrait, moved, skull, code, learned.interior, scratch, out)
        if shade_of(learned, code, portrait, scratch.skin):
            draw_skin(portrait, moved, scratch, box, out)
        scratch.cover[box[1] : box[3], box[0] : box[2]] = 0
        return out

    def mesh(self, code: np.ndarray, portrait: Portrait) -> np.ndarray:
        """Where the mesh goes at a code (26,) float32: (POINTS, 2) float32 px, a copy. Neither clamped nor drawn."""
        return self._move(code, portrait, self.scratch_of(portrait))[0].copy()

    def corrections(self, code: np.ndarray, portrait: Portrait) -> Learned:
        """What the network corrects at this code (26,); nothing where there is no network."""
        if self.session is None or not portrait.vector.size:
            return NOTHING
        if self._held is not portrait:
            self.session.hold(features=portrait.features, vector=portrait.vector)
            self._held = portrait
        outputs = self.session.run({"code": code[None, : len(MODEL_CHANNELS)]})
        return Learned(outputs["skin"][0], outputs["interior"][0])

    def scratch_of(self, portrait: Portrait) -> Scratch:
        """The buffers of a portrait: after `draw` what its picture was made of, until the next one."""
        key = id(portrait)
        if key not in self._scratch:
            if len(self._scratch) >= 2:  # one fades into another; a third is drawn after them
                self._scratch.clear()
            # A small portrait's crop is finer than the coarse map, where fine light would alias.
            step = 1 if portrait.scale[0] >= 2 * CROP_PX else 2 if portrait.scale[0] >= CROP_PX else 4
            maps = BackwardMap.over(portrait.box)
            rows, columns = maps.shift.shape[:2]
            self._scratch[key] = Scratch(
                owner=portrait,
                maps=maps,
                light_step=step,
                fine_shift=maps.shift if step == 1 else np.zeros((step * rows, step * columns, 2), np.float32),
                gains=np.zeros((step * rows, step * columns, 3), np.float32),
                cover=np.zeros(portrait.size, np.uint8),
                moved=np.zeros(portrait.source.shape, np.float32),
                own=np.zeros(portrait.rest.shape, np.float32),
                lean=np.zeros(2),
                source=np.empty_like(portrait.photo),
                finer=np.zeros((0, 0, 3), np.uint8),
                marks=[],
                source_there=False,
                faded=np.zeros(3),
                lines=np.zeros((2, LINE)),
                photo_frames=np.zeros((3, 6)),
                photo_lines=np.zeros((3, 2, LINE)),
                eye_planes=np.zeros((2, 2, 3)),
                skin=np.zeros((*CROP_SIZE_PX, 3), np.float32),
                rims=NO_RIMS_MOVE,
                to_px=portrait.scale[0] * portrait.rotation[:2],
                depths=np.zeros((2, 2, 3)),
                off=np.zeros(portrait.source.shape, np.float32),
            )
        return self._scratch[key]

    def _move(
        self, code: np.ndarray, portrait: Portrait, scratch: Scratch, moved: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the mesh goes, (POINTS, 2) px, in `moved` or the scratch's; the skull's motion (3, 4), canonical."""
        moved = scratch.moved if moved is None else moved
        pitch, yaw, roll, head_x, head_y = code[HEAD : HEAD + 5]
        turn = head_rotation(pitch, yaw, roll)
        offset = NECK - turn @ NECK + (head_x, head_y, 0.0)
        scratch.lean[:] = scratch.to_px[:, 0] * head_x + scratch.to_px[:, 1] * head_y
        move_mesh(
            code[: len(MODEL_CHANNELS)],
            portrait.basis,
            portrait.rest,
            portrait.rest_shift,
            portrait.head_share,
            portrait.torso_share,
            turn,
            offset,
            scratch.lean,
            scratch.to_px,
            portrait.source,
            scratch.own,
            moved,
        )
        return moved, np.column_stack([turn, offset])


def hold_turn(code: np.ndarray, portrait: Portrait) -> np.ndarray:
    """A code whose head turns no further than the photo shows skin for: less, the further it is turned there.

    What a turned photo hides would be torn out of its far cheek. The eyes stay on what they look at.
    """
    room = min(1.0, max(LEAST_TURN, 1.0 - (abs(portrait.turned) - TURNED_FROM) / TURNED_OVER))
    if room == 1.0:
        return code
    held = code.copy()
    held[[HEAD, HEAD + 2]] *= room**0.5
    if code[HEAD + 1] * portrait.turned > 0:
        held[HEAD + 1] *= room
    held[[LOOK, LOOK + 1]] += code[[HEAD + 1, HEAD]] - held[[HEAD + 1, HEAD]]
    return held


def lay_around(portrait: Portrait, skull: np.ndarray, scratch: Scratch) -> None:
    """Move what lies around the face with skull (3, 4) and torso: the ground that the mesh is laid on."""
    maps = scratch.maps
    if np.array_equal(skull, STILL):  # then the torso has not moved either
        maps.ground.fill(0)
        return
    flat, deep = (
        compose(still, invert(plane_to_px(portrait, skull, depth)))
        for still, depth in zip(scratch.depths, DEPTHS, strict=True)
    )
    lay_ground(portrait.ground, flat, deep[:, 2] - flat[:, 2], scratch.lean, maps.grid, maps.ground)


def shade_of(learned: Learned, code: np.ndarray, portrait: Portrait, skin: np.ndarray) -> bool:
    """Gain of the lower face's skin at this code into `skin` (96, 120, 3): the network's, and a smile's folds.

    False, and nothing is written, where there is none.
    """
    folds, room = portrait.folds, portrait.room  # made for a portrait's first picture, not at the first smile of a call
    right, left = (smile_share(float(code[SMILE - side])) for side in range(2))
    if not learned.skin.size and right == left == 0.0:
        return False
    light = learned.skin if learned.skin.size else NO_SHADE
    # The network learned on small pictures: there its guess is the best one, and nothing holds it.
    slack = max(0.0, 1.0 - 2.0 * fineness(float(portrait.scale[0])))
    add_shades(light, portrait.skin_mask, room, slack, folds, right, left, TINT, float(portrait.colour[0]), skin)
    return True


def take_photo(portrait: Portrait, scratch: Scratch) -> None:
    """Make `scratch`'s sources anew from a portrait's photo, with all its marks."""
    x0, y0 = scratch.maps.corner
    height, width = scratch.maps.size
    np.copyto(scratch.source, portrait.bare.clear)
    scratch.finer = make_finer(portrait.bare.clear, (x0, y0, x0 + width, y0 + height))
    scratch.marks.clear()
    for left, top, right, bottom in portrait.bare.boxes:
        box = max(left, x0), max(top, y0), min(right, x0 + width), min(bottom, y0 + height)
        if box[0] >= box[2] or box[1] >= box[3]:  # an eye or a mouth at the picture's edge
            scratch.marks.append([])
            continue
        here = slice(box[1], box[3]), slice(box[0], box[2])
        finer_here = (
            slice(FINE * (box[1] - y0), FINE * (box[3] - y0)),
            slice(FINE * (box[0] - x0), FINE * (box[2] - x0)),
        )
        stages = portrait.bare.clear, portrait.bare.lashless, portrait.bare.photo
        scratch.marks.append(
            [
                (*(stage[here] for stage in stages), scratch.source[here]),
                (*(make_finer(stage, box) for stage in stages), scratch.finer[finer_here]),
            ]
        )
    scale = float(portrait.scale[0])
    seams = ((UPPER_SEAM, LOWER_SEAM), *(lids_of(side) for side in range(2)))
    for k, (upper, lower) in enumerate(seams):
        scratch.photo_frames[k] = trace_photo(portrait.source, upper, lower, scale, scratch.photo_lines[k])
    for side in range(2):
        scratch.eye_planes[side] = plane_to_px(portrait, STILL, eye_place(portrait, side))
        scratch.depths[side] = plane_to_px(portrait, STILL, DEPTHS[side])
    scratch.source_there, scratch.faded[:] = True, 0.0
    scratch.rims = rims_motion(portrait, scratch.maps.shift)


def rims_motion(portrait: Portrait, shift: np.ndarray) -> RimsMotion:
    """Buffers for what stands before a portrait's eyes; shift (h, w, 2): its backward map."""
    seen = [rims for rims in portrait.bare.rims if rims.cover.size]
    if not seen:
        return NO_RIMS_MOVE
    first = np.min([rims.corner for rims in seen], 0)
    last = np.max([rims.corner + rims.cover.shape[::-1] for rims in seen], 0)
    corners = portrait.source[portrait.triangles]
    beside = 0.2 * float(portrait.scale[0])  # the map's points around the last ones count, too
    near = (corners.max(1) >= first - beside).all(1) & (corners.min(1) <= last + beside).all(1)
    return RimsMotion(portrait.triangles[near], np.zeros_like(portrait.source), np.zeros_like(shift))


def fade_marks(portrait: Portrait, moved: np.ndarray, code: np.ndarray, scratch: Scratch) -> None:
    """Bring the sources to this code: lashes, then shade leave a closing lid, specks of light parting lips."""
    if not scratch.source_there:
        take_photo(portrait, scratch)
    upper, lower = UPPER_SEAM[5], LOWER_SEAM[5]
    parted = float(
        np.hypot(*(moved[lower] - moved[upper])) - np.hypot(*(portrait.source[lower] - portrait.source[upper]))
    )
    specks = share_of(parted / float(portrait.scale[0]), 0.0, 0.03)
    wanted = lifted(float(code[BLINK])), lifted(float(code[BLINK + 1])), specks
    for k, share in enumerate(wanted):
        if share == scratch.faded[k]:
            continue
        scratch.faded[k] = share
        for with_marks, lashless, bare, source in scratch.marks[k]:
            first, second, part = (with_marks, lashless, share) if share <= 1.0 else (lashless, bare, share - 1.0)
            cv2.addWeighted(first, 1 - part, second, part, 0, source)


def lifted(closing: float) -> float:
    """What has left a lid: 0 nothing, 1 its lashes, 2 also the shade above them; closing: 0 open .. 1 shut."""
    return share_of(closing, *LASHES_LIFT) + share_of(closing, *SHADE_LIFT)


# Small maps and frames, compiled: numpy takes ten times as long for a handful of numbers, a tenth of a picture in all.


@numba.njit(cache=True)
def frame_of(points: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The frame between two corners (first and last point): origin px; axes along and across, px -> eye distances."""
    first_x, first_y = np.float64(points[0, 0]), np.float64(points[0, 1])
    x, y = points[-1, 0] - first_x, points[-1, 1] - first_y
    origin = np.array([first_x + x / 2, first_y + y / 2])
    length = max(np.hypot(x, y), 1e-6) * scale
    return origin, np.array([x / length, y / length]), np.array([-y / length, x / length])


def trace_pair(upper: np.ndarray, lower: np.ndarray, scale: float, lines: np.ndarray) -> Lines:
    """Trace two lips or lids through their points (n, 2) px, corner to corner, into `lines` (2, LINE)."""
    origin, along, across = frame_of(upper, scale)
    trace(upper, origin, along, across, lines[0])
    trace(lower, origin, along, across, lines[1])
    ends = np.array([(upper[0] - origin) @ along, (upper[-1] - origin) @ along])
    return Lines(origin, along, across, ends, lines[0], lines[1])


def trace_photo(
    source: np.ndarray, upper: tuple[int, ...], lower: tuple[int, ...], scale: float, lines: np.ndarray
) -> np.ndarray:
    """Trace lips or lids on the photo: origin, one eye distance along (px), u of both corners; (6,)."""
    found = trace_pair(source[list(upper)], source[list(lower)], scale, lines)
    return np.array([*found.origin, *(found.along * scale * scale), *found.ends])


@numba.njit(cache=True)
def pixel_box(first: np.ndarray, second: np.ndarray, margin: float, height: int, width: int) -> np.ndarray:
    """Whole pixels around two rows of points (n, 2), kept inside the picture: x0, y0, x1, y1."""
    box = np.empty(4, np.int64)
    for axis, limit in ((0, width), (1, height)):
        low = min(first[:, axis].min(), second[:, axis].min()) - margin
        high = max(first[:, axis].max(), second[:, axis].max()) + margin + 1
        box[axis] = int(min(max(low, 0.0), limit))
        box[2 + axis] = int(min(max(high, 0.0), limit))
    return box


def plane_to_px(portrait: Portrait, motion: np.ndarray, place: np.ndarray) -> np.ndarray:
    """px = matrix (2, 3) . (x, y, 1) for points `place` + (x, y, 0), canonical frame, moved by `motion` (3, 4)."""
    return project_plane(float(portrait.scale[0]), portrait.rotation, portrait.translation, motion, place)


@numba.njit(cache=True)
def project_plane(
    scale: float, rotation: np.ndarray, translation: np.ndarray, motion: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """`plane_to_px` with a portrait's pose: scale px, rotation (3, 3), translation (3,)."""
    matrix = np.empty((2, 3))
    for i in range(2):
        matrix[i, 0] = matrix[i, 1] = 0.0
        matrix[i, 2] = translation[i]
        for k in range(3):
            share = scale * rotation[i, k]
            matrix[i, 0] += share * motion[k, 0]
            matrix[i, 1] += share * motion[k, 1]
            at = motion[k, 3]
            for m in range(3):
                at += motion[k, m] * place[m]
            matrix[i, 2] += share * at
    return matrix


@numba.njit(cache=True)
def invert(matrix: np.ndarray) -> np.ndarray:
    """Inverse of an affine map (2, 3)."""
    a, b, c, d = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    whole = a * d - b * c
    back = np.empty((2, 3))
    back[0, 0], back[0, 1], back[1, 0], back[1, 1] = d / whole, -b / whole, -c / whole, a / whole
    for i in range(2):
        back[i, 2] = -back[i, 0] * matrix[0, 2] - back[i, 1] * matrix[1, 2]
    return back


def draw_skin(portrait: Portrait, moved: np.ndarray, scratch: Scratch, mouth: np.ndarray, out: np.ndarray) -> None:
    """Shading of the lower face: folds and hollows that the photo lacks at this code; `mouth`: the box painted in."""
    to_photo = crop_to_photo(portrait.rotation, float(portrait.scale[0]), portrait.translation)
    corners = crop_corners(to_photo, CROP_SIZE_PX)
    step = GRID_PX // scratch.light_step
    centre = (step - 1) / 2
    if scratch.light_step > 1:  # OpenCV's half-pixel rule is the one that the grid's points follow
        cv2.resize(scratch.maps.shift, scratch.fine_shift.shape[1::-1], scratch.fine_shift, 0, 0, cv2.INTER_LINEAR)
    shade_skin(
        out,
        pixel_box(corners, moved[JAW_LINE], 2.0, *out.shape[:2]),
        scratch.fine_shift,
        np.array([portrait.box[0] + centre, portrait.box[1] + centre, step], np.float64),
        scratch.skin,
        invert(to_photo),
        scratch.cover,
        mouth,
        scratch.gains,
    )


def draw_mouth(
    portrait: Portrait,
    moved: np.ndarray,
    skull: np.ndarray,
    code: np.ndarray,
    interior: np.ndarray,
    scratch: Scratch,
    out: np.ndarray,
) -> np.ndarray:
    """Cavity, tongue and teeth between the lips of now; nothing where they are shut. Returns the box it painted in."""
    scale = float(portrait.scale[0])
    upper_points, lower_points = moved[list(UPPER_SEAM)], moved[list(LOWER_SEAM)]
    lines, still = trace_pair(upper_points, lower_points, scale, scratch.lines), scratch.on_photo(0)
    gap = float((lines.lower - lines.upper).max())
    soft = (0.6 + 0.8 * float(portrait.blur_px[0])) / scale + 0.004
    if gap <= 0.1 * soft and float((still.lines[1] - still.lines[0]).max()) <= 0.3 * soft:
        return np.zeros(4, np.int64)
    smile = max(0.0, 0.5 * float(code[SMILE] + code[SMILE - 1]))
    upper_place = portrait.teeth_place[0] + (0.0, float(portrait.teeth_by_smile[0]) * smile, 0.0)
    # Lower teeth go with the jaw, which the lower lip tells better than the chin where the chin's skin stays behind;
    # in an open mouth their edge stands a little above that lip, and clear of the upper teeth.
    to_rest = invert(plane_to_px(portrait, skull, portrait.teeth_place[1]))
    lip = float(to_rest[1, :2] @ lower_points[5] + to_rest[1, 2])  # below the lower teeth's edge at rest
    drop = max(float(code[JAW_DROP]), 0.85 * (lip + LOWER_DROP), 0.0)
    between = lip + portrait.teeth_place[1, 1] - upper_place[1]  # upper teeth's edge and lower lip
    shown = LOWER_SHOWN + SHOWN_BY_LIP * max(lip, 0.0) + SHOWN_BY_LIP_ALONE * max(lip - float(code[JAW_DROP]), 0.0)
    if between > 0:
        drop = min(drop, max(0.0, lip - min(shown + 0.7 * soft, SHOWN_MOST * between)))
    jaw = portrait.teeth_place[1] + (0.0, drop, 0.0)
    box = pixel_box(upper_points, lower_points, BAND_PX, *out.shape[:2])
    slant = slant_of(portrait.rotation.dot(skull[:, :3]))
    slants = np.array([slant - seen for seen in portrait.teeth_slant])  # row by row: broadcasting would allocate
    paint_mouth(
        out,
        box,
        lines,
        soft,
        still,
        BAND_PX / scale,
        invert(plane_to_px(portrait, skull, upper_place)),
        invert(plane_to_px(portrait, skull, jaw)),
        slants,
        portrait.upper_teeth,
        portrait.lower_teeth,
        float(portrait.teeth_px[0]),
        portrait.cavity,
        portrait.tongue,
        gap,
        smile,
        max(lip - drop, 0.0),
        float(code[TONGUE]),
        interior,
        TEETH_SPARED * fineness(scale),
        float(portrait.colour[0]),
        portrait.haze,
        scratch.cover,
    )
    return box


def lids_of(side: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Points of an eye's upper and lower lid (0: left, 1: right), from left to right in the picture."""
    eye = EYES[side]
    # The left eye's points run from the outer to the inner corner.
    return (eye.upper[::-1], eye.lower[::-1]) if side == 0 else (eye.upper, eye.lower)


def eye_place(portrait: Portrait, side: int) -> np.ndarray:
    """The middle between an eye's corners at rest, canonical frame, (3,)."""
    corners = [EYES[side].upper[0], EYES[side].upper[-1]]
    middle: np.ndarray = portrait.rest[corners].mean(0).astype(np.float64)
    return middle


def draw_eye(
    portrait: Portrait,
    moved: np.ndarray,
    skull: np.ndarray,
    side: int,
    code: np.ndarray,
    scratch: Scratch,
    out: np.ndarray,
) -> None:
    """The eyeball between the lids of now, its iris turned by the gaze; the lashes of a lid that shuts."""
    scale, closing = float(portrait.scale[0]), float(code[BLINK + side])
    upper, lower = lids_of(side)
    upper_points, lower_points = moved[list(upper)], moved[list(lower)]
    lines, still = trace_pair(upper_points, lower_points, scale, scratch.lines), scratch.on_photo(1 + side)
    # px of now -> px of the photo (the skull's motion undone) -> px of the eyeball's crop
    to_photo = compose(scratch.eye_planes[side], invert(plane_to_px(portrait, skull, eye_place(portrait, side))))
    to_photo[:, 2] -= portrait.eyeball_corner[side]
    turn = portrait.rotation[:2, :2] @ (np.sin(code[LOOK]), -np.sin(code[LOOK + 1]))
    paint_eye(
        out,
        pixel_box(upper_points, lower_points, BAND_PX, *out.shape[:2]),
        lines,
        (0.6 + 0.5 * float(portrait.blur_px[0])) / scale,
        still,
        BAND_PX / scale,
        portrait.eyeballs[side],
        to_photo,
        portrait.irises[side],
        turn * EYEBALL_RADIUS * scale,
        closing,
    )
    if closing <= LASHES_LIFT[0]:
        return
    if portrait.bare.grain.size:
        paint_grain(out, *lines[:5], moved, LID_EDGES[side], still.lines[0], portrait.bare.grain[side], scale)
    box = pixel_box(upper_points, lower_points, LASH_REACH * scale, *out.shape[:2])
    part, lashes = out[box[1] : box[3], box[0] : box[2]], portrait.bare.lashes[side]
    if lashes.size:
        corner = portrait.bare.boxes[side, :2]
        paint_lashes(out, box, *lines[:5], lashes, corner, still.frame, still.lines[0], closing)
    if closing > LASHES_TURN[0] and part.size:
        coarse = 1.0 - fineness(scale)
        soft = cv2.GaussianBlur(part, (0, 0), float(portrait.blur_px[0])) if coarse > 0.0 else part
        fringe = float(portrait.bare.fringe[side]) * (FRINGE_SEEN + (1.0 - FRINGE_SEEN) * coarse)
        paint_fringe(out, soft, coarse, box, lines, fringe, closing)


def fineness(scale: float) -> float:
    """Whether single teeth and lashes can be seen: 0 at SMALL_PX for one eye distance and below, 1 from SHARP_PX on."""
    return min(1.0, max(0.0, (scale - SMALL_PX) / (SHARP_PX - SMALL_PX)))


def still_eyes(code: np.ndarray) -> np.ndarray:
    """A code with lids and brows as in the photo."""
    still = code.copy()
    still[list(EYE_CHANNELS)] = 0
    return still


def draw_rims(portrait: Portrait, scratch: Scratch, out: np.ndarray) -> None:
    """What stands before the eyes, rims of glasses or hair: with the head, whatever lids and brows do."""
    moved, shift, maps = scratch.rims.moved, scratch.rims.shift, scratch.maps
    leave_ground(moved, portrait.source, maps.ground, maps.grid, scratch.own, scratch.to_px, scratch.off)
    fill_map(moved, scratch.off, scratch.rims.triangles, maps.ground, maps.grid, shift)
    for rims, eye in zip(portrait.bare.rims, EYES, strict=True):
        if rims.cover.size:
            around = list(eye.upper + eye.lower + eye.brow)
            went = moved[around] - portrait.source[around]
            first, last = rims.corner + went.min(0), rims.corner + rims.cover.shape[::-1] + went.max(0)
            box = pixel_box(first[None], last[None], 3.0, *out.shape[:2])
            paint_rims(out, box, portrait.photo, rims.cover, rims.near, rims.corner, shift, maps.grid)


@numba.njit(cache=True)
def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Affine maps (2, 3): first, then second."""
    both = np.empty((2, 3))
    for i in range(2):
        for k in range(3):
            both[i, k] = second[i, 0] * first[0, k] + second[i, 1] * first[1, k]
        both[i, 2] += second[i, 2]
    return both
