from __future__ import annotations

from pathlib import Path

import pytest

from engines.errors import ConfigError
from train.cli import CONFIGS
from train.config import load_config
from train.motion.train_motion import MotionConfig
from train.speech.train_vae import VaeConfig


def config(folder: Path, text: str) -> VaeConfig:
    path = folder / "vae.toml"
    path.write_text(text)
    return load_config(VaeConfig, path)


def test_values_and_tables_are_read(tmp_path: Path) -> None:
    found = config(
        tmp_path, "steps = 7\nlearning_rate = 1\n[batch]\ntts = 2\n[batch.augment]\nnoise = 0.5\n[loss]\nmotion = 2"
    )
    assert (found.steps, found.learning_rate, found.batch.tts, found.batch.augment.noise) == (7, 1.0, 2, 0.5)
    assert found.loss.motion == 2.0
    assert found.batch.grid == VaeConfig().batch.grid


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("stepps = 7", "stepps", "steps"),
        ("[loss]\nmotoin = 1.0", "motoin", "motion"),
        ("[batch.augment]\nnoize = 1.0", "noize", "noise"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(tmp_path: Path, text: str, key: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, text)
    assert key in caught.value.what
    assert nearest in caught.value.fix
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ['steps = "many"', "steps = 1.5", "steps = true", "batch = 3", "bf16 = 1", "steps = "])
def test_a_value_of_the_wrong_kind_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"vae\.toml"):
        config(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("steps = -5", "steps"),
        ("steps = 0", "steps"),
        ("checkpoint_every = 0", "checkpoint_every"),
        ("learning_rate = nan", "learning_rate"),
        ("learning_rate = inf", "learning_rate"),
        ("learning_rate = -1", "learning_rate"),
        ("seed = -1", "seed"),
        ("[batch]\ntts = -2", "tts"),
        ("[encoder]\ngru = 0", "gru"),
        ("[loss]\nmotion = -0.5", "motion"),
    ],
)
def test_a_number_out_of_range_is_refused(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        config(tmp_path, text)


def test_levels_may_be_negative_and_rows_none(tmp_path: Path) -> None:
    found = config(tmp_path, "[batch]\ntts = 0\n[batch.augment]\nsnr_low_db = -9\n").batch
    assert (found.tts, found.augment.snr_low_db) == (0, -9.0)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_config(VaeConfig, tmp_path / "none.toml")


def test_shipped_configs_are_read() -> None:
    assert load_config(VaeConfig, CONFIGS / "vae.toml").steps > 0
    assert load_config(MotionConfig, CONFIGS / "motion.toml").steps > 0
