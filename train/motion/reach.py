"""How far GRID's talkers move each part of the mouth, and what a few seconds of their own speech are worth.

    python -m train.motion.reach [--clips 4] [--lookahead-ms 80]

Where TYPICAL_REACH (engines/motion/reach.py) comes from. Each talker's clips are divided into groups of `clips`, as one
might film oneself: factors learned from a group are judged on the talker's other clips, beside no factors at all and
those of most people, which for a train talker come from the other train talkers alone. The encoder was taught on the
train talkers (r .95), never on s5 (.85).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from engines.encoder import Encoder, open_encoder
from engines.errors import VoxcamError
from engines.motion.reach import MOUTH, OPEN, TYPICAL_REACH, apart, fit_reach, is_spoken
from engines.shaper import Shaper
from engines.spec import SPEC, SPEECH_CHANNELS
from train.motion.heard import hear, shaped_motion
from train.motion.score_motion import Take, pictures_of, slope_of, takes, talker_offsets

MOST_CLIPS = 24  # of a talker


@dataclass(frozen=True, slots=True)
class Seen:
    """One clip's mouth, pictures in a row: as the encoder says it, with a reach of 1, and as it was."""

    heard: np.ndarray  # (75, 11)
    truth: np.ndarray  # (75, 11)
    words: np.ndarray  # (75,)


def bare_shaper(lookahead_ms: int) -> Shaper:
    """The laws alone, and each channel as far as the encoder says."""
    return Shaper(SPEC, lookahead_ms, idle=False, emotion="off", reach=np.ones(MOUTH))


def listen(encoder: Encoder, found: Sequence[Take], lookahead_ms: int = 80) -> list[Seen]:
    """What the encoder says of clips, without the reach of most people."""
    plain, clips = bare_shaper(lookahead_ms), []
    for take in found:
        motion = shaped_motion(hear(encoder, take.sound), lookahead_ms, plain)
        clips.append(Seen(pictures_of(motion)[:, :MOUTH], take.truth[:, :MOUTH], take.words))
    return clips


def reach_of(clips: Sequence[Seen], **options: float) -> np.ndarray:
    """Factors (11,) from clips that may be thought of as one."""
    heard = np.concatenate([clip.heard for clip in clips])
    spoken = is_spoken(heard)
    return fit_reach(heard[spoken], np.concatenate([clip.truth for clip in clips])[spoken], **options)


def typical_of(reaches: Sequence[np.ndarray]) -> np.ndarray:
    """What fits most of these people, the opening's own factor left at 1, both corners alike, both gaps alike."""
    mean = np.exp(np.mean(np.log(reaches), 0))
    mean = mean / mean[OPEN]
    for same in (("jawOpen", "mouthOpenSide"), ("mouthSmileLeft", "mouthSmileRight")):
        places = [SPEECH_CHANNELS.index(name) for name in same]
        mean[places] = mean[places].mean()
    return mean


def judge(clips: Sequence[Seen], factors: np.ndarray) -> tuple[float, float]:
    """Distance of heard and true mouths as a share of the true ones' motion, and the opening's slope in words."""
    moved = [clip.heard * factors for clip in clips]
    distance = np.mean([apart(course, clip.truth) for course, clip in zip(moved, clips, strict=True)])
    return float(distance), slope_of([course[:, OPEN] for course in moved], clips)


def judge_own(clips: Sequence[Seen], each: int) -> tuple[float, float]:
    """The same with factors from `each` clips in a row, on all others; mean over the groups."""
    found = []
    for first in range(0, len(clips) - each + 1, each):
        others = [*clips[:first], *clips[first + each :]]
        found.append(judge(others, reach_of(clips[first : first + each])))
    distance, slope = np.mean(found, 0)
    return float(distance), float(slope)


def main(
    data_root: Annotated[Path, typer.Option(envvar="VOXCAM_DATA")],
    cache: Annotated[Path, typer.Option(envvar="VOXCAM_CACHE")],
    landmarks: Annotated[Path | None, typer.Option(help="CACHE/landmarks when not given.")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Three-second clips that a person films of themselves.")] = 4,
    lookahead_ms: Annotated[int, typer.Option()] = 80,
) -> None:
    """A table of talkers, and the factors that fit most of them."""

    points = landmarks or cache / "landmarks"
    people: dict[tuple[str, str], list[Seen]] = {}
    with open_encoder() as encoder:
        for split in ("train", "val"):
            found = takes(data_root, points, talker_offsets(cache), split)
            for talker in sorted({take.clip.speaker for take in found}):
                own = [take for take in found if take.clip.speaker == talker]
                some = np.unique(np.linspace(0, len(own) - 1, min(len(own), MOST_CLIPS)).astype(int))
                people[split, talker] = listen(encoder, [own[k] for k in some], lookahead_ms)
    reaches = {who: reach_of(seen, towards=0.0) for who, seen in people.items() if who[0] == "train"}
    print("| talker | clips | opening's factor | apart: as said | most people's | own | slope: as said | own |")
    print("|---|---|---|---|---|---|---|---|")
    for who, seen in people.items():
        usual = typical_of([reach for other, reach in reaches.items() if other[1] != who[1]])
        rows = judge(seen, np.ones(MOUTH)), judge(seen, usual), judge_own(seen, clips)
        numbers = [reach_of(seen)[OPEN], *(row[0] for row in rows), rows[0][1], rows[2][1]]
        print(f"| {who[1]}, {who[0]} | {len(seen)} | " + " | ".join(f"{number:.2f}" for number in numbers) + " |")
    print("most people's:", ", ".join(f"{x:.2f}" for x in typical_of(list(reaches.values()))))
    print("at work:      ", ", ".join(f"{x:.2f}" for x in TYPICAL_REACH))


if __name__ == "__main__":
    try:
        typer.run(main)
    except VoxcamError as error:
        raise SystemExit(f"voxcam: {error}") from None
