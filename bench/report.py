"""`voxcam bench all` and `voxcam bench report`: everything, and a report that a command can make again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from bench.latency import Progress, algorithmic_delay_ms, measure_latency
from bench.resources import measure_resources
from bench.rig import Rig
from bench.rows import Row, as_report, load_average, machine_line, markdown_table, read_report, write_report
from bench.scale import MEGAPIXELS, MINUTES, PICTURE_RATES, measure_scale
from bench.throughput import measure_throughput
from engines.errors import ConfigError, InputError
from engines.spec import SPEC
from engines.whole_file import write_atomically
from realtime.targets import checked_folder

PARTS = ("latency", "throughput", "resources", "scale", "robustness")
TITLES = {
    "latency": "Latency",
    "throughput": "Throughput",
    "resources": "Resources",
    "scale": "Scale",
    "robustness": "Robustness",
}
COLUMNS = {
    "latency": ("measure", "lookahead_ms", "picture_rate", "p50_ms", "p95_ms", "p99_ms", "max_ms", "count", "spread"),
    "throughput": ("measure", "model", "engine", "precision", "threads", "value", "unit", "spread", "note"),
    "rewrites": ("what", "way", "engine", "value", "unit", "spread"),
    "resources": ("measure", "part", "value", "unit", "spread", "count"),
    "scale": ("measure", "axis", "minutes", "picture_rate", "megapixels", "drawn", "value", "unit", "spread", "count"),
}


@dataclass(frozen=True, slots=True)
class Folders:
    """What robustness is measured on; without clips it is left out. encoders: name -> card; empty: the shipped one."""

    clips: Path | None = None
    noise: Path | None = None
    teach: Path | None = None
    emotional: Path | None = None
    encoders: Mapping[str, str] = field(default_factory=dict)


def measure_parts(
    quick: bool, folders: Folders, progress: Progress, only: tuple[str, ...] = ()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(part, its report), one after another, so that an interruption loses one part alone.

    Quick takes less than three minutes, with robustness on four clips where a folder is named.
    """
    rig = Rig.open()
    makers: dict[str, Callable[[], list[Row]]] = {
        "latency": lambda: measure_latency(
            rig, (0, 80) if quick else (0, 40, 80), (25,) if quick else (25, 30, 60), 12 if quick else 25, progress
        ),
        "throughput": lambda: measure_throughput(rig, repeats=2 if quick else 5, progress=progress),
        "resources": lambda: measure_resources(rig, 6 if quick else 40, repeats=1 if quick else 3, progress=progress),
        "scale": lambda: measure_scale(
            rig,
            (0.5, 1) if quick else MINUTES,
            (0.3, 3) if quick else MEGAPIXELS,
            (25, 60) if quick else PICTURE_RATES,
            repeats=1 if quick else 3,
            progress=progress,
        ),
    }
    if folders.clips is not None:
        makers["robustness"] = lambda: _robustness(folders, quick, progress)
    for name in only or tuple(makers):
        if name not in makers:
            raise ConfigError(f"{name} is measured on clips with pictures", "name their folder: --clips FOLDER")
    for name, make in makers.items():
        if not only or name in only:
            load_before, began = load_average(), time.perf_counter()
            rows = make()
            yield name, as_report(rows, load_before, took_s=round(time.perf_counter() - began, 1))


def _robustness(folders: Folders, quick: bool, progress: Progress) -> list[Row]:
    from bench.clips import TEACHERS, load_clips
    from bench.robustness import SHIPPED, SNRS_DB, measure_robustness

    clips = load_clips(folders.clips or Path(), 4 if quick else 0, progress)
    teachers = load_clips(folders.teach, 8 if quick else TEACHERS, progress) if folders.teach else None
    emotional = load_clips(folders.emotional, 0, progress) if folders.emotional and not quick else None
    return measure_robustness(
        clips,
        (0, 80) if quick else SPEC.lookaheads_ms,
        folders.encoders or SHIPPED,
        folders.noise,
        teachers,
        emotional,
        (10.0, 0.0) if quick else SNRS_DB,
        progress=progress,
    )


def write_bench_report(out: Path, quick: bool, folders: Folders, only: tuple[str, ...], progress: Progress) -> None:
    """README.md, a JSON file and a figure for each part, each written as soon as it is measured.

    Parts that are not made again are taken from their JSON.
    """
    from bench.figures import DRAW, check_plot

    for part in only:
        if part not in PARTS:
            raise ConfigError(f"no part {part!r}", f"choose from {', '.join(PARTS)}")
    checked_folder(out)
    check_plot(out / "figure.png")
    for name, report in measure_parts(quick, folders, progress, only):
        write_report(report, out / f"{name}.json")
        DRAW[name](report["rows"], out / f"{name}.png")
        write_page(out)
        progress(f"{name}: {report['took_s']:.0f} s")


def write_page(out: Path) -> None:
    """README.md from the JSON files that are there; nothing is measured."""
    found = {name: read_report(out / f"{name}.json") for name in PARTS if (out / f"{name}.json").exists()}
    if not found:
        raise InputError(f"{out} holds no results yet", "make them: voxcam bench report")
    write_atomically(out / "README.md", as_markdown(found).encode())


def as_markdown(reports: dict[str, dict[str, Any]]) -> str:
    """The page: the machines that parts were measured on, lettered where there are several, then the parts."""
    machines = list(dict.fromkeys(machine_line(report["machine"]) for report in reports.values()))
    letters = [f" {ascii_uppercase[k]}" if len(machines) > 1 else "" for k in range(len(machines))]
    lines = [
        "# Bench",
        "",
        "Made by `voxcam bench report`. Every figure can be made again by the command under it; the rows behind it, and"
        " the machine and its load at that time, lie beside it as JSON. `spread` is (max - min) / median of the repeats"
        " (for delays, of the medians of five stretches of the stream): a smaller change is noise. Timings that are"
        " compared were taken in turns in one run.",
        "",
        "\n\n".join(line.replace("Machine", f"Machine{of}", 1) for line, of in zip(machines, letters, strict=True)),
    ]
    for name, report in reports.items():
        lines += ["", f"## {TITLES[name]}", "", *_says(name, report["rows"]), ""]
        lines += [f"![{name}]({name}.png)", "", f"`{_command(name, report['rows'])}` {_circumstances(report)}", ""]
        if len(machines) > 1:
            lines[-2] += f" On machine{letters[machines.index(machine_line(report['machine']))]}."
        lines += [tables(name, report["rows"])]
    return "\n".join(lines) + "\n"


def _circumstances(report: dict[str, Any]) -> str:
    """Load before (after, in files of older versions) and how long it took."""
    machine = report["machine"]
    load = machine.get("load_before") or machine.get("load") or ["?"]
    took = f"; measured in {report['took_s']:.0f} s" if "took_s" in report else ""
    return f"Load on the machine {'before' if 'load_before' in machine else 'then'}: {load[0]}{took}."


def _command(name: str, rows: list[Row]) -> str:
    """What makes the figure again."""
    more = " --clips FOLDER --noise FOLDER --teach FOLDER --emotional FOLDER" if name == "robustness" else ""
    encoders = dict.fromkeys(row["encoder"] for row in rows if row.get("encoder"))
    if len(encoders) > 1:
        more += "".join(f" --encoder {encoder}=CARD" for encoder in encoders)
    return f"voxcam bench {name}{more} --json {name}.json --plot {name}.png"


def tables(name: str, rows: list[Row], padded: bool = False) -> str:
    """The rows of one part as Markdown, as the report shows them and as the command prints them."""
    if name != "robustness":
        return markdown_table(rows, [c for c in COLUMNS[name] if any(c in row for row in rows)], None, padded)
    mouth = [row for row in rows if row["measure"] == "mouth_opening"]
    scores = ("r_all", "r_all_error", "r_in_words", "r_in_words_error", "swing", "lip_distance", "lip_distance_error")
    heads = ("system", "SNR, dB", "r, whole clip", "±", "r, in words", "±", "swing", "lip distance", "±")
    shares = [row for row in rows if row["measure"] == "open_on_noise_alone"]
    systems = dict.fromkeys(row["system"] for row in shares)
    kinds = [
        {"noise": kind, **{row["system"]: row["value"] for row in shares if row["noise"] == kind}}
        for kind in dict.fromkeys(row["noise"] for row in shares)
    ]
    about = (
        "± is the standard error over clips. SNR: of the loudest half of the speech's 20 ms chunks. docs/reports/motion"
        " reckons it of what lies within 25 dB of the loudest twentieth: the same figure is 1.3 dB less noise there."
    )
    found = [about, markdown_table(mouth, ("system", "snr_db", *scores), heads, padded)]
    apart = [row for row in rows if row["measure"] == "difference"]
    if apart:
        found.append("What the encoders differ by, clip by clip (the same clips in the same noise), by SNR in dB:")
        snrs = list(dict.fromkeys(row["snr_db"] for row in apart))
        cells: dict[tuple[Any, ...], Row] = {}
        for row in apart:
            line = cells.setdefault((row["of"], row["score"], row["lookahead_ms"]), dict(row))
            line[row["snr_db"]] = f"{row['value']:+.3f} ± {row['value_error']:.3f}"
        keys, headed = ("of", "score", "lookahead_ms", *snrs), ("difference", "score", "lookahead, ms", *snrs)
        found.append(markdown_table(list(cells.values()), keys, headed, padded))
    found.append("Share of open pictures on noise alone, at the level of speech:")
    found.append(markdown_table(kinds, ("noise", *systems), None, padded))
    emotion = [row for row in rows if row["measure"] == "mouth_opening_by_emotion"]
    if emotion:
        found.append("r of the opening by emotion of the voice (whole clips, another corpus):")
        titles = ("system", "emotion", "r", "±", "clips")
        told = [row if row["count"] > 1 else {**row, "value_error": "one clip"} for row in emotion]
        found.append(markdown_table(told, ("system", "emotion", "value", "value_error", "count"), titles, padded))
    return "\n\n".join(found)


def _says(name: str, rows: list[Row]) -> list[str]:
    """What the numbers say, in a sentence or two."""

    def one(measure: str, **about: Any) -> Row | None:
        fits = [r for r in rows if r["measure"] == measure and all(r.get(k) == v for k, v in about.items())]
        return fits[0] if fits else None

    if name == "latency":
        age, event = (one(m, lookahead_ms=0, picture_rate=25) for m in ("newest_sample_age", "event_to_picture"))
        impulse = one("impulse_to_code")
        if age is None or event is None or impulse is None:
            return []
        return [
            f"Lookahead 0, 25 pictures/s: the newest sample in a picture is {age['p50_ms']:.1f} ms old when it is"
            f" handed over (p99 {age['p99_ms']:.1f}); a sudden sound shows after {event['p50_ms']:.1f} ms (p95"
            f" {event['p95_ms']:.1f}, {event['count']} of {event.get('events', event['count'])} events shown). By the"
            f" StreamSpec alone, with no computing, a sound waits {algorithmic_delay_ms(0, 25):.1f} ms on average for"
            f" its picture; the impulse test finds codes changed {impulse['p50_ms']:.1f} ms (at most"
            f" {impulse['max_ms']:.1f}) after one changed sample, never earlier. docs/latency.md defines both figures."
        ]
    if name == "throughput":
        own = next((row for row in rows if str(row.get("model", "")).startswith("generator ")), None)
        ratios = [row for row in rows if row["measure"] == "generator_against_yardstick"]
        render = one("render_real_time_factor")
        said = []
        if own:
            said.append(f"One core draws {own['value']:.0f} pictures/s ({own['model'].split()[-1]}, as shipped).")
        if ratios:
            least = min(ratios, key=lambda row: row["value"])
            said.append(
                f"That is {least['value']:.1f} times what the Wav2Lip-sized yardstick makes in its fastest engine"
                f" ({least['engine']} {least['precision']}) in the same rounds."
            )
        if render:
            said.append(f"Offline, a second of video takes {render['value']:.2f} s, encoding and file included.")
        return said
    if name == "resources":
        cpu, memory, start = one("cpu_seconds_per_minute"), one("resident_memory"), one("startup", part="all")
        growth = one("memory_growth")
        if None in (cpu, memory, start, growth):
            return []
        return [
            f"A live minute takes {cpu['value']:.1f} s of processor time and {memory['value']:.0f} MB;"  # type: ignore[index]
            f" memory grows by {growth['value']:.1f} MB over the last third of a run. From nothing to the first"  # type: ignore[index]
            f" picture {start['value']:.2f} s."  # type: ignore[index]
        ]
    if name == "scale":
        return _says_scale(rows)
    best = [row for row in rows if row["measure"] == "mouth_opening" and "r_in_words" in row]
    lines = []
    for system in dict.fromkeys(row["system"] for row in best):
        clean = next(row for row in best if row["system"] == system)
        lines.append(f"{system} {clean['r_in_words']:.2f} ± {clean['r_in_words_error']:.2f}")
    said = [f"r of the mouth's opening in words, clean: {', '.join(lines)} (± standard error over clips)."]
    differences = [row for row in rows if row["measure"] == "difference" and row["score"] == "r_in_words"]
    for of, lookahead_ms in dict.fromkeys((row["of"], row["lookahead_ms"]) for row in differences):
        same = [row for row in differences if (row["of"], row["lookahead_ms"]) == (of, lookahead_ms)]
        figures = ", ".join(f"{row['snr_db']} dB {row['value']:+.3f} ± {row['value_error']:.3f}" for row in same)
        said.append(f"{of}, {lookahead_ms} ms, clip by clip: {figures.replace('clean dB', 'clean')}.")
    return said


def _says_scale(rows: list[Row]) -> list[str]:
    """From the shortest to the longest session, the slowest to the fastest rate, the smallest to the largest photo."""

    def ends(measure: str, axis: str) -> tuple[Row, Row] | None:
        found = [row for row in rows if row["measure"] == measure and row["axis"] == axis]
        return (found[0], found[-1]) if len(found) > 1 else None

    said = []
    session, memory = ends("cpu_per_picture", "session"), ends("memory_growth", "session")
    if session and memory:
        first, last = session
        said.append(
            f"A session of {last['minutes']:g} min, run faster than real time ({last.get('drawn', 'the photo')}, 25"
            f" pictures/s): a picture takes {first['value']:.2f} ms of processor time up to minute {first['minutes']:g}"
            f" and {last['value']:.2f} ms up to minute {last['minutes']:g}; memory grows by {memory[1]['value']:.1f} MB"
            " after its first ten seconds."
        )
    rates = ends("cpu_per_picture", "picture rate")
    if rates:
        first, last = rates
        said.append(
            f"At {first['picture_rate']} pictures/s a picture takes {first['value']:.1f} ms, the encoder's share in it;"
            f" at {last['picture_rate']} {last['value']:.1f} ms."
        )
    photos, analyses = ends("cpu_per_picture", "photo"), ends("analysis", "photo")
    if photos and analyses:
        first, last = photos
        said.append(
            f"From a photo of {first['megapixels']:g} MP to one of {last['megapixels']:g} MP a picture's time grows"
            f" from {first['value']:.1f} to {last['value']:.1f} ms, for it is drawn at {last['drawn']} at most; the"
            f" analysis, once, from {analyses[0]['value']:.1f} to {analyses[1]['value']:.1f} s."
        )
    return said
