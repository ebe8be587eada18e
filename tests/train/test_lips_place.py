"""What is left of the lips' distance where their shape is known: clips whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.face.measure import canonical_face
from engines.face_points import INNER_LIPS, OUTER_LIPS
from train.data.corpora import Clip
from train.face.lips_place import AS_OTHERS, AS_PHOTO, MEAN_KNOWN, lips_ways, place_by_shape, read_ways, shares_left

LIPS = [*OUTER_LIPS, *INNER_LIPS]
LOWER = [14, 17, 84, 87, 314, 317]


def moved(lower: np.ndarray, all_down: np.ndarray | float = 0.0) -> np.ndarray:
    """A canonical face of (T,) pictures: lower lip down by `lower`, all lips by `all_down`; (T, 478, 3)."""
    faces = np.repeat(canonical_face()[None], len(lower), 0).astype(np.float32)
    faces[:, LOWER, 1] += lower[:, None]
    faces[:, LIPS, 1] += np.broadcast_to(all_down, (len(lower),))[:, None]
    return 100 * faces


def test_a_talker_like_all_others_leaves_nothing() -> None:
    speech = 0.1 * np.abs(np.sin(np.arange(60) / 4))
    speech[:3] = 0
    taught = lips_ways(moved(speech))
    assert taught is not None
    weights = place_by_shape({"a": [taught], "b": [0.5 * taught]})
    left = shares_left([taught], weights)
    assert left[AS_OTHERS] < 0.02
    assert left[AS_PHOTO] > 10 * left[AS_OTHERS]


def test_a_sentence_that_stands_lower_is_told_by_its_mean_alone() -> None:
    speech = 0.1 * np.abs(np.sin(np.arange(60) / 4))
    speech[:3] = 0
    lower = np.where(np.arange(60) > 2, 0.04, 0.0)
    taught, strange = lips_ways(moved(speech)), lips_ways(moved(speech, lower))
    assert taught is not None
    assert strange is not None
    left = shares_left([strange], place_by_shape({"a": [taught]}))
    static = np.linalg.norm(strange, axis=-1).mean()
    assert left[AS_OTHERS] * static == pytest.approx(0.04 * 57 / 60, rel=0.1)
    assert left[MEAN_KNOWN] < 0.2 * left[AS_OTHERS]


def test_clips_without_a_shut_mouth_or_a_face_do_not_count(tmp_path) -> None:
    speech = 0.1 * np.abs(np.sin(np.arange(30) / 4))
    lost = moved(speech)
    lost[4] = np.nan
    assert lips_ways(lost) is None
    for talker, clips in {"s1": [moved(speech), lost], "s2": [lost]}.items():
        (tmp_path / talker).mkdir()
        for number, clip in enumerate(clips):
            np.save(tmp_path / talker / f"{number}.npy", clip)
    assert {talker: len(ways) for talker, ways in read_ways(tmp_path, least_clips=1).items()} == {"s1": 1}
    assert read_ways(tmp_path, but=["s1"], least_clips=1) == {}
    assert read_ways(tmp_path) == {}


def test_a_photo_taken_in_silence_is_no_closure_of_a_word(tmp_path) -> None:
    """Lips that wait apart, shut low for a b, and shut where they rest once the sentence is over."""
    lower, all_down = np.full(40, 0.1), np.zeros(40)
    lower[10:15], all_down[10:15] = 0, 0.03
    lower[30:] = 0
    (tmp_path / "s1").mkdir()
    np.save(tmp_path / "s1" / "one.npy", moved(lower, all_down))
    phones = ((0.4, 0.6, "B"), (0.6, 0.9, "AA"))
    clips = {"s1/one": Clip("grid/train/s1/one", "grid", Path("one.mkv"), "train", "grid/s1", phones=phones)}
    (first,) = read_ways(tmp_path, least_clips=1)["s1"]
    (silent,) = read_ways(tmp_path, least_clips=1, silent=clips)["s1"]
    assert first[35, :, 1].mean() == pytest.approx(-0.03, abs=1e-3)
    assert silent[35] == pytest.approx(0, abs=1e-3)
    silence_unknown = {"s1/one": Clip("grid/train/s1/one", "grid", Path("one.mkv"), "train", "grid/s1")}
    assert read_ways(tmp_path, least_clips=1, silent=silence_unknown) == {}
