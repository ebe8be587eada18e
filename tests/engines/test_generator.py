"""The generator and the portrait: what stays, what moves, what must never happen."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest

from engines.card import card_path, read_card
from engines.drawing.geometry import (
    CHIN_COLUMNS,
    EDGE_STRETCH,
    RING,
    STEEPEST,
    even_depths,
    head_rotation,
    keep_inside,
)
from engines.drawing.layers import DEEPEST, LINE, Lines, paint_fringe, paint_lashes
from engines.drawing.warp import GRID_PX
from engines.errors import ConfigError, EngineMismatch, InputError
from engines.face.measure import canonical_face, head_angles, lid_opening, mouth_measures, remove_pose
from engines.face.tones import LIGHTEST
from engines.face_points import FACE, FACE_OVAL, LEFT, LOWER_SEAM, OUTER_LIPS, RIGHT, UPPER_SEAM
from engines.generator import INTERIOR_SIZE, NOTHING, Generator, Learned, hold_turn, open_generator
from engines.golden import golden_path, read_golden, verify
from engines.opening import open_session
from engines.portrait import CROP_SIZE_PX, Portrait, make_portrait
from engines.spec import MOTION_CHANNELS, SPEECH_CHANNELS
from tests.painted_faces import EYES_PX, code, lashed_face, paint_face


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    return make_portrait(*paint_face())


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator()


def mouth_gap(generator: Generator, portrait: Portrait, motion: np.ndarray) -> float:
    """Gap of the inner lips' middles, eye distances."""
    mesh = generator.mesh(motion, portrait)
    return float(mesh[14, 1] - mesh[13, 1]) / float(portrait.scale[0])


def test_code_0_is_the_photo(generator: Generator, portrait: Portrait) -> None:
    assert np.array_equal(generator.draw(code(), portrait), portrait.photo)


def test_the_mesh_is_the_one_that_is_drawn(generator: Generator, portrait: Portrait) -> None:
    motion = code(jawOpen=0.2, eyeBlinkLeft=0.4, headYaw=0.1, headX=0.05)
    generator.draw(motion, portrait)
    drawn = generator.scratch_of(portrait).moved.copy()
    mesh = generator.mesh(motion, portrait)
    np.testing.assert_array_equal(mesh, drawn)
    other = generator.mesh(code(), portrait)
    np.testing.assert_array_equal(mesh, drawn)  # its own array
    np.testing.assert_allclose(other, portrait.source, atol=1e-3)
    assert np.abs(generator.mesh(code(headX=2.0), portrait) - portrait.source).max() > portrait.scale[0]  # not clamped


def test_a_head_that_turns_does_not_fold_its_cheek(generator: Generator, portrait: Portrait) -> None:
    """Where cheek and outline meet in the photo, depths differ by little; what is nowhere steep keeps its depth."""
    points, depths = portrait.source[:FACE] / portrait.scale[0], portrait.rest[:FACE, 2]
    steps = portrait.triangles[(portrait.triangles < FACE).all(1)]
    for a, b in ((0, 1), (1, 2), (2, 0)):
        apart = np.linalg.norm(points[steps[:, a]] - points[steps[:, b]], axis=1)
        assert (np.abs(depths[steps[:, a]] - depths[steps[:, b]]) <= STEEPEST * apart + 1e-4).all()
    for motion in head_turns():
        mesh = generator.mesh(motion, portrait)
        before, after = (
            np.linalg.det(np.stack([p[steps[:, 1]] - p[steps[:, 0]], p[steps[:, 2]] - p[steps[:, 0]]], -1))
            for p in (portrait.source, mesh)
        )
        outline = np.isin(steps, FACE_OVAL).any(1) & (np.abs(before) > 20)
        assert (after[outline] / before[outline] > 0.2).all()


def test_even_depths_give_way_by_half() -> None:
    points = np.array([[0.0, 0], [0.1, 0], [0.2, 0], [1.2, 0]])
    triangles = np.array([[0, 1, 2], [1, 2, 3]])
    assert even_depths(np.array([0.0, 0.1, 0.2, 0.2]), points, triangles) == pytest.approx([0, 0.1, 0.2, 0.2])
    even = even_depths(np.array([0.0, 1.0, 0.0, 0.0]), points, triangles)
    assert even == pytest.approx([0.4, 0.6, 0.4, 0.0])


def test_a_smile_lets_light_onto_teeth(generator: Generator) -> None:
    photo, landmarks = paint_face(size=640)
    portrait = make_portrait(cv2.resize(photo, None, fx=2, fy=2), 2 * landmarks)

    def teeth(**smile: float) -> float:
        lips_apart = code(jawOpen=0.05, mouthOpenSide=0.035, mouthLowerDown=0.04, mouthUpperUp=0.01, **smile)
        drawn, mesh = generator.draw(lips_apart, portrait), generator.mesh(lips_apart, portrait)
        between = np.concatenate([mesh[list(UPPER_SEAM)], mesh[list(LOWER_SEAM[::-1])]]).round().astype(np.int32)
        inside = cv2.fillPoly(np.zeros(portrait.size, np.uint8), [between], 1) > 0
        return float(np.quantile(drawn[inside].mean(-1), 0.9))

    assert teeth(mouthSmileLeft=0.08, mouthSmileRight=0.08) > 1.1 * teeth()


def test_nothing_changes_outside_the_box(generator: Generator, portrait: Portrait) -> None:
    wild = np.where(np.arange(len(MOTION_CHANNELS)) % 2, -9.0, 9.0).astype(np.float32)
    for motion in (code(jawOpen=0.3, headYaw=0.3, headX=0.1), wild):
        picture = generator.draw(motion, portrait)
        x0, y0, x1, y1 = portrait.box
        outside = np.ones(portrait.size, bool)
        outside[y0:y1, x0:x1] = False
        assert outside.any()
        assert np.array_equal(picture[outside], portrait.photo[outside])
        assert not np.array_equal(picture, portrait.photo)


def head_turns(degrees: float = 7.0, shift: float = 0.05) -> list[np.ndarray]:
    """Codes of every corner of what a head does, and of what lies between: the idle process stays inside."""
    names, most = ("headPitch", "headYaw", "headRoll", "headX", "headY"), [np.radians(degrees)] * 3 + [shift] * 2
    return [code(**dict(zip(names, np.multiply(signs, most), strict=True))) for signs in product((-1, 0, 1), repeat=5)]


@pytest.mark.parametrize("motion", [{"headX": 0.05}, {"headY": -0.05}, {"headRoll": 0.03}])
def test_the_crown_goes_with_the_head(motion: dict[str, float], generator: Generator) -> None:
    """Filmed crowns go .96 to 1.52 times as far sideways as brows, .38 to 1.21 times up and down."""
    portrait = make_portrait(*paint_face(size=480))
    generator.draw(code(**motion), portrait)
    maps = generator.scratch_of(portrait).maps
    axis = 1 if "headY" in motion else 0

    def went(up: float) -> float:
        """How far the picture went, px; up: place above the middle of the hairline, eye distances."""
        x, y = (portrait.landmarks[10, :2] - (0, up * EYES_PX) - maps.corner) / GRID_PX
        return -float(maps.shift[round(y), round(x), axis])

    assert 0.7 < went(0.65) / went(-0.45) < 1.3


def test_the_outermost_ring_adds_nothing_to_the_ground(generator: Generator, portrait: Portrait) -> None:
    """So that no seam runs around the mesh: beyond it is the ground alone."""
    for motion in (*head_turns()[::7], code(jawOpen=0.3, browInnerUp=0.2, headX=0.03)):
        generator.draw(motion, portrait)
        assert not generator.scratch_of(portrait).off[-RING:].any()


def test_neither_mouth_nor_brows_move_the_hair(generator: Generator, portrait: Portrait) -> None:
    moved = generator.mesh(code(jawOpen=0.3, jawDrop=0.3, mouthSmileLeft=0.2, browInnerUp=0.1), portrait)
    above = 468 + np.nonzero(np.tile(portrait.rest[list(FACE_OVAL), 1] < -0.6, 2))[0]  # in both inner rings
    assert len(above) > 8
    np.testing.assert_allclose(moved[above], portrait.source[above], atol=0.3)


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.15, 0.2, 0), (-0.15, -0.2, 0.2)])
@pytest.mark.parametrize("hair", ["guessed", "seen"])
def test_what_lies_around_the_face_never_folds(
    turn: tuple[float, float, float], hair: str, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the largest head turns of all at once, nor where the photo shows a turned head."""
    photo, landmarks = paint_face(size=480)
    landmarks = (landmarks - landmarks[168]) @ head_rotation(*turn).T.astype(np.float32) + landmarks[168]
    mask = np.zeros(photo.shape[:2], np.float32)
    cv2.ellipse(mask, (240, 190), (95, 150), 0, 0, 360, 1, -1)
    cv2.ellipse(mask, (240, 480), (200, 170), 0, 0, 360, 1, -1)
    monkeypatch.setattr("engines.portrait.person_mask", lambda *_: mask if hair == "seen" else None)
    portrait = make_portrait(photo, landmarks)
    assert bool(portrait.ground[..., 1].max() > 0.5) is (hair == "seen")
    for motion in head_turns():
        generator.draw(motion, portrait)
        maps = generator.scratch_of(portrait).maps
        face = np.zeros(maps.shift.shape[:2], np.uint8)
        outline = (generator.scratch_of(portrait).moved[list(FACE_OVAL)] - maps.corner) / GRID_PX
        cv2.fillPoly(face, [np.round(outline).astype(np.int32)], 1)
        face = cv2.dilate(face, np.ones((3, 3), np.uint8))  # a turned cheek hides its outline
        (xx, xy), (yx, yy) = (
            (np.diff(maps.shift[..., k], axis=1)[:-1] / GRID_PX, np.diff(maps.shift[..., k], axis=0)[:, :-1] / GRID_PX)
            for k in range(2)
        )
        assert ((1 + xx) * (1 + yy) - xy * yx)[face[:-1, :-1] == 0].min() > 0.05


@pytest.mark.parametrize("cut", ["top", "left", "bottom"])
def test_nothing_is_fetched_from_beyond_the_picture(cut: str, generator: Generator) -> None:
    """Where the picture's edge cuts hair, shoulders or wall, what lies at it is stretched, never smeared."""
    photo, landmarks = paint_face(size=480)
    x0, y0, x1, y1 = {"top": (0, 100, 480, 480), "left": (170, 0, 480, 480), "bottom": (0, 0, 480, 300)}[cut]
    portrait = make_portrait(photo[y0:y1, x0:x1], landmarks - np.array([x0, y0, 0], np.float32))
    box = portrait.box
    sides = {"top": (box[1], 0), "left": (box[0], 0), "bottom": (box[3], portrait.size[0])}
    assert sides[cut][0] == sides[cut][1], "the edge cuts the mesh"
    height, width = box[3] - box[1], box[2] - box[0]
    for motion in head_turns()[::5]:
        generator.draw(motion, portrait)
        shift = generator.scratch_of(portrait).maps.shift
        whole = cv2.resize(shift, None, fx=GRID_PX, fy=GRID_PX)[:height, :width]
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        from_x, from_y = x + whole[..., 0], y + whole[..., 1]
        assert min(from_x.min(), from_y.min()) >= 0
        assert max(from_x.max() - width, from_y.max() - height) <= -1


@pytest.mark.parametrize("far", [-30.0, 3.0, 30.0])
def test_what_is_kept_inside_is_stretched_evenly(far: float) -> None:
    for axis in range(2):
        shift = np.zeros((31, 41, 2), np.float32)
        shift[..., axis] = far
        keep_inside(shift, GRID_PX)
        places = np.arange(shift.shape[1 - axis]) * GRID_PX + shift[:, :, axis].take(7, axis)
        assert (np.diff(places)[:-2] >= GRID_PX / EDGE_STRETCH - 1e-3).all()
        assert np.count_nonzero(shift[..., 1 - axis]) == 0


def test_speech_moves_the_lower_face_only(generator: Generator, portrait: Portrait) -> None:
    picture = generator.draw(code(jawOpen=0.2, jawDrop=0.15, mouthLowerDown=0.12), portrait)
    changed = (picture != portrait.photo).any((1, 2))
    eye_line = int(portrait.landmarks[[33, 263], 1].mean())
    assert not changed[: eye_line - 2].any()
    assert changed[int(portrait.landmarks[14, 1]) :].any()


def test_the_tongue_moves_between_the_lips_alone(generator: Generator, portrait: Portrait) -> None:
    shape = {"jawOpen": 0.25, "jawDrop": 0.15, "mouthLowerDown": 0.2}
    low, high = (generator.draw(code(**shape, tongueUp=up), portrait).astype(int) for up in (0.0, 1.0))
    changed = (low != high).any(2)
    assert changed.any()
    lips = generator.mesh(code(**shape), portrait)[[*UPPER_SEAM, *LOWER_SEAM]]
    rows, columns = np.nonzero(changed)
    assert columns.min() >= lips[:, 0].min()
    assert columns.max() <= lips[:, 0].max()
    assert rows.min() >= lips[:, 1].min() - 1
    assert rows.max() <= lips[:, 1].max() + 1
    red = (high - low)[changed][:, 0]
    assert red.sum() > 0  # where the throat was dark there is flesh now
    assert np.array_equal(generator.draw(code(tongueUp=1.0), portrait), portrait.photo)  # behind shut lips


def test_no_memory(portrait: Portrait) -> None:
    random = np.random.default_rng(3)
    codes = [code(), *(random.normal(0, 0.12, len(MOTION_CHANNELS)).astype(np.float32) for _ in range(6))]
    other = make_portrait(*paint_face(seed=5, size=384))
    fresh = [Generator().draw(motion, portrait) for motion in codes]
    one = Generator()
    for k in (6, 2, 5, 0, 1, 4, 3, 3, 6):
        one.draw(codes[k], other)
        assert np.array_equal(one.draw(codes[k], portrait), fresh[k])


def test_out_is_used_and_wholly_written(generator: Generator, portrait: Portrait) -> None:
    motion = code(jawOpen=0.1, eyeBlinkLeft=1)
    out = np.full_like(portrait.photo, 77)
    assert generator.draw(motion, portrait, out) is out
    assert np.array_equal(out, generator.draw(motion, portrait))
    with pytest.raises(ConfigError):
        generator.draw(motion, portrait, out[:-2])


def test_opening_follows_jaw_open(generator: Generator, portrait: Portrait) -> None:
    opens = np.linspace(0, 0.4, 9)
    gaps = [mouth_gap(generator, portrait, code(jawOpen=v, mouthLowerDown=0.6 * v)) for v in opens]
    assert gaps[0] == pytest.approx(0, abs=1e-6)
    assert (np.diff(gaps) > 0.01).all()
    cavity = []
    for v in opens[[1, 4, 8]]:
        picture = generator.draw(code(jawOpen=v, mouthLowerDown=0.6 * v), portrait).astype(int)
        x, y = portrait.landmarks[[13, 14], :2].mean(0).astype(int)
        mouth = picture[y - 10 : y + 40, x - 40 : x + 40].mean(2)  # beside the tongue, too
        cavity.append(int((mouth < 75).sum()))
    assert cavity[0] < cavity[1] < cavity[2]


def test_lips_never_cross(generator: Generator, portrait: Portrait) -> None:
    random = np.random.default_rng(1)
    for _ in range(60):
        mesh = generator.mesh(random.normal(0, 0.1, len(MOTION_CHANNELS)).astype(np.float32), portrait)
        for upper, lower in ((UPPER_SEAM, LOWER_SEAM), (LEFT.upper, LEFT.lower), (RIGHT.upper, RIGHT.lower)):
            assert ((mesh[list(lower)] - mesh[list(upper)])[:, 1] > -1.5).all()  # px; the head may be tilted


def test_blink_shuts_the_lids(generator: Generator, portrait: Portrait) -> None:
    mesh = np.concatenate([generator.mesh(code(eyeBlinkLeft=1), portrait), np.zeros((576, 1))], 1)[None]
    still = np.concatenate([generator.mesh(code(), portrait), np.zeros((576, 1))], 1)[None]
    left, right = (lid_opening(mesh) / lid_opening(still))[0]
    assert left < 0.05
    assert right == pytest.approx(1)
    picture = generator.draw(code(eyeBlinkLeft=1, eyeBlinkRight=1), portrait)
    for eye in (LEFT, RIGHT):
        x, y = portrait.landmarks[eye.iris[0], :2].astype(int)
        assert int(picture[y, x].sum()) > int(portrait.photo[y, x].sum()) + 100  # skin where the iris was


def test_gaze_moves_the_iris(generator: Generator, portrait: Portrait) -> None:
    def iris_x(picture: np.ndarray) -> float:
        x, y = portrait.landmarks[LEFT.iris[0], :2]
        half = int(0.2 * EYES_PX)
        patch = picture[int(y) - 3 : int(y) + 3, int(x) - half : int(x) + half].mean((0, 2))
        weight = np.clip(150 - patch, 0, None)
        return float((weight * np.arange(2 * half)).sum() / weight.sum())

    left, right = (iris_x(generator.draw(code(eyeLookX=v), portrait)) for v in (0.3, -0.3))
    assert left > right + 3  # the person's left is the picture's right


@pytest.mark.parametrize("angles", [(0.1, 0, 0), (0, 0.1, 0), (0, 0, 0.1), (0.05, -0.08, 0.03)])
def test_head_angles_are_read_back(
    angles: tuple[float, float, float], generator: Generator, portrait: Portrait
) -> None:
    assert head_angles(head_rotation(*angles)[None])[0] == pytest.approx(angles, abs=1e-9)
    still = generator.mesh(code(), portrait)
    nose = generator.mesh(code(headPitch=angles[0], headYaw=angles[1], headRoll=angles[2]), portrait)[4] - still[4]
    if angles[0] == 0.1:
        assert nose[1] < -1  # looks up: the nose rises
    if angles[1] == 0.1:
        assert nose[0] > 1  # to the person's left, the picture's right


def test_wild_codes_are_tamed(generator: Generator, portrait: Portrait) -> None:
    bad = np.full(len(MOTION_CHANNELS), np.nan, np.float32)
    bad[::3] = np.inf
    assert np.array_equal(generator.draw(bad, portrait), portrait.photo)
    huge = generator.draw(np.full(len(MOTION_CHANNELS), 1e30, np.float32), portrait)
    assert np.array_equal(huge, generator.draw(np.full(len(MOTION_CHANNELS), 1e3, np.float32), portrait))
    with pytest.raises(ConfigError):
        generator.draw(np.zeros(7, np.float32), portrait)


def test_open_mouth_is_brought_to_rest(generator: Generator) -> None:
    photo, landmarks = paint_face(opened=0.12)
    portrait = make_portrait(photo, landmarks)
    assert mouth_gap(generator, portrait, code()) == pytest.approx(0, abs=1e-3)
    picture = generator.draw(code(), portrait)
    x, y = portrait.landmarks[[13, 14], :2].mean(0).astype(int)
    teeth = photo[y - 12 : y + 12, x - 5 : x + 5].min(2) > 190
    assert teeth.any()
    assert not (picture[y - 12 : y + 12, x - 5 : x + 5].min(2) > 190).any()


def test_own_teeth_are_kept() -> None:
    photo, landmarks = paint_face(opened=0.12)
    own = make_portrait(photo, landmarks)
    none = make_portrait(*paint_face())
    lent = make_portrait(*paint_face(seed=4), teeth_photo=(photo, landmarks))
    for portrait in (own, lent):
        height, width = portrait.upper_teeth.shape[:2]
        incisors = portrait.upper_teeth[int(0.65 * height) : int(0.78 * height), int(0.4 * width) : int(0.6 * width)]
        colour = incisors[incisors[..., 3] > 0.99][:, :3].mean(0)
        assert colour == pytest.approx((235, 230, 215), abs=25)
    assert not np.array_equal(own.upper_teeth, none.upper_teeth)
    with pytest.raises(InputError, match="shows none"):
        make_portrait(*paint_face(), teeth_photo=paint_face())


def test_flesh_under_the_lip_never_folds(generator: Generator, portrait: Portrait) -> None:
    mesh = generator.mesh(code(jawOpen=0.3, mouthLowerDown=0.4, jawDrop=0.0), portrait)
    for column in CHIN_COLUMNS:
        assert (np.diff(mesh[column, 1]) > 0.5).all()


def test_flesh_under_the_lip_of_a_lowered_head_keeps_its_height(generator: Generator) -> None:
    """From above a lip hangs over the chin: what is behind it gets no further behind, the rest no flatter."""
    photo, landmarks = paint_face()
    lowered = (landmarks - landmarks[168]) @ head_rotation(-0.75, 0, 0).T.astype(np.float32) + landmarks[168]
    portrait = make_portrait(photo, lowered)
    heights = np.diff(portrait.source[CHIN_COLUMNS][..., 1])
    assert heights.min() < 0
    for shape in (code(jawOpen=0.3, mouthLowerDown=0.4), code(jawOpen=0.2, mouthLowerDown=0.15)):
        moved = np.diff(generator.mesh(shape, portrait)[CHIN_COLUMNS][..., 1])
        assert (moved >= np.minimum(heights, 0.44 * heights) - 0.05).all()


@pytest.mark.parametrize("turn", [(0, 0, 0.25), (0.15, 0.2, 0)])
def test_tilted_portraits(turn: tuple[float, float, float], generator: Generator) -> None:
    photo, landmarks = paint_face()
    turned = (landmarks - landmarks[168]) @ head_rotation(*turn).T.astype(np.float32) + landmarks[168]
    portrait = make_portrait(photo, turned)
    assert np.array_equal(generator.draw(code(), portrait), photo)
    still = generator.mesh(code(), portrait)
    open_mouth = generator.mesh(code(jawOpen=0.2, mouthLowerDown=0.12), portrait)
    depth = np.zeros((2, 478, 1), np.float32)
    meshes = np.concatenate([np.stack([still, open_mouth])[:, :468], turned[None, 468:, :2].repeat(2, 0)], 1)
    depth[:] = turned[None, :, 2:]
    aligned, *_ = remove_pose(np.concatenate([meshes, depth], 2), canonical_face())
    gap = mouth_measures(aligned)[:, SPEECH_CHANNELS.index("jawOpen")]
    assert gap[1] - gap[0] > 0.1


def test_face_size(generator: Generator) -> None:
    photo, landmarks = paint_face()
    portrait = make_portrait(photo, landmarks, size="face")
    assert portrait.size == (256, 256)
    right, left = portrait.landmarks[[33, 133], :2].mean(0), portrait.landmarks[[362, 263], :2].mean(0)
    assert np.linalg.norm(left - right) == pytest.approx(80, abs=1)
    assert np.array_equal(generator.draw(code(), portrait), portrait.photo)
    with pytest.raises(ConfigError):
        make_portrait(photo, landmarks, size="huge")


def test_large_and_odd_photos_are_fitted() -> None:
    photo, landmarks = paint_face()
    big = make_portrait(cv2.resize(photo, (1601, 1601)), landmarks * (1601 / 320))
    assert big.size == (1280, 1280)
    odd = make_portrait(photo[:-1, :-3], landmarks)
    assert odd.size[0] % 2 == 0
    assert odd.size[1] % 2 == 0


def test_unusable_faces_are_refused() -> None:
    photo, landmarks = paint_face()
    with pytest.raises(InputError, match="no face"):
        make_portrait(photo, np.full((478, 3), np.nan))
    with pytest.raises(InputError, match="small"):
        make_portrait(photo, landmarks * 0.1)
    with pytest.raises(InputError, match="edge"):
        make_portrait(photo, landmarks + np.array([200, 0, 0]))


def test_save_and_load(tmp_path, generator: Generator, portrait: Portrait) -> None:
    path = tmp_path / "me.npz"
    portrait.save(path)
    again = Portrait.load(path)
    motion = code(jawOpen=0.2, eyeBlinkLeft=0.6, headYaw=0.1, eyeLookX=0.1)
    assert np.array_equal(generator.draw(motion, again), generator.draw(motion, portrait))
    assert [p.name for p in tmp_path.iterdir()] == ["me.npz"]

    data = path.read_bytes()
    for bad in (data[: len(data) // 2], b"", data[:2000] + bytes([data[2000] ^ 255]) + data[2001:]):
        path.write_bytes(bad)
        with pytest.raises(EngineMismatch, match="damaged"):
            Portrait.load(path)
    with pytest.raises(InputError, match="not exist"):
        Portrait.load(tmp_path / "nobody.npz")


@pytest.mark.parametrize(
    "change",
    [
        lambda p: {"rest": p.rest * np.nan},
        lambda p: {"scale": -p.scale},
        lambda p: {"scale": p.scale * 0},
        lambda p: {"rest": p.rest * 100},
        lambda p: {"basis": p.basis[:3]},
        lambda p: {"tones": p.tones * np.inf},
        lambda p: {"head_share": p.head_share[:10]},
        lambda p: {"ground": p.ground[1:]},
        lambda p: {"ground": p.ground * 1e30},
        lambda p: {"torso_share": p.torso_share - 2},
        lambda p: {"ground": p.ground[..., :2]},
        lambda p: {"torso_share": p.torso_share[1:]},
        lambda p: {"triangles": p.triangles + np.int32(5_000_000)},
        lambda p: {"triangles": p.triangles - np.int32(1)},
        lambda p: {"box": p.box * np.int32(9)},
        lambda p: {"eyeballs": p.eyeballs[:1]},
        lambda p: {"eyeballs": p.eyeballs[:, :0]},
        lambda p: {"skin_mask": p.skin_mask[:-1]},
        lambda p: {"photo": p.photo.astype(np.float32)},
    ],
)
def test_measures_that_no_face_has_are_refused(tmp_path, portrait: Portrait, change) -> None:
    path = tmp_path / "portrait.npz"
    with np.errstate(invalid="ignore"):
        replace(portrait, **change(portrait)).save(path)
    with pytest.raises(EngineMismatch, match="damaged"):
        Portrait.load(path)


def test_portraits_that_fade_into_one_another_keep_their_own_buffers(generator: Generator, portrait: Portrait) -> None:
    other = replace(portrait, photo=portrait.photo[:, ::-1].copy())
    both = [generator.draw(code(jawOpen=0.2), each).copy() for each in (portrait, other)]
    kept = [generator.scratch_of(each) for each in (portrait, other)]
    assert kept[0] is not kept[1]
    again = [generator.draw(code(jawOpen=0.2), each).copy() for each in (portrait, other)]
    assert np.array_equal(both, again)
    assert [scratch.owner for scratch in kept] == [portrait, other]


def test_a_new_portrait_at_a_dead_ones_address_gets_its_own_buffers(portrait: Portrait) -> None:
    generator = Generator()
    for scale_px in range(100, 110):
        each = replace(portrait, scale=np.array([scale_px]))
        assert np.array_equal(generator.scratch_of(each).to_px, scale_px * portrait.rotation[:2])
        del each


def test_an_interrupted_save_leaves_nothing(tmp_path, portrait: Portrait, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(file, **_):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        portrait.save(tmp_path / "portrait.npz")
    assert not list(tmp_path.iterdir())


def test_portrait_of_another_version_is_refused(tmp_path, portrait: Portrait, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.npz"
    portrait.save(path)
    monkeypatch.setattr("engines.portrait.VERSION", 999)
    with pytest.raises(EngineMismatch, match="another version"):
        Portrait.load(path)


@pytest.mark.parametrize("name", ["portrait_encoder", "generator"])
def test_shipped_network_matches_its_golden_stream(name: str) -> None:
    card = read_card(card_path(name))
    with open_session(name) as session:
        compared = verify(session, read_golden(golden_path(card), card))
    assert compared.passed, compared.refusal()


def test_shipped_network_leaves_rest_alone(portrait: Portrait) -> None:
    assert portrait.vector.size
    with open_generator() as generator:
        assert np.array_equal(generator.draw(code(), portrait), portrait.photo)
        motion = code(jawOpen=0.2, mouthLowerDown=0.12)
        with_network = generator.draw(motion, portrait)
        again = generator.draw(motion, portrait)
    assert np.array_equal(with_network, again)
    without = Generator().draw(motion, portrait)
    assert 0 < np.abs(with_network.astype(int) - without).mean() < 12


def test_dim_light_dims_teeth() -> None:
    photo, landmarks = paint_face()
    bright, dim = (make_portrait((photo * light).astype(np.uint8), landmarks) for light in (0.8, 0.32))
    for name in ("upper_teeth", "lower_teeth"):
        ratio = getattr(dim, name)[..., :3].mean() / getattr(bright, name)[..., :3].mean()
        assert ratio == pytest.approx(0.4, abs=0.04)


def test_teeth_are_never_bluer_than_the_eyes_white() -> None:
    photo, landmarks = paint_face()
    for white in ((225, 222, 218), (190, 205, 235), (235, 180, 190)):
        tinted = photo.copy()
        tinted[(np.abs(photo.astype(int) - (225, 222, 218)) < 12).all(-1)] = white
        portrait = make_portrait(tinted, landmarks)
        red, green, blue = portrait.upper_teeth[portrait.upper_teeth[..., 3] > 0.95][:, :3].mean(0)
        assert blue / red <= white[2] / white[0] + 0.01
        assert green / red <= white[1] / white[0] * 1.05


def test_teeth_lie_in_the_shade_towards_the_corners(generator: Generator, portrait: Portrait) -> None:
    motion = code(jawOpen=0.2, mouthOpenSide=0.16, mouthUpperUp=0.03, mouthLowerDown=0.12, mouthStretch=0.05)
    picture = generator.draw(motion, portrait).astype(int)
    mesh = generator.mesh(motion, portrait)
    x, y = mesh[13]
    y += 0.04 * EYES_PX

    def light(away: float) -> float:
        """Brightest of a small patch beside the midline: a tooth, not the line between two."""
        at = round(x + away * EYES_PX)
        return float(picture[int(y) - 2 : int(y) + 3, at - 2 : at + 3].sum(-1).max())

    middle = max(light(-0.06), light(0.06))
    for side in (-1, 1):
        assert light(side * 0.20) < 0.9 * middle
        assert light(side * 0.27) < light(side * 0.20)


def test_lips_are_not_taken_for_teeth() -> None:
    photo, landmarks = paint_face(opened=0.12)
    teeth = (np.abs(photo.astype(int) - (235, 230, 215)) < 12).all(-1)
    teeth[: int(landmarks[4, 1])] = False  # the eyes' white
    red = photo.copy()
    red[teeth] = (214, 128, 118)
    for picture, least in ((photo, 0.9), (red, 0.8)):
        upper = make_portrait(picture, landmarks).upper_teeth
        colour = upper[upper[..., 3] > 0.95][:, :3].mean(0)
        assert colour[1] / colour[0] > least


def test_lashes_do_not_stand_on_a_shut_lid(generator: Generator) -> None:
    photo, landmarks = lashed_face()
    portrait, plain = make_portrait(photo, landmarks), make_portrait(*paint_face())
    assert np.array_equal(generator.draw(code(), portrait), photo)
    blink = code(eyeBlinkLeft=1, eyeBlinkRight=1)
    with_lashes, without = (generator.draw(blink, p).astype(int).sum(-1) for p in (portrait, plain))
    line = generator.mesh(blink, portrait)
    for eye in (LEFT, RIGHT):
        x, y = line[list(eye.upper[2:-2])].mean(0)
        columns = slice(int(x) - 6, int(x) + 7)
        lid = slice(int(y - 0.11 * EYES_PX), int(y - 0.03 * EYES_PX))
        open_lid = slice(int(landmarks[eye.upper[4], 1] - 0.09 * EYES_PX), int(landmarks[eye.upper[4], 1]) - 2)
        stood = (plain.photo.astype(int) - photo)[open_lid, columns].sum(-1).mean()
        assert (without - with_lashes)[lid, columns].mean() < 0.25 * stood
        below = slice(int(y) + 2, int(y + 0.06 * EYES_PX))
        assert (without - with_lashes)[below, columns].mean() > 0.15 * stood  # they hang now


def reach_of_lashes(closing: float) -> tuple[int, int]:
    """How far lashes of 13 px are seen above and below a straight lid, px."""
    scale, y = 160.0, 50
    lashes = np.zeros((100, 200, 3), np.uint8)
    lashes[y - 13 : y + 1, 60:140] = 200
    picture = np.full_like(lashes, 180)
    across = np.array([0.0, 1 / scale])
    frame = np.array([100.0, y, scale, 0.0, -0.2, 0.2])
    lid = np.zeros(LINE)
    box = np.array([0, 0, 200, 100])
    lines = Lines(frame[:2], across[::-1].copy(), across, frame[4:], lid, lid)
    paint_lashes(picture, box, *lines[:5], lashes, np.zeros(2, int), frame, lid, closing)
    dark = (picture[:, 100, 1] < 160).nonzero()[0]
    return (max(0, y - dark.min()), max(0, dark.max() - y)) if dark.size else (0, 0)


def test_lashes_turn_with_their_lid() -> None:
    """Up as in the photo, towards the viewer halfway, down when the eye is shut; never out of sight at once."""
    assert reach_of_lashes(0.0) == (0, 0)  # the photo's own ones stand there
    above, below = np.array([reach_of_lashes(closing) for closing in np.linspace(0.15, 1.0, 40)]).T
    assert 9 <= above[0] <= 13
    assert below[0] == 0
    assert above[-1] == 0
    assert 7 <= below[-1] <= 10
    assert (np.diff(above) <= 0).all()
    assert (np.diff(below) >= 0).all()
    assert np.maximum(above, below).min() >= 2


@pytest.mark.parametrize("coarse", [0.0, 1.0])
def test_the_line_of_a_shut_eye_has_a_fringe_as_soft_as_the_photo(coarse: float) -> None:
    scale, y = 50.0, 50
    picture = np.full((100, 200, 3), 180, np.uint8)
    picture[y] = 60  # a line as thin as a pixel
    soft = cv2.GaussianBlur(picture, (0, 0), 1.1)
    across = np.array([0.0, 1 / scale])
    lid, box = np.zeros(LINE), np.array([0, 0, 200, 100])
    lines = Lines(np.array([100.0, y]), across[::-1].copy(), across, np.array([-0.5, 0.5]), lid, lid)

    def light(closing: float) -> np.ndarray:
        drawn = picture.copy()
        paint_fringe(drawn, soft, coarse, box, lines, 0.4, closing)
        assert np.array_equal(drawn[:, :70], picture[:, :70])  # beside the eye
        return drawn[:, 100, 1].astype(float)

    np.testing.assert_array_equal(light(0.3), picture[:, 100, 1])
    shut = light(1.0)
    assert shut[y + 1] < 0.75 * 180
    assert shut[y - 6] > 0.98 * 180  # a lid stays light
    assert shut[y + 3] < shut[y - 3]  # lashes hang
    assert (np.diff([light(closing)[y + 2] for closing in np.linspace(0.4, 1.0, 13)]) <= 0).all()
    if coarse:
        assert shut[y] > 60  # a thin black line melts into it
    else:
        assert shut[y] <= 60


def test_skin_is_spanned_under_lashes_without_a_gap() -> None:
    """Where mascara leaves no skin between lashes, a shut lid has the colour of what is around them."""
    photo, landmarks = paint_face()
    plain = photo.copy()
    regions = []
    for eye in (LEFT, RIGHT):
        edge = landmarks[list(eye.upper[1:-1]), :2]
        dense = np.concatenate([edge, edge[::-1] - (0, 0.06 * EYES_PX)])
        cv2.fillPoly(photo, [np.round((dense - 0.5) * 16).astype(np.int32)], (30, 20, 15), cv2.LINE_AA, 4)
        above = np.concatenate([edge[1:-1] - (0, 0.035 * EYES_PX), edge[-2:0:-1] - (0, 0.06 * EYES_PX)])
        regions.append(cv2.fillPoly(np.zeros(photo.shape[:2], np.uint8), [np.round(above - 0.5).astype(np.int32)], 1))
    bare = make_portrait(photo, landmarks).bare
    for region in regions:
        hidden = region > 0
        off = np.abs(bare.photo.astype(int) - plain)[hidden].mean()
        assert np.abs(photo.astype(int) - plain)[hidden].mean() > 50
        assert off < 15
    assert all(lashes.max() > 150 for lashes in bare.lashes)


def test_specks_on_the_lip_line_do_not_travel(generator: Generator) -> None:
    photo, landmarks = paint_face()
    for x, y in landmarks[list(UPPER_SEAM[3:-3:2]), :2] - 0.5:
        cv2.circle(photo, (round(float(x)), round(float(y)) + 1), 1, (255, 240, 240), -1)
    portrait = make_portrait(photo, landmarks)
    assert np.array_equal(generator.draw(code(), portrait), photo)
    motion = code(jawOpen=0.1, mouthLowerDown=0.08, mouthOpenSide=0.08)
    lower = generator.mesh(motion, portrait)[list(LOWER_SEAM[2:-2])]
    picture = generator.draw(motion, portrait)
    assert max(int(picture[int(y) : int(y) + 4, int(x) - 2 : int(x) + 3].min(-1).max()) for x, y in lower) < 200


@pytest.mark.parametrize(("lip", "line"), [((200, 3, 47), (90, 30, 30)), ((150, 68, 60), (72, 0, 26))])
def test_lips_wear_no_blue_rim(generator: Generator, lip: tuple[int, int, int], line: tuple[int, int, int]) -> None:
    """Red paint and dark lines have next to no green to tell a hue by."""
    photo, landmarks = paint_face()
    lips = list(OUTER_LIPS)
    seam = np.round((landmarks[list(UPPER_SEAM), :2] - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(photo, [np.round((landmarks[lips, :2] - 0.5) * 16).astype(np.int32)], lip, cv2.LINE_AA, 4)
    cv2.polylines(photo, [seam], False, line, 4, cv2.LINE_AA, 4)
    drawn = generator.draw(code(jawOpen=0.15, mouthLowerDown=0.1), make_portrait(photo, landmarks)).astype(int)
    assert (drawn[..., 2] - drawn[..., 0]).max() < 20  # teeth and skin hardly, lips not at all


@pytest.mark.parametrize(("warm", "is_orange"), [((150, 70, 20), True), ((120, 55, 62), False)])
def test_parted_lips_wear_no_orange_rim(generator: Generator, warm: tuple[int, int, int], is_orange: bool) -> None:
    """Light that went through flesh leaves a warm line between shut lips; a red line, as real lips have it, stays."""
    photo, landmarks = paint_face()
    seam = np.round((landmarks[list(UPPER_SEAM), :2] - 0.5) * 16).astype(np.int32)
    cv2.polylines(photo, [seam], False, warm, 2, cv2.LINE_AA, 4)
    portrait = make_portrait(photo, landmarks)
    assert np.array_equal(generator.draw(code(), portrait), photo)  # at rest it is the photo
    bare = portrait.bare.photo
    x, y = np.round(landmarks[UPPER_SEAM[5], :2] - 0.5).astype(int)
    on_line, before = (picture[y - 1 : y + 2, x - 15 : x + 16].astype(float).mean((0, 1)) for picture in (bare, photo))
    lip = bare[y + 5 : y + 8, x - 15 : x + 16].astype(float).mean((0, 1))
    yellower, was = (line[1] / line[2] / (lip[1] / lip[2]) - 1 for line in (on_line, before))
    if is_orange:
        assert was > 0.3
        assert yellower < 0.35 * was
    else:
        assert np.abs(on_line - before).max() < 4
    far = np.ones(photo.shape[:2], bool)
    far[y - 12 : y + 13, x - 40 : x + 41] = False
    assert np.abs(bare.astype(int) - photo)[far & (np.arange(photo.shape[0])[:, None] > y - 14)].max() <= 1


def test_teeth_that_can_be_seen_one_by_one_keep_half_of_their_light(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's shade darkens the whole mouth of a small picture, and teeth half as much in a large one."""
    shade = Learned(np.zeros(0, np.float32), np.full(INTERIOR_SIZE, -0.5, np.float32))
    portrait, motion = make_portrait(*paint_face()), code(jawOpen=0.2, mouthLowerDown=0.15, mouthOpenSide=0.15)

    def draw(learned: Learned) -> np.ndarray:
        generator = Generator()
        monkeypatch.setattr(generator, "corrections", lambda _code, _portrait: learned)
        return generator.draw(motion, portrait).astype(float)

    lit = draw(NOTHING)
    monkeypatch.setattr("engines.generator.SMALL_PX", 2 * EYES_PX)
    monkeypatch.setattr("engines.generator.SHARP_PX", 3 * EYES_PX)
    small = draw(shade)
    monkeypatch.setattr("engines.generator.SMALL_PX", 0.1 * EYES_PX)
    monkeypatch.setattr("engines.generator.SHARP_PX", 0.2 * EYES_PX)
    large = draw(shade)
    inside = np.abs(small - lit).max(-1) > 3
    pale = lit[..., 1] > 0.88 * lit[..., 0]  # all tooth, no tongue
    teeth, dark = inside & pale & (lit[..., 1] > 100), inside & (lit[..., 1] < 40)
    assert teeth.sum() > 20
    assert dark.sum() > 20
    lost_small, lost_large = (1 - (shaded / lit)[teeth].mean() for shaded in (small, large))
    assert lost_large == pytest.approx(0.5 * lost_small, rel=0.15)
    assert np.median(np.abs(large - small)[dark]) < 1


def test_the_network_may_shade_large_faces_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of faces unlike those it learned on is a guess: no skin gets paler than the skin around it."""
    portrait, motion = make_portrait(*paint_face()), code(jawOpen=0.05)

    def change(gain: float, fine: bool) -> np.ndarray:
        generator = Generator()
        skin = np.full((*CROP_SIZE_PX, 3), gain, np.float32)
        monkeypatch.setattr(generator, "corrections", lambda _code, _portrait: Learned(skin, NOTHING.interior))
        for name, px in (("SMALL_PX", 0.1), ("SHARP_PX", 0.2)) if fine else (("SMALL_PX", 2.0), ("SHARP_PX", 3.0)):
            monkeypatch.setattr(f"engines.generator.{name}", px * EYES_PX)
        x, y = portrait.landmarks[205, :2].astype(int)  # a cheek
        around = slice(y - 5, y + 6), slice(x - 5, x + 6)
        plain = Generator().draw(motion, portrait)[around].astype(float)
        return generator.draw(motion, portrait)[around] / plain - 1

    assert np.median(change(0.3, False)) == pytest.approx(0.3, abs=0.06)
    assert np.median(change(-0.4, False)) == pytest.approx(-0.4, abs=0.02)
    assert change(0.3, True).max() < LIGHTEST + 0.03
    assert np.median(change(-0.4, True)) == pytest.approx(-DEEPEST, abs=0.02)


def test_a_turned_photo_turns_no_further_away(generator: Generator) -> None:
    """What it does not show would be torn out of the far cheek; the eyes stay where they look."""
    photo, landmarks = paint_face(size=480)
    by = {}
    for degrees in (5.0, 25.0):
        turn = head_rotation(0, np.radians(degrees), 0).astype(np.float32)
        portrait = make_portrait(photo, (landmarks - landmarks[168]) @ turn.T + landmarks[168])
        assert np.degrees(portrait.turned) == pytest.approx(degrees, abs=2)
        by[degrees] = portrait
    further, back = code(headYaw=0.08, eyeLookX=-0.08), code(headYaw=-0.08, eyeLookX=0.08)
    assert hold_turn(further, by[5.0]) is further
    held = hold_turn(further, by[25.0])
    yaw, look = MOTION_CHANNELS.index("headYaw"), MOTION_CHANNELS.index("eyeLookX")
    assert 0.2 * 0.08 < held[yaw] < 0.5 * 0.08
    assert held[yaw] + held[look] == pytest.approx(0, abs=1e-6)
    assert np.array_equal(hold_turn(back, by[25.0]), back)
