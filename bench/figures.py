"""Figures of the reports, by matplotlib. Each takes rows and a path; nothing is measured here."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.rows import Row
from engines.errors import ConfigError, EngineMismatch, WrongTarget
from engines.whole_file import write_atomically

OURS, OTHERS = ("#0b6e4f", "#1fa97c", "#8fd6bb"), ("#b8b8b8", "#e0a030", "#c0563f", "#6a5acd", "#808080")
BESIDE = ("#1f5fa9", "#a91f8c", "#4a4a4a")  # other encoders beside the first
FORMATS = (".png", ".svg", ".pdf")
STAGE_NAMES = {
    "hop": "hop joins its chunk",
    "encode": "encoder",
    "motion": "shaper",
    "ring_wait": "wait for picture",
    "generate": "draw",
    "compose": "badge",
    "hand_over": "hand-over",
}


def check_plot(path: Path) -> None:
    """Told before a minute of measuring, not after it: ConfigError or WrongTarget where no figure can be written."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"--plot {path.name} has no known ending", f"use one of {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise WrongTarget(f"there is no folder {path.parent}", f"mkdir -p {path.parent}")
    _matplotlib()


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise EngineMismatch("figures are made with matplotlib", 'pip install "voxcam[bench]"') from error
    matplotlib.use("Agg")
    return matplotlib


def _figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple[Any, Any, Any]:
    _matplotlib()
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25}
    )
    figure, axes = pyplot.subplots(rows, columns, figsize=(width, height), layout="constrained")
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
    found, refused = _pick(rows, "calls_per_second"), _pick(rows, "refused")
    pyplot, figure, axes = _figure(8.5, 0.6 + 0.3 * (len(found) + len(refused)))
    for k, row in enumerate(found):
        colour = OTHERS[0] if row["model"] == "yardstick" else OURS[0] if "generator" in row["model"] else OURS[2]
        axes.barh(k, row["value"], color=colour)
        axes.plot([min(row["repeats"]), max(row["repeats"])], [k, k], color="#333333", lw=1.2)
        axes.text(max(row["repeats"]) * 1.08, k, f"{row['value']:,.0f}", va="center", fontsize=8)
    least = min(row["value"] for row in found)
    for k, row in enumerate(refused, len(found)):
        axes.text(least, k, f"refused: {row['note']}", va="center", fontsize=8, color=OTHERS[2])
    labels = [f"{r['model']}  {r['engine']} {r['precision']} x{r['threads']}" for r in (*found, *refused)]
    axes.set_yticks(range(len(labels)), labels)
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
    """r in words and lip distance against SNR, what encoders differ by, openness on noise alone, r by emotion.

    Bars are standard errors over clips. Where several encoders are compared, the longest lookahead alone is shown.
    """
    encoders = list(dict.fromkeys(row["encoder"] for row in rows if row.get("encoder")))
    longest = max((row["lookahead_ms"] for row in rows if row.get("encoder")), default=0)
    if len(encoders) > 1:
        rows = [row for row in rows if row.get("lookahead_ms", longest) == longest]
    panels: list[Callable[[Any, Sequence[Row], dict[str, dict[str, Any]]], None]] = [_mouth_against_snr]
    panels += [_difference_against_snr] if _pick(rows, "difference") else []
    panels += [_lips_against_snr] if any("lip_distance" in row for row in rows) else []
    panels += [_open_on_noise] if _pick(rows, "open_on_noise_alone") else []
    panels += [_mouth_by_emotion] if _pick(rows, "mouth_opening_by_emotion") else []
    columns = min(len(panels), 2 if len(panels) < 5 else 3)
    deep = -(-len(panels) // columns)
    pyplot, figure, axes = _figure(5.5 * columns, 4.1 * deep, columns, deep)
    styles = _styles(list(dict.fromkeys(row["system"] for row in rows if "system" in row)), encoders)
    places = list(np.atleast_1d(axes).ravel())
    for draw, plot in zip(panels, places, strict=False):
        draw(plot, rows, styles)
    for empty in places[len(panels) :]:
        empty.set_axis_off()
    handles = [pyplot.Line2D([], [], lw=6, solid_capstyle="butt", **style) for style in styles.values()]
    figure.legend(
        handles, list(styles), loc="outside lower center", ncols=min(len(styles), 8), fontsize=9, frameon=False
    )
    _save(pyplot, figure, path)


def _styles(systems: Sequence[str], encoders: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and line of each system: ours green by lookahead, other encoders in colours of their own, dashed."""
    styles: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    for system in systems:
        encoder = next((name for name in encoders if system.startswith(f"{name} ")), "")
        k = counts.setdefault(encoder, 0)
        counts[encoder] += 1
        if not encoder:
            styles[system] = {"color": OTHERS[k % len(OTHERS)]}
        elif encoder == encoders[0]:
            styles[system] = {"color": OURS[k % len(OURS)]}
        else:
            styles[system] = {"color": BESIDE[(encoders.index(encoder) - 1) % len(BESIDE)], "ls": "--"}
    return styles


def _snr_axis(plot: Any, rows: Sequence[Row]) -> dict[str, int]:
    places = {snr: k for k, snr in enumerate(dict.fromkeys(row["snr_db"] for row in rows))}
    plot.set_xticks(list(places.values()), [f"{snr} dB" if snr != "clean" else snr for snr in places])
    return places


def _against_snr(plot: Any, rows: Sequence[Row], key: str, styles: dict[str, dict[str, Any]]) -> None:
    places = _snr_axis(plot, rows)
    for system in dict.fromkeys(row["system"] for row in rows):
        own = [row for row in rows if row["system"] == system]
        style = styles[system]
        if len(own) == 1 and len(places) > 1:
            plot.axhline(own[0][key], color=style["color"], ls=":")
            continue
        x, y = [places[row["snr_db"]] for row in own], [row[key] for row in own]
        errors = [row[f"{key}_error"] for row in own]
        plot.errorbar(x, y, errors, marker="o", ms=4, capsize=3, **style)


def _mouth_against_snr(plot: Any, rows: Sequence[Row], styles: dict[str, dict[str, Any]]) -> None:
    found = [row for row in _pick(rows, "mouth_opening") if "r_in_words" in row]
    _against_snr(plot, found, "r_in_words", styles)
    plot.set_ylabel("r of mouth opening in words, lag 0")
    plot.set_ylim(min(-0.1, min(row["r_in_words"] for row in found) - 0.05), 1)
    plot.set_title(f"{found[0]['clips']} clips: the mouth follows speech in noise")


def _difference_against_snr(plot: Any, rows: Sequence[Row], styles: dict[str, dict[str, Any]]) -> None:
    found = _pick(rows, "difference", score="r_in_words")
    places = _snr_axis(plot, found)
    for k, pair in enumerate(dict.fromkeys(row["of"] for row in found)):
        own = [row for row in found if row["of"] == pair]
        x = [places[row["snr_db"]] + 0.08 * k for row in own]
        values, errors = [row["value"] for row in own], [row["value_error"] for row in own]
        plot.errorbar(x, values, errors, color=BESIDE[k % len(BESIDE)], marker="o", ms=4, capsize=3, label=pair)
    plot.axhline(0, color="#333333", lw=0.8)
    plot.set_ylabel("difference of r in words, clip by clip")
    plot.set_title(f"What the encoders differ by, {found[0]['lookahead_ms']} ms")
    plot.legend(fontsize=8)


def _lips_against_snr(plot: Any, rows: Sequence[Row], styles: dict[str, dict[str, Any]]) -> None:
    found = [row for row in _pick(rows, "mouth_opening") if "lip_distance" in row]
    _against_snr(plot, found, "lip_distance", styles)
    plot.set_ylabel("lip landmarks' distance, eye distances")
    plot.set_ylim(bottom=0, top=1.25 * max(row["lip_distance"] for row in found))
    plot.set_title("...and lips stay near the true ones")


def _open_on_noise(plot: Any, rows: Sequence[Row], styles: dict[str, dict[str, Any]]) -> None:
    shares = _pick(rows, "open_on_noise_alone")
    kinds = list(dict.fromkeys(row["noise"] for row in shares))
    if len(kinds) > 6:  # the table has them all
        kinds = [kind for kind in ("babble", "all", "silence") if kind in kinds]
    _grouped_bars(plot, shares, "noise", kinds, styles)
    plot.set_xticklabels(["all noises" if kind == "all" else kind for kind in kinds])
    plot.set_ylabel("share of pictures with an open mouth")
    plot.set_title("...and stay shut on noise alone")


def _mouth_by_emotion(plot: Any, rows: Sequence[Row], styles: dict[str, dict[str, Any]]) -> None:
    found = _pick(rows, "mouth_opening_by_emotion")
    emotions = list(dict.fromkeys(row["emotion"] for row in found))
    counts = {row["emotion"]: row["count"] for row in found}
    _grouped_bars(plot, found, "emotion", emotions, styles)
    labels = [f"{emotion}\n{counts[emotion]} clip{'s' if counts[emotion] > 1 else ''}" for emotion in emotions]
    plot.set_xticklabels(labels, fontsize=8)
    plot.set_ylabel("r of mouth opening")
    plot.set_title("...and by the voice's emotion")


def _grouped_bars(
    plot: Any, rows: Sequence[Row], key: str, groups: Sequence[str], styles: dict[str, dict[str, Any]]
) -> None:
    systems = list(dict.fromkeys(row["system"] for row in rows))
    width = 0.85 / max(1, len(systems))
    for k, system in enumerate(systems):
        own = {row[key]: row for row in rows if row["system"] == system}
        places = np.array([k_group for k_group, group in enumerate(groups) if group in own])
        heights = [own[group]["value"] for group in groups if group in own]
        errors = [own[group]["value_error"] or np.nan for group in groups if group in own]  # NaN: no bar of error
        hatch = "//" if styles[system].get("ls") == "--" else ""
        plot.bar(places + k * width, heights, width, yerr=errors, color=styles[system]["color"], hatch=hatch, capsize=2)
    plot.set_xticks(np.arange(len(groups)) + 0.4)


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


def draw_rewrites(rows: Sequence[Row], path: Path) -> None:
    """Milliseconds of each way to write a thing, one group for each thing; the line is the spread of the repeats."""
    found = sorted(_pick(rows, "rewrite"), key=lambda row: row["what"])
    pyplot, figure, axes = _figure(8.5, 0.6 + 0.28 * len(found))
    things = list(dict.fromkeys(row["what"] for row in found))
    for k, row in enumerate(found):
        axes.barh(k, row["value"], color=OURS[things.index(row["what"]) % len(OURS)])
        axes.plot([min(row["repeats"]), max(row["repeats"])], [k, k], color="#333333", lw=1.2)
        axes.text(max(row["repeats"]) * 1.08, k, f"{row['value']:.3g}", va="center", fontsize=8)
    axes.set_yticks(range(len(found)), [f"{r['what']}: {r['way']}  {r['engine']}" for r in found], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set_xlabel("ms of processor time a call")
    _save(pyplot, figure, path)


def draw_comparison(rows: Sequence[Row], path: Path, first: str, second: str) -> None:
    """Change of each row from the first file to the second; the line through zero is what repeats alone vary by."""
    found = [row for row in rows if np.isfinite(row["change"])]
    pyplot, figure, axes = _figure(10, 1.0 + 0.26 * max(len(found), 1))
    for k, row in enumerate(found):
        band = 100 * row["band"] if np.isfinite(row["band"]) else 0.0
        axes.errorbar(0, k, xerr=band, color="#808080", lw=5, alpha=0.35)
        marker = "o" if np.isfinite(row["band"]) else "x"  # x: measured once, so that noise is not known
        axes.plot(100 * row["change"], k, marker, color=OTHERS[2] if row["clear"] else "#808080", ms=5)
    axes.set_yticks(range(len(found)), [f"{row['measure']}  {row['about']}"[:90] for row in found], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0, color="#333333", lw=0.8)
    axes.set_xlabel(f"change from {first} to {second}, per cent (red: more than the grey noise band; x: measured once)")
    _save(pyplot, figure, path)


DRAW: dict[str, Callable[[Sequence[Row], Path], None]] = {
    "latency": draw_latency,
    "throughput": draw_throughput,
    "resources": draw_resources,
    "scale": draw_scale,
    "robustness": draw_robustness,
    "rewrites": draw_rewrites,
}
