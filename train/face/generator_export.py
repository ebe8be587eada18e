"""A checkpoint of the generator -> portrait_encoder.onnx and generator.onnx, each with card and golden stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from engines.card import EngineCard, TensorSpec
from engines.golden import Golden
from train.face.generator import PortraitEncoder
from train.face.train_generator import trained
from train.onnx_export import graph_bytes, write_model

DATA_LICENCES = {
    "GRID audio-visual sentences": "CC BY 4.0, M. Cooke, J. Barker, S. Cunningham, X. Shao, JASA 120(5), 2006",
    "Face Research Lab London Set": "CC BY 4.0, L. DeBruine, B. Jones, 2017, doi 10.6084/m9.figshare.5047666.v5",
    "rendered heads": "ICT-FaceKit (MIT), MakeHuman skins, hair and clothes (CC0), environment maps (CC0)",
}
INNER_SHARE = 0.75  # of the light between the lips: GRID's mouths are dimmer than those of sharp portraits may be
ENCODER_OUTPUTS, DECODER_OUTPUTS = ("features", "vector"), ("skin", "interior")


@torch.no_grad()
def write(
    name: str,
    module: nn.Module,
    steps: list[dict[str, np.ndarray]],
    outputs: tuple[str, ...],
    out: Path,
    metrics: dict,
) -> EngineCard:
    """NAME.onnx, card and golden stream; each step's inputs are (1, ...) float32."""
    module = module.to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    rows: dict[str, list[np.ndarray]] = {key: [] for key in outputs}
    for step in steps:
        made = module(*(torch.from_numpy(value) for value in step.values()))
        for key, value in zip(outputs, made, strict=True):
            rows[key].append(value.numpy().copy())
    golden = Golden(
        {key: np.stack([step[key] for step in steps]) for key in steps[0]},
        {key: np.stack(values) for key, values in rows.items()},
    )
    model = graph_bytes(module, {key: torch.from_numpy(value) for key, value in steps[0].items()}, outputs)
    inputs = {key: TensorSpec(value.shape) for key, value in steps[0].items()}
    made_of = {key: TensorSpec(value.shape[1:]) for key, value in golden.outputs.items()}
    return write_model(name, model, golden, inputs, made_of, out, metrics, DATA_LICENCES)


def golden_inputs(folder: Path, encoder: PortraitEncoder, steps: int = 6) -> tuple[list[dict], list[dict]]:
    """Encoder and decoder inputs of a few prepared portraits and their codes; faces are in no file but as features."""
    encoder_steps, decoder_steps = [], []
    paths = sorted(folder.glob("head_*.npz"))[:2] or sorted(folder.glob("*.npz"))[:2]
    for path in paths:
        with np.load(path) as stored:
            inputs = {
                "crop": (stored["crop"].transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32),
                "shape": stored["shape"][None].astype(np.float32),
                "tones": stored["tones"][None].astype(np.float32),
            }
            codes = stored["code"]
        encoder_steps.append(inputs)
        with torch.no_grad():
            features, vector = encoder(*(torch.from_numpy(value) for value in inputs.values()))
        for code in codes[: steps // len(paths)]:
            decoder_steps.append({"code": code[None], "features": features.numpy(), "vector": vector.numpy()})
    return encoder_steps, decoder_steps


def export(run: Path, out: Path, metrics: dict | None = None) -> None:
    """Write both graphs of a training run into `out`."""
    encoder, decoder, facts = trained(run)
    decoder.inner_share = INNER_SHARE
    encoder_steps, decoder_steps = golden_inputs(run / "samples", encoder)
    figures = (metrics or {}) | {"steps": facts["step"]}
    write("portrait_encoder", encoder, encoder_steps, ENCODER_OUTPUTS, out, figures)
    write("generator", decoder, decoder_steps, DECODER_OUTPUTS, out, figures)
