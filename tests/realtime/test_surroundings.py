"""What lies beside a narrow photo in a wide picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime.pictures import surroundings
from realtime.pictures.surroundings import Grain, cut_by_edge, fall_of, go_on, soften, surround

SHIRT, WALL, SKIN = (20, 60, 200), (170, 165, 160), (200, 150, 120)
UNIT = 50


def person_before_a_wall(
    monkeypatch: pytest.MonkeyPatch, noise: float = 3.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo 300 px wide and 360 high whose shirt touches both edges, its landmarks, and where the person is."""
    mask = np.zeros((360, 300), np.uint8)
    cv2.ellipse(mask, (150, 150), (60, 85), 0, 0, 360, 1, -1)
    cv2.fillPoly(mask, [np.array([(110, 220), (190, 220), (300, 270), (300, 360), (0, 360), (0, 270)])], 2)
    photo = np.array([WALL, SKIN, SHIRT])[mask] + np.random.default_rng(1).normal(0, noise, (360, 300, 3))
    angles = np.linspace(0, 2 * np.pi, 478)
    landmarks = np.stack([150 + 40 * np.cos(angles), 150 + 60 * np.sin(angles), 0 * angles], 1)
    landmarks[1, :2], landmarks[152, :2] = (150, 150), (150, 215)
    monkeypatch.setattr(surroundings, "eye_distance", lambda _: UNIT)
    monkeypatch.setattr(surroundings, "person_mask", lambda *_: (mask > 0).astype(np.float32))
    return photo.clip(0, 255).astype(np.uint8), landmarks.astype(np.float32), mask > 0


def before_leaves(photo: np.ndarray, person: np.ndarray, restless: float = 30) -> np.ndarray:
    """The photo with something restless behind the person."""
    leaves = np.random.default_rng(2).normal(0, restless, photo.shape)
    return np.where(person[..., None], photo, (photo + leaves).clip(0, 255)).astype(np.uint8)


def test_a_shirt_falls_off_and_does_not_run_into_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, _ = person_before_a_wall(monkeypatch)
    made = surround(photo, 640, 170, landmarks).astype(float)
    assert np.abs(made[320:, :20].mean((0, 1)) - WALL).max() < 8  # it was blue from end to end
    assert np.abs(made[320:, -20:].mean((0, 1)) - WALL).max() < 8
    for beside in (160, 479):
        assert np.abs(made[330:350, beside].mean(0) - SHIRT).max() < 25  # the shoulder goes on
    blue = (made[..., 2] - made[..., 0] > 80).sum(0)  # rows of shirt in each column: fewer and fewer
    smooth = np.convolve(blue[470:], np.ones(9) / 9, "valid")
    assert (np.diff(smooth) < 0.6).all()


def test_the_person_stays_and_the_same_comes_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, person = person_before_a_wall(monkeypatch)
    made = surround(photo, 640, 170, landmarks)
    assert np.array_equal(made[:, 170:470][person], photo[person])
    assert np.array_equal(made, surround(photo, 640, 170, landmarks))


def test_a_photo_in_which_nobody_was_found_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, _ = person_before_a_wall(monkeypatch)
    monkeypatch.setattr(surroundings, "person_mask", lambda *_: None)
    assert np.array_equal(surround(photo, 640, 170, landmarks)[:, 170:470], photo)


def test_large_pictures_have_the_sides_of_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, person = person_before_a_wall(monkeypatch)
    small = surround(photo, 640, 170, landmarks).astype(float)
    monkeypatch.setattr(surroundings, "MOST_ROWS", 360)
    twice = cv2.resize(photo, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    large = surround(twice, 1280, 340, 2 * landmarks)
    assert large.shape == (720, 1280, 3)
    kept = cv2.resize(person.astype(np.uint8), (600, 720), interpolation=cv2.INTER_NEAREST) > 0
    assert (large[:, 340:940] == twice)[cv2.erode(kept.astype(np.uint8), np.ones((5, 5))) > 0].all()
    shrunk = cv2.resize(large, (640, 360), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(shrunk - small).mean() < 1.5


def test_the_grain_of_the_wall_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, _ = person_before_a_wall(monkeypatch, 6.0)
    made = surround(photo, 640, 170, landmarks).astype(float)

    def grain(part: np.ndarray) -> float:
        return float(np.diff(part, axis=1).std())

    for columns in (slice(20, 140), slice(500, 620)):
        assert 0.6 < grain(made[20:200, columns]) / grain(photo[20:100, :60].astype(float)) < 1.3


def test_a_plain_walls_focus_is_lost_only_beyond_the_photos_last_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, person = person_before_a_wall(monkeypatch, 2.0)
    photo = before_leaves(photo, person, 8)
    made = surround(photo, 640, 170, landmarks)
    strip = round(0.45 * UNIT)
    assert np.array_equal(made[:, 170 + strip : 470 - strip], photo[:, strip:-strip])  # no ring around the head
    detail = np.abs(np.diff(made[20:200].astype(float), axis=1)).mean((0, 2))
    blocks = detail[:170].reshape(-1, 10).mean(1)  # from far out to the edge
    assert blocks.max() < 0.5 * detail[170 + strip : 220].mean()
    assert np.abs(np.diff(detail)).max() < 0.35 * detail.max()  # no line at which sharp turns soft


def test_a_wall_with_detail_is_evenly_out_of_focus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bricks behind the person end neither at the photo's edge nor in a sharp ring around the head."""
    photo, landmarks, person = person_before_a_wall(monkeypatch, 2.0)
    rows, columns = np.ogrid[:360, :300]
    bricks = (rows % 18 < 3) | ((columns + rows // 18 % 2 * 20) % 40 < 3)
    photo = np.where((bricks & ~person)[..., None], photo // 2, photo)
    made = surround(photo, 640, 170, landmarks)
    assert np.array_equal(made[:, 170:470][person], photo[person])
    detail = np.abs(np.diff(made[20:200].astype(float), axis=0)).mean((0, 2))
    sharp = np.abs(np.diff(photo[20:200].astype(float), axis=0)).mean((0, 2))
    assert detail[176:250].max() < 0.5 * sharp[6:80].mean()  # it was as sharp as it had been
    assert detail[100:170].mean() > 0.4 * detail[176:220].mean()
    assert np.abs(np.diff(detail[40:260])).max() < 0.25 * detail[40:260].max()


def test_a_narrow_side_takes_little_of_the_walls_focus(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, person = person_before_a_wall(monkeypatch, 2.0)
    photo = before_leaves(photo, person)

    def lost(beside: int) -> float:
        made = surround(photo, 300 + 2 * beside, beside, landmarks)[:, beside : beside + 300]
        return float(np.abs(made[20:200, 30:70].astype(float) - photo[20:200, 30:70]).mean())

    assert lost(3) < 0.4 * lost(170)


def test_a_wall_is_folded_out_as_deep_as_it_is_free() -> None:
    beside = np.full((100, 300), 9, np.float32)
    assert surroundings.free_of_person(beside, UNIT) == surroundings.DETAIL_FOLD
    beside[20:, 45:] = 0
    assert surroundings.free_of_person(beside, UNIT) == pytest.approx(0.9)
    beside[:, :] = 0
    assert surroundings.free_of_person(beside, UNIT) == surroundings.FOLD


def test_a_dark_edge_of_the_photo_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, _ = person_before_a_wall(monkeypatch, 0.0)
    photo[:200, :4] = photo[:200, -4:] = 60
    made = surround(photo, 640, 170, landmarks).astype(float)
    assert np.abs(made[40:160, :120] - WALL).max() < 12
    assert np.abs(np.diff(made[40:160, 100:540], axis=1)).max() < 60  # 110 in the photo


@pytest.mark.parametrize(
    ("mask", "size"), [(None, (360, 300)), ("all", (360, 300)), (None, (24, 18)), ("all", (48, 40))]
)
def test_nobody_or_only_a_person_in_the_photo(
    mask: str | None, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, landmarks, _ = person_before_a_wall(monkeypatch)
    whole = None if mask is None else np.ones(size, np.float32)
    monkeypatch.setattr(surroundings, "person_mask", lambda *_: whole)
    photo = np.full((*size, 3), WALL, np.uint8)
    made = surround(photo, 2 * size[1], size[1] // 2, landmarks * size[0] / 360)
    assert np.abs(made.astype(int) - WALL).max() <= 2


def test_another_person_at_the_edge_is_not_taken_for_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, person = person_before_a_wall(monkeypatch)
    mask = person.astype(np.float32)
    mask[60:200, :30] = 1
    monkeypatch.setattr(surroundings, "person_mask", lambda *_: mask)
    found = surroundings.find_person(photo, landmarks, UNIT)
    assert np.array_equal(found > 0, person)


def test_lines_are_read_off_the_mask() -> None:
    seen = np.arange(100)[:, None] > 60 - 0.5 * np.arange(80)  # falls by half a row for a column to the left
    assert cut_by_edge(seen, 50) == [(60, 100)]
    assert fall_of(seen, 60, 50) == pytest.approx(0.5, abs=0.05)


def test_softened_walls_hold_nothing_of_what_is_not_known() -> None:
    picture = np.full((64, 96, 3), 100, np.float32)
    known = np.ones((64, 96), bool)
    picture[20:40, 30:70], known[20:40, 30:70] = 250, False
    for sigma in (0.1, 4.0, 20.0):
        assert np.abs(soften(picture, known, np.full((64, 96), sigma, np.float32)) - 100).max() < 0.5


def test_without_a_plain_place_there_is_no_grain() -> None:
    grain = Grain(np.zeros((90, 60, 3), np.uint8), np.zeros((478, 3), np.float32))
    assert not grain.make(np.zeros((90, 60), bool), 80).any()


def test_leaves_are_not_taken_for_grain(monkeypatch: pytest.MonkeyPatch) -> None:
    photo, landmarks, person = person_before_a_wall(monkeypatch, 2.0)
    photo = before_leaves(photo, person)
    made = surround(photo, 640, 170, landmarks).astype(float)
    face = np.diff(photo[120:180, 120:180].astype(float), axis=1).std()
    assert np.diff(made[20:200, :100], axis=1).std() < 1.3 * face


def beyond_of(seen: np.ndarray) -> surroundings.Beyond:
    """What goes on of a person whose mask is (400, 200) bool, amid 600 columns; nose in row 150, chin in row 250."""
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[1, :2], landmarks[152, :2] = (100, 150), (100, 250)
    source, out = surroundings.fold_out(600, 200, 200, 20)
    photo = np.full((*seen.shape, 3), WALL, np.uint8)
    return go_on(photo, seen.astype(np.float32), source, out, 200, landmarks, UNIT)


def falling(top: int, fall: float) -> np.ndarray:
    """A person, (400, 200) bool, whose line falls to both edges, which it meets at row `top`."""
    rows, columns = np.ogrid[:400, :200]
    return np.asarray(rows >= top - fall * np.minimum(columns, 199 - columns))


@pytest.mark.parametrize(("top", "fall", "is_hair"), [(210, 0.3, False), (210, 2.5, True), (300, 0.9, False)])
def test_shoulders_are_told_from_hair(top: int, fall: float, is_hair: bool) -> None:
    beyond = beyond_of(falling(top, fall))
    assert beyond.hair[:, :200].any() == is_hair
    reached = 200 - np.flatnonzero((beyond.person[:, :200] > 0.5).any(0))[0]
    assert (reached < 0.6 * UNIT) == is_hair  # a shoulder that is above the chin ended as a bust


def test_hair_ends_strand_by_strand() -> None:
    person = beyond_of(falling(80, 1.5)).person
    for beside in (person[:, 199::-1], person[:, 400:]):
        ends = (beside[200:] > 0.5).sum(1)
        assert ends.min() > 0.1 * UNIT
        assert np.ptp(ends) > 0.1 * UNIT  # no curtain
        faded = ((beside[200:] > 0.05) & (beside[200:] < 0.95)).sum(1)
        assert faded.mean() > 0.1 * UNIT


def test_a_curl_that_the_edge_cuts_stays_one_piece() -> None:
    rows, columns = np.ogrid[:400, :200]
    seen = np.asarray((np.abs(rows - 120) < 12 + 3 * np.minimum(columns, 199 - columns)) & (rows < 250))
    beyond = beyond_of(seen)
    own = beyond.person[:, :200] > 0.5
    assert own.any()
    assert not own[:104].any()
    assert not own[137:].any()  # its lines crossed
    assert not beyond.lower.any()


def test_strands_do_not_change_places() -> None:
    rows = np.arange(300, dtype=np.float32)[:, None]
    falls = np.where(rows < 100, 3.0, 0.2)  # the upper ones would cross the lower ones
    sunk = surroundings.sink(rows, falls, np.arange(60.0), np.zeros(60))
    assert (np.diff(rows - sunk, axis=0) >= 0).all()
    assert np.diff(rows - sunk, axis=0).max() < 4


def test_bits_of_a_light_wall_beside_dark_hair_lose_their_focus_and_strands_stay() -> None:
    """Right beside the person's line the photo stays for its loose hair: stones there stood out, sharp."""
    height, unit, line = 120, 100.0, 60
    columns = np.arange(120)[None]
    beside = np.broadcast_to(np.maximum(columns - line + 1, 0) / unit, (height, 120)).astype(np.float32)
    within = np.broadcast_to(np.maximum(line - columns, 0) / unit, (height, 120)).astype(np.float32)
    shown = np.full((height, 120, 3), 190, np.uint8)
    shown[::6] = 225  # stones
    shown[:, :line] = 40
    shown[20:24, :67] = 45  # a strand
    shown[80:84, 64:68] = 45  # a dark stone that hangs together with no hair
    wall = surroundings.like_wall(shown, beside, within, unit)
    assert not wall[:, :line].any()
    assert wall[40:70, 62:].min() > 0.9
    assert wall[21:23, 60:66].max() < 0.1
    assert wall[81:83, 65:67].min() > 0.8
    alike = surroundings.like_wall(np.full_like(shown, 190), beside, within, unit)
    assert not alike.any()
