"""Which pixels of a photo show the person.

The network is MediaPipe's selfie segmentation (train/face/convert_mediapipe.py), which reads a square around the head
and shoulders.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.card import WEIGHTS
from engines.opening import open_session

SQUARE = 9.0  # side of what is read, eye distances
ABOVE_EYES = 2.5  # of it above the eyes
MASK_PX = 256  # input side of the segmentation


def person_mask(photo: np.ndarray, eyes: np.ndarray, scale: float) -> np.ndarray | None:
    """How likely each pixel shows a person, (H, W) float32 0..1; None where no network is shipped.

    photo (H, W, 3) uint8; eyes (2,) px: the point between them; scale: px of one eye distance. What lies beyond the
    square that is read counts as nobody.
    """
    if not (WEIGHTS / "person_mask.card.json").is_file():
        return None
    height, width = photo.shape[:2]
    side = SQUARE * scale
    corner = eyes - np.array([side / 2, ABOVE_EYES * scale])
    low = np.clip(np.floor(corner), 0, (width - 2, height - 2)).astype(int)
    high = np.clip(np.ceil(corner + side), low + 2, (width, height)).astype(int)
    here = slice(low[1], high[1]), slice(low[0], high[0])
    small = cv2.resize(photo[here], (MASK_PX, MASK_PX), interpolation=cv2.INTER_AREA)
    with open_session("person_mask") as session:
        found = session.run({"picture": small[None] / np.float32(255)})["person"][0]
        mask = np.zeros((height, width), np.float32)
        mask[here] = cv2.resize(found, (high[0] - low[0], high[1] - low[1]), interpolation=cv2.INTER_LINEAR)
    return mask
