"""A checkpoint -> encoder.onnx, its card and its golden stream: the only hand-over to engines.

The golden stream (engines/golden.py) is made by the PyTorch step in float32, not by the ONNX file it judges.
"""

from __future__ import annotations

import datetime
import io
import subprocess
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engines.card import EngineCard, TensorSpec, file_sha256, write_atomically
from engines.errors import EngineMismatch
from engines.golden import Golden, verify
from engines.opening import open_session
from engines.spec import SPEC
from train import checkpoint
from train.config import build
from train.corpora import noise, sound_of, tts
from train.vae import Encoder, EncoderConfig

OUTPUTS = ("content", "emotion", "noise", "speaker", "motion", "phone_logits", "presence", "emotion_logits", "snr_db")
OPSET = 18
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
    """The averaged encoder of a checkpoint, in evaluation mode, and the checkpoint's facts."""
    tensors, facts = checkpoint.load(path)
    encoder = Encoder(build(EncoderConfig, facts["config"]["encoder"], str(path)))
    encoder.load_state_dict(checkpoint.part("average", tensors))
    return encoder.eval(), facts


def onnx_bytes(encoder: Encoder) -> bytes:
    """The step graph as one ONNX file, checked and cleaned of what is constant."""
    import onnx

    graph = StepGraph(encoder)
    state = encoder.init_state()
    names = ["samples", *(f"state.{name}" for name in graph.state_names)]
    outputs = [*OUTPUTS, *(f"state.{name}.next" for name in graph.state_names)]
    program = torch.onnx.export(
        graph,
        (torch.zeros(1, SPEC.chunk_samples), *state.values()),
        input_names=names,
        output_names=outputs,
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.optimize()
    buffer = io.BytesIO()
    onnx.save_model(program.model_proto, buffer)
    model = onnx.load_model_from_string(buffer.getvalue())
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = "spec", SPEC.to_json()
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


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
        for m in (encoder.content, encoder.slow_in, encoder.slow_hidden, encoder.slow_mean, encoder.presence)
    )
    total += 3 * (
        encoder.phones.weight.numel()
        + encoder.motion_gru.weight_ih_l0.numel()
        + encoder.motion_gru.weight_hh_l0.numel()
    )
    return total + 3 * sum(m.weight.numel() for m in encoder.motion_out if isinstance(m, nn.Linear))


def commit_of(folder: Path) -> str:
    """The checkout's commit, or "" where there is none."""
    try:
        run = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return run.stdout.strip()


def export(
    checkpoint_path: Path,
    out: Path,
    samples: np.ndarray,
    metrics: dict,
    gain: np.ndarray | None = None,
    name: str = "encoder",
) -> EngineCard:
    """Write NAME.onnx, NAME.card.json and NAME.golden.npz into `out`; returns the card.

    samples: the golden stream's sound, a few seconds. gain (14,): see train/score_motion.py `amplitude_gain`.
    """
    encoder, facts = encoder_of(checkpoint_path)
    if gain is not None:
        encoder.gain.copy_(torch.as_tensor(gain, dtype=torch.float32))
    model = onnx_bytes(encoder)
    golden = golden_stream(encoder, samples[: len(samples) // SPEC.chunk_samples * SPEC.chunk_samples])
    state = {name: TensorSpec(shape) for name, shape in encoder.state_shapes(encoder.config).items()}
    out.mkdir(parents=True, exist_ok=True)
    golden.write(out / f"{name}.golden.npz")
    card = EngineCard(
        name=name,
        sha256=file_sha256(model),
        spec=SPEC,
        inputs={"samples": TensorSpec((1, SPEC.chunk_samples))}
        | {f"state.{key}": value for key, value in state.items()},
        outputs={key: TensorSpec(golden.outputs[key].shape[1:]) for key in OUTPUTS}
        | {f"state.{key}.next": value for key, value in state.items()},
        opset=OPSET,
        commit=commit_of(Path(__file__).parent),
        metrics=metrics | {"steps": facts["step"], "mflop_a_code": round(2 * macs(encoder) / 1e6, 3)},
        data_licences=DATA_LICENCES,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        file=f"{name}.onnx",
        golden_sha256=file_sha256((out / f"{name}.golden.npz").read_bytes()),
    )
    write_atomically(out / f"{name}.onnx", model)
    card.write(out / f"{name}.card.json")
    with open_session(out / f"{name}.card.json", backend="onnxruntime", precision="fp32", threads=1) as session:
        compared = verify(session, golden)
    if not compared.passed:
        raise EngineMismatch(f"ONNX differs from PyTorch: {compared.refusal()}", "this is a bug in train/export.py")
    return card
