"""What a photo lacks is drawn in its own palette."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.face.tones import LUMA, haze_of, measure_palette, measure_tones
from engines.face_points import EYES, INNER_LIPS, OUTER_LIPS
from engines.generator import Generator, open_generator
from engines.portrait import Portrait, make_portrait
from tests.painted_faces import EYES_PX, code, paint_face


def greyed(photo: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def browned(photo: np.ndarray) -> np.ndarray:
    light = greyed(photo)[..., 0] / 255.0
    return (np.stack([light**0.8, 0.93 * light**0.95, 0.78 * light**1.15], -1) * 255).astype(np.uint8)


SHAPES = {
    "wide": code(jawOpen=0.24, jawDrop=0.2, mouthOpenSide=0.14, mouthLowerDown=0.08),
    "smile": code(mouthSmileLeft=0.1, mouthSmileRight=0.1, jawOpen=0.08, mouthOpenSide=0.08),
    "blink": code(eyeBlinkLeft=0.7, eyeBlinkRight=0.7),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("opened", [0.0, 0.12])
def test_a_grey_photo_stays_grey(shape: str, opened: float) -> None:
    photo, landmarks = paint_face(opened)
    portrait = make_portrait(greyed(photo), landmarks)
    with open_generator() as generator:
        drawn = generator.draw(SHAPES[shape], portrait).astype(int)
    assert np.abs(drawn - portrait.photo).max() > 50
    assert np.ptp(drawn, axis=2).max() <= 2


def test_a_toned_photo_keeps_one_colour_for_each_light() -> None:
    photo, landmarks = paint_face()
    portrait = make_portrait(browned(photo), landmarks)
    with open_generator() as generator:
        drawn = generator.draw(SHAPES["wide"], portrait)
    changed = np.abs(drawn.astype(int) - portrait.photo).max(2) > 8
    light = (drawn @ LUMA)[changed]
    expected = browned(np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, 2))[:, 0].astype(float)
    for channel in range(3):
        wanted = np.interp(light, expected @ LUMA, expected[:, channel])
        off = np.abs(drawn[..., channel][changed] - wanted)
        assert np.quantile(off, 0.95) < 14, channel


def test_colours_stay_as_they_are() -> None:
    photo, landmarks = paint_face()
    palette = measure_palette(photo, landmarks)
    assert palette.colour == 1.0
    colours = np.random.default_rng(0).uniform(0, 255, (20, 3)).astype(np.float32)
    assert palette.fit(colours) is colours
    half = cv2.addWeighted(photo, 0.4, greyed(photo), 0.6, 0)
    shares = [measure_palette(picture, landmarks).colour for picture in (greyed(photo), half, photo)]
    assert shares[0] == 0.0
    assert shares == sorted(shares)


def test_teeth_of_a_coloured_photo_turn_grey_with_a_grey_face() -> None:
    photo, landmarks = paint_face()
    smile, smile_landmarks = paint_face(opened=0.12)
    portrait = make_portrait(greyed(photo), landmarks, teeth_photo=(smile, smile_landmarks))
    texture = portrait.upper_teeth
    shown = texture[texture[..., 3] > 0.5][:, :3]
    assert shown.max() > 100
    assert np.ptp(shown, axis=1).max() < 2


def dark_face(share: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Skin and lips of a share of their light, nearly without a hue; the eyes' white as it was."""
    photo, landmarks = paint_face()
    dark = 0.3 * photo + 0.7 * greyed(photo)
    return np.where((photo.min(-1) < 200)[..., None], share * dark, photo).astype(np.uint8), landmarks


def test_a_throat_between_dark_lips_is_of_their_hue() -> None:
    """One red for all glowed there."""
    dark, landmarks = dark_face()
    light = cv2.fillPoly(dark.copy(), [np.round(landmarks[list(OUTER_LIPS), :2]).astype(np.int32)], (235, 205, 205))
    cavities = [measure_tones(photo, landmarks)["cavity"] for photo in (dark, light)]
    assert cavities[0][0] < 2.4 * cavities[0][1]
    assert cavities[1][0] > 3.0 * cavities[1][1]  # between light lips it stays the dark red that it is


def slit_light(face: tuple[np.ndarray, np.ndarray], opened: float, teeth: float = 1.0) -> float:
    """Light of the brighter half between the lips' middles over the lips'."""
    photo, landmarks = face
    portrait, generator = make_portrait(photo, landmarks), Generator()
    portrait.upper_teeth[..., :3] *= teeth
    motion = code(jawOpen=opened, mouthOpenSide=0.8 * opened)
    picture = generator.draw(motion, portrait) @ LUMA
    mesh = generator.mesh(motion, portrait)
    (x, upper), lower = mesh[13], mesh[14, 1]
    reach = round(0.12 * EYES_PX)
    between = picture[round(upper) : round(lower) + 1, round(x) - reach : round(x) + reach]
    lips = [picture[tuple(np.round((mesh[a] + mesh[b])[::-1] / 2).astype(int))] for a, b in ((0, 13), (17, 14))]
    return float(np.quantile(between, 0.75) / np.mean(lips))


def test_teeth_do_not_flash_between_lips_that_part_by_a_hair() -> None:
    for face, teeth in ((dark_face(), 1.0), (dark_face(0.55), 1.0), (paint_face(), 1.4)):
        assert slit_light(face, 0.045, teeth) < 1.1
        assert slit_light(face, 0.20, teeth) > 1.2


def with_eyes(colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A painted face, its eyes' openings of one colour."""
    photo, landmarks = paint_face()
    for eye in EYES:
        cv2.fillPoly(photo, [np.round(landmarks[eye.opening, :2]).astype(np.int32)], colour)
    return photo, landmarks


def test_teeth_are_not_of_skin_where_eyes_are_shut_or_hidden() -> None:
    """Lids and lashes were taken for the eye's white: orange and charcoal teeth."""
    for lids in ((160, 118, 96), (110, 66, 50), (12, 10, 10)):
        tones = measure_tones(*with_eyes(lids))
        skin, teeth = tones["skin"], 240 * tones["white"]
        assert 1 - teeth[1] / teeth[0] < 0.6 * (1 - skin[1] / skin[0])
        assert teeth[2] / teeth[1] > skin[2] / skin[1]
        assert 0.85 < teeth @ LUMA / (skin @ LUMA) < 1.1


def test_teeth_stay_of_the_light_that_falls_on_eyes() -> None:
    for light in ((1.0, 0.62, 0.45), (1.0, 0.45, 0.4), (0.4, 0.4, 0.4)):
        photo, landmarks = paint_face()
        plain = 240 * measure_tones(photo, landmarks)["white"]
        lit = 240 * measure_tones((photo * np.array(light)).astype(np.uint8), landmarks)["white"]
        assert np.abs(lit[1:] / lit[0] - plain[1:] / plain[0] * light[1:] / light[0]).max() < 0.08
        assert lit @ LUMA <= 1.02 * float(np.array((225, 222, 218)) * light @ LUMA) * 1.25


def test_teeth_have_the_light_of_bright_lips_under_dark_glasses() -> None:
    photo, landmarks = with_eyes((0, 0, 0))
    dark = (0.3 * photo).astype(np.uint8)
    before = measure_tones(dark, landmarks)["white"]
    cv2.fillPoly(dark, [np.round(landmarks[list(OUTER_LIPS), :2]).astype(np.int32)], (190, 170, 165))
    assert (measure_tones(dark, landmarks)["white"] > 1.8 * before).all()


def test_red_skin_with_red_eyes_has_no_skin_coloured_teeth() -> None:
    """An old, red face with lids for eyes had teeth of the skin's colour; warm light stays warm."""
    photo, landmarks = paint_face()
    red = photo * np.array((1.0, 0.70, 0.62))
    for eye in EYES:
        cv2.fillPoly(red, [np.round(landmarks[eye.opening, :2]).astype(np.int32)], (120.0, 66, 50))
    tones = measure_tones(red.astype(np.uint8), landmarks)
    skin, teeth = tones["skin"], tones["white"]
    assert skin[1] / skin[0] < 0.56
    assert teeth[1] / teeth[0] > 0.78
    assert teeth[2] / teeth[1] > 0.8
    warm = red * np.array((1.0, 1.0, 0.55))
    teeth = measure_tones(warm.astype(np.uint8), landmarks)["white"]
    assert teeth[1] / teeth[0] < 0.68


def test_teeth_are_no_darker_than_skin_where_eyes_are_hidden_or_skin_is_bright() -> None:
    """They were grey under dark glasses and in a high key, once the lips' shade lay on them."""
    hidden, landmarks = with_eyes((0, 0, 0))
    bright = np.clip(1.36 * with_eyes((178, 176, 172))[0], 0, 255).astype(np.uint8)
    for photo, least in ((hidden, 1.05), (bright, 1.05)):
        tones = measure_tones(photo, landmarks)
        assert least < 240 * tones["white"] @ LUMA / (tones["skin"] @ LUMA) < 1.15
        assert 240 * tones["white"].max() <= 240.5


def hazy_face() -> tuple[np.ndarray, np.ndarray]:
    """A face against a window: dark, and its black as light as seven tenths of its skin."""
    photo, landmarks = paint_face()
    return (0.10 * photo + 42).astype(np.uint8), landmarks


def test_no_mouth_is_darker_than_the_darkest_of_a_hazy_face() -> None:
    """A black hole opened in it."""
    for (photo, landmarks), lifted in ((hazy_face(), True), (paint_face(), False)):
        portrait, generator = make_portrait(photo, landmarks), Generator()
        picture = generator.draw(SHAPES["wide"], portrait)
        inside = picture[mouth_of(generator, portrait, picture.shape[:2])]
        darkest = float(np.quantile(inside @ LUMA, 0.05))
        skin = measure_tones(photo, landmarks)["skin"]
        floor = haze_of(photo, landmarks, skin)
        assert bool(floor.any()) == lifted
        if lifted:
            assert 0.7 * floor @ LUMA < darkest < 1.05 * floor @ LUMA
            assert np.quantile(inside @ LUMA, 0.95) < 1.6 * skin @ LUMA
        else:
            assert darkest < 0.4 * skin @ LUMA


def mouth_of(generator: Generator, portrait: Portrait, size: tuple[int, int]) -> np.ndarray:
    """Between the lips of the wide shape, a little inwards, (H, W) bool."""
    lips = generator.mesh(SHAPES["wide"], portrait)[list(INNER_LIPS)]
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(lips).astype(np.int32)], 1)
    return cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0
