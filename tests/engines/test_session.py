"""Streams through one session: state goes in and comes out, and nothing else is remembered."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from engines.encoder import open_encoder
from engines.errors import EngineMismatch, StreamError
from engines.golden import read_golden, verify
from engines.opening import open_session
from engines.state import State


@pytest.fixture
def sound() -> np.ndarray:
    return (0.3 * np.random.default_rng(5).standard_normal((40, 320))).astype(np.float32)


@pytest.fixture
def encoder(models):
    with open_encoder(models / "encoder.card.json") as opened:
        yield opened


def _codes(encoder, state, chunks):
    codes = []
    for chunk in chunks:
        code, state = encoder.step(chunk, state)
        codes.append(code.copy())
    return codes, state


def _same(codes, others):
    assert len(codes) == len(others)
    for a, b in zip(codes, others, strict=True):
        np.testing.assert_array_equal(a.motion, b.motion)
        np.testing.assert_array_equal(a.content, b.content)


def test_code_has_the_contract_s_shapes(encoder, sound):
    code, _ = encoder.step(sound[0], encoder.init_state())
    shapes = {name: getattr(code, name).shape for name in code.__slots__}
    assert shapes == {
        "content": (3, 48),
        "emotion": (16,),
        "noise": (16,),
        "speaker": (16,),
        "motion": (3, 14),
        "phone_logits": (3, 40),
        "presence": (3, 1),
        "emotion_logits": (7,),
        "snr": (1,),
    }
    assert isinstance(code.snr_db, float)


def test_saved_and_loaded_stream_goes_on_unbroken(encoder, sound, tmp_path):
    whole, end = _codes(encoder, encoder.init_state(), sound)
    first, state = _codes(encoder, encoder.init_state(), sound[:17])
    state.save(tmp_path / "state.npz")
    second, state = _codes(encoder, State.load(tmp_path / "state.npz"), sound[17:])
    _same(first + second, whole)
    assert state.equal(end)


def test_two_streams_never_mix(encoder, sound):
    other = sound[::-1].copy()
    alone, _ = _codes(encoder, encoder.init_state(), sound)
    state, noise_state = encoder.init_state(), encoder.init_state()
    together = []
    for chunk, noise in zip(sound, other, strict=True):
        code, state = encoder.step(chunk, state)
        together.append(code.copy())
        _, noise_state = encoder.step(noise, noise_state)
    _same(together, alone)


def test_state_decides(encoder, sound):
    """The test above could pass on an encoder without memory; this one could not."""
    _, state = _codes(encoder, encoder.init_state(), sound[:3])
    later = encoder.step(sound[3], state)[0].copy()
    fresh = encoder.step(sound[3], encoder.init_state())[0].copy()
    assert np.abs(later.motion - fresh.motion).max() > 1e-3


def test_spent_state_is_refused(encoder, sound):
    state = encoder.init_state()
    encoder.step(sound[0], state)
    with pytest.raises(StreamError, match="spent"):
        encoder.step(sound[1], state)


def test_copied_state_branches(encoder, sound):
    _, state = encoder.step(sound[0], encoder.init_state())
    kept = state.copy()
    one, _ = encoder.step(sound[1], state)
    one = one.copy()
    two, _ = encoder.step(sound[1], kept)
    np.testing.assert_array_equal(one.motion, two.motion)


def test_flush_owes_exactly_the_lookahead(encoder, sound):
    _, state = _codes(encoder, encoder.init_state(), sound)
    for lookahead_ms, count in ((0, 0), (40, 2), (80, 4)):
        tail, _ = encoder.flush(state.copy(), lookahead_ms)
        assert len(tail) == count


def test_sound_that_is_no_number_stops_before_the_state(encoder, sound):
    state = encoder.init_state()
    bad = sound[0].copy()
    bad[7] = np.nan
    with pytest.raises(StreamError, match="no numbers"):
        encoder.step(bad, state)
    code, _ = encoder.step(sound[0], state)  # the state was not spent and not touched
    assert np.isfinite(code.motion).all()


def test_wrong_chunk_is_refused(encoder):
    with pytest.raises(StreamError, match="320 samples, not 160"):
        encoder.step(np.zeros(160, np.float32), encoder.init_state())


def test_state_of_another_model_is_refused(encoder):
    with pytest.raises(StreamError, match="another model"):
        encoder.session.adopt(State.zeros({"state.other": (1, 4)}))
    with pytest.raises(StreamError, match=r"state.cell is float32\(1, 4\)"):
        encoder.session.adopt(State.zeros({"state.cell": (1, 4), "state.history": (1, 320)}))


def test_unreadable_state_is_refused(tmp_path):
    (tmp_path / "state.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(StreamError, match="no stream state"):
        State.load(tmp_path / "state.npz")


def test_a_step_keeps_no_memory(encoder, sound):
    state = encoder.init_state()
    for chunk in sound:
        _, state = encoder.step(chunk, state)
    tracemalloc.start()
    try:
        for _ in range(10):
            for chunk in sound:
                _, state = encoder.step(chunk, state)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 4_000
    assert peak - kept < 1_000  # one chunk is 1,280 bytes, the outputs are 2,900


def test_held_inputs_stay(models):
    with open_session(models / "generator.card.json") as session:
        golden = read_golden(models / "generator.golden.npz", session.card)
        code, features = golden.inputs["code"][3], golden.inputs["features"][3]
        session.hold(features=features)
        copied = session.bytes_copied
        picture = session.run({"code": code})["picture"]
        np.testing.assert_allclose(picture, golden.outputs["picture"][3], atol=1e-6)
        assert session.bytes_copied - copied == code.nbytes


def test_missing_and_unknown_inputs(models):
    with open_session(models / "generator.card.json") as session:
        with pytest.raises(StreamError, match="lacks inputs: features"):
            session.run({"code": np.zeros((1, 25), np.float32)})
        with pytest.raises(StreamError, match="no input 'cod'"):
            session.run({"cod": np.zeros((1, 25), np.float32)})
        with pytest.raises(StreamError, match="shape"):
            session.hold(code=np.zeros((25,), np.float32))


def test_closed_session_says_so(models):
    session = open_session(models / "generator.card.json")
    session.close()
    session.close()
    with pytest.raises(StreamError, match="closed"):
        session.run({})


def test_encoder_of_another_model_is_refused(models):
    with pytest.raises(EngineMismatch, match="no voxcam encoder"):
        open_encoder(models / "generator.card.json")


def test_golden_stream_finds_a_wrong_weight(models):
    """A golden stream that passes on any numbers would prove nothing."""
    with open_session(models / "encoder.card.json") as session:
        golden = read_golden(models / "encoder.golden.npz", session.card)
        assert verify(session, golden).passed
        golden.outputs["motion"][5:] += 0.02 * golden.outputs["motion"].std()
        failed = verify(session, golden)
        assert not failed.passed
        assert failed.worst[0] == "motion"
        golden.outputs["motion"][2] = np.nan
        assert not verify(session, golden).passed


@pytest.mark.parametrize("how", ["in order", "in a thread"])
def test_ctrl_c_still_comes_after_engines_have_gone(how):
    """OpenVINO's core may take the stack for signals with it: then the next one ends the program without a word."""
    pytest.importorskip("openvino", reason="needs the openvino extra")
    script = (
        "import signal, sys, threading\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from engines.opening import open_session\n"
        "sessions = [open_session(name, 'openvino') for name in ('encoder', 'generator')]\n"
        "def close():\n"
        "    while sessions:\n"
        "        sessions.pop(0).close()\n"
        "if sys.argv[1] == 'in order':\n"
        "    close()\n"
        "else:\n"
        "    thread = threading.Thread(target=close)\n"
        "    thread.start()\n"
        "    thread.join()\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('came')\n"
    )
    command = [sys.executable, "-c", script, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "came\n"), done.stderr
