"""Rows of a benchmark, the machine they were made on, their file, and how two files compare."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from engines import machine
from engines.errors import InputError, WrongInput
from engines.whole_file import write_atomically

Row = dict[str, Any]
LIBRARIES = ("voxcam", "numpy", "numba", "opencv-python-headless", "onnxruntime", "openvino", "tensorrt-rtx-cu13", "av")
VALUES = ("p50_ms", "value", "ms")  # what compare looks at, the first that a row has
STRETCHES = 5  # a stream's durations are cut into so many parts: their medians tell what repeats alone vary by
MEASURED = frozenset(  # what says nothing about which row this is
    (
        *VALUES,
        *("repeats", "spread", "count", "unit", "note", "course_mb"),
        *("pictures", "late", "starved", "events"),
        *("clips", "r_all", "r_in_words", "lip_distance", "swing"),
        *("per_second", "error", "worst_tensor", "verified", "size_mb", "build_s"),
        *("opening_error", "phones_same", "psnr_db"),
    )
)


def describe_machine() -> dict[str, Any]:
    """Processor, cores, flags, versions, power governor, and the load right now."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {
        "cpu": machine.cpu_name(),
        "cores": machine.usable_cores(),
        "flags": [f for f in machine.cpu_flags() if f.startswith(("avx", "amx", "asimd", "sve"))],
        "governor": governor.read_text().strip() if governor.exists() else "not told",
        "memory_gb": _memory_gb(),
        "gpus": list(machine.nvidia_gpus()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": versions,
        "load": load_average(),
    }


def machine_line(told: dict[str, Any]) -> str:
    """What `describe_machine` found, or an older file holds, as a sentence of a report."""
    versions = ", ".join(f"{name} {version}" for name, version in told.get("versions", {}).items())
    return (
        f"Machine: {told.get('cpu', '?')}, {told.get('cores', '?')} cores, {told.get('memory_gb', '?')} GB,"
        f" {' '.join(told.get('flags', []))}; power governor {told.get('governor', '?')};"
        f" {told.get('system', '?')}, Python {told.get('python', '?')}; {versions}."
    )


def load_average() -> list[float]:
    """Programs that want a core, over the last 1, 5 and 15 minutes; empty where the system does not tell."""
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else []


def _memory_gb() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return 0.0


def latency_row(measure: str, values_ms: Sequence[float], **about: Any) -> Row:
    """One row of durations in the order they came: percentiles, and the spread of the medians of five stretches."""
    values = np.asarray(values_ms, float)
    quantiles = np.quantile(values, (0.5, 0.95, 0.99)) if len(values) else (float("nan"),) * 3
    row: Row = {"measure": measure, **about}
    row |= {name: round(float(v), 3) for name, v in zip(("p50_ms", "p95_ms", "p99_ms"), quantiles, strict=True)}
    row |= {"max_ms": round(float(values.max()), 3) if len(values) else float("nan"), "count": len(values)}
    if len(values) >= 2 * STRETCHES:
        medians = [float(np.median(stretch)) for stretch in np.array_split(values, STRETCHES)]
        row |= {"repeats": [round(median, 3) for median in medians], "spread": round(_spread(medians), 4)}
    return row


def _spread(values: Sequence[float]) -> float:
    """(max - min) / median."""
    middle = float(np.median(values))
    return (max(values) - min(values)) / abs(middle) if middle else 0.0


def value_row(measure: str, repeats: Iterable[float], unit: str, **about: Any) -> Row:
    """One row of a value measured several times: the median, and the spread as (max - min) / median."""
    values = [float(value) for value in repeats]
    return {
        "measure": measure,
        **about,
        "value": round(float(np.median(values)), 5),
        "unit": unit,
        "repeats": [round(value, 5) for value in values],
        "spread": round(_spread(values), 4),
        "count": len(values),
    }


def as_report(rows: list[Row], load_before: Sequence[float] = (), **more: Any) -> dict[str, Any]:
    """Rows and machine. `load_before` is what others wanted of the machine when the measuring began: our own work
    counts in the load afterwards."""
    load = {"load_before": list(load_before)} if load_before else {}
    return {"machine": describe_machine() | load, **more, "rows": rows}


def write_report(report: dict[str, Any], path: Path) -> None:
    write_atomically(path, (json.dumps(report, indent=1) + "\n").encode())


def read_report(path: Path) -> dict[str, Any]:
    """A file that `--json` wrote; InputError where it is none."""
    if not path.is_file():
        raise WrongInput(f"there is no benchmark result {path}", "make one: voxcam bench all --json out.json")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(report, dict) or not all("measure" in row for row in report["rows"]):
            raise ValueError("no rows")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is no benchmark result ({error})", "make one: voxcam bench all --json out.json"
        ) from error
    return report


def identity(row: Row) -> tuple[tuple[str, Any], ...]:
    """What a row is about: all that is not a measured number."""
    return tuple(
        sorted(
            (key, str(value))
            for key, value in row.items()
            if key == "lookahead_ms" or (key not in MEASURED and not key.endswith(("_ms", "_error")))
        )
    )


def compare(first: dict[str, Any], second: dict[str, Any]) -> list[Row]:
    """Rows of both side by side: the change as a share of the first, and the band that repeats alone would give.

    The band is the larger one of the two, NaN where neither was repeated: then no change is called clear.
    """
    others = {identity(row): row for row in second["rows"]}
    found = []
    for row in first["rows"]:
        other = others.get(identity(row))
        key = next((name for name in VALUES if name in row), None)
        if other is None or key is None or key not in other:
            continue
        before, after = float(row[key]), float(other[key])
        bands = [band for band in (_band(row, key), _band(other, key)) if np.isfinite(band)]
        band = max(bands, default=float("nan"))
        share = abs(before) if before else float("nan")
        found.append(
            {
                "measure": row["measure"],
                "about": about(row),
                "before": before,
                "after": after,
                "change": round((after - before) / share, 4),
                "band": round(band / share, 4),
                "clear": bool(abs(after - before) > band),
            }
        )
    return found


def _band(row: Row, key: str) -> float:
    """What a row's value varies by from repeat to repeat, in its own unit; NaN where it was measured once."""
    if row.get("count", 2) < 2:
        return float("nan")
    if "value_error" in row:  # a mean over clips: two standard errors
        return 2 * float(row["value_error"])
    if "spread" in row:
        return float(row["spread"]) * abs(float(row[key]))
    return abs(row["p95_ms"] - row["p50_ms"]) if "p95_ms" in row else float("nan")


def about(row: Row) -> str:
    """What tells this row from others of the same measure, in words."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in identity(row) if key != "measure")


def markdown_table(
    rows: Sequence[Row], columns: Sequence[str], heads: Sequence[str] | None = None, padded: bool = False
) -> str:
    """Columns of rows as a Markdown table; missing cells stay empty. Padded, it reads well in a terminal too."""

    def cell(value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
        return str(value)

    lines = [list(heads or columns), *([cell(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(3, *(len(line[k]) for line in lines)) if padded else 0 for k in range(len(columns))]
    whole = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "".join("-" * max(width + 2, 3) + "|" for width in widths)
    return "\n".join([whole[0], rule, *whole[1:]])
