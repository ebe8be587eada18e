"""Built once, kept by content, locked, verified before it is trusted, and never trusted when half done."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import engines.building.build
from engines.backends import find_backend, onnxruntime_, openvino_
from engines.backends.built import Built
from engines.building.build import build_engine, build_lock, clean_engines, engine_cards, open_engine, verify_engine
from engines.card import card_path, read_card
from engines.errors import ConfigError, EngineMismatch, OutputError
from engines.golden import read_golden, verify
from engines.opening import open_session
from engines.whole_file import atomic_file


def _runnable() -> list[tuple[str, str]]:
    """Backends and precisions that run here."""
    found = []
    for backend in ("onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"):
        try:
            module = find_backend(backend)
            found += [(backend, precision) for device in module.devices() for precision in module.precisions(device)]
        except EngineMismatch:
            continue  # not installed
    return found


@pytest.mark.parametrize("model", ["encoder", "generator"])
@pytest.mark.parametrize(("backend", "precision"), _runnable())
def test_every_engine_here_passes_its_golden_stream(models, tmp_path, backend, precision, model):
    folder = tmp_path / "engines"
    result = build_engine(models / f"{model}.card.json", backend, precision, engines_dir=folder)
    assert result.built
    assert result.card.build.verified
    with open_session(models / f"{model}.card.json", backend, precision=precision, engines_dir=folder) as session:
        assert session.card.build is not None, "the model was opened, not the engine"
        assert verify(session, read_golden(models / f"{model}.golden.npz", session.card)).passed


def test_second_build_is_the_first_one(models, tmp_path, monkeypatch):
    first = build_engine(models / "encoder.onnx", "openvino", "bf16", engines_dir=tmp_path / "e")
    monkeypatch.setattr(openvino_, "build", lambda *_: pytest.fail("built again"))
    second = build_engine(models / "encoder.onnx", "openvino", "bf16", engines_dir=tmp_path / "e")
    assert (second.built, second.path, second.card) == (False, first.path, first.card)


def test_engine_is_keyed_by_all_it_depends_on(models):
    card = read_card(models / "encoder.card.json")
    record = engines.building.build.target(card, "onnxruntime", "fp32", "cpu")
    stems = {engines.building.build.engine_stem(card, record)}
    changes = {
        "model_sha256": "0" * 64,
        "backend_version": "0",
        "precision": "int8",
        "device": "cuda",
        "device_name": "another",
        "driver": "1",
        "compute_capability": ("8.9",),
    }
    for name, value in changes.items():
        stems.add(engines.building.build.engine_stem(card, replace(record, **{name: value})))
    assert len(stems) == len(changes) + 1


def test_damaged_engine_is_refused_with_the_command_and_rebuilt(models, tmp_path):
    path = build_engine(models / "encoder.onnx", "openvino", "fp32", engines_dir=tmp_path).path
    content = path.read_bytes()
    for damaged in (content[:-7], content[:50] + b"?" + content[51:], b""):
        path.write_bytes(damaged)
        with pytest.raises(EngineMismatch, match=r"build-engine --model encoder --backend openvino --precision fp32"):
            open_engine(models / "encoder.onnx", "openvino", engines_dir=tmp_path)
        with pytest.raises(EngineMismatch):
            verify_engine(card_path(path), models)
    assert build_engine(models / "encoder.onnx", "openvino", "fp32", engines_dir=tmp_path).built
    assert open_engine(models / "encoder.onnx", "openvino", engines_dir=tmp_path).card.build.verified


def test_engine_swapped_with_its_card_for_another_model_s(models, tmp_path):
    one = build_engine(models / "encoder.onnx", "openvino", "fp32", engines_dir=tmp_path).path
    two = build_engine(models / "generator.onnx", "openvino", "fp32", engines_dir=tmp_path).path
    raw = json.loads(card_path(two).read_text())
    one.write_bytes(two.read_bytes())
    card_path(one).write_text(json.dumps({**raw, "file": one.name}))
    with pytest.raises(EngineMismatch, match="made from another model"):
        open_engine(models / "encoder.onnx", "openvino", engines_dir=tmp_path)


def test_engine_of_another_version_is_refused_by_name(models, tmp_path, monkeypatch):
    path = build_engine(models / "encoder.onnx", "onnxruntime", "int8", engines_dir=tmp_path).path
    monkeypatch.setattr(onnxruntime_, "version", lambda: "99.0")
    for card in (path, models / "encoder.onnx"):
        with pytest.raises(EngineMismatch, match=r"another library version .*here 99\.0.*voxcam build-engine"):
            open_engine(card, "onnxruntime", precision="int8", engines_dir=tmp_path)


def test_engine_of_another_processor_is_refused(models, tmp_path, monkeypatch):
    path = build_engine(models / "encoder.onnx", "openvino", "bf16", engines_dir=tmp_path).path
    monkeypatch.setattr(engines.building.build.machine, "cpu_name", lambda: "Another CPU")
    with pytest.raises(EngineMismatch, match="another device"):
        open_engine(path, "openvino", precision="bf16", engines_dir=tmp_path)


def test_engine_of_an_older_model_is_not_taken(models, tmp_path):
    from tests.engines.tiny_models import tiny_encoder, write_model

    build_engine(models / "encoder.onnx", "onnxruntime", "int8", engines_dir=tmp_path / "e")
    write_model(models, "encoder", tiny_encoder(seed=9))
    with pytest.raises(EngineMismatch, match="built from an older model"):
        open_engine(models / "encoder.onnx", "onnxruntime", precision="int8", engines_dir=tmp_path / "e")


def test_wrong_engine_is_not_kept(models, tmp_path, monkeypatch):
    """A backend that computes something else passes everything but the golden stream."""
    from tests.engines.tiny_models import tiny_encoder

    other = tiny_encoder(seed=3).SerializeToString()
    monkeypatch.setattr(onnxruntime_, "build", lambda *_: Built(other))
    with pytest.raises(EngineMismatch, match=r"the fp32 engine of encoder for onnxruntime is wrong: \w+ is off by"):
        build_engine(models / "encoder.onnx", engines_dir=tmp_path / "e")
    assert engine_cards(tmp_path / "e") == []
    assert not list((tmp_path / "e").glob("*.engine"))


def test_full_disk(models, tmp_path, monkeypatch):
    def no_space(path, content):
        raise OutputError(f"cannot write {path} (No space left on device)", "free space")

    monkeypatch.setattr(engines.building.build, "write_atomically", no_space)
    with pytest.raises(OutputError, match="No space left"):
        build_engine(models / "encoder.onnx", engines_dir=tmp_path / "e")
    assert not list((tmp_path / "e").glob("*.engine"))


def test_folder_that_is_a_file(models, tmp_path):
    (tmp_path / "e").write_text("")
    with pytest.raises(OutputError, match="cannot make"):
        build_engine(models / "encoder.onnx", engines_dir=tmp_path / "e")


def test_two_builders_build_once(models, tmp_path, monkeypatch):
    calls, honest = [], onnxruntime_.build

    def slow(*arguments):
        calls.append(1)
        time.sleep(0.2)
        return honest(*arguments)

    monkeypatch.setattr(onnxruntime_, "build", slow)
    results, told = [], []

    def work():
        results.append(build_engine(models / "encoder.onnx", engines_dir=tmp_path / "e", progress=told.append))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert sorted(result.built for result in results) == [False, False, True]
    assert "waiting for another build of the same engine" in told


def test_builder_that_never_ends_is_not_waited_for_forever(tmp_path):
    with (
        build_lock(tmp_path / "lock"),
        pytest.raises(EngineMismatch, match="does not end"),
        build_lock(tmp_path / "lock", wait_s=0.1),
    ):
        pass


_KILLED = """
import sys, time, pathlib
from engines.backends import onnxruntime_
import engines.building.build
after = sys.argv[3] == "after"
honest = engines.building.build._verified
def stuck(*arguments):
    print("there", flush=True)
    time.sleep(60)
if after:
    engines.building.build._verified = stuck     # the engine file lies there, the card does not
else:
    onnxruntime_.build = stuck
engines.building.build.build_engine(sys.argv[1], engines_dir=pathlib.Path(sys.argv[2]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_build_leaves_nothing_trusted(models, tmp_path, when):
    folder = tmp_path / "e"
    arguments = [sys.executable, "-c", _KILLED, str(models / "encoder.onnx"), str(folder), when]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "there\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert bool(list(folder.glob("*.engine"))) == (when == "after")
    assert engine_cards(folder) == []
    with open_engine(models / "encoder.onnx", "onnxruntime", engines_dir=folder) as session:
        assert session.card.build is None, "the half-built engine was trusted"
    assert build_engine(models / "encoder.onnx", engines_dir=folder, lock_wait_s=1).built


def test_clean_keeps_what_is_good(models, tmp_path, monkeypatch):
    good = build_engine(models / "encoder.onnx", "openvino", "fp32", engines_dir=tmp_path).path
    bad = build_engine(models / "encoder.onnx", "openvino", "bf16", engines_dir=tmp_path).path
    bad.write_bytes(b"")
    (tmp_path / "orphan.engine").write_bytes(b"x")
    with contextlib.suppress(KeyboardInterrupt), atomic_file(good) as file:
        half = Path(file.name)
        raise KeyboardInterrupt
    half.write_bytes(b"half")  # as a kill leaves it
    names = ("holiday.jpg", ".env", ".gitignore", ".film.part", "other.card.json", "model.card.json")
    others = [tmp_path / name for name in names]
    for other in others:
        other.write_bytes(b"x")
    shutil.copyfile(models / "encoder.card.json", others[-1])
    monkeypatch.setattr(engines.building.build, "models", list)
    gone = {path.name for path in clean_engines(tmp_path)}
    assert gone == {bad.name, card_path(bad).name, "orphan.engine", half.name}
    assert good.exists()
    clean_engines(tmp_path, everything=True)
    assert not good.exists()
    assert all(other.exists() for other in others), "what no build wrote is gone"


def test_calibration_inputs_of_training_are_taken(models, tmp_path):
    import numpy as np

    assert (
        "golden stream" in build_engine(models / "encoder.onnx", precision="int8", engines_dir=tmp_path).card.build.note
    )
    golden = read_golden(models / "encoder.golden.npz", read_card(models / "encoder.card.json"))
    np.savez(models / "encoder.calibration.npz", **{f"input.{n}": a[:9] for n, a in golden.inputs.items()})
    note = build_engine(models / "encoder.onnx", precision="int8", engines_dir=tmp_path / "2").card.build.note
    assert "9 calibration steps" in note
    assert "validation data" in note
    (models / "encoder.calibration.npz").write_bytes(b"PK rubbish")
    with pytest.raises(EngineMismatch, match="no readable calibration"):
        build_engine(models / "encoder.onnx", precision="int8", engines_dir=tmp_path / "3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "tensorflow"}, "no backend 'tensorflow'"),
        ({"precision": "fp8"}, "no precision 'fp8'"),
        ({"precision": "bf16"}, "onnxruntime has no bf16 on cpu"),
        ({"compute_capability": ("8.9",)}, "builds for the machine at hand"),
    ],
)
def test_wrong_use(models, tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        build_engine(models / "encoder.onnx", engines_dir=tmp_path, **arguments)


@pytest.mark.parametrize("at_loading", [False, True])
def test_a_precision_that_the_device_lacks_is_not_opened(models, tmp_path, monkeypatch, at_loading):
    """Neither emulated, which is slower than fp32, nor asked to be built, which would be refused."""
    monkeypatch.setattr(onnxruntime_, "COMPILES", ("fp32", "bf16") if at_loading else ("fp32",))
    monkeypatch.setattr(onnxruntime_, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(ConfigError, match="onnxruntime has no bf16 on cpu: choose one of fp32"):
        open_engine(models / "encoder.onnx", "onnxruntime", precision="bf16", engines_dir=tmp_path)


def test_device_that_is_not_here(models, tmp_path):
    with pytest.raises(EngineMismatch, match="no device 'npu9'"):
        build_engine(models / "encoder.onnx", "openvino", device="npu9", engines_dir=tmp_path)
    with pytest.raises(EngineMismatch, match="no device 'npu9'"):
        open_engine(models / "encoder.onnx", "openvino", device="npu9", engines_dir=tmp_path)


def test_unknown_compute_capability(models, tmp_path):
    pytest.importorskip("tensorrt_rtx")
    with pytest.raises(ConfigError, match=r"no compute capability '9\.0': choose from 7\.5"):
        build_engine(models / "encoder.onnx", "tensorrt-rtx", compute_capability=("9.0",), engines_dir=tmp_path)


def test_missing_library_says_what_to_install(models, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_, "ov", None)
    with pytest.raises(EngineMismatch, match=r'pip install "voxcam\[openvino\]"'):
        build_engine(models / "encoder.onnx", "openvino", engines_dir=tmp_path)


def test_golden_stream_of_another_model(models, tmp_path):
    (models / "encoder.golden.npz").write_bytes((models / "generator.golden.npz").read_bytes())
    with pytest.raises(EngineMismatch, match="not a golden stream of encoder"):
        build_engine(models / "encoder.onnx", engines_dir=tmp_path)
    (models / "encoder.golden.npz").write_bytes(b"PK")
    with pytest.raises(EngineMismatch, match="no readable golden stream"):
        build_engine(models / "encoder.onnx", engines_dir=tmp_path)
