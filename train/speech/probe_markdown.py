"""The report of `voxcam train probe` as Markdown, JSON and figures: docs/reports/stage1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engines.errors import InputError
from engines.spec import SPEC
from engines.whole_file import write_atomically
from train.reports import LOOKAHEADS, markdown_table

if TYPE_CHECKING:
    from train.speech.probe import Swap


def read_report(out: Path) -> dict:
    """The report that lies in `out`, or nothing; InputError where it is damaged."""
    path = out / "report.json"
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error})", "remove it, or give --other again") from error


def write_report(report: dict, out: Path) -> None:
    """Write README.md, report.json and phones_against_snr.png into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "report.json", json.dumps(report, indent=1).encode())
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
    words = report["speaker from the true phones"]
    parts.append(
        f"The words alone, as shares of the true phones in a clip, tell who speaks in {words['linear']:.3f} "
        f"({words['mlp']:.3f}) of the clips (chance {words['chance']:.3f}): each set has its own sentences.\n"
    )
    levels = report["SNR from the levels of whole clips, R2"]
    parts.append(
        f"The SNR, read from the levels of the whole clip, its end included, by boosted trees: R2 {levels:.3f}. Much "
        "of the noise comes and goes, and what has not been heard yet can't be told.\n"
    )
    parts.append("How far the best factor is above the second best, as a share of what it is above chance:\n")
    parts.append(markdown_table(("label", "gap"), report["gaps"].items()))
    if "swap" in report:
        parts.append("## Swap\n\nContent of A with the noise of B (another clip under a strange noise), decoded:\n")
        parts.append(markdown_table(("decoded log-mel is", "share of pairs"), report["swap"].items()))
        parts.append("![log-mels of three swaps](swaps.jpg)\n")
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
    write_atomically(out / "README.md", "\n".join(parts).encode())


def draw_swaps(swaps: Sequence[Swap], path: Path) -> None:
    """A picture of log-mels, a row for each swap."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = ("A", "B with noise", "A with the noise of B, decoded", "A truly in that noise")
    figure, axes = pyplot.subplots(
        len(swaps), 4, figsize=(12, 1.9 * len(swaps)), sharex=True, sharey=True, squeeze=False
    )
    for row, swap in zip(axes, swaps, strict=True):
        for axis, mel in zip(row, (swap.clean, swap.other, swap.decoded, swap.mixture), strict=True):
            axis.imshow(mel.reshape(-1, SPEC.mel_bands).T, origin="lower", aspect="auto", vmin=-2, vmax=2, cmap="magma")
        row[0].set_ylabel("mel band")
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("hops of 10 ms")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


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
