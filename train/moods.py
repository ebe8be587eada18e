"""How often the encoder hears a mood where there is none: the prior of `--emotion auto`.

    python -m train.moods --data-root DATA            # engines/weights/moods.json, for the encoder in engines/weights

The encoder's moods are taught on actors (EMO-DB). Over read speech that shows none (GRID, LibriSpeech, synthetic
voices; training clips) its mean posterior q says how it takes calm readers. Adding
log(p / q) to its logits puts the prior p of everyday speech in place of q (Saerens, Latinne & Decaestecker 2002). The
file holds that shift and, for both, how many clips of each corpus and each acted mood `auto` shows a mood on, on
training clips and on people held out. Run it again for another encoder.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np

from engines.encoder import Encoder, open_encoder
from engines.expression import EMOTIONS, EXPRESSION_STATE, LOOKS, STRENGTH, WANTED, step_expression
from engines.spec import MOTION_CHANNELS, SPEC
from train.corpora import Clip, grid, sound_of, speech

# Of talk in calls, in the order of EMOTIONS: a choice, not a measure. A wrong scowl costs more than a wrong smile.
EVERYDAY = np.array([0.62, 0.05, 0.06, 0.05, 0.05, 0.10, 0.07])
SURE = 0.8  # presence from which a code counts
SHOWN = 0.15  # strength of a look that one can see
SECONDS = 12.0


def listen(encoder: Encoder, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Mood logits (K, 7) and presence (K,) of the first seconds of a clip, at the full lookahead."""
    sound = sound_of(clip.sound)[: int(SECONDS * SPEC.sample_rate_hz)]
    state, chunk = encoder.init_state(), SPEC.chunk_samples
    logits, presence = [], []
    for at in range(0, len(sound) - chunk + 1, chunk):
        code, state = encoder.step(sound[at : at + chunk], state)
        logits.append(code.emotion_logits.copy())
        presence.append(float(code.presence[-1, 0]))
    return np.array(logits), np.array(presence)


def shown_look(logits: np.ndarray, presence: np.ndarray, shift: np.ndarray) -> str:
    """The look that `auto` shows most in a clip, "none" below SHOWN."""
    state, out = np.zeros(EXPRESSION_STATE), np.zeros(len(MOTION_CHANNELS))
    targets = np.zeros(WANTED + len(LOOKS))
    targets[0], targets[1:WANTED] = 1, shift
    most = np.zeros(len(LOOKS))
    for k in range(len(logits)):
        step_expression(state, targets, logits[k], presence[k], out)
        most = np.maximum(most, state[STRENGTH:])
    return LOOKS[int(most.argmax())] if most.max() > SHOWN else "none"


def mean_posterior(heard: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(7,) over the codes in which somebody surely speaks, each clip counted once."""
    means = []
    for logits, presence in heard:
        sure = logits[presence > SURE].astype(np.float64)
        if len(sure):
            weights = np.exp(sure - sure.max(1, keepdims=True))
            means.append((weights / weights.sum(1, keepdims=True)).mean(0))
    return np.mean(means, 0)


def measure(encoder: Encoder, data_root: Path, clips_each: int, seed: int = 0) -> dict[str, object]:
    """The file's content."""
    draw = np.random.default_rng(seed)
    groups: dict[str, list[Clip]] = {}
    for clip in [*grid(data_root / "grid"), *speech(data_root / "speech")]:
        name = f"{clip.corpus} {clip.emotion or ''}".strip()
        groups.setdefault(f"{clip.split} {name}", []).append(clip)
    heard = {}
    for name, clips in sorted(groups.items()):
        chosen = [clips[i] for i in draw.permutation(len(clips))[:clips_each]]
        heard[name] = [listen(encoder, clip) for clip in chosen]
        print(name, len(chosen), flush=True)
    calm = {
        name: mean_posterior(rows) for name, rows in heard.items() if name.split()[0] == "train" and "emodb" not in name
    }
    mean = np.mean(list(calm.values()), 0)
    shift = np.log(EVERYDAY / mean)
    shift -= shift[0]

    def looks(given: np.ndarray) -> dict[str, dict[str, float]]:
        table: dict[str, dict[str, float]] = {}
        for name, rows in heard.items():
            seen = [shown_look(logits, presence, given) for logits, presence in rows]
            table[name] = {look: round(seen.count(look) / len(seen), 3) for look in sorted(set(seen))}
        return table

    return {
        "source": "python -m train.moods",
        "encoder_sha256": encoder.session.card.sha256,
        "emotions": list(EMOTIONS),
        "log_prior_shift": [round(float(v), 3) for v in shift],
        "mean_posterior": {name: [round(float(v), 3) for v in row] for name, row in calm.items()},
        "shown": looks(shift),
        "shown_without": looks(np.zeros(len(EMOTIONS))),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write; the file is written beside and renamed."""
    parser = argparse.ArgumentParser(prog="python -m train.moods", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--data-root", type=Path, default=os.environ.get("VOXCAM_DATA"), help="folder with grid/, speech/"
    )
    parser.add_argument("--encoder", default="encoder", help="card of the encoder; the shipped one if not given")
    parser.add_argument("--clips", type=int, default=40, help="of each corpus and acted mood")
    parser.add_argument("--out", type=Path, default=Path("engines/weights/moods.json"))
    options = parser.parse_args(arguments)
    if options.data_root is None:
        parser.error("name the data with --data-root or VOXCAM_DATA")
    with open_encoder(options.encoder) as encoder:
        figures = measure(encoder, Path(options.data_root), options.clips)
    beside = options.out.with_suffix(".part")
    beside.write_text(json.dumps(figures, indent=1) + "\n")
    beside.replace(options.out)
    print(options.out, figures["log_prior_shift"])


if __name__ == "__main__":
    main()
