"""A person's own teeth are lifted from a photo as they are, and continued where a lip hides them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.drawing.geometry import head_rotation
from engines.drawing.mouth import SEEN_ARCH, TEETH_LEFT, TEETH_PX, along_arch
from engines.face.dentition import (
    Teeth,
    complete_row,
    fit_row,
    hang_row,
    lift_teeth,
    match_gaps,
    settle_on_edge,
    slant_of,
    softness_of,
    span_of,
    upper_ends,
)
from engines.face.measure import canonical_face
from engines.face.tooth_rows import (
    WIDTH_PX,
    bow_of,
    learned_edge,
    learned_gaps,
    learned_teeth,
    texture_places,
)
from engines.face_points import INNER_LIPS, LOWER_SEAM, UPPER_SEAM
from engines.portrait import place_teeth

INNER = slice(45, 185)  # columns of the inner teeth


@pytest.fixture(scope="module")
def row() -> np.ndarray:
    return learned_teeth()


def test_lines_between_own_teeth_and_their_edges_are_kept() -> None:
    columns, first = np.arange(55, 175), np.full(120, 14)
    edge = bow_of(columns) - bow_of(columns).max() + 36
    seen = np.full((80, WIDTH_PX, 3), 40.0, np.float32)
    for k, bottom in zip(columns, edge, strict=True):
        seen[12:bottom, k] = (232, 226, 212) if (k - 115) % 24 > 1 else (190, 182, 172)
    settled = settle_on_edge(seen.mean(2), columns, edge + np.random.default_rng(0).integers(-2, 4, 120), 1.5)
    assert np.abs(settled - edge)[2:-2].mean() < 1.5
    fit = fit_row(seen, columns, first, settled, 1.5)
    row, shown = hang_row(seen, columns, first, settled, fit, 0, 1.5)
    seam, tooth = row[18:24, 115, 1].mean(), row[18:24, 125, 1].mean()
    assert seam < 0.88 * tooth
    assert row[2, 115, 1] < 0.95 * row[2, 125, 1]  # it goes on above what is seen
    assert (row[int(settled.max()) + 4 :, :, 3] < 0.05).all()
    assert row[5 : int(settled.min()) - 3, 60:170, 3].min() > 0.95
    assert shown[20, 60:170].min() > 0.95
    assert shown[2].max() < 0.2  # a guess


def test_lower_teeth_close_behind_are_not_hung_on_upper_ones() -> None:
    """Where the dark line between them was missed the row was first found to end at the lip."""
    columns = np.arange(55, 175)
    edge = bow_of(columns) - bow_of(columns).max() + 36
    score = np.full((90, WIDTH_PX), 90.0, np.float32)
    for k, bottom in zip(columns, edge, strict=True):
        score[12:bottom, k], score[bottom : bottom + 2, k], score[bottom + 2 : bottom + 12, k] = 220, 185, 212
    found = np.where(np.abs(columns - 120) < 25, edge + 12, edge)
    assert np.abs(settle_on_edge(score, columns, found, 1.5) - edge)[4:-4].max() < 3


def test_a_piece_of_lip_does_not_hang_from_a_tooth() -> None:
    columns = np.arange(55, 175)
    edge = bow_of(columns) - bow_of(columns).max() + 36
    score = np.full((90, WIDTH_PX), 90.0, np.float32)
    for k, bottom in zip(columns, edge, strict=True):
        score[12 : bottom + (9 if 130 <= k < 140 else 0), k] = 220
    found = np.where((columns >= 130) & (columns < 140), edge + 9, edge)
    assert np.abs(settle_on_edge(score, columns, found, 1.5) - edge)[4:-4].max() < 3


def test_lines_between_own_teeth_are_found_where_they_are() -> None:
    """Teeth a tenth wider than the learned ones, one line too faint to see."""
    columns, gaps = np.arange(30, 200), np.array([31, 54, 78, 115, 151, 176, 198])
    own = np.round(116 + 1.08 * (gaps - 115)).astype(int)
    light = np.full(len(columns), 200.0)
    for gap in own[[1, 2, 3, 5]]:
        light[np.abs(columns - gap) <= 1] = 160
    at = match_gaps(light, columns, gaps)
    assert (np.diff(at) > 0).all()
    for k in (1, 2, 3, 5):
        assert abs(at[own[k] - columns[0]] - gaps[k]) <= 1
    assert abs(at[own[4] - columns[0]] - gaps[4]) < 4  # a tooth as wide as a learned one


def hung(necks: bool) -> tuple[np.ndarray, np.ndarray]:
    """A row of teeth hung from a strip that a lip leaves, or from all up to their necks; rows seen, from and to."""
    columns = np.arange(45, 185)
    edge = bow_of(columns) - bow_of(columns).max() + 60
    gaps = np.array([54, 78, 115, 151, 176])
    near = np.abs(columns[:, None] - gaps).min(1)
    first = edge - 38 - np.minimum(near, 6) if necks else edge - 16
    seen = np.zeros((90, WIDTH_PX, 3), np.float32)
    seen[:] = (150, 90, 85)
    for k, top, bottom, gap in zip(columns, first, edge, near, strict=True):
        seen[top:bottom, k] = (190, 182, 172) if gap <= 1 else (232, 226, 212)
    edges = edge.astype(np.float32)
    row, _ = hang_row(seen, columns, first, edges, fit_row(seen, columns, first, edges, 1.5), 0, 1.5)
    return row, np.array([np.median(first), np.median(edge)])


def test_crowns_go_on_behind_the_lip_up_to_their_gums() -> None:
    row, (first, edge) = hung(necks=False)
    teeth = np.r_[86:108, 123:144]  # the middle of both incisors
    seen = row[int(edge) - 9 : int(edge) - 4, teeth, :3].mean((0, 1))
    for y in range(int(edge) - 32, int(first) + 4):
        here = row[y, teeth, :3].mean(0)
        assert np.abs(here / seen - 1).max() < 0.12, y  # no edge where the lip was
    assert row[int(first) - 10, 115, 1] < 0.95 * row[int(first) - 10, teeth, 1].mean()  # two teeth, not one band
    gum = row[2:6, teeth, :3].mean((0, 1))
    assert gum[1] / gum[0] < 0.9 * seen[1] / seen[0]


def test_gums_that_are_seen_stay_where_they_are() -> None:
    row, (_, edge) = hung(necks=True)
    teeth = np.r_[92:102, 128:138]
    red = row[:, teeth, 1].mean(1) / np.maximum(row[:, teeth, 0].mean(1), 1)
    necks = np.flatnonzero(red[: int(edge) - 10] < 0.93).max()
    assert abs(necks - (edge - 44)) < 6


def smile(blur_px: float, disturbed: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """What lift_teeth takes: teeth as learned between open lips, blurred; `disturbed`: a piece of the lower lip
    lies over one side's and lower teeth touch the other's."""
    scale, middle = 176.0, np.array([320.0, 240.0])
    aligned = canonical_face().astype(np.float64)
    lips = aligned[list(INNER_LIPS)]
    angle = np.pi * np.arange(len(lips)) / 10
    lips[:, :2] = lips[:, :2].mean(0) + np.stack([-0.36 * np.cos(angle), -0.09 * np.sin(angle)], 1)
    aligned[list(INNER_LIPS)] = lips
    y, x = np.mgrid[:480, :640]
    x, y = (x - middle[0]) / scale - lips[:, 0].mean(), (y - middle[1]) / scale - lips[:, 1].mean()
    edge = np.interp(x, texture_places()[0][0], (learned_edge() - learned_edge()[WIDTH_PX // 2]) / TEETH_PX) + 0.03
    if disturbed:
        edge = edge + 0.025 * (np.abs(x - 0.12) < 0.04) - 0.03 * (np.abs(x + 0.17) < 0.05)
    columns = np.clip(((x - TEETH_LEFT) * TEETH_PX).astype(int), 0, WIDTH_PX - 1)
    lines = np.abs(columns[..., None] - learned_gaps()).min(-1) < 2
    inside = (x / 0.36) ** 2 + (y / 0.09) ** 2 < 1
    photo = np.full((480, 640, 3), (205, 150, 130), np.float32)
    photo[inside] = (60, 25, 25)
    photo[inside & (y < edge)] = (228, 218, 202)
    photo[inside & (y < edge) & lines] = (170, 158, 145)
    photo = cv2.GaussianBlur(photo, (0, 0), blur_px)
    landmarks = scale * aligned + np.array([*middle, 0.0])
    return photo.astype(np.uint8), landmarks, aligned, np.eye(3), scale


def edge_of(texture: np.ndarray) -> np.ndarray:
    """Row px where the teeth of a texture end, by column of the inner ones."""
    return texture[:, INNER, 3].sum(0)


def test_each_tooth_of_a_soft_photo_ends_in_one_round_edge() -> None:
    """Lower teeth and lips that touch upper ones tore their edges: fangs, steps, stubs."""
    plain, torn = (lift_teeth(*smile(2.0, disturbed)) for disturbed in (False, True))
    assert plain is not None
    assert torn is not None
    moved = edge_of(torn.texture) - edge_of(plain.texture)
    assert np.ptp(moved) < 4  # by the levels of single teeth
    assert np.abs(np.diff(moved)).max() < 1  # and smoothly
    beside = edge_of(torn.texture) - learned_edge()[INNER]
    assert np.abs(beside - np.median(beside)).max() < 4.5  # between soft teeth notches are shallower


def test_what_is_seen_of_sharp_teeth_is_kept() -> None:
    """A chipped tooth has its own edge."""
    plain, chipped = (lift_teeth(*smile(0.6, disturbed)) for disturbed in (False, True))
    assert plain is not None
    assert chipped is not None
    shorter = edge_of(plain.texture) - edge_of(chipped.texture)
    middle = round((-0.17 - TEETH_LEFT) * TEETH_PX) - INNER.start
    assert shorter[middle - 4 : middle + 5].mean() > 4


def test_softness_follows_blur_and_not_the_number_of_pixels() -> None:
    for blur_px, least, most in ((0.6, 0.0, 0.1), (2.0, 0.8, 1.0)):
        mouth = smile(blur_px)[0][417:456, 239:401, 1]
        larger = cv2.resize(mouth, None, fx=256 / 176, fy=256 / 176, interpolation=cv2.INTER_CUBIC)
        assert least <= softness_of(larger) <= most


def test_a_slit_in_the_mask_makes_no_hole_in_the_row() -> None:
    row = np.zeros((60, WIDTH_PX), bool)
    row[10:40, 60:180] = True
    row[:, 140:143] = False
    row[10:40, 195:199] = True  # a sliver
    columns, first, bottom = span_of(row)
    np.testing.assert_array_equal(columns, np.arange(60, 180))
    assert (first == 10).all()
    assert (bottom == 39).all()


def test_lower_teeth_are_cut_off_and_lines_between_teeth_are_not_followed():
    light = np.full((90, WIDTH_PX), 40.0, np.float32)
    light[20:50] = 220  # upper teeth
    light[54:75] = 210  # lower ones, behind a dark line
    light[20:50, 113:116] = 120  # between two upper teeth
    columns = np.arange(55, 175)
    first, bottom = np.full(120, 20), np.full(120, 74)
    ends = upper_ends(light, columns, first, bottom)
    assert ends.min() >= 40
    assert ends.max() <= 52


def test_a_row_cut_at_both_ends_is_continued(row):
    own = row * np.array([0.8, 0.75, 0.7, 1.0], np.float32)
    cut = own.copy()
    cut[:, :60], cut[:, -60:] = 0, 0
    whole = complete_row(cut, row)
    seen = row[..., 3] > 0.9
    assert np.abs(whole[..., :3] - own[..., :3])[seen].mean() < 4
    np.testing.assert_array_equal(whole[:, 90:140], cut[:, 90:140])


def test_the_row_bends_back_when_the_head_turns():
    assert slant_of(head_rotation(0, 0, 0.2)) == pytest.approx((0, 0), abs=1e-9)  # seen from the front
    slant = float(slant_of(head_rotation(0, 0.3, 0))[0])
    for tooth in (-0.3, -0.1, 0.0, 0.1, 0.2):
        assert along_arch(tooth + slant * SEEN_ARCH * tooth**2, slant) == pytest.approx(tooth, abs=1e-6)
        assert along_arch(tooth, 0.0) == pytest.approx(tooth)
    far, near = (abs(along_arch(sign * 0.08, slant)) for sign in (-np.sign(slant), np.sign(slant)))
    assert far > 0.08 > near  # the far side is drawn together
    assert along_arch(-np.sign(slant) * 1.0, slant) > 1  # behind the bend there is nothing


def test_lower_teeth_go_with_the_upper_ones_that_a_photo_shows(row):
    """They had the colour of what was found of the eyes: grey ones below yellow ones, bluish ones of blue eyes."""
    rest = canonical_face().astype(np.float64)
    tones = {"white": np.array([0.5, 0.55, 0.7]), "skin": np.array([180.0, 130, 110])}
    line = (rest[UPPER_SEAM[5]] + rest[LOWER_SEAM[5]]) / 2
    whole = row[..., 3]
    own = np.dstack([whole[..., None] * np.array([216.0, 192, 144], np.float32), whole])

    def lower_colour(shown: np.ndarray) -> np.ndarray:
        teeth = Teeth(own, shown, np.array([0.0, line[1] + 0.04, line[2]]), np.zeros(2))
        texture = place_teeth(teeth, rest, np.zeros(30), tones, TEETH_PX, 0.0)[1]
        return np.median(texture[texture[..., 3] > 0.95][:, :3], 0)

    red, green, blue = lower_colour(whole)
    assert green / red == pytest.approx(192 / 216, abs=0.02)
    assert blue / green == pytest.approx(144 / 192, abs=0.02)
    sliver = np.where(np.arange(len(whole))[:, None] == 50, whole, 0)  # in the lip's shade
    red, green, blue = lower_colour(sliver)
    assert blue > green > red
