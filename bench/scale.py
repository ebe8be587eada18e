"""`voxcam bench scale`: what grows with session length, photo size and picture rate, and what stays flat."""

from __future__ import annotations

import gc
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from bench.fresh import resident_mb
from bench.latency import Progress
from bench.rig import Rig, shipped_photo, shipped_speech
from bench.rows import Row, value_row
from bench.throughput import motion_course
from engines.photo import read_photo
from realtime.faces import analyse_photo

MINUTES = (1.0, 5.0, 20.0)
MEGAPIXELS = (0.3, 1.0, 3.0, 8.0, 24.0)
PICTURE_RATES = (10, 25, 30, 60)


def measure_scale(
    rig: Rig,
    minutes: tuple[float, ...] = MINUTES,
    megapixels: tuple[float, ...] = MEGAPIXELS,
    picture_rates: tuple[int, ...] = PICTURE_RATES,
    photo: Path | None = None,
    progress: Progress = lambda text: None,
) -> list[Row]:
    """Processor time per picture, memory, analysis time."""
    rows: list[Row] = []
    _run(rig, 5.0, 25)  # fills what is filled once
    for length in minutes:
        progress(f"scale: a session of {length:g} min, faster than time")
        rows += _session(rig, length)
    for rate in picture_rates:
        progress(f"scale: {rate} pictures/s")
        rows += _picture_rate(rig, rate)
    pixels = read_photo(photo or shipped_photo())
    for size in megapixels:
        progress(f"scale: a photo of {size:g} MP")
        rows += _photo(rig, pixels, size)
    return rows


def _run(rig: Rig, seconds: float, picture_rate: int) -> tuple[float, int, list[float]]:
    """Offline through the whole path: processor seconds, pictures, memory over the run (MB)."""
    memory: list[float] = []
    with rig.engines() as engines:
        speech = shipped_speech()
        pipeline = rig.pipeline(
            engines, speech, picture_rate=picture_rate, lookahead_ms=0, paced=False, seconds=seconds
        )
        before = os.times()
        with pipeline:
            while pipeline.wait(0.2) is None:
                memory.append(resident_mb())
        pipeline.raise_if_error()
        after = os.times()
    used = after.user - before.user + after.system - before.system
    return used, pipeline.meters.pictures, memory or [resident_mb()]


def _session(rig: Rig, minutes: float) -> list[Row]:
    gc.collect()
    began = resident_mb()
    used, pictures, memory = _run(rig, minutes * 60, 25)
    about = {"axis": "session", "minutes": minutes}
    return [
        value_row("cpu_per_picture", [used * 1e3 / pictures], "ms", **about),
        value_row("memory_growth", [max(memory) - began], "MB", **about),
    ]


def _picture_rate(rig: Rig, rate: int, seconds: float = 6.0, repeats: int = 3) -> list[Row]:
    runs = [_run(rig, seconds, rate) for _ in range(repeats)]
    about = {"axis": "picture rate", "picture_rate": rate}
    return [
        value_row("cpu_per_picture", [used * 1e3 / pictures for used, pictures, _ in runs], "ms", **about),
        value_row("cpu_per_second_of_sound", [used * 1e3 / seconds for used, _, _ in runs], "ms", **about),
    ]


def _photo(rig: Rig, pixels: np.ndarray, megapixels: float) -> list[Row]:
    """The same photo at another size, drawn at its own resolution."""
    scale = np.sqrt(megapixels * 1e6 / (pixels.shape[0] * pixels.shape[1]))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=interpolation)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(cv2.imencode(".jpg", resized[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
        began = time.perf_counter()
        portrait = analyse_photo(path, "full", None).portrait
        analysed_s = time.perf_counter() - began
    codes = motion_course(rig, shipped_speech()[: 16_000 * 2])
    generator = rig.engines().generator
    out = np.empty_like(portrait.photo)
    generator.draw(codes[0], portrait, out=out)
    times = []
    for code in codes[:: max(1, len(codes) // 25)]:
        began = time.process_time()
        generator.draw(code, portrait, out=out)
        times.append((time.process_time() - began) * 1e3)
    about = {"axis": "photo", "megapixels": megapixels, "drawn": f"{portrait.size[1]}x{portrait.size[0]}"}
    return [
        value_row("analysis", [analysed_s], "s", **about),
        value_row("cpu_per_picture", times, "ms", **about),
    ]
