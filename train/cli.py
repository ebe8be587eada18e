"""`voxcam train`: prepare data, train, judge, export. Each command loads what it needs when it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Train the models: prepare, train, judge, export.", no_args_is_help=True, add_completion=False)
corpus_app = typer.Typer(help="Look at a corpus before training on it.", no_args_is_help=True)
score_app = typer.Typer(help="Measure a trained model and write the report.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")
app.add_typer(score_app, name="score")

DataRoot = Annotated[Path, typer.Option("--data-root", envvar="VOXCAM_DATA", help="Folder of grid/, speech/, noise/.")]
Cache = Annotated[Path, typer.Option("--cache", envvar="VOXCAM_CACHE", help="Folder of prepared shards.")]
Landmarks = Annotated[
    Path | None, typer.Option("--landmarks", help="Folder of cached landmarks; CACHE/landmarks when not given.")
]
Checkpoint = Annotated[Path, typer.Option("--checkpoint", help="A training run's .safetensors.")]
Judged = Annotated[
    Path | None,
    typer.Option("--checkpoint", help="A training run's .safetensors or an exported encoder.onnx; the shipped one's."),
]
Config = Annotated[Path | None, typer.Option("--config", help="TOML; the shipped one when not given.")]
Calibration = Annotated[
    Path | None, typer.Option(help="Checkpoint of a run that left talkers out: it sets the motion's amplitude.")
]
CONFIGS = Path(__file__).parent / "configs"


@corpus_app.command("check")
def corpus_check(name: str, path: Path) -> None:
    """Print a table of what was found of corpus NAME under PATH, and the sounds that cannot be read."""
    from train.data.corpora import load_corpus
    from train.data.corpus_check import check_sounds, table

    clips = load_corpus(name, path)
    typer.echo(table(name, clips))
    check_sounds(clips)


@app.command()
def prepare(
    data_root: DataRoot,
    cache: Cache = Path("cache"),
    landmarks: Landmarks = None,
    teacher: Annotated[
        Path | None, typer.Option(help="Folder of the teacher's weights; its package's otherwise.")
    ] = None,
    no_teacher: Annotated[
        bool, typer.Option("--no-teacher", help="Labels only: GRID's motion, phones, no teacher.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Landmarks, the teacher's features, motion labels: everything that training reads. Goes on where it stopped."""
    from train.data.prepare import prepare as run
    from train.data.teacher import check_installed, model_folder
    from train.progress import Bars

    if not no_teacher:  # told before hours of reading
        model_folder(teacher)
        check_installed()
    if (cache / "speech.json").is_file():
        _json(cache / "speech.json", "remove it: it is made again")
    with Bars() as bars:
        run(data_root, landmarks or cache / "landmarks", cache, teacher, threads, bars.update, not no_teacher)


@app.command()
def vae(
    data_root: DataRoot,
    cache: Cache = Path("cache"),
    out: Annotated[Path, typer.Option(help="Folder of checkpoints, log.csv and curves.png.")] = Path("runs/vae"),
    config: Config = None,
    devices: Annotated[int, typer.Option(min=1, help="Processes, or GPUs, of each node.")] = 1,
    nodes: Annotated[int, typer.Option(min=1)] = 1,
    accelerator: str = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make batches.")] = 1,
    begin: Annotated[
        Path | None,
        typer.Option(help="What another leg starts from: a finished run's checkpoint, or an exported encoder.onnx."),
    ] = None,
) -> None:
    """Train the encoder and decoder, motion included; goes on from OUT/last.safetensors where there is one."""
    import torch
    from lightning.fabric import Fabric

    from engines.errors import ConfigError
    from train.checkpoint import facts_of
    from train.config import load_config
    from train.curves import draw
    from train.progress import Bars
    from train.speech.begin import exported_weights
    from train.speech.train_vae import VaeConfig, train_vae

    torch.set_num_threads(threads)
    settings = load_config(VaeConfig, config or CONFIGS / "vae.toml")
    for known in (begin, out / "last.safetensors" if (out / "last.safetensors").is_file() else None):
        if known is not None:
            exported_weights(known) if known.suffix == ".onnx" else facts_of(known, "config", "step")
    strategy = "ddp" if devices * nodes > 1 else "auto"
    try:
        fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"--accelerator {accelerator} cannot be used here ({error})", "--accelerator cpu") from error
    with Bars() as bars:
        train_vae(settings, data_root, _prepared(cache), out, fabric, workers, progress=bars.losses, begin=begin)
    if fabric.is_global_zero and (out / "log.csv").is_file():
        draw(out / "log.csv", out / "curves.png")


@app.command()
def motion(
    data_root: DataRoot,
    checkpoint: Checkpoint,
    cache: Cache = Path("cache"),
    out: Path = Path("runs/motion"),
    config: Config = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make batches.")] = 1,
) -> None:
    """Teach the motion head alone, on frozen codes. `vae` already trains it together with them."""
    import torch

    from train.config import load_config
    from train.motion.train_motion import MotionConfig, train_motion
    from train.progress import Bars

    torch.set_num_threads(1)
    settings = load_config(MotionConfig, config or CONFIGS / "motion.toml")
    with Bars() as bars:
        train_motion(settings, data_root, _prepared(cache), checkpoint, out, workers, progress=bars.losses)


@app.command()
def generator(
    data_root: DataRoot,
    cache: Cache = Path("cache"),
    landmarks: Landmarks = None,
    heads: Annotated[Path | None, typer.Option(help="Folder of rendered heads, one npz a person.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of samples, checkpoint and sheets.")] = Path("runs/generator"),
    steps: Annotated[int, typer.Option(min=1)] = 6000,
    rate: Annotated[
        float, typer.Option(min=1e-9, max=1.0, help="Learning rate at the start; it falls to 3 %.")
    ] = 1.2e-3,
    adversaries_from: Annotated[int, typer.Option(help="Step from which the adversaries take part.")] = 4000,
    adversary_weight: Annotated[
        float, typer.Option(min=0.0, help="Their pull on the picture against that of the distances; 0: none.")
    ] = 0.5,
    begin: Annotated[
        Path | None, typer.Option(help="What to start from: a checkpoint, or an exported generator.onnx.")
    ] = None,
    held_out: Annotated[list[str] | None, typer.Option(help="GRID talker to leave out; may be repeated.")] = None,
    seed: int = 0,
    export_to: Annotated[
        Path | None, typer.Option("--export", help="Folder for ONNX files, cards, golden streams.")
    ] = None,
) -> None:
    """Train the face's network: shading, folds, and the light inside the mouth. Goes on where it stopped."""
    from train.face.train_generator import Plan, command

    plan = Plan(steps, rate, adversaries_from, adversary_weight, seed)
    command(
        *_filmed(data_root, landmarks or cache / "landmarks"),
        heads,
        out,
        plan,
        begin,
        tuple(held_out or ()),
        typer.echo,
    )
    if export_to is not None:
        from train.face.generator_export import export

        export(out, export_to)


@app.command()
def geometry(
    data_root: DataRoot,
    cache: Cache = Path("cache"),
    landmarks: Landmarks = None,
    out: Path = Path("engines/weights/geometry.npz"),
    filmed: Annotated[
        bool, typer.Option("--filmed", help="Chin, jaw and cheeks by filmed pixels instead of landmarks.")
    ] = False,
    held_out: Annotated[list[str] | None, typer.Option(help="GRID talker to leave out; may be repeated.")] = None,
) -> None:
    """Fit the face's linear motion basis and its mesh."""
    from train.face.geometry import command

    command(*_filmed(data_root, landmarks or cache / "landmarks"), out, filmed, tuple(held_out or ()), typer.echo)


@app.command()
def probe(
    data_root: DataRoot,
    checkpoint: Judged = None,
    cache: Cache = Path("cache"),
    out: Path = Path("docs/reports/stage1"),
    other: Annotated[
        list[str] | None,
        typer.Option(help="NAME=CHECKPOINT to compare with, repeatable; the last report's if left out."),
    ] = None,
) -> None:
    """The disentanglement report.

    An exported encoder has no decoder: its swaps are the last report's, if that was of as many steps.
    """
    import torch

    from engines.card import WEIGHTS
    from train.data.batches import load
    from train.speech.probe import probe as run
    from train.speech.probe import swaps
    from train.speech.probe_markdown import draw_swaps, read_report, write_report

    torch.set_num_threads(1)
    before, judged = read_report(out), checkpoint or WEIGHTS / "encoder.onnx"
    found = run(judged, data_root, _prepared(cache), _pairs(other, "CHECKPOINT"))
    if not other:  # short runs say the same beside every encoder
        found["others"] = before.get("others", {})
    if "swap" in found:
        draw_swaps(list(swaps(judged, load(data_root, cache, "val"), pairs=3)), out / "swaps.jpg")
    elif "swap" in before and before["steps"] == found["steps"]:
        found["swap"] = before["swap"]
    write_report(found, out)
    typer.echo(out / "README.md")


def _prepared(cache: Path) -> Path:
    """The cache, once it holds what `prepare` of this version writes last; InputError before."""
    from engines.errors import InputError
    from train.data.prepare import VERSION

    done = cache / "speech.json"
    if not done.is_file():
        raise InputError(f"{cache} holds no prepared speech", "voxcam train prepare, or name another --cache")
    if _json(done, "remove it; voxcam train prepare").get("version") != VERSION:
        raise InputError(f"{cache} was prepared by another version", "voxcam train prepare, or name another --cache")
    return cache


def _filmed(data_root: Path, landmarks: Path) -> tuple[Path, Path]:
    """Data root and landmarks where both hold GRID, and photos, whose landmarks are found here; WrongInput or
    InputError otherwise."""
    from engines.errors import InputError, WrongInput

    if not (data_root / "grid" / "train").is_dir():
        raise WrongInput(f"{data_root} holds no grid/train", "name the folder of grid/ and faces/ with --data-root")
    if not (landmarks / "grid" / "train").is_dir():
        raise InputError(f"{landmarks} holds no landmarks of GRID", "voxcam train prepare, or name --landmarks")
    if not any((data_root / "faces" / "london").glob("*_smile.jpg")):
        raise WrongInput(f"{data_root} holds no faces/london", "name the folder of grid/ and faces/ with --data-root")
    from train.face.face_stills import find_photo_landmarks

    find_photo_landmarks(data_root, landmarks / "faces", typer.echo)
    return data_root, landmarks


def _json(path: Path, fix: str) -> dict:
    """A file's table; WrongInput where there is none, InputError where it is something else."""
    import json

    from engines.errors import InputError, WrongInput

    if not path.is_file():
        raise WrongInput(f"there is no file {path}", "check the path")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no JSON ({error})", fix) from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is no table of names", fix)
    return found


def _pairs(given: list[str] | None, what: str) -> dict[str, Path]:
    """NAME=PATH options as a dictionary; ConfigError for one without =."""
    from engines.errors import ConfigError

    found = {}
    for pair in given or ():
        name, equals, path = pair.partition("=")
        if not equals:
            raise ConfigError(f"--other {pair} has no =", f"write NAME={what}")
        found[name] = Path(path)
    return found


@score_app.command("motion")
def score_motion(
    data_root: DataRoot,
    checkpoint: Judged = None,
    cache: Cache = Path("cache"),
    landmarks: Landmarks = None,
    calibration: Calibration = None,
    out: Path = Path("docs/reports/motion"),
    other: Annotated[list[str] | None, typer.Option(help="NAME=CHECKPOINT to compare with; may be repeated.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Run this stage alone; may be repeated.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also stages that are as they were.")] = False,
) -> None:
    """How well the lips follow, raw and as shown, on people and in noises that were never trained on."""
    import torch

    from engines.card import WEIGHTS
    from train.motion.motion_report import Work, report
    from train.motion.score_motion import amplitude_gain

    torch.set_num_threads(1)
    judged, points = checkpoint or WEIGHTS / "encoder.onnx", landmarks or cache / "landmarks"
    scaled = judged.suffix == ".onnx"  # an exported encoder has its amplitude
    gain = None if scaled or not calibration else amplitude_gain(judged, calibration, data_root, points, cache)
    others = _pairs(other, "CHECKPOINT")
    work = Work(judged, data_root, points, _prepared(cache), out, calibration, gain, others, typer.echo)
    report(work, only, again)
    typer.echo(out / "README.md")


@score_app.command("face")
def score_face(
    data_root: DataRoot,
    cache: Cache = Path("cache"),
    landmarks: Landmarks = None,
    renderer: Annotated[
        Path | None, typer.Option(help="Folder of the head renderer (heads.py), for rendered strangers; cached after.")
    ] = None,
    out: Path = Path("docs/reports/face"),
    clips: Annotated[int, typer.Option(min=1, help="GRID clips of each talker.")] = 12,
    card: Annotated[Path | None, typer.Option(help="Another generator's card than the shipped one's.")] = None,
    other: Annotated[list[str] | None, typer.Option(help="NAME=CARD of a generator to compare; repeatable.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Run this stage alone; may be repeated.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also stages whose weights are as they were.")] = False,
) -> None:
    """Faces under true motion and by sound, beside a static photo; identity, steadiness, contact sheets."""
    from engines.card import read_card
    from train.face.face_report import Work, report

    others = _pairs(other, "CARD")
    for named in (*([card] if card else []), *others.values()):
        read_card(named)
    work = Work(
        data_root,
        landmarks or cache / "landmarks",
        cache,
        renderer,
        clips,
        card,
        others,
        out,
        typer.echo,
    )
    report(work, only, again)
    typer.echo(out / "README.md")


@app.command()
def export(
    data_root: DataRoot,
    checkpoint: Checkpoint,
    cache: Cache = Path("cache"),
    landmarks: Landmarks = None,
    calibration: Calibration = None,
    out: Path = Path("engines/weights"),
    metrics: Annotated[Path | None, typer.Option(help="JSON of figures for the card, e.g. a report's.")] = None,
) -> None:
    """A checkpoint becomes encoder.onnx, its card and its golden stream."""
    import torch

    from train.motion.score_motion import amplitude_gain
    from train.speech.export import export as run
    from train.speech.export import golden_sound

    torch.set_num_threads(1)
    points = landmarks or cache / "landmarks"
    gain = amplitude_gain(checkpoint, calibration, data_root, points, cache) if calibration else None
    figures = _json(metrics, "give a report's JSON") if metrics else {}
    card = run(checkpoint, out, golden_sound(data_root), figures, gain)
    typer.echo(f"{out / card.file}  sha256 {card.sha256}")
