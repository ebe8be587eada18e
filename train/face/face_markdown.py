"""README.md of docs/reports/face, from the stages' results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from train.reports import markdown_table

NOTES = "notes.md"  # what a viewer would notice: written by hand beside the report, shown in it
SOUND_ROW = "clean, 80 ms"
UNSEEN = "unseen, s5"
IN_SILENCE = ", photo taken in silence"  # behind the people: the portrait is a shut mouth while nobody speaks
BY_SOUND = "by sound"  # a row of the pieced-together motion


def dig(results: dict, *keys: str) -> float | None:
    """A number deep in the results; None where a stage has not run or lacks it."""
    found: object = results
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return float(found) if isinstance(found, int | float) else None


def judged(results: dict, *keys: str) -> str:
    """The row of the generator that is judged: with the network where there is one."""
    found: object = results
    for key in keys:
        found = found.get(key, {}) if isinstance(found, dict) else {}
    return "with network" if isinstance(found, dict) and "with network" in found else "closed form"


def shows(results: dict) -> list[list[object]]:
    """The bars: what, wanted, measured, met or not."""
    rows: list[list[object]] = []

    def add(what: str, wanted: str, value: float | None, met: Callable[[float], bool], shown: str = "{:.3f}") -> None:
        if value is None or value != value:
            rows.append([what, wanted, "not measured", ""])
        else:
            rows.append([what, wanted, shown.format(value), "yes" if met(value) else "no"])

    row = judged(results, "true-motion", UNSEEN)
    true = ("true-motion", UNSEEN, row)
    add("mouth box SSIM, true motion, s5", "0.91", dig(results, *true, "ssim"), lambda v: v >= 0.91)
    lips, static = dig(results, *true, "psnr_lips"), dig(results, *true, "psnr_lips_static")
    gain = lips - static if lips is not None and static is not None else None
    add("lips PSNR over the static photo's, s5", "+1.5 dB", gain, lambda v: v >= 1.5, "{:+.2f} dB")
    add("mouth LMD share, true motion, s5", "0.3", dig(results, *true, "lmd_share"), lambda v: v <= 0.3)
    shape = dig(results, *true, "shape_share")
    add("the same about the lips' own mean", "(0.3)", shape, lambda v: v <= 0.3)
    rendered = ("rendered", judged(results, "rendered"))
    exact, error = (dig(results, *rendered, key) for key in ("lmd_exact_share", "lmd_exact_read_share"))
    shown = "" if error is None else f" (the landmarker itself errs by {error:.2f})"
    add(f"the same, rendered strangers, exact truth{shown}", "0.3", exact, lambda v: v <= 0.3)
    read = dig(results, *rendered, "lmd_share")
    add("the same, rendered strangers, as read", "0.3", read, lambda v: v <= 0.3)
    sound = dig(results, "sound", UNSEEN, SOUND_ROW, "lmd_share")
    add("mouth LMD share, sound alone, 80 ms, s5", "0.5", sound, lambda v: v <= 0.5)
    shape = dig(results, "sound", UNSEEN, SOUND_ROW, "shape_share")
    add("the same about the lips' own mean", "(0.5)", shape, lambda v: v <= 0.5)
    silent = ("ceiling", UNSEEN + IN_SILENCE, BY_SOUND)
    add(
        "the same, photo taken in silence, not at a p, b or m",
        "0.5",
        dig(results, *silent, "lmd_share"),
        lambda v: v <= 0.5,
    )
    add("the same about the lips' own mean", "(0.5)", dig(results, *silent, "shape_share"), lambda v: v <= 0.5)
    clean, noisy = (dig(results, "sound", UNSEEN, f"{name}, 80 ms", "lmd") for name in ("clean", "0 dB"))
    ratio = noisy / clean if clean and noisy else None
    add("LMD at 0 dB against clean, s5", "1.15", ratio, lambda v: v <= 1.15)
    smile = judged(results, "smiles")
    for key, name in (("ssim", "SSIM"), ("gradient_similarity", "gradient similarity")):
        value, base = dig(results, "smiles", smile, key), dig(results, "smiles", "static photo", key)
        margin = value - base if value is not None and base is not None else None
        add(f"own smile, {name} over the static photo's", "clearly better", margin, lambda v: v > 0.03, "{:+.3f}")
    rest = dig(results, "smiles", "rest", "left_out")
    add("smiling portrait at rest, share of no change, person left out", "0.35", rest, lambda v: v <= 0.35)
    sharpness = dig(results, *true, "sharpness")
    add("sharpness of the mouth against the truth, s5", "0.85 to 1.15", sharpness, lambda v: 0.85 <= v <= 1.15)
    sharp = ("smiles", "sharpness", judged(results, "smiles", "sharpness"))
    values = [dig(results, *sharp, shape) for shape in ("parted", "half", "wide")]
    worst = max((v for v in values if v is not None), key=lambda v: abs(v - 1), default=None)
    add("sharpness against sharp photos, worst shape", "0.8 to 1.2", worst, lambda v: 0.8 <= v <= 1.2)
    slope, deepest = (dig(results, *rendered, key) for key in ("lid_slope", "lid_deepest"))
    add("lid opening, drawn lids on exact ones: slope", "0.9", slope, lambda v: v >= 0.9)
    add("drawn lids at the deepest of a blink, of open", "0.15", deepest, lambda v: v < 0.15)
    person = ("identity", "rows", judged(results, "identity", "rows"))
    add("distance to the photo, of that of the own two photos", "0.8", dig(results, *person, "all"), lambda v: v <= 0.8)
    outside = [dig(results, "steady", "outside", head, "beyond, coded") for head in ("head still", "head moves")]
    change = max((v for v in outside if v is not None), default=None)
    add("change outside face and neck, beyond the codec's", "1 grey level", change, lambda v: v < 1)
    lag = dig(results, "sound", UNSEEN, SOUND_ROW, "sync", "lag")
    add("sync offset by sound, 80 ms, s5", "1 picture", lag, lambda v: abs(v) <= 1, "{:+.2f}")
    network, whole = (dig(results, "speed", judged(results, "speed"), key) for key in ("network", "all"))
    rates = [1000 / spent if spent else None for spent in (network, whole)]
    add("generator's network alone, one core", "250 /s", rates[0], lambda v: v >= 250, "{:.0f} /s")
    add("whole 720p picture, 480 px face, one core", "100 /s", rates[1], lambda v: v >= 100, "{:.0f} /s")
    return rows


def motion_rows(rows: dict, people: str) -> list[list[object]]:
    """Static photo first, then what was drawn."""
    first = next(iter(rows.values()))
    measured = ("ssim", "psnr", "psnr_lips")
    table: list[list[object]] = [
        [people, "static photo", *(first[f"{key}_static"] for key in measured), first["lmd_static"], 1.0, 1.0, "", "",
         first["sharpness_static"]]
    ]  # fmt: skip
    for name, n in rows.items():
        table.append(
            [people, name, *(n[key] for key in measured), n["lmd"], n["lmd_share"], n["shape_share"], n["opening_r"],
             n["opening_slope"], n["sharpness"]]
        )  # fmt: skip
    return table


MOTION_HEAD = (
    "people", "drawn by", "SSIM", "PSNR dB", "lips PSNR dB", "LMD", "LMD share", "shape share", "opening r", "slope",
    "sharpness",
)  # fmt: skip


def sound_rows(rows: dict, people: str) -> list[list[object]]:
    """Share against the static photo over the same pictures; lag where every picture was compared."""
    clean = rows[SOUND_ROW]["lmd"]
    table: list[list[object]] = []
    for name, n in rows.items():
        lag = f"{n['sync']['lag']:+.2f} ({n['sync']['within_one']:.0%})" if "sync" in n else ""
        table.append(
            [people, name, n["lmd"], n["lmd_share"], n["shape_share"], n["lmd"] / clean, n["opening_r"],
             n["opening_slope"], n.get("ssim", ""), n.get("psnr_lips", ""), lag]
        )  # fmt: skip
    return table


SOUND_HEAD = (
    "people", "sound", "LMD", "LMD share", "shape share", "of clean", "opening r", "slope", "SSIM", "lips PSNR dB",
    "lag in pictures (clips within 1)",
)  # fmt: skip


def section_true(results: dict) -> list[str]:
    rows = [row for people, numbers in results["true-motion"].items() for row in motion_rows(numbers, people)]
    counts = {people: next(iter(numbers.values()))["clips"] for people, numbers in results["true-motion"].items()}
    clips = ", ".join(f"{people}: {count} clips" for people, count in counts.items())
    return [
        "## Under true motion\n\n"
        "Portrait: the first picture of a GRID clip with a shut mouth; driven by the clip's own landmarks (lips, "
        "brows, lids, head angles); truth: the clip's other pictures, brought to the drawn head's place by a "
        "similarity on rigid points. SSIM and PSNR in the mouth box (1.92 x 1.6 eye distances); lips PSNR: within the "
        "lips of photo and truth and 0.05 around them; LMD: distance of re-detected lip landmarks, pose removed, in "
        "eye distances, and as a share of the static photo's; shape share: the same about the lips' own mean (as Chen "
        f"et al. 2018 reckon it), so that a nod that was read as a shift counts for nothing. {clips}. s5 is in no "
        "training set; s1 is, with other sentences.\n\n",
        markdown_table(MOTION_HEAD, rows),
    ]


def section_rendered(results: dict) -> list[str]:
    found = results["rendered"]
    if "missing" in found:
        return [f"## Rendered strangers\n\n{found['missing']}.\n"]
    first = next(iter(found.values()))
    exact: list[list[object]] = [
        ["the landmarker on the true pictures", first["lmd_exact_read"], first["lmd_exact_read_share"], "", "", "",
         first.get("lid_deepest_read_true", "")]
    ]  # fmt: skip
    for name, n in found.items():
        exact.append(
            [name, n["lmd_exact"], n["lmd_exact_share"], n["lid_slope"], n.get("lid_deepest", ""), n["lid_read_slope"],
             n.get("lid_deepest_read", "")]
        )  # fmt: skip
    head = ("", "LMD, exact truth", "share", "lid slope", "lids at the deepest", "slope as read", "read at the deepest")
    return [
        f"## Rendered strangers\n\n{first['clips']} people who exist nowhere, in no training set (seeds from 5000 on), "
        "speaking, blinking, swaying; 320 px pictures, driven by what the landmarker reads (lips) and the renderer "
        "knows (lids).\n\n",
        markdown_table(MOTION_HEAD, motion_rows(found, "rendered")),
        "\nAgainst the renderer's own landmarks: displacement from rest of 20 lip points, head motion left out. The "
        "landmarker's own error on the true pictures is the first row; the codes that drive the face are read with it. "
        "Lids: gap of the drawn lids' lines, and of what the landmarker reads on drawn and on true pictures, as a "
        "share of open.\n\n",
        markdown_table(head, exact),
    ]


def section_sound(results: dict) -> list[str]:
    rows = [row for people, numbers in results["sound"].items() for row in sound_rows(numbers, people)]
    rendered = results.get("rendered-sound", {})
    if rendered and "missing" not in rendered:
        rows += sound_rows(rendered, "rendered")
    return [
        "## By sound alone\n\n"
        "The whole shipped path: encoder, shaper (laws, idle life, mood from the voice), generator; only the head's "
        "angles are the true ones, since sound doesn't tell them. 80 and 0 ms of lookahead; noises of classes and "
        "recordings that no training heard. A share of 1 is the static photo. Lag: peak of the cross-correlation of "
        "the drawn opening with the true one, positive where the drawn one is late. The truth of rendered people is a "
        "recipe for each phone, not somebody's speech: there the sound can only be roughly right.\n\n",
        markdown_table(SOUND_HEAD, rows),
        "\n![r by lag; change from picture to picture](sync_and_flicker.jpg)\n",
    ]


def section_ceiling(results: dict) -> list[str]:
    head = ("people", "motion", "LMD share", "shape share", "opening r", "slope")
    rows = [
        [people, name, n["lmd_share"], n["shape_share"], n["opening_r"], n["opening_slope"]]
        for people, numbers in results["ceiling"].items()
        for name, n in numbers.items()
    ]
    return [
        "### What sound can do\n\n"
        "The same clips, driven by motion that is pieced together. The labeller hears the whole clip before it says "
        "anything, and was taught on the teacher's features of clean sound (its course of val is kept by `voxcam train "
        "score motion`). GRID's mean: the regression of each channel of the mouth on the opening.\n\n"
        "The portrait is the clip's first picture with a shut mouth, as above: for who waits with lips apart that is a "
        "p, b or m of the first word, when the jaw is low and the corners are drawn in, and by sound all that follows "
        "starts from there. Photo taken in silence: the first shut mouth that is .2 s and more from every phone, as "
        "people have it in a photo.\n\n",
        markdown_table(head, rows),
    ]


def section_place(results: dict) -> list[str]:
    people = list(results["place"])
    names = list(results["place"][people[0]])
    return [
        "Were the lips' true shape known at every moment, sound telling it without a fault, this much of a static "
        "photo's distance would be left to their place, the mean of their points, which differs from sentence to "
        "sentence and from talker to talker (train/face/lips_place.py; places by shape from all other training "
        "talkers):\n\n",
        markdown_table(("", *people), ([name, *(results["place"][who][name] for who in people)] for name in names)),
    ]


def section_moods(results: dict) -> list[str]:
    found = results["moods"]
    voices = found["voices"]
    parts = [
        "## Moods\n\nHeld-out EMO-DB speakers, the sentences of one mood in a row, on one portrait: what the mood read "
        "from the voice (`auto`) changes against `off`, read on drawn pictures from the fourth second on, mean (eye "
        "distances; lids as a share of open). Shown: share of the time that `auto` changes the face.\n\n",
        markdown_table(
            ("voice", *next(iter(voices.values()))), ([mood, *values.values()] for mood, values in voices.items())
        ),
    ]
    if found["actor"]:
        rows = [
            [mood, name, n["lmd"], n["lmd_share"], n["shape_share"], n["opening_r"], n["opening_slope"]]
            for mood, ways in found["actor"].items()
            for name, n in ways.items()
        ]
        parts += [
            "\nOne actor of CREMA-D, one sentence in six moods, never trained on (one person: an example, no "
            "statistic):\n\n",
            markdown_table(("mood", "driven by", "LMD", "LMD share", "shape share", "opening r", "slope"), rows),
        ]
    return parts


def section_smiles(results: dict) -> list[str]:
    found = results["smiles"]
    people = found["people"]
    keys = ("ssim", "gradient_similarity", "gmsd", "lmd", "sharpness")
    rows = [
        [name, *(n[key] for key in keys)] for name, n in found.items() if name not in ("people", "rest", "sharpness")
    ]
    shapes = ("parted", "half", "wide")
    sharp = [
        [name, *(f"{n[s]:.2f} ({n[f'{s}, least']:.2f} to {n[f'{s}, most']:.2f})" for s in shapes)]
        for name, n in found["sharpness"].items()
    ]
    return [
        f"## Sharp photos of real people\n\nClosed mouth -> own smile under true motion, {people['count']} people of "
        "the London set at 72 px between the eyes. **All of them are in training** (geometry, network, the way to "
        "rest), so this is no test of strangers. Gradient similarity: mean over pixels (1 is the same) and deviation, "
        "GMSD (0 is the same), of Xue, Zhang, Mou, Bovik, IEEE Trans. Image Processing 23(2), 2014; a learned "
        "perceptual distance (LPIPS) was not at hand.\n\n",
        markdown_table(("drawn by", "SSIM", "gradient similarity", "GMSD", "LMD", "sharpness"), rows),
        f"\nGMSD is better than the static photo's in {people['gmsd_better']:.0%} of people. Smiling portraits brought "
        f"to rest: the lips' distance to the own neutral photo's is {found['rest']['share']:.3f} of no change; with "
        f"the person left out of what taught it, {found['rest']['left_out']:.3f} (train/face/unsmile.py).\n\n"
        "Sharpness of the drawn mouth box against the photo's own, 14 strangers of the Canadian set (mean, least, "
        "most):\n\n",
        markdown_table(("drawn by", *shapes), sharp),
    ]


def section_identity(results: dict) -> list[str]:
    found = results["identity"]
    if "missing" in found:
        return [f"## Who it is\n\n{found['missing']}.\n"]
    names = ("parted", "half", "wide", "smile", "turned", "own smile", "all", "smile at rest")
    rows = [[name, *(n[key] for key in names), n["cosine"], n["strangers"]] for name, n in found["rows"].items()]
    return [
        "## Who it is\n\nAn independent face model (dlib's ResNet, D. King, CC0; below 0.6 is the same person): "
        "distance of the drawn face to the neutral photo it was drawn from, as a share of "
        f"{found['own_two_photos']:.2f}, the mean distance of a person's neutral and smiling photos ({found['people']} "
        f"people of the London set). Between strangers it is {found['others']:.2f} (nearest hundredth "
        f"{found['others_nearest_percent']:.2f}). Smile at rest: a smiling portrait drawn at rest, against the neutral "
        f"photo. Strangers: the distance itself, of {found['strangers']} people of the Canadian set, who have one "
        "photo.\n\n",
        markdown_table(("drawn by", *names, "cosine", "strangers, distance"), rows),
    ]


def section_steady(results: dict) -> list[str]:
    found = results["steady"]
    places = ("mouth", "upper face", "around the head", "shoulders", "beyond")
    rows = [
        [name, *(f"{row[place]['deviation']:.2f} ({row[place]['deviation_p99']:.1f})" for place in places)]
        for name, row in found["flicker"].items()
    ]
    keys = (
        *("around the head", "around the head, coded", "shoulders", "shoulders, coded"),
        *("beyond", "beyond, largest", "beyond, coded"),
    )
    return [
        "## What must not change\n\nDeviation over 75 pictures of speech, grey levels: mean of pixels, 99th percentile "
        "in brackets. Drawn: head, eyes and brows kept still, so that all change outside the mouth is flicker. Real "
        "video: with its camera's noise, brows and blinks.\n\n",
        markdown_table(("pictures", *places[:-1], "beyond"), rows),
        "\nDistance to the photo, grey levels, mean; coded: after H.264, less what the codec does to the static photo. "
        "Around the head: hair and background between face and the mesh's last ring, neck left out. Shoulders: the "
        "person below the chin, beyond that ring. Beyond: all else, the wall beside the shoulders among it.\n\n",
        markdown_table(
            ("", "around the head", "coded", "shoulders", "coded", "beyond", "largest", "coded"),
            ([name, *(n.get(key, "") for key in keys)] for name, n in found["outside"].items()),
        ),
    ]


def section_speed(results: dict) -> list[str]:
    rows = [
        [name, t["all"], 1000 / t["all"], t["speech"], t.get("network", "")] for name, t in results["speed"].items()
    ]
    return [
        "## Speed\n\nOne core, 1280x720, face 480 px high, whole picture composed, CPU ms (median):\n\n",
        markdown_table(("drawn by", "all moving", "pictures/s", "lips only", "network"), rows),
    ]


FIGURES = (
    ("unseen_rendered", "Unseen: L. DeBruine (CC0), sixteen rendered people who exist nowhere, GRID's talker s5."),
    (
        "unseen_real",
        "Unseen by the generator: Young Adult White Faces, L. DeBruine and B. Jones (CC BY 4.0, altered).",
    ),
    (
        "london",
        "In training, more skins and ages: Face Research Lab London Set, L. DeBruine and B. Jones (CC BY 4.0, "
        "altered); the last four portraits smile, and are drawn from that.",
    ),
    ("others", "Columns: photo, parted, pucker, gaze, turned."),
    ("mouth_3x", "Mouths three times as large as in 1280x720: photo, rest, half, wide, tongue raised, smile."),
    (
        "smiling",
        "Smiling and parted portraits (London set, in training): photo, rest, parted, half, wide, 1.5 times as large.",
    ),
    ("smiling_faces", "The same people's whole faces: photo, rest, half, smile."),
    ("eyes_3x", "Eyes three times as large: photo, blink, gaze."),
)
SECTIONS = {
    "true-motion": section_true,
    "sound": section_sound,
    "ceiling": section_ceiling,
    "place": section_place,
    "rendered": section_rendered,
    "moods": section_moods,
    "smiles": section_smiles,
    "identity": section_identity,
    "steady": section_steady,
    "speed": section_speed,
}


def markdown(results: dict, out: Path, old: list[str]) -> str:
    """The whole page. `old`: stages that were made with other weights or drawing code than there are now."""
    parts = ["# The face\n\n`voxcam train score face`.\n\n"]
    if old:
        parts.append(f"**Made with earlier weights or code: {', '.join(old)}.**\n\n")
    parts.append(markdown_table(("unseen people where not said", "wanted", "measured", "met"), shows(results)))
    if (out / NOTES).is_file():
        parts.append("\n" + (out / NOTES).read_text())
    for name, section in SECTIONS.items():
        found = results.get(name)
        if found and set(found) == {"missing"} and name not in ("rendered", "identity"):
            parts.append(f"\n## {name}\n\n{found['missing']}.\n")
        elif found:
            parts.append("\n")
            parts += section(results)
    parts.append("\n## Sheets\n\nColumns where not said: photo, rest, half, wide, smile, blink.\n")
    for name, caption in FIGURES:
        if (out / f"{name}.jpg").is_file():
            parts.append(f"\n{caption}\n\n![{name}]({name}.jpg)\n")
    return "".join(parts)
