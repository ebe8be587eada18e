"""The ruler for blinks and sway, on courses whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from engines.face.measure import canonical_face
from train.motion.idle import (
    LAGS,
    Clip,
    brows_with_opening,
    find_blinks,
    main,
    mean_blink,
    measure_motion,
    read_clip,
    semivariance,
)


def lids(*deepest: int, depth: float = 0.9) -> np.ndarray:
    """75 pictures of open eyes with blinks: two pictures down, one shut, four up."""
    closure = np.full(75, 0.02)
    for at in deepest:
        for step, share in ((-1, 0.5), (0, 1.0), (1, 0.75), (2, 0.4), (3, 0.2)):
            if 0 <= at + step < 75:
                closure[at + step] = max(closure[at + step], share * depth)
    return closure


def clip(closure: np.ndarray) -> Clip:
    zeros = np.zeros((75, 3))
    return Clip(closure, zeros, zeros[:, :2], zeros[:, :2], zeros)


def test_blinks_are_counted_where_they_are():
    found = find_blinks(lids(10, 30, 36, 60))
    assert [b.deepest for b in found] == [10, 30, 36, 60]
    assert all(b.depth == pytest.approx(0.9) for b in found)
    assert all(0 < b.deepest - b.start <= 2 for b in found)
    assert all(2 <= b.end - b.deepest <= 4 for b in found)


def test_a_glance_down_is_no_blink():
    closure = lids()
    closure[20:50] = 0.4
    assert find_blinks(closure) == []


def test_rate_depth_and_doubles():
    figures = measure_motion([clip(lids(10, 20, 60)), clip(lids(40)), *[clip(lids(15, 40, 65))] * 2])
    assert figures["blinks_per_minute"] == pytest.approx(10 / (4 * 3 / 60))
    assert figures["blink_depth"] == pytest.approx(0.9)
    assert figures["double_blink_share"] == pytest.approx(0.1)  # 10 and 20 are .4 s apart
    assert measure_motion([clip(lids(10))])["double_blink_share"] is None  # one blink says nothing of doubles


def test_mean_blink_leaves_crowded_ones_out():
    course = mean_blink([lids(10, 16, 50)])
    assert course[4] == pytest.approx(1)
    assert course[5:8] == pytest.approx([0.75, 0.4, 0.2])


def test_semivariance_of_a_steady_turn():
    turn = np.arange(75)[:, None] * np.array([[0.1, 0.0, 0.0]])
    found = semivariance([turn])
    assert found[:, 0] == pytest.approx([(0.1 * lag) ** 2 / 2 for lag in LAGS])
    assert not found[:, 1:].any()


def test_brows_that_go_with_the_lips_and_others():
    still, opening = clip(lids()), np.sin(np.arange(75))
    along, against = (replace(still, brows=sign * opening[:, None] * np.ones(3), opening=opening) for sign in (1, -1))
    assert brows_with_opening([along]) == pytest.approx(1)
    assert brows_with_opening([along, against, still]) == pytest.approx(0)
    assert brows_with_opening([still]) is None


def test_a_clip_without_a_face_is_left_out(tmp_path):
    reference = canonical_face()
    still = np.repeat(100 * reference[None], 75, 0).astype(np.float32)
    np.save(tmp_path / "still.npy", still)
    read = read_clip(tmp_path / "still.npy", reference)
    assert read is not None
    assert np.abs(read.angles).max() < 0.01
    still[7] = np.nan
    np.save(tmp_path / "gone.npy", still)
    assert read_clip(tmp_path / "gone.npy", reference) is None
    np.save(tmp_path / "short.npy", still[:40])
    assert read_clip(tmp_path / "short.npy", reference) is None


def test_from_landmarks_to_file(tmp_path):
    """Nine clips of one person whose lids shut once each, at the mouth's rest: 20 blinks a minute."""
    from engines.face_points import LEFT_LIDS, RIGHT_LIDS

    face = np.repeat(100 * canonical_face()[None], 75, 0)
    for k, closure in enumerate(lids(37)):
        for upper, lower in (*LEFT_LIDS, *RIGHT_LIDS):
            face[k, upper, 1] += closure * (face[k, lower, 1] - face[k, upper, 1])
    folder = tmp_path / "landmarks" / "grid" / "train" / "s1"
    folder.mkdir(parents=True)
    rows = ["clip\tstart_s\tend_s\tphone"]
    for name in range(9):
        np.save(folder / f"c{name}.npy", face.astype(np.float32))
        rows += [f"train/s1/c{name}\t0.0\t1.0\tSIL", f"train/s1/c{name}\t1.0\t2.0\tAA"]
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "phones.tsv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "idle.json"
    landmarks = str(tmp_path / "landmarks")
    main(["--data-root", str(tmp_path), "--landmarks", landmarks, "--out", str(out)])
    figures = json.loads(out.read_text())
    assert figures["blinks_per_minute"] == pytest.approx(20)
    assert figures["blinks_per_minute_speaking"] == pytest.approx(
        60
    )  # all of them while it speaks, a third of the time
    assert figures["blinks_per_minute_silent"] == 0
    assert figures["talkers"]["s1"]["seconds"] == 27
    assert {p.name for p in tmp_path.iterdir() if p.is_file()} == {"idle.json"}
    with pytest.raises(SystemExit):
        main(["--data-root", str(tmp_path / "no"), "--landmarks", landmarks, "--out", str(out)])
