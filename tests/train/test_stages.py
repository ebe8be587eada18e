"""Stages of a report: what runs again, what stands, what is lost to nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.errors import ConfigError
from train.stages import hash_of, run_stages


@pytest.fixture
def ran() -> list[str]:
    return []


def stages(ran: list[str], *names: str) -> dict:
    def stage(name: str):
        return lambda: ran.append(name) or {"run": len(ran)}

    return {name: stage(name) for name in names}


def test_a_stage_with_nothing_to_judge_stands(tmp_path: Path, ran: list[str]) -> None:
    both = stages(ran, "rest", "others")
    run_stages(tmp_path, both, {"rest": "a", "others": "b"}, None, False, print)
    results, old = run_stages(tmp_path, both, {"rest": "c", "others": None}, None, True, print)
    assert ran == ["rest", "others", "rest"]
    assert results == {"rest": {"run": 3}, "others": {"run": 2}}
    assert old == []


def test_a_run_beside_this_one_loses_nothing(tmp_path: Path, ran: list[str]) -> None:
    """While one run is at its stage, another adds its own."""
    both, keys = stages(ran, "first", "second"), {"first": "a", "second": "b"}

    def meanwhile() -> dict:
        run_stages(tmp_path, both, keys, ["second"], False, print)
        return {"run": 0}

    results, old = run_stages(tmp_path, both | {"first": meanwhile}, keys, ["first"], False, print)
    assert results == {"first": {"run": 0}, "second": {"run": 1}}
    assert (ran, old) == (["second"], [])
    kept = json.loads((tmp_path / "report.json").read_text())["stages"]
    assert list(kept) == ["first", "second"]


def test_a_report_of_an_earlier_form_is_made_anew(tmp_path: Path, ran: list[str]) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"format": 1, "stages": {"rest": {"widths": 3}}}))
    run_stages(tmp_path, stages(ran, "rest"), {"rest": "a"}, None, False, print, {"steps": 5})
    assert ran == ["rest"]
    assert json.loads((tmp_path / "report.json").read_text())["facts"] == {"steps": 5}


def test_an_unknown_stage_is_told_and_nothing_runs(tmp_path: Path, ran: list[str]) -> None:
    with pytest.raises(ConfigError, match="no stage widths: one of rest"):
        run_stages(tmp_path / "out", stages(ran, "rest"), {"rest": "a"}, ["rest", "widths"], False, print)
    assert ran == []
    assert not (tmp_path / "out").exists()


def test_hashes_tell_words_bytes_and_files_apart(tmp_path: Path) -> None:
    file = tmp_path / "w.bin"
    file.write_bytes(b"1")
    one = hash_of("sound", "12", files=[file])
    file.write_bytes(b"2")
    assert len({one, hash_of("sound", "12", files=[file]), hash_of("sound", "13"), hash_of("sound", more=b"12")}) == 4
