"""Weights on the way from one leg's end to the next one's: what the next one learned, with less of what it cost.

    python -m train.speech.between runs/cries/last.safetensors runs/microphones/last.safetensors \\
        --share 0.7 --out runs/between/last.safetensors

The mean of two fine-tunings of one network is often better than both, as they lie in one basin (Wortsman et al., Robust
fine-tuning of zero-shot models, CVPR 2022). A run can go on from such a checkpoint with `--begin`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engines.errors import InputError, VoxcamError
from train import checkpoint

PARTS = ("average.", "model.")


def between(first: Path, second: Path, share: float, out: Path) -> int:
    """Write the second checkpoint with `share` of its weights and the rest of the first's; returns how many tensors.

    What is no weight (state, optimiser, facts) is the second's. InputError for networks of two forms.
    """
    before, _ = checkpoint.load(first, "config", "step")
    tensors, facts = checkpoint.load(second, "config", "step")
    weights = [name for name, value in tensors.items() if name.startswith(PARTS) and value.is_floating_point()]
    for name in weights:
        if name not in before or before[name].shape != tensors[name].shape:
            raise InputError(f"{first} and {second} hold networks of two forms", "give two legs of one config")
        tensors[name] = before[name].lerp(tensors[name], share)
    checkpoint.save(out, tensors, facts)
    return len(weights)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.speech.between", description=__doc__.split("\n\n")[0])
    parser.add_argument("first", type=Path, help="checkpoint of the leg before")
    parser.add_argument("second", type=Path, help="checkpoint of the leg that began from it")
    parser.add_argument("--share", type=float, default=0.5, help="of the way to the second, 0 to 1")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    options = parser.parse_args(arguments)
    if not 0 <= options.share <= 1:
        parser.error(f"a share of {options.share:g} is not between 0 and 1")
    try:
        count = between(options.first, options.second, options.share, options.out)
    except VoxcamError as error:
        parser.error(str(error))
    print(f"{options.out}: {count} tensors")


if __name__ == "__main__":
    main()
