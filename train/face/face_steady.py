"""What must not change: still regions while the mouth talks, and everything outside face and neck."""

from __future__ import annotations

import io
from pathlib import Path

import av
import cv2
import numpy as np

from engines.drawing.geometry import RING
from engines.face.person import person_mask
from engines.face_points import FACE, FACE_OVAL
from engines.generator import Generator
from engines.portrait import Portrait
from engines.spec import MOTION_CHANNELS
from train.face.face_score import HEAD, Driven, mouth_box
from train.face.picture_metrics import grey

REGIONS = ("mouth", "upper face", "around the head", "shoulders", "beyond")
CODEC = {"crf": "18", "preset": "veryfast"}


def regions(portrait: Portrait) -> dict[str, np.ndarray]:
    """Masks (H, W) bool: mouth box; face above the nose's tip; between face and outermost ring; the person's torso
    beyond that ring; all else beyond it, the wall beside the shoulders among it.
    """

    def filled(points: np.ndarray, size: float = 1.0) -> np.ndarray:
        middle = points.mean(0)
        mask = np.zeros(portrait.size, np.uint8)
        hull = cv2.convexHull(np.round(middle + size * (points - middle)).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1)
        return mask > 0

    oval = portrait.source[list(FACE_OVAL)]
    ring = portrait.source[FACE + 2 * RING :]
    # Neck and collar below the chin may move with the head.
    neck = np.zeros(portrait.size, bool)
    left, right = (int(oval[:, 0].min()), int(oval[:, 0].max()))
    neck[int(oval[:, 1].mean()) :, max(0, left) : right] = True
    mouth = np.zeros(portrait.size, bool)
    mouth[mouth_box(portrait)] = True
    face, moving = filled(oval, 1.05), filled(ring, 1.01)
    above = np.zeros(portrait.size, bool)
    above[: int(portrait.landmarks[4, 1])] = True
    person = person_mask(portrait.photo, portrait.translation[:2], float(portrait.scale[0]))
    torso = np.zeros(portrait.size, bool)
    if person is not None and portrait.ground[..., 1].any():
        torso = (person > 0.5) & ~moving
        torso[: int(oval[:, 1].max())] = False
    return {
        "mouth": mouth & face,
        "upper face": filled(oval, 0.95) & above & ~mouth,
        "around the head": moving & ~face & ~neck,
        "shoulders": torso,
        "beyond": ~moving & ~torso,
    }


def temporal(pictures: np.ndarray, masks: dict[str, np.ndarray]) -> dict[str, dict[str, object]]:
    """Region -> deviation over time (mean, 99th percentile of pixels) and mean change to the next picture, by picture.

    pictures (T, H, W) grey; grey levels.
    """
    values = pictures.astype(np.float32)
    deviation = values.std(0)
    change = np.abs(np.diff(values, axis=0))
    return {
        name: {
            "deviation": float(deviation[mask].mean()) if mask.any() else 0.0,
            "deviation_p99": float(np.quantile(deviation[mask], 0.99)) if mask.any() else 0.0,
            "course": [float(step[mask].mean()) if mask.any() else 0.0 for step in change],
        }
        for name, mask in masks.items()
    }


def score_flicker(portrait: Portrait, codes: np.ndarray, generator: Generator) -> dict[str, dict[str, object]]:
    """Regions of a talking face whose head, eyes and brows are kept still: all that changes there is flicker."""
    still = codes.copy()
    still[:, MOTION_CHANNELS.index("browInnerUp") : HEAD + 5] = 0
    drawn = np.stack([grey(generator.draw(code, portrait)) for code in still])
    return temporal(drawn, regions(portrait))


def score_true_flicker(driven: Driven) -> dict[str, dict[str, object]]:
    """The same regions of the real clip, brought to the drawn head's place: camera noise, real brows and blinks."""
    return temporal(np.stack([grey(picture) for picture in driven.truth]), regions(driven.portrait))


def coded(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Pictures (H, W, 3) through the shipped files' codec and back."""
    file = io.BytesIO()
    height, width = pictures[0].shape[:2]
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options=CODEC)
        stream.width, stream.height, stream.pix_fmt = width // 2 * 2, height // 2 * 2, "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture[: height // 2 * 2, : width // 2 * 2]), format="rgb24"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        return [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]


def score_outside(portrait: Portrait, codes: np.ndarray, generator: Generator) -> dict[str, dict[str, float]]:
    """How far pixels are from the photo's, grey levels, mean: head still and head moving; region -> number.

    "coded" is the same after the codec, less what the codec alone does to the static photo.
    """
    masks = regions(portrait)
    height, width = (side // 2 * 2 for side in portrait.size)
    still = codes.copy()
    still[:, HEAD : HEAD + 5] = 0
    found: dict[str, dict[str, float]] = {}
    photo = portrait.photo.astype(np.float32)
    alone = coded([portrait.photo] * len(codes))
    for name, course in (("head still", still), ("head moves", codes)):
        drawn = [generator.draw(code, portrait) for code in course]
        change = np.mean([np.abs(picture - photo).mean(2) for picture in drawn], 0)
        largest = np.max([np.abs(picture - photo).max(2) for picture in drawn], 0)
        after = np.mean([np.abs(p.astype(np.float32) - photo[:height, :width]).mean(2) for p in coded(drawn)], 0)
        base = np.mean([np.abs(p.astype(np.float32) - photo[:height, :width]).mean(2) for p in alone], 0)
        found[name] = {}
        for region in REGIONS[2:]:
            mask, cut = masks[region], masks[region][:height, :width]
            if not mask.any():  # a picture that ends at the neck
                continue
            found[name][region] = float(change[mask].mean())
            found[name][f"{region}, largest"] = float(largest[mask].max())
            found[name][f"{region}, coded"] = float(after[cut].mean() - base[cut].mean())
    return found


def draw_figure(path: Path, sync: dict[str, dict], flicker: dict[str, dict[str, dict]]) -> None:
    """Sync: r by lag of rows (lags, r_by_lag, lag). Flicker: change from picture to picture, rows by region."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, *rest) = pyplot.subplots(1, 1 + len(flicker), figsize=(4.2 * (1 + len(flicker)), 3.2))
    for name, row in sync.items():
        left.plot(row["lags"], row["r_by_lag"], marker=".", label=f"{name}: {row['lag']:+.2f}")
    left.axvline(0, color="grey", lw=0.7)
    left.set_title("drawn opening against the true one", fontsize=9)
    left.set_xlabel("drawn comes late by (pictures of 40 ms)")
    left.set_ylabel("r")
    left.legend(fontsize=6, title="lag at the peak", title_fontsize=6)
    for axis, (name, row) in zip(rest, flicker.items(), strict=True):
        for region in REGIONS:
            axis.plot(np.maximum(row[region]["course"], 1e-3), label=region, lw=1)
        axis.set_yscale("log")
        axis.set_ylim(1e-3, 20)
        axis.set_title(f"change to the next picture: {name}", fontsize=9)
        axis.set_xlabel("picture")
        axis.set_ylabel("grey levels")
        axis.legend(fontsize=6)
    figure.tight_layout()
    data = io.BytesIO()
    figure.savefig(data, format="jpg", dpi=100, pil_kwargs={"quality": 85})
    pyplot.close(figure)
    path.write_bytes(data.getvalue())
