"""What `voxcam train corpus check` prints: a table of the clips that a loader found."""

from __future__ import annotations

from collections.abc import Sequence

from engines.errors import InputError
from train.data.corpora import Clip, check_sound

FIRST_DAMAGED = 5  # are named


def table(name: str, clips: Sequence[Clip]) -> str:
    """Counts by split: clips, speakers, and how many clips have phones, words, emotion, pictures or a noise class."""
    columns = ("split", "clips", "speakers", "women", "phones", "words", "emotion", "pictures", "noise classes")
    rows: list[tuple[str, ...]] = [columns]
    for split in ("train", "val"):
        part = [clip for clip in clips if clip.split == split]
        rows.append(
            (
                split,
                str(len(part)),
                str(len({clip.speaker for clip in part if clip.speaker})),
                str(len({clip.speaker for clip in part if clip.gender == "f"})),
                *(
                    str(sum(getattr(clip, what) is not None for clip in part))
                    for what in ("phones", "words", "emotion", "pictures")
                ),
                str(len({clip.noise_class for clip in part if clip.noise_class})),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(columns))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    shared = {clip.speaker for clip in clips if clip.split == "train" and clip.speaker} & {
        clip.speaker for clip in clips if clip.split == "val"
    }
    lines.insert(0, f"{name}: {len(clips)} clips")
    if shared:
        lines.append(f"speakers on both sides: {', '.join(sorted(shared))}")
    return "\n".join(lines)


def check_sounds(clips: Sequence[Clip]) -> None:
    """InputError that names the sounds whose head cannot be read, the first FIRST_DAMAGED of them with the cause."""
    found = []
    for sound in dict.fromkeys(clip.sound for clip in clips):
        try:
            check_sound(sound)
        except InputError as error:
            found.append(error.what)
    if found:
        named = "; ".join(found[:FIRST_DAMAGED])
        raise InputError(f"{len(found)} of {len(clips)} sounds cannot be used: {named}", "copy them again")
