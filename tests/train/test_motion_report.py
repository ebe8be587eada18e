"""The motion report: what it runs again, what it says, and where it finds r lost, on courses whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engines.errors import ConfigError
from engines.spec import SPEC
from train.data.corpora import Clip
from train.data.motion_labels import OPEN
from train.motion import motion_markdown, motion_report
from train.motion.score_motion import PICTURES, Take, steady_vowels

KINDS = ("encoder", "shaped")
THREE = [0.5, 0.5, 0.5]


def take(seed: int, waits_open: float = 0.0) -> Take:
    """Speaks from picture 20 to 55; before it the mouth waits open by as much as is said."""
    draw = np.random.default_rng(seed)
    truth = np.zeros((PICTURES, 14))
    truth[20:55, OPEN] = 0.1 + 0.05 * draw.standard_normal(35)
    truth[:20, OPEN] = waits_open
    words = np.zeros(PICTURES, bool)
    words[20:55] = True
    clip = Clip("c", "grid", Path(), "val", "s", phones=((1.0, 1.4, "AA"), (1.4, 1.5, "P")))
    return Take(clip, np.zeros(PICTURES * 640, np.float32), truth, words, [], ~words)


def tell(cache: Path, **changed: dict) -> None:
    """What `voxcam train prepare` measured."""
    (cache / "speech.json").write_text(json.dumps({"offsets_s": {}, "scales": {}, "typical": []} | changed))


@pytest.fixture
def work(tmp_path, monkeypatch) -> motion_report.Work:
    """Two stages that count their runs, a checkpoint that is a file."""
    checkpoint = tmp_path / "last.safetensors"
    checkpoint.write_bytes(b"one")
    monkeypatch.setattr("train.speech.begin.steps_of", lambda path: 1)
    monkeypatch.setattr(motion_markdown, "write", lambda facts, parts, old, out: runs.setdefault("old", []).append(old))
    runs: dict = {}

    def part(name):
        def run(work):
            runs[name] = runs.get(name, 0) + 1
            return {"value": runs[name]}

        return run

    monkeypatch.setattr(motion_report, "STAGES", {"rest": part("rest"), "beside": part("beside")})
    tell(tmp_path)
    work = motion_report.Work(checkpoint, tmp_path, tmp_path, tmp_path, tmp_path / "out", say=lambda text: None)
    work.__dict__["people"] = {"unseen": [], "seen": []}
    work.__dict__["runs"] = runs
    return work


def test_only_what_is_old_runs_again(work) -> None:
    motion_report.report(work)
    motion_report.report(work)
    runs = work.__dict__["runs"]
    assert (runs["rest"], runs["beside"]) == (1, 1)
    work.checkpoint.write_bytes(b"two")  # another encoder: what needs none stands
    motion_report.report(work, only=["beside"])
    assert (runs["rest"], runs["beside"]) == (1, 1)
    assert runs["old"][-1] == ["rest"]
    motion_report.report(work)
    assert (runs["rest"], runs["beside"]) == (2, 1)
    motion_report.report(work, again=True)
    assert (runs["rest"], runs["beside"]) == (3, 2)
    kept = json.loads((work.out / "report.json").read_text())
    assert kept["stages"]["rest"]["result"] == {"value": 3}


def test_what_a_stage_hangs_on(work, tmp_path, monkeypatch) -> None:
    """Laws, where courses are shaped; offsets, by which the truth is moved; scales, in which the labeller is taught."""
    weights = tmp_path / "engines" / "weights"
    for name in motion_report.LAWS:
        path = weights.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("law")
    monkeypatch.setattr(motion_report, "WEIGHTS", weights)
    work.calibration = tmp_path / "short.safetensors"
    work.calibration.write_bytes(b"short")
    stages = ("rest", "strangers", "whole-clip-of-strangers", "beside", "labeller")

    def changed(before: dict[str, str]) -> set[str]:
        work.__dict__.pop("prepared", None)
        return {name for name, key in before.items() if motion_report.made_with(work, name) != key}

    before = {name: motion_report.made_with(work, name) for name in stages}
    assert changed(before) == set()
    (weights.parent / "ramps.py").write_text("another law")
    assert changed(before) == {"rest", "whole-clip-of-strangers"}
    (weights.parent / "ramps.py").write_text("law")
    for measured in ({"offsets_s": {"grid/s1": 0.01}}, {"scales": {"grid/s1": [0.1]}}):
        tell(tmp_path, **measured)
        assert changed(before) >= {"beside", "labeller"}
    tell(tmp_path, labeller_r_val={"grid/s1": {}})  # what nothing hangs on
    assert changed(before) == set()


def test_what_was_done_before_a_failure_is_kept(work, monkeypatch) -> None:
    def fails(work):
        raise RuntimeError("cut off")

    monkeypatch.setitem(motion_report.STAGES, "beside", fails)
    with pytest.raises(RuntimeError):
        motion_report.report(work)
    assert list(json.loads((work.out / "report.json").read_text())["stages"]) == ["rest"]


def test_an_unknown_stage_is_told(work) -> None:
    with pytest.raises(ConfigError, match="no stage widths"):
        motion_report.report(work, only=["widths"])


def test_a_habit_that_no_sound_tells_is_told_apart() -> None:
    """A talker who always waits with an open mouth: all of the whole clip's loss is before the first word."""
    group = [take(seed, waits_open=0.2) for seed in range(4)]
    guesses = [np.where(t.words, t.truth[:, OPEN], 0) for t in group]
    found = motion_report.lost(guesses, group)
    assert found["as it is"] < 0.5
    assert found["truth before the first word"] == pytest.approx(1)
    assert found["truth after the last word"] == found["as it is"]
    assert found["truth in words"] == found["as it is"]
    assert found["rest known"] == pytest.approx(1, abs=1e-3)
    assert found["opening before, truth"] == pytest.approx(0.2)
    assert found["opening before, guess"] == 0


def test_steady_vowels_are_long_vowels() -> None:
    one = take(0)
    course = np.zeros(PICTURES)
    course[28:32:2] = 0.1  # within AA, 1.0 to 1.4 s
    assert steady_vowels(course, one) > 0.05
    course[:] = 0
    course[36:40:2] = 0.1  # in P and after it
    assert steady_vowels(course, one) == 0


def results() -> dict[str, dict]:
    """Every part, every figure one half."""
    kinds = {kind: THREE for kind in KINDS}
    conditions = ("clean", "10 dB", "0 dB", "babble 5 dB")
    shape = {"slope of opening": THREE, "closed at p, b, m, clean": THREE, "open in words": THREE}
    channels = {name: {"r": THREE, "slope": THREE} for name in SPEC.speech_channels}
    labelled = {name: 0.7 for name in ("whole clip", *SPEC.speech_channels)}
    lost = motion_report.lost([np.ones(PICTURES), np.ones(PICTURES)], [take(0), take(1)])
    against = {
        "opening in words, clean": THREE,
        "opening, whole clip, clean": THREE,
        "width in words, clean": THREE,
        "at rest, babble alone": THREE,
    }
    people = ("unseen", "seen")
    return {
        "opening": {
            p: {c: {k: {"in words": THREE, "whole clip": THREE} for k in KINDS} for c in conditions} for p in people
        },
        "labeller": {p: labelled for p in people},
        "beside": {p: {"deaf: mean course": {c: 0.2 for c in conditions} | {"whole clip": 0.5}} for p in people},
        "others": {"plain": {"steps": 5} | {k: against for k in KINDS}},
        "strangers": {
            "steps": 7,
            "talkers": {
                "s3": {"clips": 2, "opening in words, clean": [0.1, 0.2, 0.3]},
                "s4": {"clips": 4, "opening in words, clean": [0.3, 0.4, 0.7]},
            },
        },
        "noises": {"wind": {"recordings": 3, "10 dB": kinds, "0 dB": kinds}},
        "shape": {
            p: {"truth": {"closed at p, b, m": 0.9, "open in words": 0.8, "open in silence": 0.2}}
            | {k: shape for k in KINDS}
            for p in people
        },
        "channels": {p: {c: {k: channels for k in KINDS} for c in ("clean", "10 dB")} for p in people},
        "rest": {"sounds": {"silence": kinds, "unseen babble, speech level": kinds}, "classes": {"wind": kinds}},
        "whole-clip": {"unseen, s5": {"clips": 2} | {k: lost for k in KINDS}},
        "emotions": {"anger": {"clips": 3} | kinds},
        "lively": {"laughing": {"clips": 4} | {k: {"not shut": THREE, "r": THREE} for k in KINDS}},
        "microphones": {"hall": {"clips": 4} | {k: {"not shut": THREE, "r": THREE} for k in KINDS}},
        "cost": {name: {"mean": 0.1, "p50": 0.1, "p99": 0.2} for name in ("encoder", "shaper")},
    }


def test_the_report_names_what_falls_short(tmp_path: Path) -> None:
    facts = {"steps": 1, "clips": {"unseen": 1, "seen": 1}}
    (tmp_path / "notes.md").write_text("## What falls short\n")
    motion_markdown.write(facts, results(), ["rest"], tmp_path)
    text = (tmp_path / "README.md").read_text()
    for said in (
        "0.500 (wanted 0.84)",
        "0.500 (wanted 0.86)",
        "0.500 (wanted 0.95)",
        "0.500 (wanted 0.99)",
        "0.500 (wanted 0.6)",
        "earlier laws: rest",
        "plain (5 steps)",
        "| s4 | 4 | 0.300 / 0.400 / 0.700 |",
        "| mean |  | 0.200 / 0.300 / 0.500 |",
        "| hall: r |",
        "## What falls short",
    ):
        assert said in text
    for figure in ("r_against_snr.png", "r_by_noise.png", "r_by_channel.png"):
        assert (tmp_path / figure).stat().st_size > 1000


def test_a_part_alone_makes_a_report(tmp_path: Path) -> None:
    for name, part in results().items():
        motion_markdown.write({"steps": 1, "clips": {"unseen": 1, "seen": 1}}, {name: part}, [], tmp_path)
        assert len((tmp_path / "README.md").read_text()) > 600
