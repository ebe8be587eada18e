"""The generator's adversaries, in training only: is this mouth real, does it move as mouths do, does it fit its sound?

Each sees the mouth box of the crop at 0..1. Where the network changes nothing, what is drawn is replaced by the truth
before it is shown, so that chins a pixel off are not what is judged. None of them is in any shipped graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from engines.spec import SPEC
from train.face.generator import SPEECH, Scales, convolution

BOX = (slice(8, 88), slice(12, 108))  # rows and columns of the crop: the mouth box of train/face/face_score.py
RUN = 5  # pictures of a sequence: 0.2 s
GRAIN = 2 / 255  # noise added to sequences, true and drawn: a camera's own noise is no movement
OTHERS = 6  # other times of a clip that a run's sound is told from
R1_EVERY, R1_WEIGHT = 8, 0.02  # Mescheder, Geiger & Nowozin 2018, on the true pictures
ADVERSARY_RATE = 1e-3
SKILL_MEMORY = 0.98
FEATURES_WEIGHT = 10.0  # of the distance of the picture critic's features, against its verdict
NAMES = ("picture", "sequence", "synchrony")


def halving(*channels: int) -> nn.ModuleList:
    """Convolutions that each halve the picture."""
    return nn.ModuleList([convolution(a, b, 2) for a, b in pairwise(channels)])


def mouth_box(pictures: torch.Tensor) -> torch.Tensor:
    """(..., 96, 120) -> (..., 80, 96)."""
    return pictures[..., BOX[0], BOX[1]]


class PictureCritic(nn.Module):
    """picture, portrait (n, 3, 80, 96), cover (n, 1, 80, 96), code (n, 14) -> verdicts by patch, features.

    Verdicts (n, 1, 10, 12) of small patches and (n, 1, 5, 6) of large ones, the large ones also by whether the picture
    fits the code (projection, Miyato & Koyama 2018). It sees the portrait's colours, not its grain, and the picture's
    high-pass enlarged, since that is where fakes differ.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = halving(10, 32, 64, 96, 128)
        self.patch, self.whole = convolution(96, 1), convolution(128, 1)
        self.project = nn.Linear(SPEECH, 128)

    def forward(
        self, picture: torch.Tensor, portrait: torch.Tensor, cover: torch.Tensor, code: torch.Tensor
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        x = torch.cat([picture * 2 - 1, 8 * (picture - blurred(picture, 2)), blurred(portrait, 8) * 2 - 1, cover], 1)
        seen = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            seen.append(x)
        fits = (self.project(code)[..., None, None] * x).mean(1, keepdim=True) * 128**0.5
        return [self.patch(seen[2]), self.whole(x) + fits], seen


class SequenceCritic(nn.Module):
    """RUN pictures of one mouth (r, RUN, 3, 80, 96) and their codes (r, RUN, 14) -> verdicts by patch (r, 1, 5, 6).

    It sees them in grey, at half the size, and what changes from each to the next.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = halving(2 * RUN - 1, 48, 96, 128)
        self.whole = convolution(128, 1)
        self.project = nn.Linear(RUN * SPEECH, 128)

    def forward(self, pictures: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        grey = half_grey(pictures)
        x = torch.cat([grey * 2 - 1, 8 * (grey[:, 1:] - grey[:, :-1])], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return self.whole(x) + (self.project(codes.flatten(1))[..., None, None] * x).mean(1, keepdim=True) * 128**0.5


class SynchronyCritic(nn.Module):
    """How well RUN pictures (r, RUN, 3, 80, 96) fit each of several log-mels of 0.2 s (r, m, 20, 80): (r, m)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = halving(RUN, 32, 64, 96)
        self.seen = nn.Linear(96 * 5 * 6, 64)
        self.bands = nn.Conv1d(SPEC.mel_bands, 96, 3, 1, 1)
        self.hops = nn.Conv1d(96, 96, 4, 2, 1)
        self.heard = nn.Linear(96 * RUN * 2, 64)

    def forward(self, pictures: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
        grey = half_grey(pictures)
        x = 4 * (grey - grey.mean((2, 3), keepdim=True))  # light says nothing
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        y = F.leaky_relu(self.bands(mel.flatten(0, 1).transpose(1, 2)), 0.2)
        y = self.heard(F.leaky_relu(self.hops(y), 0.2).flatten(1)).unflatten(0, mel.shape[:2])
        return (self.seen(x.flatten(1))[:, None] * y).sum(2) / 64**0.5


def blurred(pictures: torch.Tensor, size: int) -> torch.Tensor:
    """Means over `size` px, enlarged again."""
    small = F.avg_pool2d(pictures, size)
    return F.interpolate(small, scale_factor=float(size), mode="bilinear", align_corners=False)


def half_grey(pictures: torch.Tensor) -> torch.Tensor:
    """(r, RUN, 3, h, w) -> (r, RUN, h / 2, w / 2)."""
    return F.avg_pool2d(pictures.mean(2), 2)


@dataclass
class Judged:
    """What the adversaries see of a batch; pictures at 0..1 in BOX, the first `runs` * RUN of them sequences."""

    true: torch.Tensor  # (n, 3, 80, 96)
    portrait: torch.Tensor  # (n, 3, 80, 96)
    cover: torch.Tensor  # (n, 1, 80, 96)
    code: torch.Tensor  # (n, 14), in deviations
    mel: torch.Tensor  # (runs, 20, 80) of the same time
    strange: torch.Tensor  # (runs, OTHERS, 20, 80) of other times of the same clip

    def runs(self, pictures: torch.Tensor) -> torch.Tensor:
        """The sequences among pictures (n, ...): (runs, RUN, ...)."""
        count = len(self.mel)
        return pictures[: count * RUN].unflatten(0, (count, RUN))


class Adversaries(nn.Module):
    """All three, what they learn by and what they tell the generator.

    skill (3,): how much better than chance each has been of late, 0..1; it is listened to as far as that.
    """

    code_scale: torch.Tensor
    skill: torch.Tensor

    def __init__(self, scales: Scales) -> None:
        super().__init__()
        self.register_buffer("code_scale", scales.code_scale.clone())
        self.register_buffer("skill", torch.zeros(len(NAMES)))
        self.picture, self.sequence, self.synchrony = PictureCritic(), SequenceCritic(), SynchronyCritic()

    def judged(self, batch: dict[str, torch.Tensor]) -> Judged:
        return Judged(
            true=mouth_box(batch["truth"]) / 255,
            portrait=mouth_box(batch["crop"][batch["owner"]]),
            cover=mouth_box(batch["mouth"][..., 0][:, None]),
            code=(batch["code"][:, :SPEECH] / self.code_scale).clamp(-3.5, 3.5),
            mel=batch["mel"],
            strange=batch["strange"],
        )

    def lesson(self, judged: Judged, drawn: torch.Tensor, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of the adversaries: hinge for pictures and sequences, own sound among others; R1 now and then.

        drawn (n, 3, 80, 96), detached. Also the share that each had right: of true and drawn, or of pairs of sounds.
        """
        n, right = len(drawn), {}
        both = torch.cat([judged.true, drawn])
        penalised = step % R1_EVERY == 0
        if penalised:
            both.requires_grad_(True)
        twice = (torch.cat([one, one]) for one in (judged.portrait, judged.cover, judged.code))
        verdicts, _ = self.picture(both, *twice)
        loss = both.new_zeros(())
        if penalised:
            opinion = sum(v[:n].float().mean((1, 2, 3)).sum() for v in verdicts)
            (slope,) = torch.autograd.grad(opinion, both, create_graph=True)
            loss = loss + R1_EVERY * R1_WEIGHT * (slope**2).sum((1, 2, 3))[:n].mean()
        for verdict in verdicts:
            loss = loss + hinge(verdict)
        right["picture"] = float(np.mean([share_right(verdict) for verdict in verdicts]))
        if len(judged.mel):
            seen = judged.runs(judged.true), judged.runs(drawn)
            codes = judged.runs(judged.code)
            verdict = self.sequence(grained(torch.cat(seen)), torch.cat([codes, codes]))
            loss = loss + hinge(verdict)
            right["sequence"] = share_right(verdict)
            fits = self.fits(judged, seen[0])
            loss = loss - F.log_softmax(fits, 1)[:, 0].mean()
            right["synchrony"] = (fits[:, :1] > fits[:, 1:]).float().mean().item()
        for k, name in enumerate(NAMES):
            if name in right:
                self.skill[k].lerp_(torch.tensor(max(0.0, 2 * right[name] - 1)), 1 - SKILL_MEMORY)
        return loss, right

    def fits(self, judged: Judged, pictures: torch.Tensor) -> torch.Tensor:
        """How well sequences (runs, RUN, 3, 80, 96) fit their own sound and others: (runs, 1 + OTHERS)."""
        return self.synchrony(grained(pictures), torch.cat([judged.mel[:, None], judged.strange], 1)).float()

    def wishes(self, judged: Judged, drawn: torch.Tensor) -> dict[str, torch.Tensor]:
        """Losses of the generator by adversary: to be taken for true, in features too; to fit the sound it speaks to.

        drawn (n, 3, 80, 96) with a graph.
        """
        verdicts, seen = self.picture(drawn, judged.portrait, judged.cover, judged.code)
        with torch.no_grad():
            _, aim = self.picture(judged.true, judged.portrait, judged.cover, judged.code)
        apart = sum((a.float() - b.float()).abs().mean() for a, b in zip(seen, aim, strict=True))
        found = {"picture": FEATURES_WEIGHT * apart - sum(v.float().mean() for v in verdicts)}
        if len(judged.mel):
            pictures = judged.runs(drawn)
            found["sequence"] = -self.sequence(grained(pictures), judged.runs(judged.code)).float().mean()
            found["synchrony"] = -F.log_softmax(self.fits(judged, pictures), 1)[:, 0].mean()
        return found


def hinge(verdict: torch.Tensor) -> torch.Tensor:
    """Loss of a critic whose batch holds the true ones first, then as many drawn ones."""
    true, false = verdict.float().chunk(2)
    return F.relu(1 - true).mean() + F.relu(1 + false).mean()


def share_right(verdict: torch.Tensor) -> float:
    """Share of such verdicts that are right; .5 is chance."""
    true, false = verdict.detach().chunk(2)
    return ((true > 0).float().mean() + (false < 0).float().mean()).item() / 2


def grained(pictures: torch.Tensor) -> torch.Tensor:
    return pictures + GRAIN * torch.randn_like(pictures)
