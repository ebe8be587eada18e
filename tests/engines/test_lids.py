"""A lid that shuts is skin, whatever hangs over it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from engines.face.bare import lit, warmed
from engines.face.grain import lid_grain
from engines.face.masks import span
from engines.face.measure import eye_distance
from engines.face.rims import take_off_rims
from engines.face.tones import LUMA
from engines.face_points import EYES
from engines.generator import Generator
from engines.portrait import make_portrait
from tests.painted_faces import EYES_PX, code, paint_face, put_on


def grain_of(picture: np.ndarray, x: int, y: int) -> float:
    """How strong what is fine is in a patch of a lid that shuts, levels."""
    light = picture[y - 9 : y + 2, x - 9 : x + 10].astype(np.float32) @ LUMA
    return float((light - cv2.GaussianBlur(light, (0, 0), 3.0)).std())


def test_a_shut_lid_has_the_grain_of_the_skin_around() -> None:
    """Its skin is drawn from a few rows of the photo to four times their height: it was smooth as a pear."""
    photo, landmarks = paint_face()
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 30, (*photo.shape[:2], 1)), (0, 0), 1.0)
    smooth = cv2.GaussianBlur(photo.astype(np.float32), (0, 0), 1.5)
    for eye in EYES:  # the lid itself shows none, as where skin is spanned under lashes
        lid = landmarks[[*eye.upper, *eye.fold[::-1]], :2]
        cv2.fillPoly(smooth, [np.round((lid - 0.5) * 16).astype(np.int32)], (196, 150, 128), cv2.LINE_AA, 4)
        cv2.fillPoly(noise, [np.round((lid - 0.5) * 16).astype(np.int32)], 0, cv2.LINE_AA, 4)
    grainy = np.clip(smooth + np.reshape(noise, (*photo.shape[:2], 1)), 0, 255).astype(np.uint8)
    portrait, generator = make_portrait(grainy, landmarks), Generator()
    shut = generator.draw(code(eyeBlinkLeft=1, eyeBlinkRight=1), portrait)
    np.testing.assert_array_equal(generator.draw(code(eyeBlinkLeft=1, eyeBlinkRight=1), portrait), shut)
    bare = replace(portrait)
    bare.__dict__["bare"] = replace(portrait.bare, grain=portrait.bare.grain[:, :0, :0])
    without = Generator().draw(code(eyeBlinkLeft=1, eyeBlinkRight=1), bare)
    for eye in EYES:
        x, y = landmarks[[eye.upper[4], eye.lower[4]], :2].mean(0).astype(int)
        cheek = grain_of(grainy, x, y + 26)
        assert 0.35 * cheek < grain_of(shut, x, y) < cheek
        assert grain_of(without, x, y) < 0.25 * cheek


def test_smooth_skin_gives_no_grain() -> None:
    _, landmarks = paint_face()
    up = np.array([0.0, -EYES_PX])
    assert not lid_grain(np.full((320, 320, 3), 150, np.uint8), landmarks, up, EYES_PX).size
    noise = np.random.default_rng(0).normal(150, 6, (320, 320, 3)).clip(0, 255).astype(np.uint8)
    grain = lid_grain(noise, landmarks, up, EYES_PX)
    assert len(grain) == 2
    assert abs(float(grain.mean()) - 128) < 1
    np.testing.assert_array_equal(grain, lid_grain(noise, landmarks, up, EYES_PX))


def low_browed(hair: tuple[int, int, int], above: float) -> tuple[np.ndarray, np.ndarray]:
    """A face whose brows hang down to `above` (eye distances) over the eyes."""
    photo, landmarks = paint_face()
    for eye in EYES:
        lid, brow = landmarks[list(eye.upper), :2], landmarks[list(eye.brow), :2]
        top, low = brow[brow[:, 0].argsort()], lid[1:-1] - (0, above * EYES_PX)
        shape = np.concatenate([top, low[low[:, 0].argsort()][::-1]])
        cv2.fillPoly(photo, [np.round((shape - 0.5) * 16).astype(np.int32)], hair, cv2.LINE_AA, 4)
        cv2.fillPoly(photo, [np.round((cv2.convexHull(brow)[:, 0] - 0.5) * 16).astype(np.int32)], hair, cv2.LINE_AA, 4)
    return photo, landmarks


def shut_eyes(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The photo with shut eyes; with open ones it is drawn as it is."""
    portrait, generator = make_portrait(photo, landmarks), Generator()
    np.testing.assert_array_equal(generator.draw(code(), portrait), photo)
    return generator.draw(code(eyeBlinkLeft=1, eyeBlinkRight=1), portrait)


@pytest.mark.parametrize("hair", [(40, 42, 48), (60, 40, 28)])
def test_a_low_brow_does_not_run_down_a_lid(hair: tuple[int, int, int]) -> None:
    photo, landmarks = low_browed(hair, 0.07)
    portrait = make_portrait(photo, landmarks)
    drawn = Generator().draw(code(eyeBlinkLeft=1, eyeBlinkRight=1), portrait)
    for eye in EYES:
        x, y = landmarks[[eye.upper[4], eye.lower[4]], :2].mean(0).astype(int)
        below = photo[y + 12 : y + 18, x - 6 : x + 7].reshape(-1, 3)
        lid = drawn[y - 5 : y, x - 6 : x + 7].reshape(-1, 3)
        assert np.median(lid @ LUMA) > 0.75 * np.median(below @ LUMA)


@pytest.mark.parametrize("glasses", [True, False])
def test_what_a_lens_mirrors_does_not_go_with_the_lid(glasses: bool) -> None:
    """White lights before both lids: the photo keeps them, a shut lid is skin. Paint on lids goes with them."""
    photo, landmarks = paint_face()
    for eye in EYES:
        lid, fold = landmarks[list(eye.upper[1:-1]), :2], landmarks[list(eye.fold), :2]
        light = np.concatenate([lid[2:-2], fold[::-1][2:-2]])
        cv2.fillPoly(photo, [np.round((light - 0.5) * 16).astype(np.int32)], (238, 242, 250), cv2.LINE_AA, 4)
    if glasses:
        put_on(photo, landmarks, 0.05, (25, 20, 20), 0.2)
    drawn = shut_eyes(photo, landmarks)
    skin = np.array((196, 150, 128), np.float32)
    for eye in EYES:
        x, y = landmarks[[eye.upper[4], eye.lower[4]], :2].mean(0).astype(int)
        lid = np.median(drawn[y - 5 : y + 1, x - 6 : x + 7].reshape(-1, 3), 0)
        assert bool(lid @ LUMA < 1.15 * (skin @ LUMA)) is glasses
        assert bool(lid[0] - lid[2] > 30) is glasses  # as warm as skin


def test_a_membrane_takes_nothing_from_what_is_free() -> None:
    skin = np.full((40, 60, 3), (200, 150, 130), np.float32)
    hidden, free = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    hidden[15:25, 10:50] = True
    free[:20], free[25:] = True, True  # what is above, over half of what is hidden, and what is below
    skin[free | hidden] = 10
    assert np.abs(span(skin, hidden, free)[15:25, 10:50] - (200, 150, 130)).max() < 1


def test_a_lid_in_the_shade_of_a_brow_is_no_greyer_than_skin() -> None:
    skin = np.array([170.0, 120.0, 95.0], np.float32)
    grey = np.full((4, 4, 3), 85.0, np.float32)
    made = warmed(grey, skin)
    np.testing.assert_allclose(made @ LUMA, grey @ LUMA, rtol=1e-5)
    np.testing.assert_allclose(
        made / (made @ LUMA)[..., None], np.broadcast_to(skin / (skin @ LUMA), made.shape), rtol=1e-4
    )
    for kept in ((120, 150, 170), (105, 40, 20)):  # light blue paint; a lid redder than the skin
        painted = np.full((4, 4, 3), kept, np.float32)
        np.testing.assert_array_equal(warmed(painted, skin), painted)


def test_a_lid_comes_out_of_its_shade_but_keeps_its_paint() -> None:
    skin = np.array([170.0, 120.0, 95.0], np.float32)
    wholly = np.ones((4, 4), np.float32)

    def off(lid: np.ndarray) -> float:
        """How far a lid's hue is from the skin's."""
        return float(np.abs(lid / (lid @ LUMA)[..., None] - skin / (skin @ LUMA)).max())

    brown = np.full((4, 4, 3), (105, 66, 47), np.float32)
    made = lit(brown, skin, wholly)
    assert 0.75 * (skin @ LUMA) < (made @ LUMA).max() < 0.9 * (skin @ LUMA)
    assert off(made) < 0.6 * off(brown)
    np.testing.assert_allclose(lit(brown, skin, 0 * wholly), brown, rtol=1e-5)  # towards the fold
    for kept in ((105, 40, 20), (120, 150, 170), (200, 160, 130)):  # red and light blue paint; a lid that shines
        light = np.full((4, 4, 3), kept, np.float32)
        np.testing.assert_allclose(lit(light, skin, wholly), light, rtol=1e-5)


def test_a_shaded_socket_does_not_shut_as_eye_shadow() -> None:
    """All between lid and brow is brown: the open eye keeps it, a shut lid is nearer to the skin below."""
    photo, landmarks = paint_face()
    for eye in EYES:
        socket = np.concatenate([landmarks[list(eye.upper), :2], landmarks[list(eye.fold), :2][::-1]])
        socket[len(eye.upper) :, 1] -= 0.05 * EYES_PX
        cv2.fillPoly(photo, [np.round((socket - 0.5) * 16).astype(np.int32)], (128, 84, 62), cv2.LINE_AA, 4)
    drawn = shut_eyes(photo, landmarks)
    skin = np.array((196, 150, 128), np.float32)
    for eye in EYES:
        x, y = landmarks[[eye.upper[4], eye.lower[4]], :2].mean(0).astype(int)
        lid = np.median(drawn[y - 5 : y, x - 6 : x + 7].reshape(-1, 3), 0)
        assert 0.7 * (skin @ LUMA) < lid @ LUMA < 0.9 * (skin @ LUMA)
        assert lid[0] / lid[2] < 1.9


def test_wide_eyes_show_more_of_the_eye() -> None:
    photo, landmarks = paint_face()
    portrait, generator = make_portrait(photo, landmarks), Generator()

    def seen(lids: float) -> int:
        """How many pixels around the left eye are the eyeball's: its white or its iris."""
        drawn = generator.draw(code(eyeBlinkLeft=lids, eyeBlinkRight=lids), portrait)
        x, y = landmarks[EYES[0].opening, :2].mean(0).astype(int)
        around = drawn[y - 12 : y + 13, x - 16 : x + 17]
        return int((np.abs(around @ LUMA - 150) > 55).sum())

    assert seen(0) < seen(-0.1) < seen(-0.2)
    assert seen(-0.2) > 1.08 * seen(0)


@pytest.mark.parametrize("beyond", [(40, 30, 25), (250, 250, 250)], ids=["hair", "white wall"])
def test_a_lid_ends_where_the_skin_does(beyond: tuple[int, int, int]) -> None:
    """Right beside the outer corner hangs hair, or the turned face ends: no wedge of lid is drawn over it."""
    photo, landmarks = paint_face()
    eye = EYES[0]
    x, y = landmarks[eye.upper[0], :2].astype(int)
    side = slice(y - 40, y + 25), slice(x + 3, x + 40)
    photo[side] = beyond
    drawn = Generator().draw(code(eyeBlinkLeft=1, eyeBlinkRight=1), make_portrait(photo, landmarks))
    off = np.abs(drawn[side].astype(int) - photo[side])[:, 3:].mean(2)
    assert np.quantile(off, 0.99) < 12


def test_a_lid_has_no_rim_in_a_dark_socket() -> None:
    """Shade that ends softly ends softly on a shut lid, too: no flat light patch stands in it."""
    photo, landmarks = paint_face()
    y, x = np.mgrid[0 : photo.shape[0], 0 : photo.shape[1]].astype(np.float32)
    shade = np.ones(photo.shape[:2], np.float32)
    for eye in EYES:
        middle = landmarks[list(eye.upper[2:-2]), :2].mean(0) - (0, 0.1 * EYES_PX)
        away = ((x - middle[0]) / (0.36 * EYES_PX)) ** 2 + ((y - middle[1]) / (0.2 * EYES_PX)) ** 2
        shade -= 0.62 * np.exp(-away)
    photo = (photo * shade[..., None]).astype(np.uint8)
    drawn = shut_eyes(photo, landmarks)
    for eye in EYES:
        (left, line), (right, _) = landmarks[eye.upper[6], :2], landmarks[eye.upper[2], :2]
        top = int(landmarks[list(eye.fold), 1].min() - 0.1 * EYES_PX)
        low = int(landmarks[eye.lower[4], 1] - 0.12 * EYES_PX)
        across = slice(int(min(left, right)), int(max(left, right)) + 1)

        def steepest(picture: np.ndarray, bottom: int, top: int = top, across: slice = across) -> float:
            """The most by which the light changes from one row to the next."""
            rows = cv2.GaussianBlur(picture[top:bottom], (0, 0), 1.0)[:, across].mean(1) @ LUMA
            return float(np.abs(np.diff(rows)).max())

        assert steepest(drawn, low) < 1.25 * steepest(photo, int(line - 0.06 * EYES_PX))  # it was 1.46 and 1.60


def folded(above: float) -> tuple[np.ndarray, np.ndarray]:
    """A face with dark folds so far (eye distances) above its lids."""
    photo, landmarks = paint_face()
    for eye in EYES:
        fold = landmarks[list(eye.upper[1:-1]), :2] - (0, above * EYES_PX)
        cv2.polylines(photo, [np.round((fold - 0.5) * 16).astype(np.int32)], False, (45, 30, 25), 3, cv2.LINE_AA, 4)
    return photo, landmarks


def test_a_fold_is_no_rim_of_glasses() -> None:
    """Long and dark between lid and brow: it does not stay behind as a stroke over the shut lid."""
    photo, landmarks = folded(0.08)
    scale = float(eye_distance(landmarks))
    portrait = make_portrait(photo, landmarks)
    found = take_off_rims(photo, landmarks, portrait.rotation, scale)[1]
    assert all(rims.cover.size for rims in found)
    assert not any(rims.cover.size for rims in portrait.bare.rims)
    np.testing.assert_array_equal(portrait.bare.clear, photo)
    drawn = shut_eyes(photo, landmarks)
    for eye in EYES:
        (x, y), low = landmarks[eye.upper[4], :2].astype(int), int(landmarks[eye.lower[4], 1])
        lid = drawn[y - 12 : low - 5, x - 6 : x + 7] @ LUMA
        assert lid.mean(1).min() > 0.75 * np.median(lid)


def test_a_wet_edge_does_not_glint_on_a_shut_lid() -> None:
    photo, landmarks = paint_face()
    for eye in EYES:
        for x, y in landmarks[list(eye.upper[2:-2]), :2] - (0.5, 0.5 + 0.06 * EYES_PX):
            photo[round(float(y)), round(float(x))] = 255, 250, 245
    drawn, skin = shut_eyes(photo, landmarks), float(np.array((196, 150, 128)) @ LUMA)
    for eye in EYES:
        (x, y), low = landmarks[eye.upper[4], :2].astype(int), int(landmarks[eye.lower[4], 1])
        assert (drawn[y - 6 : low, x - 8 : x + 9] @ LUMA).max() < 1.2 * skin


def mirroring(reach: float) -> tuple[np.ndarray, np.ndarray, list[tuple[slice, slice]]]:
    """A face behind lenses that mirror a window over so much of either eye, from its outer corner on; and where."""
    photo, landmarks = paint_face()
    put_on(photo, landmarks, 0.05, (25, 20, 20), 0.2)
    places = []
    for eye in EYES:
        outer, inner = landmarks[eye.upper[0], :2], landmarks[eye.upper[-1], :2]
        x0, x1 = sorted((int((outer + reach * (inner - outer))[0]), int((outer - 0.2 * (inner - outer))[0])))
        y = int(outer[1])
        photo[y - 9 : y + 9, x0:x1] = photo[y - 9 : y + 9, x0:x1] // 5 + np.array((182, 196, 192), np.uint8)
        places.append((slice(y - 6, y + 6), slice(x0 + 3, x1 - 3)))
    return photo, landmarks, places


def test_what_a_lens_mirrors_stays_while_the_lid_behind_it_shuts() -> None:
    """It was cut out of the mirror in the lid's shape, as skin."""
    photo, landmarks, places = mirroring(0.15)
    portrait = make_portrait(photo, landmarks)
    np.testing.assert_array_equal(portrait.bare.shuts, 1)
    shut = shut_eyes(photo, landmarks)
    for place, eye in zip(places, EYES, strict=True):
        assert (np.abs(shut[place].astype(int) - photo[place]).max(2) > 25).mean() < 0.05
        x, y = landmarks[[eye.upper[5], eye.lower[5]], :2].mean(0).astype(int)
        assert np.abs(shut[y, x].astype(int) - photo[y, x]).max() > 25  # what is beside it shuts


def test_an_eye_behind_a_mirror_shuts_less() -> None:
    """The lid would cut it out of what is left to be seen of it."""
    photo, landmarks, _ = mirroring(0.6)
    assert (make_portrait(photo, landmarks).bare.shuts < 0.6).all()
    photo, landmarks = paint_face()
    np.testing.assert_array_equal(make_portrait(photo, landmarks).bare.shuts, 1)


def test_shade_above_the_lashes_leaves_a_lid_that_is_on_its_way() -> None:
    """Hair's shade over the eyes became a bare arch as soon as the lids moved, and while they looked down."""
    photo, landmarks = paint_face()
    for eye in EYES:
        lid = landmarks[list(eye.upper), :2]
        shade = np.concatenate([lid, (lid - (0, 0.3 * EYES_PX))[::-1]])
        cv2.fillPoly(photo, [np.round((shade - 0.5) * 16).astype(np.int32)], (60, 42, 34), cv2.LINE_AA, 4)
    portrait, generator = make_portrait(photo, landmarks), Generator()

    def light(closing: float) -> float:
        """Of both lids just above where lashes are."""
        drawn = generator.draw(code(eyeBlinkLeft=closing, eyeBlinkRight=closing), portrait)
        tops = [landmarks[list(eye.upper[3:-3]), :2].mean(0) - (0, 0.13 * EYES_PX) for eye in EYES]
        return float(np.mean([drawn[int(y), int(x) - 6 : int(x) + 7] @ LUMA for x, y in tops]))

    for closing in (0.12, 0.2):
        assert light(closing) < light(0) + 4
    assert light(0.5) > light(0) + 12
    assert light(0) < light(0.3) < light(0.4) < light(0.5)
