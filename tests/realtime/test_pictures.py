"""Badge, contact sheet, buffers and the governor."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import OutputError
from realtime.governor import Governor
from realtime.messages import Picture
from realtime.meters import Histogram
from realtime.pictures.badge import Badge
from realtime.pictures.picture_pool import PicturePool
from realtime.pictures.sheet import ContactSheet, write_picture
from realtime.pictures.sinks import RawSink


@pytest.mark.parametrize("size", [(256, 256), (720, 1280), (1080, 1920), (200, 300)])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_the_badge_is_small_readable_and_in_the_corner(size: tuple[int, int], grey: int) -> None:
    picture = np.full((*size, 3), grey, np.uint8)
    Badge(*size)(picture)
    changed = np.argwhere((picture != grey).any(2))
    assert len(changed), "no badge"
    top, left = changed.min(0)
    assert top > size[0] * 0.9 - 24
    assert left > size[1] * 0.85 - 40
    assert len(changed) / (size[0] * size[1]) < 0.012
    region = picture[top:, left:].astype(int)
    assert region.max() - region.min() > 90  # letters against the plate


def test_the_badge_drawn_twice_is_drawn_once_per_picture() -> None:
    badge = Badge(256, 256)
    first, second = (np.full((256, 256, 3), 77, np.uint8) for _ in range(2))
    badge(first)
    badge(second)
    assert np.array_equal(first, second)


def test_raw_pictures_are_whole_however_little_a_pipe_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    def write(descriptor: int, rest: memoryview) -> int:
        taken.append(bytes(rest[:1000]))
        return len(taken[-1])

    monkeypatch.setattr("os.write", write)
    pixels = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    RawSink(7).send(Picture(0, pixels, 0, 0, 0))
    assert b"".join(taken) == pixels.tobytes()
    assert len(taken) == 4


def test_contact_sheet_shows_open_and_closed_in_bounded_memory(tmp_path: Path) -> None:
    sheet = ContactSheet(columns=4, rows=2, cell_width_px=40)
    for i in range(2_000):
        opening = float(i % 7 == 3)
        sheet.see(i, np.full((30, 40, 3), 255 * int(opening), np.uint8), opening)
        sheet.hear(np.sin(np.arange(160) / 5).astype(np.float32))
    assert len(sheet._kept) < 8 * 4 * 2
    chosen = sheet._chosen(8)
    assert len(chosen) == 8
    assert {int(small[0, 0, 0]) for _, small in chosen} == {0, 255}
    assert [index for index, _ in chosen] == sorted(index for index, _ in chosen)
    path = tmp_path / "sheet.png"
    sheet.save(path, 25, "a title")
    drawn = cv2.imread(str(path))
    assert drawn.shape[1] == 16 + 4 * 56
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_hours_of_sound_stay_small_and_whole() -> None:
    sheet = ContactSheet(columns=2, rows=1, cell_width_px=40)
    quiet, loud = np.full(160, 0.01, np.float32), np.full(160, 0.9, np.float32)
    for i in range(90_000):  # 15 minutes
        sheet.hear(loud if i == 60_000 else quiet)
    assert len(sheet._levels) < 20_001
    levels = np.concatenate(sheet._levels)
    at = int(levels[:, 1].argmax()) / len(levels)
    assert levels[:, 1].max() == np.float32(0.9)
    assert 0.5 < at < 0.8
    assert sheet.draw(25).ndim == 3


def test_a_sheet_of_nothing_can_be_drawn() -> None:
    assert ContactSheet().draw(25).ndim == 3


def test_pictures_that_cannot_be_written(tmp_path: Path) -> None:
    for path in (tmp_path / "x.gif", tmp_path / "no" / "x.png"):
        with pytest.raises(OutputError):
            write_picture(path, np.zeros((4, 4, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


@given(steps=st.lists(st.integers(0, 3), max_size=60))
def test_buffers_go_round(steps: list[int]) -> None:
    pool = PicturePool(2, 2, 3)
    held: list[np.ndarray] = []
    for step in steps:
        if step == 0:
            buffer = pool.take()
            assert (buffer is None) == (len({id(b) for b in held}) == 3)
            if buffer is not None:
                held.append(buffer)
        elif step == 1 and held:
            pool.hold(held[0])
            held.append(held[0])
        elif held:
            pool.release(held.pop())
    for buffer in held:
        pool.release(buffer)
    assert len([pool.take() for _ in range(3)]) == 3


def test_a_buffer_that_nobody_holds_cannot_be_released() -> None:
    pool = PicturePool(2, 2, 1)
    with pytest.raises(ValueError, match="nobody holds"):
        pool.release(pool.buffers[0])


@given(st.lists(st.integers(0, 600_000_000) | st.integers(0, 50_000_000_000), min_size=1, max_size=300))
def test_histogram_percentiles(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for percent in (50, 95, 99):
        exact = sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
        near = 0.11 if exact < 499_000_000 else 10.01
        assert exact / 1e6 - near <= histogram.percentile_ms(percent) <= exact / 1e6 + near
    assert histogram.max_ns == max(values)
    assert histogram.summary()["count"] == len(values)


def test_the_governor_steps_down_says_it_once_and_steps_up_again() -> None:
    governor = Governor()
    drawn = late = busy = 0
    said = []
    for second in range(20):
        said.append(governor.look(float(second), drawn, late, busy))
        drawn, late, busy = drawn + 15, late + 10, busy + 10**9
    assert governor.divisor == 4
    assert [line for line in said if line] != []
    assert len([line for line in said if line]) == 1
    for second in range(20, 80):
        governor.look(float(second), drawn, late, busy)
        drawn, busy = drawn + 25 // governor.divisor, busy + 10**8
    assert governor.divisor == 1


def test_one_late_picture_is_no_overload() -> None:
    governor = Governor()
    for second in range(60):
        governor.look(float(second), second * 25, second // 10, second * 2 * 10**8)
    assert governor.divisor == 1
