"""`voxcam train generator`: the light that the network puts on skin and teeth. Resumable; sheets on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from engines.measure import canonical_face, mirror_points, mouth_measures, remove_pose, rest_measures
from train import checkpoint
from train.generator import SHAPE, SPEECH, Decoder, PortraitEncoder, Scales, compose
from train.generator_data import prepare
from train.geometry import mirror_channels, smile_pairs

SHARES = {"smile": 0.25, "head": 0.25, "grid": 0.5}  # of the batches
PORTRAITS, TARGETS = 6, 4  # of a batch
RATE = 1.2e-3
SHEET_S = 420  # between checkpoints
CROP_TOP_ROWS = 20  # rows above the nostrils count little


def scales_of(landmarks: Path) -> Scales:
    """How far codes go and how resting lower faces differ: real speech and real stills, each person counting once."""
    canonical = canonical_face()
    lower = (canonical[:, 1] > 0.3).astype(np.float32)[:, None]
    shapes, spread = [], []
    for talker in sorted((landmarks / "grid" / "train").iterdir()):
        own, codes = [], []
        for path in sorted(talker.glob("*.npy")):
            points = np.load(path)
            points = points[np.isfinite(points).all((1, 2))]
            if len(points) < 25:
                continue
            aligned, *_ = remove_pose(points, canonical)
            measures = mouth_measures(aligned)
            own.append(aligned[measures[:, 0] <= np.quantile(measures[:, 0], 0.25)].mean(0))
            codes.append(measures - rest_measures(measures))
        if own:
            shapes.append(np.mean(own, 0))
            spread.append((np.concatenate(codes) ** 2).mean(0))
    _, smiles = smile_pairs(landmarks / "faces", canonical)
    for path in sorted((landmarks / "faces").glob("*_neutral.npy")):
        points = np.load(path)
        if np.isfinite(points).all():
            shapes.append(remove_pose(points[None], canonical)[0][0])
    flat = np.stack([((shape - canonical) * lower).ravel() for shape in shapes])
    mean = flat.mean(0)
    _, singular, rows = np.linalg.svd(flat - mean, full_matrices=False)
    basis = rows[:SHAPE] / (singular[:SHAPE, None] / len(flat) ** 0.5)
    code_scale = (0.8 * np.mean(spread, 0)[:SPEECH] + 0.2 * (smiles**2).mean(0)[:SPEECH]) ** 0.5
    return Scales(*(torch.from_numpy(value.astype(np.float32)) for value in (code_scale, mean, basis)))


class Samples:
    """All prepared portraits in memory; batches of several targets of several portraits."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.portraits: list[dict[str, np.ndarray]] = []
        people: list[tuple[str, str]] = []
        for path in sorted(path for path in folder.glob("*.npz") if "partial" not in path.name):
            kind, person = path.stem.split("_")[:2]
            with np.load(path) as stored:
                self.portraits.append({name: stored[name] for name in stored.files})
            people.append((kind, person))
        # A person counts by the root of the clips; kinds by their shares.
        chance = np.array([people.count(key) ** -0.5 for key in people])
        for kind, share in SHARES.items():
            of_kind = np.array([key[0] == kind for key in people])
            if of_kind.any():
                chance[of_kind] *= share / chance[of_kind].sum()
        self.chance = chance / chance.sum()

    def batch(self, portraits: int, targets: int) -> dict[str, torch.Tensor]:
        """Targets of one portrait lie together; mirrored half of the time; a little colour and light change."""
        rows: dict[str, list[np.ndarray]] = {}
        for index in self.random.choice(len(self.portraits), portraits, p=self.chance):
            portrait = self.portraits[index]
            mirror = self.random.random() < 0.5
            colour = np.exp(self.random.normal(0, 0.10) + self.random.normal(0, 0.03, 3)).astype(np.float32)
            for k in self.random.choice(len(portrait["code"]), targets, replace=len(portrait["code"]) < targets):
                row = {
                    "crop": portrait["crop"] / np.float32(255) * colour,
                    "shape": portrait["shape"],
                    "tones": portrait["tones"] * np.tile(colour, 4),
                    "mask": portrait["mask"] / np.float32(255),
                    "code": portrait["code"][k, :],
                    "drawn": portrait["drawn"][k] * colour,
                    "truth": portrait["truth"][k] * colour,
                    "source": portrait["source"][k].astype(np.float32),
                    "mouth": portrait["mouth"][k].astype(np.float32),
                }
                if mirror:
                    row = mirrored(row)
                for name, value in row.items():
                    rows.setdefault(name, []).append(np.asarray(value, np.float32))
        batch = {name: torch.from_numpy(np.stack(values)) for name, values in rows.items()}
        for name in ("crop", "drawn", "truth"):
            batch[name] = batch[name].permute(0, 3, 1, 2)
        return batch


PARTNER = mirror_points()


def mirrored(row: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same sample with left and right exchanged."""
    flipped = {name: row[name][:, ::-1] for name in ("crop", "drawn", "truth", "source", "mouth", "mask")}
    flipped["source"] = np.stack([119 - flipped["source"][..., 0], flipped["source"][..., 1]], -1)
    mouth = flipped["mouth"]
    flipped["mouth"] = np.stack([mouth[..., 0], 1 - mouth[..., 1], mouth[..., 2]], -1)
    code = row["code"].copy()
    code[:SPEECH] = mirror_channels(code[None, :SPEECH])[0]
    shape = row["shape"][PARTNER] * np.array([-1, 1, 1], np.float32)
    return {**row, **flipped, "code": code, "shape": shape}


def pyramid(x: torch.Tensor, levels: int = 4) -> list[torch.Tensor]:
    """Laplacian pyramid."""
    bands = []
    for _ in range(levels - 1):
        small = F.avg_pool2d(x, 2)
        bands.append(x - F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False))
        x = small
    return [*bands, x]


def loss_of(made: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Pyramid L1 with lips and their inside weighted up, and gradients."""
    cover = batch["mouth"][..., 0][:, None]
    weight = 1 + 3 * F.max_pool2d(cover, 13, 1, 6) + 3 * cover
    rows = torch.ones(96)
    rows[:CROP_TOP_ROWS] = torch.linspace(0.2, 1, CROP_TOP_ROWS)
    weight = weight * rows[:, None]
    total = made.new_zeros(())
    for k, (a, b) in enumerate(zip(pyramid(made), pyramid(batch["truth"]), strict=True)):
        total = total + ((a - b).abs() * F.avg_pool2d(weight, 2**k)).mean() * (1.0, 1.0, 1.0, 0.5)[k]
    difference = made - batch["truth"]
    total = total + 0.5 * ((difference[..., 1:] - difference[..., :-1]).abs() * weight[..., 1:]).mean()
    return total


def sheet(path: Path, samples: Samples, encoder: PortraitEncoder, decoder: Decoder) -> None:
    """Portrait, closed form, corrected, truth, of a dozen samples."""
    samples.random, kept = np.random.default_rng(5), samples.random
    batch = samples.batch(16, 1)
    samples.random = kept
    with torch.no_grad():
        features, vector = encoder(batch["crop"], batch["shape"], batch["tones"])
        skin, inner = decoder.textures(batch["code"], features, vector)
        made = compose(batch, skin, inner)
    rows = torch.cat([batch["crop"] * 255, batch["drawn"], made, batch["truth"], 128 + 256 * skin], 3)
    grid = rows.permute(0, 2, 3, 1).numpy().clip(0, 255).astype(np.uint8)
    left, right = np.concatenate(list(grid[:8])), np.concatenate(list(grid[8:]))
    cv2.imwrite(str(path), np.hstack([left, right])[..., ::-1])


def train(
    folder: Path,
    out: Path,
    scales: Scales,
    minutes: float,
    rate: float = RATE,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> None:
    """Train for `minutes` at a rate that falls to 3 %; goes on from OUT/generator.safetensors where there is one."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    samples = Samples(folder, seed)
    encoder, decoder = PortraitEncoder(scales), Decoder(scales)
    both = torch.nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    both = both.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {name: value.clone() for name, value in both.state_dict().items()}
    optimiser = torch.optim.AdamW(both.parameters(), rate, weight_decay=0.01)
    kept = out / "generator.safetensors"
    step, spent = 0, 0.0
    if kept.exists():
        tensors, facts = checkpoint.load(kept)
        both.load_state_dict(checkpoint.part("model", tensors))
        average = {name: value.clone() for name, value in checkpoint.part("average", tensors).items()}
        checkpoint.restore_optimiser(optimiser, both, checkpoint.part("optimiser", tensors))
        step, spent = facts["step"], facts["spent_s"]
    start, said, running, base = time.monotonic() - spent, time.monotonic(), [], []
    while time.monotonic() - start < 60 * minutes:
        share = (time.monotonic() - start) / (60 * minutes)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * (0.5 * (1 + np.cos(np.pi * share)) * 0.97 + 0.03)
        batch = samples.batch(PORTRAITS, TARGETS)
        with torch.autocast("cpu", torch.bfloat16):
            features, vector = encoder(*(batch[name][::TARGETS] for name in ("crop", "shape", "tones")))
            features, vector = features.repeat_interleave(TARGETS, 0), vector.repeat_interleave(TARGETS, 0)
            skin, inner = decoder.textures(batch["code"], features, vector)
        skin, inner = skin.float(), inner.float()
        made = compose(batch, skin, inner)
        loss = loss_of(made, batch) + 5 * (skin[..., 1:] - skin[..., :-1]).abs().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(both.parameters(), 5.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            decay = min(0.998, step / (step + 20))
            for name, value in both.state_dict().items():
                average[name].lerp_(value, 1 - decay)
            running.append(float(loss))
            if step % 10 == 0:
                base.append(float(loss_of(batch["drawn"], batch)))
        if step % 100 == 0:
            minutes_now = (time.monotonic() - start) / 60
            say(f"step {step}, {minutes_now:.1f} min: loss {np.mean(running):.3f}, closed form {np.mean(base):.3f}")
            running, base = [], []
        if time.monotonic() - said > SHEET_S or time.monotonic() - start >= 60 * minutes:
            said = time.monotonic()
            tensors = {
                **checkpoint.prefixed("model", both.state_dict()),
                **checkpoint.prefixed("average", average),
                **checkpoint.prefixed("optimiser", checkpoint.optimiser_tensors(optimiser, both)),
            }
            checkpoint.save(kept, tensors, {"step": step, "spent_s": time.monotonic() - start})
            state = {name: value.clone() for name, value in both.state_dict().items()}
            both.load_state_dict(average)
            sheet(out / f"sheet_{step:06d}.png", samples, encoder.eval(), decoder.eval())
            both.load_state_dict(state)
            both.train()


def command(
    data: Path, landmarks: Path, heads: Path | None, out: Path, minutes: float, say: Callable[[str], None] = print
) -> None:
    """Samples, then the networks. What OUT holds already is left alone."""
    torch.set_num_threads(1)
    for number, name in enumerate(prepare(data, landmarks, heads, out / "samples")):
        if number % 50 == 0:
            say(f"samples: {number} {name}")
    train(out / "samples", out, scales_of(landmarks), minutes, say=say)


def trained(out: Path) -> tuple[PortraitEncoder, Decoder, dict]:
    """The averaged networks of a run, in evaluation mode, and the checkpoint's facts."""
    tensors, facts = checkpoint.load(out / "generator.safetensors")
    weights = checkpoint.part("average", tensors)
    names = ("decoder.code_scale", "encoder.shape_mean", "encoder.shape_basis")
    scales = Scales(*(weights[name] for name in names))
    encoder, decoder = PortraitEncoder(scales), Decoder(scales)
    torch.nn.ModuleDict({"encoder": encoder, "decoder": decoder}).load_state_dict(weights)
    return encoder.eval(), decoder.eval(), facts
