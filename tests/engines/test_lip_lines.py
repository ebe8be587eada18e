"""Inner lips end where the photo has them, though the landmarks are a few pixels off."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.face.lip_lines import LIP_RIM, inside_shows, outer_lips, refine_lips
from engines.face.measure import canonical_face
from engines.face_points import LOWER_SEAM, OUTER_LIPS, UPPER_SEAM

EYES_PX = 120.0
SIZE_PX = 480
LIP, TEETH, DARK = (170, 90, 92), (232, 226, 212), (40, 20, 20)
ACROSS = np.array([0.0, 1.0])
INNER = slice(2, -2)  # near the corners the landmarks rule


def paint_lips(opened: float, inside: tuple[int, int, int] = TEETH, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Lips that stand `opened` eye distances apart, with something between them; the photo and its true landmarks."""
    face = canonical_face().astype(np.float64)
    middle = (face[list(UPPER_SEAM), 1] + face[list(LOWER_SEAM), 1]) / 2
    arch = np.sin(np.linspace(0, np.pi, len(UPPER_SEAM)))
    face[list(UPPER_SEAM), 1] = middle - 0.5 * opened * arch
    face[list(LOWER_SEAM), 1] = middle + 0.5 * opened * arch
    landmarks = face * EYES_PX + (SIZE_PX / 2, 0.36 * SIZE_PX, 0)
    grain = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 20, (SIZE_PX, SIZE_PX, 3)), (0, 0), 1.5)
    photo = np.array([196, 150, 128]) + grain

    def polygon(points: list[int], colour: tuple[int, int, int]) -> None:
        whole = np.round((landmarks[points, :2] - 0.5) * 16).astype(np.int32)
        mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
        cv2.fillPoly(mask, [whole], 255, cv2.LINE_AA, 4)
        share = mask[..., None] / 255
        photo[:] = photo * (1 - share) + share * (np.array(colour) + 0.3 * grain)

    polygon(list(OUTER_LIPS), LIP)
    polygon([*UPPER_SEAM, *LOWER_SEAM[-2:0:-1]], inside)
    if not opened:
        line = np.round((landmarks[list(UPPER_SEAM), :2] - 0.5) * 16).astype(np.int32)
        cv2.polylines(photo, [line], False, DARK, 2, cv2.LINE_AA, 4)
    return np.clip(photo, 0, 255).astype(np.uint8), landmarks


def refine(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    centred = landmarks - (0.5, 0.5, 0)  # as engines/portrait.py has them: OpenCV counts from pixels' centres
    return refine_lips(photo, centred, landmarks / EYES_PX, np.eye(3), EYES_PX) + np.array([0.5, 0.5, 0])


def lines(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return landmarks[list(UPPER_SEAM), :2], landmarks[list(LOWER_SEAM), :2]


@pytest.mark.parametrize("inside", [TEETH, DARK])
@pytest.mark.parametrize("wrong_px", [(-3.5, 3.5), (3.0, 3.0), (-3.0, -3.0)])
def test_an_open_mouths_edges_are_found(inside: tuple[int, int, int], wrong_px: tuple[float, float]) -> None:
    photo, truth = paint_lips(0.12, inside)
    read = truth.copy()
    for seam, wrong in zip((UPPER_SEAM, LOWER_SEAM), wrong_px, strict=True):
        read[list(seam), 1] += wrong * np.sin(np.linspace(0, np.pi, len(seam))) ** 0.5
    found = refine(photo, read)
    for line, true, outward in zip(lines(found), lines(truth), (-1, 1), strict=True):
        beyond = outward * (line - true)[INNER, 1]
        assert beyond.min() > 0.3  # without: -3
        assert beyond.max() < 2 * LIP_RIM * EYES_PX + 2.2  # without: 5.4


def test_a_slit_keeps_no_teeth_on_its_lips() -> None:
    photo, truth = paint_lips(0.05)
    read = truth.copy()
    read[list(UPPER_SEAM), 1] += 1.2 * np.sin(np.linspace(0, np.pi, len(UPPER_SEAM)))  # FaceMesh sees half of it
    read[list(LOWER_SEAM), 1] -= 1.2 * np.sin(np.linspace(0, np.pi, len(LOWER_SEAM)))
    (upper, lower), (true_upper, true_lower) = lines(refine(photo, read)), lines(truth)
    assert ((true_upper - upper)[INNER, 1] > -0.4).all()
    assert ((lower - true_lower)[INNER, 1] > -0.4).all()


def test_a_shut_mouths_lines_meet_on_the_dark_line_and_flesh_follows() -> None:
    photo, truth = paint_lips(0.0)
    read = truth.copy()
    mouth = np.abs(read[:, 1] - read[13, 1]) < 0.15 * EYES_PX
    read[mouth, 1] += 3.0
    found = refine(photo, read)
    upper, lower = lines(found)
    np.testing.assert_array_equal(upper, lower)
    assert np.abs(upper - lines(truth)[0])[INNER, 1].mean() < 0.8
    assert (found[0, 1] - read[0, 1]) < -0.5  # the upper lip's outer edge goes along, and less
    assert np.abs(found[[10, 152]] - read[[10, 152]]).max() == 0


def shade_upper_lip(photo: np.ndarray, truth: np.ndarray) -> None:
    """Its lower half darkens to 0.6 of its light and reddens, as under light from above."""
    upper, _ = lines(truth)
    top, _ = outer_lips(truth)
    rows, columns = np.indices(photo.shape[:2])
    above, below = (np.interp(columns, line[:, 0], line[:, 1]) for line in (top, upper))
    depth = (rows + 0.5 - above) / np.maximum(below - above, 1)
    part = np.where((depth > 0) & (depth < 1), np.clip(2 * depth - 1, 0, 1), 0)[..., None]
    photo[:] = photo * (1 - part * np.array([0.35, 0.45, 0.45]))


def test_a_shaded_lip_is_no_slit() -> None:
    photo, truth = paint_lips(0.0)
    shade_upper_lip(photo, truth)
    read = truth.copy()
    read[list(UPPER_SEAM), 1] -= 3.6 * np.sin(np.linspace(0, np.pi, len(UPPER_SEAM)))  # FaceMesh sees .03
    upper, lower = lines(refine(photo, read))
    np.testing.assert_array_equal(upper, lower)
    assert np.abs(upper - lines(truth)[0])[INNER, 1].mean() < 1.0


@pytest.mark.parametrize("inside", [TEETH, DARK])
def test_a_slit_takes_nothing_of_a_shaded_lip(inside: tuple[int, int, int]) -> None:
    photo, truth = paint_lips(0.05, inside)
    shade_upper_lip(photo, truth)
    upper, _ = lines(refine(photo, truth))
    beyond = (lines(truth)[0] - upper)[INNER, 1]
    assert beyond.min() > -0.4
    assert beyond.max() < 2 * LIP_RIM * EYES_PX + 0.8


def test_what_shows_between_lips_is_told_from_their_dark_line() -> None:
    for opened, inside, shown in ((0.03, TEETH, True), (0.03, DARK, True), (0.0, DARK, False)):
        photo, truth = paint_lips(opened, inside)
        lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)
        assert inside_shows(lab, lines(truth), outer_lips(truth), ACROSS, EYES_PX) == shown
