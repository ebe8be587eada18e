"""`voxcam bench scale`: what grows with session length, photo size and picture rate, and what stays flat.

Everything runs faster than real time, through the offline path, which is the live one without its clock: encoder,
shaper, ring and the shipped generator. A long session is drawn as the 256x256 face alone, so that 20 minutes take one:
what may grow with its length (state, rings, counters, memory) does not depend on the size of a picture.
"""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.fresh import resident_mb
from bench.latency import Progress
from bench.rig import Rig, shipped_photo, shipped_speech
from bench.rows import Row, value_row
from bench.throughput import motion_course
from engines.face.photo import read_photo
from engines.spec import SPEC
from realtime.faces import analyse_photo, load_portrait

MINUTES = (1.0, 5.0, 20.0)
MEGAPIXELS = (0.3, 1.0, 3.0, 8.0, 24.0)
PICTURE_RATES = (10, 25, 30, 60)
SESSION_RATE = 25
SETTLED_S = 10  # of a session: caches are filled by then
SLICES = 5  # of the stretch before each mark, as repeats


def measure_scale(
    rig: Rig,
    minutes: tuple[float, ...] = MINUTES,
    megapixels: tuple[float, ...] = MEGAPIXELS,
    picture_rates: tuple[int, ...] = PICTURE_RATES,
    photo: Path | None = None,
    repeats: int = 3,
    progress: Progress = lambda text: None,
) -> list[Row]:
    """Processor time per picture, memory, analysis time."""
    rows: list[Row] = []
    _run(rig, 5.0, 25)  # fills what is filled once
    if minutes:
        progress(f"scale: a session of {max(minutes):g} min, faster than real time")
        rows += session_rows(Rig(load_portrait(photo or shipped_photo(), "face").portrait, rig.camera), minutes)
    for rate in picture_rates:
        progress(f"scale: {rate} pictures/s")
        rows += _picture_rate(rig, rate, repeats)
    pixels = read_photo(photo or shipped_photo())
    for size in megapixels:
        progress(f"scale: a photo of {size:g} MP")
        rows += _photo(rig, pixels, size, repeats)
    return rows


def _run(rig: Rig, seconds: float, picture_rate: int, on_picture: Any = None) -> tuple[float, int]:
    """Offline through the whole path: processor seconds, pictures."""
    with rig.engines() as engines:
        pipeline = rig.pipeline(
            engines, shipped_speech(), picture_rate=picture_rate, lookahead_ms=0, paced=False, seconds=seconds
        )
        if on_picture is not None:
            pipeline.on_picture.append(on_picture)
        before = time.process_time()
        with pipeline:
            pipeline.wait()
        pipeline.raise_if_error()
        return time.process_time() - before, pipeline.meters.pictures


def session_rows(rig: Rig, minutes: tuple[float, ...]) -> list[Row]:
    """One session up to the longest length. At each length: what a picture took in the stretch before it (a minute, or
    as much as there is), in slices; and the most memory held up to there, above what was held once settled."""
    pictures_a_minute = 60 * SESSION_RATE
    settled = min(SETTLED_S * SESSION_RATE, int(min(minutes) * pictures_a_minute) // 4)
    spent: list[float] = []
    memory: list[float] = []

    def note(picture: Any) -> None:
        spent.append(time.process_time())
        if picture.index % SESSION_RATE == 0:
            memory.append(resident_mb())

    _run(rig, max(minutes) * 60, SESSION_RATE, note)
    rows = []
    for length in minutes:
        until = min(int(length * pictures_a_minute), len(spent)) - 1
        since = max(settled, until - pictures_a_minute)
        edges = np.linspace(since, until, SLICES + 1).astype(int)
        slices = [(spent[b] - spent[a]) * 1e3 / (b - a) for a, b in pairwise(edges)]
        height, width = rig.portrait.size
        about = {"axis": "session", "minutes": length, "drawn": f"{width}x{height}"}
        rows.append(value_row("cpu_per_picture", slices, "ms", **about))
        grown = max(memory[: until // SESSION_RATE + 1]) - memory[settled // SESSION_RATE]
        rows.append(value_row("memory_growth", [grown], "MB", **about))
    return rows


def _picture_rate(rig: Rig, rate: int, repeats: int, seconds: float = 6.0) -> list[Row]:
    runs = [_run(rig, seconds, rate) for _ in range(repeats)]
    about = {"axis": "picture rate", "picture_rate": rate}
    return [
        value_row("cpu_per_picture", [used * 1e3 / pictures for used, pictures in runs], "ms", **about),
        value_row("cpu_per_second_of_sound", [used * 1e3 / seconds for used, _ in runs], "ms", **about),
    ]


def _photo(rig: Rig, pixels: np.ndarray, megapixels: float, repeats: int) -> list[Row]:
    """The same photo at another size, drawn at its own resolution."""
    scale = np.sqrt(megapixels * 1e6 / (pixels.shape[0] * pixels.shape[1]))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=interpolation)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(cv2.imencode(".jpg", resized[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
        analyses = []
        for _ in range(repeats):
            began = time.perf_counter()
            portrait = analyse_photo(path, "full", None).portrait
            analyses.append(time.perf_counter() - began)
    codes = motion_course(rig, shipped_speech()[: 2 * SPEC.sample_rate_hz])
    times = []
    with rig.engines() as engines:
        out = np.empty_like(portrait.photo)
        engines.generator.draw(codes[0], portrait, out=out)
        for _ in range(max(2, repeats)):  # a round over the same codes, as a repeat
            began = time.process_time()
            for code in codes[::4]:
                engines.generator.draw(code, portrait, out=out)
            times.append((time.process_time() - began) * 1e3 / len(codes[::4]))
    about = {"axis": "photo", "megapixels": megapixels, "drawn": f"{portrait.size[1]}x{portrait.size[0]}"}
    return [value_row("analysis", analyses, "s", **about), value_row("cpu_per_picture", times, "ms", **about)]
