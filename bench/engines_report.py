"""`voxcam bench engines`: every engine of every model, built, verified and timed in turns; and its report."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bench.figures import draw_engines
from bench.latency import Progress
from bench.rows import Row, as_report, describe_machine, machine_line, markdown_table, write_report
from bench.throughput import TURN_S, Contestant, stepper
from bench.yardstick import NAME as YARDSTICK
from bench.yardstick import yardstick_card
from engines.backends import BACKENDS, find_backend
from engines.building.auto import rank
from engines.building.build import build_engine, models, open_engine
from engines.building.profile import profile_layers
from engines.card import card_path, read_card
from engines.errors import ConfigError, VoxcamError
from engines.golden import Golden, golden_path, read_golden, replay
from engines.session import Session
from engines.spec import SPEC, SPEECH_CHANNELS

AHEAD_OF_TIME = ("7.5", "8.6", "8.9", "12.0")
ENGINE_COLUMNS = (
    "model",
    "backend",
    "precision",
    "ms",
    "per_second",
    "error",
    "verified",
    "size_mb",
    "build_s",
    "note",
)
ACCURACY_COLUMNS = ("model", "backend", "precision", "error", "opening_error", "phones_same", "psnr_db", "lip_distance")
OPEN = SPEECH_CHANNELS.index("jawOpen")


def measure_engines(backend: str = "all", repeats: int = 5, progress: Progress = lambda text: None) -> list[Row]:
    """A row for each model, backend and precision; without `ms` where it cannot run here."""
    if backend != "all" and backend not in BACKENDS:
        raise ConfigError(f"no backend {backend!r}", f"choose all or one of {', '.join(BACKENDS)}")
    rows: list[Row] = []
    contestants: list[tuple[Row, Contestant]] = []
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        for card in [*map(card_path, models()), yardstick_card()]:
            for name in BACKENDS if backend == "all" else (backend,):
                for row, session, inputs in _engines_of(card, name, folder, progress):
                    rows.append(row)
                    if session is not None:
                        stack.enter_context(session)
                        contestants.append((row, Contestant(stepper(session, inputs))))
        for turn in range(repeats):
            progress(f"timing: round {turn + 1} of {repeats}, {len(contestants)} engines in turns")
            for _, contestant in contestants:
                contestant.take_turn(TURN_S)
    for row, contestant in contestants:
        rates = np.array(contestant.rates)
        row["ms"] = round(1e3 / float(np.median(rates)), 4)
        row["per_second"] = round(float(np.median(rates)), 1)
        row["repeats"] = [round(float(rate), 2) for rate in rates]
        row["spread"] = round(float((rates.max() - rates.min()) / np.median(rates)), 3)
    return rows


def _engines_of(
    card: Path, backend: str, folder: Path, progress: Progress
) -> list[tuple[Row, Session | None, dict[str, np.ndarray]]]:
    found = read_card(card)
    module = find_backend(backend)
    try:
        module.version()
        devices = module.devices()
    except VoxcamError as error:
        row: Row = {"measure": "engine", "model": found.name, "backend": backend, "precision": "-"}
        return [(row | {"note": error.what}, None, {})] if found.name != YARDSTICK else []
    if not devices and hasattr(module, "COMPUTE_CAPABILITIES"):
        return _ahead_of_time(card, backend, folder, progress) if found.name != YARDSTICK else []
    results = []
    for device in devices:
        for precision in module.precisions(device):
            if found.name == YARDSTICK and precision not in module.COMPILES:
                continue  # random weights have no ranges worth quantising
            progress(f"{found.name} {backend} {precision}")
            row = {"measure": "engine", "model": found.name, "backend": backend, "precision": precision}
            try:
                results.append(_one_engine(card, row, backend, precision, device, folder))
            except VoxcamError as error:
                results.append((row | {"verified": False, "note": error.what}, None, {}))
    return results


def _one_engine(
    card: Path, row: Row, backend: str, precision: str, device: str, folder: Path
) -> tuple[Row, Session | None, dict[str, np.ndarray]]:
    found = read_card(card)
    if found.name == YARDSTICK:  # no golden stream: it draws nothing, so there is nothing to verify
        random = np.random.default_rng(0)
        inputs = {name: random.random((2, *tensor.shape), np.float32) for name, tensor in found.inputs.items()}
        return row | {"note": "the yardstick"}, open_engine(card, backend, device, precision, 1), inputs
    built = build_engine(card, backend, precision, device, engines_dir=folder)
    golden = read_golden(golden_path(found, card.parent), found)
    session = open_engine(card, backend, device, precision, 1, engines_dir=folder)
    record, comparison = built.card.build, built.comparison
    if record is None or comparison is None:
        return row, session, dict(golden.inputs)
    row |= {"error": float(f"{comparison.worst[1]:.3g}"), "worst_tensor": comparison.worst[0], "verified": True}
    row |= {"size_mb": round(record.size_bytes / 1e6, 2), "build_s": record.build_s, "note": record.note}
    return row | accuracy(session, golden), session, dict(golden.inputs)


def _ahead_of_time(
    card: Path, backend: str, folder: Path, progress: Progress
) -> list[tuple[Row, Session | None, dict[str, np.ndarray]]]:
    """Engines for GPUs that are not here: built, not run."""
    results: list[tuple[Row, Session | None, dict[str, np.ndarray]]] = []
    for precision in find_backend(backend).precisions("cuda"):
        targets = AHEAD_OF_TIME if precision in ("fp16", "int8") else AHEAD_OF_TIME[1:]
        progress(f"{card.name} {backend} {precision} for {', '.join(targets)}")
        row: Row = {"measure": "engine", "model": read_card(card).name, "backend": backend, "precision": precision}
        try:
            record = build_engine(card, backend, precision, None, targets, folder).card.build
        except VoxcamError as error:
            results.append((row | {"verified": False, "note": error.what}, None, {}))
            continue
        if record is not None:
            row |= {"size_mb": round(record.size_bytes / 1e6, 2), "build_s": record.build_s, "verified": False}
            row["note"] = f"ahead of time for {', '.join(targets)}; no GPU here to run it"
        results.append((row, None, {}))
    return results


def accuracy(session: Session, golden: Golden) -> dict[str, Any]:
    """What the error means: of an encoder, in opening and phones; of a generator, in the picture."""
    outputs = replay(session, golden.inputs)
    if "phone_logits" in outputs:
        difference = outputs["motion"][..., OPEN] - golden.outputs["motion"][..., OPEN]
        same = outputs["phone_logits"].argmax(-1) == golden.outputs["phone_logits"].argmax(-1)
        return {
            "opening_error": float(f"{np.sqrt((difference**2).mean()):.3g}"),
            "phones_same": round(float(same.mean()), 4),
        }
    if session.card.name == "generator":
        return picture_accuracy(session)
    return {}


def picture_accuracy(session: Session, pictures: int = 24) -> dict[str, Any]:
    """PSNR of the drawn face against the fp32 engine's, and how far our landmarker sees the lips moved by it."""
    from bench.rig import Rig, shipped_speech
    from bench.throughput import motion_course
    from engines.face.landmarker import Landmarker
    from engines.face.measure import eye_distance
    from engines.face_points import INNER_LIPS, OUTER_LIPS
    from engines.generator import Generator
    from engines.opening import open_session

    rig = Rig.open()
    codes = motion_course(rig, shipped_speech()[: SPEC.sample_rate_hz * 3])
    codes = codes[:: max(1, len(codes) // pictures)]
    lips = (*OUTER_LIPS, *INNER_LIPS)
    x0, y0, x1, y1 = (int(value) for value in rig.portrait.box)
    squares, moved = [], []
    with open_session(session.card.name) as plain, Landmarker() as landmarker:
        exact, other = Generator(plain), Generator(session)
        for k, code in enumerate(codes):
            true, drawn = exact.draw(code, rig.portrait), other.draw(code, rig.portrait)
            difference = true[y0:y1, x0:x1].astype(np.float64) - drawn[y0:y1, x0:x1]
            squares.append(float((difference**2).mean()))
            if k % 4 == 0:
                face = max(landmarker.find_faces(true), key=lambda found: found.size_px)
                points, others = landmarker.landmarks(true, face).points, landmarker.landmarks(drawn, face).points
                shift = np.linalg.norm((points - others)[list(lips), :2], axis=-1).mean()
                moved.append(float(shift / eye_distance(points)))
    mean = max(float(np.mean(squares)), 1e-9)
    return {"psnr_db": round(10 * np.log10(255**2 / mean), 1), "lip_distance": round(float(np.mean(moved)), 5)}


def write_engines_report(rows: list[Row], out: Path) -> None:
    """README.md, rows.json and figure in a folder."""
    out.mkdir(parents=True, exist_ok=True)
    choices, profiles = [], []
    with tempfile.TemporaryDirectory() as temporary:
        for name in models():
            order = rank(name, engines_dir=Path(temporary))
            choices.append(f"* {name}: {', then '.join(f'{option} ({option.ms:.3f} ms)' for option in order)}")
            best = order[0]
            layers = profile_layers(name, best.backend, best.precision) if best.device == "cpu" else []
            if layers:
                shown = [
                    {"layer": x.name[-50:], "kind": x.kind, "ms": x.ms, "share": f"{x.share:.0%}"} for x in layers[:8]
                ]
                title = f"{name}, {best}: {len(layers)} layers, the slowest"
                profiles.append(
                    f"**{title}** (`voxcam engines profile --model {name} --backend {best.backend}"
                    f" --precision {best.precision}`)\n\n" + markdown_table(shown, ("layer", "kind", "ms", "share"))
                )
    measured = [row for row in rows if row.get("ms")]
    fastest: dict[str, Row] = {}
    for row in measured:
        if row["model"] not in fastest or row["ms"] < fastest[row["model"]]["ms"]:
            fastest[row["model"]] = row
    machine = describe_machine()
    lines = [
        "# Engines",
        "",
        "Made by `voxcam bench engines --out docs/reports/engines`. Every engine is built from the shipped model,"
        " replays the golden stream, and is then timed on one thread, all engines in turns (median of the rounds, in"
        " processor time; `spread` in rows.json is max - min over median).",
        "",
        f"{machine_line(machine)} Load when this was written: {(machine['load'] or ['?'])[0]}.",
        "",
        markdown_table(
            rows,
            ENGINE_COLUMNS,
            ("model", "backend", "precision", "ms", "calls/s, 1 core", "error", "verified", "MB", "build s", "note"),
        ),
        "",
        "![speed against error](engines.png)",
        "",
        "error: root mean square of the difference from the golden stream (made by the PyTorch model in float32), over"
        " what the tensor varies by, of the worst tensor.",
        "",
        "## What the error means",
        "",
        markdown_table(
            [row for row in rows if "opening_error" in row or "psnr_db" in row],
            ACCURACY_COLUMNS,
            (
                "model",
                "backend",
                "precision",
                "error",
                "mouth opening, eye distances",
                "same phone",
                "face PSNR against fp32, dB",
                "lips moved by, eye distances",
            ),
        ),
        "",
        "## What `auto` picks here",
        "",
        "The fastest whose verification passes, of those that need no build; engines that were built join in.",
        "",
        *choices,
        "",
        "## Against the yardstick",
        "",
        *_yardstick_lines(fastest),
        "",
        "## Where the time goes",
        "",
        "\n\n".join(profiles),
        "",
    ]
    (out / "README.md").write_text("\n".join(lines), encoding="utf-8")
    write_report(as_report(rows), out / "rows.json")
    draw_engines(rows, out / "engines.png")


def _yardstick_lines(fastest: dict[str, Row]) -> list[str]:
    stick = fastest.get(YARDSTICK)
    if stick is None:
        return ["Not measured."]
    lines = [
        "A plain generator of Wav2Lip's size (36 M parameters, 96x96, the published layer shapes, random weights:"
        f" bench/yardstick.py) makes {stick['per_second']:.0f} pictures/s at best on this core"
        f" ({stick['backend']} {stick['precision']}), in the same run."
    ]
    for name, row in fastest.items():
        if name != YARDSTICK:
            times = row["per_second"] / stick["per_second"]
            best = f"{row['backend']} {row['precision']}"
            lines.append(f"* {name}: {row['per_second']:,.0f} calls/s ({best}), {times:,.0f} times as many")
    return lines
