"""The encoder: streaming equals offline, nothing comes from the future, state is all the memory there is."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from engines.spec import SPEC
from train.speech.export import OUTPUTS, golden_stream, macs, onnx_bytes
from train.speech.losses import align_rows, reached
from train.speech.streams import encode
from train.speech.vae import DELAYS, Encoder, EncoderConfig, from_mel, masked, mel_matrix, to_mel, warped

SMALL = EncoderConfig(conv1=16, conv2=24, gru=32, slow=16, motion_gru=8, decoder=16)
SHIPPED = ("content", "motion", "phone_logits", "emotion", "noise", "speaker", "emotion_logits", "snr_db")


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    made = Encoder(SMALL, np.linspace(0.01, 0.1, 14).astype(np.float32)).eval()
    made.gain.fill_(1.3)
    return made


def sound(codes: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    envelope = np.repeat(draw.random(codes) ** 2, 320)
    return (0.2 * envelope * draw.standard_normal(codes * 320)).astype(np.float32)


@torch.no_grad()
def whole(encoder: Encoder, samples: np.ndarray) -> dict[str, np.ndarray]:
    out, _ = encoder(torch.from_numpy(samples)[None])
    out["motion"] = encoder.finish_motion(out["motion"])
    return {name: out[name][0].numpy() for name in SHIPPED}


@torch.no_grad()
def stepped(encoder: Encoder, samples: np.ndarray) -> dict[str, np.ndarray]:
    state = encoder.init_state()
    rows: dict[str, list[np.ndarray]] = {name: [] for name in SHIPPED}
    for chunk in samples.reshape(-1, 1, 320):
        out, state = encoder.step(torch.from_numpy(chunk), state)
        for name in SHIPPED:
            value = out[name].numpy()
            rows[name].append(value if name in ("content", "motion", "phone_logits") else value[0])
    return {name: np.stack(values) for name, values in rows.items()}


def test_steps_equal_the_whole(encoder: Encoder) -> None:
    samples = sound(60)
    a, b = whole(encoder, samples), stepped(encoder, samples)
    for name in SHIPPED:
        np.testing.assert_allclose(b[name], a[name], atol=2e-5, err_msg=name)


def test_pieces_equal_the_whole(encoder: Encoder) -> None:
    samples = torch.from_numpy(sound(60))[None]
    with torch.no_grad():
        expected, _ = encoder(samples)
        for seed in range(4):
            cuts = np.sort(np.random.default_rng(seed).choice(np.arange(1, 60), 5, replace=False)) * 320
            state, parts = encoder.init_state(), []
            for piece in torch.tensor_split(samples, cuts.tolist(), dim=1):
                out, state = encoder(piece, state)
                parts.append(out["motion"])
            torch.testing.assert_close(torch.cat(parts, 1), expected["motion"], atol=2e-5, rtol=1e-4)


def test_the_future_changes_nothing(encoder: Encoder) -> None:
    samples = sound(50)
    other = samples.copy()
    other[30 * 320 :] = sound(20, 1)
    a, b = whole(encoder, samples), whole(encoder, other)
    for name in SHIPPED:
        np.testing.assert_allclose(a[name][:30], b[name][:30], atol=1e-6, err_msg=name)
        assert np.abs(a[name][32:] - b[name][32:]).max() > 1e-4, name


def test_streams_in_one_batch_do_not_mix(encoder: Encoder) -> None:
    together = encode(encoder, [sound(40, 1), sound(55, 2)])
    alone = encode(encoder, [sound(40, 1)])
    np.testing.assert_allclose(together[0]["motion"], alone[0]["motion"], atol=1e-5)
    assert together[1]["motion"].shape == (55, 3, 14)


def test_noise_factor_moves_no_lips(encoder: Encoder) -> None:
    """Motion reads content and emotion; the noise factor can only shut the mouth, through presence."""
    samples = torch.from_numpy(sound(40))[None]
    with torch.no_grad():
        before, _ = encoder(samples)
        encoder.presence.weight[:, -SPEC.noise_size :] = 0
        still, _ = encoder(samples)
        encoder.slow["noise"].mean.weight *= -1
        after, _ = encoder(samples)
    assert not torch.allclose(before["noise"], after["noise"])
    torch.testing.assert_close(after["motion"], still["motion"])


def test_rows_are_put_to_the_code_they_speak_of() -> None:
    steps = torch.arange(20.0)[None, :, None].repeat(1, 1, 3)
    aligned = align_rows(steps)
    mask = reached(20, torch.device("cpu"))
    for row, delay in enumerate(DELAYS):
        good = mask[:, row] > 0
        assert int(good.sum()) == 20 - delay
        torch.testing.assert_close(aligned[0, good, row], torch.arange(20.0)[: 20 - delay] + delay)


def test_mel_bands_hear_their_tones(encoder: Encoder) -> None:
    matrix = mel_matrix()
    assert matrix.shape == (201, 80)
    assert (matrix.sum(0) > 0).all()
    time = np.arange(400) / 16_000
    peaks = []
    for hz in (300, 1000, 3000):
        window = torch.from_numpy(np.sin(2 * np.pi * hz * time).astype(np.float32))
        peaks.append(int(encoder.log_mel.of_windows(window[None, None])[0, 0].argmax()))
    assert peaks == sorted(peaks)
    assert peaks[0] > 3


def test_silence_stays_finite(encoder: Encoder) -> None:
    out = stepped(encoder, np.zeros(320 * 1600, np.float32))
    for name, value in out.items():
        assert np.isfinite(value).all(), name
        assert np.abs(value[-1] - value[-20]).max() < 1e-3, name  # it comes to rest


def test_exported_graph_equals_steps(encoder: Encoder) -> None:
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter warns of its own parts
        model = onnx_bytes(encoder)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    golden = golden_stream(encoder, sound(50))
    names = [value.name for value in session.get_outputs()]
    assert set(OUTPUTS) <= set(names)
    shapes = {value.name: value.shape for value in session.get_inputs()}
    assert shapes.pop("samples") == [1, 320]
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    for step, chunk in enumerate(golden.inputs["samples"]):
        found = dict(zip(names, session.run(None, {"samples": chunk} | state), strict=True))
        state = {name: found[f"{name}.next"] for name in state}
        for name in OUTPUTS:
            np.testing.assert_allclose(found[name], golden.outputs[name][step], atol=1e-4, err_msg=name)
    model_proto = pytest.importorskip("onnx").load_model_from_string(model)
    assert {entry.key for entry in model_proto.metadata_props} == {"spec"}
    assert "/" not in "".join(node.doc_string for node in model_proto.graph.node)


def test_a_stretched_spectrum_is_read_elsewhere() -> None:
    hz = from_mel(np.linspace(to_mel(20), to_mel(8000), 82))[1:-1]
    mel = torch.from_numpy(np.log(hz).astype(np.float32)).expand(3, 5, 80)
    found = warped(mel, torch.tensor([0.9, 1.0, 1.1]))
    inside = slice(10, 70)  # at both ends there is nothing to read
    torch.testing.assert_close(found[1], mel[1], atol=1e-4, rtol=1e-4)
    for row, stretch in ((0, 0.9), (2, 1.1)):
        torch.testing.assert_close(
            found[row, :, inside] - mel[row, :, inside], torch.full((5, 60), np.log(stretch)), atol=2e-3, rtol=0
        )


def test_bands_are_masked_in_training_alone(encoder: Encoder) -> None:
    torch.manual_seed(0)
    mel = torch.randn(64, 10, 80)
    found = masked(mel, 10)
    hidden = (found != mel).any(1)
    assert 0.3 < hidden.any(1).float().mean() < 0.6  # half of the rows, now and then by no band at all
    assert hidden.sum(1).max() <= 20
    row, band = torch.nonzero(hidden)[0]
    torch.testing.assert_close(found[row, :, band], mel[row].mean().expand(10))
    samples = sound(20)
    expected = whole(encoder, samples)["content"]
    encoder.config = replace(encoder.config, masked_bands=40, dropout=0.5)
    np.testing.assert_array_equal(whole(encoder, samples)["content"], expected)
    assert np.abs(whole(encoder.train(), samples)["content"] - expected).max() > 0.01


def test_shipped_size_is_within_the_budget() -> None:
    assert 2 * macs(Encoder(EncoderConfig())) < 10e6


def test_content_stands_about_its_running_mean(encoder: Encoder) -> None:
    encoder.presence.bias.data.fill_(4.0)  # somebody speaks all the time
    samples = torch.from_numpy(sound(600))[None]
    with torch.no_grad():
        before, _ = encoder(samples)
        encoder.content.bias += 3.0
        after, _ = encoder(samples)
    moved = (after["content"] - before["content"]).abs().amax((0, 2, 3))
    assert moved[0] > 2.0  # a stream begins with it, so that training has to hold it near zero
    assert moved[-1] < 0.4
    taken_off = (after["content_mean"] - before["content_mean"]).abs().amax((0, 2, 3))
    assert taken_off[-1] > 2.6
