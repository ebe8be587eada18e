"""Reports of training as Markdown, JSON and figures: docs/reports/stage1 and docs/reports/motion."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from engines.spec import SPEC
from train.shards import write_whole

LOOKAHEADS = [f"{ms} ms" for ms in SPEC.lookaheads_ms]


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; floats get three decimals below 10."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
        return str(value)

    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def bar(value: float, least: float) -> str:
    """'0.84' or '0.80 (wanted 0.84)'."""
    return f"{value:.3f}" if value >= least else f"{value:.3f} (wanted {least:g})"


# Least values wanted on unseen people; 0, 40, 80 ms
MOTION_BARS = {"clean": (0.81, 0.83, 0.84), "10 dB": (0.77, 0.79, 0.81), "0 dB": (0.72, 0.74, 0.76)}
WHOLE_BARS = (0.83, 0.85, 0.86)


def write_motion(report: dict, out: Path) -> None:
    """Write README.md, report.json and r_against_snr.png into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "report.json", json.dumps(report, indent=1).encode())
    _motion_figure(report, out / "r_against_snr.png")
    parts = [
        "# Motion from sound\n",
        "`voxcam train score motion`. Truth is FaceMesh on GRID val, raw; a picture's guess is known once the picture "
        "has ended and the lookahead has passed; r is Pearson's, at lag 0, per clip, mean. "
        f"Unseen: talker s5, {report['clips']['unseen']} clips, in no training set. Seen: talker s1, "
        f"{report['clips']['seen']} clips with other sentences. Noises are of classes and recordings not trained on. "
        f"The encoder was taught {report['checkpoint_steps']} steps.\n",
        "## Opening of the lips, in words\n",
    ]
    for people in ("unseen", "seen"):
        rows = []
        for condition, values in report[f"{people}: opening in words"].items():
            bars = MOTION_BARS.get(condition) if people == "unseen" else None
            rows.append(
                [condition, *(bar(v, b) for v, b in zip(values, bars, strict=True))] if bars else [condition, *values]
            )
        whole = report[f"{people}: whole clip, clean"]
        shown = [bar(v, b) for v, b in zip(whole, WHOLE_BARS, strict=True)] if people == "unseen" else whole
        rows.append(["whole clip, clean", *shown])
        parts += [f"{people.capitalize()}:\n", markdown_table(("sound", *LOOKAHEADS), rows)]
    parts += ["![r against SNR](r_against_snr.png)\n", "Beside it, without a network (unseen, in words):\n"]
    base = report["unseen: baselines"]
    conditions = list(next(iter(base.values())))
    parts.append(markdown_table(("driver", *conditions), ([name, *row.values()] for name, row in base.items())))
    parts.append(
        "The labeller, which hears the whole sentence and the teacher's features, whole clip, clean: "
        + ", ".join(f"{talker} {value:.3f}" for talker, value in report["labeller, not causal, whole clip"].items())
        + ".\n"
    )
    parts.append("## Shape of the motion\n")
    rows = []
    for people in ("unseen", "seen"):
        rows.append([f"{people}: slope of opening against the truth", *report[f"{people}: slope of opening"]])
        rows.append(
            [f"{people}: deviation against the truth's", *report[f"{people}: deviation of opening against the truth's"]]
        )
        truth = report[f"{people}: closed at p, b, m, truth"]
        rows.append(
            [f"{people}: closed within 40 ms of p, b, m (truth {truth:.3f})", *report[f"{people}: closed at p, b, m"]]
        )
        rows.append([f"{people}: jitter against the truth's", *report[f"{people}: jitter against the truth's"]])
    parts.append(markdown_table(("", *LOOKAHEADS), rows))
    parts.append("Every channel in words, clean, 80 ms:\n")
    unseen, seen = (report[f"{people}: channels in words, 80 ms"] for people in ("unseen", "seen"))
    parts.append(
        markdown_table(
            ("channel", "r unseen", "slope unseen", "r seen", "slope seen"),
            ([name, row["r"], row["slope"], seen[name]["r"], seen[name]["slope"]] for name, row in unseen.items()),
        )
    )
    parts.append("## Mouth at rest when nobody speaks (share of codes)\n")
    rest = {name: row for name, row in report["rest"].items() if name != "by class, speech level"}
    parts.append(markdown_table(("sound", *LOOKAHEADS), ([name, *row] for name, row in rest.items())))
    by_class = report["rest"]["by class, speech level"]
    parts.append(markdown_table(("class", *LOOKAHEADS), ([name, *row] for name, row in by_class.items())))
    for people in ("unseen", "seen"):
        truth, guess = (
            report[f"{people}: truth open in words, in silence"],
            report[f"{people}: guess open in words, in silence, 80 ms"],
        )
        parts.append(
            f"{people.capitalize()}: open in {guess[0]:.2f} of pictures in words (truth {truth[0]:.2f}) and "
            f"{guess[1]:.2f} of those in silence (truth {truth[1]:.2f}).\n"
        )
    parts.append("## Moods\n")
    parts.append("EMO-DB's held-out speakers have no pictures: r of opening with the labeller's course.\n")
    moods = report["emotional speech, r with the labeller's opening, 80 ms"]
    parts.append(markdown_table(("emotion", "r"), moods.items()))
    cost = report["cost_ms_a_code"]
    parts.append(
        f"## Cost\n\nONNX Runtime, one thread: p50 {cost['p50']:.3f} ms, p99 {cost['p99']:.3f} ms a code of 20 ms.\n"
    )
    notes = out / "notes.md"
    if notes.is_file():
        parts.append(notes.read_text())
    write_whole(out / "README.md", "\n".join(parts).encode())


def _motion_figure(report: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for axis, people in zip(axes, ("unseen", "seen"), strict=True):
        rows = report[f"{people}: opening in words"]
        names = [name for name in rows if "babble" not in name]
        for row, label in enumerate(LOOKAHEADS):
            axis.plot(names, [rows[name][row] for name in names], marker="o", label=label)
        axis.set_title(f"opening in words, {people}", fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("r")
    axes[0].legend(title="lookahead")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def write_stage1(report: dict, out: Path) -> None:
    """Write README.md, report.json and phones_against_snr.png into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "report.json", json.dumps(report, indent=1).encode())
    _phones_figure(report, out / "phones_against_snr.png")
    parts = [
        "# Stage 1: what each factor tells\n",
        f"`voxcam train probe`, an encoder of {report['steps']} steps. Test voices, noises and emotional speakers are "
        "strangers to it.\n",
        "## Phones from content (40 classes, accuracy a code, lookahead 0 / 40 / 80 ms)\n",
    ]
    for corpus, row in report["phones"].items():
        parts.append(f"{corpus} val, {row['clips']} clips:\n")
        drift = row["content drift (deviations)"]
        parts.append(
            markdown_table(
                ("sound", *LOOKAHEADS, "drift of content (deviations)"),
                ([name, *values, drift.get(name, "")] for name, values in row["accuracy"].items()),
            )
        )
    parts += ["![phones against SNR](phones_against_snr.png)\n", "The teacher, read linearly from clean sound:\n"]
    parts.append(markdown_table(("what", "accuracy"), report["teacher"].items()))
    parts.append("## What is read from which factor (linear reader; small MLP in brackets)\n")
    names = list(next(iter(report["factors"].values())))
    rows = []
    for label, row in report["factors"].items():
        cells = [f"{row[n]['linear']:.3f}" + (f" ({row[n]['mlp']:.3f})" if "mlp" in row[n] else "") for n in names]
        rows.append([label, row[names[0]]["chance"], *cells])
    parts.append(markdown_table(("label", "chance", *names), rows))
    parts.append("How far the best factor is above the second best, as a share of what it is above chance:\n")
    parts.append(markdown_table(("label", "gap"), report["gaps"].items()))
    parts.append("## Swap\n\nContent of A with the noise of B (another clip under a strange noise), decoded:\n")
    parts.append(markdown_table(("decoded log-mel is", "share of pairs"), report["swap"].items()))
    parts.append("## Nobody speaks: share of codes where SIL is likeliest\n")
    silence = report["SIL when nobody speaks, 0 and 80 ms"]
    parts.append(markdown_table(("sound", "0 ms", "80 ms"), ([name, *row] for name, row in silence.items())))
    if report["others"]:
        parts.append("## What each term buys: short runs of equal length\n")
        others = report["others"]
        rows = []
        for label in next(iter(others.values()))["factors"]:
            for factor in ("content", "emotion", "noise", "speaker"):
                rows.append(
                    [f"{label} from {factor}", *(o["factors"][label][factor]["linear"] for o in others.values())]
                )
        for corpus in ("tts", "grid"):
            for condition in ("clean", "0 dB"):
                rows.append(
                    [
                        f"phones {corpus} {condition}, 80 ms",
                        *(o["phones"][corpus]["accuracy"][condition][-1] for o in others.values()),
                    ]
                )
        rows.append(["swap: nearest to the mixture", *(o["swap"]["nearest to the mixture"] for o in others.values())])
        parts.append(markdown_table(("", *(f"{name} ({o['steps']} steps)" for name, o in others.items())), rows))
    notes = out / "notes.md"
    if notes.is_file():
        parts.append(notes.read_text())
    write_whole(out / "README.md", "\n".join(parts).encode())


def _phones_figure(report: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.2), sharey=True)
    for axis, (corpus, row) in zip(axes, report["phones"].items(), strict=True):
        names = list(row["accuracy"])
        for index, label in enumerate(LOOKAHEADS):
            axis.plot(names, [row["accuracy"][name][index] for name in names], marker="o", label=label)
        axis.set_title(f"phones, {corpus} val", fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].legend(title="lookahead")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
