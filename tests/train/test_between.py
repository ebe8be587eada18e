from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engines.errors import InputError
from train import checkpoint
from train.speech.between import between, main

FACTS = {"config": {"encoder": {}}, "step": 7, "steps_before": 3}


def written(path: Path, size: int = 3, value: float = 1.0, step: int = 7) -> Path:
    tensors = {
        "average.gru.weight": torch.full((size,), value),
        "model.heads.bias": torch.full((2,), 10 * value),
        "average.count": torch.tensor([5 + int(value)]),
        "optimiser.exp_avg.gru.weight": torch.full((size,), 100 * value),
    }
    checkpoint.save(path, tensors, FACTS | {"step": step})
    return path


def test_weights_lie_between_and_all_else_is_the_second_ones(tmp_path: Path) -> None:
    first, second = (
        written(tmp_path / "a.safetensors", value=1.0, step=1),
        written(tmp_path / "b.safetensors", value=3.0),
    )
    assert between(first, second, 0.25, tmp_path / "out.safetensors") == 2
    tensors, facts = checkpoint.load(tmp_path / "out.safetensors")
    assert facts == FACTS
    assert tensors["average.gru.weight"].tolist() == pytest.approx([1.5] * 3)
    assert tensors["model.heads.bias"].tolist() == pytest.approx([15.0] * 2)
    assert tensors["average.count"].tolist() == [8]
    assert tensors["optimiser.exp_avg.gru.weight"].tolist() == pytest.approx([300.0] * 3)


def test_two_forms_have_nothing_between_them(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a.safetensors", size=3), written(tmp_path / "b.safetensors", size=4)
    with pytest.raises(InputError, match="two forms"):
        between(first, second, 0.5, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(("share", "said"), [("1.5", "not between 0 and 1"), ("0.5", "is no checkpoint")])
def test_mistakes_are_one_line(share: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = written(tmp_path / "b.safetensors")
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none"), str(second), "--share", share, "--out", str(tmp_path / "out.safetensors")])
    assert said in capsys.readouterr().err
