"""How the encoder hears moods, and what `--emotion auto` makes of it.

    python -m train.motion.moods --data-root DATA              # engines/weights/moods.json, for the shipped encoder
    python -m train.motion.moods --data-root DATA --held-out   # and, once, what it shows for people held out

The encoder's moods are taught on actors (EMO-DB). Its logits are calibrated by one scale and seven shifts, fitted by
maximum likelihood on training clips, every mood weighing the same: acted moods, and read speech that shows none (GRID,
LibriSpeech, synthetic voices) as neutral. Then the odds of everyday talk take the place of equal ones (Saerens,
Latinne & Decaestecker 2002). The file holds both, and on how many clips of each corpus and each acted mood `auto`
shows which look: every actor judged by the calibration of the others. The encoder itself has heard them, so that this
is still kind; `--held-out` tells of two actors whom nobody has heard. Run it again for another encoder.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from engines.encoder import Encoder, open_encoder
from engines.motion.expression import EMOTIONS, EXPRESSION_STATE, LOOKS, STRENGTH, WANTED, Emotion, step_expression
from engines.spec import MOTION_CHANNELS, SPEC
from engines.whole_file import write_atomically
from train.data.corpora import Clip, grid, sound_of, speech

# Of talk in calls, in the order of EMOTIONS: a choice, not a measure. A wrong scowl costs more than a wrong smile.
EVERYDAY = np.array([0.62, 0.05, 0.06, 0.05, 0.05, 0.10, 0.07])
SURE = 0.8  # presence from which a code counts
SHOWN = 0.15  # strength of a look that one can see
SECONDS = 12.0
LEAST_CODES = 20
EVERY_CODES = 15
DRAWN = 0.05  # of the mean log-likelihood: what a scale e times too large costs, and twice a shift of 1


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


@dataclass(frozen=True, slots=True)
class Heard:
    """One clip as the encoder heard it."""

    group: str  # "emodb anger", "grid", ...
    speaker: str
    mood: int  # of EMOTIONS; 0 where nobody acted
    logits: np.ndarray  # (K, 7)
    presence: np.ndarray  # (K,)

    def later(self) -> np.ndarray:
        """(n, 7) the mean logits of the speech up to some codes, from a third of it on: what a mood is judged by."""
        sure = self.logits[self.presence > SURE].astype(np.float64)
        if len(sure) < LEAST_CODES:
            sure = self.logits.astype(np.float64)
        means = np.cumsum(sure, 0) / np.arange(1, len(sure) + 1)[:, None]
        return means[len(means) // 3 :: EVERY_CODES]


@dataclass(frozen=True, slots=True)
class Calibration:
    scale: float
    shift: np.ndarray  # (7,), neutral 0, everyday odds in it


def calibrate(clips: list[Heard]) -> Calibration:
    """Scale and shifts of the largest likelihood, every mood weighing the same, drawn a little to 1 and 0."""
    rows = [clip.later() for clip in clips]
    logits = np.concatenate(rows)
    moods = np.concatenate([np.full(len(row), clip.mood) for row, clip in zip(rows, clips, strict=True)])
    weights = np.concatenate([np.full(len(row), 1 / len(row)) for row in rows])
    total = np.array([max(weights[moods == mood].sum(), 1e-9) for mood in range(len(EMOTIONS))])
    weights = weights / total[moods] / len(EMOTIONS)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        scale, shift = np.exp(values[0]), values[1:]
        powers = scale * logits + shift
        powers -= powers.max(1, keepdims=True)
        chance = np.exp(powers)
        chance /= chance.sum(1, keepdims=True)
        right = chance[np.arange(len(moods)), moods]
        wrong = chance.copy()
        wrong[np.arange(len(moods)), moods] -= 1
        wrong *= weights[:, None]
        slope = np.concatenate([[scale * (wrong * logits).sum() + 2 * DRAWN * values[0]], wrong.sum(0) + DRAWN * shift])
        return -(weights * np.log(right + 1e-12)).sum() + DRAWN * (values[0] ** 2 + (shift**2).sum() / 2), slope

    found = minimize(loss, np.zeros(1 + len(EMOTIONS)), jac=True, method="L-BFGS-B").x
    shift = found[1:] + np.log(EVERYDAY)
    return Calibration(float(np.exp(found[0])), shift - shift[0])


def shown_look(clip: Heard, calibration: Calibration) -> str:
    """The look that `auto` shows most in a clip, "none" below SHOWN."""
    state, out = np.zeros(EXPRESSION_STATE), np.zeros(len(MOTION_CHANNELS))
    targets = Emotion(auto=True, look="neutral", strength=0.0).targets()
    targets[0], targets[1:WANTED] = calibration.scale, calibration.shift
    most = np.zeros(len(LOOKS))
    for logits, presence in zip(clip.logits, clip.presence, strict=True):
        step_expression(state, targets, logits, presence, out)
        most = np.maximum(most, state[STRENGTH:])
    return LOOKS[int(most.argmax())] if most.max() > SHOWN else "none"


def table(looks: list[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """(group, look) -> the share of each look in each group, and how many clips it has."""
    groups: dict[str, list[str]] = {}
    for group, look in looks:
        groups.setdefault(group, []).append(look)
    return {
        group: {"clips": len(seen)} | {look: round(seen.count(look) / len(seen), 3) for look in sorted(set(seen))}
        for group, seen in sorted(groups.items())
    }


def hear_clips(encoder: Encoder, data_root: Path, split: str, clips_each: int, seed: int = 0) -> list[Heard]:
    """Every actor's clips of a split, and `clips_each` of every corpus that shows no mood."""
    draw = np.random.default_rng(seed)
    groups: dict[str, list[Clip]] = {}
    for clip in [*grid(data_root / "grid"), *speech(data_root / "speech")]:
        if clip.split == split:
            groups.setdefault(f"{clip.corpus} {clip.emotion or ''}".strip(), []).append(clip)
    heard = []
    for group, clips in sorted(groups.items()):
        chosen = clips if clips[0].emotion else [clips[i] for i in draw.permutation(len(clips))[:clips_each]]
        for clip in chosen:
            mood = EMOTIONS.index(clip.emotion) if clip.emotion else 0
            heard.append(Heard(group, clip.speaker, mood, *listen(encoder, clip)))
        print(split, group, len(chosen), flush=True)
    return heard


def measure(taught: list[Heard], held_out: list[Heard]) -> dict[str, object]:
    """The file's content but for whose encoder it is."""
    calibration = calibrate(taught)
    actors = sorted({clip.speaker for clip in taught if clip.group.startswith("emodb")})
    shown = []
    for actor in actors:
        others = calibrate([clip for clip in taught if clip.speaker != actor])
        shown += [(clip.group, shown_look(clip, others)) for clip in taught if clip.speaker == actor]
    shown += [(clip.group, shown_look(clip, calibration)) for clip in taught if clip.speaker not in actors]
    figures: dict[str, object] = {
        "source": "python -m train.motion.moods",
        "emotions": list(EMOTIONS),
        "logit_scale": round(calibration.scale, 3),
        "log_prior_shift": [round(float(value), 3) for value in calibration.shift],
        "shown, training clips, each actor by the others' calibration": table(shown),
    }
    if held_out:
        figures["shown, people held out"] = table([(c.group, shown_look(c, calibration)) for c in held_out])
    return figures


def main(arguments: list[str] | None = None) -> None:
    """Measure and write; the file is written beside and renamed."""
    parser = argparse.ArgumentParser(prog="python -m train.motion.moods", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--data-root", type=Path, default=os.environ.get("VOXCAM_DATA"), help="folder with grid/, speech/"
    )
    parser.add_argument("--encoder", default="encoder", help="card of the encoder; the shipped one if not given")
    parser.add_argument("--clips", type=int, default=60, help="of each corpus that shows no mood")
    parser.add_argument("--held-out", action="store_true", help="also what is shown for people held out: once")
    parser.add_argument("--out", type=Path, default=Path("engines/weights/moods.json"))
    options = parser.parse_args(arguments)
    if options.data_root is None:
        parser.error("name the data with --data-root or VOXCAM_DATA")
    with open_encoder(options.encoder) as encoder:
        taught = hear_clips(encoder, Path(options.data_root), "train", options.clips)
        held_out = hear_clips(encoder, Path(options.data_root), "val", options.clips) if options.held_out else []
        figures = measure(taught, held_out) | {"encoder_sha256": encoder.session.card.sha256}
    write_atomically(options.out, (json.dumps(figures, indent=1) + "\n").encode())
    print(options.out, figures["logit_scale"], figures["log_prior_shift"])


if __name__ == "__main__":
    main()
