"""docs/reports/face: the numbers and the sheets of `voxcam train score face`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from engines.generator import Generator, open_generator
from engines.measure import canonical_face, remove_pose
from engines.portrait import Portrait, make_portrait
from train.face_score import bring_to_pose, draw_sheet, mouth_box, score_people, speech_shapes, ssim, time_draw
from train.generator_data import read_rgb
from train.reports import markdown_table
from train.shards import write_whole

LONDON_SHEET = ("001", "004", "007", "020", "036", "082", "100", "138")
CC0_SHEET = ("lisa_lisa1", "zoom_30cm", "zoom_60cm")
Say = Callable[[str], None]


def grid_clips(data: Path, landmarks: Path, talker: str, most: int) -> list[tuple[Path, Path]]:
    folder = data / "grid" / "val" / talker
    clips = sorted(folder.glob("*.mkv"))[:most]
    return [(clip, landmarks / "grid" / "val" / talker / f"{clip.stem}.npy") for clip in clips]


def photo(data: Path, landmarks: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    (path,) = (data / "faces").glob(f"*/{name}.jpg")
    return read_rgb(path), np.load(landmarks / "faces" / f"{name}.npy")


def head_portraits(heads: Path, count: int) -> list[Portrait]:
    """Rendered people, in no training set where `heads` says so."""
    made = []
    for path in sorted(heads.glob("*[0-9].npz"))[:count]:
        with np.load(path) as stored:
            made.append(make_portrait(stored["pictures"][0], stored["landmarks"][0]))
    return made


def score_smiles(data: Path, landmarks: Path, generators: dict[str, Generator]) -> dict[str, dict[str, float]]:
    """Closed mouth -> own smile, sharp real people: SSIM of the mouth box at 72 px between the eyes."""
    rows: dict[str, list[float]] = {}
    for smile in sorted((data / "faces" / "london").glob("*_smile.jpg")):
        stems = (smile.stem.replace("smile", "neutral"), smile.stem)
        (neutral, at_rest), (smiling, moved) = (photo(data, landmarks, stem) for stem in stems)
        points = np.stack([at_rest, moved])
        if not np.isfinite(points).all():
            continue
        portrait = make_portrait(neutral, at_rest)
        codes = still_codes(points)
        truth, _ = bring_to_pose(np.stack([neutral, smiling]), points, codes, portrait, 0, smooth=False)
        box = mouth_box(portrait)
        shrink = 72 / float(portrait.scale[0])

        def grey(picture: np.ndarray, box: tuple[slice, slice] = box, shrink: float = shrink) -> np.ndarray:
            small = cv2.resize(picture[box], None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)

        rows.setdefault("static photo", []).append(ssim(grey(portrait.photo), grey(truth[1])))
        for name, generator in generators.items():
            rows.setdefault(name, []).append(ssim(grey(generator.draw(codes[1], portrait)), grey(truth[1])))
    return {name: {"ssim": float(np.mean(values))} for name, values in rows.items()}


def still_codes(landmarks: np.ndarray) -> np.ndarray:
    """Codes (n, 25) of stills of one person, the first at rest."""
    from engines.measure import mouth_measures
    from engines.spec import MOTION_CHANNELS, SPEECH_CHANNELS

    aligned, *_ = remove_pose(landmarks, canonical_face())
    measures = mouth_measures(aligned)
    codes = np.zeros((len(landmarks), len(MOTION_CHANNELS)), np.float32)
    codes[:, : len(SPEECH_CHANNELS)] = measures - measures[0]
    return codes


def rest_distance(data: Path, landmarks: Path) -> float:
    """Smiling portraits brought to rest: lips' distance to the own neutral photo's, as a share of no change."""
    from engines.measure import INNER_LIPS, OUTER_LIPS

    lips = list(INNER_LIPS + OUTER_LIPS)
    done, before = [], []
    for smile in sorted((data / "faces" / "london").glob("*_smile.jpg")):
        rgb, moved = photo(data, landmarks, smile.stem)
        at_rest = np.load(landmarks / "faces" / f"{smile.stem.replace('smile', 'neutral')}.npy")
        if not np.isfinite(np.stack([moved, at_rest])).all():
            continue
        aligned, *_ = remove_pose(np.stack([moved, at_rest]), canonical_face())
        portrait = make_portrait(rgb, moved)
        shift = np.zeros_like(aligned[0])
        shift[:468] = portrait.rest_shift[:468]
        done.append(np.linalg.norm((aligned[0] + shift - aligned[1])[lips, :2], axis=1).mean())
        before.append(np.linalg.norm((aligned[0] - aligned[1])[lips, :2], axis=1).mean())
    return float(np.mean(done) / np.mean(before))


def outside_change(portrait: Portrait, generator: Generator) -> float:
    """Largest change, grey levels, of any pixel beyond the mesh's outermost ring, at a strong motion with head turn."""
    codes = speech_shapes_of(portrait)
    drawn = generator.draw(codes, portrait).astype(int)
    x0, y0, x1, y1 = portrait.box
    change = np.abs(drawn - portrait.photo).max(2)
    change[y0:y1, x0:x1] = 0
    return float(change.max())


def speech_shapes_of(portrait: Portrait) -> np.ndarray:
    code = np.zeros(portrait.basis.shape[0], np.float32)
    code[0], code[6], code[-5:] = 0.2, 0.12, 0.04
    return code


def report(
    data: Path,
    landmarks: Path,
    heads: Path | None,
    out: Path,
    clips: int = 12,
    card: Path | None = None,
    say: Say = print,
) -> dict:
    """Score, draw the sheets and write README.md, report.json and *.jpg into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    generators: dict[str, Generator] = {"closed form": Generator()}
    with_network = open_generator(card or "generator")
    if with_network.session is not None:
        generators["with network"] = with_network
    found: dict = {"people": {}}
    for people, talker in (("seen (s1)", "s1"), ("unseen (s5)", "s5")):
        numbers: dict = {}
        for name, numbers in score_people(grid_clips(data, landmarks, talker, clips), generators):  # noqa: B007
            say(f"{people}: {name}")
        found["people"][people] = numbers
    found["smiles"] = score_smiles(data, landmarks, generators)
    found["smiling_portraits_at_rest"] = rest_distance(data, landmarks)
    best = list(generators.values())[-1]
    shapes = speech_shapes(landmarks / "grid" / "train")
    london = [make_portrait(*photo(data, landmarks, f"{name}_neutral")) for name in LONDON_SHEET]
    own = [make_portrait(*photo(data, landmarks, name)) for name in CC0_SHEET]
    rendered = head_portraits(heads, 6) if heads else []
    sheets = {
        "sheet_cc0": draw_sheet(own, shapes, best, 150),
        "sheet_london": draw_sheet(london, shapes, best, 104),
        "mouths": draw_sheet(
            own[1:], {k: shapes[k] for k in ("rest", "parted", "half", "wide", "smile")}, best, 250, "mouth"
        ),
        "eyes": draw_sheet(own[1:], {k: shapes[k] for k in ("rest", "blink", "gaze")}, best, 330, "eyes"),
    }
    if rendered:
        sheets["sheet_rendered"] = draw_sheet(rendered, shapes, best, 120)
    for name, picture in sheets.items():
        _, data_bytes = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])
        write_whole(out / f"{name}.jpg", data_bytes.tobytes())
    face480 = sized(own[1], 480)
    found["speed_ms"] = {name: time_draw(face480, generator) for name, generator in generators.items()}
    found["change_outside"] = max(outside_change(portrait, best) for portrait in own)
    found["encoder_used"] = bool(own[0].vector.size)
    write_whole(out / "report.json", json.dumps(found, indent=1).encode())
    (out / "README.md").write_text(markdown(found, out))
    return found


def sized(portrait: Portrait, face_px: int) -> Portrait:
    """The same person in a 1280x720 picture, the face `face_px` from hairline to chin."""
    height = float(np.ptp(portrait.landmarks[[10, 152], 1]))
    zoom = face_px / height
    middle = portrait.landmarks[4, :2]
    matrix = np.array([[zoom, 0, 640 - zoom * middle[0]], [0, zoom, 380 - zoom * middle[1]]])
    picture = cv2.warpAffine(portrait.photo, matrix, (1280, 720), None, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
    points = portrait.landmarks * zoom
    points[:, :2] = portrait.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2] + 0.5
    return replace(make_portrait(picture, points))


NOTES = "notes.md"  # what a viewer would notice: written by hand beside the report, shown in it


def markdown(found: dict, out: Path) -> str:
    parts = ["# The face\n", "`voxcam train score face`. "]
    parts.append(
        "Portrait: the first picture of a GRID clip with a shut mouth; driven by the clip's own landmarks (lips, "
        "brows, lids, head angles); truth: the clip's other pictures, brought to the drawn head's place by a "
        "similarity on rigid points. SSIM and PSNR in the mouth box (1.92 x 1.6 eye distances); LMD: distance of "
        "re-detected lip landmarks, pose removed, in eye distances, and as a share of the static photo's. Talker s5 is "
        "in no training set.\n\n"
    )
    head = ["people", "drawn by", "SSIM", "PSNR dB", "LMD", "LMD share", "opening r", "slope", "sharpness"]
    rows: list[list[object]] = []
    for people, numbers in found["people"].items():
        first = next(iter(numbers.values()))
        rows.append(
            [
                people,
                "static photo",
                first["ssim_static"],
                first["psnr_static"],
                first["lmd_static"],
                1.0,
                "",
                "",
                first["sharpness_static"],
            ]
        )
        for name, n in numbers.items():
            rows.append(
                [
                    people,
                    name,
                    n["ssim"],
                    n["psnr"],
                    n["lmd"],
                    n["lmd_ratio"],
                    n["opening_r"],
                    n["opening_slope"],
                    n["sharpness"],
                ]
            )
    parts.append(markdown_table(head, rows))
    parts.append(
        "\nClosed mouth -> own smile, 82 sharp real people (their landmarks and pictures are in training):\n\n"
    )
    parts.append(
        markdown_table(["drawn by", "SSIM of the mouth box"], [[k, v["ssim"]] for k, v in found["smiles"].items()])
    )
    share = found["smiling_portraits_at_rest"]
    parts.append(
        f"\nSmiling portraits at rest: lips' distance to the own neutral photo's is {share:.2f} of no change.\n\n"
    )
    parts.append("One core, 1280x720, face 480 px high, whole picture composed, CPU ms (median):\n\n")
    speed = [
        [name, t["all"], 1000 / t["all"], t["speech"], t.get("network", "")] for name, t in found["speed_ms"].items()
    ]
    parts.append(markdown_table(["drawn by", "all moving", "pictures/s", "lips only", "network"], speed))
    parts.append(f"\nLargest change beyond the mesh: {found['change_outside']:.0f} grey levels.\n")
    if (out / NOTES).is_file():
        parts.append("\n" + (out / NOTES).read_text())
    for name in ("sheet_cc0", "mouths", "eyes", "sheet_rendered", "sheet_london"):
        if (out / f"{name}.jpg").is_file():
            parts.append(f"\n![{name}]({name}.jpg)\n")
    parts.append(
        "\nColumns: photo, rest, parted, half, wide, smile, pucker, blink, gaze, turned. People: L. DeBruine (CC0); "
        "Face Research Lab London Set, L. DeBruine and B. Jones (CC BY 4.0, altered); rendered heads exist nowhere.\n"
    )
    return "".join(parts)
