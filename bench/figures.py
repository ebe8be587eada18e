"""Figures of the reports, by matplotlib. Each takes rows and a path; nothing is measured here."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.rows import Row
from engines.card import write_atomically
from engines.errors import EngineMismatch

OURS, OTHERS = ("#0b6e4f", "#1fa97c", "#8fd6bb"), ("#b8b8b8", "#e0a030", "#c0563f", "#6a5acd", "#808080")
STAGE_NAMES = {
    "hop": "hop joins its chunk",
    "encode": "encoder",
    "motion": "shaper",
    "ring_wait": "wait for picture",
    "generate": "draw",
    "compose": "badge",
    "hand_over": "hand-over",
}


def _figure(width: float, height: float, columns: int = 1) -> tuple[Any, Any, Any]:
    try:
        import matplotlib
    except ImportError as error:
        raise EngineMismatch("figures are made with matplotlib", "pip install 'voxcam[bench]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25}
    )
    figure, axes = pyplot.subplots(1, columns, figsize=(width, height), layout="constrained")
    return pyplot, figure, axes


def _save(pyplot: Any, figure: Any, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130, format=path.suffix[1:] or "png")
    pyplot.close(figure)
    write_atomically(path, buffer.getvalue())


def _pick(rows: Sequence[Row], measure: str, **about: Any) -> list[Row]:
    return [r for r in rows if r["measure"] == measure and all(r.get(key) == value for key, value in about.items())]


def draw_latency(rows: Sequence[Row], path: Path) -> None:
    """Left: the stages of a picture one after another; right: both figures by lookahead and picture rate."""
    pyplot, figure, (left, right) = _figure(11, 4.2, 2)
    first = _pick(rows, "newest_sample_age")[0]
    about = {key: first[key] for key in ("lookahead_ms", "picture_rate")}
    at = 0.0
    stages = [name for name in STAGE_NAMES if _pick(rows, f"stage:{name}", **about)]
    for k, name in enumerate(stages):
        row = _pick(rows, f"stage:{name}", **about)[0]
        left.barh(k, row["p50_ms"], left=at, color=OURS[0], height=0.6)
        left.barh(k, max(0, row["p95_ms"] - row["p50_ms"]), left=at + row["p50_ms"], color=OURS[2], height=0.6)
        left.text(at + row["p95_ms"] + 0.3, k, f"{row['p50_ms']:.2f} / {row['p95_ms']:.2f}", va="center", fontsize=8)
        at += row["p50_ms"]
    left.set_yticks(range(len(stages)), [STAGE_NAMES[name] for name in stages])
    left.invert_yaxis()
    left.set_xlabel("ms after the newest sample was captured (p50 dark, to p95 light)")
    left.set_title(f"One picture, lookahead {about['lookahead_ms']} ms, {about['picture_rate']} pictures/s")
    left.margins(x=0.25)
    lookaheads = sorted({row["lookahead_ms"] for row in _pick(rows, "newest_sample_age")})
    rates = sorted({row["picture_rate"] for row in _pick(rows, "newest_sample_age")})
    labels, place = [], 0.0
    for lookahead in lookaheads:
        for rate in rates:
            for offset, measure, colour in ((0, "newest_sample_age", OURS[1]), (0.38, "event_to_picture", OTHERS[1])):
                for row in _pick(rows, measure, lookahead_ms=lookahead, picture_rate=rate):
                    right.bar(place + offset, row["p50_ms"], 0.36, color=colour)
                    right.plot([place + offset] * 2, [row["p50_ms"], row["p99_ms"]], color="#333333", lw=1)
            labels.append((place + 0.19, f"{lookahead} ms\n{rate}/s"))
            place += 1.1
        place += 0.4
    right.set_xticks([x for x, _ in labels], [text for _, text in labels], fontsize=8)
    right.set_ylabel("ms: p50, line to p99")
    right.set_title("Newest-sample age (green), event to picture (yellow)")
    _save(pyplot, figure, path)


def draw_throughput(rows: Sequence[Row], path: Path) -> None:
    """Calls a second, one bar for each model and engine, logarithmic; the line is the spread of the repeats."""
    found = _pick(rows, "calls_per_second")
    pyplot, figure, axes = _figure(8.5, 0.6 + 0.3 * len(found))
    for k, row in enumerate(found):
        colour = OTHERS[0] if row["model"] == "yardstick" else OURS[0] if "generator" in row["model"] else OURS[2]
        axes.barh(k, row["value"], color=colour)
        axes.plot([min(row["repeats"]), max(row["repeats"])], [k, k], color="#333333", lw=1.2)
        axes.text(max(row["repeats"]) * 1.08, k, f"{row['value']:,.0f}", va="center", fontsize=8)
    labels = [f"{row['model']}  {row['engine']} {row['precision']} x{row['threads']}" for row in found]
    axes.set_yticks(range(len(found)), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set_xlabel("pictures or codes a second (yardstick: a plain generator of Wav2Lip's size, grey)")
    _save(pyplot, figure, path)


def draw_resources(rows: Sequence[Row], path: Path) -> None:
    """Left: memory over a live stream; right: what a start is made of."""
    pyplot, figure, (left, right) = _figure(9.5, 3.4, 2)
    for row in _pick(rows, "resident_memory"):
        course = row.get("course_mb", [])
        left.plot(np.arange(len(course)) * 0.25, course, color=OURS[0])
    left.set_ylim(0, 1.3 * max((max(row.get("course_mb", [1])) for row in _pick(rows, "resident_memory")), default=1))
    left.set_xlabel("s live")
    left.set_ylabel("resident memory, MB")
    at = 0.0
    for k, row in enumerate(r for r in _pick(rows, "startup") if r["part"] != "all"):
        right.barh(k, row["value"], left=at, color=OURS[k % 3])
        right.text(at + row["value"] + 0.02, k, f"{row['part']} {row['value']:.2f} s", va="center", fontsize=8)
        at += row["value"]
    right.invert_yaxis()
    right.set_yticks([])
    right.margins(x=0.35)
    right.set_xlabel("s after the start")
    _save(pyplot, figure, path)


def draw_scale(rows: Sequence[Row], path: Path) -> None:
    """What grows and what stays flat: with session length, picture rate and photo size."""
    pyplot, figure, axes = _figure(12, 3.4, 3)
    for plot, axis, key, label in (
        (axes[0], "session", "minutes", "minutes of session"),
        (axes[1], "picture rate", "picture_rate", "pictures a second"),
        (axes[2], "photo", "megapixels", "megapixels of the photo"),
    ):
        found = _pick(rows, "cpu_per_picture", axis=axis)
        x = [row[key] for row in found]
        y = [row["value"] for row in found]
        spread = [
            [value - min(row["repeats"]) for row, value in zip(found, y, strict=True)],
            [max(row["repeats"]) - value for row, value in zip(found, y, strict=True)],
        ]
        plot.errorbar(x, y, spread, color=OURS[0], marker="o", capsize=3, label="processor time a picture, ms")
        plot.set_xlabel(label)
        plot.set_ylim(bottom=0, top=max([*y, 1]) * 1.6)
        if axis == "session":
            other = _pick(rows, "memory_growth", axis=axis)
            twin = plot.twinx()
            twin.plot([row[key] for row in other], [row["value"] for row in other], color=OTHERS[1], marker="s")
            twin.set_ylabel("memory gained, MB", color=OTHERS[1])
            twin.set_ylim(0, max([row["value"] for row in other] + [20]) * 1.6)
            twin.grid(False)
        if axis == "photo":
            other = _pick(rows, "analysis", axis=axis)
            twin = plot.twinx()
            twin.plot([row[key] for row in other], [row["value"] for row in other], color=OTHERS[1], marker="s")
            twin.set_ylabel("analysis, once, s", color=OTHERS[1])
            twin.set_ylim(bottom=0)
            twin.grid(False)
            plot.set_xscale("log")
            plot.set_xticks(x, [f"{value:g}" for value in x])
            plot.minorticks_off()
    axes[0].set_ylabel("processor time a picture, ms")
    _save(pyplot, figure, path)


def draw_robustness(rows: Sequence[Row], path: Path) -> None:
    """Left: r in words against SNR, with standard errors over clips; right: share open on noise alone."""
    pyplot, figure, (left, right) = _figure(11, 4.2, 2)
    found = [row for row in _pick(rows, "mouth_opening") if "r_in_words" in row]
    systems = list(dict.fromkeys(row["system"] for row in found))
    colours = _colours(systems)
    places = {snr: k for k, snr in enumerate(dict.fromkeys(row["snr_db"] for row in found))}
    for system in systems:
        own = [row for row in found if row["system"] == system]
        x = [places[row["snr_db"]] for row in own]
        y = [row["r_in_words"] for row in own]
        if len(own) == 1:
            left.axhline(y[0], color=colours[system], ls=":", label=system)
            continue
        errors = [row["r_in_words_error"] for row in own]
        left.errorbar(x, y, errors, color=colours[system], marker="o", ms=4, capsize=3, label=system)
    left.set_xticks(list(places.values()), [f"{snr} dB" if snr != "clean" else snr for snr in places])
    left.set_ylabel("r of mouth opening in words, lag 0")
    left.set_ylim(min(-0.1, min(row["r_in_words"] for row in found) - 0.05), 1)
    left.legend(fontsize=8, loc="lower left", ncols=2)
    left.set_title(f"{found[0]['clips']} clips: the mouth follows speech in noise")
    shares = _pick(rows, "open_on_noise_alone")
    kinds = list(dict.fromkeys(row["noise"] for row in shares))
    if len(kinds) > 6:  # the table has them all
        kinds = [kind for kind in ("babble", "all", "silence") if kind in kinds]
    width = 0.85 / max(1, len({row["system"] for row in shares}))
    for k, system in enumerate(dict.fromkeys(row["system"] for row in shares)):
        by_kind = {row["noise"]: row for row in shares if row["system"] == system}
        heights = [by_kind[kind]["value"] for kind in kinds]
        errors = [by_kind[kind]["value_error"] for kind in kinds]
        right.bar(np.arange(len(kinds)) + k * width, heights, width, yerr=errors, color=colours[system], capsize=2)
    right.set_xticks(np.arange(len(kinds)) + 0.4, ["all noises" if kind == "all" else kind for kind in kinds])
    right.set_ylabel("share of pictures with an open mouth")
    right.set_title("...and stays shut on noise alone")
    _save(pyplot, figure, path)


def _colours(systems: Sequence[str]) -> dict[str, str]:
    ours = [system for system in systems if system not in ("deaf", "loudness", "three bands", "ridge", "still photo")]
    theirs = [system for system in systems if system not in ours]
    return {s: OURS[k % len(OURS)] for k, s in enumerate(ours)} | {s: OTHERS[k] for k, s in enumerate(theirs)}


def draw_engines(rows: Sequence[Row], path: Path) -> None:
    """Calls a second of each engine, one panel a model; the error against the golden stream stands beside the bar."""
    measured = [row for row in rows if row.get("ms")]
    models = list(dict.fromkeys(row["model"] for row in measured))
    most = max(sum(row["model"] == model for row in measured) for model in models)
    pyplot, figure, axes = _figure(4.3 * len(models), 0.9 + 0.38 * most, len(models))
    for plot, model in zip(np.atleast_1d(axes), models, strict=True):
        own = sorted((row for row in measured if row["model"] == model), key=lambda row: -row["per_second"])
        for k, row in enumerate(own):
            colour = OTHERS[0] if model == "yardstick" else OURS[0] if k == 0 else OURS[2]
            plot.barh(k, row["per_second"], color=colour, height=0.65)
            error = f"   error {row['error']:.1g}" if "error" in row else ""
            plot.text(row["per_second"], k, f" {row['per_second']:,.0f}{error}", va="center", fontsize=8)
        plot.set_yticks(range(len(own)), [f"{row['backend']} {row['precision']}" for row in own])
        plot.invert_yaxis()
        plot.set_title(model)
        plot.set_xlabel("calls a second, one core")
        plot.margins(x=0.45)
        plot.grid(axis="y")
    _save(pyplot, figure, path)


DRAW: dict[str, Callable[[Sequence[Row], Path], None]] = {
    "latency": draw_latency,
    "throughput": draw_throughput,
    "resources": draw_resources,
    "scale": draw_scale,
    "robustness": draw_robustness,
}
