"""Any photo with any face in it becomes a portrait that can be drawn, or is refused in one line."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import VoxcamError
from engines.generator import Generator
from engines.portrait import make_portrait
from engines.spec import MOTION_CHANNELS
from tests.painted_faces import EYES_PX, paint_face

PICTURES = {
    "as it is": lambda photo, draw: photo,
    "grey": lambda photo, draw: np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, 2),
    "dark": lambda photo, draw: photo // 20,
    "negative": lambda photo, draw: 255 - photo,
    "one colour": lambda photo, draw: np.full_like(photo, 120),
    "noise": lambda photo, draw: draw.integers(0, 256, photo.shape).astype(np.uint8),
    "barred": lambda photo, draw: np.where(np.arange(photo.shape[1])[:, None] // 7 % 2, photo, photo // 5),
}


@given(
    seed=st.integers(0, 2**16),
    eyes_px=st.floats(12.5, 140),
    angle=st.floats(-45, 45),
    place=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
    size=st.tuples(st.integers(64, 400), st.integers(64, 400)),
    opened=st.sampled_from([0.0, 0.03, 0.12]),
    picture=st.sampled_from(sorted(PICTURES)),
    jitter=st.sampled_from([0.0, 0.02, 0.06]),
)
def test_any_face_is_drawn_or_refused(
    seed: int,
    eyes_px: float,
    angle: float,
    place: tuple[float, float],
    size: tuple[int, int],
    opened: float,
    picture: str,
    jitter: float,
) -> None:
    draw = np.random.default_rng(seed)
    photo, landmarks = paint_face(opened)
    ratio = eyes_px / EYES_PX
    centre = landmarks[:, :2].mean(0)
    matrix = cv2.getRotationMatrix2D([float(value) for value in centre], angle, ratio)
    matrix[:, 2] += np.array(size) * place - centre
    photo = PICTURES[picture](cv2.warpAffine(photo, matrix, size, borderMode=cv2.BORDER_REPLICATE), draw)
    landmarks[:, :2] = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    landmarks[:, 2] *= ratio
    landmarks += draw.normal(0, jitter * eyes_px, landmarks.shape).astype(np.float32)
    generator = Generator()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # such as a mean of nothing
        try:
            portrait = make_portrait(np.ascontiguousarray(photo), landmarks)
        except VoxcamError:
            return
        for texture in (portrait.upper_teeth, portrait.lower_teeth, portrait.cavity, portrait.tongue):
            assert np.isfinite(texture).all()
        for strength in (0.0, 0.1, 0.5):
            code = draw.normal(0, strength, len(MOTION_CHANNELS)).astype(np.float32)
            assert generator.draw(code, portrait).shape == portrait.photo.shape
