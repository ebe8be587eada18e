from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engines.errors import InputError
from tests.painted_faces import paint_face
from train import checkpoint
from train.face import held_heads
from train.face.generator import Scales
from train.face.train_generator import Learner, Plan


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person at rest, and twice with a darker mouth that the landmarks call open."""
    folder = tmp_path_factory.mktemp("heads")
    picture, points = paint_face()
    lower = points.copy()
    lower[[17, 314, 405, 84, 14, 317, 402, 87], 1] += 6
    pictures = np.stack([picture, (picture * 0.8).astype(np.uint8), (picture * 0.7).astype(np.uint8)])
    np.savez(folder / "3000.npz", pictures=pictures, landmarks=np.stack([points, lower, lower]))
    return folder


def test_a_generator_that_does_nothing_is_the_closed_form(
    heads: Path, scales: Scales, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_heads, "scales_of", lambda landmarks: scales)
    monkeypatch.setattr(held_heads, "BATCHES", 2)
    still, bright = Learner(scales, Plan(1)), Learner(scales, Plan(1))
    for parameter in still.decoder.parameters():
        torch.nn.init.zeros_(parameter)
    for learner, name in ((still, "still"), (bright, "bright")):
        if learner is bright:
            with torch.no_grad():
                learner.decoder.skin[2].bias.fill_(3.0)  # type: ignore[operator,union-attr]  # as light as may be, everywhere
        learner.average = {key: value.clone() for key, value in learner.both.state_dict().items()}
        checkpoint.save(tmp_path / f"{name}.safetensors", checkpoint.prefixed("average", learner.average), {"step": 1})
    paths = [tmp_path / "still.safetensors", tmp_path / "bright.safetensors"]
    folder = tmp_path / "samples"
    folder.mkdir()
    found = dict(held_heads.distances(held_heads.samples_of(heads, folder), tmp_path, paths))
    closed, nothing, light = (found[name] for name in ("closed form", *map(str, paths)))
    assert nothing == pytest.approx(closed, rel=1e-4)
    assert light > 1.2 * closed


def test_an_empty_folder_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="no rendered heads"):
        held_heads.samples_of(tmp_path, tmp_path)
    with pytest.raises(SystemExit):
        held_heads.main([str(tmp_path), "generator.onnx"])
    assert "holds no rendered heads" in capsys.readouterr().err
