"""`voxcam train generator`: motion of landmarks first, then the residual textures. Resumable; sheets on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from engines.geometry import load_geometry
from engines.measure import canonical_face, mirror_points, mouth_measures, remove_pose
from engines.portrait import Portrait
from train import checkpoint
from train.generator import SHAPE, SPEECH, Decoder, Motion, MotionConstants, PortraitEncoder, compose
from train.generator_data import prepare
from train.geometry import clip_motion, mirror_channels, mirror_motion, smile_pairs

CROP_TOP_ROWS = 20  # rows above the nostrils count little


@dataclass
class MotionData:
    """Pictures of people in motion: channels (N, 14), displacement (N, 478, 3), rest shape (N, 478, 3), weight (N,)."""

    channels: np.ndarray
    displacement: np.ndarray
    shape: np.ndarray
    weight: np.ndarray


def motion_data(landmarks: Path, heads: Path | None) -> MotionData:
    """Real speech, real smiles, rendered mouths, and all of them mirrored."""
    canonical = canonical_face()
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, float]] = []
    for talker in sorted((landmarks / "grid" / "train").iterdir()):
        clips = []
        for path in sorted(talker.glob("*.npy")):
            points = np.load(path)
            motion = clip_motion(points, canonical)
            if motion is not None:
                points = points[np.isfinite(points).all((1, 2))]
                aligned, *_ = remove_pose(points, canonical)
                opening = mouth_measures(aligned)[:, 0]
                rest = aligned[opening <= np.quantile(opening, 0.25)].mean(0)
                clips.append((motion, rest - canonical))
        for (displacement, channels), shape in clips:
            parts.append((channels, displacement, np.repeat(shape[None], len(channels), 0), len(clips) ** -0.5))
    moved, channels = smile_pairs(landmarks / "faces", canonical)
    stills = sorted((landmarks / "faces").glob("*_smile.npy"))
    neutral = [np.load(path.with_name(path.name.replace("smile", "neutral"))) for path in stills]
    shapes = [remove_pose(points[None], canonical)[0][0] - canonical for points in neutral]
    kept = [np.isfinite(s).all() and np.isfinite(np.load(path)).all() for s, path in zip(shapes, stills, strict=True)]
    parts.append((channels, moved, np.stack([s for s, keep in zip(shapes, kept, strict=True) if keep]), 3.0))
    for head in sorted(heads.glob("[0-9]*[0-9].npz")) if heads else []:
        with np.load(head) as stored:
            aligned, *_ = remove_pose(stored["landmarks"], canonical)
        if mouth_measures(aligned[:1])[0, 0] < 0.03:
            measures = mouth_measures(aligned)
            shape = np.repeat((aligned[0] - canonical)[None], len(aligned) - 1, 0)
            parts.append((measures[1:] - measures[0], aligned[1:] - aligned[0], shape, 0.5))
    partner = mirror_points()
    flat = [
        np.concatenate([np.concatenate([part[k] for part in parts]) for _ in range(2)]).astype(np.float32)
        for k in range(3)
    ]
    half = len(flat[0]) // 2
    flat[0][half:] = mirror_channels(flat[0][half:])
    for k in (1, 2):
        flat[k][half:] = mirror_motion(flat[k][half:], partner)
    weight = np.concatenate([np.full(len(part[0]), part[3]) for part in parts])
    return MotionData(flat[0][:, :SPEECH], flat[1], flat[2], np.tile(weight, 2))


def fit_motion(data: MotionData, steps: int = 5000, seed: int = 0) -> tuple[Motion, MotionConstants]:
    """The displacement beside the linear basis, from code and face shape."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    canonical = canonical_face()
    basis, _ = load_geometry()
    lower = (canonical[:, 1] > 0.3).astype(np.float32)[:, None]
    chance = data.weight / data.weight.sum()
    sample = random.choice(len(chance), 8000, p=chance)
    mean = (data.shape[sample] * lower).reshape(len(sample), -1).mean(0)
    _, singular, rows = np.linalg.svd((data.shape[sample] * lower).reshape(len(sample), -1) - mean, full_matrices=False)
    shape_basis = rows[:SHAPE] / (singular[:SHAPE, None] / len(sample) ** 0.5) * lower.repeat(3, 1).reshape(1, -1)

    def rest_of(index: np.ndarray) -> np.ndarray:
        linear = np.tensordot(data.channels[index], basis[:SPEECH], 1)
        return ((data.displacement[index] - linear) * lower).reshape(len(index), -1)

    residual = rest_of(sample)
    modes = np.linalg.svd(residual, full_matrices=False)[2][:24]
    deviation = (residual @ modes.T).std()
    constants = MotionConstants(
        code_scale=torch.from_numpy(data.channels[sample].std(0).astype(np.float32)),
        shape_mean=torch.from_numpy(mean.astype(np.float32)),
        shape_basis=torch.from_numpy(shape_basis.astype(np.float32)),
        modes=torch.from_numpy((modes * deviation).astype(np.float32)),
    )
    model = Motion(constants)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.02)
    for step in range(steps):
        index = random.choice(len(chance), 512, p=chance)
        target = torch.from_numpy((rest_of(index) @ modes.T / deviation).astype(np.float32))
        speech = torch.from_numpy(data.channels[index]) + 0.03 * constants.code_scale * torch.randn(512, SPEECH)
        shape = (torch.from_numpy(data.shape[index].reshape(512, -1)) - constants.shape_mean) @ constants.shape_basis.T
        shape = (shape + 0.5 * torch.randn(512, SHAPE)).clamp(-3, 3)
        loss = F.mse_loss(model.coefficients(speech, shape), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
    return model.eval(), constants


class MotionCorrection:
    """The fitted displacement as the data's closed form uses it."""

    def __init__(self, model: Motion, constants: MotionConstants) -> None:
        self.model, self.constants = model, constants

    @torch.no_grad()
    def __call__(self, code: np.ndarray, portrait: Portrait) -> np.ndarray:
        flat = torch.from_numpy(portrait.shape.reshape(1, -1))
        shape = ((flat - self.constants.shape_mean) @ self.constants.shape_basis.T).clamp(-3, 3)
        return self.model(torch.from_numpy(code[None, :SPEECH].astype(np.float32)), shape)[0].numpy()


class Samples:
    """All prepared portraits in memory; batches of several targets of several portraits."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.portraits: list[dict[str, np.ndarray]] = []
        chance = []
        people: dict[str, int] = {}
        paths = sorted(path for path in folder.glob("*.npz") if "partial" not in path.name)
        for path in paths:
            kind, person = path.stem.split("_")[:2]
            people[f"{kind}_{person}"] = people.get(f"{kind}_{person}", 0) + 1
        for path in paths:
            kind, person = path.stem.split("_")[:2]
            with np.load(path) as stored:
                self.portraits.append({name: stored[name] for name in stored.files})
            clips = people[f"{kind}_{person}"]
            chance.append({"smile": 0.25 / 82, "head": 0.25 / 160, "grid": 0.15 / clips**0.6}[kind])
        self.chance = np.array(chance) / np.sum(chance)

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
    constants: MotionConstants,
    motion: Motion,
    minutes: float,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> None:
    """Train the textures for `minutes`; goes on from OUT/generator.safetensors where there is one."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    samples = Samples(folder, seed)
    encoder, decoder = PortraitEncoder(constants), Decoder(constants)
    decoder.motion.load_state_dict(motion.state_dict())
    for parameter in decoder.motion.parameters():
        parameter.requires_grad_(False)
    both = torch.nn.ModuleDict({"encoder": encoder, "decoder": decoder}).to(memory_format=torch.channels_last)
    average = {name: value.clone() for name, value in both.state_dict().items()}
    optimiser = torch.optim.AdamW([p for p in both.parameters() if p.requires_grad], 1.2e-3, weight_decay=0.01)
    kept = out / "generator.safetensors"
    step, spent = 0, 0.0
    if kept.exists():
        tensors, facts = checkpoint.load(kept)
        both.load_state_dict(checkpoint.part("model", tensors))
        average = {name: value.clone() for name, value in checkpoint.part("average", tensors).items()}
        checkpoint.restore_optimiser(optimiser, both, checkpoint.part("optimiser", tensors))
        step, spent = facts["step"], facts["spent_s"]
    start, said, running, base = time.monotonic() - spent, time.monotonic(), 0.0, 0.0
    while time.monotonic() - start < 60 * minutes:
        share = (time.monotonic() - start) / (60 * minutes)
        for group in optimiser.param_groups:
            group["lr"] = 1.2e-3 * min(1, (step + 1) / 100) * (0.5 * (1 + np.cos(np.pi * share)) * 0.97 + 0.03)
        batch = samples.batch(6, 4)
        with torch.autocast("cpu", torch.bfloat16):
            first = {name: batch[name][::4] for name in ("crop", "shape", "tones")}
            features, vector = encoder(first["crop"], first["shape"], first["tones"])
            features, vector = features.repeat_interleave(4, 0), vector.repeat_interleave(4, 0)
            skin, inner = decoder.textures(batch["code"], features, vector)
        skin, inner = skin.float(), inner.float()
        made = compose(batch, skin, inner)
        loss = loss_of(made, batch) + 0.5 * (skin[..., 1:] - skin[..., :-1]).abs().mean() * 10
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(both.parameters(), 5.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            decay = min(0.998, step / (step + 20))
            for name, value in both.state_dict().items():
                average[name].lerp_(value, 1 - decay)
            running += float(loss)
            if step % 10 == 0:
                base += 10 * float(loss_of(batch["drawn"], batch))
        if step % 100 == 0:
            minutes_now = (time.monotonic() - start) / 60
            say(f"step {step}, {minutes_now:.1f} min: loss {running / 100:.3f}, closed form {base / 100:.3f}")
            running = base = 0.0
        if time.monotonic() - said > 180 or time.monotonic() - start >= 60 * minutes:
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


def keep_motion(path: Path, motion: Motion, constants: MotionConstants) -> None:
    """Write the fitted displacement."""
    state = {name: value.clone() for name, value in motion.state_dict().items()}
    tensors = checkpoint.prefixed("motion", state) | checkpoint.prefixed("constants", vars(constants))
    checkpoint.save(path, tensors, {"kind": "generator motion"})


def read_motion(path: Path) -> tuple[Motion, MotionConstants]:
    tensors, _ = checkpoint.load(path)
    constants = MotionConstants(**checkpoint.part("constants", tensors))
    motion = Motion(constants)
    motion.load_state_dict(checkpoint.part("motion", tensors))
    return motion.eval(), constants


def command(
    data: Path, landmarks: Path, heads: Path | None, out: Path, minutes: float, say: Callable[[str], None] = print
) -> None:
    """All of it: motion, samples, textures. Each part is left alone where OUT holds it already."""
    torch.set_num_threads(1)
    kept = out / "motion.safetensors"
    if not kept.exists():
        say("landmark motion")
        keep_motion(kept, *fit_motion(motion_data(landmarks, heads)))
    motion, constants = read_motion(kept)
    for number, name in enumerate(
        prepare(data, landmarks, heads, out / "samples", MotionCorrection(motion, constants))
    ):
        if number % 50 == 0:
            say(f"samples: {number} {name}")
    train(out / "samples", out, constants, motion, minutes, say=say)


def trained(out: Path) -> tuple[PortraitEncoder, Decoder, dict]:
    """The averaged networks of a run, in evaluation mode, and the checkpoint's facts."""
    motion, constants = read_motion(out / "motion.safetensors")
    encoder, decoder = PortraitEncoder(constants), Decoder(constants)
    tensors, facts = checkpoint.load(out / "generator.safetensors")
    both = torch.nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    both.load_state_dict(checkpoint.part("average", tensors))
    decoder.motion.load_state_dict(motion.state_dict())
    return encoder.eval(), decoder.eval(), facts
