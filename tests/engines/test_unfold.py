"""A smile's creases leave the cheeks of a photo that is drawn at rest; nothing else changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.drawing.geometry import load_geometry
from engines.face.measure import canonical_face
from engines.face.tones import LUMA
from engines.face.unfold import (
    NOSE,
    beard,
    cheeks,
    cut,
    fill_lines,
    hidden_mouth,
    moustache,
    scars,
    smile_of,
    take_folds_off,
    to_crop,
)
from engines.face.unsmile import rest_shift
from engines.face_points import INNER_LIPS, OUTER_LIPS
from engines.generator import Generator
from engines.portrait import make_portrait
from engines.spec import MOTION_CHANNELS
from tests.painted_faces import CLOSE_EYES_PX, EYES_PX, bearded, blurred, code, paint_creases, paint_face, place

FULL, GRIN = 0.06, 0.2


def unfold(photo: np.ndarray, points: np.ndarray, smile: float) -> np.ndarray:
    return take_folds_off(photo, points[:, :2], *place(), smile)


def depth_of(photo: np.ndarray, points: np.ndarray) -> float:
    """How much darker the middle of the right crease is than the skin beside it, a share."""
    grey = cv2.GaussianBlur(photo, (0, 0), 1.5)[..., 1].astype(float)
    x, y = points[206, :2].round().astype(int)
    beside = np.mean([grey[y, x + away] for away in (-16, 16)])
    return 1 - grey[y - 2 : y + 3, x - 2 : x + 3].mean() / beside


def test_a_crease_goes_with_the_smile() -> None:
    photo, points = paint_creases(0.2)
    there = depth_of(photo, points)
    left = [depth_of(unfold(photo, points, smile), points) for smile in (0.03, FULL)]
    assert there > left[0] > left[1]
    assert left[1] < 0.6 * there


def test_a_red_crease_takes_the_hue_of_the_skin_around_it() -> None:
    photo, points = paint_creases(0.12)
    shade = (paint_creases(0.0)[0].astype(float) - photo) @ LUMA
    photo = np.clip(photo + shade[..., None] * (0.5, -0.5, -1.5), 0, 255).astype(np.uint8)

    def redness(picture: np.ndarray) -> float:
        """Red over green in the middle of the right crease, beyond the skin's beside it."""
        red, green, _ = np.moveaxis(cv2.GaussianBlur(picture, (0, 0), 1.5).astype(float), 2, 0)
        x, y = points[206, :2].round().astype(int)
        return red[y, x] / green[y, x] - np.mean([red[y, x + away] / green[y, x + away] for away in (-30, 30)])

    assert redness(photo) > 0.08
    assert abs(redness(unfold(photo, points, FULL))) < 0.4 * redness(photo)


def test_what_is_dark_for_another_reason_keeps_its_hue() -> None:
    photo, points = paint_creases(0.12)
    x, y = points[206, :2].round().astype(int)
    photo[y - 3 : y + 4, x - 3 : x + 4] = (90, 40, 30)  # a mole on the crease
    hue = unfold(photo, points, FULL)[y, x] / 90.0
    assert hue[0] > 1.9 * hue[1] > 2.2 * hue[2]


CORE = (92, 34, 22)


def slashed(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The photo with the dark red core of a deep fold along the right crease."""
    drawn = photo.copy()
    low, high = np.round(points[[205, 206], :2]).astype(int)
    cv2.line(drawn, low, 2 * high - low, CORE, 8, cv2.LINE_AA)
    return drawn


def test_no_slash_is_left_of_a_folds_core() -> None:
    photo, points = paint_creases(0.2)
    x, y = points[206, :2].round().astype(int)
    skin, left = (
        unfold(p, points, GRIN)[y - 2 : y + 3, x - 2 : x + 3].mean((0, 1)) for p in (photo, slashed(photo, points))
    )
    assert left @ LUMA > 0.88 * (skin @ LUMA)
    assert abs(left[0] / left[1] - skin[0] / skin[1]) < 0.06


def test_a_slash_is_long_and_away_from_a_beard() -> None:
    photo, points = paint_creases(0.0)
    skin, to_photo = place()
    here, gain, bald = to_crop(points[:, :2], to_photo), np.full(skin.shape, 0.3, np.float32), np.zeros_like(skin)
    crop = cut(slashed(photo, points), to_photo, skin.shape)
    x, y = here[206].round().astype(int)
    assert scars(crop, here, gain, skin, bald)[y, x]
    assert not scars(crop, here, 0 * gain, skin, bald).any()
    beside = bald.copy()
    beside[:, x + 6 : x + 9] = 1
    assert not scars(crop, here, gain, skin, beside)[y, x]
    spot = cut(photo, to_photo, skin.shape)
    spot[y - 2 : y + 3, x - 2 : x + 3] = CORE
    assert not scars(spot, here, gain, skin, bald).any()


def test_a_moustache_is_seen_on_the_lip() -> None:
    skin, to_photo = place()
    for (photo, points), least, most in ((bearded(0.3, 0.8)[:2], 0.6, 1.0), (paint_creases(0.4), 0.0, 0.0)):
        assert least <= moustache(photo, points[:, :2], to_photo, skin.shape) <= most


def test_only_cheeks_change_and_only_in_a_smile() -> None:
    photo, points = paint_creases(0.2)
    assert unfold(photo, points, 0.0) is unfold(photo, points, 0.015) is photo  # calm faces that look a bit friendly
    change = np.abs(unfold(photo, points, FULL).astype(int) - photo).max(2)
    assert change.max() > 5
    hull = cv2.convexHull(np.round(points[list(NOSE), :2]).astype(np.int32))
    for part in (hull, np.round(points[list(INNER_LIPS), :2]).astype(np.int32)):
        inside = np.zeros(photo.shape[:2], np.uint8)
        cv2.fillPoly(inside, [part], 1)
        assert change[cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0].max(initial=0) <= 1
    oval = np.round(points[[234, 454], 0]).astype(int)
    assert not change[:, : oval[0]].any()
    assert not change[:, oval[1] :].any()
    assert not change[: int(points[6, 1])].any()


def test_the_line_at_a_creases_bottom_is_filled_and_hair_is_not() -> None:
    skin = np.full((200, 200, 3), (206, 160, 140), np.uint8)
    gain = np.full((200, 200), 0.2, np.float32)
    creased = skin.copy()
    cv2.line(creased, (100, 20), (110, 180), (172, 130, 112), 2, cv2.LINE_AA)
    filled = fill_lines(creased, gain, CLOSE_EYES_PX)
    assert np.abs(filled.astype(int) - skin).max() < 0.25 * np.abs(creased.astype(int) - skin).max()
    np.testing.assert_array_equal(fill_lines(creased, 0 * gain, CLOSE_EYES_PX), creased)
    bearded = skin.copy()
    for at in range(0, 200, 6):
        cv2.line(bearded, (at, 20), (at + 3, 180), (90, 60, 50), 2, cv2.LINE_AA)
    assert np.abs(fill_lines(bearded, gain, CLOSE_EYES_PX).astype(int) - bearded)[40:160, 30:170].max() < 8


@pytest.mark.parametrize(("dark", "light"), [(0.3, 0.8), (0.6, 1.15)])
def test_a_beard_stays_as_it_is(dark: float, light: float) -> None:
    photo, points, beside = bearded(dark, light)
    before, after = (picture[beside] @ LUMA for picture in (photo, unfold(photo, points, GRIN)))
    assert abs(after.mean() / before.mean() - 1) < 0.10  # a fold shades a beard, too
    assert abs(after.std() / before.std() - 1) < 0.06


def test_what_is_dark_without_texture_is_no_beard() -> None:
    photo, points, beside = bearded(0.3, 0.8)
    skin, to_photo = place()
    here = to_crop(points[:, :2], to_photo)
    hair = [
        beard(cut(picture, to_photo, skin.shape), cheeks(skin, here), here)
        for picture in (photo, blurred(photo), paint_creases(0.4)[0])
    ]
    assert cv2.warpAffine(hair[0], to_photo, photo.shape[1::-1])[beside].mean() > 0.8
    assert not hair[1].any()
    assert not hair[2].any()


def test_a_grins_smudges_go_without_a_glow() -> None:
    photo, points, beside = bearded(0.3, 0.8)
    smudged, skin = blurred(photo), float(paint_creases(0.0)[0][beside].mean(0) @ LUMA)
    before, after = (
        cv2.GaussianBlur(picture, (0, 0), 2.0)[beside] @ LUMA for picture in (smudged, unfold(smudged, points, GRIN))
    )
    assert before.mean() < 0.7 * skin
    assert after.mean() > 1.22 * before.mean()
    assert after.max() < 1.03 * skin


def test_a_smile_is_told_from_an_open_mouth() -> None:
    basis, _ = load_geometry()

    def face(**channels: float) -> np.ndarray:
        moved = sum(value * basis[MOTION_CHANNELS.index(name)] for name, value in channels.items())
        return (canonical_face() + moved).astype(np.float32)

    smile = smile_of(rest_shift(face(mouthSmileLeft=0.10, mouthSmileRight=0.10, mouthStretch=0.25, jawOpen=0.08)))
    said = smile_of(rest_shift(face(jawOpen=0.2, mouthLowerDown=0.1, jawDrop=0.1)))
    assert smile > 0.04
    assert said < 0.3 * smile
    assert smile_of(np.zeros((478, 3))) == 0


def test_a_portrait_at_rest_keeps_its_photo() -> None:
    photo, points = paint_creases(0.2)
    portrait = make_portrait(photo, points + np.array([0.5, 0.5, 0]))
    assert np.array_equal(portrait.photo, photo)
    assert np.array_equal(Generator().draw(np.zeros(len(MOTION_CHANNELS), np.float32), portrait), photo)


def under_hair(light: float, opened: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A face whose mouth lies under hair of a share of white; `opened` as of `paint_face`."""
    photo, landmarks = paint_face(opened)
    grows = cv2.fillPoly(
        np.zeros(photo.shape[:2], np.uint8), [np.round(landmarks[list(OUTER_LIPS), :2]).astype(np.int32)], 1
    )
    grows = cv2.dilate(grows, np.ones((15, 15), np.uint8))
    strands = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, grows.shape), (0, 0), sigmaX=0.9, sigmaY=2.5)
    away = np.abs(np.arange(len(photo)) - landmarks[13, 1])[:, None] / EYES_PX
    bush = 1 - np.minimum(1.5 * away, 0.25)  # lightest where it stands out furthest
    hairs = light * (bush * (245 + 4 * strands / strands.std()))[..., None] * (1.0, 0.98, 0.94)
    return np.where(grows[..., None] > 0, hairs, photo).clip(0, 255).astype(np.uint8), landmarks


def test_a_mouth_under_white_hair_hardly_opens_but_its_chin_moves() -> None:
    """A black mouth stood open in a white moustache."""
    motion, generator, gaps, chins = code(jawOpen=0.24, jawDrop=0.2, mouthOpenSide=0.14), Generator(), [], []
    for photo, landmarks in (paint_face(), under_hair(1.0)):
        portrait = make_portrait(photo, landmarks)
        generator.draw(motion, portrait)
        moved = generator.scratch_of(portrait).moved - portrait.source
        gaps.append(moved[14, 1] - moved[13, 1])
        chins.append(moved[152, 1])
    assert gaps[1] < 0.5 * gaps[0]
    assert chins[1] > 0.5 * chins[0] > 0.03 * EYES_PX


@pytest.mark.parametrize(
    ("face", "brighter"),
    [
        (paint_face(), 1.5),  # light lips with a seam
        (under_hair(0.5), 0.8),  # dark hair
        (under_hair(1.0, opened=0.12), 1.5),  # open
    ],
)
def test_a_mouth_that_is_seen_opens(face: tuple[np.ndarray, np.ndarray], brighter: float) -> None:
    photo, landmarks = face
    assert hidden_mouth(photo, landmarks[:, :2], np.array([0.0, 1.0]), EYES_PX, brighter) == 0.0
