"""How real people blink, look and sway: from GRID's face landmarks to engines/weights/idle.json.

    python -m train.motion.idle --data-root DATA --landmarks LANDMARKS

LANDMARKS holds the 478 FaceMesh points of each picture of the training clips as `grid/train/TALKER/CLIP.npy`,
(pictures, 478, 3) px at 25 pictures/s; DATA/grid/phones.tsv says when each clip speaks. Every figure is a mean over the
talkers with at least `LEAST_CLIPS` clips, each person counted once, whatever the number of their clips. The same
measures are taken of the idle process in `measure_motion`, so that truth and process are told apart by one ruler.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.face.measure import canonical_face, head_angles, lid_opening, mouth_measures, remove_pose
from engines.face_points import LEFT, LEFT_EYE, RIGHT, RIGHT_EYE
from engines.portrait import EYEBALL_RADIUS
from engines.spec import SPEECH_CHANNELS
from engines.whole_file import write_atomically

PICTURES_PER_SECOND = 25
LEAST_CLIPS = 9  # 27 s of a person; below, a blink rate says nothing
LAGS = (1, 2, 4, 8, 16, 32, 60)  # pictures
RIGHT_IRIS, LEFT_IRIS = RIGHT.iris[0], LEFT.iris[0]
JAW_OPEN = SPEECH_CHANNELS.index("jawOpen")
BROWS = [SPEECH_CHANNELS.index(name) for name in ("browInnerUp", "browOuterUp", "browDown")]
# What FaceMesh reads of lids that are drawn so far shut: mean of first pictures of eleven GRID talkers, and of fourteen
# sharp photos within .06 of it (`python -m train.face.eye_trials`, "lids").
DRAWN = (0.0, 0.15, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
READ = (0.0, 0.09, 0.17, 0.24, 0.32, 0.47, 0.74, 0.91, 0.96, 0.99)
SHUT = 0.55  # lids past this are a blink: FaceMesh pulls closed lids open a little, and a glance down reaches .35


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip: lids as closure 0..1 (T,), angles (T, 3) and gaze (T, 2) in deg, shift (T, 2), brows (T, 3), and the
    lips' opening (T,) in eye distances, if known."""

    closure: np.ndarray
    angles: np.ndarray
    shift: np.ndarray
    gaze: np.ndarray
    brows: np.ndarray
    opening: np.ndarray | None = None


def read_clip(path: Path, reference: np.ndarray) -> Clip | None:
    """None where a face is missing in a picture or the clip is not 75 pictures long."""
    landmarks = np.load(path, allow_pickle=False)
    if len(landmarks) != 75 or not np.isfinite(landmarks).all():
        return None
    aligned, rotation, scale, translation = remove_pose(landmarks, reference)
    gap = lid_opening(aligned).mean(-1)
    offset = np.mean(
        [
            aligned[:, iris, :2] - aligned[:, corners, :2].mean(1)
            for iris, corners in ((RIGHT_IRIS, RIGHT_EYE), (LEFT_IRIS, LEFT_EYE))
        ],
        0,
    )
    open_gap = np.quantile(gap, 0.8)
    gaze = np.degrees((offset - np.median(offset, 0)) / EYEBALL_RADIUS) * (1, -1)
    measures = mouth_measures(aligned)
    return Clip(
        closure=np.clip(1 - gap / open_gap, 0, 1),
        angles=np.degrees(head_angles(rotation)),
        shift=translation[:, :2] / np.median(scale),
        gaze=gaze,
        brows=measures[:, BROWS],
        opening=measures[:, JAW_OPEN],
    )


@dataclass(frozen=True, slots=True)
class Blink:
    """One blink that began and ended within the clip, in pictures from the clip's start."""

    start: int  # last open picture
    deepest: int
    end: int  # first picture that is open again, to a fifth of the depth
    depth: float


def find_blinks(closure: np.ndarray) -> list[Blink]:
    """Dips of the lids past SHUT, with the way down and up again; closure (T,) -> blinks in order of time."""
    found = []
    k, count = 0, len(closure)
    while k < count:
        if closure[k] < SHUT:
            k += 1
            continue
        stop = k
        while stop < count and closure[stop] >= SHUT:
            stop += 1
        deepest = k + int(np.argmax(closure[k:stop]))
        depth = float(closure[deepest])
        start = k
        while start > 0 and closure[start - 1] < closure[start]:
            start -= 1
        end = stop
        while end < count - 1 and closure[end] > 0.25 * depth and closure[end + 1] < closure[end] + 0.02:
            end += 1
        found.append(Blink(start, deepest, min(end, count - 1), depth))
        k = stop
    return found


def mean_blink(closures: list[np.ndarray], before: int = 4, after: int = 12) -> np.ndarray:
    """The mean course of a blink round its deepest picture, depth 1, (before + 1 + after,)."""
    courses = []
    for closure in closures:
        blinks = find_blinks(closure)
        for number, blink in enumerate(blinks):
            alone = all(abs(other.deepest - blink.deepest) > after for i, other in enumerate(blinks) if i != number)
            if alone and blink.deepest >= before and blink.deepest + after < len(closure):
                courses.append(closure[blink.deepest - before : blink.deepest + after + 1] / blink.depth)
    return np.mean(courses, 0) if courses else np.zeros(before + 1 + after)


def semivariance(series: list[np.ndarray]) -> np.ndarray:
    """Half the mean squared difference over each lag of LAGS: how far a head goes in a given time, (lags, channels)."""
    return np.array([np.mean([((s[lag:] - s[:-lag]) ** 2).mean(0) for s in series], 0) / 2 for lag in LAGS])


def std_within(series: list[np.ndarray]) -> np.ndarray:
    """Deviation from the clip's own mean, (channels,)."""
    return np.sqrt(np.mean([s.var(0) for s in series], 0))


def pitch_with_opening(openings: list[np.ndarray], pitches: list[np.ndarray]) -> tuple[float, float]:
    """How the chin goes along with the lips at no lag, within a second: mean correlation of opening (T,) and pitch (T,)
    over the courses, and mean slope in what pitch is measured in, an eye distance of opening."""
    pairs = []
    window = np.ones(PICTURES_PER_SECOND)
    count = {len(course): np.convolve(np.ones(len(course)), window, "same") for course in openings}
    for courses in zip(openings, pitches, strict=True):
        x, y = (course - np.convolve(course, window, "same") / count[len(course)] for course in courses)
        if x.std() > 1e-6 and y.std() > 1e-6:
            pairs.append((np.corrcoef(x, y)[0, 1], (x * y).sum() / (x**2).sum()))
    correlation, slope = np.mean(pairs, 0) if pairs else (0.0, 0.0)
    return float(correlation), float(slope)


def brows_with_opening(clips: list[Clip]) -> float | None:
    """Mean correlation of the lips' opening and the inner brows over a clip; None where none says anything of it."""
    pairs = [(clip.opening, clip.brows[:, 0]) for clip in clips if clip.opening is not None]
    found = [np.corrcoef(x, y)[0, 1] for x, y in pairs if min(x.std(), y.std()) > 1e-6]
    return float(np.mean(found)) if found else None


def measure_motion(clips: list[Clip], speech: list[np.ndarray] | None = None) -> dict[str, object]:
    """All figures of one talker (or of the idle process cut into 3 s clips). speech: (T,) bool a clip, or None."""
    blinks = [find_blinks(clip.closure) for clip in clips]
    pictures = sum(len(clip.closure) for clip in clips)
    whole = [b for found in blinks for b in found if b.start < b.deepest < b.end < 74]
    gaps = [(b.deepest - a.deepest) / PICTURES_PER_SECOND for found in blinks for a, b in itertools.pairwise(found)]
    count = sum(map(len, blinks))
    figures: dict[str, object] = {
        "seconds": pictures / PICTURES_PER_SECOND,
        "blinks": count,
        "blinks_per_minute": count / (pictures / PICTURES_PER_SECOND / 60),
        # Of a person who hardly blinks, the share of blinks that follow another within .6 s says nothing.
        "double_blink_share": sum(gap < 0.6 for gap in gaps) / count if count >= 10 else None,
        "blink_depth": float(np.mean([b.depth for b in whole])) if whole else None,
        "blink_depth_std": float(np.std([b.depth for b in whole])) if whole else None,
        "blink_close_s": float(np.mean([b.deepest - b.start for b in whole])) / PICTURES_PER_SECOND if whole else None,
        "blink_open_s": float(np.mean([b.end - b.deepest for b in whole])) / PICTURES_PER_SECOND if whole else None,
        "blink_course": mean_blink([clip.closure for clip in clips]).tolist(),
        "head_std_deg": std_within([clip.angles for clip in clips]).tolist(),
        "head_semivariance_deg2": semivariance([clip.angles for clip in clips]).T.tolist(),
        "shift_std": std_within([clip.shift for clip in clips]).tolist(),
        "gaze_std_deg": std_within([clip.gaze[clip.closure < 0.25] for clip in clips]).tolist(),
        "brow_std": std_within([clip.brows for clip in clips]).tolist(),
    }
    heard = [(clip.opening, clip.angles[:, 0]) for clip in clips if clip.opening is not None]
    if heard:
        figures["pitch_with_opening"] = list(pitch_with_opening(*map(list, zip(*heard, strict=True))))
    figures["brows_with_opening"] = brows_with_opening(clips)
    if speech is not None:
        step = [np.abs(clip.angles[4:] - clip.angles[:-4]).mean(-1) for clip in clips]  # 160 ms: above the jitter
        talking = [(s[4:] & s[:-4]) for s in speech]
        moving = np.concatenate(step)
        flags = np.concatenate(talking)
        if flags.any() and moving[~flags].sum() > 0:
            figures["head_speed_speech_to_silence"] = float(moving[flags].mean() / moving[~flags].mean())
        seconds = [sum(int((s == state).sum()) for s in speech) / PICTURES_PER_SECOND for state in (False, True)]
        hits = [
            sum(int(s[b.start] == state) for s, found in zip(speech, blinks, strict=True) for b in found)
            for state in (False, True)
        ]
        if min(seconds) > 0:
            figures["blinks_per_minute_silent"] = hits[0] / seconds[0] * 60
            figures["blinks_per_minute_speaking"] = hits[1] / seconds[1] * 60
    return figures


def read_speech(phones_tsv: Path) -> dict[str, list[tuple[float, float]]]:
    """Clip name -> spans in s where somebody speaks, from GRID's timed phones."""
    spans: dict[str, list[tuple[float, float]]] = {}
    with phones_tsv.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["phone"] != "SIL":
                spans.setdefault(row["clip"], []).append((float(row["start_s"]), float(row["end_s"])))
    return spans


def speech_pictures(spans: list[tuple[float, float]], count: int = 75) -> np.ndarray:
    """(count,) bool: which pictures lie between the first and the last phone."""
    times = (np.arange(count) + 0.5) / PICTURES_PER_SECOND
    return (times >= spans[0][0]) & (times < spans[-1][1])


def mean_over_talkers(talkers: dict[str, dict[str, object]], name: str) -> object:
    """Mean of one figure over the talkers that have it, each counted once; lists element by element."""
    values = [figures[name] for figures in talkers.values() if figures.get(name) is not None]
    return np.mean(np.array(values, dtype=float), 0).tolist() if values else None


def measure(landmarks: Path, phones_tsv: Path) -> dict[str, object]:
    """The file's content: means over talkers, and each talker's blinks."""
    reference = canonical_face()
    spans = read_speech(phones_tsv)
    talkers: dict[str, dict[str, object]] = {}
    for folder in sorted((landmarks / "grid" / "train").iterdir()):
        clips, speech = [], []
        for path in sorted(folder.glob("*.npy")):
            clip = read_clip(path, reference)
            key = f"train/{folder.name}/{path.stem}"
            if clip is not None and key in spans:
                clips.append(clip)
                speech.append(speech_pictures(spans[key]))
        if len(clips) >= LEAST_CLIPS:
            talkers[folder.name] = measure_motion(clips, speech)
    names = [
        "blinks_per_minute",
        "blinks_per_minute_silent",
        "blinks_per_minute_speaking",
        "double_blink_share",
        "blink_depth",
        "blink_depth_std",
        "blink_close_s",
        "blink_open_s",
        "head_std_deg",
        "head_semivariance_deg2",
        "head_speed_speech_to_silence",
        "pitch_with_opening",
        "brows_with_opening",
        "shift_std",
        "gaze_std_deg",
        "brow_std",
    ]
    blinks = max(1.0, sum(float(f["blinks"]) for f in talkers.values()))  # type: ignore[misc, arg-type]
    # A person who blinks once shows hardly a course: courses count by blinks.
    course = sum(np.array(f["blink_course"]) * float(f["blinks"]) for f in talkers.values()) / blinks  # type: ignore
    return {
        "source": "GRID (CC BY 4.0), training clips, FaceMesh landmarks; python -m train.motion.idle",
        "talkers": {
            name: {
                figure: f[figure]
                for figure in (
                    *("seconds", "blinks_per_minute", "head_std_deg", "shift_std"),
                    *("pitch_with_opening", "brows_with_opening"),
                )
            }
            for name, f in talkers.items()
        },
        "lags_s": [lag / PICTURES_PER_SECOND for lag in LAGS],
        "blink_course": np.asarray(course).tolist(),
        **{name: mean_over_talkers(talkers, name) for name in names},
    }


def rounded(value: object, digits: int = 4) -> object:
    """The same figures with few digits, so that the file can be read."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item, digits) for item in value]
    return value


def main(arguments: list[str] | None = None) -> None:
    """Measure and write; the file is written beside and renamed."""
    parser = argparse.ArgumentParser(prog="python -m train.motion.idle", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data-root", type=Path, default=os.environ.get("VOXCAM_DATA"), help="folder with grid/")
    parser.add_argument("--landmarks", type=Path, required=True, help="folder with grid/train/TALKER/CLIP.npy")
    parser.add_argument("--out", type=Path, default=Path("engines/weights/idle.json"))
    options = parser.parse_args(arguments)
    if options.data_root is None:
        parser.error("name the data with --data-root or VOXCAM_DATA")
    phones_tsv = Path(options.data_root) / "grid" / "phones.tsv"
    for needed in (phones_tsv, options.landmarks / "grid" / "train"):
        if not needed.exists():
            parser.error(f"{needed} is missing")
    figures = rounded(measure(options.landmarks, phones_tsv))
    write_atomically(options.out, (json.dumps(figures, indent=1) + "\n").encode())
    print(f"{options.out}: {len(figures['talkers'])} talkers")  # type: ignore[index, arg-type, call-overload]


if __name__ == "__main__":
    main()
