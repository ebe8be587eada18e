"""`voxcam bench all` and `voxcam bench report`: everything, and a report that a command can make again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.latency import Progress, algorithmic_delay_ms, measure_latency
from bench.resources import measure_resources
from bench.rig import Rig
from bench.rows import Row, as_report, describe_machine, markdown_table, read_report, write_report
from bench.scale import measure_scale
from bench.throughput import measure_throughput
from engines.errors import ConfigError

PARTS = ("latency", "throughput", "resources", "scale", "robustness")
TITLES = {
    "latency": "Latency",
    "throughput": "Throughput",
    "resources": "Resources",
    "scale": "Scale",
    "robustness": "Robustness",
}
COLUMNS = {
    "latency": ("measure", "lookahead_ms", "picture_rate", "p50_ms", "p95_ms", "p99_ms", "max_ms", "count"),
    "throughput": ("measure", "model", "engine", "precision", "threads", "value", "unit", "spread"),
    "resources": ("measure", "part", "value", "unit", "spread", "count"),
    "scale": ("measure", "axis", "minutes", "picture_rate", "megapixels", "drawn", "value", "unit", "spread"),
}


@dataclass(frozen=True, slots=True)
class Folders:
    """What robustness is measured on; without clips it is left out."""

    clips: Path | None = None
    noise: Path | None = None
    teach: Path | None = None
    emotional: Path | None = None


def measure_all(quick: bool, folders: Folders, progress: Progress, only: tuple[str, ...] = ()) -> dict[str, list[Row]]:
    """Rows by part. Quick takes less than three minutes, without robustness where no clips are named."""
    rig = Rig.open()
    makers: dict[str, Callable[[], list[Row]]] = {
        "latency": lambda: measure_latency(
            rig, (0, 80) if quick else (0, 40, 80), (25,) if quick else (25, 30, 60), 12 if quick else 25, progress
        ),
        "throughput": lambda: measure_throughput(rig, repeats=2 if quick else 5, progress=progress),
        "resources": lambda: measure_resources(rig, 6 if quick else 40, repeats=1 if quick else 3, progress=progress),
        "scale": lambda: measure_scale(
            rig,
            (0.1, 0.3) if quick else (1, 5, 20),
            (0.3, 3) if quick else (0.3, 1, 3, 8, 24),
            (25, 60) if quick else (10, 25, 30, 60),
            progress=progress,
        ),
    }
    if folders.clips is not None:
        makers["robustness"] = lambda: _robustness(folders, quick, progress)
    wanted = only or tuple(makers)
    return {name: make() for name, make in makers.items() if name in wanted}


def _robustness(folders: Folders, quick: bool, progress: Progress) -> list[Row]:
    from bench.clips import TEACHERS, load_clips
    from bench.robustness import measure_robustness

    clips = load_clips(folders.clips or Path(), 6 if quick else 0, progress)
    teachers = load_clips(folders.teach, TEACHERS, progress) if folders.teach else None
    emotional = load_clips(folders.emotional, 0, progress) if folders.emotional else None
    return measure_robustness(clips, noise=folders.noise, teachers=teachers, emotional=emotional, progress=progress)


def write_bench_report(out: Path, quick: bool, folders: Folders, only: tuple[str, ...], progress: Progress) -> None:
    """README.md, a JSON file and a figure for each part. Parts that are not made again are taken from their JSON."""
    from bench.figures import DRAW

    for part in only:
        if part not in PARTS:
            raise ConfigError(f"no part {part!r}", f"choose from {', '.join(PARTS)}")
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in measure_all(quick, folders, progress, only).items():
        write_report(as_report(rows), out / f"{name}.json")
        DRAW[name](rows, out / f"{name}.png")
    found = {name: read_report(out / f"{name}.json") for name in PARTS if (out / f"{name}.json").exists()}
    (out / "README.md").write_text(as_markdown(found), encoding="utf-8")


def as_markdown(reports: dict[str, dict[str, Any]]) -> str:
    machine = describe_machine()
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        "# Bench",
        "",
        "Made by `voxcam bench report`. Every figure can be made again by the command under it; the rows behind it, and"
        " the machine and its load at that time, lie beside it as JSON.",
        "",
        f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB,"
        f" {' '.join(machine['flags'])}; power governor {machine['governor']}; {machine['system']},"
        f" Python {machine['python']}; {versions}.",
    ]
    for name, report in reports.items():
        load = report["machine"].get("load") or ["?"]
        lines += ["", f"## {TITLES[name]}", "", *_says(name, report["rows"]), ""]
        lines += [f"![{name}]({name}.png)", "", f"`{_command(name)}` Load on the machine then: {load[0]}.", ""]
        lines += [_table(name, report["rows"])]
    return "\n".join(lines) + "\n"


def _command(name: str) -> str:
    more = " --clips FOLDER --noise FOLDER --teach FOLDER --emotional FOLDER" if name == "robustness" else ""
    return f"voxcam bench {name}{more} --json {name}.json --plot {name}.png"


def _table(name: str, rows: list[Row]) -> str:
    if name != "robustness":
        return markdown_table(rows, [c for c in COLUMNS[name] if any(c in row for row in rows)])
    mouth = [row for row in rows if row["measure"] == "mouth_opening"]
    columns = ("system", "snr_db", "r_all", "r_in_words", "r_in_words_error", "swing", "lip_distance")
    heads = ("system", "SNR, dB", "r, whole clip", "r, in words", "standard error", "swing", "lip distance")
    shares = [row for row in rows if row["measure"] == "open_on_noise_alone"]
    kinds = list(dict.fromkeys(row["noise"] for row in shares))
    wide = [
        {"system": system, **{row["noise"]: row["value"] for row in shares if row["system"] == system}}
        for system in dict.fromkeys(row["system"] for row in shares)
    ]
    tables = [markdown_table(mouth, columns, heads), "Share of open pictures on noise alone, at the level of speech:"]
    tables.append(markdown_table(wide, ("system", *kinds)))
    emotion = [row for row in rows if row["measure"] == "mouth_opening_by_emotion"]
    if emotion:
        tables.append("r of the opening by emotion of the voice (whole clips, another corpus):")
        titles = ("system", "emotion", "r", "standard error", "clips")
        tables.append(markdown_table(emotion, ("system", "emotion", "value", "value_error", "count"), titles))
    return "\n\n".join(tables)


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
        return [
            "Processor time a picture does not depend on how long a session has run; it falls a little with the"
            " picture rate, as the encoder's share is spread; it grows with the photo until the photo is scaled to what"
            " a camera shows."
        ]
    best = [row for row in rows if row["measure"] == "mouth_opening" and "r_in_words" in row]
    lines = []
    for system in dict.fromkeys(row["system"] for row in best):
        clean = next(row for row in best if row["system"] == system)
        lines.append(f"{system} {clean['r_in_words']:.2f}")
    return [f"r of the mouth's opening in words, clean: {', '.join(lines)}."]
