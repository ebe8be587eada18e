"""The audio VAE: raw sound -> content, emotion, noise, speaker, and with them motion, phones and presence.

One set of weights, two ways to run it. `Encoder.forward` goes over whole clips (training); `Encoder.step` takes one
chunk of 320 samples and the state, and is what gets exported. Both give the same numbers (tests/train/test_vae.py).

    samples -> log-mel (inside) -> three convolutions, 50 rows a second -> two GRUs -> content, presence
                                        `-> emotion, noise, speaker: each its own running statistics of 0.5 to 4 s
    content, emotion -> motion GRU -> motion, shut by presence

Everything is causal and starts at zero state. Row L of content speaks of code k - L / 20 (engines/spec.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from engines.spec import EMOTIONS, SPEC, SPEECH_CHANNELS

Tensors = dict[str, torch.Tensor]
LOWEST_HZ = 20.0
LOG_FLOOR = 1e-6
MEL_OFFSET, MEL_SCALE = 5.0, 4.0  # brings log-mels of speech to about -2..2
DELAYS = tuple(SPEC.lookahead_chunks(ms) for ms in SPEC.lookaheads_ms)
ROWS = len(DELAYS)
SLOW_MEMORY_CODES = (25, 50, 100, 200)  # a slow factor's channels remember for so long, a quarter of them each
FACTORS = ("emotion", "noise", "speaker")
SLOW_SIZE = {"emotion": SPEC.emotion_size, "noise": SPEC.noise_size, "speaker": SPEC.speaker_size}


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    conv1: int = 128
    conv2: int = 192
    gru: int = 448
    slow: int = 96  # channels of each slow factor
    slow_weights: int = 2  # for each of its memories
    slow_mel: bool = True  # it hears the log-mel itself, too
    content_memory: int = 200  # codes of speech whose mean is taken out of content; 0: none
    content_prior: float = 0.1  # share of that memory which counts as heard at zero before anything is
    slow_dropout: float = 0.1
    dropout: float = 0.0  # in front of each GRU
    masked_bands: int = 0  # of the log-mel at most, in each of two stretches, in half of the rows
    motion_gru: int = 64
    decoder: int = 256


def to_mel(hz: np.ndarray | float) -> np.ndarray:
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def from_mel(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)


def mel_matrix() -> np.ndarray:
    """Triangular mel filters (window / 2 + 1, bands), HTK mel scale, 20 Hz to 8 kHz, each of unit height."""
    rate, window = SPEC.sample_rate_hz, SPEC.window_samples
    edges = from_mel(np.linspace(to_mel(LOWEST_HZ), to_mel(rate / 2), SPEC.mel_bands + 2))
    bins = np.arange(window // 2 + 1) * rate / window
    rise = (bins[:, None] - edges[None, :-2]) / np.maximum(edges[1:-1] - edges[:-2], rate / window)
    fall = (edges[None, 2:] - bins[:, None]) / np.maximum(edges[2:] - edges[1:-1], rate / window)
    return np.clip(np.minimum(rise, fall), 0, 1).astype(np.float32)


class LogMel(nn.Module):
    """(batch, 240 + 160 n) samples -> (batch, n, 80): natural log of mel power, shifted and scaled to about -2..2."""

    cosine: torch.Tensor
    sine: torch.Tensor
    mel: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        window = SPEC.window_samples
        angle = 2 * np.pi * np.outer(np.arange(window), np.arange(window // 2 + 1)) / window
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
        self.register_buffer("cosine", torch.tensor(hann[:, None] * np.cos(angle), dtype=torch.float32))
        self.register_buffer("sine", torch.tensor(hann[:, None] * np.sin(angle), dtype=torch.float32))
        self.register_buffer("mel", torch.from_numpy(mel_matrix()))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return self.of_windows(samples.unfold(-1, SPEC.window_samples, SPEC.hop_samples))

    def of_windows(self, windows: torch.Tensor) -> torch.Tensor:
        real, imaginary = windows @ self.cosine, windows @ self.sine
        power = (real * real + imaginary * imaginary) @ self.mel
        return (torch.log(power + LOG_FLOOR) + MEL_OFFSET) / MEL_SCALE


def gru_cell(x: torch.Tensor, hidden: torch.Tensor, gru: nn.GRU) -> torch.Tensor:
    """One step of a one-layer nn.GRU, in plain operations that every engine has."""
    [[from_x, from_hidden, bias_x, bias_hidden]] = gru.all_weights
    reset_x, update_x, new_x = (x @ from_x.T + bias_x).chunk(3, -1)
    reset_h, update_h, new_h = (hidden @ from_hidden.T + bias_hidden).chunk(3, -1)
    reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
    return (hidden - (new := torch.tanh(new_x + reset * new_h))) * update + new


def smoothstep(x: torch.Tensor) -> torch.Tensor:
    return x * x * (3 - 2 * x)


def warped(mel: torch.Tensor, stretch: torch.Tensor) -> torch.Tensor:
    """(batch, hops, bands) read at `stretch` (batch,) times each band's frequency: longer and shorter vocal tracts.

    VTLP (Jaitly & Hinton, 2013): more voices than were recorded, at the same pitch and pace.
    """
    bands = mel.shape[-1]
    courses = np.linspace(to_mel(LOWEST_HZ), to_mel(SPEC.sample_rate_hz / 2), bands + 2)
    hz = torch.as_tensor(from_mel(courses[1:-1]), dtype=torch.float32, device=mel.device)
    places = 2595 * torch.log10(1 + hz * stretch[:, None] / 700)
    places = ((places - courses[0]) / (courses[1] - courses[0]) - 1).clamp(0, bands - 1)
    below = places.floor().clamp_max(bands - 2).long()
    share = (places - below)[:, None]
    take = lambda band: mel.gather(-1, band[:, None].expand_as(mel))  # noqa: E731
    return torch.lerp(take(below), take(below + 1), share)


def masked(mel: torch.Tensor, most: int) -> torch.Tensor:
    """(batch, hops, bands) with two stretches of up to `most` bands at the row's mean, in half of the rows.

    SpecAugment (Park et al., Interspeech 2019) along frequency: microphones and rooms take bands away.
    """
    batch, _, bands = mel.shape
    band = torch.arange(bands, device=mel.device)
    hidden = torch.zeros(batch, bands, dtype=torch.bool, device=mel.device)
    for _ in range(2):
        width = torch.randint(0, most + 1, (batch, 1), device=mel.device)
        start = torch.randint(0, bands, (batch, 1), device=mel.device)
        hidden |= (band >= start) & (band < start + width)
    hidden &= torch.rand(batch, 1, device=mel.device) < 0.5
    return torch.where(hidden[:, None], mel.mean((1, 2), keepdim=True), mel)


def running_average(values: torch.Tensor, state: torch.Tensor, memory_codes: int) -> torch.Tensor:
    """Exponential average after every code: values (batch, codes, size), what it was before (batch, size)."""
    with torch.autocast(values.device.type, enabled=False):  # a variance by difference needs all the digits
        keep = torch.tensor(1 - 1 / memory_codes, dtype=values.dtype, device=values.device)
        steps = torch.arange(values.shape[1], device=values.device, dtype=values.dtype)
        lag = steps[:, None] - steps[None, :]
        matrix = torch.where(lag >= 0, keep ** lag.clamp_min(0), 0.0) * (1 - keep)
        return matrix @ values + (keep ** (steps + 1))[:, None] * state[:, None]


def slow_memory_codes(config: EncoderConfig) -> tuple[int, ...]:
    """How long each group of a slow factor's channels remembers: SLOW_MEMORY_CODES, each with its own weights."""
    return tuple(codes for codes in SLOW_MEMORY_CODES for _ in range(config.slow_weights))


class SlowFactor(nn.Module):
    """One slow factor: what it finds worth hearing, averaged over seconds, with means and deviations.

    A weight of 0..1 for each memory says how much this code counts (attentive statistics pooling, Okabe, Koshinaka &
    Shinoda, Interspeech 2018, made causal by exponential averages): speakers are heard in vowels, noise in pauses. Each
    span of time has two, because how much louder speech is than noise takes both. The log-mel itself is heard, too: the
    normalised layers above it hardly know how loud it is.
    State: averages of weight * value, weight * value^2 and the weights, (batch, 2 channels + memories).
    """

    def __init__(self, inputs: int, config: EncoderConfig, out: int) -> None:
        super().__init__()
        channels = self.channels = config.slow
        self.dropout = config.slow_dropout
        self.memory_codes = slow_memory_codes(config)
        self.write = nn.Linear(inputs, channels)
        self.weigh = nn.Linear(inputs, len(self.memory_codes))
        self.hidden = nn.Linear(2 * channels, channels)
        self.mean = nn.Linear(channels, out)
        self.log_variance = nn.Linear(channels, out)
        nn.init.constant_(self.log_variance.bias, -3.0)

    def live_layers(self) -> tuple[nn.Linear, ...]:
        return self.write, self.weigh, self.hidden, self.mean

    def keep(self, like: torch.Tensor) -> torch.Tensor:
        """(memories,) share of the state that stays from code to code."""
        return torch.tensor([1 - 1 / codes for codes in self.memory_codes], dtype=like.dtype, device=like.device)

    def spread(self, each: torch.Tensor) -> torch.Tensor:
        """(..., memories) -> (..., channels), channels in groups by memory."""
        return each.repeat_interleave(self.channels // len(self.memory_codes), -1)

    def news(self, value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """(..., channels), (..., memories) -> what one code adds to the averages, (..., 2 channels + memories)."""
        wide = self.spread(weight)
        return torch.cat([wide * value, wide * value * value, weight], -1)

    def read(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Averages -> mean and log-variance of the factor, and the hidden layer before them."""
        total, square, weight = state.split([self.channels, self.channels, len(self.memory_codes)], -1)
        weight = self.spread(weight) + 1e-3
        mean = total / weight
        deviation = torch.sqrt(F.relu(square / weight - mean * mean) + 1e-4)
        found = F.dropout(torch.cat([mean, deviation], -1), self.dropout, self.training)
        hidden = F.silu(self.hidden(found))
        return self.mean(hidden), self.log_variance(hidden).clamp(-8, 2), hidden

    def whole(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, codes, inputs) -> averages after every code, and the state at the end."""
        news = self.news(F.silu(self.write(x)).float(), torch.sigmoid(self.weigh(x)).float())
        averages = torch.empty_like(news)
        for index, codes in enumerate(self.memory_codes):
            columns = self._columns(index)
            averages[..., columns] = running_average(news[..., columns], state[:, columns], codes)
        return averages, averages[:, -1]

    def _columns(self, memory: int) -> torch.Tensor:
        each = self.channels // len(self.memory_codes)
        own = torch.arange(memory * each, (memory + 1) * each)
        return torch.cat([own, own + self.channels, torch.tensor([2 * self.channels + memory])])

    def step(self, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        keep = self.keep(x)
        wide = torch.cat([self.spread(keep), self.spread(keep), keep])
        return state * wide + self.news(F.silu(self.write(x)), torch.sigmoid(self.weigh(x))) * (1 - wide)


class Encoder(nn.Module):
    """State tensors, by name: shapes without the batch are in `state_shapes`."""

    typical: torch.Tensor
    gain: torch.Tensor

    def __init__(self, config: EncoderConfig, typical: np.ndarray | None = None) -> None:
        super().__init__()
        self.config = config
        channels = len(SPEECH_CHANNELS)
        self.log_mel = LogMel()
        self.conv1 = nn.Conv1d(SPEC.mel_bands, config.conv1, 3)
        self.norm1 = nn.LayerNorm(config.conv1)
        self.conv2 = nn.Conv1d(config.conv1, config.conv2, 4, stride=2)
        self.norm2 = nn.LayerNorm(config.conv2)
        self.conv3 = nn.Conv1d(config.conv2, config.conv2, 3)
        self.norm3 = nn.LayerNorm(config.conv2)
        self.gru1 = nn.GRU(config.conv2, config.gru, batch_first=True)
        self.gru2 = nn.GRU(config.gru, config.gru, batch_first=True)
        self.content = nn.Linear(config.gru, ROWS * SPEC.content_size)
        self.content_log_variance = nn.Linear(config.gru, ROWS * SPEC.content_size)
        heard = config.conv2 + config.gru + config.slow_mel * SPEC.mel_bands
        self.slow = nn.ModuleDict({name: SlowFactor(heard, config, size) for name, size in SLOW_SIZE.items()})
        self.presence = nn.Linear(config.gru + SPEC.noise_size, ROWS)
        self.phones = nn.Linear(SPEC.content_size, len(SPEC.phones))
        self.emotion_class = nn.Linear(SPEC.emotion_size, len(EMOTIONS))
        self.snr = nn.Linear(SPEC.noise_size, 1)
        self.motion_gru = nn.GRU(SPEC.content_size + SPEC.emotion_size, config.motion_gru, batch_first=True)
        self.motion_out = nn.Sequential(
            nn.Linear(config.motion_gru + SPEC.content_size + SPEC.emotion_size, 64), nn.SiLU(), nn.Linear(64, channels)
        )
        self.register_buffer("typical", torch.ones(channels) if typical is None else torch.as_tensor(typical))
        self.register_buffer("gain", torch.ones(channels))  # set after training, see train/speech/export.py
        nn.init.constant_(self.content_log_variance.bias, -3.0)

    @staticmethod
    def state_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
        """Shapes of the state tensors of one stream, which all start at zero."""
        return {
            "samples": (1, SPEC.window_samples - SPEC.hop_samples),
            "mel": (1, 2, SPEC.mel_bands),
            "conv1": (1, 2, config.conv1),
            "conv2": (1, 2, config.conv2),
            "gru1": (1, config.gru),
            "gru2": (1, config.gru),
            **{f"slow_{name}": (1, 2 * config.slow + len(slow_memory_codes(config))) for name in FACTORS},
            **({"slow_content": (ROWS, SPEC.content_size + 1)} if config.content_memory else {}),
            "motion": (ROWS, config.motion_gru),
        }

    def slow_factors(self) -> dict[str, SlowFactor]:
        """`slow`, whose values nn.ModuleDict knows as modules only."""
        return cast("dict[str, SlowFactor]", dict(self.slow.items()))

    def init_state(self, batch: int = 1) -> Tensors:
        device = self.typical.device
        return {
            name: torch.zeros(batch * shape[0], *shape[1:], device=device)
            for name, shape in self.state_shapes(self.config).items()
        }

    def forward(
        self, samples: torch.Tensor, state: Tensors | None = None, stretch: torch.Tensor | None = None
    ) -> tuple[Tensors, Tensors]:
        """Whole clips, (batch, 320 codes) -> outputs by name, each (batch, codes, ...), and the state at the end.

        content, content_log_variance (batch, codes, 3, 48); emotion... (batch, codes, 16) and their log-variances;
        motion (batch, codes, 3, 14) in units of the typical deviation, before `finish_motion`; presence_logits
        (batch, codes, 3); mel (batch, 2 codes, 80). For losses only: content_mean, which was taken off; hidden (batch,
        codes, gru) behind content, and emotion_hidden... behind the slow factors.
        """
        batch, codes = len(samples), samples.shape[1] // SPEC.chunk_samples
        state = self.init_state(batch) if state is None else state
        after: Tensors = {}
        with torch.no_grad(), torch.autocast(samples.device.type, enabled=False):  # bf16 would drown quiet bands
            padded = torch.cat([state["samples"], samples], 1)
            after["samples"] = padded[:, -state["samples"].shape[1] :]
            mel = self.log_mel(padded)
            if stretch is not None:
                mel = warped(mel, stretch)

        heard_mel = masked(mel, self.config.masked_bands) if self.training and self.config.masked_bands else mel
        x = self._convolve(heard_mel, "mel", self.conv1, self.norm1, state, after)
        x = self._convolve(x, "conv1", self.conv2, self.norm2, state, after)
        x = self._convolve(x, "conv2", self.conv3, self.norm3, state, after)
        drop = lambda values: F.dropout(values, self.config.dropout, self.training)  # noqa: E731
        h1, last1 = self.gru1(drop(x), state["gru1"][None])
        h2, last2 = self.gru2(drop(h1), state["gru2"][None])
        after["gru1"], after["gru2"] = last1[0], last2[0]
        hidden = h1 + h2

        out: Tensors = {"mel": mel}
        out["content"] = self.content(hidden).view(batch, codes, ROWS, -1)
        out["content_log_variance"] = self.content_log_variance(hidden).view(batch, codes, ROWS, -1).clamp(-8, 2)
        out["hidden"] = hidden
        heard = torch.cat([x, h1, *self._levels(heard_mel.unflatten(1, (codes, -1)))], -1)
        for name, factor in self.slow_factors().items():
            averages, after[f"slow_{name}"] = factor.whole(heard, state[f"slow_{name}"])
            out[name], out[f"{name}_log_variance"], out[f"{name}_hidden"] = factor.read(averages)
        out["presence_logits"] = self.presence(torch.cat([hidden, out["noise"]], -1))
        if self.config.content_memory:
            spoken = torch.sigmoid(out["presence_logits"].detach())[..., None]
            news = self._spoken_content(out["content"], spoken).transpose(1, 2).flatten(0, 1)
            averages = running_average(news, state["slow_content"], self.config.content_memory)
            after["slow_content"] = averages[:, -1]
            averages = averages.unflatten(0, (batch, ROWS)).transpose(1, 2)
            before, out["content"] = out["content"], self._centred(out["content"], averages)
            out["content_mean"] = before - out["content"]
        self._read(out)

        heard = torch.cat([out["content"], out["emotion"][:, :, None].expand(-1, -1, ROWS, -1)], -1)
        rows = heard.transpose(1, 2).reshape(batch * ROWS, codes, -1)
        moved, last = self.motion_gru(rows, state["motion"][None])
        after["motion"] = last[0]
        motion = self.motion_out(torch.cat([moved, rows], -1))
        motion = motion.view(batch, ROWS, codes, -1).transpose(1, 2)
        out["motion"] = motion * smoothstep(torch.sigmoid(out["presence_logits"]))[..., None]
        return out, after

    @staticmethod
    def _convolve(
        x: torch.Tensor, name: str, conv: nn.Conv1d, norm: nn.LayerNorm, state: Tensors, after: Tensors
    ) -> torch.Tensor:
        """(batch, steps, n) -> the same steps convolved; before them comes state's, their last two go to after."""
        x = torch.cat([state[name], x], 1)
        after[name] = x[:, -2:]
        return F.silu(norm(conv(x.transpose(1, 2)).transpose(1, 2)))

    @staticmethod
    def _spoken_content(content: torch.Tensor, spoken: torch.Tensor) -> torch.Tensor:
        """(..., 48), (..., 1) -> what one code adds to the average of speech, (..., 49)."""
        return torch.cat([content * spoken, spoken], -1).float()

    def _centred(self, content: torch.Tensor, average: torch.Tensor) -> torch.Tensor:
        """Content about its mean over the last seconds of speech, where a voice, a room and a mood leave their mark.

        Instance normalisation takes speakers out of content (Chou, Yeh & Lee, Interspeech 2019); this is its mean,
        causal.
        """
        return content - average[..., :-1] / (average[..., -1:] + self.config.content_prior)

    def _levels(self, hops: torch.Tensor) -> list[torch.Tensor]:
        """(..., 2, 80) log-mel of a code's hops -> what the slow factors hear of it."""
        return [hops.mean(-2)] if self.config.slow_mel else []

    def _read(self, out: Tensors) -> None:
        """What is read linearly from the factors."""
        out["phone_logits"] = self.phones(out["content"])
        out["emotion_logits"] = self.emotion_class(out["emotion"])
        out["snr_db"] = self.snr(out["noise"]) * 10 + 10

    def finish_motion(self, motion: torch.Tensor) -> torch.Tensor:
        """Units of deviation -> eye distances; openings can't be negative."""
        scaled = motion * self.typical * self.gain
        opening, drop, side, rest = scaled.split([1, 1, 1, len(SPEECH_CHANNELS) - 3], -1)
        return torch.cat([F.relu(opening), drop, F.relu(side), rest], -1)

    def step(self, samples: torch.Tensor, state: Tensors) -> tuple[Tensors, Tensors]:
        """One chunk, (1, 320) -> the outputs of docs/architecture.md and the next state. The graph that is exported."""
        after: Tensors = {}
        padded = torch.cat([state["samples"], samples], 1)
        after["samples"] = padded[:, SPEC.chunk_samples :]
        windows = torch.stack([padded[:, : SPEC.window_samples], padded[:, SPEC.hop_samples :]], 1)
        mel = self.log_mel.of_windows(windows)

        x = self._convolve(mel, "mel", self.conv1, self.norm1, state, after)
        x = self._convolve(x, "conv1", self.conv2, self.norm2, state, after)
        x = self._convolve(x, "conv2", self.conv3, self.norm3, state, after)[:, 0]
        after["gru1"] = gru_cell(x, state["gru1"], self.gru1)
        after["gru2"] = gru_cell(after["gru1"], state["gru2"], self.gru2)
        hidden = after["gru1"] + after["gru2"]

        out: Tensors = {"content": self.content(hidden).view(ROWS, SPEC.content_size)}
        heard = torch.cat([x, after["gru1"], *self._levels(mel)], -1)
        for name, factor in self.slow_factors().items():
            after[f"slow_{name}"] = factor.step(heard, state[f"slow_{name}"])
            out[name], *_ = factor.read(after[f"slow_{name}"])
        presence_logits = self.presence(torch.cat([hidden, out["noise"]], -1)).view(ROWS, 1)
        out["presence"] = torch.sigmoid(presence_logits)
        if self.config.content_memory:
            news = self._spoken_content(out["content"], out["presence"])
            keep = 1 - 1 / self.config.content_memory
            after["slow_content"] = state["slow_content"] * keep + news * (1 - keep)
            out["content"] = self._centred(out["content"], after["slow_content"])
        self._read(out)
        heard = torch.cat([out["content"], out["emotion"].expand(ROWS, -1)], -1)
        after["motion"] = gru_cell(heard, state["motion"], self.motion_gru)
        motion = self.motion_out(torch.cat([after["motion"], heard], -1)) * smoothstep(out["presence"])
        out["motion"] = self.finish_motion(motion)
        return out, after


class Decoder(nn.Module):
    """All factors of one code -> its two hops of log-mel, (..., 48 + 3 * 16) -> (..., 2, 80). No memory."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        size = SPEC.content_size + sum(SLOW_SIZE.values())
        self.net = nn.Sequential(
            nn.Linear(size, config.decoder),
            nn.SiLU(),
            nn.Linear(config.decoder, config.decoder),
            nn.SiLU(),
            nn.Linear(config.decoder, SPEC.chunk_hops * SPEC.mel_bands),
        )

    def forward(self, *factors: torch.Tensor) -> torch.Tensor:
        return self.net(torch.cat(factors, -1)).unflatten(-1, (SPEC.chunk_hops, SPEC.mel_bands))


READ_OF = {"content": 2 * SPEC.content_size, "slow": sum(SLOW_SIZE.values())} | SLOW_SIZE  # what adversaries read
HIDE = (  # (factor, label): what no factor may tell
    ("content", "emotion"),
    ("content", "speaker"),
    ("content", "noise"),
    ("slow", "phones"),
    ("emotion", "speaker"),
    ("emotion", "noise"),
    ("noise", "speaker"),
    ("noise", "emotion"),
    ("speaker", "emotion"),
    ("speaker", "noise"),
)


class Heads(nn.Module):
    """Training only: the teacher's components and style, classes of speaker, gender and noise, and the adversaries."""

    def __init__(self, config: EncoderConfig, components: int, style: int, speakers: int, noises: int) -> None:
        super().__init__()
        self.decoder = Decoder(config)
        self.components = nn.Linear(SPEC.content_size, components)
        self.hidden_components = nn.Linear(config.gru, ROWS * components)
        self.style = nn.Linear(config.slow, style)
        self.speaker = nn.Linear(SPEC.speaker_size, speakers)
        self.gender = nn.Linear(SPEC.speaker_size, 2)
        self.noise = nn.Linear(SPEC.noise_size, noises)
        classes = {"emotion": len(EMOTIONS), "speaker": speakers, "noise": noises, "phones": len(SPEC.phones)}
        self.against = nn.ModuleDict(
            {
                f"{factor}_{label}": nn.Sequential(
                    nn.Linear(READ_OF[factor], 128), nn.SiLU(), nn.Linear(128, classes[label])
                )
                for factor, label in HIDE
            }
        )
