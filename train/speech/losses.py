"""Losses of the audio VAE. Each takes the encoder's outputs and a batch (train/data/batches.py), gives one number."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from engines.spec import SPEC, SPEECH_CHANNELS
from train.data.batches import Batch
from train.data.labeller import correlation
from train.speech.vae import DELAYS, FACTORS, HIDE, ROWS, Heads, Tensors

OPEN, SIDE = SPEECH_CHANNELS.index("jawOpen"), SPEECH_CHANNELS.index("mouthOpenSide")
CLOSING = tuple(SPEC.phones.index(phone) for phone in ("P", "B", "M"))
HALF_SECOND = 25  # codes

CHANCE = {"emotion": 1.8, "speaker": 4.7, "noise": 2.4, "phones": 3.1}  # nats: entropy of the labels in a batch


def _weights() -> torch.Tensor:
    special = {"jawOpen": 3.0, "mouthOpenSide": 1.5, "mouthStretch": 3.0, "mouthLowerDown": 1.5}
    special |= dict.fromkeys(("browInnerUp", "browOuterUp", "browDown"), 0.3)
    weights = torch.tensor([special.get(name, 1.0) for name in SPEECH_CHANNELS])
    return weights / weights.mean()


CHANNEL_WEIGHT = _weights()


@dataclass(frozen=True, slots=True)
class LossConfig:
    motion: float = 1.0
    velocity: float = 8.0
    correlation: float = 0.5
    closure: float = 0.3
    slope: float = 0.3
    phones: float = 1.0
    components: float = 0.2  # of the teacher, read from content
    hidden_components: float = 0.7  # the same, read from the layer behind it
    presence: float = 0.5
    reconstruction: float = 0.15
    kl_content: float = 0.002
    content_mean: float = 0.05
    kl_slow: float = 0.005
    free_bits: float = 0.5  # nats a dimension
    emotion: float = 0.3
    mood: float = 0.6
    style: float = 0.5
    ranking: float = 0.1
    snr: float = 0.3
    noise: float = 0.1
    speaker: float = 0.1
    gender: float = 0.05
    consistency: float = 0.3
    swap: float = 0.15
    adversary: float = 0.3  # cross-entropy that the adversaries learn by
    disguise: float = 0.2  # what the encoder pays for being read by them


def align_rows(values: torch.Tensor) -> torch.Tensor:
    """(batch, codes, 3, ...), where row r of step k speaks of code k - DELAYS[r] -> the same, indexed by that code.

    The last codes of a clip, which the later rows have not reached, repeat the last one; `reached` masks them.
    """
    rows = []
    for row, delay in enumerate(DELAYS):
        course = values[:, :, row]
        rows.append(torch.cat([course[:, delay:], course[:, -1:].expand(-1, delay, *course.shape[2:])], 1))
    return torch.stack(rows, 2)


def reached(codes: int, device: torch.device) -> torch.Tensor:
    """(codes, 3) 1 where align_rows has a true value."""
    code = torch.arange(codes, device=device)
    return torch.stack([(code < codes - delay).float() for delay in DELAYS], 1)


def motion_losses(guess: torch.Tensor, batch: Batch) -> Tensors:
    """guess (batch, codes, 3, 14) aligned; units of the typical deviation."""
    truth = batch["motion"][:, :, None]
    mask = reached(guess.shape[1], guess.device)[None, :, :, None] * batch["motion_weight"][:, None, None, None]
    channel = CHANNEL_WEIGHT.to(guess.device)
    position = (((guess - truth) ** 2 * mask).sum((0, 1)) / mask.sum((0, 1)) * channel).mean()
    faster = (guess[:, 1:] - guess[:, :-1]) - (truth[:, 1:] - truth[:, :-1])
    velocity = ((faster**2 * mask[:, 1:]).sum((0, 1)) / mask[:, 1:].sum((0, 1)) * channel).mean()
    speech = batch["speech"][:, None] * batch["motion_weight"][:, None]
    r, slope = [], []
    for row in range(ROWS):
        there = reached(guess.shape[1], guess.device)[None, :, row, None].expand(len(guess), -1, -1)
        r.append(((1 - correlation(guess[:, :, row], batch["motion"], there)) * channel * speech).sum(0).mean())
        weight = there * speech[:, :, None]
        total = weight.sum((0, 1))
        a = guess[:, :, row] - ((guess[:, :, row] * weight).sum((0, 1)) / total)
        b = batch["motion"] - ((batch["motion"] * weight).sum((0, 1)) / total)
        ratio = (a * b * weight).sum((0, 1)) / ((b * b * weight).sum((0, 1)) + 1e-3)
        slope.append((((ratio - 0.95).clamp_max(0) ** 2) * channel).mean())
    closing = torch.isin(batch["phones"], torch.tensor(CLOSING, device=guess.device)).float()
    inside = closing * F.pad(closing, (1, 0))[:, :-1]  # not the first code of the phone, where lips are on their way
    lips = guess[..., (OPEN, SIDE)].clamp_min(0).mean(-1)
    mask2 = inside[:, :, None] * reached(guess.shape[1], guess.device)
    shut = (lips**2 * mask2).sum() / mask2.sum().clamp_min(1)
    return {
        "motion": position,
        "velocity": velocity,
        "correlation": torch.stack(r).mean() / speech.sum().clamp_min(1),
        "slope": torch.stack(slope).mean(),
        "closure": shut,
    }


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Mean over the known labels (>= 0), times weight where one is given; logits (..., classes)."""
    known = (labels >= 0).float() * (1 if weight is None else weight)
    loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten().clamp_min(0), reduction="none")
    return (loss * known.flatten()).sum() / known.sum().clamp_min(1)


def divergence(mean: torch.Tensor, log_variance: torch.Tensor, free: float) -> torch.Tensor:
    """KL to N(0, 1) a dimension, mean over codes; what is below `free` nats costs nothing."""
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return kl.flatten(0, -2).mean(0).clamp_min(free).sum()


def sample(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()


def ranking(pooled: torch.Tensor, emotion: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    """Same emotion nearer than another: hinge over all triplets of known emotion; pooled (batch, 16)."""
    known = emotion >= 0
    pooled, emotion = pooled[known], emotion[known]
    if len(pooled) < 3:
        return pooled.sum() * 0
    distance = ((pooled[:, None] - pooled[None]) ** 2).mean(-1)
    same = (emotion[:, None] == emotion[None]) & ~torch.eye(len(emotion), dtype=torch.bool, device=emotion.device)
    other = emotion[:, None] != emotion[None]
    triplet = same[:, :, None] & other[:, None, :]
    hinge = F.relu(margin + distance[:, :, None] - distance[:, None, :])
    return (hinge * triplet).sum() / triplet.sum().clamp_min(1)


def vae_losses(out: Tensors, batch: Batch, heads: Heads, config: LossConfig, warm: float) -> Tensors:
    """All losses by name, not yet weighted. `warm` 0..1 fades the adversaries in."""
    heard = Heard(out, batch)
    drawn = {name: sample(out[name], out[f"{name}_log_variance"]) for name in FACTORS}
    drawn["content"] = sample(heard.content[:, :, -1], align_rows(out["content_log_variance"])[:, :, -1])
    return (
        motion_losses(align_rows(out["motion"]), batch)
        | content_losses(out, batch, heads, heard)
        | elbo_losses(out, batch, heads, heard, drawn, config)
        | slow_losses(out, batch, heads, heard)
        | (pair_losses(out, batch, heads, heard, drawn) if len(batch["pairs"]) else {})
        | adversary_losses(out, batch, heads, heard, warm)
    )


class Heard:
    """What of a batch is there to be judged, shared by its losses."""

    def __init__(self, out: Tensors, batch: Batch) -> None:
        self.content = align_rows(out["content"])  # (batch, codes, 3, 48)
        codes = self.content.shape[1]
        self.there = reached(codes, self.content.device)[None]  # (1, codes, 3)
        self.spoken = torch.cumsum(batch["presence"], 1)  # (batch, codes) codes of speech so far
        # Slow factors: once they have heard half a second of speech; noise from half a second on
        self.enough = ((self.spoken > HALF_SECOND) & (batch["presence"] > 0)).float()
        late = (torch.arange(codes, device=self.enough.device) >= HALF_SECOND).float()
        self.late = late[None].expand(len(self.enough), -1)


def labels_of(batch: Batch, name: str) -> torch.Tensor:
    """A clip's label at each of its codes, (batch, codes)."""
    return batch[name][:, None].expand(-1, batch["presence"].shape[1])


def content_losses(out: Tensors, batch: Batch, heads: Heads, heard: Heard) -> Tensors:
    """Phones, the teacher's components out of content and of the layer behind it, and whether somebody speaks."""
    there = heard.there
    rows = batch["phones"][:, :, None].expand(-1, -1, ROWS)
    known = there[..., None] * batch["components_known"][:, :, None, None]
    losses = {"phones": cross_entropy(align_rows(out["phone_logits"]), rows, there)}
    behind = align_rows(heads.hidden_components(out["hidden"]).unflatten(-1, (ROWS, -1)))
    for name, read in (("components", heads.components(heard.content)), ("hidden_components", behind)):
        wrong = (read - batch["components"][:, :, None]) ** 2
        losses[name] = (wrong * known).sum() / (known.sum() * wrong.shape[-1]).clamp_min(1)
    target = batch["presence"][:, :, None].expand(-1, -1, ROWS)
    presence = F.binary_cross_entropy_with_logits(align_rows(out["presence_logits"]), target, reduction="none")
    losses["presence"] = (presence * there).sum() / (there.sum() * len(presence))
    return losses


def elbo_losses(out: Tensors, batch: Batch, heads: Heads, heard: Heard, drawn: Tensors, config: LossConfig) -> Tensors:
    """Both hops of each code from samples of all factors, content from the row that heard most; and what they cost."""
    mel = out["mel"].unflatten(1, (-1, SPEC.chunk_hops))
    decoded = heads.decoder(drawn["content"], *(drawn[name] for name in FACTORS))
    slow = [divergence(out[n], out[f"{n}_log_variance"], config.free_bits) for n in FACTORS]
    content = divergence(out["content"], out["content_log_variance"], config.free_bits)
    losses = {
        "reconstruction": ((decoded - mel) ** 2 * heard.there[:, :, -1, None, None]).mean(),
        "kl_content": content / SPEC.content_size,
    }
    if "content_mean" in out:  # what takes no harm from a mean grows one, to 90 deviations, with which streams begin
        losses["content_mean"] = (out["content_mean"] ** 2).mean()
    losses["kl_slow"] = torch.stack(slow).sum() / sum(out[name].shape[-1] for name in FACTORS)
    return losses


def slow_losses(out: Tensors, batch: Batch, heads: Heads, heard: Heard) -> Tensors:
    """Mood, style, speaker, gender, noise and SNR out of the slow factors."""
    enough, late = heard.enough, heard.late
    pooled = (out["emotion"] * enough[..., None]).sum(1) / enough.sum(1, keepdim=True).clamp_min(1)
    losses = {
        "emotion": 0.5 * cross_entropy(out["emotion_logits"], labels_of(batch, "emotion"), enough),
        "ranking": ranking(pooled, batch["emotion"]),
        "speaker": cross_entropy(heads.speaker(out["speaker"]), labels_of(batch, "speaker"), enough),
        "gender": cross_entropy(heads.gender(out["speaker"]), labels_of(batch, "gender"), enough),
        "noise": cross_entropy(heads.noise(out["noise"]), labels_of(batch, "noise"), late),
    }
    snr = ((out["snr_db"][..., 0] - batch["snr_db"][:, None]) / 10) ** 2
    tellable = late * ((heard.spoken > HALF_SECOND) | (batch["speech"][:, None] == 0)).float()  # once somebody spoke
    losses["snr"] = (snr.clamp_max(9) * tellable).sum() / tellable.sum().clamp_min(1)
    if "mood" in batch:  # the teacher's opinion, as probabilities; zeros where it has none
        opinion = batch["mood"][:, None] * enough[..., None]
        losses["mood"] = -(opinion * out["emotion_logits"].log_softmax(-1)).sum() / opinion.sum().clamp_min(1)
    if "style" in batch:  # how it is said, by the teacher, against the same speaker's other clips
        said = batch["style_known"][:, :, None] * enough[..., None]
        counted = said.sum(1).clamp_min(1)
        gap = (heads.style(out["emotion_hidden"]) * said).sum(1) / counted - (batch["style"] * said).sum(1) / counted
        taught = (said.sum(1) > HALF_SECOND).float()
        losses["style"] = (gap**2 * taught).sum() / (taught.sum() * gap.shape[-1]).clamp_min(1)
    return losses


def pair_losses(out: Tensors, batch: Batch, heads: Heads, heard: Heard, drawn: Tensors) -> Tensors:
    """The same speech twice with two noises: one content, and the noise factor is what differs."""
    pairs, content = batch["pairs"], heard.content
    copies = torch.arange(len(pairs), device=pairs.device) + speech_rows(batch)
    same = (batch["phones"][pairs] == batch["phones"][copies]).float()[:, :, None, None] * heard.there[..., None]
    same = same * (batch["heard"][pairs] * batch["heard"][copies])[:, :, None, None]
    gap = (content[pairs] - content[copies]) ** 2
    mel = out["mel"].unflatten(1, (-1, SPEC.chunk_hops))[copies]
    swapped = heads.decoder(
        drawn["content"][pairs], drawn["emotion"][pairs], drawn["noise"][copies], drawn["speaker"][pairs]
    )
    wrong = ((swapped - mel) ** 2 * same[:, :, -1:, :]).sum()
    return {
        "consistency": (gap * same).sum() / (same.sum() * gap.shape[-1]).clamp_min(1),
        "swap": wrong / (same[:, :, -1].sum() * SPEC.chunk_hops * SPEC.mel_bands).clamp_min(1),
    }


def adversary_losses(out: Tensors, batch: Batch, heads: Heads, heard: Heard, warm: float) -> Tensors:
    """Adversaries read what a factor must not tell; of content they read the code and the mean of all spoken so far.

    The encoder is paid for their failure, but only down to chance: a plain reversed gradient drove their loss to twice
    chance, and phones and the content of noisy sound with it.
    """
    now = heard.content[:, :, -1]
    so_far = torch.cumsum(now * batch["presence"][..., None], 1) / (heard.spoken + 5)[..., None]
    reads = {name: out[name][:, ::3] for name in FACTORS}
    reads["slow"] = torch.cat([reads[name] for name in FACTORS], -1)
    reads["content"] = torch.cat([now, so_far], -1)[:, ::3]
    labels = {name: labels_of(batch, name)[:, ::3] for name in ("emotion", "speaker", "noise")}
    labels["phones"] = batch["phones"][:, ::3]
    enough = heard.enough[:, ::3]
    where = {"emotion": enough, "speaker": enough, "noise": heard.late[:, ::3], "phones": enough}
    adversary, disguise = now.sum() * 0, now.sum() * 0
    for factor, label in HIDE:
        net, read = heads.against[f"{factor}_{label}"], reads[factor]
        adversary = adversary + cross_entropy(net(read.detach()), labels[label], where[label])
        fooled = F.relu(CHANCE[label] - cross_entropy(frozen(net, read), labels[label], where[label])) / CHANCE[label]
        disguise = disguise + warm * fooled
    return {"adversary": adversary, "disguise": disguise}


def frozen(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The net's answer, whose gradient goes to x and not to the net."""
    parameters = {name: value.detach() for name, value in net.named_parameters()}
    return torch.func.functional_call(net, parameters, (x,))


def speech_rows(batch: Batch) -> int:
    """Index of the first of the rows that say a clip again: they lie between the first ones and those alone."""
    return int(batch["speech"].sum()) - len(batch["pairs"])


def weigh(losses: Tensors, config: LossConfig) -> torch.Tensor:
    return sum(value * getattr(config, name) for name, value in losses.items())
