"""`python -m bench.fresh PHOTO SECONDS RATE`: start as `voxcam live` starts, run, and print what it took, as JSON.

A process of its own, so that neither imports nor memory of other benchmarks count.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def resident_mb() -> float:
    """Memory this process holds, MB; its peak where the system does not tell."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def context_switches() -> int:
    """Times this process went to sleep and was woken; 0 where the system does not count."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def main(photo: str, seconds: str, picture_rate: str) -> None:
    began = time.perf_counter()
    marks: dict[str, float] = {}

    def mark(name: str) -> None:
        marks[name] = time.perf_counter() - began - sum(marks.values())

    from bench.rig import Rig, shipped_speech

    mark("import")
    rig = Rig.open(Path(photo))
    mark("portrait")
    engines = rig.engines()
    mark("engines and kernels")
    pipeline = rig.pipeline(
        engines,
        shipped_speech(),
        picture_rate=int(picture_rate),
        lookahead_ms=0,
        paced=True,
        seconds=max(float(seconds), 0.1),
    )
    mark("pipeline")
    memory: list[float] = []
    before, switches, live_from = os.times(), context_switches(), time.perf_counter()
    with engines, pipeline:
        while pipeline.wait(0.25) is None:
            memory.append(resident_mb())
    pipeline.raise_if_error()
    after = os.times()
    marks["first picture"] = pipeline.first_picture_ns / 1e9 - live_from
    print(
        json.dumps(
            {
                "startup_s": marks,
                "cpu_s": after.user - before.user + after.system - before.system,
                "wall_s": time.perf_counter() - live_from,
                "pictures": pipeline.meters.pictures,
                "late": pipeline.meters.late_pictures,
                "memory_mb": [round(value, 1) for value in memory],
                "wake_ups": context_switches() - switches,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
