from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.face.measure import canonical_face
from engines.spec import SPEECH_CHANNELS
from train.data.corpora import Clip
from train.data.labeller import LabellerConfig, LabelNet, label, teach
from train.data.motion_labels import (
    OPEN,
    at_codes,
    clip_motion,
    measure_offsets,
    picture_measures,
    silent_pictures,
    smooth,
    talker_scales,
)
from train.data.teacher import FEATURES


def talking(pictures: int = 75, px: float = 45.0) -> np.ndarray:
    """The mean face in px, its lower lip moving by a sine of 0.1 eye distances."""
    points = np.repeat(canonical_face()[None], pictures, 0)
    opening = 0.1 * np.clip(np.sin(np.arange(pictures) / 4), 0, None)
    for lower in (14, 87, 317, 178, 402, 88, 318):
        points[:, lower, 1] += opening
    return (points * px + [128, 128, 0]).astype(np.float32)


def test_opening_is_in_eye_distances_from_rest() -> None:
    motion = picture_measures(talking())
    assert motion[:, OPEN].max() == pytest.approx(0.1, abs=0.005)
    assert motion[:, OPEN].min() == pytest.approx(0, abs=0.005)
    np.testing.assert_allclose(picture_measures(talking(px=90)), motion, atol=1e-4)


def test_codes_lie_between_pictures() -> None:
    """Picture i is at (i + .5) * 40 ms, code k at 0.02 k + 0.01 s."""
    ramp = np.arange(75.0)[:, None].repeat(14, 1)
    codes = at_codes(ramp, 150)
    np.testing.assert_allclose(codes[1:149, 0], (np.arange(1, 149) * 0.02 + 0.01) / 0.04 - 0.5)
    late = at_codes(ramp, 150, offset_s=0.04)  # pictures that come 40 ms late tell of one picture earlier
    np.testing.assert_allclose(late[1:140, 0], codes[1:140, 0] + 1)


def test_lost_faces_are_filled_from_their_neighbours() -> None:
    whole = clip_motion(talking(), 150)
    points = talking()
    points[30:32] = np.nan
    holed = clip_motion(points, 150)
    assert np.isfinite(holed).all()
    assert np.abs(holed - whole).max() < 0.06
    np.testing.assert_allclose(holed[:50], whole[:50], atol=0.01)


def test_labels_are_as_quick_as_the_pictures() -> None:
    """Lips that part for a single picture part in the labels, as far and at the same time; nothing is below rest."""
    points = np.repeat(talking(1), 75, 0)
    points[40] = talking(5)[4]
    seen = picture_measures(points)[40, OPEN]
    labels = clip_motion(points, 150)[:, OPEN]
    assert seen > 0.05
    assert labels[80:82].mean() > 0.8 * seen  # codes 80 and 81 lie in picture 40; the spline is past its peak there
    assert labels[:78].max() < 0.15 * seen
    assert labels[84:].max() < 0.15 * seen
    assert labels.min() == 0


def test_smoothing_keeps_the_mean() -> None:
    course = np.random.default_rng(0).standard_normal((200, 3))
    smoothed = smooth(course, 1.0)
    assert smoothed.std() < 0.7 * course.std()
    np.testing.assert_allclose(smoothed.mean(0), course.mean(0), atol=0.05)


def fake_corpus(offset_pictures: dict[str, int], clips: int = 8) -> tuple[dict, dict, dict]:
    """Features that say the opening in a few of their numbers, and pictures that come too late by whole pictures."""
    draw = np.random.default_rng(1)
    mix = draw.standard_normal(FEATURES)
    features, pictures, talker_of = {}, {}, {}
    for talker, late in offset_pictures.items():
        for number in range(clips):
            course = np.convolve(draw.standard_normal(300), np.hanning(12), "same")[:150]
            key = f"{talker}/{number}"
            features[key] = (course[:, None] * mix + draw.standard_normal((150, FEATURES))).astype(np.float32)
            seen = np.interp((np.arange(75) + 0.5 - late) * 0.04, (np.arange(150) + 0.5) * 0.02, course)
            pictures[key] = seen[:, None].repeat(14, 1)
            talker_of[key] = talker
    return features, pictures, talker_of


def test_silent_pictures_are_a_fifth_of_a_second_from_every_phone() -> None:
    """Phones from .4 to .8 s with a gap of .3 s between them: pictures whose middle lies before .2 or after 1 s."""
    phones = ((0.0, 0.4, "SIL"), (0.4, 0.45, "B"), (0.45, 0.75, "SIL"), (0.75, 0.8, "AA"), (0.8, 3.0, "SIL"))
    clip = Clip("grid/val/s1/one", "grid", Path("one.mkv"), "val", "grid/s1", phones=phones)
    assert np.flatnonzero(silent_pictures(clip, 30)).tolist() == [*range(5), *range(25, 30)]
    assert np.flatnonzero(silent_pictures(clip, 30, offset_s=0.04)).tolist() == [*range(6), *range(26, 30)]
    assert not silent_pictures(Clip("grid/val/s1/two", "grid", Path("two.mkv"), "val", "grid/s1"), 30).any()


def test_offsets_are_found() -> None:
    found = measure_offsets(*fake_corpus({"a": 0, "b": 0, "c": 1, "d": -1, "e": 0}))
    assert found["c"] == pytest.approx(0.04, abs=0.012)
    assert found["d"] == pytest.approx(-0.04, abs=0.012)
    assert found["a"] == pytest.approx(0, abs=0.012)


def test_scales_of_talkers() -> None:
    labels = {
        f"{t}/{i}": np.random.default_rng(i).standard_normal((150, 14)) * s
        for t, s in (("a", 1), ("b", 3))
        for i in range(10)
    }
    labels["c/0"] = np.random.default_rng(0).standard_normal((150, 14)) * 9
    scales, typical = talker_scales(labels, {key: key[0] for key in labels})
    assert scales["a"] == pytest.approx(np.ones(14), rel=0.05)
    assert typical == pytest.approx(np.full(14, 2), rel=0.05)
    assert (scales["c"] < 4).all()  # one clip is not believed


def test_labeller_learns_what_features_tell() -> None:
    features, pictures, talker_of = fake_corpus({"a": 0, "b": 0}, 6)
    targets = {key: at_codes(value, 150).astype(np.float32) for key, value in pictures.items()}
    config = LabellerConfig(nets=1, steps=60, batch=6, size=16, dropout=0.1, learning_rate=0.01)
    nets, standard = teach(features, {k: v for k, v in targets.items() if not k.endswith("5")}, talker_of, config)
    guess = label(nets, standard, {"a/5": features["a/5"]})["a/5"]
    assert guess.shape == (150, len(SPEECH_CHANNELS))
    assert np.corrcoef(guess[:, 0], targets["a/5"][:, 0])[0, 1] > 0.8


def test_clips_are_labelled_together_as_each_by_itself() -> None:
    draw = np.random.default_rng(2)
    nets = [LabelNet(8, 0.3).eval() for _ in range(2)]
    standard = draw.standard_normal(FEATURES).astype(np.float32), np.full(FEATURES, 1.5, np.float32)
    lengths = draw.integers(5, 300, 70)  # more than one batch
    features = {f"c/{k}": draw.standard_normal((n, FEATURES)).astype(np.float16) for k, n in enumerate(lengths)}
    done: list[int] = []
    together = label(nets, standard, features, done.append)
    assert set(together) == set(features)
    assert done[-1] == 70
    for key, value in features.items():
        alone = label(nets, standard, {key: value})[key]
        assert together[key].shape == (len(value), len(SPEECH_CHANNELS))
        np.testing.assert_allclose(together[key], alone, atol=2e-5)
