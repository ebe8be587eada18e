"""An engine that fails during a call: another one goes on, or the face idles or stands still, and it is said once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.card import card_path, read_card
from engines.encoder import Encoder
from engines.errors import StreamError
from engines.spec import SPEC
from realtime.audio.sources import BlockSource
from realtime.commands.live_session import LiveSession
from realtime.engines_in_use import Engines, open_model
from realtime.messages import Picture
from realtime.pictures.sinks import Sink
from realtime.pipeline import Pipeline, run
from tests.engines.test_auto import Failing
from tests.fakes import FakeEncoder, FakeGenerator, FakePortrait, FakeShaper

LOUD = 0.25


class Greys(Sink):
    name = "greys"

    def __init__(self) -> None:
        self.greys: dict[int, int] = {}

    def send(self, picture: Picture) -> None:
        self.greys[picture.index] = int(picture.pixels[0, 0, 0])


class BrokenGenerator(FakeGenerator):
    def __init__(self, good: int) -> None:
        super().__init__()
        self.good = good

    def draw(self, *arguments: Any, **options: Any) -> np.ndarray:
        if self.drawn >= self.good:
            raise StreamError("the GPU is lost", "restart")
        return super().draw(*arguments, **options)


def live(seconds: float, encoder: FakeEncoder, generator: FakeGenerator) -> tuple[Pipeline, Greys, list[str]]:
    """A steady loud sound at real-time pace, whose pictures are 100 as long as all is well."""
    blocks = [np.full((160, 1), LOUD, np.float32)] * round(seconds * 100)
    sink, portrait, told = Greys(), FakePortrait(), list[str]()
    source = BlockSource(iter(blocks), SPEC.sample_rate_hz, 1, paced=True)
    pipeline = Pipeline(source, encoder, FakeShaper(), generator, portrait, [sink], size=portrait.size)
    pipeline.warn = told.append
    return pipeline, sink, told


@pytest.mark.parametrize("how", ["raises", "nan"])
def test_the_default_engine_is_opened_anew_and_nothing_is_lost(how: str) -> None:
    sound = (0.3 * np.random.default_rng(4).standard_normal((20, SPEC.chunk_samples))).astype(np.float32)
    motions, told = [], list[str]()
    for broken in (False, True):
        with Encoder(open_model("encoder")) as encoder:
            encoder.session.on_fallback = told.append
            if broken:
                Failing(encoder.session.inner, 7, how)
            state, motion = encoder.init_state(), []
            for chunk in sound:
                code, state = encoder.step(chunk, state)
                motion.append(code.motion.copy())
        motions.append(np.array(motion))
    assert np.array_equal(*motions)
    assert len(told) == 1
    assert "encoder: onnxruntime fp32 on cpu failed" in told[0]
    assert told[0].endswith("going on with it, opened anew")


def test_an_engine_that_was_named_is_replaced_by_the_plain_one() -> None:
    pytest.importorskip("openvino", reason="needs the openvino extra")
    told: list[str] = []
    with open_model("generator", "openvino") as session:
        session.on_fallback = told.append
        Failing(session.inner, 0, "raises")
        card = read_card(card_path("generator"))
        session.run({name: np.zeros(tensor.shape, np.float32) for name, tensor in card.inputs.items()})
        assert (session.backend, session.precision) == ("onnxruntime", "fp32")
    assert len(told) == 1


def test_without_any_encoder_the_face_idles_and_the_end_says_why() -> None:
    encoder = FakeEncoder()
    encoder.fail_at = 40
    pipeline, sink, told = live(2.0, encoder, FakeGenerator())
    with pytest.raises(RuntimeError, match="the fake encoder fails"):
        run(pipeline, every_s=0.02)
    assert max(sink.greys) == 49  # to the end of the sound
    assert {sink.greys[i] for i in sink.greys if i < 19} <= {0, 100}
    assert {sink.greys[i] for i in sink.greys if i > 22} == {0}
    assert told == ["the face idles, start live again: the fake encoder fails"]


def test_machines_are_told_of_a_failure() -> None:
    encoder = FakeEncoder()
    encoder.fail_at = 5
    pipeline, _, _ = live(0.5, encoder, FakeGenerator())
    engines = Engines(encoder, FakeShaper(), FakeGenerator())
    session = LiveSession(pipeline, engines, Path("me.jpg"), (48, 32), "auto", None, None, None, 0.0, "null")
    assert session.entry()["failure"] is None
    with pytest.raises(RuntimeError):
        run(pipeline, every_s=0.02)
    assert session.entry()["failure"] == "the fake encoder fails"
    assert session.state["notes"] == ["the face idles, start live again: the fake encoder fails"]


def test_a_lost_network_leaves_the_closed_form() -> None:
    pipeline, sink, told = live(1.0, FakeEncoder(), BrokenGenerator(good=10))
    pipeline.face.spare = FakeGenerator
    with pytest.raises(StreamError, match="the GPU is lost"):
        run(pipeline, every_s=0.02)
    assert max(sink.greys) == 24
    assert len(sink.greys) == pipeline.meters.pictures - pipeline.workers[0].dropped
    assert pipeline.meters.pictures >= 25 - pipeline.meters.late_pictures
    assert told == ["the face goes on without its network: the GPU is lost: restart"]


def test_a_face_that_cannot_be_drawn_stands_still_and_the_sound_goes_on() -> None:
    pipeline, sink, told = live(1.0, FakeEncoder(), BrokenGenerator(good=10))
    codes: list[float] = []
    pipeline.voice.on_code.append(lambda code: codes.append(time.monotonic()))
    with pytest.raises(StreamError, match="the GPU is lost"):
        run(pipeline, every_s=0.02)
    assert len(sink.greys) == 10 - pipeline.workers[0].dropped
    assert len(codes) >= 50
    assert told == ["the picture stands still, start live again: the GPU is lost: restart"]
