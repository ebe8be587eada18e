"""How near generators come to rendered people whom no run has seen: what a choice between runs is made on.

    python -m train.data.render_heads RENDERER heads_held --people 20 --first-seed 3000
    python -m train.face.held_heads heads_held engines/weights/generator.onnx runs/other/generator.safetensors

Distance as training reckons it (train/face/train_generator.py, `loss_of`), mean over batches of the drawn mouths, in
changed light and place; the closed form beside. Real talkers left out of a run can't judge one that began from networks
that had seen them: it forgets them as it learns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from engines.errors import InputError, VoxcamError
from engines.generator import Generator
from train.face.generator_data import head_samples, write_portrait
from train.face.train_generator import Learner, Plan, Samples, compose, loss_of, scales_of, textures

DRAWN = {"held": (4, 8)}  # of a batch: people, pictures of each
BATCHES = 24


def samples_of(heads: Path, folder: Path) -> Samples:
    """Samples of all people in a folder of rendered heads, written into `folder`; InputError where there are none."""
    generator = Generator()
    for head in sorted(heads.glob("[0-9]*.npz")):
        made = head_samples(head, generator)
        if made is not None:
            write_portrait(folder / f"held_{head.stem}.npz", *made)
    if not any(folder.glob("held_*.npz")):
        raise InputError(f"{heads} holds no rendered heads", "python -m train.data.render_heads")
    return Samples(folder, ("held",))


def distances(samples: Samples, landmarks: Path, networks: Sequence[Path]) -> Iterator[tuple[str, float]]:
    """Name and mean distance of the closed form and of each generator (a checkpoint or a generator.onnx)."""
    batches = [samples.batch(step, DRAWN) for step in range(BATCHES)]
    yield "closed form", float(np.mean([float(loss_of(batch["drawn"], batch)) for batch in batches]))
    scales = scales_of(landmarks)
    for path in networks:
        learner = Learner(scales, Plan(1))
        learner.begin(path)
        encoder, decoder = learner.encoder.eval(), learner.decoder.eval()
        with torch.no_grad():
            found = [float(loss_of(compose(b, *textures(encoder, decoder, b)), b)) for b in batches]
        yield str(path), float(np.mean(found))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.face.held_heads", description=__doc__.split("\n\n")[0])
    parser.add_argument("heads", type=Path, help="folder of rendered heads that no run saw")
    parser.add_argument("generators", type=Path, nargs="+", help="checkpoints, or generator.onnx files")
    parser.add_argument("--landmarks", type=Path, default=Path(os.environ.get("VOXCAM_CACHE", "cache")) / "landmarks")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, distance in distances(
                samples_of(options.heads, Path(folder)), options.landmarks, options.generators
            ):
                print(f"{name} | {distance:.2f}")
    except VoxcamError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
