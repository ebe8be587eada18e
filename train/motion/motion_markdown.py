"""docs/reports/motion as Markdown and figures, from the parts of train/motion/motion_report.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from engines.spec import SPEC
from engines.whole_file import write_atomically
from train.motion.heard import KINDS
from train.reports import LOOKAHEADS, bar, markdown_table

# Least values wanted on unseen people, 0, 40, 80 ms.
IN_WORDS = {"clean": (0.81, 0.83, 0.84), "10 dB": (0.77, 0.79, 0.81), "0 dB": (0.72, 0.74, 0.76)}
WHOLE_CLIP = (0.83, 0.85, 0.86)
WIDTH = 0.60
CLOSED = 0.95
REST = {"silence": 0.99, "unseen noises, speech level": 0.97, "unseen babble, speech level": 0.85}

BOTH = tuple(f"{kind}, {ms}" for kind in KINDS for ms in LOOKAHEADS)


def write(facts: dict, parts: dict[str, dict], old: list[str], out: Path) -> None:
    """Write README.md and the figures of what has been measured; notes.md beside it is put at the end."""
    clips = facts["clips"]
    text = [
        "# Motion from sound\n",
        "`voxcam train score motion`. Truth is FaceMesh on GRID val, raw; a picture's guess is known once the picture "
        "has ended and the lookahead has passed; r is Pearson's, at lag 0, per clip, mean. "
        f"Unseen: talker s5, {clips['unseen']} clips, in no training set. Seen: talker s1, {clips['seen']} clips with "
        "other sentences. Noises are of classes and recordings not trained on. "
        f'The encoder was taught {facts["steps"]} steps. "Encoder" is its own motion; "shaped" is what a user sees, '
        "after the laws of engines/motion/laws.py, through the exported engine, without idle life and emotion.\n",
    ]
    if old:
        text.append(f"Measured with an earlier encoder or earlier laws: {', '.join(old)}.\n")
    for name, section in SECTIONS.items():
        if name in parts:
            text += section(parts)
    if "opening" in parts:
        figure_snr(parts, out / "r_against_snr.png")
    if "noises" in parts:
        figure_noises(parts["noises"], out / "r_by_noise.png")
    if "channels" in parts:
        figure_channels(parts, out / "r_by_channel.png")
    notes = out / "notes.md"
    if notes.is_file():
        text.append(notes.read_text())
    write_atomically(out / "README.md", "\n".join(text).encode())


def pair(row: dict[str, list[float]], bars: tuple[float, ...] | float | None = None) -> list[str]:
    """Six cells, encoder and shaped at the three lookaheads, each against its bar."""
    least = (bars,) * len(LOOKAHEADS) if isinstance(bars, float) else bars
    return [
        bar(value, wanted) if wanted is not None else f"{value:.3f}"
        for kind in KINDS
        for value, wanted in zip(row[kind], least or (None,) * len(LOOKAHEADS), strict=True)
    ]


def opening(parts: dict) -> list[str]:
    text = ["## Opening of the lips\n"]
    for people, conditions in parts["opening"].items():
        unseen = people == "unseen"
        rows = []
        for condition, kinds in conditions.items():
            in_words = {kind: kinds[kind]["in words"] for kind in KINDS}
            rows.append([f"in words, {condition}", *pair(in_words, IN_WORDS.get(condition) if unseen else None)])
        for condition, kinds in conditions.items():
            whole = {kind: kinds[kind]["whole clip"] for kind in KINDS}
            wanted = WHOLE_CLIP if unseen and condition == "clean" else None
            rows.append([f"whole clip, {condition}", *pair(whole, wanted)])
        text += [f"{people.capitalize()}:\n", markdown_table(("r", *BOTH), rows)]
    return [*text, "![r against SNR](r_against_snr.png)\n"]


def beside(parts: dict) -> list[str]:
    text = ["## Beside it, without a network\n"]
    for people, drivers in parts["beside"].items():
        conditions = list(next(iter(drivers.values())))
        rows = [[name, *(row[c] for c in conditions)] for name, row in drivers.items()]
        text += [f"{people.capitalize()}, r of the opening in words:\n", markdown_table(("driver", *conditions), rows)]
    return text


def labeller(parts: dict) -> list[str]:
    found = parts["labeller"]
    names = ["whole clip", "jawOpen", "mouthStretch", "mouthFunnel", "mouthSmileLeft"]
    return [
        "## The ceiling: the labeller\n",
        "It hears the whole sentence and the teacher's features of clean sound; r, opening over the whole clip, then "
        "channels in words:\n",
        markdown_table(("", *names), ([people, *(row[name] for name in names)] for people, row in found.items())),
    ]


def others(parts: dict) -> list[str]:
    text = ["## Other nets, by the same ruler (unseen talker; 0, 40, 80 ms)\n"]
    names = list(parts["others"])
    rows = []
    for kind in KINDS:
        for row in parts["others"][names[0]][kind]:
            rows.append(
                [
                    f"{row}, {kind}",
                    triple(own_row(parts, kind, row)),
                    *(triple(parts["others"][n][kind][row]) for n in names),
                ]
            )
    head = ("r, or share of codes", "this one", *(f"{n} ({parts['others'][n]['steps']} steps)" for n in names))
    return [*text, markdown_table(head, rows)]


def strangers(parts: dict) -> list[str]:
    found = parts["strangers"]
    names = [name for name in next(iter(found["talkers"].values())) if name != "clips"]
    rows = [[talker, row["clips"], *(triple(row[name]) for name in names)] for talker, row in found["talkers"].items()]
    mean = [[float(np.mean([row[name][k] for row in found["talkers"].values()])) for k in range(3)] for name in names]
    return [
        "## Four more strangers\n",
        f"Talkers of GRID train that a short run of {found['steps']} steps in the same form left out "
        "(train/configs/calibration.toml), judged by that run; r, encoder, 0 / 40 / 80 ms; unheard noises. One unseen "
        "talker is little: this shows how far they differ.\n",
        markdown_table(("talker", "clips", *names), [*rows, ["mean", "", *map(triple, mean)]]),
    ]


def own_row(parts: dict, kind: str, row: str) -> list[float] | None:
    """The judged encoder's figure for a row of `others`, where that part has been measured."""
    what, _, condition = row.rpartition(", ")
    unseen = parts.get("opening", {}).get("unseen", {})
    if what == "opening in words" and condition in unseen:
        return unseen[condition][kind]["in words"]
    if what == "opening, whole clip" and unseen:
        return unseen["clean"][kind]["whole clip"]
    if what == "width in words" and "channels" in parts:
        return parts["channels"]["unseen"]["clean"][kind]["mouthStretch"]["r"]
    if what == "at rest" and "rest" in parts:
        sounds = parts["rest"]["sounds"]
        return sounds["unseen babble, speech level" if "babble" in row else "unseen noises, speech level"][kind]
    return None


def triple(values: list[float] | None) -> str:
    return " / ".join(f"{value:.3f}" for value in values) if values else "not measured"


def noises(parts: dict) -> list[str]:
    rows = []
    for name, row in parts["noises"].items():
        for level in ("10 dB", "0 dB"):
            rows.append([f"{name} ({row['recordings']}), {level}", *pair(row[level])])
    return [
        "## Opening in words by class of noise, unseen talker\n",
        "In brackets how many recordings there are.\n",
        markdown_table(("r", *BOTH), rows),
        "![r by noise](r_by_noise.png)\n",
    ]


def shape(parts: dict) -> list[str]:
    text = ["## Shape of the motion\n"]
    for people, row in parts["shape"].items():
        truth = row["truth"]
        rows = []
        for name in row["encoder"]:
            wanted = CLOSED if people == "unseen" and name == "closed at p, b, m, clean" else None
            rows.append([label(name, truth), *pair({kind: row[kind][name] for kind in KINDS}, wanted)])
        text += [f"{people.capitalize()}:\n", markdown_table(("", *BOTH), rows)]
    return text


def label(name: str, truth: dict[str, float]) -> str:
    """A row's name with what the truth has."""
    if name.startswith("closed"):
        return f"{name}: share below .025 within 40 ms (truth {truth['closed at p, b, m']:.3f})"
    if name.startswith("open in"):
        return f"{name}: share of pictures above .035 (truth {truth[name]:.3f})"
    return f"{name} against the truth's"


def channels(parts: dict) -> list[str]:
    ceiling = parts.get("labeller", {})
    text = ["## Every channel in words, 80 ms\n"]
    for people, conditions in parts["channels"].items():
        rows = []
        for name in SPEC.speech_channels:
            cells: list[object] = [name]
            for condition in conditions:
                for kind in KINDS:
                    r = conditions[condition][kind][name]["r"][-1]
                    width = people == "unseen" and name == "mouthStretch" and condition == "clean"
                    cells.append(bar(r, WIDTH) if width else r)
            cells += [conditions["clean"][kind][name]["slope"][-1] for kind in KINDS]
            cells.append(ceiling[people][name] if people in ceiling else "")
            rows.append(cells)
        head = ["channel", *(f"r {kind}, {condition}" for condition in conditions for kind in KINDS)]
        head += [f"slope {kind}, clean" for kind in KINDS] + ["r labeller, clean"]
        text += [f"{people.capitalize()}:\n", markdown_table(head, rows)]
    return [*text, "All lookaheads are in report.json.\n", "![r by channel](r_by_channel.png)\n"]


def rest(parts: dict) -> list[str]:
    found = parts["rest"]
    return [
        "## Mouth at rest when nobody speaks (share of codes with an opening below .035)\n",
        markdown_table(("sound", *BOTH), ([name, *pair(row, REST.get(name))] for name, row in found["sounds"].items())),
        markdown_table(("class, speech level", *BOTH), ([name, *pair(row)] for name, row in found["classes"].items())),
    ]


def whole_clip(parts: dict) -> list[str]:
    people = parts["whole-clip"] | parts.get("whole-clip-of-strangers", {})
    names = list(next(iter(people.values()))["encoder"])
    r_names, openings = [n for n in names if not n.startswith("opening")], [n for n in names if n.startswith("opening")]
    rows, levels = [], []
    for who, row in people.items():
        for kind in KINDS:
            rows.append([f"{who}, {kind}", *(row[kind][name] for name in r_names)])
            levels.append([f"{who}, {kind}", *(row[kind][name] for name in openings)])
    return [
        "## Where the whole clip's r is lost (clean, 80 ms)\n",
        'r over the whole clip with a part of the guess replaced by the truth. "Rest known": outside words the guess '
        "is the mean course of the talker's other clips, by the time to the word, as if his habit were known.\n",
        markdown_table(("", *r_names), rows),
        "Mean opening, eye distances:\n",
        markdown_table(("", *(name.removeprefix("opening ") for name in openings)), levels),
    ]


def reach(parts: dict) -> list[str]:
    rows = [
        [people, name, numbers["apart"], numbers["slope"]]
        for people, ways in parts["reach"].items()
        for name, numbers in ways.items()
    ]
    return [
        "## How far a person moves the mouth (clean, 80 ms)\n",
        "Distance of heard and true mouth over its eleven channels as a share of the true one's motion, and slope of "
        "the opening in words, by three reaches (engines/motion/reach.py). Own: `voxcam enroll --clip`. `python -m "
        "train.motion.reach` shows ten talkers.\n",
        markdown_table(("people", "mouth's reach", "apart", "slope"), rows),
    ]


def emotions(parts: dict) -> list[str]:
    return [
        "## Moods\n",
        "EMO-DB's held-out speakers have no pictures: r of opening with the labeller's course, whole clip.\n",
        markdown_table(
            ("emotion (clips)", *BOTH),
            ([f"{name} ({row['clips']})", *pair(row)] for name, row in parts["emotions"].items()),
        ),
    ]


def goes_along(found: dict) -> str:
    """A table of what train/motion/goes_along.py judges."""
    rows = []
    for figure in ("not shut", "r"):
        for name, row in found.items():
            rows.append([f"{name}: {figure}", *pair({kind: row[kind][figure] for kind in KINDS})])
    return markdown_table(("", *BOTH), rows)


def lively(parts: dict) -> list[str]:
    clips = next(iter(parts["lively"].values()))["clips"]
    return [
        "## Voices that are not calm\n",
        f"{clips} clips of val speakers of four corpora, retold by a vocoder (train/data/lively.py): raised, drawn "
        "out, sung, growled, whispered, with laughter or cries behind the words. Not shut: share of the codes at which "
        "the label's mouth is open (above .035) with a drawn opening above .005; r of the opening with the label "
        "(GRID's pictures, otherwise the labeller's word), whole stretch. `python -m train.motion.lively FOLDER` "
        "judges recordings.\n",
        goes_along(parts["lively"]),
    ]


def microphones(parts: dict) -> list[str]:
    return [
        "## Microphones, lines and rooms\n",
        "The same clips and figures, behind faults that are written down in train/motion/microphones.py. Each is as "
        "loud as the clip was (-23 dB where it is loud), but for the quieter ones, which are 16-bit microphones not "
        "turned up.\n",
        goes_along(parts["microphones"]),
    ]


def cost(parts: dict) -> list[str]:
    rows = ([name, row["mean"], row["p50"], row["p99"]] for name, row in parts["cost"].items())
    return ["## Cost, ms of one core a code of 20 ms\n", markdown_table(("", "mean", "p50", "p99"), rows)]


SECTIONS: dict[str, Callable[[dict], list[str]]] = {
    "opening": opening,
    "labeller": labeller,
    "beside": beside,
    "others": others,
    "strangers": strangers,
    "noises": noises,
    "shape": shape,
    "channels": channels,
    "rest": rest,
    "whole-clip": whole_clip,
    "reach": reach,
    "emotions": emotions,
    "lively": lively,
    "microphones": microphones,
    "cost": cost,
}


def figure_snr(parts: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6))
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (people, conditions) in zip(axes, parts["opening"].items(), strict=True):
        names = [name for name in conditions if "babble" not in name]
        for row, ms in enumerate(LOOKAHEADS):
            colour = f"C{row}"
            for kind, line in (("encoder", "-"), ("shaped", "--")):
                values = [conditions[name][kind]["in words"][row] for name in names]
                axis.plot(names, values, line, color=colour, marker="o", ms=3, label=f"{kind}, {ms}")
        drivers = parts.get("beside", {}).get(people, {})
        for number, (name, row) in enumerate(drivers.items()):
            shade = str(0.3 + 0.15 * number)
            axis.plot(names, [row[n] for n in names], ":", color=shade, label=name.partition(",")[0].partition(":")[0])
        if people in parts.get("labeller", {}):
            axis.axhline(parts["labeller"][people]["jawOpen"], color="k", lw=0.8, label="labeller, clean")
        axis.set_title(f"opening in words, {people}", fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("r")
    axes[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def figure_noises(found: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4))
    axis = figure.subplots()
    names = list(found)
    bars = [(level, kind) for level in ("10 dB", "0 dB") for kind in KINDS]
    for number, (level, kind) in enumerate(bars):
        places = [i + 0.2 * (number - 1.5) for i in range(len(names))]
        shade = {"encoder": 0.95, "shaped": 0.55}[kind]
        colour = "C0" if level == "10 dB" else "C1"
        axis.bar(
            places,
            [found[n][level][kind][-1] for n in names],
            0.19,
            color=colour,
            alpha=shade,
            label=f"{level}, {kind}",
        )
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axis.set_ylim(0.3, 0.95)
    axis.set_ylabel("r in words, 80 ms")
    axis.grid(axis="y", alpha=0.3)
    axis.legend(fontsize=7, ncol=4, loc="upper center")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def figure_channels(parts: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4))
    axis = figure.subplots()
    names = SPEC.speech_channels
    for number, people in enumerate(("unseen", "seen")):
        clean = parts["channels"][people]["clean"]
        for kind, mark in (("encoder", "o"), ("shaped", "_")):
            values = [clean[kind][name]["r"][-1] for name in names]
            places = [i + 0.12 * (2 * number - 1) for i in range(len(names))]
            axis.plot(places, values, mark, color=f"C{number}", ms=5 if mark == "o" else 12, label=f"{people}, {kind}")
        if people in parts.get("labeller", {}):
            values = [parts["labeller"][people][name] for name in names]
            axis.plot(range(len(names)), values, "^", color=f"C{number}", mfc="none", ms=5, label=f"{people}, labeller")
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axis.set_ylim(-0.2, 1)
    axis.set_ylabel("r in words, clean, 80 ms")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, ncol=2)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
