"""Whether the mouth goes along when a voice is not calm: raised, drawn out, sung, growled, whispered, laughing.

    python -m train.motion.lively --data-root DATA --cache CACHE [--engine encoder.card.json]
    python -m train.motion.lively FOLDER                     # recordings of voices, whatever they do

Without folders: clips of val speakers, retold (train/data/lively.py), whose labels say when the mouth is open. With
folders there are no labels: the share of sounding time in which the mouth stays shut, and the mood that is heard, by
recording's name (folders of several voices that say the same things have the same names in them).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.encoder import Encoder, open_encoder
from engines.errors import VoxcamError
from engines.motion.expression import EMOTIONS, mood_prior, mood_scale
from engines.spec import SPEC
from train.data.batches import Item, livelier
from train.data.corpora import sound_of
from train.data.lively import KINDS
from train.data.motion_labels import OPEN
from train.data.prepare import softmax
from train.motion.goes_along import AS_RECORDED, SHUT_AT, add_options, judge, line_of, val_clips
from train.motion.heard import hear, shaped_motion

CODES = 150
SOUNDING_DB = 20.0  # below the loudest a recording still sounds
LEAD_IN_S = 0.5


def retold(items: Sequence[Item], kind: str, seed: int) -> list[Item]:
    """Each clip's stretch in this voice, drawn by the seed."""
    return [livelier(item, CODES, np.random.default_rng((seed, k)), kind) for k, item in enumerate(items)]


def judge_all(encoder: Encoder, data_root: Path, cache: Path, seed: int = 7) -> dict[str, dict]:
    """Figures of every voice, and of the clips as they were recorded."""
    items, opening = val_clips(data_root, cache)
    voices = {AS_RECORDED: items} | {kind: retold(items, kind, seed) for kind in KINDS}
    return {kind: judge(encoder, clips, opening) for kind, clips in voices.items()}


@dataclass(frozen=True, slots=True)
class Recording:
    """How a recording is heard, at the full lookahead, over the codes that sound."""

    codes: int
    shut: float  # share of them in which the mouth is shut
    opening: float  # their mean opening
    mood: str  # the likeliest over them all, as `auto` hears it


def listen(encoder: Encoder, sound: np.ndarray) -> Recording:
    """Half a second of near silence, as where a stream begins, then the recording (n,)."""
    lead_in = np.random.default_rng(0).normal(0, 10 ** (-70 / 20), int(LEAD_IN_S * SPEC.sample_rate_hz))
    rows = hear(encoder, np.concatenate([lead_in.astype(np.float32), sound]))
    loud = 20 * np.log10(rows.rms[: rows.codes] + 1e-9)
    sounding = loud > loud.max() - SOUNDING_DB
    course = shaped_motion(rows, SPEC.lookaheads_ms[-1])[:, OPEN][sounding]
    logits = mood_scale() * rows.emotion_logits[: rows.codes][sounding] + mood_prior()
    mood = EMOTIONS[int(softmax(logits).mean(0).argmax())]
    return Recording(len(course), float((course < SHUT_AT).mean()), float(course.mean()), mood)


def say_recordings(encoder: Encoder, folders: Sequence[Path]) -> None:
    """A line for each recording's name, all voices that have it together, and one for all."""
    print("recording | voices | codes that sound | mouth shut | opening | heard as")
    found: dict[str, list[Recording]] = {}
    for path in sorted(path for folder in folders for path in folder.iterdir() if path.is_file()):
        found.setdefault(path.stem, []).append(listen(encoder, sound_of(path)))
    for name, heard in [*found.items(), ("all", [each for rows in found.values() for each in rows])]:
        codes = [each.codes for each in heard]
        shut = np.average([each.shut for each in heard], weights=codes)
        opening = np.average([each.opening for each in heard], weights=codes)
        moods = ", ".join(f"{mood} {count}" for mood, count in Counter(each.mood for each in heard).most_common())
        print(f"{name} | {len(heard)} | {sum(codes)} | {shut:.3f} | {opening:.3f} | {moods}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.motion.lively", description=__doc__.split("\n\n")[0])
    parser.add_argument("folders", type=Path, nargs="*", help="recordings of voices, one folder each")
    add_options(parser)
    options = parser.parse_args(arguments)
    if not options.folders and options.data_root is None:
        parser.error("name folders of recordings, or the data with --data-root or VOXCAM_DATA")
    if missing := [str(folder) for folder in options.folders if not folder.is_dir()]:
        parser.error(f"there is no folder {', '.join(missing)}")
    try:
        with open_encoder(options.engine) as encoder:
            if options.folders:
                say_recordings(encoder, options.folders)
                return
            for kind, row in judge_all(encoder, Path(options.data_root), options.cache).items():
                print(line_of(kind, row))
    except VoxcamError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
