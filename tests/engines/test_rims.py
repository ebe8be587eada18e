"""Glasses stay whole: their rims go with the head, whatever lids and brows do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.face.rims import NO_RIMS, take_off
from engines.face.upper_rims import upper_rims
from engines.face_points import EYES, Eye
from engines.generator import Generator
from engines.portrait import make_portrait
from tests.painted_faces import EYES_PX, code, lashed_face, paint_face, put_on


@pytest.mark.parametrize(("thick", "colour"), [(0.07, (25, 20, 20)), (0.05, (60, 20, 25))])
def test_a_blink_and_raised_brows_leave_the_rims_alone(thick: float, colour: tuple[int, int, int]) -> None:
    photo, landmarks = paint_face()
    rims = put_on(photo, landmarks, thick, colour)
    portrait = make_portrait(photo, landmarks)
    assert all(found.cover.size for found in portrait.bare.rims)
    generator = Generator()
    np.testing.assert_array_equal(generator.draw(code(), portrait), photo)
    eyes = np.zeros(photo.shape[:2], bool)
    for found in portrait.bare.rims:
        x, y = found.corner
        eyes[y + 4 : y + found.cover.shape[0] - 8, x + 4 : x + found.cover.shape[1] - 4] = True
    solid = eyes & (rims == 255)
    assert solid.sum() > 200
    for shape in (code(eyeBlinkLeft=1, eyeBlinkRight=1), code(browInnerUp=0.05, browOuterUp=0.05)):
        drawn = generator.draw(shape, portrait)
        assert np.abs(drawn.astype(int) - photo).max() > 40  # lids and brows do move
        assert np.abs(drawn.astype(int) - photo)[solid].max() < 12


@pytest.mark.parametrize("colour", [(225, 45, 175), (70, 150, 235), (110, 235, 110)])
def test_a_blink_leaves_light_coloured_rims_alone(colour: tuple[int, int, int]) -> None:
    """They are hardly darker than skin, or lighter: a lid took them along."""
    photo, landmarks = paint_face()
    rims = put_on(photo, landmarks, 0.08, colour)
    portrait, generator = make_portrait(photo, landmarks), Generator()
    assert all(found.cover.size for found in portrait.bare.rims)
    np.testing.assert_array_equal(generator.draw(code(), portrait), photo)
    drawn = generator.draw(code(eyeBlinkLeft=1, eyeBlinkRight=1), portrait)
    changed = np.abs(drawn.astype(int) - photo).max(2)
    assert changed.max() > 40
    for eye in EYES:
        first, last = np.sort(landmarks[[eye.upper[0], eye.upper[-1]], 0]).astype(int)
        above = slice(int(landmarks[list(eye.brow), 1].max()), int(landmarks[list(eye.upper), 1].min()))
        solid = rims[above, first:last] == 255
        assert solid.sum() > 40
        assert changed[above, first:last][solid].max() < 25


def test_coloured_lids_and_hair_are_no_rims() -> None:
    photo, landmarks = paint_face()
    for eye in EYES:
        lid = landmarks[[*eye.upper, *eye.fold[::-1]], :2]
        cv2.fillPoly(photo, [np.round((lid - 0.5) * 16).astype(np.int32)], (90, 90, 230), cv2.LINE_AA, 4)
        outer = landmarks[eye.upper[0], 0] + 0.12 * EYES_PX * np.sign(landmarks[eye.upper[0], 0] - landmarks[168, 0])
        cv2.line(photo, (int(outer), 0), (int(outer), 319), (80, 170, 230), 5)
    assert not any(found.cover.size for found in make_portrait(photo, landmarks).bare.rims)


@pytest.mark.parametrize("eye", EYES)
def test_an_upper_rim_beyond_the_zone_is_no_rim_and_no_failure(eye: Eye) -> None:
    """That of a photo of hats lay where the zone has faded: nothing was left of it, and the first picture failed."""
    photo, landmarks = paint_face()
    top = landmarks[list(eye.brow), 1].min()  # where the zone begins
    first, last = np.sort(landmarks[[eye.upper[0], eye.upper[-1]], 0])
    outline = np.array([(first, top - 7), (last, top - 7), (last, top - 6), (first, top - 6)])
    clear = photo.copy()
    assert take_off(clear, photo, landmarks[:, :2], eye, outline, np.eye(3), EYES_PX) is NO_RIMS
    np.testing.assert_array_equal(clear, photo)


def test_rims_turn_with_the_head_as_if_the_eyes_were_open() -> None:
    photo, landmarks = paint_face()
    put_on(photo, landmarks, 0.06, (25, 20, 20))
    portrait, generator = make_portrait(photo, landmarks), Generator()
    turned = {"headYaw": 0.1, "headPitch": -0.05, "headRoll": 0.04}
    opened = generator.draw(code(**turned), portrait).astype(int)
    shut = generator.draw(code(eyeBlinkLeft=1, eyeBlinkRight=1, **turned), portrait).astype(int)
    rims = cv2.erode((opened.sum(-1) < 120).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    for found in portrait.bare.rims:
        x, y = found.corner + np.array([6, 6])
        part = slice(y, y + found.cover.shape[0] - 12), slice(x, x + found.cover.shape[1] - 12)
        assert rims[part].sum() > 60
        assert np.abs(opened - shut)[part][rims[part]].max() < 25


def test_a_bare_face_and_lashes_have_no_rims() -> None:
    for photo, landmarks in (paint_face(), paint_face(seed=3), lashed_face()):
        portrait = make_portrait(photo, landmarks)
        assert not any(found.cover.size for found in portrait.bare.rims)
        assert not any(len(line) for line in upper_rims(photo, landmarks[:, :2], portrait.rotation, EYES_PX).outlines)


@pytest.mark.parametrize(("thick", "colour"), [(0.06, (25, 20, 20)), (0.03, (90, 75, 70))])
@pytest.mark.parametrize("above", [0.09, 0.12])
def test_an_upper_rim_is_followed_across_lashes(above: float, thick: float, colour: tuple[int, int, int]) -> None:
    photo, landmarks = lashed_face()
    rims = put_on(photo, landmarks, thick, colour, above)
    portrait = make_portrait(photo, landmarks)
    outlines = upper_rims(photo, landmarks[:, :2], portrait.rotation, float(portrait.scale[0])).outlines
    drawn = Generator().draw(code(eyeBlinkLeft=1, eyeBlinkRight=1), portrait)
    for eye, outline in zip(EYES, outlines, strict=True):
        top, bottom = (outline[half, 1] for half in (slice(len(outline) // 2), slice(len(outline) // 2, None)))
        line = landmarks[list(eye.upper), 1].min() - above * EYES_PX
        assert abs((top[15:-15].mean() + bottom[15:-15].mean()) / 2 - line) < 0.05 * EYES_PX
        first, last = np.sort(landmarks[[eye.upper[0], eye.upper[-1]], 0]).astype(int)
        over = slice(int(line) - 8, int(line) + 9), slice(first, last)
        solid = rims[over] == 255
        assert solid.sum() > 20
        assert (np.abs(drawn[over].astype(int) - photo[over]).max(2)[solid] < 25).mean() > 0.97


def test_a_line_that_ends_with_the_brow_is_no_rim() -> None:
    photo, landmarks = paint_face()
    for eye in EYES:
        brow = np.round((landmarks[list(eye.brow), :2] - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(photo, [cv2.convexHull(brow)], (40, 30, 28), cv2.LINE_AA, 4)
    assert not any(len(line) for line in upper_rims(photo, landmarks[:, :2], np.eye(3), EYES_PX).outlines)


def test_a_line_on_one_side_of_the_nose_alone_is_no_rim() -> None:
    photo, landmarks = paint_face()
    worn = photo.copy()
    put_on(worn, landmarks, 0.05, (25, 20, 20))
    assert all(len(line) for line in upper_rims(worn, landmarks[:, :2], np.eye(3), EYES_PX).outlines)
    middle = int(landmarks[168, 0] + 0.12 * EYES_PX)
    worn[:, middle:] = photo[:, middle:]
    assert not any(len(line) for line in upper_rims(worn, landmarks[:, :2], np.eye(3), EYES_PX).outlines)


def shade(photo: np.ndarray, landmarks: np.ndarray, colour: tuple[float, float, float], reach: float) -> np.ndarray:
    """The photo with everything around both eyes multiplied by a colour: lenses, or a brow's shadow."""
    shaded = photo.astype(np.float32)
    for eye in EYES:
        points = landmarks[list(eye.upper + eye.lower), :2]
        low, high = points.min(0) - reach * EYES_PX, points.max(0) + reach * EYES_PX
        inside = np.zeros(photo.shape[:2], np.uint8)
        cv2.ellipse(inside, (tuple((low + high) / 2), tuple(high - low), 0), 255, -1)
        share = cv2.GaussianBlur(inside, (0, 0), 1.0)[..., None] / 255.0
        shaded *= 1 - share * (1 - np.array(colour))
    return np.clip(shaded, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("colour", "hidden"),
    [
        ((0.20, 0.28, 0.36), True),  # grey lenses
        ((0.10, 0.12, 0.10), True),  # all but black ones
        ((0.45, 0.38, 0.33), False),  # the shadow of a hat: warm, as skin is
        ((0.85, 0.9, 0.9), False),  # clear glass
    ],
)
def test_nothing_moves_behind_dark_glasses(colour: tuple[float, float, float], hidden: bool) -> None:
    photo, landmarks = paint_face()
    portrait = make_portrait(shade(photo, landmarks, colour, 0.22), landmarks)
    assert list(portrait.eyes_hidden) == [hidden, hidden]
    drawn = Generator().draw(code(eyeBlinkLeft=1, eyeBlinkRight=1, eyeLookX=0.2, browInnerUp=0.05), portrait)
    assert np.array_equal(drawn, portrait.photo) is hidden


def test_an_eye_behind_hair_stays_and_the_other_one_shuts() -> None:
    photo, landmarks = paint_face()
    veiled = photo.copy()
    left = EYES[0]
    first, last = np.sort(landmarks[[left.upper[0], left.upper[-1]], 0]).astype(int)
    top, low = int(landmarks[list(left.brow), 1].min()) - 8, int(landmarks[list(left.lower), 1].max()) + 20
    for x in range(first - 20, last + 20, 5):
        cv2.line(veiled, (x, top), (x + 6, low), (205, 170, 120), 3, cv2.LINE_AA)
        cv2.line(veiled, (x + 3, top), (x + 8, low), (90, 60, 35), 2, cv2.LINE_AA)
    assert list(make_portrait(photo, landmarks).eyes_hidden) == [False, False]
    portrait, generator = make_portrait(veiled, landmarks), Generator()
    assert list(portrait.eyes_hidden) == [True, False]
    drawn = generator.draw(code(eyeBlinkLeft=1, eyeBlinkRight=1, eyeLookX=0.2), portrait)
    changed = np.abs(drawn.astype(int) - veiled).max(2)
    middle = int(landmarks[168, 0])
    assert changed[:, :middle].max() > 40
    assert changed[:, middle + 10 :].max() == 0


def test_an_eye_patch_leaves_the_other_eye_alive() -> None:
    photo, landmarks = paint_face()
    patched = photo.copy()
    left = slice(0, int(landmarks[168, 0]))
    patched[:, left] = shade(photo, landmarks, (0.1, 0.1, 0.1), 0.22)[:, left]
    assert not make_portrait(patched, landmarks).eyes_hidden.any()
