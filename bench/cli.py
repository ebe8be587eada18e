"""`voxcam bench`: numbers that a sceptic would accept, as tables, JSON and figures."""

from __future__ import annotations

import os
from math import inf, isnan
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.rows import Row, as_report, compare, load_average, markdown_table, read_report, write_report
from engines.errors import ConfigError, OutputError, WrongInput, WrongTarget
from realtime.cli import say
from realtime.commands.options import parse_size

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Json = Annotated[Path | None, typer.Option("--json", help="write rows and machine to this file")]
Plot = Annotated[Path | None, typer.Option("--plot", help="draw the figure into this file (png, svg, pdf)")]
Portrait = Annotated[
    Path | None, typer.Option("--portrait", "-p", help="a photo; the one that comes along if left out")
]
Size = Annotated[str, typer.Option(help="camera picture, such as 1280x720")]
Quick = Annotated[bool, typer.Option("--quick", help="shorter and fewer")]
Clips = Annotated[Path | None, typer.Option(help="clips for robustness; left out if not given")]
Noise = Annotated[Path | None, typer.Option(help="folder of recordings KIND/NAME.wav; made noises if left out")]
Teach = Annotated[Path | None, typer.Option(help="clips to teach baselines on; other talkers if left out")]
Emotional = Annotated[Path | None, typer.Option(help="clips in several emotions, named as CREMA-D's are")]
Encoders = Annotated[
    list[str] | None,
    typer.Option("--encoder", help="NAME=CARD, again for each encoder to compare; the shipped one if left out"),
]


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    compared: Annotated[
        tuple[Path, Path] | None, typer.Option("--compare", help="two files that --json wrote, side by side")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="write the comparison to this file")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="draw the comparison into this file")] = None,
) -> None:
    """Measure delay, speed, resources, robustness and scale on this machine."""
    if compared is not None:
        if context.invoked_subcommand is not None:
            raise ConfigError(
                f"--compare measures nothing, and {context.invoked_subcommand} was named", "leave out one of the two"
            )
        _check_outputs(json, plot)
        rows = compared_rows(*compared)
        print(comparison_table(rows, *compared))
        if json is not None:
            told = [{key: None if value != value else value for key, value in row.items()} for row in rows]  # no NaN
            write_report(as_report(told), json)
        if plot is not None:
            from bench.figures import draw_comparison

            draw_comparison(rows, plot, *(path.name for path in compared))
        return
    if json is not None or plot is not None:
        raise ConfigError(
            "--json and --plot of a benchmark follow its name", "such as voxcam bench latency --json a.json"
        )
    if context.invoked_subcommand is None:
        raise ConfigError("nothing to measure was named", "try: voxcam bench all --quick, or voxcam bench --help")


@app.command()
def latency(
    lookahead_ms: Annotated[str, typer.Option(help="one or several of 0,40,80")] = "0,40,80",
    fps: Annotated[str, typer.Option(help="pictures a second, one or several")] = "25,30,60",
    seconds: Annotated[float, typer.Option(min=4, help="of live stream for each combination")] = 20,
    portrait: Portrait = None,
    size: Size = "1280x720",
    json: Json = None,
    plot: Plot = None,
) -> None:
    """Newest-sample age, event to picture, and every stage, through the real live path."""
    load = _check_outputs(json, plot)
    from bench.latency import measure_latency
    from bench.rig import Rig
    from realtime.pacer import checked_lookahead, checked_rate

    lookaheads = tuple(checked_lookahead(value) for value in _integers(lookahead_ms, "--lookahead-ms"))
    rates = tuple(checked_rate(value) for value in _integers(fps, "--fps"))
    rows = measure_latency(Rig.open(portrait, parse_size(size)), lookaheads, rates, seconds, say)
    _finish("latency", rows, json, plot, load)


@app.command()
def throughput(
    engine: Annotated[str, typer.Option(help="all, or onnxruntime, openvino, tensorrt, tensorrt-rtx")] = "all",
    threads: Annotated[str, typer.Option(help="one or several thread counts, such as 1,2")] = "1",
    repeats: Annotated[int, typer.Option(min=2, help="rounds")] = 5,
    yardstick: Annotated[bool, typer.Option(help="measure a Wav2Lip-sized generator beside ours")] = True,
    portrait: Portrait = None,
    size: Size = "1280x720",
    json: Json = None,
    plot: Plot = None,
) -> None:
    """Pictures and codes a second by engine and threads, beside the yardstick; offline render against real time."""
    load = _check_outputs(json, plot)
    from bench.rig import Rig
    from bench.throughput import measure_throughput

    counts = _integers(threads, "--threads", 1, 64)
    rows = measure_throughput(Rig.open(portrait, parse_size(size)), engine, counts, repeats, yardstick, say)
    _finish("throughput", rows, json, plot, load)


@app.command()
def resources(
    seconds: Annotated[float, typer.Option(min=2, help="of live stream")] = 20,
    fps: Annotated[int, typer.Option(help="pictures a second")] = 25,
    repeats: Annotated[int, typer.Option(min=1, help="fresh processes")] = 3,
    json: Json = None,
    plot: Plot = None,
) -> None:
    """Processor time, memory over time, wake-ups, allocations, and what a start is made of."""
    load = _check_outputs(json, plot)
    from bench.resources import measure_resources
    from bench.rig import Rig
    from realtime.pacer import checked_rate

    rows = measure_resources(Rig.open(), seconds, checked_rate(fps), repeats, progress=say)
    _finish("resources", rows, json, plot, load)


@app.command()
def robustness(
    clips: Annotated[Path, typer.Option(help="folder of clips with pictures: TALKER/CLIP.mkv, CLIP.align beside it")],
    most: Annotated[int, typer.Option("--most", min=0, help="clips at most, evenly over talkers; 0: all")] = 0,
    noise: Noise = None,
    teach: Teach = None,
    emotional: Emotional = None,
    encoder: Encoders = None,
    lookahead_ms: Annotated[str, typer.Option(help="one or several of 0,40,80")] = "0,40,80",
    json: Json = None,
    plot: Plot = None,
) -> None:
    """Mouth against SNR, openness on noise alone, beside baselines; with and without an encoder of your choice."""
    from bench.clips import TEACHERS, load_clips
    from bench.robustness import measure_robustness, named_encoders
    from engines.card import read_card
    from realtime.pacer import checked_lookahead

    load = _check_outputs(json, plot)
    lookaheads = tuple(checked_lookahead(value) for value in _integers(lookahead_ms, "--lookahead-ms"))
    encoders = named_encoders(encoder or ())
    for card in encoders.values():
        read_card(card)  # a missing card is told before clips are looked at
    _check_noise(noise)
    loaded = load_clips(clips, most, say)
    teachers = load_clips(teach, TEACHERS, say) if teach else None
    moods = load_clips(emotional, 0, say) if emotional else None
    rows = measure_robustness(loaded, lookaheads, encoders, noise, teachers, moods, progress=say)
    _finish("robustness", rows, json, plot, load)


@app.command()
def scale(
    minutes: Annotated[str, typer.Option(help="session lengths")] = "1,5,20",
    megapixels: Annotated[str, typer.Option(help="photo sizes")] = "0.3,1,3,8,24",
    fps: Annotated[str, typer.Option(help="picture rates")] = "10,25,30,60",
    repeats: Annotated[int, typer.Option(min=1, help="of each picture rate and photo")] = 3,
    portrait: Portrait = None,
    json: Json = None,
    plot: Plot = None,
) -> None:
    """Cost against session length, photo size and picture rate; sessions run faster than real time."""
    from bench.rig import Rig
    from bench.scale import measure_scale
    from realtime.pacer import checked_rate

    load = _check_outputs(json, plot)
    rates = tuple(checked_rate(rate) for rate in _integers(fps, "--fps"))
    lengths = _numbers(minutes, "--minutes", 0.2, 600)
    sizes = _numbers(megapixels, "--megapixels", 0.1, 60)
    rows = measure_scale(Rig.open(portrait), lengths, sizes, rates, portrait, repeats, say)
    _finish("scale", rows, json, plot, load)


@app.command("all")
def everything(
    quick: Quick = False,
    clips: Clips = None,
    noise: Noise = None,
    teach: Teach = None,
    emotional: Emotional = None,
    encoder: Encoders = None,
    json: Json = None,
) -> None:
    """All of it, one after another; with --quick in under three minutes."""
    from bench.report import measure_parts, tables

    load = _check_outputs(json, None)
    rows: list[Row] = []
    for name, part in measure_parts(quick, _folders(clips, noise, teach, emotional, encoder), say):
        print(f"## {name}, {part['took_s']:.0f} s\n\n{tables(name, part['rows'], padded=True)}\n", flush=True)
        rows += part["rows"]
        if json is not None:  # after each part: an interruption loses one alone
            write_report(as_report(rows, load), json)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="folder for Markdown, JSON and figures")] = Path("docs/reports/bench"),
    quick: Quick = False,
    clips: Clips = None,
    noise: Noise = None,
    teach: Teach = None,
    emotional: Emotional = None,
    encoder: Encoders = None,
    only: Annotated[str | None, typer.Option(help="make again only these parts, such as latency,scale")] = None,
    page: Annotated[bool, typer.Option("--page", help="measure nothing: README.md again, from the JSON files")] = False,
) -> None:
    """Write the report: tables, figures, machine, spread, and the command under each figure."""
    from bench.report import write_bench_report, write_page

    if page:
        write_page(out)
    else:
        folders = _folders(clips, noise, teach, emotional, encoder)
        write_bench_report(out, quick, folders, tuple(part for part in (only or "").split(",") if part), say)
    print(out / "README.md")


def _folders(
    clips: Path | None, noise: Path | None, teach: Path | None, emotional: Path | None, encoders: list[str] | None
) -> Any:
    """What robustness is measured on, checked before anything is measured."""
    from bench.clips import find_clips
    from bench.report import Folders
    from bench.robustness import named_encoders
    from engines.card import read_card

    given = {"--noise": noise, "--teach": teach, "--emotional": emotional, "--encoder": encoders}
    if clips is None and (idle := [option for option, value in given.items() if value]):
        raise ConfigError(f"{idle[0]} is for robustness, which needs clips", "name their folder: --clips FOLDER")
    for folder in (clips, teach, emotional):
        if folder is not None:
            find_clips(folder)
    _check_noise(noise)
    named = named_encoders(encoders or ())
    for card in named.values():
        read_card(card)
    return Folders(clips, noise, teach, emotional, named)


def _check_noise(noise: Path | None) -> None:
    if noise is not None and not noise.is_dir():
        raise WrongInput(f"there is no folder {noise}", "name a folder of recordings: KIND/NAME.wav")


@app.command()
def engines(
    out: Annotated[Path | None, typer.Option(help="folder for Markdown, JSON and figure")] = None,
    backend: Annotated[str, typer.Option(help="all, or one backend")] = "all",
    repeats: Annotated[int, typer.Option(min=2, help="rounds")] = 5,
    json: Json = None,
    plot: Plot = None,
) -> None:
    """Build every engine of every model and measure it: ms, pictures a second on one core, error, size, build time."""
    load = _check_outputs(json, plot)
    from bench.engines_report import ENGINE_COLUMNS, measure_engines, write_engines_report
    from realtime.targets import checked_folder

    if out is not None:
        checked_folder(out)

    rows = measure_engines(backend, repeats, say)
    print(markdown_table(rows, ENGINE_COLUMNS, padded=True))
    if out is not None:
        write_engines_report(rows, out)
        print(out / "README.md")
    if json is not None:
        write_report(as_report(rows, load), json)
    if plot is not None:
        from bench.figures import draw_engines

        draw_engines(rows, plot)


@app.command()
def rewrites(
    repeats: Annotated[int, typer.Option(min=2, help="rounds")] = 5, json: Json = None, plot: Plot = None
) -> None:
    """The same arithmetic written in several ways: convolutions, enlarging, warping."""
    from bench.rewrites import measure_rewrites

    load = _check_outputs(json, plot)
    rows = measure_rewrites(repeats, say)
    _finish("rewrites", rows, json, plot, load)


@app.command()
def budgets() -> None:
    """Count what a picture costs and hold it against the budgets; exit 1 where one is broken."""
    from dataclasses import asdict

    from bench.counting import breaches, count, read_budgets
    from bench.rig import Rig

    counted = count(Rig.open())
    for name, value in asdict(counted).items():
        print(f"{name}: {value}")
    found = breaches(counted, read_budgets())
    for breach in found:
        print(f"over budget: {breach}")
    if found:
        raise typer.Exit(1)


def compared_rows(first: Path, second: Path) -> list[Row]:
    rows = compare(read_report(first), read_report(second))
    if not rows:
        raise ConfigError(
            f"{first.name} and {second.name} have no row in common", "compare results of the same command"
        )
    return rows


def comparison_table(rows: list[Row], first: Path, second: Path) -> str:
    """Two files side by side; a change is clear where it is larger than what repeats alone vary by."""
    told = [
        {
            **row,
            "change": "" if isnan(row["change"]) else f"{row['change']:+.1%}",
            "band": "one repeat" if isnan(row["band"]) else f"±{row['band']:.1%}",
            "verdict": "" if not row["clear"] else "more" if row["after"] > row["before"] else "less",
        }
        for row in rows
    ]
    columns = ("measure", "about", "before", "after", "change", "band", "verdict")
    heads = ("measure", "about", first.name, second.name, "change", "noise band", "clear")
    return markdown_table(told, columns, heads, padded=True)


def _check_outputs(json: Path | None, plot: Path | None) -> list[float]:
    """Whether results can be written is told before minutes are measured; gives the load before them."""
    from bench.figures import check_plot

    if plot is not None:
        check_plot(plot)
    for option, path in (("--json", json), ("--plot", plot)):
        if path is not None:
            _check_writable(option, path)
    return load_average()


def _check_writable(option: str, path: Path) -> None:
    """By writing: permissions alone don't tell of a read-only disk."""
    if path.is_dir():
        raise WrongTarget(f"{path} is a folder", f"name a file after {option}")
    if not path.parent.is_dir():
        raise WrongTarget(f"there is no folder {path.parent}", f"mkdir -p {path.parent}")
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.touch()
        beside.unlink()
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror})", f"name another after {option}") from error


def _finish(name: str, rows: list[Row], json: Path | None, plot: Path | None, load: list[float]) -> None:
    """Print a table that can be pasted, and write the files that were asked for."""
    from bench.report import tables

    print(tables(name, rows, padded=True))
    if json is not None:
        write_report(as_report(rows, load), json)
    if plot is not None:
        from bench.figures import DRAW

        DRAW[name](rows, plot)


def _integers(text: str, option: str, least: float = 0, most: float = inf) -> tuple[int, ...]:
    numbers = _numbers(text, option, least, most)
    if any(number != int(number) for number in numbers):
        raise ConfigError(f"{option} takes whole numbers, not {text!r}", "leave out the fraction")
    return tuple(int(number) for number in numbers)


def _numbers(text: str, option: str, least: float = 0, most: float = inf) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} takes numbers, not {text!r}", f"such as {option} 1,2") from error
    for number in numbers:
        if number < 0:
            raise ConfigError(f"{option} takes no negative numbers", f"such as {option} 1,2")
        if not least <= number <= most or number == inf:
            raise ConfigError(f"{option} takes numbers from {least:g} to {most:g}, not {number:g}", "name another")
    return numbers
