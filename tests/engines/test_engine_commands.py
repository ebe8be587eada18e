"""`voxcam build-engine` and `voxcam engines`, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import engines.card
import engines.golden
from engines.building import auto, build
from realtime.cli import main


@pytest.fixture
def run(models, tmp_path, monkeypatch, capsys):
    """Run a command; (exit code, stdout, stderr). The shipped models are the tiny ones."""
    for module in (build, engines.card, engines.golden):
        monkeypatch.setattr(module, "WEIGHTS", models)
    monkeypatch.setattr(build.verify_engine, "__defaults__", (models,))
    monkeypatch.setattr(engines.golden.golden_path, "__defaults__", (models,))
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path / "cache"))

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    return command


def test_build_list_verify_profile_clean(run, tmp_path):
    code, out, err = run("build-engine", "--backend", "openvino", "--precision", "fp32")
    assert code == 0
    assert out.count("verified, largest error") == 2
    assert "encoder openvino fp32: building" in err
    code, out, _ = run("engines", "list", "--json")
    listed = json.loads(out)
    assert code == 0
    assert listed["models"] == ["encoder", "generator"]
    assert {row["model"] for row in listed["engines"]} == {"encoder", "generator"}
    assert all(row["verified"] for row in listed["engines"])
    assert run("engines", "list")[0] == 0
    code, out, _ = run("engines", "verify", "--json")
    assert code == 0
    assert len(json.loads(out)["engines"]) == 4
    code, out, _ = run("engines", "profile", "--backend", "openvino", "--repeats", "2", "--json")
    assert code == 0
    assert any("Convolution" in layer["kind"] for layer in json.loads(out)["layers"])
    code, out, _ = run("engines", "profile", "--repeats", "2")
    assert code == 0
    assert "Conv" in out
    damaged = next((tmp_path / "cache" / "engines").glob("encoder*.engine"))
    damaged.write_bytes(b"")
    code, out, _ = run("engines", "verify")
    assert code == 1
    assert "cut short, damaged or swapped: voxcam build-engine --model encoder" in " ".join(out.split())
    code, out, _ = run("engines", "clean")
    assert code == 0
    assert "2 files deleted" in out


def test_json_of_a_build(run):
    code, out, _ = run("build-engine", "--model", "motion", "--precision", "int8", "--json")
    assert code == 0
    (row,) = json.loads(out)["engines"]
    assert row["model"] == "encoder"
    assert row["verified"] is True
    assert row["error"]["motion"] < 0.1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device there")
def test_a_full_stderr_ends_no_build(run, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stderr", full)
        code, out, _ = run("build-engine", "--model", "encoder", "--precision", "int8", "--json")
    assert code == 0
    assert json.loads(out)["engines"][0]["verified"] is True


def test_out_folder(run, tmp_path):
    code, _, _ = run("build-engine", "--model", "encoder", "--out", str(tmp_path / "mine"))
    assert code == 0
    assert list((tmp_path / "mine").glob("encoder-onnxruntime-fp32-*.engine"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--backend", "tflite"), 2, "no backend 'tflite'"),
        (("--precision", "fp4"), 2, "no precision 'fp4'"),
        (("--model", "face"), 2, "no model 'face': choose all, encoder, generator"),
        (("--compute-capability", "8.9"), 2, "leave out --compute-capability"),
        (("--model", "/nowhere/encoder.onnx"), 2, "no engine card at /nowhere/encoder.card.json"),
        (("--model", "encoder", "--device", "tpu"), 1, "no device 'tpu'"),
    ],
)
def test_wrong_use(run, arguments, code, message):
    found, _, err = run("build-engine", *arguments)
    assert (found, message in err) == (code, True), err
    assert err.count("\n") == 1


def test_one_model_that_fails_does_not_stop_the_other(run, models):
    (models / "encoder.onnx").write_bytes(b"")
    code, out, err = run("build-engine", "--json")
    assert code == 1
    rows = {row["model"]: row for row in json.loads(out)["engines"]}
    assert "cut short" in rows["encoder"]["error"]
    assert rows["generator"]["verified"] is True
    assert "encoder: " in err


def test_engine_is_chosen_by_name(models, tmp_path, monkeypatch):
    """`--engine` of render and live."""
    from engines.errors import ConfigError
    from realtime.engines_in_use import open_model

    monkeypatch.setattr(engines.card, "WEIGHTS", models)
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(auto, "measure", lambda session, *_: 0.1 if session.precision == "bf16" else 1.0)
    for engine, expected in (
        ("onnxruntime", ("onnxruntime", "fp32")),
        ("openvino", ("openvino", "fp32")),
        ("openvino:bf16", ("openvino", "bf16")),
        ("auto", ("openvino", "bf16")),
    ):
        with open_model("encoder", engine) as session:
            assert (session.backend, session.precision) == expected
    with pytest.raises(ConfigError, match="no backend 'fast'"):
        open_model("encoder", "fast")


@pytest.mark.parametrize("command", ["list", "verify", "clean"])
def test_a_folder_that_is_not_there_is_told(run, tmp_path, command):
    code, _, err = run("engines", command, "--dir", str(tmp_path / "none"))
    assert code == 2
    assert "there is no folder" in err
