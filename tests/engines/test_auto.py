"""auto: the fastest that is right, remembered; and what a stream does when its engine fails."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engines.backends import onnxruntime_, openvino_
from engines.building import auto
from engines.building.auto import AutoSession, Candidate, candidates, open_auto, rank
from engines.building.build import build_engine
from engines.card import read_card
from engines.encoder import Encoder
from engines.errors import StreamError
from engines.opening import open_session

SECOND = Candidate("onnxruntime", "cpu", "int8")
FIRST = Candidate("openvino", "cpu", "bf16")


@pytest.fixture
def sound():
    return (0.3 * np.random.default_rng(4).standard_normal((20, 320))).astype(np.float32)


class Failing:
    """Breaks a session's _execute at one call: raises, or gives NaN."""

    def __init__(self, session, at: int, how: str) -> None:
        self.session, self.at, self.how = session, at, how
        self.honest = session._execute
        session._execute = self

    def __call__(self, handle) -> None:
        self.at -= 1
        if self.at < 0 and self.how == "raises":
            raise StreamError("the GPU is lost", "restart")
        self.honest(handle)
        if self.at < 0 and self.how == "nan":
            next(iter(self.session.outputs.values()))[...] = np.nan


def _auto(path, *how) -> tuple[AutoSession, list[str]]:
    """A chain of ONNX Runtime sessions; each entry of `how` breaks one of them."""
    breaks = list(how)

    def open_one(option):
        session = open_session(path)
        if breaks:
            Failing(session, *breaks.pop(0))
        return session

    told: list[str] = []
    session = AutoSession(path, [FIRST, SECOND, auto.LAST_RESORT][: len(how) + 1], open_one)
    session.on_fallback = told.append
    return session, told


def _motion(session, sound):
    encoder = Encoder(session)
    state, motion = encoder.init_state(), []
    for chunk in sound:
        code, state = encoder.step(chunk, state)
        motion.append(code.motion.copy())
    return np.array(motion)


@pytest.mark.parametrize("how", ["raises", "nan"])
def test_stream_goes_on_as_if_nothing_had_failed(models, sound, how):
    path = models / "encoder.card.json"
    whole = _motion(open_session(path), sound)
    session, told = _auto(path, (7, how))
    np.testing.assert_array_equal(_motion(session, sound), whole)
    assert len(told) == 1
    assert told[0].startswith("encoder: openvino bf16 on cpu failed (")
    assert told[0].endswith("going on with onnxruntime int8 on cpu")
    assert session.failed == [FIRST]


def test_a_second_failure_is_survived_too(models, sound):
    path = models / "encoder.card.json"
    session, told = _auto(path, (3, "raises"), (3, "nan"))
    np.testing.assert_array_equal(_motion(session, sound), _motion(open_session(path), sound))
    assert len(told) == 2


def test_the_last_failure_ends_the_stream_in_words(models, sound):
    def open_one(option):
        session = open_session(models / "encoder.card.json")
        Failing(session, 2, "raises")
        return session

    session = AutoSession(models / "encoder.card.json", [FIRST], open_one)
    with pytest.raises(StreamError, match=r"no engine of encoder works any more \(the GPU is lost\)"):
        _motion(session, sound)


def test_held_inputs_survive(models):
    path = models / "generator.card.json"
    features = np.random.default_rng(0).standard_normal((1, 8, 32, 32)).astype(np.float32)
    code = np.ones((1, 25), np.float32)
    with open_session(path) as plain:
        plain.hold(features=features)
        whole = plain.run({"code": code})["picture"].copy()
    session, told = _auto(path, (1, "nan"))
    session.hold(features=features)
    picture = session.run({"code": code})["picture"]
    again = session.run({"code": code})["picture"]
    assert told
    assert again is picture, "the caller's buffer changed"
    np.testing.assert_array_equal(again, whole)


def test_bad_input_is_not_the_engine_s_fault(models):
    session, told = _auto(models / "generator.card.json", (99, "raises"))
    features = np.zeros((1, 8, 32, 32), np.float32)
    with pytest.raises(StreamError, match="was given numbers that are none"):
        session.run({"code": np.full((1, 25), np.nan, np.float32), "features": features})
    assert not told
    assert session.failed == []


def test_spent_state_is_not_the_engine_s_fault(models, sound):
    session, told = _auto(models / "encoder.card.json", (99, "raises"))
    state = session.init_state()
    inputs = {"samples": sound[:1]}
    session.step(inputs, state)
    with pytest.raises(StreamError, match="spent"):
        session.step(inputs, state)
    assert not told


def test_engine_that_no_longer_opens_is_passed_over(models, sound):
    path = models / "encoder.card.json"

    def open_one(option):
        if option is FIRST:
            raise StreamError("driver changed", "")
        return open_session(path)

    session = AutoSession(path, [FIRST, auto.LAST_RESORT], open_one)
    assert session.failed == [FIRST]
    np.testing.assert_array_equal(_motion(session, sound), _motion(open_session(path), sound))


def test_wrong_engine_is_left_out_even_if_fastest(models, tmp_path, monkeypatch):
    monkeypatch.setattr(auto, "measure", lambda session, *_: 0.1 if session.backend == "openvino" else 1.0)
    right = rank(models / "encoder.card.json", engines_dir=tmp_path / "a")
    assert right[0].backend == "openvino"
    assert right[-1].backend == "onnxruntime"

    class Wrong(openvino_.OpenVinoSession):
        def _execute(self, handle):
            super()._execute(handle)
            self.outputs["motion"] *= 1.5

    monkeypatch.setattr(openvino_, "OpenVinoSession", Wrong)
    told: list[str] = []
    order = rank(models / "encoder.card.json", engines_dir=tmp_path / "b", notify=told.append)
    assert [option.backend for option in order] == ["onnxruntime"]
    assert sum("left out: motion is off by" in line for line in told) == 2


def test_measured_once_and_again_when_the_machine_changes(models, tmp_path, monkeypatch):
    path, calls = models / "generator.card.json", []
    monkeypatch.setattr(auto, "measure", lambda *_: calls.append(1) or 1.0)
    rank(path, engines_dir=tmp_path)
    count = len(calls)
    assert count >= 2
    rank(path, engines_dir=tmp_path)
    assert len(calls) == count
    monkeypatch.setattr(auto.machine, "usable_cores", lambda: 128)
    rank(path, engines_dir=tmp_path)
    assert len(calls) == 2 * count
    build_engine(path, "onnxruntime", "int8", engines_dir=tmp_path)
    rank(path, engines_dir=tmp_path)
    assert len(calls) == 3 * count + 1, "a newly built engine was not looked at"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": [{"wrong": 1}]}', "null"])
def test_damaged_memory_is_measured_anew(models, tmp_path, monkeypatch, content):
    monkeypatch.setattr(auto, "measure", lambda *_: 1.0)
    (tmp_path / "auto.json").write_text(content)
    assert rank(models / "generator.card.json", engines_dir=tmp_path)
    assert json.loads((tmp_path / "auto.json").read_text())


def test_built_engines_are_candidates_and_missing_libraries_are_not(models, tmp_path, monkeypatch):
    card = read_card(models / "encoder.card.json")
    assert SECOND not in candidates(card, engines_dir=tmp_path)
    build_engine(models / "encoder.card.json", "onnxruntime", "int8", engines_dir=tmp_path)
    assert SECOND in candidates(card, engines_dir=tmp_path)
    monkeypatch.setattr(openvino_, "ov", None)
    assert {option.backend for option in candidates(card, engines_dir=tmp_path)} == {"onnxruntime"}


def test_open_auto_runs(models, tmp_path, sound):
    path = models / "encoder.card.json"
    with open_auto(path, engines_dir=tmp_path, measure_s=0.02) as session:
        motion = _motion(session, sound)
    np.testing.assert_allclose(motion, _motion(open_session(path), sound), atol=0.1)


def test_damaged_engine_falls_back_at_opening(models, tmp_path, monkeypatch):
    path = models / "encoder.card.json"
    engine = build_engine(path, "onnxruntime", "int8", engines_dir=tmp_path).path
    monkeypatch.setattr(auto, "measure", lambda session, *_: 0.1 if session.precision == "int8" else 1.0)
    assert open_auto(path, engines_dir=tmp_path).precision == "int8"
    engine.write_bytes(b"")
    session = open_auto(path, engines_dir=tmp_path)
    assert session.precision != "int8"
    assert session.failed[0].precision == "int8"
    assert onnxruntime_.NAME == "onnxruntime"
