"""Colours of a face in its photo's light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.face.measure import eye_distance
from engines.face_points import EYES, INNER_LIPS, OUTER_LIPS
from engines.ramps import share_of

# Of a throat's hue the first share is the lips' where they have at most two thirds of the light of an eye's white, and
# nothing where they are as light: one red for all glowed between dark lips.
LIPS_IN_CAVITY, DARK_LIPS = 0.5, 0.66
LID_SKIN = 0.75  # quantile of a lid's light that is bare skin's
CHEEKS = (50, 205, 280, 425, 101, 330)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
TEETH_OF_EYES = 1.25  # teeth in full light against the eye's white; the mouth's shade takes a fifth of it
# Teeth in full light over skin, at least (37 smiles in a studio: .83 and more, nine in ten .96; in 28 strangers'
# snapshots all but one's 1.04 and more). At .8 they had the light of lips where lids or brows keep it from the eyes.
LEAST_OF_SKIN = 0.86
# Eyes that have less than this share of the skin's light are hidden, by dark glasses, hats or lids, and tell nothing:
# then nine in ten's; teeth were grey, .76 of the skin in a smile. (Of five strangers' own teeth under such eyes one has
# less, .87. Twelve talkers' eyes have .67 and more; with .96 for them, too, 13 clips were off by 14.6 levels, not 14.1)
HIDDEN_EYES, LEAST_UNTOLD = (0.56, 0.66), 0.96
LIPS_OF_SKIN = 0.8  # light of lips over skin, of 84 strangers' at most 1.16; beyond 1.25 light falls on them alone
# The brightest of red, green and blue of teeth at most: 211 is the median of 25 people's in a studio's full light, on
# skin of 150 to 180. Skin may have more light than that; from 195 on teeth go with it, below what a camera clips.
BRIGHTEST_TEETH, BRIGHTEST_OF_SKIN, CLIPPED = 218.0, 1.12, 240.0
# Teeth's colour in the light of an eye's white: green and blue over red as a share of the white's (25 people: 1.08 and
# 1.03; less of both here, for lips throw red light back); and what they are at most in white light: green over red,
# blue over green (25 people: 0.96 and 0.97).
TEETH_GREEN, TEETH_BLUE = 1.02, 0.98
MOST_GREEN, MOST_BLUE = 0.975, 0.97
# And in any light, the same two as a share of the skin's, at least (28 strangers' own: from 1.09 and .94 on, medians
# 1.20 and 1.05, of yellow skins 1.15): what is found of squinting, shaded or hidden eyes is skin and lashes as often as
# not.
GREEN_OF_SKIN, BLUE_OF_SKIN = 1.15, 1.06
# Skin may be red by itself, and then tells too little: whose eyes' green over red is at most the first of RED_EYES of
# the skin's has teeth of at least LEAST_GREEN and LEAST_BLUE, whose is the second is believed. In light so warm that
# skin's blue over green is below WARM_SKIN both fall with it, blue twice (15 strangers' own teeth above that: .75 to
# 1.10, 13 of .80 and more; blue .76 to 1.30, 12 of .84 and more; four below it .71 to .76 and .66 to .84).
RED_EYES, LEAST_GREEN, LEAST_BLUE, WARM_SKIN = (1.05, 1.25), 0.80, 0.84, 0.70
# The darkest of a face, pupils, nostrils, lashes: this share of it, blurred by so many eye distances against noise. No
# mouth is darker than they where haze or light from behind lies on a face: where they have more than the first of
# HAZED of the skin's light, wholly so from the second on (two against a window .70 and .75, 104 others at most .54).
DARKEST, DARKEST_BLUR, HAZED = 0.003, 0.008, (0.50, 0.65)

# How far nine tenths of a face's colours lie from one colour for each light, at most, as a share of it: 60 faces from
# 0.044 on; the same ones toned by a filter 0.015, which is JPEG's doing.
TONED, COLOURED = 0.018, 0.040
LOOKED_PX = 64.0  # px for one eye distance at which that is looked at
LIGHTS = 16
# Skin around a place, sigma in eye distances; how much lighter than that it may become; and the most that may be added.
AROUND, LIGHTER, LIGHTEST = 0.08, 1.10, 0.15


@dataclass(frozen=True)
class Palette:
    """Which colours a photo has: all, or one for each light, as a black-and-white or toned one."""

    colour: float  # 1: all, 0: one for each light
    hues: np.ndarray  # (LIGHTS, 3): that one, less its light, as a share of it

    def fit(self, colours: np.ndarray) -> np.ndarray:
        """Colours (..., 3) 0..255 as this photo would have them; themselves in a coloured one."""
        if self.colour >= 1.0:
            return colours
        light = colours @ LUMA
        at = light * (LIGHTS / 256) - 0.5
        hues = np.stack([np.interp(at, np.arange(LIGHTS), hue) for hue in self.hues.T], -1)
        toned = light[..., None] * (1 + hues)
        return (toned + self.colour * (colours - toned)).astype(colours.dtype)

    def fit_texture(self, texture: np.ndarray) -> np.ndarray:
        """The same for (h, w, 4) premultiplied RGBA."""
        if self.colour >= 1.0:
            return texture
        cover = np.maximum(texture[..., 3:], 1e-3)
        return np.dstack([self.fit(texture[..., :3] / cover) * cover, texture[..., 3:]])


def measure_palette(photo: np.ndarray, landmarks: np.ndarray) -> Palette:
    """The palette of a face in a photo (H, W, 3) with landmarks (478, 3) px."""
    low = np.maximum(np.floor(landmarks[:, :2].min(0)).astype(int), 0)
    high = np.ceil(landmarks[:, :2].max(0)).astype(int)
    face = photo[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    shrink = min(1.0, LOOKED_PX / float(eye_distance(landmarks)))
    small = cv2.GaussianBlur(cv2.resize(face, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    colours = small.reshape(-1, 3)
    light = np.maximum(colours @ LUMA, 256 / LIGHTS)
    hue, bins = colours / light[:, None] - 1, np.minimum(light * (LIGHTS / 256), LIGHTS - 1).astype(int)
    seen = [k for k in range(LIGHTS) if (bins == k).sum() > 5]
    typical = np.array([np.median(hue[bins == k], 0) for k in seen])
    hues = np.stack([np.interp(np.arange(LIGHTS), seen, part) for part in typical.T], 1)
    away = np.quantile(np.abs(hue - hues[bins]).max(1), 0.9)
    return Palette(float(np.clip((away - TONED) / (COLOURED - TONED), 0, 1)), hues.astype(np.float32))


def room_for_light(crop: np.ndarray, skin_mask: np.ndarray, px: float) -> np.ndarray:
    """How much lighter skin may be shaded, a share of its light (h, w) float32: hardly more than the skin around it.

    crop (h, w, 3) uint8, `px` for one eye distance; skin_mask (h, w) uint8. What a network says of skin beside painted
    lips or in a low sun is a guess, and what it lightens too far is seen at once.
    """
    light, skin = crop.astype(np.float32) @ LUMA + 4, skin_mask.astype(np.float32) / 255
    around, known = (cv2.GaussianBlur(part, (0, 0), AROUND * px) for part in (light * skin, skin))
    return np.clip(LIGHTER * around / np.maximum(known, 1e-3) / light - 1, 0, LIGHTEST).astype(np.float32)


def measure_tones(photo: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """Colours of this face in its light, 0..255: skin, lips, and from them cavity, tongue and the teeth's white."""
    height, width = photo.shape[:2]
    reach = max(1, int(0.06 * eye_distance(landmarks)))

    def around(points: tuple[int, ...]) -> np.ndarray:
        patches = []
        for x, y in landmarks[list(points), :2].round().astype(int):
            patch = photo[max(0, y - reach) : min(height, y + reach), max(0, x - reach) : min(width, x + reach)]
            patches.append(patch.reshape(-1, 3))
        return np.median(np.concatenate(patches), 0) if patches else np.array([150.0, 110, 95])

    skin = around(CHEEKS)
    pairs = list(zip(OUTER_LIPS[12:19], INNER_LIPS[12:19], strict=True))
    middles = np.array([(landmarks[a, :2] + landmarks[b, :2]) / 2 for a, b in pairs]).round().astype(int)
    middles = middles.clip(0, (width - 1, height - 1))
    lip = np.median(photo[middles[:, 1], middles[:, 0]].astype(np.float64), 0)
    light = float(skin @ LUMA) / 255
    white = np.maximum(white_of_eyes(photo, landmarks), 4.0)
    # Teeth are as bright as the eye's white and of its colour (13 talkers' open mouths: 0.93 to 1.18 of it between lips
    # that leave 0.85 of the light; smiles of 6 others 1.12 to 1.36), which lies in the same light and shade; unless
    # brows, hair or lids keep the light from the eyes alone.
    lit = max(float(skin @ LUMA), LIPS_OF_SKIN * float(lip @ LUMA))
    told = share_of(float(white @ LUMA) / lit, *HIDDEN_EYES)
    white *= max(1.0, LEAST_OF_SKIN / (0.9 * TEETH_OF_EYES) * lit / float(white @ LUMA))
    white *= tooth_hue(white, skin)
    exposure = float(np.clip(max(white.max(), 0.7 * skin.max()) / 190, 0.04, 1.15))
    cavity = np.array([82.0, 24, 16]) * (0.35 + 0.65 * min(1.0, light / 0.62, exposure))
    lip_light = max(float(lip @ LUMA), 1.0)
    lips_share = LIPS_IN_CAVITY * float(np.clip((1 - lip_light / float(white @ LUMA)) / (1 - DARK_LIPS), 0, 1))
    cavity += lips_share * (lip * float(cavity @ LUMA) / lip_light - cavity)
    flesh = np.array([165.0, 88, 84]) * exposure * (0.45 + 0.55 * light / 0.62 / exposure)
    least = LEAST_UNTOLD + (LEAST_OF_SKIN - LEAST_UNTOLD) * told
    white *= max(1.0, least / (0.9 * TEETH_OF_EYES) * lit / float(white @ LUMA))  # the throat's light stays as it is
    brightest = float(np.clip(BRIGHTEST_OF_SKIN * float(skin @ LUMA), BRIGHTEST_TEETH, CLIPPED))
    return {
        "skin": skin.astype(np.float32),
        "lip": lip.astype(np.float32),
        "white": (min(TEETH_OF_EYES, brightest / float(white.max())) * white / 240).astype(np.float32),
        "cavity": cavity.astype(np.float32),
        "tongue": (0.5 * lip + 0.5 * flesh).astype(np.float32),
    }


def tooth_hue(white: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """What turns the colour of an eye's white into that of teeth in the same light, of the same brightness; (3,).

    white, skin (3,) RGB. Teeth are yellower than the white of an eye: never bluer than it, and in warm light never
    bluer than they are green. Where skin itself looks cool, the light is, and teeth may be as cool as skin. Eyes as red
    as skin are lids, or as red as those; neither reddens teeth.
    """
    red, green, blue = white / white[0] * (1.0, TEETH_GREEN, TEETH_BLUE)
    skin_green, skin_blue = skin[1:] / np.maximum(skin[:2], 1.0)
    doubt = 1.0 - share_of(float(white[1] / white[0] / skin_green), *RED_EYES)
    cool = min(1.0, float(skin_blue) / WARM_SKIN)
    yellow = max(blue / green, BLUE_OF_SKIN * skin_blue, doubt * LEAST_BLUE * cool**2)
    least = max(green, GREEN_OF_SKIN * skin_green)
    green = min(max(least, least + doubt * (LEAST_GREEN * cool - least)), max(MOST_GREEN, skin_green + 0.03))
    blue = min(yellow, MOST_BLUE) * green
    turned = white[0] * np.array([red, green, blue])
    return turned * float(white @ LUMA) / float(turned @ LUMA) / white


def haze_of(photo: np.ndarray, landmarks: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """The darkest colour that a face can have under haze, (3,) float64 0..255; 0 where there is none.

    photo (H, W, 3) uint8, landmarks (478, 3) px, skin (3,) 0..255.
    """
    height, width = photo.shape[:2]
    low = np.clip(np.floor(landmarks[:, :2].min(0)).astype(int), 0, (width - 1, height - 1))
    high = np.clip(np.ceil(landmarks[:, :2].max(0)).astype(int) + 1, low + 1, (width, height))
    face = photo[low[1] : high[1], low[0] : high[0]]
    mask = np.zeros(face.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(landmarks[:, :2] - low).astype(np.int32)), 1)
    soft = cv2.GaussianBlur(face, (0, 0), max(0.5, DARKEST_BLUR * float(eye_distance(landmarks))))
    colours = soft[mask > 0].astype(np.float64)
    if not len(colours):
        return np.zeros(3)
    light = colours @ LUMA
    black = colours[light <= np.quantile(light, DARKEST)].mean(0)
    return black * share_of(float(black @ LUMA) / max(float(skin @ LUMA), 1.0), *HAZED)


def white_of_eyes(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Colour of the brighter part of both sclerae, (3,) 0..255: a known white in the photo's own light."""
    found = []
    for eye in EYES:
        lids = landmarks[eye.opening, :2]
        mask = np.zeros(photo.shape[:2], np.uint8)
        cv2.fillPoly(mask, [lids.round().astype(np.int32)], 1)
        centre = landmarks[eye.iris[0], :2]
        radius = np.linalg.norm(landmarks[list(eye.iris[1:]), :2] - centre, axis=1).mean()
        cv2.circle(mask, tuple(int(value) for value in centre.round()), int(np.ceil(1.15 * radius)), 0, -1)
        found.append(photo[mask > 0].reshape(-1, 3))
    pixels = np.concatenate(found).astype(np.float64)
    if len(pixels) < 8:
        return np.array([200.0, 195, 190])
    bright = pixels.sum(1)
    return pixels[bright >= np.quantile(bright, 0.7)].mean(0)
