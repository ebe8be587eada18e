"""The generator's network: idle at rest, true to mirrors, and composed in training as in the engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.generator import Generator, Learned
from engines.measure import mirror_points
from engines.portrait import Portrait, crop_to_photo, make_portrait
from engines.spec import MOTION_CHANNELS
from tests.engines.test_generator import code, paint_face
from train.generator import SHAPE, SPEECH, Decoder, PortraitEncoder, Scales, compose
from train.generator_data import pair_sample, write_portrait
from train.train_generator import SHARES, Samples, mirrored


@pytest.fixture(scope="module")
def scales() -> Scales:
    draw = torch.Generator().manual_seed(0)
    return Scales(
        code_scale=torch.full((SPEECH,), 0.05),
        shape_mean=torch.zeros(478 * 3),
        shape_basis=torch.randn(SHAPE, 478 * 3, generator=draw),
    )


def wake(module: torch.nn.Module) -> None:
    """Give every layer weights of some size: freshly made, the last ones are next to nothing."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.1)


def test_rest_is_left_alone(scales: Scales) -> None:
    encoder, decoder = PortraitEncoder(scales), Decoder(scales)
    wake(encoder)
    wake(decoder)
    with torch.no_grad():
        features, vector = encoder(torch.rand(2, 3, 96, 120), torch.randn(2, 478, 3) * 0.05, torch.rand(2, 12))
        at_rest = torch.zeros(2, len(MOTION_CHANNELS))
        at_rest[1, SPEECH:] = 0.1  # blinks, gaze and pose are not the network's
        for part in decoder(at_rest, features, vector):
            assert float(part.abs().max()) < 1e-6
        spoken = at_rest.clone()
        spoken[:, 0] = 0.1
        skin, inner = decoder(spoken, features, vector)
    assert (skin.shape, inner.shape) == ((2, 96, 120, 3), (2, 24, 48))
    for part in (skin, inner):
        assert float(part.abs().max()) > 1e-4


class Scripted(Generator):
    """A generator whose network says what it is told."""

    def __init__(self, learned: Learned) -> None:
        super().__init__()
        self.learned = learned

    def _learned(self, code: np.ndarray, portrait: Portrait) -> Learned:
        return self.learned


def crop_of(picture: np.ndarray, portrait: Portrait) -> np.ndarray:
    matrix = crop_to_photo(portrait.rotation, float(portrait.scale[0]), portrait.translation)
    return cv2.warpAffine(picture, matrix, (120, 96), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def test_training_composes_what_the_engine_composes() -> None:
    portrait = make_portrait(*paint_face())
    portrait = replace(portrait, photo=cv2.GaussianBlur(portrait.photo, (0, 0), 2))
    motion = code(jawOpen=0.25, mouthLowerDown=0.15, jawDrop=0.1)
    y, x = np.mgrid[:96, :120].astype(np.float32)
    skin = np.stack([0.3 * np.sin(x / 9), 0.3 * np.cos(y / 9), 0.2 * np.sin((x + y) / 11)], -1)
    inner = np.linspace(-0.6, 0.4, 24, dtype=np.float32)[:, None].repeat(48, 1)
    sample = pair_sample(Generator(), portrait, motion, portrait.photo)
    batch = {
        "drawn": torch.from_numpy(sample["drawn"].astype(np.float32)).permute(2, 0, 1)[None],
        "source": torch.from_numpy(sample["source"].astype(np.float32))[None],
        "mouth": torch.from_numpy(sample["mouth"].astype(np.float32))[None],
        "mask": torch.from_numpy(portrait.skin_mask.astype(np.float32) / 255)[None],
    }
    made = compose(batch, torch.from_numpy(skin).permute(2, 0, 1)[None], torch.from_numpy(inner)[None, None])
    drawn = Scripted(Learned(skin, inner)).draw(motion, portrait)
    difference = np.abs(made[0].permute(1, 2, 0).numpy().clip(0, 255) - crop_of(drawn, portrait))
    without = np.abs(sample["drawn"].astype(np.float32) - crop_of(drawn, portrait))
    assert difference.mean() < 1.0
    assert np.quantile(difference, 0.99) < 12  # pixels on the lips' edge mix before one, after the other
    assert without.mean() > 5 * difference.mean()


def test_mirrors() -> None:
    random = np.random.default_rng(0)
    row = {
        "crop": random.random((96, 120, 3)),
        "drawn": random.random((96, 120, 3)),
        "truth": random.random((96, 120, 3)),
        "source": np.stack(np.meshgrid(np.arange(120.0), np.arange(96.0)), -1),
        "mouth": random.random((96, 120, 3)),
        "mask": random.random((96, 120)),
        "shape": random.random((478, 3)).astype(np.float32),
        "code": random.random(25).astype(np.float32),
        "tones": random.random(12),
    }
    once = mirrored(row)
    assert once["source"] == pytest.approx(row["source"])  # where nothing moved, nothing moves
    assert once["shape"][mirror_points()[61], 0] == -row["shape"][61, 0]
    assert once["code"][7] == row["code"][8]
    twice = mirrored(once)
    for name, value in row.items():
        assert twice[name] == pytest.approx(value), name


def test_kinds_have_their_shares(tmp_path: Path) -> None:
    portrait = make_portrait(*paint_face())
    made = [pair_sample(Generator(), portrait, code(jawOpen=0.1), portrait.photo)]
    for name in ("grid_s1_a", "grid_s1_b", "grid_s1_c", "grid_s1_d", "grid_s2_a", "smile_1_a", "head_1_a"):
        write_portrait(tmp_path / f"{name}.npz", portrait, made)
    samples = Samples(tmp_path)
    assert samples.chance.sum() == pytest.approx(1)
    assert samples.chance[:5] == pytest.approx(SHARES["grid"] * np.array([0.5, 0.5, 0.5, 0.5, 1]) / 3)
    assert samples.chance[5:] == pytest.approx([SHARES["head"], SHARES["smile"]])
    batch = samples.batch(2, 3)
    assert batch["drawn"].shape == (6, 3, 96, 120)
