"""`voxcam train`: what cannot be is told in a word, before hours of work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from engines.errors import ConfigError, InputError, VoxcamError, WrongInput
from train import cli
from train.data import teacher


def refused(kind: type[VoxcamError], words: str, *arguments: str | Path) -> None:
    command = typer.main.get_command(cli.app)
    with pytest.raises(kind, match=words):
        command([str(argument) for argument in arguments], standalone_mode=False)


def vae(cache: Path, *more: str) -> tuple[str | Path, ...]:
    return ("vae", "--data-root", cache, "--cache", cache, "--out", cache / "run", *more)


def test_a_cache_that_is_not_prepared(tmp_path: Path) -> None:
    refused(InputError, "holds no prepared speech", *vae(tmp_path))
    for content, words in (("{", "no JSON"), ("[]", "no table"), (json.dumps({"version": 0}), "another version")):
        (tmp_path / "speech.json").write_text(content)
        refused(InputError, words, *vae(tmp_path))
    assert not (tmp_path / "run").exists()


def test_devices_that_are_not_there(tmp_path: Path) -> None:
    refused(ConfigError, "--accelerator warp", *vae(tmp_path, "--accelerator", "warp"))


def test_a_run_to_begin_from_that_is_none(tmp_path: Path) -> None:
    refused(WrongInput, "no checkpoint", *vae(tmp_path, "--begin", "nowhere.safetensors"))


def test_a_missing_teacher_is_told_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = ("prepare", "--data-root", tmp_path / "nothing", "--cache", tmp_path)
    refused(ConfigError, r"holds no model\.bin", *prepare, "--teacher", tmp_path)
    (tmp_path / "model.bin").touch()
    monkeypatch.setattr(teacher, "find_spec", lambda _name: None)
    refused(ConfigError, "the teacher is not installed", *prepare, "--teacher", tmp_path)
    refused(WrongInput, "no folder", *prepare, "--no-teacher")


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    (tmp_path / "speech.json").write_text("{")
    refused(
        InputError, r"speech\.json is no JSON", "prepare", "--data-root", tmp_path, "--cache", tmp_path, "--no-teacher"
    )


@pytest.mark.parametrize("command", ["generator", "geometry"])
def test_what_filmed_people_are_learned_from_is_told(tmp_path: Path, command: str) -> None:
    given = (command, "--data-root", tmp_path, "--landmarks", tmp_path / "landmarks", "--out", tmp_path / "out")
    refused(WrongInput, "holds no grid/train", *given)
    (tmp_path / "grid" / "train").mkdir(parents=True)
    refused(InputError, "holds no landmarks of GRID", *given)
    (tmp_path / "landmarks" / "grid" / "train").mkdir(parents=True)
    refused(WrongInput, "holds no faces/london", *given)
    assert not (tmp_path / "out").exists()
