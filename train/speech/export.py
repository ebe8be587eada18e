"""A checkpoint of the encoder -> encoder.onnx, its card and its golden stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from engines.card import EngineCard, TensorSpec
from engines.golden import Golden
from engines.spec import SPEC
from train import checkpoint
from train.config import build
from train.data.corpora import noise, sound_of, tts
from train.onnx_export import graph_bytes, write_model
from train.speech.vae import Encoder, EncoderConfig

OUTPUTS = ("content", "emotion", "noise", "speaker", "motion", "phone_logits", "presence", "emotion_logits", "snr_db")
DATA_LICENCES = {
    "GRID audio-visual sentences": "CC BY 4.0, M. Cooke, J. Barker, S. Cunningham, X. Shao, JASA 120(5), 2006",
    "Kokoro-82M synthetic voices": "Apache-2.0",
    "EMO-DB": "CC0 1.0, Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss, Interspeech 2005",
    "LibriSpeech train-clean-100": "CC BY 4.0, Vassil Panayotov, 2014",
    "ESC-10, Speech Commands background noise, Blanket sounds": "CC0, CC BY and public domain, by file",
    "teacher: Whisper tiny.en": "MIT, OpenAI, 2022 (features of the clean sound, training only)",
}


class StepGraph(nn.Module):
    """Encoder.step with flat arguments: samples, then the states in order of `state_names`."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.state_names = tuple(encoder.state_shapes(encoder.config))

    def forward(self, samples: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out, after = self.encoder.step(samples, dict(zip(self.state_names, states, strict=True)))
        return tuple(out[name] for name in OUTPUTS) + tuple(after[name] for name in self.state_names)


def encoder_of(path: Path) -> tuple[Encoder, dict]:
    """The averaged encoder of a checkpoint, in evaluation mode, and its facts, among them `steps` of all legs."""
    tensors, facts = checkpoint.load(path, "config", "step")
    encoder = Encoder(build(EncoderConfig, facts["config"]["encoder"], str(path)))
    checkpoint.fill(encoder, checkpoint.part("average", tensors), path)
    return encoder.eval(), facts | {"steps": facts["step"] + facts.get("steps_before", 0)}


def onnx_bytes(encoder: Encoder) -> bytes:
    """The step graph as one ONNX file."""
    graph, state = StepGraph(encoder), encoder.init_state()
    inputs = {"samples": torch.zeros(1, SPEC.chunk_samples)}
    inputs |= {f"state.{name}": state[name] for name in graph.state_names}
    return graph_bytes(graph, inputs, (*OUTPUTS, *(f"state.{name}.next" for name in graph.state_names)))


@torch.no_grad()
def golden_stream(encoder: Encoder, samples: np.ndarray) -> Golden:
    """A stream from zero state, samples (320 n,) in and every output of every step."""
    chunks = samples.astype(np.float32).reshape(-1, 1, SPEC.chunk_samples)
    state = encoder.init_state()
    rows: dict[str, list[np.ndarray]] = {name: [] for name in OUTPUTS}
    for chunk in chunks:
        out, state = encoder.step(torch.from_numpy(chunk), state)
        for name in OUTPUTS:
            rows[name].append(out[name].numpy().copy())
    return Golden({"samples": chunks}, {name: np.stack(values) for name, values in rows.items()})


def golden_sound(data_root: Path) -> np.ndarray:
    """Five seconds for the golden stream: a synthetic val voice, clean, then under noise, then nothing."""
    clips = [clip for clip in tts(data_root / "speech" / "tts") if clip.split == "val"]
    speech = np.resize(sound_of(clips[0].sound), 4 * SPEC.sample_rate_hz)
    background = np.resize(sound_of(noise(data_root / "noise")[0].sound), 2 * SPEC.sample_rate_hz)
    speech[2 * SPEC.sample_rate_hz :] += 0.5 * background
    return np.concatenate([speech, np.zeros(SPEC.sample_rate_hz)]).astype(np.float32)


def macs(encoder: Encoder) -> int:
    """Multiply-adds of one step, counted from the layers' shapes."""
    c = encoder.config
    mel, window = SPEC.mel_bands, SPEC.window_samples
    total = 2 * (window * (window + 2) + (window // 2 + 1) * mel)
    total += 2 * 3 * mel * c.conv1 + 4 * c.conv1 * c.conv2 + 3 * c.conv2 * c.conv2
    total += 3 * c.gru * (c.conv2 + c.gru) + 3 * c.gru * 2 * c.gru
    total += sum(
        m.weight.numel()
        for m in (
            encoder.content,
            encoder.presence,
            *(layer for f in encoder.slow_factors().values() for layer in f.live_layers()),
        )
    )
    from_x, from_hidden, *_ = encoder.motion_gru.all_weights[0]
    total += 3 * (encoder.phones.weight.numel() + from_x.numel() + from_hidden.numel())
    return total + 3 * sum(m.weight.numel() for m in encoder.motion_out if isinstance(m, nn.Linear))


def export(
    checkpoint_path: Path,
    out: Path,
    samples: np.ndarray,
    metrics: dict,
    gain: np.ndarray | None = None,
    name: str = "encoder",
) -> EngineCard:
    """Write NAME.onnx, NAME.card.json and NAME.golden.npz into `out`; returns the card.

    samples: the golden stream's sound, a few seconds. gain (14,): see train/motion/score_motion.py `amplitude_gain`.
    """
    encoder, facts = encoder_of(checkpoint_path)
    if gain is not None:
        encoder.gain.copy_(torch.as_tensor(gain, dtype=torch.float32))
    model = onnx_bytes(encoder)
    golden = golden_stream(encoder, samples[: len(samples) // SPEC.chunk_samples * SPEC.chunk_samples])
    state = {name: TensorSpec(shape) for name, shape in encoder.state_shapes(encoder.config).items()}
    inputs = {"samples": TensorSpec((1, SPEC.chunk_samples))} | {f"state.{key}": value for key, value in state.items()}
    outputs = {key: TensorSpec(golden.outputs[key].shape[1:]) for key in OUTPUTS}
    outputs |= {f"state.{key}.next": value for key, value in state.items()}
    figures = metrics | {"steps": facts["steps"], "mflop_a_code": round(2 * macs(encoder) / 1e6, 3)}
    return write_model(name, model, golden, inputs, outputs, out, figures, DATA_LICENCES)
