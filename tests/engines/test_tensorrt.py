"""TensorRT against a fake that records calls and computes; TensorRT-RTX's builder for real; both for real on a GPU."""

from __future__ import annotations

import gc

import numpy as np
import onnx
import pytest

from engines.backends import cuda_driver, find_backend, tensorrt_, tensorrt_rtx_
from engines.backends.built import BuildOptions
from engines.backends.cuda_driver import CudaDriver
from engines.building.build import build_engine, open_engine
from engines.card import card_path, read_card, read_checked
from engines.errors import DeviceError, EngineMismatch, StreamError
from engines.golden import read_golden, verify
from engines.state import State
from tests.engines import fake_nvidia
from tests.engines.fake_nvidia import LAUNCH_FAILED, FakeCuda, make_tensorrt


@pytest.fixture
def cuda(monkeypatch, tmp_path) -> FakeCuda:
    """A machine with one fake GPU, TensorRT and TensorRT-RTX."""
    fake = FakeCuda()
    driver = CudaDriver(fake)
    for module in (cuda_driver, tensorrt_, tensorrt_rtx_):
        monkeypatch.setattr(module, "open_driver", lambda: driver)
    monkeypatch.setattr(tensorrt_, "trt", make_tensorrt(fake))
    monkeypatch.setattr(tensorrt_rtx_, "trt", make_tensorrt(fake, "tensorrt_rtx"))
    monkeypatch.setenv("VOXCAM_CACHE", str(tmp_path / "cache"))
    return fake


BACKENDS = ("tensorrt", "tensorrt-rtx")


@pytest.fixture(params=BACKENDS)
def session(request, cuda, models):
    path = models / "encoder.card.json"
    build_engine(path, request.param)
    with open_engine(path, request.param) as opened:
        yield opened


def _stream(session, state, chunks):
    motion = []
    for chunk in chunks:
        outputs, state = session.step({"samples": chunk}, state)
        motion.append(outputs["motion"].copy())
    return np.array(motion), state


@pytest.fixture
def sound():
    return (0.3 * np.random.default_rng(2).standard_normal((12, 1, 320))).astype(np.float32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])  # the fake computes with ONNX Runtime: no bf16
@pytest.mark.parametrize("model", ["encoder", "generator"])
def test_engine_passes_its_golden_stream(cuda, models, model, backend, precision):
    result = build_engine(models / f"{model}.card.json", backend, precision)
    assert result.comparison is not None
    assert result.comparison.passed
    record = read_card(card_path(result.path)).build
    assert record is not None
    assert record.verified
    assert record.compute_capability == ("8.9",)
    assert record.flags["strongly_typed"] is True


def test_streams_on_one_gpu_never_mix(session, sound):
    alone, _ = _stream(session, session.init_state(), sound)
    one, two = session.init_state(), session.init_state()
    for k, chunk in enumerate(sound):
        outputs, one = session.step({"samples": chunk}, one)
        np.testing.assert_array_equal(outputs["motion"], alone[k])
        _, two = session.step({"samples": -chunk}, two)


def test_state_leaves_the_gpu_and_comes_back(session, sound, tmp_path):
    whole, _ = _stream(session, session.init_state(), sound)
    _, state = _stream(session, session.init_state(), sound[:5])
    state.save(tmp_path / "state.npz")
    rest, _ = _stream(session, State.load(tmp_path / "state.npz"), sound[5:])
    np.testing.assert_array_equal(rest, whole[5:])


def test_a_step_copies_samples_and_outputs_only(session, cuda, sound):
    _, state = _stream(session, session.init_state(), sound[:2])
    cuda.copies.clear()
    cuda.calls.clear()
    _, state = session.step({"samples": sound[2]}, state)
    assert [size for kind, size in cuda.copies if kind == "up"] == [sound[2].nbytes]
    assert sorted(size for kind, size in cuda.copies if kind == "down") == sorted(
        array.nbytes for array in session.outputs.values()
    )
    assert cuda.calls.count("cuStreamSynchronize") == 1
    assert not any(call.startswith("cuMemAlloc") for call in cuda.calls)
    if session.backend == "tensorrt":
        assert cuda.calls.count("cuGraphLaunch") == 1
        assert "execute_async_v3" not in cuda.calls


def test_call_order_of_a_direction(cuda, models):
    """Warm up, wait, capture, instantiate; once for each of the two directions."""
    path = models / "encoder.card.json"
    build_engine(path, "tensorrt")
    with open_engine(path, "tensorrt") as session:
        cuda.calls.clear()
        session.init_state()
    wanted = ("execute_async_v3", "cuStreamSynchronize", "cuStreamBeginCapture_v2", "cuStreamEndCapture")
    order = [call for call in cuda.calls if call in (*wanted, "cuGraphInstantiateWithFlags")]
    one = [*wanted[:3], "execute_async_v3", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"]
    assert order[:12] == one * 2


def test_without_a_graph_every_step_is_enqueued(cuda, models, sound):
    path = models / "encoder.card.json"
    build_engine(path, "tensorrt")
    with open_engine(path, "tensorrt") as session:
        whole, _ = _stream(session, session.init_state(), sound)
        cuda.refuse_capture = True
        state = session.init_state()
        cuda.calls.clear()
        motion, _ = _stream(session, state, sound)
    np.testing.assert_array_equal(motion, whole)
    assert cuda.calls.count("execute_async_v3") == len(sound)
    assert "cuGraphLaunch" not in cuda.calls


def test_rtx_keeps_its_kernels(cuda, models):
    path = models / "encoder.card.json"
    build_engine(path, "tensorrt-rtx")
    with open_engine(path, "tensorrt-rtx") as session:
        session.init_state()
        assert fake_nvidia.IRuntimeConfig.last.cuda_graph_strategy == "WHOLE_GRAPH_CAPTURE"
        kept = tensorrt_rtx_.runtime_cache_path(session.card, "Fake GPU")
        assert kept.read_bytes() == b"kernels"
    with open_engine(path, "tensorrt-rtx"):
        assert fake_nvidia.IRuntimeConfig.last.cache.read == b"kernels"
    kept.write_bytes(b"of another driver")
    with open_engine(path, "tensorrt-rtx") as session:
        session.init_state()
    assert kept.read_bytes() == b"kernels"


def test_held_inputs_are_uploaded_once(cuda, models):
    path = models / "generator.card.json"
    build_engine(path, "tensorrt")
    with open_engine(path, "tensorrt") as session:
        golden = read_golden(models / "generator.golden.npz", session.card)
        session.hold(features=golden.inputs["features"][4])
        cuda.copies.clear()
        picture = session.run({"code": golden.inputs["code"][4]})["picture"]
        np.testing.assert_allclose(picture, golden.outputs["picture"][4], atol=1e-5)
        assert [size for kind, size in cuda.copies if kind == "up"] == [golden.inputs["code"][4].nbytes]


def test_timing_cache_is_kept_and_refused_for_another_gpu(cuda, models, tmp_path):
    folder = tmp_path / "engines"
    assert not build_engine(models / "encoder.card.json", "tensorrt", engines_dir=folder).card.build.flags[
        "timing_cache"
    ]
    kept = folder / "tensorrt.timing"
    assert kept.read_bytes() == b"timings"
    result = build_engine(models / "encoder.card.json", "tensorrt", "fp16", engines_dir=folder)
    assert result.card.build.flags["timing_cache"]
    kept.write_bytes(b"another gpu")
    result = build_engine(models / "generator.card.json", "tensorrt", engines_dir=folder)
    assert not result.card.build.flags["timing_cache"]


def test_progress_tells_the_outermost_phase_in_tenths(cuda, models):
    told: list[str] = []
    build_engine(models / "encoder.card.json", "tensorrt", progress=told.append)
    phases = [line for line in told if line.startswith("Building")]
    assert phases == [f"Building: {percent} %" for percent in range(0, 101, 10)]
    assert not any("Tactics" in line for line in told)


def test_memory_is_freed(cuda, models):
    path = models / "encoder.card.json"
    build_engine(path, "tensorrt")
    gc.collect()
    before = len(cuda.memory)
    session = open_engine(path, "tensorrt")
    state = session.init_state()
    assert len(cuda.memory) > before
    session.close()
    del session, state
    gc.collect()
    assert len(cuda.memory) == before
    assert not cuda.graphs


def test_lost_gpu_is_a_stream_error_with_cuda_s_name(session, cuda, sound):
    state = session.init_state()
    cuda.fail["cuStreamSynchronize"] = LAUNCH_FAILED
    with pytest.raises(StreamError, match="CUDA_ERROR_LAUNCH_FAILED"):
        session.step({"samples": sound[0]}, state)


def test_failed_enqueue_address_context(cuda, models, monkeypatch):
    path = models / "generator.card.json"
    build_engine(path, "tensorrt")
    monkeypatch.setattr(fake_nvidia.IExecutionContext, "fail", True)
    with pytest.raises(StreamError, match="failed to run generator"):
        open_engine(path, "tensorrt")
    monkeypatch.setattr(fake_nvidia.IExecutionContext, "fail", False)
    monkeypatch.setattr(fake_nvidia.IExecutionContext, "refuse_address", "picture")
    with pytest.raises(EngineMismatch, match="address of picture"):
        open_engine(path, "tensorrt")
    monkeypatch.setattr(fake_nvidia.IExecutionContext, "refuse_address", "")
    monkeypatch.setattr(fake_nvidia.ICudaEngine, "create_execution_context", lambda self: None)
    with pytest.raises(EngineMismatch, match="no context"):
        open_engine(path, "tensorrt")


def test_refused_build_tells_the_library_s_reason(cuda, models, monkeypatch):
    monkeypatch.setattr(fake_nvidia.Builder, "refuse", True)
    with pytest.raises(EngineMismatch, match="could not build encoder: Cannot compile operation X"):
        build_engine(models / "encoder.card.json", "tensorrt")
    monkeypatch.setattr(fake_nvidia.OnnxParser, "parse", lambda self, content: False)
    with pytest.raises(EngineMismatch, match="refused encoder: Unsupported operator Foo"):
        build_engine(models / "encoder.card.json", "tensorrt")


def test_unreadable_engine_is_our_error_not_none(cuda, models):
    card, _ = read_checked(models / "encoder.card.json")
    for backend in BACKENDS:
        with pytest.raises(EngineMismatch, match=r"cannot open the engine of encoder .*voxcam build-engine"):
            find_backend(backend).load(b"rubbish", card, "fp32", "cuda", 1)


def test_other_gpu_and_driver_are_refused(cuda, models, monkeypatch):
    path = models / "encoder.card.json"
    monkeypatch.setattr(tensorrt_.machine, "nvidia_driver", lambda: "555.1")
    engine = build_engine(path, "tensorrt").path
    monkeypatch.setattr(tensorrt_.machine, "nvidia_driver", lambda: "999.9")
    with pytest.raises(EngineMismatch, match=r"another driver .*build-engine --model encoder --backend tensorrt"):
        open_engine(path, "tensorrt")
    with pytest.raises(EngineMismatch, match="another driver"):
        open_engine(engine, "tensorrt")


def test_gpu_of_another_compute_capability_is_refused(cuda, models):
    path = models / "encoder.card.json"
    engine = build_engine(path, "tensorrt-rtx", compute_capability=("12.0",)).path
    with pytest.raises(EngineMismatch, match=r"12\.0, this one has 8\.9: .* --compute-capability 8\.9"):
        open_engine(engine, "tensorrt-rtx")


def test_engine_built_ahead_of_time_is_found_and_verified(cuda, models, monkeypatch):
    path = models / "encoder.card.json"
    with monkeypatch.context() as patch:
        patch.setattr(tensorrt_rtx_, "find_gpu", dict)  # the machine that builds has no GPU
        result = build_engine(path, "tensorrt-rtx", "fp16", compute_capability=("7.5", "8.9"))
        assert not result.card.build.verified
    with open_engine(path, "tensorrt-rtx", precision="fp16") as session:
        assert session.card.build.compute_capability == ("7.5", "8.9")
    assert read_card(card_path(result.path)).build.verified


def test_no_driver_and_no_gpu():
    class NoGpu(FakeCuda):
        def cuDeviceGetCount(self, count):
            count._obj.value = 0

    with pytest.raises(DeviceError, match="0 NVIDIA GPUs"):
        CudaDriver(NoGpu())


def test_the_fake_has_nothing_that_the_library_lacks():
    """A fake that invents methods would prove nothing."""
    real = pytest.importorskip("tensorrt_rtx")
    fake = make_tensorrt(FakeCuda(), "tensorrt_rtx")
    own = {"OnnxParser": {"network"}, "Builder": {"refuse"}, "IRuntimeCache": {"kernels"}, "IRuntimeConfig": {"last"}}
    own["IExecutionContext"] = {"refuse_address", "fail"}
    for name, part in vars(fake).items():
        assert hasattr(real, name), name
        invented = own.get(name, set())
        for attribute in getattr(part, "__dict__", {}):
            if not attribute.startswith("_") and attribute not in invented:
                assert hasattr(getattr(real, name), attribute), f"{name}.{attribute}"


@pytest.fixture(scope="module")
def real_rtx():
    return pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")


@pytest.mark.parametrize("model", ["encoder", "generator"])
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_rtx_builds_for_four_gpus_without_one(real_rtx, models, tmp_path, model, precision):
    targets = ("7.5", "8.6", "8.9", "12.0")
    result = build_engine(models / f"{model}.card.json", "tensorrt-rtx", precision, None, targets, tmp_path / "engines")
    record = result.card.build
    assert record.compute_capability == targets
    assert record.flags["targets"] == ["SM75", "SM86", "SM89", "SM120"]
    assert result.path.stat().st_size == record.size_bytes > 50_000
    if not cuda_driver.find_gpu():
        assert not record.verified
        with pytest.raises(EngineMismatch, match="no device 'cuda'"):
            open_engine(
                models / f"{model}.card.json", "tensorrt-rtx", precision=precision, engines_dir=tmp_path / "engines"
            )


def test_rtx_without_gpu_says_so(real_rtx, models):
    """The library gives None and raises nothing."""
    if cuda_driver.find_gpu():
        pytest.skip("there is a GPU here")
    card, content = read_checked(models / "generator.card.json")
    options = BuildOptions(compute_capability=("8.9",))
    built = tensorrt_rtx_.build(content, card, "fp32", "cuda", options)
    with pytest.raises(EngineMismatch, match="cannot open the engine of generator"):
        tensorrt_rtx_.load(built.content, card, "fp32", "cuda", 1)


def test_rtx_s_reason_for_a_refused_type(real_rtx, models, tmp_path):
    """Turing has no bfloat16."""
    with pytest.raises(EngineMismatch, match=r"could not build generator: .*sm75"):
        build_engine(models / "generator.card.json", "tensorrt-rtx", "bf16", None, ("7.5",), tmp_path)


@pytest.mark.gpu
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize("model", ["encoder", "generator"])
def test_on_a_real_gpu(backend, precision, model, models, tmp_path):
    if not cuda_driver.find_gpu():
        pytest.skip("no NVIDIA GPU or driver here")
    module = find_backend(backend)
    if module.trt is None:
        pytest.skip(f"{module.PACKAGE} is not installed")
    path = models / f"{model}.card.json"
    assert build_engine(path, backend, precision, engines_dir=tmp_path).comparison.passed
    with open_engine(path, backend, precision=precision, engines_dir=tmp_path) as session:
        golden = read_golden(models / f"{model}.golden.npz", session.card)
        assert verify(session, golden).passed


def test_types_are_in_the_model_given_to_the_builder(cuda, models, monkeypatch):
    seen = []
    monkeypatch.setattr(fake_nvidia.OnnxParser, "parse", lambda self, content: seen.append(content) or False)
    with pytest.raises(EngineMismatch):
        build_engine(models / "generator.card.json", "tensorrt", "fp16")
    kinds = {tensor.data_type for tensor in onnx.load_model_from_string(seen[0]).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds
    assert onnx.TensorProto.FLOAT not in kinds
