"""`voxcam bench resources`: what a live stream takes from the machine, and what its start is made of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.counting import count_allocations
from bench.latency import Progress
from bench.rig import Rig, shipped_photo
from bench.rows import Row, value_row
from engines.errors import VoxcamError


def measure_resources(
    rig: Rig,
    seconds: float = 20.0,
    picture_rate: int = 25,
    repeats: int = 3,
    progress: Progress = lambda text: None,
) -> list[Row]:
    """Live streams in fresh processes: processor time, memory, wake-ups, start-up; and allocations in this one."""
    runs = []
    for turn in range(repeats):
        progress(f"resources: {seconds:.0f} s live in a fresh process, {turn + 1} of {repeats}")
        runs.append(run_fresh(shipped_photo(), seconds, picture_rate))
    about = {"picture_rate": picture_rate, "size": f"{rig.portrait.size[1]}x{rig.portrait.size[0]}"}
    rows = [
        value_row("cpu_seconds_per_minute", [run["cpu_s"] * 60 / run["wall_s"] for run in runs], "s", **about),
        value_row("cpu_per_picture", [run["cpu_s"] * 1e3 / max(run["pictures"], 1) for run in runs], "ms", **about),
        value_row("resident_memory", [max(run["memory_mb"]) for run in runs], "MB", **about),
        value_row("memory_growth", [_growth(run["memory_mb"]) for run in runs], "MB", **about),
        value_row("wake_ups", [run["wake_ups"] / run["wall_s"] for run in runs], "1/s", **about),
    ]
    rows[2]["course_mb"] = runs[-1]["memory_mb"]
    for part in runs[0]["startup_s"]:
        rows.append(value_row("startup", [run["startup_s"][part] for run in runs], "s", part=part))
    rows.append(value_row("startup", [sum(run["startup_s"].values()) for run in runs], "s", part="all"))
    return rows + allocation_rows(rig)


def run_fresh(photo: Path, seconds: float, picture_rate: int) -> dict[str, Any]:
    """One live stream in a process of its own (bench/fresh.py); VoxcamError where it fails."""
    command = [sys.executable, "-m", "bench.fresh", str(photo), str(seconds), str(picture_rate)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise VoxcamError(f"a fresh process did not run ({last})", "voxcam doctor")
    return json.loads(run.stdout.splitlines()[-1])


def _growth(course_mb: list[float]) -> float:
    """Last third against the second: the first one fills caches."""
    third = max(1, len(course_mb) // 3)
    return float(np.mean(course_mb[-third:]) - np.mean(course_mb[third : 2 * third] or course_mb[:1]))


def allocation_rows(rig: Rig, pictures: int = 50) -> list[Row]:
    """What Python allocates in the steady state, as tracemalloc sees it (NumPy's buffers included)."""
    counted = count_allocations(rig, pictures)
    return [
        value_row("kept_per_picture", [counted.kept_bytes / pictures], "bytes"),
        value_row("largest_passing_allocation", [counted.peak_bytes], "bytes"),
    ]
