"""Who is in the photo, and what goes with the head and with the torso."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.drawing.ground import HAIR_TO, share_ground
from engines.drawing.warp import GRID_PX
from engines.face.measure import canonical_face
from engines.face.person import person_mask
from engines.face_points import FACE_OVAL
from engines.generator import Generator
from engines.portrait import Portrait, make_portrait
from tests.painted_faces import code

PHOTO = Path(__file__).parents[1] / "data" / "face.jpg"
LEAN = {"headX": 0.05, "headY": -0.03}
EYES_PX, SIZE = 40.0, (480, 400)
EYES = np.array([200.0, 160.0, 0.0])  # px of the point between them in what follows


def shares_of(mask: np.ndarray | None) -> np.ndarray:
    """Shares of a face that looks straight ahead, its eyes at EYES; head, torso, depth."""
    outline = canonical_face()[list(FACE_OVAL)].astype(np.float64)
    return share_ground(SIZE, mask, outline, np.eye(3), EYES_PX, EYES)


def at(x: float, y: float) -> tuple[int, int]:
    """Row and column of a place in eye distances from the point between the eyes."""
    return round(EYES[1] + y * EYES_PX), round(EYES[0] + x * EYES_PX)


def person(hair: float = 0.3) -> np.ndarray:
    """A mask: an egg of a head, hair so far around it (eye distances), neck and shoulders."""
    mask = np.zeros(SIZE, np.float32)
    row, column = at(0, 0.1)
    cv2.ellipse(mask, (column, row), (int((1.1 + hair) * EYES_PX), int((1.6 + hair) * EYES_PX)), 0, 0, 360, 1, -1)
    (top, left), (bottom, right) = at(-0.7, 0), at(0.7, 4)
    mask[top:bottom, left:right] = 1  # the neck
    row, column = at(0, 5.5)
    cv2.ellipse(mask, (column, row), (int(3.2 * EYES_PX), int(3.2 * EYES_PX)), 0, 0, 360, 1, -1)
    return mask


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    """A woman before a wall."""
    return make_portrait(cv2.imread(str(PHOTO))[..., ::-1].copy())


def test_a_person_is_told_from_the_wall(portrait: Portrait) -> None:
    mask = person_mask(portrait.photo, portrait.translation[:2], float(portrait.scale[0]))
    assert mask is not None
    assert mask.shape == portrait.size
    x, y = portrait.landmarks[:468, :2].astype(int).T
    assert mask[y, x].mean() > 0.95
    assert mask[:20, :20].max() < 0.1, "the wall in the corner"
    assert mask[-10:, portrait.size[1] // 2].mean() > 0.9, "the chest"


def test_a_face_at_the_edge_is_read_in_what_there_is(portrait: Portrait) -> None:
    corner = person_mask(portrait.photo[:40, :40], np.array([0.0, 0.0]), 20.0)
    assert corner is not None
    assert corner.shape == (40, 40)


def test_no_mask_where_no_network_is_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("engines.face.person.WEIGHTS", tmp_path)
    assert person_mask(np.zeros((40, 40, 3), np.uint8), np.array([20.0, 20.0]), 10.0) is None


def test_hair_goes_with_the_head_as_far_as_it_reaches() -> None:
    short, long = (shares_of(person(hair))[..., 0] for hair in (0.0, 0.6))
    for place in ((0, -2.0), (1.5, 0.2), (-1.5, 0.2)):
        assert long[at(*place)] == pytest.approx(1, abs=0.02)
        assert short[at(*place)] < 0.7
    assert shares_of(person(0.0))[at(0, 0.5)][0] == pytest.approx(1), "the face"


def test_what_is_far_from_the_face_is_no_hair() -> None:
    mask = person()
    mask[:, 340:] = 1  # somebody beside, from top to bottom
    mask[at(0, 0.1)[0] :][:20, 200:] = 1  # and an arm around
    assert shares_of(mask)[at(HAIR_TO + 0.8, 0.1)][0] == 0


def test_between_head_and_torso_nothing_is_left_behind() -> None:
    """Down the middle what goes with either adds up: a neck lags behind neither."""
    head, torso = shares_of(person())[at(0, -0.5)[0] : at(0, 3.5)[0], round(EYES[0]), :2].T
    assert head[0] == pytest.approx(1)
    assert torso[0] == 0
    assert head[-1] == 0
    assert (np.diff(head) <= 1e-6).all()
    assert (np.diff(head + torso) <= 1e-6).all(), "never more than above"
    assert (head + torso).min() > 0.55
    assert np.abs(np.diff(head)).max() < 0.05, "no step"


def test_shoulders_beside_the_chin_are_no_hair() -> None:
    """A head turns, and the cloth beside it stays with the torso; hair that hangs there goes along."""
    high = person()
    row, column = at(0, 4.4)
    cv2.ellipse(high, (column, row), (int(3.2 * EYES_PX), int(3.2 * EYES_PX)), 0, 0, 360, 1, -1)
    long = person()
    (top, left), (bottom, right) = at(-1.7, -0.5), at(1.7, 1.9)
    long[top:bottom, left:right] = 1
    place = at(1.6, 1.75)
    assert high[place] == long[place] == 1
    cloth, hair = (shares_of(mask)[place] for mask in (high, long))
    assert cloth[0] < 0.4
    assert cloth[1] > 0.6
    assert hair[0] > 0.6


def test_a_hat_that_the_mask_misses_goes_along() -> None:
    mask = person(0.2)
    mask[: at(0, -0.75)[0]] = 0
    assert shares_of(mask)[at(0, -1.6)][0] > 0.5


def test_the_wall_stays() -> None:
    shares = shares_of(person())
    for place in ((-4.5, -2.0), (4.5, 0.0), (-4.0, 2.0), (4.0, 1.9)):
        assert not shares[at(*place)][:2].any()


@pytest.mark.parametrize("mask", [None, np.zeros(SIZE, np.float32)], ids=["no mask", "another's mask"])
def test_without_a_mask_hair_is_guessed_and_no_torso_leans(mask: np.ndarray | None) -> None:
    head, torso = shares_of(mask)[..., :2].transpose(2, 0, 1)
    assert not torso.any()
    assert head[at(0, 0.5)] == pytest.approx(1)
    assert head[at(0, -1.4)] > 0.7
    assert head[at(0, -2.9)] == 0
    assert head[at(2.4, 0.3)] == 0


def test_shoulders_carry_the_head(portrait: Portrait) -> None:
    """What is drawn below the neck is the photo, as far away as its share of the lean says."""
    picture = Generator().draw(code(**LEAN), portrait)
    x0, y0, x1, y1 = portrait.box
    large = cv2.resize(portrait.ground, None, fx=GRID_PX, fy=GRID_PX, interpolation=cv2.INTER_LINEAR)
    head, torso, _ = large[: y1 - y0, : x1 - x0].transpose(2, 0, 1)
    way = float(portrait.scale[0]) * portrait.rotation[:2, :2] @ np.array(list(LEAN.values()))
    grid_y, grid_x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    fetched = (grid_x - torso * np.float32(way[0]), grid_y - torso * np.float32(way[1]))
    wanted = cv2.remap(portrait.photo, *fetched, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(int)
    drawn, still = (each[y0:y1, x0:x1].astype(int) for each in (picture, portrait.photo))
    chest = (head == 0) & (torso > 0.3)
    chest[-20:] = chest[:, :30] = chest[:, -30:] = False  # at the picture's edge what lies there is stretched
    assert chest.sum() > 2000
    off, before = (np.abs(each - wanted).mean(2)[chest].mean() for each in (drawn, still))
    assert off < 0.2 * before


def test_a_turning_head_leaves_the_torso_alone(portrait: Portrait) -> None:
    picture = Generator().draw(code(headYaw=0.09, headRoll=0.05, jawOpen=0.2), portrait)
    y0 = portrait.box[1]
    last = y0 + GRID_PX * int(np.flatnonzero(portrait.ground[..., 0].any(1))[-1] + 2)
    assert last < portrait.size[0] - 20
    assert np.array_equal(picture[last:], portrait.photo[last:])


def test_a_still_head_moves_nothing_around_the_face(portrait: Portrait) -> None:
    generator = Generator()
    generator.draw(code(headX=0.05), portrait)
    picture = generator.draw(code(jawOpen=0.1, browInnerUp=0.05), portrait)
    assert not generator.scratch_of(portrait).maps.ground.any()
    last = int(portrait.source[:, 1].max()) + GRID_PX
    assert np.array_equal(picture[last:], portrait.photo[last:])


def test_faces_and_ground_meet_without_a_seam(portrait: Portrait) -> None:
    """As the head goes sideways every pixel from the brows to the crown goes as far."""
    generator = Generator()
    generator.draw(code(headX=0.04), portrait)
    maps = generator.scratch_of(portrait).maps
    x, top = portrait.landmarks[10, :2]
    brow = portrait.landmarks[9, 1]
    rows = slice(
        int((top - 0.2 * portrait.scale[0] - maps.corner[1]) / GRID_PX), int((brow - maps.corner[1]) / GRID_PX)
    )
    went = -maps.shift[rows, int((x - maps.corner[0]) / GRID_PX), 0]
    assert went.min() > 0.9 * went.max()


def test_a_portrait_without_ground_is_refused(portrait: Portrait, tmp_path: Path) -> None:
    from engines.errors import EngineMismatch

    replace(portrait, ground=portrait.ground[:, :-1]).save(tmp_path / "me.npz")
    with pytest.raises(EngineMismatch, match="damaged"):
        Portrait.load(tmp_path / "me.npz")
