"""`voxcam bench` as a user types it."""

from __future__ import annotations

import json

import pytest

import bench.report
from bench.figures import DRAW, draw_engines
from bench.report import PARTS, as_markdown
from bench.rows import latency_row, value_row
from realtime.cli import main
from realtime.interrupts import interrupts


@pytest.fixture
def run(capsys, monkeypatch):
    """Exit code, stdout and stderr; no signal handlers stay behind."""
    monkeypatch.setattr(interrupts, "install", lambda: None)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["bench", *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    return command


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "try: voxcam bench all --quick"),
        (("throughput", "--engine", "tflite"), 2, "no engine 'tflite': choose all or one of onnxruntime"),
        (("latency", "--fps", "13"), 2, "13 pictures a second"),
        (("latency", "--lookahead-ms", "55"), 2, "a lookahead of 55 ms"),
        (("latency", "--lookahead-ms", "many"), 2, "--lookahead-ms takes numbers"),
        (("latency", "--size", "huge"), 2, "'huge' is no picture size"),
        (("scale", "--minutes", "-1"), 2, "no negative numbers"),
        (("robustness", "--clips", "/nowhere"), 2, "there is no folder /nowhere"),
        (("report", "--only", "speed"), 2, "no part 'speed'"),
        (("engines", "--backend", "tflite"), 2, "no backend 'tflite'"),
        (("report", "--only", "robustness"), 2, "name their folder: --clips FOLDER"),
        (("report", "--noise", "/tmp"), 2, "--noise is for robustness"),
        (("report", "--page", "--out", "empty"), 1, "holds no results yet"),
        (("robustness", "--clips", ".", "--encoder", "=x"), 2, "is not NAME=CARD"),
        (("robustness", "--clips", ".", "--encoder", "a=encoder", "--encoder", "a=encoder"), 2, "called 'a'"),
        (("robustness", "--clips", ".", "--encoder", "deaf=encoder"), 2, "called 'deaf'"),
        (("robustness", "--clips", ".", "--encoder", "a=/nowhere.card.json"), 2, "/nowhere.card.json"),
        (("scale", "--fps", "13"), 2, "13 pictures a second"),
        (("scale", "--megapixels", "500"), 2, "from 0.1 to 60"),
        (("scale", "--minutes", "nan"), 2, "from 0.2 to 600"),
        (("throughput", "--threads", "0"), 2, "from 1 to 64"),
        (("latency", "--plot", "figure.gif"), 2, "use one of .png, .svg, .pdf"),
        (("latency", "--plot", "none/figure.png"), 2, "there is no folder none"),
        (("latency", "--json", "none/a.json"), 2, "there is no folder none"),
        (("latency", "--json", "."), 2, "is a folder"),
        (("latency", "--json", "/proc/a.json"), 1, "/proc/a.json cannot be written"),
        (("latency", "--fps", "24.5"), 2, "takes whole numbers"),
        (("robustness", "--clips", ".", "--noise", "/nowhere"), 2, "there is no folder /nowhere"),
        (("engines", "--out", "/dev/null"), 2, "/dev/null is a file"),
        (("report", "--out", "/dev/null"), 2, "/dev/null is a file"),
        (("--json", "a.json"), 2, "such as voxcam bench latency --json"),
        (("--compare", "a.json", "b.json", "rewrites"), 2, "and rewrites was named: leave out one of the two"),
        (("--compare", "/nowhere/a.json", "/nowhere/b.json"), 2, "there is no benchmark result"),
    ],
)
def test_wrong_use(run, rig, arguments, code, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, _, err = run(*arguments)
    assert message in err
    assert found == code


def test_comparison(run, tmp_path):
    for name, values in (("a", [10, 10.1]), ("b", [20, 20.1])):
        rows = [value_row("cpu_per_picture", values, "ms", axis="photo")]
        (tmp_path / f"{name}.json").write_text(json.dumps({"machine": {}, "rows": rows}))
    code, out, _ = run("--compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert code == 0
    assert "+99.5%" in out
    assert "more" in out
    (tmp_path / "b.json").write_text(json.dumps({"machine": {}, "rows": [value_row("other", [1], "s")]}))
    code, _, err = run("--compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert code == 2
    assert "no row in common" in err


def test_resources_json_and_plot(run, rig, tmp_path):
    files = {name: tmp_path / name for name in ("r.json", "r.png")}
    arguments = ("--seconds", "2", "--repeats", "1", "--json", str(files["r.json"]), "--plot", str(files["r.png"]))
    code, out, _ = run("resources", *arguments)
    assert code == 0
    assert "cpu_seconds_per_minute" in out
    report = json.loads(files["r.json"].read_text())
    assert {"machine", "rows"} <= report.keys()
    assert {"cpu_seconds_per_minute", "resident_memory", "wake_ups", "startup"} <= {
        r["measure"] for r in report["rows"]
    }
    assert files["r.png"].read_bytes().startswith(b"\x89PNG")


def _rows() -> dict[str, list]:
    """A few rows of each part, as the measuring code makes them."""
    latency = [
        latency_row(name, [1.0, 2.0, 3.0], lookahead_ms=0, picture_rate=25)
        for name in ("newest_sample_age", "event_to_picture", "stage:encode", "stage:generate", "impulse_to_code")
    ]
    about = {"model": "yardstick", "engine": "openvino cpu", "precision": "bf16", "threads": 1}
    throughput = [
        value_row("calls_per_second", [110, 120], "1/s", **{**about, "model": "generator 1280x720"}),
        value_row("calls_per_second", [20, 22], "1/s", **about),
        {"measure": "refused", **about, "model": "encoder", "note": "content is off by 0.2"},
        value_row("generator_against_yardstick", [5.5], "times faster", **about),
        value_row("render_real_time_factor", [0.4], "s/s"),
    ]
    names = ("cpu_seconds_per_minute", "resident_memory", "memory_growth")
    resources = [value_row(name, [1.0], "s") for name in names]
    resources[1]["course_mb"] = [1.0, 2.0]
    resources += [value_row("startup", [1.0], "s", part=part) for part in ("import", "all")]
    scale = [
        value_row("cpu_per_picture", [3, 4], "ms", axis="session", minutes=1),
        value_row("memory_growth", [1], "MB", axis="session", minutes=1),
        value_row("cpu_per_picture", [3, 4], "ms", axis="picture rate", picture_rate=25),
        value_row("cpu_per_picture", [3, 4], "ms", axis="photo", megapixels=0.3),
        value_row("analysis", [1], "s", axis="photo", megapixels=0.3),
    ]
    mouth = {"measure": "mouth_opening", "clips": 3, "r_all": 0.7, "r_in_words": 0.6, "r_in_words_error": 0.1}
    lips = {"lip_distance": 0.02, "lip_distance_error": 0.001}
    share = {"measure": "open_on_noise_alone", "value": 0.1, "value_error": 0.02}
    mood = {"measure": "mouth_opening_by_emotion", "value": 0.5, "value_error": 0.1}
    robustness: list[dict] = []
    for encoder in ("voxcam", "without"):
        ours = {"system": f"{encoder} 0 ms", "encoder": encoder, "lookahead_ms": 0}
        robustness += [{**mouth, **lips, **ours, "snr_db": snr} for snr in ("clean", "0")]
        robustness += [{**share, **ours, "noise": noise} for noise in ("pink", "all", "silence")]
        robustness += [{**mood, **ours, "emotion": "anger", "count": count} for count in (1,)]
    robustness.append({**mouth, "system": "deaf", "snr_db": "clean"})
    robustness.append({"measure": "mouth_opening", "system": "still photo", "snr_db": "clean", **lips})
    apart = {"measure": "difference", "of": "voxcam less without", "lookahead_ms": 0, "clips": 3}
    robustness += [
        {**apart, "score": score, "snr_db": snr, "value": 0.123, "value_error": 0.045}
        for score in ("r_in_words", "lip_distance")
        for snr in ("clean", "0")
    ]
    rewrites = [value_row("rewrite", [1.0, 1.1], "ms", what="warp", way="remap", engine="opencv")]
    parts = {"latency": latency, "throughput": throughput, "resources": resources, "scale": scale}
    return parts | {"robustness": robustness, "rewrites": rewrites}


@pytest.mark.parametrize("part", list(DRAW))
def test_every_figure_can_be_drawn(part, tmp_path):
    DRAW[part](_rows()[part], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_engines_figure(tmp_path):
    row = {
        "model": "encoder",
        "backend": "openvino",
        "precision": "bf16",
        "ms": 0.2,
        "per_second": 5000.0,
        "error": 0.03,
    }
    draw_engines([row, {**row, "model": "yardstick"}, {"model": "encoder", "backend": "tensorrt"}], tmp_path / "e.png")
    assert (tmp_path / "e.png").exists()


def _reports() -> dict[str, dict]:
    rows = _rows()
    return {name: {"machine": {"load_before": [0.5]}, "took_s": 61.2, "rows": rows[name]} for name in PARTS}


def test_report_names_a_command_under_each_figure():
    text = as_markdown(_reports())
    for part in PARTS:
        assert f"![{part}]({part}.png)" in text
        assert f"`voxcam bench {part}" in text
    assert text.count("Load on the machine before: 0.5; measured in 61 s.") == len(PARTS)
    assert "| pink | 0.1 | 0.1 |" in text
    assert "content is off by 0.2" in text
    assert "--encoder voxcam=CARD --encoder without=CARD --json robustness.json" in text
    assert "| voxcam less without | r_in_words | 0 | +0.123 ± 0.045 | +0.123 ± 0.045 |" in text
    assert "voxcam less without, 0 ms, clip by clip: clean +0.123 ± 0.045, 0 dB +0.123 ± 0.045." in text
    assert "one clip" in text


def test_report_says_which_part_was_measured_on_which_machine():
    reports = _reports()
    assert "On machine" not in as_markdown(reports)
    reports["scale"]["machine"]["cpu"] = "another one"
    text = as_markdown(reports)
    assert "Machine A: ?," in text
    assert "Machine B: another one," in text
    scale = text[text.index("## Scale") : text.index("## Robustness")]
    assert "On machine B." in scale
    assert text.count("On machine A.") == len(PARTS) - 1


@pytest.mark.parametrize("change", [{}, {"measure": "nothing of ours"}])
def test_figure_of_a_comparison(run, tmp_path, change):
    before = [value_row("cpu_per_picture", [10, 10.1], "ms", axis="photo"), value_row("analysis", [1], "s")]
    after = [value_row("cpu_per_picture", [20, 20.1], "ms", axis="photo"), value_row("analysis", [2], "s") | change]
    for name, rows in (("a", before), ("b", after)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"machine": {}, "rows": rows}))
    files = [str(tmp_path / name) for name in ("a.json", "b.json", "c.json", "c.png")]
    code, out, _ = run("--compare", *files[:2], "--json", files[2], "--plot", files[3])
    assert code == 0
    assert ("one repeat" in out) is not bool(change), "a single measurement tells of no noise, and says so"
    told = json.loads((tmp_path / "c.json").read_text())["rows"]
    assert (told[0]["change"], told[0]["clear"]) == (0.995, True)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_report_is_written_part_by_part(run, tmp_path, monkeypatch):
    """What was measured before an interruption is there, page and all; a later run adds the rest."""
    reports = _reports()

    def measured(quick, folders, progress, only=()):
        yield "latency", reports["latency"]
        if not only:
            raise KeyboardInterrupt

    monkeypatch.setattr(bench.report, "measure_parts", measured)
    assert run("report", "--out", str(tmp_path / "r"))[0] == 130
    page = (tmp_path / "r" / "README.md").read_text()
    assert "## Latency" in page
    assert "## Scale" not in page
    (tmp_path / "r" / "scale.json").write_text(json.dumps(reports["scale"]))
    code, out, _ = run("report", "--out", str(tmp_path / "r"), "--only", "latency")
    assert (code, out.strip()) == (0, str(tmp_path / "r" / "README.md"))
    assert "## Scale" in (tmp_path / "r" / "README.md").read_text()
    (tmp_path / "r" / "README.md").unlink()
    monkeypatch.setattr(bench.report, "measure_parts", None)
    assert run("report", "--out", str(tmp_path / "r"), "--page")[0] == 0
    assert "## Latency" in (tmp_path / "r" / "README.md").read_text()
