"""The measures of the motion report, on courses whose answer is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.spec import SPEECH_CHANNELS
from train.data.augment import active_rms, rms, with_noise
from train.data.corpora import Clip
from train.data.labeller import LabellerConfig
from train.data.motion_labels import OPEN
from train.data.shards import write_shards
from train.data.teacher import FEATURES
from train.motion import score_motion
from train.motion.score_motion import (
    CLOSED_AT,
    PICTURES,
    Take,
    baselines,
    closed_at,
    jitter,
    kept_courses,
    kept_motion,
    labeller_courses,
    pictures_of,
    r_of,
    slope_of,
)


def take(seed: int = 0) -> Take:
    draw = np.random.default_rng(seed)
    truth = np.zeros((PICTURES, 14))
    truth[15:60, OPEN] = 0.1 + 0.05 * draw.standard_normal(45)
    words = np.zeros(PICTURES, bool)
    words[15:60] = True
    sound = draw.standard_normal(PICTURES * 640).astype(np.float32) * 0.05
    return Take(Clip("c", "grid", Path(), "val", "s"), sound, truth, words, [(1.0, 1.06)], ~words)


def test_r_and_slope_in_words() -> None:
    found = [take(0), take(1)]
    assert r_of([t.truth[:, OPEN] for t in found], found) == pytest.approx(1)
    assert r_of([-t.truth[:, OPEN] for t in found], found) == pytest.approx(-1)
    assert r_of([np.zeros(PICTURES)] * 2, found) == 0  # a mouth that never moves follows nothing
    assert slope_of([0.5 * t.truth[:, OPEN] + 0.2 for t in found], found) == pytest.approx(0.5)


def test_silence_flatters_the_whole_clip() -> None:
    """Why r is told in words: a gate that knows only when somebody speaks gets much of the whole clip right."""
    found = [take(0)]
    gate = found[0].words.astype(float)
    assert r_of([gate], found, words=False) > 0.6
    assert r_of([gate], found) == 0


def test_closed_within_40_ms() -> None:
    course = np.full(150, 0.1)
    assert closed_at(course, take()) == [False]
    course[54] = CLOSED_AT / 2  # 1.09 s: 30 ms after the end of p
    assert closed_at(course, take()) == [True]
    course[54], course[56] = 0.1, 0.0  # 1.13 s: too late
    assert closed_at(course, take()) == [False]


def test_jitter_of_a_straight_line_is_none() -> None:
    assert jitter(np.linspace(0, 1, PICTURES), take()) == pytest.approx(0, abs=1e-12)
    assert jitter(np.arange(PICTURES) % 2 * 0.1, take()) == pytest.approx(0.2)


def test_two_codes_make_a_picture() -> None:
    codes = np.arange(150.0)[:, None]
    np.testing.assert_allclose(pictures_of(codes)[:, 0], np.arange(75) * 2 + 0.5)


@pytest.mark.parametrize("snr_db", [0, 10])
def test_noise_is_mixed_at_its_level(snr_db: float) -> None:
    sound = take().sound
    mixed = with_noise(sound, np.sin(np.arange(9000) * 0.3).astype(np.float32), snr_db, np.random.default_rng(0))
    assert 20 * np.log10(active_rms(sound) / rms(mixed - sound)) == pytest.approx(snr_db, abs=0.1)


def test_baselines_hear_what_they_can_hear() -> None:
    """Loudness follows an opening that is loudness; the deaf course follows none of a stranger's."""
    found, train = [], []
    for seed in range(8):
        each = take(seed)
        loud = np.clip(each.truth[:, OPEN], 0, None)
        sound = (each.sound.reshape(PICTURES, -1) * (0.02 + 10 * loud[:, None])).ravel().astype(np.float32)
        (found if seed < 3 else train).append(Take(each.clip, sound, each.truth, each.words, [], each.silence))
    rows = baselines(found, train, {"clean": [each.sound for each in found]})
    assert rows["smoothed loudness"]["clean"] > 0.3
    assert rows["causal ridge, 5 pictures of 40 log-mels"]["clean"] > 0.5
    assert abs(rows["deaf: mean course of other clips"]["clean"]) < 0.4


def test_the_labellers_answer_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taught once; taught again for other labels."""
    taught = []

    class Short(LabellerConfig):
        def __init__(self) -> None:
            super().__init__(nets=1, steps=2, batch=2, codes=20, size=8)

    def teach_and_count(*arguments):
        taught.append(1)
        return teach(*arguments)

    teach = score_motion.teach
    monkeypatch.setattr(score_motion, "LabellerConfig", Short)
    monkeypatch.setattr(score_motion, "teach", teach_and_count)
    draw = np.random.default_rng(5)
    keys = ["grid/train/s2/a", "grid/val/s5/b"]
    heard = {k: {"features": draw.standard_normal((30, FEATURES)).astype(np.float16)} for k in keys}
    moved = {k: {"motion": draw.standard_normal((30, len(SPEECH_CHANNELS))).astype(np.float16)} for k in keys}
    write_shards(tmp_path / "teacher", [keys], lambda _keys: heard, {"made": 1})
    write_shards(tmp_path / "labels", [keys], lambda _keys: moved, {"made": 1})
    assert kept_courses(tmp_path) is None
    assert kept_motion(tmp_path) == {}
    wanted = [replace(take(), clip=Clip(keys[1], "grid", Path(), "val", "grid/s5"))]
    first, second = labeller_courses(tmp_path, wanted), labeller_courses(tmp_path, wanted)
    assert len(taught) == 1
    np.testing.assert_array_equal(first[keys[1]], second[keys[1]])
    facts = {"typical": [0.1] * len(SPEECH_CHANNELS), "labeller_gain": [1.5] * len(SPEECH_CHANNELS)}
    (tmp_path / "speech.json").write_text(json.dumps(facts))
    np.testing.assert_allclose(kept_motion(tmp_path)[keys[1]], 0.15 * first[keys[1]])
    write_shards(tmp_path / "labels", [keys], lambda _keys: moved, {"made": 2}, anew=True)
    assert kept_courses(tmp_path) is None
    labeller_courses(tmp_path, wanted)
    assert len(taught) == 2
