"""The generator's network: what the closed form cannot know, as corrections on it.

    PortraitEncoder (once): lower face (96, 120, 3), rest shape, tones -> features (80, 24, 30), vector
    Decoder (a picture): code, features, vector -> skin gain (96, 120, 3), interior (24, 48)

Skin gain lies in the photo's own coordinates and rides on the warp, so that it sticks to the skin: smooth light all
over the lower face, its colour held near grey, and fine light (folds, lips' relief) around the mouth, without colour.
The interior is stretched between the lips. Both are 0 at code 0, so that a resting face is the photo itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from engines.drawing.mouth import INSIDE_TINT
from engines.generator import INTERIOR_SIZE

SPEECH = 14
SHAPE = 12
FEATURES = 48  # at 24x30
DETAIL = 8  # at 48x60: where the photo's own edges are; kept at 24x30 with four times the channels
VECTOR = 48
SMOOTHEST, FINEST = 0.5, 0.25  # how far smooth and fine light may be turned
CHROMA = 0.5  # share of the smooth light's colour that is let through
MOUTH_AT_PX, MOUTH_REACH_PX = (59.5, 45.0), (42.0, 42.0)  # middle and half axes of the region of fine light, crop px
DARKEST, BRIGHTEST = 0.75, 0.5  # how far the light inside the mouth may be turned down and up


@dataclass
class Scales:
    """What the networks' inputs are scaled by; all become buffers of the graphs."""

    code_scale: torch.Tensor  # (14,)
    shape_mean: torch.Tensor  # (478 * 3,)
    shape_basis: torch.Tensor  # (12, 478 * 3), rows divided by their deviation


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


def faint(layer: nn.Conv2d) -> nn.Conv2d:
    """A last layer that begins as next to no change."""
    nn.init.normal_(layer.weight, std=1e-3)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class PortraitEncoder(nn.Module):
    """crop (n, 3, 96, 120) 0..1, shape (n, 478, 3), tones (n, 12) -> features (n, 80, 24, 30), vector (n, 60)."""

    shape_mean: torch.Tensor
    shape_basis: torch.Tensor

    def __init__(self, scales: Scales) -> None:
        super().__init__()
        self.register_buffer("shape_mean", scales.shape_mean.clone())
        self.register_buffer("shape_basis", scales.shape_basis.clone())
        self.first = convolution(3, 24, 2)
        self.detail = convolution(24, DETAIL)
        self.second = convolution(24, FEATURES, 2)
        self.third = convolution(FEATURES, FEATURES)
        self.pool = nn.Sequential(convolution(FEATURES, 64, 2), nn.SiLU(), convolution(64, 64, 2), nn.SiLU())
        self.vector = nn.Linear(64 + SHAPE + 12, VECTOR)

    def shape(self, shape: torch.Tensor) -> torch.Tensor:
        return ((shape.flatten(1) - self.shape_mean) @ self.shape_basis.T).clamp(-3, 3)

    def forward(
        self, crop: torch.Tensor, shape: torch.Tensor, tones: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.silu(self.first(crop * 2 - 1))
        detail = F.pixel_unshuffle(self.detail(x), 2)
        x = F.silu(self.second(x))
        features = x + self.third(F.silu(x))
        small = self.shape(shape)
        pooled = self.pool(features).mean((2, 3))
        vector = torch.cat([self.vector(torch.cat([pooled, small, tones * 2 - 1], 1)), small], 1)
        return torch.cat([features, detail], 1), vector


class Modulated(nn.Module):
    """A residual block whose channels are scaled and shifted by the code (FiLM)."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.one, self.two = convolution(channels, channels), convolution(channels, channels)
        self.film = nn.Linear(condition, 2 * channels)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        scale, offset = self.film(condition)[..., None, None].chunk(2, 1)
        y = F.silu(self.one(x) * (1 + scale) + offset)
        return x + self.two(y)


class Decoder(nn.Module):
    """One picture's corrections, see the module's text. code (n, 25)."""

    code_scale: torch.Tensor
    window: torch.Tensor
    around_mouth: torch.Tensor

    def __init__(self, scales: Scales, condition: int = 128) -> None:
        super().__init__()
        self.register_buffer("code_scale", scales.code_scale.clone())
        self.mix = nn.Sequential(
            nn.Linear(SPEECH + VECTOR, condition), nn.SiLU(), nn.Linear(condition, condition), nn.SiLU()
        )
        self.blocks = nn.ModuleList([Modulated(FEATURES, condition) for _ in range(2)])
        self.skin = nn.Sequential(convolution(FEATURES, 24), nn.SiLU(), faint(convolution(24, 12)), nn.PixelShuffle(2))
        self.folds = nn.Sequential(nn.SiLU(), convolution(FEATURES, 32), nn.PixelShuffle(2), nn.SiLU())
        self.fine = nn.Sequential(convolution(8 + DETAIL, 16), nn.SiLU(), faint(convolution(16, 4)), nn.PixelShuffle(2))
        self.seed = nn.Linear(condition, 64 * 6 * 12)
        self.shade = nn.Sequential(nn.SiLU(), convolution(64, 48), nn.SiLU(), faint(convolution(48, 1)))
        # The crop's border fades out, so that no seam shows.
        y = torch.minimum(torch.arange(96), 95 - torch.arange(96)).float()
        x = torch.minimum(torch.arange(120), 119 - torch.arange(120)).float()
        fade = (y / 12).clamp(0, 1)[:, None] * (x / 12).clamp(0, 1)[None]
        self.inner_share = 1.0  # set when it is exported
        self.register_buffer("window", (fade * fade * (3 - 2 * fade))[None, None])
        self.register_buffer("around_mouth", mouth_region()[None, None], persistent=False)

    def textures(
        self, code: torch.Tensor, features: torch.Tensor, vector: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Skin gain (n, 3, 96, 120) and interior (n, 1, 24, 48)."""
        speech = (code[:, :SPEECH] / self.code_scale).clamp(-3.5, 3.5)
        amount = (code[:, :SPEECH] ** 2).sum(1, keepdim=True)
        gate = (amount / (amount + 0.03**2))[..., None, None]
        condition = self.mix(torch.cat([speech, vector[:, :VECTOR]], 1))
        x, detail = features[:, :FEATURES], F.pixel_shuffle(features[:, FEATURES:], 2)
        for block in self.blocks:
            x = block(x, condition)
        # Coloured light is smooth: half the crop's resolution, so that it cannot paint edges.
        smooth = torch.tanh(F.interpolate(self.skin(x), scale_factor=2.0, mode="bilinear", align_corners=False))
        grey = smooth.mean(1, keepdim=True)
        fine = torch.tanh(self.fine(torch.cat([self.folds(x), detail], 1))) * self.around_mouth
        skin = (SMOOTHEST * (grey + CHROMA * (smooth - grey)) + FINEST * fine) * self.window * gate
        # So is light between the lips: about a tooth wide, so that it cannot stain a row of teeth that it does not see.
        inner = torch.tanh(self.shade(self.seed(condition).reshape(-1, 64, 6, 12)))
        inner = F.interpolate(inner, size=INTERIOR_SIZE, mode="bilinear", align_corners=False)
        return skin, torch.where(inner < 0, DARKEST * inner, BRIGHTEST * inner) * gate * self.inner_share

    def forward(
        self, code: torch.Tensor, features: torch.Tensor, vector: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        skin, inner = self.textures(code, features, vector)
        return skin.permute(0, 2, 3, 1), inner[:, 0]


def mouth_region() -> torch.Tensor:
    """Where fine light may fall, (96, 120), 1 around the mouth and 0 from eyes, ears and throat on.

    An ellipse in the resting crop that holds lips, the folds beside nose and mouth, and the hollow over the chin.
    """
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(120.0), indexing="ij")
    distance = torch.hypot((x - MOUTH_AT_PX[0]) / MOUTH_REACH_PX[0], (y - MOUTH_AT_PX[1]) / MOUTH_REACH_PX[1])
    inward = ((1 - distance) / 0.35).clamp(0, 1)
    return inward * inward * (3 - 2 * inward)


def ride(texture: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """A texture (n, c, 96, 120) of the photo, moved as the photo is; source (n, 96, 120, 2) crop px."""
    at = (source + 0.5) / torch.tensor([120.0, 96.0]) * 2 - 1
    return F.grid_sample(texture, at, mode="bilinear", padding_mode="zeros", align_corners=False)


def compose(batch: dict[str, torch.Tensor], skin: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """The picture as engines/generator.py composes it: (n, 3, 96, 120), 0..255.

    batch: drawn (n, 3, 96, 120); source (n, 96, 120, 2) crop px; mouth (n, 96, 120, 3): cover, places;
    mask (n, 96, 120): where skin may be shaded.
    """
    drawn, source, mouth = (batch[name] for name in ("drawn", "source", "mouth"))
    gain = ride(skin * batch["mask"][:, None], source)
    cover = mouth[..., 0][:, None]
    inside = F.grid_sample(inner, mouth[..., 1:] * 2 - 1, mode="bilinear", padding_mode="border", align_corners=False)
    tint = torch.tensor(INSIDE_TINT)[:, None, None]
    return drawn * (1 + gain * (1 - cover) + tint * inside * cover)
