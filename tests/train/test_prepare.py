"""What is prepared is made again where what it was made of is another, and only there; on clips of noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engines.errors import ConfigError, InputError
from engines.spec import EMOTIONS, SPEC
from train.data import prepare as module
from train.data.corpora import Clip
from train.data.motion_labels import landmarks_of
from train.data.prepare import STYLE_CLIPS, VERSION, prepare
from train.data.shards import read_shards
from train.data.teacher import FEATURES

CODES = 30


def clip_of(key: str) -> Clip:
    corpus, speaker, _ = key.split("/")
    return Clip(key, corpus, Path(key), "train", f"{corpus}/{speaker}")


class Noise:
    """In the teacher's place: features that hang on nothing but the sound."""

    def __init__(self, _folder: Path | None, _threads: int) -> None:
        pass

    def features(self, sounds: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
        draw = np.random.default_rng(len(sounds))
        return {key: {"features": draw.standard_normal((CODES, FEATURES)).astype(np.float16)} for key in sounds}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """prepare() on a cache in tmp_path; whether labels were made."""
    clips = [clip_of(f"{name}/{n}") for name in ("grid/s1", "tts/a", "tts/b") for n in range(STYLE_CLIPS)]
    labelled: list[int] = []

    def label_motion(clips, codes, features, *_more) -> tuple[dict[str, np.ndarray], dict]:
        labelled.append(1)
        known = {key for key in clips if features or key.startswith("grid")}
        motion = {key: np.full((codes[key], 14), 0.1 if key in known else np.nan) for key in clips}
        return motion, {"version": VERSION, "typical": [0.1] * 14} | ({"labeller": {}} if features else {})

    draw = np.random.default_rng(0)
    sound = draw.standard_normal(CODES * SPEC.chunk_samples).astype(np.float32) * 0.1
    monkeypatch.setattr(module, "training_speech", lambda _root: clips)
    monkeypatch.setattr(module, "sound_of", lambda _path: sound)
    monkeypatch.setattr(module, "find_landmarks", lambda *_given: None)
    monkeypatch.setattr(module, "Teacher", Noise)
    monkeypatch.setattr(module, "label_motion", label_motion)
    monkeypatch.setattr(module, "moods", lambda _heard, clips: dict.fromkeys(clips, np.full(len(EMOTIONS), 1 / 7)))

    def run(use_teacher: bool = True, more: tuple[Clip, ...] = ()) -> bool:
        labelled.clear()
        monkeypatch.setattr(module, "training_speech", lambda _root: [*clips, *more])
        prepare(tmp_path, tmp_path / "landmarks", tmp_path / "cache", use_teacher=use_teacher)
        return bool(labelled)

    return run


def told_of(cache: Path, name: str, array: str) -> bool:
    """Whether every clip has numbers."""
    return all(np.isfinite(arrays[array]).all() for _, arrays in read_shards(cache / name))


def test_the_teacher_is_asked_where_an_earlier_run_went_without(runs, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert runs(use_teacher=False)
    assert not runs(use_teacher=False)
    assert not told_of(cache, "style", "style")
    assert runs()
    assert told_of(cache, "style", "style")
    assert told_of(cache, "labels", "components")
    assert not runs()
    assert runs(use_teacher=False)  # and back
    assert not told_of(cache, "labels", "components")
    assert not told_of(cache, "style", "style")


def test_what_was_made_without_the_teacher_is_not_kept_where_speech_json_is_gone(runs, tmp_path: Path) -> None:
    runs(use_teacher=False)
    cache = tmp_path / "cache"
    (cache / "speech.json").unlink()
    runs()
    assert told_of(cache, "style", "style")
    assert told_of(cache, "labels", "components")


def test_caches_of_before_stand_as_they_are(runs, tmp_path: Path) -> None:
    """They don't say what they were made of, but whether the teacher's features gave other speech its motion."""
    done = tmp_path / "cache" / "speech.json"
    for use_teacher in (True, False):
        runs(use_teacher)
        facts = json.loads(done.read_text())
        del facts["made_of"]
        done.write_text(json.dumps(facts))
        assert not runs(use_teacher)
        assert runs(not use_teacher)


def test_other_landmarks_are_other_labels(runs, tmp_path: Path) -> None:
    runs()
    path = tmp_path / "landmarks" / "grid" / "s1" / "0.npy"
    path.parent.mkdir(parents=True)
    for value in (0, 1):
        np.save(path, np.full((75, 478, 3), value, np.float32))
        assert runs()
        assert not runs()


def test_other_clips_are_told(runs) -> None:
    runs()
    with pytest.raises(ConfigError, match="from other clips"):
        runs(more=(clip_of("tts/c/0"),))


def test_a_teacher_of_another_version_is_told(runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs()
    monkeypatch.setattr(module, "TEACHER_VERSION", module.TEACHER_VERSION | {"layout": 2})
    with pytest.raises(ConfigError, match="another version"):
        runs()


def test_half_of_each_is_not_taken_for_prepared(runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is cut off while it makes the labels anew leaves no speech.json of those before."""
    runs()

    def cut_off(_heard, _clips) -> None:
        raise KeyboardInterrupt

    runs(use_teacher=False)
    monkeypatch.setattr(module, "styles", cut_off)
    with pytest.raises(KeyboardInterrupt):
        runs()
    assert not (tmp_path / "cache" / "speech.json").exists()


def test_damaged_landmarks_are_named(tmp_path: Path) -> None:
    clip = clip_of("grid/s1/0")
    path = tmp_path / "grid" / "s1" / "0.npy"
    path.parent.mkdir(parents=True)
    assert landmarks_of(clip, tmp_path / "nowhere") is None
    np.save(path, np.zeros((75, 478, 3), np.float32))
    whole = path.read_bytes()
    for content in (b"", b"no array at all", whole[:1000]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"0\.npy is damaged"):
            landmarks_of(clip, tmp_path)
