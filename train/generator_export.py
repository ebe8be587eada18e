"""A checkpoint of the generator -> portrait_encoder.onnx and generator.onnx, each with card and golden stream."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engines.card import EngineCard, TensorSpec, file_sha256, write_atomically
from engines.errors import EngineMismatch
from engines.golden import Golden, verify
from engines.opening import open_session
from engines.spec import SPEC
from train.export import OPSET, commit_of
from train.generator import PortraitEncoder
from train.train_generator import trained

DATA_LICENCES = {
    "GRID audio-visual sentences": "CC BY 4.0, M. Cooke, J. Barker, S. Cunningham, X. Shao, JASA 120(5), 2006",
    "Face Research Lab London Set": "CC BY 4.0, L. DeBruine, B. Jones, 2017, doi 10.6084/m9.figshare.5047666.v5",
    "rendered heads": "ICT-FaceKit (MIT), MakeHuman skins, hair and clothes (CC0), environment maps (CC0)",
}
INNER_SHARE = 0.5  # of the light between the lips: all of it scores more on GRID, but stains teeth in sharp portraits
ENCODER_OUTPUTS, DECODER_OUTPUTS = ("features", "vector"), ("displacement", "skin", "interior")


def onnx_bytes(module: nn.Module, inputs: dict[str, torch.Tensor], outputs: tuple[str, ...]) -> bytes:
    """One graph with fixed shapes, checked and cleaned."""
    import onnx

    program = torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=list(outputs),
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
def write(
    name: str,
    module: nn.Module,
    steps: list[dict[str, np.ndarray]],
    outputs: tuple[str, ...],
    out: Path,
    metrics: dict,
) -> EngineCard:
    """NAME.onnx, card and golden stream; each step's inputs are (1, ...) float32."""
    module = module.to(memory_format=torch.contiguous_format).eval()
    rows: dict[str, list[np.ndarray]] = {key: [] for key in outputs}
    for step in steps:
        made = module(*(torch.from_numpy(value) for value in step.values()))
        for key, value in zip(outputs, made, strict=True):
            rows[key].append(value.numpy().copy())
    golden = Golden(
        {key: np.stack([step[key] for step in steps]) for key in steps[0]},
        {key: np.stack(values) for key, values in rows.items()},
    )
    model = onnx_bytes(module, {key: torch.from_numpy(value) for key, value in steps[0].items()}, outputs)
    out.mkdir(parents=True, exist_ok=True)
    golden.write(out / f"{name}.golden.npz")
    card = EngineCard(
        name=name,
        sha256=file_sha256(model),
        spec=SPEC,
        inputs={key: TensorSpec(value.shape) for key, value in steps[0].items()},
        outputs={key: TensorSpec(value.shape[1:]) for key, value in golden.outputs.items()},
        opset=OPSET,
        commit=commit_of(Path(__file__).parent),
        metrics=metrics,
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
        raise EngineMismatch(f"ONNX differs from PyTorch: {compared.refusal()}", "this is a bug in the export")
    return card


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
