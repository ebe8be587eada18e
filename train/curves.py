"""log.csv of a training run -> one picture of its curves."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

DRAWN = (
    "motion",
    "correlation",
    "phones",
    "components",
    "presence",
    "reconstruction",
    "snr",
    "noise",
    "emotion",
    "speaker",
    "adversary",
    "consistency",
)


def draw(log: Path, picture: Path, smooth: int = 20) -> None:
    """Each loss over steps, smoothed by a running mean of `smooth` rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in DRAWN if rows and name in rows[0]]
    figure, axes = pyplot.subplots(-(-len(names) // 4), 4, figsize=(12, 2.2 * -(-len(names) // 4)), squeeze=False)
    steps = np.array([float(row["step"]) for row in rows])
    for axis, name in zip(axes.flat, names, strict=False):
        values = np.array([float(row[name]) for row in rows])
        width = max(1, min(smooth, len(values) // 4))
        mean = np.convolve(values, np.ones(width) / width, "valid")
        axis.plot(steps[len(steps) - len(mean) :], mean, linewidth=1)
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
    for axis in list(axes.flat)[len(names) :]:
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)
