"""Contact sheets of the face report: many unseen people at the same codes, and crops three times as large."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from engines.generator import Generator
from engines.portrait import Portrait
from engines.spec import MOTION_CHANNELS, SPEECH_CHANNELS
from engines.whole_file import write_atomically
from train.face.face_score import true_codes

FACES = ("rest", "half", "wide", "smile", "blink")
OTHERS = ("parted", "pucker", "gaze", "turned")
REACH = {"face": 1.7, "mouth": 0.62, "eyes": 0.80}  # of a tile, eye distances from its middle
ABOUT = {"face": 4, "mouth": 13, "eyes": 168}  # the landmark in its middle


def speech_shapes(landmarks: Path) -> dict[str, np.ndarray]:
    """Codes to look at: real speech shapes (means over GRID talkers s2 and s4), and made expressions."""
    codes = np.concatenate(
        [
            true_codes(np.load(path))
            for talker in ("s2", "s4")
            for path in sorted((landmarks / talker).glob("*.npy"))[:12]
        ]
    )
    codes[:, len(SPEECH_CHANNELS) - 3 :] = 0

    def near(opening: float) -> np.ndarray:
        return codes[np.abs(codes[:, 0] - opening).argsort()[:40]].mean(0)

    def code(**values: float) -> np.ndarray:
        made = np.zeros(len(MOTION_CHANNELS), np.float32)
        for name, value in values.items():
            made[MOTION_CHANNELS.index(name)] = value
        return made

    smile = code(
        mouthSmileLeft=0.08, mouthSmileRight=0.08, mouthStretch=0.15, jawOpen=0.07, mouthOpenSide=0.055,
        mouthFunnel=-0.04, mouthUpperUp=0.035, mouthLowerDown=0.02, jawDrop=0.02, eyeSquint=0.5,
    )  # fmt: skip
    return {
        "rest": code(),
        "parted": near(0.06),
        "half": near(0.14),
        "wide": near(0.24),
        "smile": smile,
        "pucker": codes[np.argsort(codes[:, SPEECH_CHANNELS.index("mouthStretch")])[:40]].mean(0),
        "blink": code(eyeBlinkLeft=1, eyeBlinkRight=1),
        "gaze": code(eyeLookX=0.25, eyeLookY=0.05),
        "tongue": near(0.20) + code(tongueUp=1),
        "turned": near(0.14) + code(headYaw=0.12, headPitch=0.05, headRoll=0.05),
    }


def draw_row(
    portrait: Portrait,
    codes: list[np.ndarray],
    generator: Generator,
    tile_px: int,
    part: str = "face",
    photo: np.ndarray | None = None,
) -> np.ndarray:
    """The photo, then every code, side by side; (tile, tile * (1 + codes), 3). part: face, mouth, eyes.

    photo: as it was given, where a portrait's own has no smile's folds any more.
    """
    zoom = tile_px / 2 / (REACH[part] * float(portrait.scale[0]))
    x, y = portrait.landmarks[ABOUT[part], :2]
    matrix = np.array([[zoom, 0, tile_px / 2 - x * zoom], [0, zoom, tile_px / 2 - y * zoom]])
    tiles = []
    for picture in (portrait.photo if photo is None else photo, *(generator.draw(code, portrait) for code in codes)):
        if zoom < 1:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.4 / zoom)
        tiles.append(cv2.warpAffine(picture, matrix, (tile_px, tile_px), None, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE))
    return np.hstack(tiles)


def draw_sheet(
    portraits: list[Portrait],
    codes: list[np.ndarray],
    generator: Generator,
    tile_px: int,
    part: str = "face",
    beside: int = 1,
    photos: Sequence[np.ndarray | None] | None = None,
) -> np.ndarray:
    """`beside` people a row, each as `draw_row`; what is missing in the last row is white."""
    given = photos or [None] * len(portraits)
    rows = [
        draw_row(portrait, codes, generator, tile_px, part, photo)
        for portrait, photo in zip(portraits, given, strict=True)
    ]
    rows += [np.full_like(rows[0], 255)] * (-len(rows) % beside)
    return np.vstack([np.hstack(rows[k : k + beside]) for k in range(0, len(rows), beside)])


def sized(
    photo: np.ndarray, landmarks: np.ndarray, face_px: float, picture: tuple[int, int] = (1280, 720)
) -> tuple[np.ndarray, np.ndarray]:
    """A photo and its landmarks (478, 3) px, put into a picture (width, height).

    The face is `face_px` high from hairline to chin.
    """
    zoom = face_px / face_height(landmarks)
    middle = landmarks[4, :2]
    matrix = np.array([[zoom, 0, picture[0] / 2 - zoom * middle[0]], [0, zoom, 0.53 * picture[1] - zoom * middle[1]]])
    points = landmarks * zoom
    points[:, :2] += matrix[:, 2]
    matrix[:, 2] += 0.5 * zoom - 0.5  # OpenCV counts from pixels' centres
    flags = cv2.INTER_CUBIC if zoom > 0.7 else cv2.INTER_AREA
    soft = cv2.GaussianBlur(photo, (0, 0), 0.45 / zoom) if zoom < 0.7 else photo
    return cv2.warpAffine(soft, matrix, picture, None, flags, cv2.BORDER_REPLICATE), points


def face_height(landmarks: np.ndarray) -> float:
    """From hairline to chin, px."""
    return float(np.ptp(landmarks[[10, 152], 1]))


def write_jpeg(path: Path, picture: np.ndarray, quality: int) -> None:
    """(H, W, 3) uint8 RGB, beside and renamed."""
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    write_atomically(path, data.tobytes())
