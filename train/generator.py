"""The generator's network: what the closed form cannot know, as corrections on it.

    PortraitEncoder (once): lower face (96, 120, 3), rest shape, tones -> features (48, 24, 30), vector
    Decoder (a picture): code, features, vector -> skin gain (96, 120, 3), interior (24, 48)

Skin gain lies in the photo's own coordinates and rides on the warp; the interior is stretched between the lips. Both
are 0 at code 0, so that a resting face is the photo itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from engines.layers import INSIDE_TINT

SPEECH = 14
SHAPE = 12
FEATURES = 48
VECTOR = 48
DARKEST, BRIGHTEST = 0.75, 0.5  # how far the light inside the mouth may be turned down and up


@dataclass
class Scales:
    """What the networks' inputs are scaled by; all become buffers of the graphs."""

    code_scale: torch.Tensor  # (14,)
    shape_mean: torch.Tensor  # (478 * 3,)
    shape_basis: torch.Tensor  # (12, 478 * 3), rows divided by their deviation


def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


class PortraitEncoder(nn.Module):
    """crop (n, 3, 96, 120) 0..1, shape (n, 478, 3), tones (n, 12) -> features (n, 48, 24, 30), vector (n, 60)."""

    shape_mean: torch.Tensor
    shape_basis: torch.Tensor

    def __init__(self, scales: Scales) -> None:
        super().__init__()
        self.register_buffer("shape_mean", scales.shape_mean.clone())
        self.register_buffer("shape_basis", scales.shape_basis.clone())
        self.first = convolution(3, 24, 2)
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
        x = F.silu(self.second(x))
        features = x + self.third(F.silu(x))
        small = self.shape(shape)
        pooled = self.pool(features).mean((2, 3))
        return features, torch.cat([self.vector(torch.cat([pooled, small, tones * 2 - 1], 1)), small], 1)


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

    def __init__(self, scales: Scales, condition: int = 128) -> None:
        super().__init__()
        self.register_buffer("code_scale", scales.code_scale.clone())
        self.mix = nn.Sequential(
            nn.Linear(SPEECH + VECTOR, condition), nn.SiLU(), nn.Linear(condition, condition), nn.SiLU()
        )
        self.blocks = nn.ModuleList([Modulated(FEATURES, condition) for _ in range(2)])
        self.skin = nn.Sequential(convolution(FEATURES, 24), nn.SiLU(), convolution(24, 12), nn.PixelShuffle(2))
        self.seed = nn.Linear(condition, 64 * 6 * 12)
        self.inner = nn.Sequential(
            nn.SiLU(), convolution(64, 128), nn.PixelShuffle(2), nn.SiLU(), convolution(32, 32), nn.SiLU(),
            convolution(32, 48), nn.PixelShuffle(2), nn.SiLU(), convolution(12, 1),
        )  # fmt: skip
        for last in (self.skin[2], self.inner[-1]):
            nn.init.normal_(last.weight, std=1e-3)
            nn.init.zeros_(last.bias)
        # The crop's border fades out, so that no seam shows.
        y = torch.minimum(torch.arange(96), 95 - torch.arange(96)).float()
        x = torch.minimum(torch.arange(120), 119 - torch.arange(120)).float()
        fade = (y / 12).clamp(0, 1)[:, None] * (x / 12).clamp(0, 1)[None]
        self.inner_share = 1.0  # set when it is exported
        self.register_buffer("window", (fade * fade * (3 - 2 * fade))[None, None])

    def textures(
        self, code: torch.Tensor, features: torch.Tensor, vector: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Skin gain (n, 3, 96, 120) and interior (n, 1, 24, 48)."""
        speech = (code[:, :SPEECH] / self.code_scale).clamp(-3.5, 3.5)
        amount = (code[:, :SPEECH] ** 2).sum(1, keepdim=True)
        gate = (amount / (amount + 0.03**2))[..., None, None]
        condition = self.mix(torch.cat([speech, vector[:, :VECTOR]], 1))
        x = features
        for block in self.blocks:
            x = block(x, condition)
        # Shading is smooth: half the crop's resolution, so that it cannot paint edges.
        skin = F.interpolate(self.skin(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        skin = torch.tanh(skin) * 0.5 * self.window * gate
        inner = self.inner(self.seed(condition).reshape(-1, 64, 6, 12))
        inner = torch.tanh(inner)
        return skin, torch.where(inner < 0, DARKEST * inner, BRIGHTEST * inner) * gate * self.inner_share

    def forward(
        self, code: torch.Tensor, features: torch.Tensor, vector: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        skin, inner = self.textures(code, features, vector)
        return skin.permute(0, 2, 3, 1), inner[:, 0]


def compose(batch: dict[str, torch.Tensor], skin: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """The picture as engines/generator.py composes it: (n, 3, 96, 120), 0..255.

    batch: drawn (n, 3, 96, 120); source (n, 96, 120, 2) crop px; mouth (n, 96, 120, 3): cover, places;
    mask (n, 96, 120): where skin may be shaded.
    """
    drawn, source, mouth = (batch[name] for name in ("drawn", "source", "mouth"))
    skin = skin * batch["mask"][:, None]
    at = (source + 0.5) / torch.tensor([120.0, 96.0]) * 2 - 1
    gain = F.grid_sample(skin, at, mode="bilinear", padding_mode="zeros", align_corners=False)
    cover = mouth[..., 0][:, None]
    inside = F.grid_sample(inner, mouth[..., 1:] * 2 - 1, mode="bilinear", padding_mode="border", align_corners=False)
    tint = torch.tensor(INSIDE_TINT)[:, None, None]
    return drawn * (1 + gain * (1 - cover) + tint * inside * cover)
