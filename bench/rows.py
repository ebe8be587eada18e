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
from engines.card import write_atomically
from engines.errors import InputError

Row = dict[str, Any]
LIBRARIES = ("voxcam", "numpy", "numba", "opencv-python-headless", "onnxruntime", "openvino", "tensorrt-rtx-cu13", "av")
VALUES = ("p50_ms", "value")  # what compare looks at, the first that a row has
NOT_IDENTITY = (
    "repeats",
    "spread",
    "count",
    "unit",
    "note",
    "pictures",
    "late",
    "starved",
    "events",
)  # of what is no measured number


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
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else [],
    }


def _memory_gb() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return 0.0


def latency_row(measure: str, values_ms: Sequence[float], **about: Any) -> Row:
    """One row of durations: percentiles over `values_ms`."""
    values = np.asarray(values_ms, float)
    quantiles = np.quantile(values, (0.5, 0.95, 0.99)) if len(values) else (float("nan"),) * 3
    row: Row = {"measure": measure, **about}
    row |= {name: round(float(v), 3) for name, v in zip(("p50_ms", "p95_ms", "p99_ms"), quantiles, strict=True)}
    return row | {"max_ms": round(float(values.max()), 3) if len(values) else float("nan"), "count": len(values)}


def value_row(measure: str, repeats: Iterable[float], unit: str, **about: Any) -> Row:
    """One row of a value measured several times: the median, and the spread as (max - min) / median."""
    values = [float(value) for value in repeats]
    middle = float(np.median(values))
    spread = (max(values) - min(values)) / abs(middle) if middle else 0.0
    return {
        "measure": measure,
        **about,
        "value": round(middle, 5),
        "unit": unit,
        "repeats": [round(value, 5) for value in values],
        "spread": round(spread, 4),
        "count": len(values),
    }


def as_report(rows: list[Row], **more: Any) -> dict[str, Any]:
    return {"machine": describe_machine(), **more, "rows": rows}


def write_report(report: dict[str, Any], path: Path) -> None:
    write_atomically(path, (json.dumps(report, indent=1) + "\n").encode())


def read_report(path: Path) -> dict[str, Any]:
    """A file that `--json` wrote; InputError where it is none."""
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(report, dict) or not all("measure" in row for row in report["rows"]):
            raise ValueError("no rows")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is no benchmark result ({error})", "make one: voxcam bench all --json out.json"
        ) from error
    return report


def identity(row: Row) -> tuple[tuple[str, Any], ...]:
    """What a row is about: all that is not a measured number."""
    measured = (*NOT_IDENTITY, *VALUES)
    return tuple(
        sorted(
            (key, str(value))
            for key, value in row.items()
            if key == "lookahead_ms" or (key not in measured and not key.endswith(("_ms", "_error")))
        )
    )


def compare(first: dict[str, Any], second: dict[str, Any]) -> list[Row]:
    """Rows of both side by side: the change in per cent, and the band that repeats alone would give.

    The band is the larger spread of the two; for percentiles, where nothing was repeated, the distance of p50 and p95.
    """
    others = {identity(row): row for row in second["rows"]}
    found = []
    for row in first["rows"]:
        other = others.get(identity(row))
        key = next((name for name in VALUES if name in row), None)
        if other is None or key is None or key not in other:
            continue
        before, after = float(row[key]), float(other[key])
        change = (after - before) / abs(before) if before else float("nan")
        band = max(_band(row), _band(other))
        found.append(
            {
                "measure": row["measure"],
                "about": about(row),
                "before": before,
                "after": after,
                "change": round(change, 4),
                "band": round(band, 4),
                "clear": bool(abs(change) > band),
            }
        )
    return found


def _band(row: Row) -> float:
    if "spread" in row:
        return float(row["spread"])
    return abs(row["p95_ms"] - row["p50_ms"]) / abs(row["p50_ms"]) if row.get("p50_ms") else 0.0


def about(row: Row) -> str:
    """What tells this row from others of the same measure, in words."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in identity(row) if key != "measure")


def markdown_table(rows: Sequence[Row], columns: Sequence[str], heads: Sequence[str] | None = None) -> str:
    """Columns of rows as a Markdown table; missing cells stay empty."""

    def cell(value: Any) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
        return str(value)

    lines = ["| " + " | ".join(heads or columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(row.get(column, "")) for column in columns) + " |" for row in rows]
    return "\n".join(lines)
