"""`voxcam train generator`: the light that the network puts on skin and teeth. Resumable; sheets on the way.

First by distances alone (pyramid, gradients), then with adversaries that judge pictures, sequences and whether they fit
their sound (train/face/adversaries.py). What a step sees hangs on (seed, step) alone, so that a run that was killed
goes on as if nothing had happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from engines.errors import ConfigError, InputError
from engines.face.measure import canonical_face, mirror_points, mouth_measures, remove_pose, rest_measures
from train import checkpoint
from train.face.adversaries import ADVERSARY_RATE, NAMES, OTHERS, RUN, Adversaries, mouth_box
from train.face.generator import SHAPE, SPEECH, Decoder, PortraitEncoder, Scales, compose, ride
from train.face.generator_data import PICTURE_HOPS, prepare
from train.face.geometry import mirror_channels, smile_pairs
from train.onnx_export import read_graph

DRAWS = {"grid": (2, RUN), "smile": (3, 1), "head": (1, 3)}  # of a batch: portraits of a kind, pictures of each
SAVE_S, SHEET_S = 120, 420  # between checkpoints, between sheets
CROP_TOP_ROWS = 20  # rows above the nostrils count little
SHARES = {"picture": 1.0, "sequence": 0.4, "synchrony": 0.4}  # of the adversaries' weight, by skill
CHECKPOINT = "generator.safetensors"
UNKNOWN = 0.45  # share of what is known of a person that a batch does without: nobody is to be learned by heart
AVERAGE = 0.998


@dataclass(frozen=True)
class Plan:
    """One run. The rate falls to 3 % over `steps`; adversaries take part from step `adversaries_from` on.

    adversary_weight: norm of an unfailing critic's gradient in the picture against the distances'; 0: there are none.
    held_out: GRID talkers whom the run doesn't learn from.
    """

    steps: int
    rate: float = 1.2e-3
    adversaries_from: int = 0
    adversary_weight: float = 0.5
    seed: int = 0
    held_out: tuple[str, ...] = ()

    def rate_at(self, step: int) -> float:
        falling = 0.5 * (1 + np.cos(np.pi * min(1.0, step / self.steps)))
        return self.rate * min(1.0, (step + 1) / 100) * (0.97 * falling + 0.03)


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
    """Prepared portraits in memory; batches of several targets of several portraits."""

    def __init__(self, folder: Path, kinds: tuple[str, ...] = tuple(DRAWS), seed: int = 0) -> None:
        self.seed = seed
        self.portraits: dict[str, list[dict[str, np.ndarray]]] = {}
        self.chance: dict[str, np.ndarray] = {}
        for kind in kinds:
            paths = sorted(folder.glob(f"{kind}_*.npz"))
            if not paths:
                continue
            people = [path.stem.split("_")[1] for path in paths]
            self.portraits[kind] = []
            for path in paths:
                with np.load(path, allow_pickle=False) as stored:
                    self.portraits[kind].append({name: stored[name] for name in stored.files})
            # A person counts by the root of the clips.
            chance = np.array([people.count(person) ** -0.5 for person in people])
            self.chance[kind] = chance / chance.sum()
        if not self.portraits:
            raise InputError(f"{folder} holds no samples", "give the data root, or the folder of an earlier run")

    def batch(self, step: int, draws: dict[str, tuple[int, int]] = DRAWS) -> dict[str, torch.Tensor]:
        """The batch of a step; mirrored half of the time, in changed light, a little elsewhere.

        By portrait (p): crop (3, 96, 120) 0..1, shape, tones. By target (n): owner (its portrait), code, drawn and
        truth (3, 96, 120) 0..255, source, mouth, mask. Kinds with sound come first, each portrait's targets being one
        run: mel (runs, 20, 80), its log-mel, and strange (runs, OTHERS, 20, 80), those of other times of its clip.
        """
        random = np.random.default_rng((self.seed, step))
        still: dict[str, list[np.ndarray]] = {name: [] for name in ("crop", "shape", "tones")}
        rows: dict[str, list[np.ndarray]] = {name: [] for name in ("owner", *MOVING)}
        mels: dict[str, list[np.ndarray]] = {"mel": [], "strange": []}
        for kind, (portraits, targets) in draws.items():
            if kind not in self.portraits:
                continue
            for index in random.choice(len(self.portraits[kind]), portraits, p=self.chance[kind]):
                portrait = self.portraits[kind][index]
                light, mirror, place = changed_light(random), random.random() < 0.5, another_place(random)
                if "mel" in portrait:
                    run = int(random.integers(len(portrait["begins"])))
                    chosen = np.arange(RUN * run, RUN * run + targets)
                    own, strange = sound_windows(portrait["mel"], portrait["begins"][run], random)
                    mels["mel"].append(own)
                    mels["strange"].append(strange)
                else:
                    count = len(portrait["code"])
                    chosen = random.choice(count, targets, replace=count < targets)
                owner = len(still["crop"])
                for k in chosen:
                    row = {
                        "crop": portrait["crop"] / np.float32(255) * light,
                        "shape": portrait["shape"],
                        "tones": portrait["tones"] * np.tile(light[60, 60], 4),
                        "mask": portrait["mask"] / np.float32(255),
                        "code": portrait["code"][k],
                        "drawn": portrait["drawn"][k] * light,
                        "truth": portrait["truth"][k] * light,
                        "source": portrait["source"][k].astype(np.float32),
                        "mouth": portrait["mouth"][k].astype(np.float32),
                    }
                    row = placed(row, place)
                    if mirror:
                        row = mirrored(row)
                    for name in MOVING:
                        rows[name].append(row[name])
                    rows["owner"].append(np.array(owner))
                for name, values in still.items():
                    values.append(row[name])
        found = {name: np.stack(values) for name, values in (still | rows).items()}
        if mels["mel"]:
            found |= {name: np.stack(values) for name, values in mels.items()}
        else:
            found |= {"mel": np.zeros((0, RUN * PICTURE_HOPS, 80)), "strange": np.zeros((0, OTHERS, 1, 80))}
        batch = {
            name: torch.from_numpy(value if name == "owner" else value.astype(np.float32))
            for name, value in found.items()
        }
        for name in ("crop", "drawn", "truth"):
            batch[name] = batch[name].permute(0, 3, 1, 2)
        return batch


MOVING = ("mask", "code", "drawn", "truth", "source", "mouth")


def changed_light(random: np.random.Generator) -> np.ndarray:
    """Another exposure and colour, and light from one side, (96, 120, 3) factors."""
    y, x = np.mgrid[-0.5:0.5:96j, -0.5:0.5:120j]
    slope = np.exp(random.normal(0, 0.25) * x + random.normal(0, 0.12) * y)
    colour = np.exp(random.normal(-0.05, 0.15) + random.normal(0, 0.03, 3))
    return (slope[..., None] * colour).astype(np.float32)


def another_place(random: np.random.Generator) -> np.ndarray:
    """A similarity of crop px, (2, 3): as if the face stood a little elsewhere in the crop, nearer or tilted."""
    angle, scale = random.normal(0, 0.03), np.exp(random.normal(0, 0.04))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([59.5, 47.5])
    return np.column_stack([turn, middle + random.normal(0, 1.5, 2) - turn @ middle])


def placed(row: dict[str, np.ndarray], place: np.ndarray) -> dict[str, np.ndarray]:
    """The same sample with its crop moved by a similarity (2, 3), so that few people stand in many places."""
    made = dict(row)
    for name in ("crop", "drawn", "truth", "source", "mouth", "mask"):
        border = cv2.BORDER_CONSTANT if name == "mouth" else cv2.BORDER_REPLICATE
        flags = cv2.INTER_CUBIC if name in ("crop", "drawn", "truth") else cv2.INTER_LINEAR
        value = row[name].astype(np.float32)
        made[name] = cv2.warpAffine(value, place, value.shape[1::-1], flags=flags, borderMode=border)
    made["source"] = (made["source"] @ place[:, :2].T + place[:, 2]).astype(np.float32)
    return made


def sound_windows(mel: np.ndarray, begin: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Log-mel (20, 80) of the run that begins at picture `begin` of a clip, and of OTHERS times apart from it."""
    begins = np.arange(len(mel) // PICTURE_HOPS - RUN + 1)
    others = random.choice(begins[np.abs(begins - begin) >= RUN], OTHERS)
    windows = [mel[PICTURE_HOPS * k : PICTURE_HOPS * (k + RUN)].astype(np.float32) for k in (begin, *others)]
    return windows[0], np.stack(windows[1:])


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
    """Portrait, closed form, corrected, truth, gain, of a dozen samples, twice as large."""
    batch = samples.batch(5, {"grid": (6, RUN), "smile": (6, 1), "head": (4, 1)})
    firsts = torch.tensor([int((batch["owner"] == k).nonzero()[0]) for k in range(len(batch["crop"]))])
    with torch.no_grad():
        skin, inner = textures(encoder, decoder, batch)
        made = compose(batch, skin, inner)
    rows = torch.cat([batch["crop"] * 255, *(x[firsts] for x in (batch["drawn"], made, batch["truth"]))], 3)
    rows = torch.cat([rows, 128 + 256 * skin[firsts]], 3)
    grid = rows.permute(0, 2, 3, 1).numpy().clip(0, 255).astype(np.uint8)
    half = (len(grid) + 1) // 2
    left, right = np.concatenate(list(grid[:half])), np.concatenate(list(grid[half:]))
    right = np.pad(right, ((0, len(left) - len(right)), (0, 0), (0, 0)))
    both = np.hstack([left, right])[..., ::-1]
    cv2.imwrite(str(path), cv2.resize(both, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))


def textures(
    encoder: PortraitEncoder, decoder: Decoder, batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Skin gain and interior of a batch's targets, float32; the networks in bf16."""
    with torch.autocast("cpu", torch.bfloat16):
        features, vector = encoder(batch["crop"], batch["shape"], batch["tones"])
        features = F.dropout2d(features, UNKNOWN / 2, encoder.training)
        vector = F.dropout(vector, UNKNOWN, encoder.training)
        skin, inner = decoder.textures(batch["code"], features[batch["owner"]], vector[batch["owner"]])
    return skin.float(), inner.float()


class Learner:
    """Networks, adversaries, optimisers and the running average: one step at a time, saved and restored whole."""

    def __init__(self, scales: Scales, plan: Plan) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.step = plan, 0
        self.past_unknown = False  # of an earlier version's checkpoint: whom it left out
        self.encoder, self.decoder, self.adversaries = PortraitEncoder(scales), Decoder(scales), Adversaries(scales)
        self.both = torch.nn.ModuleDict({"encoder": self.encoder, "decoder": self.decoder})
        for module in (self.both, self.adversaries):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {name: value.clone() for name, value in self.both.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.both.parameters(), plan.rate, weight_decay=0.01)
        self.against = torch.optim.AdamW(
            self.adversaries.parameters(), ADVERSARY_RATE, betas=(0.5, 0.99), weight_decay=0.0
        )

    def learn(self, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        """One step; what the log says of it."""
        plan = self.plan
        torch.manual_seed(plan.seed * 1_000_003 + self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = plan.rate_at(self.step)
        skin, inner = textures(self.encoder, self.decoder, batch)
        made = compose(batch, skin, inner)
        distance = loss_of(made, batch)
        told = {"loss": float(distance.detach())}
        (slope,) = torch.autograd.grad(distance, made, retain_graph=True)
        if plan.adversary_weight and self.step >= plan.adversaries_from:
            slope = slope + self.oppose(batch, made.detach(), slope, told)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward([made, 5 * (skin[..., 1:] - skin[..., :-1]).abs().mean()], [slope, None])
        torch.nn.utils.clip_grad_norm_(self.both.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        decay = min(AVERAGE, self.step / (self.step + 20))
        for name, value in self.both.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)
        return told

    def oppose(
        self, batch: dict[str, torch.Tensor], made: torch.Tensor, slope: torch.Tensor, told: dict[str, float]
    ) -> torch.Tensor:
        """Teach the adversaries; how the picture should change for them, against the distances' `slope`.

        Each wish's gradient is scaled to a share of the slope's norm, whatever its own, and by the adversary's skill:
        who knows nothing is not listened to, and neither side runs away.
        """
        touched = self.touched(batch)
        shown = made.requires_grad_(True)
        drawn = mouth_box(batch["truth"] + touched * (shown - batch["truth"])) / 255
        judged = self.adversaries.judged(batch)
        with torch.autocast("cpu", torch.bfloat16):
            loss, right = self.adversaries.lesson(judged, drawn.detach(), self.step)
        self.against.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.adversaries.parameters(), 10.0)
        self.against.step()
        told |= {f"{name} right": value for name, value in right.items()}
        total = torch.zeros_like(slope)
        with torch.autocast("cpu", torch.bfloat16):
            wishes = self.adversaries.wishes(judged, drawn)
        for name, skill in zip(NAMES, self.adversaries.skill.tolist(), strict=True):
            if name not in wishes:
                continue
            (wanted,) = torch.autograd.grad(wishes[name], shown, retain_graph=True)
            norm = wanted.norm()
            told[f"{name} wish"], told[f"{name} slope"] = wishes[name].item(), float(norm / slope.norm())
            total += SHARES[name] * skill * wanted * (slope.norm() / (norm + 1e-12))
        return self.plan.adversary_weight * total

    def touched(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Where fine light or the light between the lips falls on the target, (n, 1, 96, 120), 0..1."""
        skin = ride(self.decoder.around_mouth * batch["mask"][:, None], batch["source"])
        return torch.maximum(skin, batch["mouth"][..., 0][:, None])

    def save(self, path: Path) -> None:
        held_out = sorted(self.plan.held_out)
        parts = {
            "model": self.both.state_dict(),
            "average": self.average,
            "optimiser": checkpoint.optimiser_tensors(self.optimiser, self.both),
            "adversaries": self.adversaries.state_dict(),
            "against": checkpoint.optimiser_tensors(self.against, self.adversaries),
        }
        tensors = {key: value for name, part in parts.items() for key, value in checkpoint.prefixed(name, part).items()}
        checkpoint.save(path, tensors, {"step": self.step} | ({} if self.past_unknown else {"held_out": held_out}))

    def restore(self, path: Path) -> None:
        """Go on exactly where `save` was."""
        tensors, facts = checkpoint.load(path)
        self.both.load_state_dict(checkpoint.part("model", tensors))
        self.average = {name: value.clone() for name, value in checkpoint.part("average", tensors).items()}
        self.adversaries.load_state_dict(checkpoint.part("adversaries", tensors))
        checkpoint.restore_optimiser(self.optimiser, self.both, checkpoint.part("optimiser", tensors))
        checkpoint.restore_optimiser(self.against, self.adversaries, checkpoint.part("against", tensors))
        self.step = facts["step"]
        self.past_unknown = "held_out" not in facts

    def begin(self, path: Path) -> list[str]:
        """Start from the averaged networks of another run, or from exported ones, of this form or an earlier one.

        Layers of the same name and shape are taken over; the names of the others, which start anew, are returned. Its
        adversaries come along where it has some. path: a checkpoint, or a generator.onnx with portrait_encoder.onnx
        beside it.
        """
        tensors = exported_networks(path) if path.suffix == ".onnx" else checkpoint.load(path)[0]
        given, own = checkpoint.part("average", tensors), self.both.state_dict()
        fitting = {name: value for name, value in given.items() if name in own and value.shape == own[name].shape}
        if not fitting:
            raise InputError(f"{path} is of another network", "give a checkpoint of voxcam train generator")
        missing, _ = self.both.load_state_dict(fitting, strict=False)
        if against := checkpoint.part("adversaries", tensors):
            self.adversaries.load_state_dict(against)
        self.average = {name: value.clone() for name, value in self.both.state_dict().items()}
        return missing


def exported_networks(path: Path) -> dict[str, torch.Tensor]:
    """The weights in a generator.onnx and in the portrait_encoder.onnx beside it, named as in a checkpoint."""
    found: dict[str, torch.Tensor] = {}
    for part, file in (("decoder", path), ("encoder", path.with_name("portrait_encoder.onnx"))):
        _, arrays = read_graph(file, "give a checkpoint, or a generator.onnx with its portrait_encoder")
        found |= {f"average.{part}.{name}": torch.tensor(array) for name, array in arrays.items()}
    # The exporter keeps the basis transposed under a name of its own: the one factor of that size.
    size = 3 * len(canonical_face())
    turned = [value for value in found.values() if value.shape == (size, SHAPE)]
    if turned:
        found["average.encoder.shape_basis"] = turned[0].T.contiguous()
    return found


def networks(weights: dict[str, torch.Tensor]) -> tuple[PortraitEncoder, Decoder]:
    """Both networks with these weights, in evaluation mode."""
    names = ("decoder.code_scale", "encoder.shape_mean", "encoder.shape_basis")
    scales = Scales(*(weights[name] for name in names))
    encoder, decoder = PortraitEncoder(scales), Decoder(scales)
    torch.nn.ModuleDict({"encoder": encoder, "decoder": decoder}).load_state_dict(weights)
    return encoder.eval(), decoder.eval()


def held_score(encoder: PortraitEncoder, decoder: Decoder, held: Samples, batches: int = 4) -> tuple[float, float]:
    """Mean distance of people who were left out: as corrected, and by the closed form."""
    made, base = [], []
    with torch.no_grad():
        for step in range(batches):
            batch = held.batch(step, {"held": (4, RUN)})
            made.append(float(loss_of(compose(batch, *textures(encoder, decoder, batch)), batch)))
            base.append(float(loss_of(batch["drawn"], batch)))
    return float(np.mean(made)), float(np.mean(base))


def refuse_other_people(kept: Path, plan: Plan) -> None:
    """ConfigError where a checkpoint left out other talkers than the plan: its weights may know the plan's by heart.

    Earlier versions' checkpoints don't say whom they left out: with nobody left out they are taken.
    """
    known = checkpoint.facts_of(kept).get("held_out")
    if known is None and plan.held_out:
        raise ConfigError(f"{kept} does not say whom it left out", "use another --out, or leave out --held-out")
    if known is not None and set(known) != set(plan.held_out):
        before, now = (", ".join(sorted(people)) or "nobody" for people in (known, plan.held_out))
        raise ConfigError(
            f"{kept} was trained with {before} left out, not {now}", "use another --out, or the same --held-out"
        )


def train(
    folder: Path,
    out: Path,
    scales: Scales,
    plan: Plan,
    begin: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Train to `plan.steps`; goes on from OUT/generator.safetensors where there is one, else from `begin`."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    samples = Samples(folder, seed=plan.seed)
    held = Samples(folder, ("held",)) if any(folder.glob("held_*.npz")) else None
    learner, kept = Learner(scales, plan), out / CHECKPOINT
    if kept.exists():
        refuse_other_people(kept, plan)
        learner.restore(kept)
    elif begin is not None:
        new = learner.begin(begin)
        say(f"begun from {begin}" + (f"; new: {', '.join(new)}" if new else ""))
    saved = drawn = time.monotonic()
    told: dict[str, list[float]] = {}
    while learner.step < plan.steps:
        batch = samples.batch(learner.step)
        for name, value in learner.learn(batch).items():
            told.setdefault(name, []).append(value)
        if learner.step % 10 == 0:
            told.setdefault("closed form", []).append(float(loss_of(batch["drawn"], batch)))
        if learner.step % 50 == 0:
            say(f"step {learner.step}: " + ", ".join(f"{name} {np.mean(v):.3f}" for name, v in told.items()))
            told = {}
        now, last = time.monotonic(), learner.step == plan.steps
        if now - saved > SAVE_S or last:
            saved = now
            learner.save(kept)
        if now - drawn > SHEET_S or last:
            drawn = now
            encoder, decoder = networks(learner.average)
            sheet(out / f"sheet_{learner.step:06d}.png", samples, encoder, decoder)
            if held is not None:
                made, base = held_score(encoder, decoder, held)
                say(f"people left out: loss {made:.3f}, closed form {base:.3f}")


def command(
    data: Path,
    landmarks: Path,
    heads: Path | None,
    out: Path,
    plan: Plan,
    begin: Path | None = None,
    held_out: tuple[str, ...] = (),
    say: Callable[[str], None] = print,
) -> None:
    """Samples, then the networks. What OUT holds already is left alone."""
    torch.set_num_threads(1)
    plan = replace(plan, held_out=held_out)
    if (kept := out / CHECKPOINT).exists():  # told before samples are touched
        refuse_other_people(kept, plan)
    for number, name in enumerate(prepare(data, landmarks, heads, out / "samples", held_out)):
        if number % 50 == 0:
            say(f"samples: {number} {name}")
    train(out / "samples", out, scales_of(landmarks), plan, begin, say)


def trained(out: Path) -> tuple[PortraitEncoder, Decoder, dict]:
    """The averaged networks of a run, in evaluation mode, and the checkpoint's facts."""
    tensors, facts = checkpoint.load(out / CHECKPOINT)
    return *networks(checkpoint.part("average", tensors)), facts
