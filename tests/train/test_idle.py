"""The ruler for blinks and sway, on courses whose answer is known, and the idle process as it measures that."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from engines.face.measure import canonical_face
from engines.motion.idle import HEAD_X, HEAD_Y, load_figures
from tests.engines.idle_courses import BLINKS, LOOK, MINUTE, PITCH, ROLL, YAW, course, spoken_pitch, voice
from train.motion.idle import (
    DRAWN,
    LAGS,
    READ,
    Clip,
    brows_with_opening,
    find_blinks,
    main,
    mean_blink,
    measure_motion,
    pitch_with_opening,
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


def as_clips(out: np.ndarray) -> list[Clip]:
    """The course as 3 s clips at 25 pictures/s, so that the ruler can be laid on it."""
    pictures = out[::2]
    return [
        Clip(
            closure=np.interp(part[:, BLINKS].mean(1), DRAWN, READ),
            angles=np.degrees(part[:, [PITCH, YAW, ROLL]]),
            shift=part[:, [HEAD_X, HEAD_Y]],
            gaze=np.degrees(part[:, LOOK]),
            brows=part[:, 11:14],
        )
        for part in pictures[: len(pictures) // 75 * 75].reshape(-1, 75, pictures.shape[1])
    ]


@pytest.mark.parametrize("speaks", [False, True])
def test_blinks_are_as_often_and_as_deep_as_grids(speaks):
    grid = load_figures()
    own = measure_motion(as_clips(np.concatenate([course(seed, 20, speaks) for seed in range(6)])))
    assert 0.8 < own["blinks_per_minute"] / grid["blinks_per_minute"] < 1.2
    assert 0.8 < own["blink_depth"] / grid["blink_depth"] < 1.2
    assert own["blink_close_s"] < own["blink_open_s"] + 0.03
    # The way up, 40 to 200 ms after the deepest picture, against GRID's above its own resting level.
    truth = np.array(grid["blink_course"])
    truth = (truth - truth[:2].mean()) / (truth.max() - truth[:2].mean())
    assert np.abs(np.array(own["blink_course"])[5:10] - truth[5:10]).max() < 0.12


@pytest.mark.parametrize("speaks", [False, True])
def test_every_seed_blinks_as_grids_people_do(speaks):
    """Ten minutes of each of twenty faces by GRID's ruler: the median blinks as GRID's mean does, the others more or
    less often, as GRID's people do (0 to 47 a minute); all as deeply."""
    figures = load_figures()
    rates, depths = [], []
    for seed in range(20):
        measured = measure_motion(as_clips(course(seed, 10, speaks)))
        rates.append(measured["blinks_per_minute"] / figures["blinks_per_minute"])
        depths.append(measured["blink_depth"] / figures["blink_depth"])
    assert 0.88 < np.mean(rates) < 1.12
    assert 0.75 < np.median(rates) < 1.15
    assert 0.5 < min(rates) < 0.85
    assert 1.2 < max(rates) < 1.9
    assert min(depths) > 0.8
    assert max(depths) < 1.2


def test_a_short_clip_blinks_as_often_as_a_long_one():
    """Three seconds from the start, as GRID's clips are."""
    own = measure_motion(as_clips(np.concatenate([course(seed, 0.05) for seed in range(900)])))
    assert 0.8 < own["blinks_per_minute"] / load_figures()["blinks_per_minute"] < 1.2


def follow(seed: int, degrees: float | None = None) -> tuple[float, float]:
    """Correlation of the lips' opening and the pitch within a second, and the slope in degrees, by GRID's ruler."""
    return pitch_with_opening([voice(5 * MINUTE)[2][::2]], [spoken_pitch(seed, degrees)[::2]])


def test_the_chin_rises_as_the_lips_part():
    """GRID: r .33 in the mean, 0 to .8 by person; slope 3 to 4 degrees an eye distance, 0 to 8 by person."""
    correlations, slopes = np.array([follow(seed) for seed in range(16)]).T
    assert 0.2 < correlations.mean() < 0.5
    assert correlations.min() < 0.15
    assert correlations.max() > 0.4
    assert 2 < slopes.mean() < 5
    still, most = follow(3, 0), follow(3, 10)
    assert abs(still[0]) < 0.15
    assert most[0] > still[0] + 0.25
    assert 3 < most[1] - still[1] < 8  # of 10: lips are quicker than heads
