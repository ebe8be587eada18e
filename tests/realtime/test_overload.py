"""A machine that is too busy: a lighter engine first, then fewer pictures, and back again, on clocks that are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.building.auto import Candidate
from engines.encoder import Encoder
from engines.generator import Generator
from engines.opening import open_session
from engines.spec import MOTION_CHANNELS, SPEC
from realtime import engines_in_use
from realtime.audio.sources import BlockSource
from realtime.clock import NS, FakeClock
from realtime.commands.live_session import LiveSession
from realtime.engines_in_use import Engines, LighterEngines
from realtime.governor import CALM_WINDOWS, NONE, UNKNOWN, WANTED, Governor
from realtime.pictures.sinks import NullSink
from realtime.pipeline import Pipeline
from tests.fakes import FakeEncoder, FakeGenerator, FakePortrait, FakeShaper


@dataclass
class Machine:
    """Draws what its engine, its divisor and its other work let it: running totals for a governor, second by second."""

    governor: Governor
    other_work: float = 0.0  # share of the core that others take
    full_ms: float = 30.0  # of a picture
    lighter_ms: float = 15.0
    second: int = 0
    drawn: int = 0
    late: int = 0
    busy_ns: int = 0

    def live(self, seconds: int) -> list[str]:
        said = []
        for _ in range(seconds):
            cost_ms = (self.lighter_ms if self.governor.lighter else self.full_ms) / (1 - self.other_work)
            wanted = 25 // self.governor.divisor
            done = min(wanted, int(1000 / cost_ms))
            self.drawn, self.late = self.drawn + done, self.late + wanted - done
            self.busy_ns += round(done * cost_ms * 1e6)
            self.second += 1
            said.append(self.governor.look(float(self.second), self.drawn, self.late, self.busy_ns))
        return [line for line in said if line]


def test_the_lighter_engine_comes_before_fewer_pictures_and_goes_after_them() -> None:
    governor = Governor(engine=UNKNOWN)
    machine = Machine(governor, full_ms=12.0, lighter_ms=6.0)
    assert machine.live(20) == []
    assert (governor.engine, governor.divisor) == (UNKNOWN, 1)
    machine.other_work = 0.78  # full 55 ms, lighter 27 ms a picture
    machine.live(3)
    assert governor.engine == WANTED
    assert (governor.lighter, governor.divisor) == (False, 1)
    governor.prepared(True)
    machine.live(20)
    assert (governor.lighter, governor.divisor) == (True, 1)  # that was enough
    machine.other_work = 0.9  # even the lighter one takes 60 ms
    machine.live(8)
    assert governor.lighter
    assert governor.divisor == 2
    machine.other_work = 0.0
    steps = []
    for _ in range(60):
        machine.live(1)
        if not steps or steps[-1] != (governor.lighter, governor.divisor):
            steps.append((governor.lighter, governor.divisor))
    assert steps == [(True, 2), (True, 1), (False, 1)]


def test_each_is_said_once() -> None:
    governor = Governor()
    machine = Machine(governor)
    said = []
    for _ in range(4):
        machine.other_work = 0.6
        said += machine.live(12)
        machine.other_work = 0.0
        machine.full_ms = 5.0
        said += machine.live(200)
        assert governor.divisor == 1
        machine.full_ms = 30.0
    assert [line.split(":")[0] for line in said] == [
        "this machine is too busy for all pictures",
        "there is room again",
    ]


def test_a_search_that_takes_long_does_not_keep_pictures_late() -> None:
    governor = Governor(engine=UNKNOWN)
    machine = Machine(governor, other_work=0.6)
    machine.live(6)
    assert (governor.engine, governor.divisor) == (WANTED, 1)
    machine.live(6)
    assert governor.divisor > 1
    governor.prepared(True)
    assert governor.lighter


def test_without_a_lighter_engine_pictures_are_fewer_at_once() -> None:
    governor = Governor(engine=UNKNOWN)
    machine = Machine(governor, other_work=0.6)
    machine.live(3)
    governor.prepared(False)
    assert governor.engine == NONE
    machine.live(4)
    assert (governor.lighter, governor.divisor) == (False, 2)


def test_steps_up_that_do_not_hold_come_ever_more_seldom() -> None:
    """A machine that can draw 12 pictures a second: by the load alone it looks as if there were room for 25."""
    governor = Governor()
    changes, was = [], 1
    drawn = late = 0
    for second in range(1, 1200):
        wanted = 25 // governor.divisor
        done = wanted if governor.divisor > 1 else 12
        drawn, late = drawn + done, late + wanted - done
        governor.look(float(second), drawn, late, 0)
        if governor.divisor != was:
            if governor.divisor == 1:
                changes.append(second)
            was = governor.divisor
    gaps = np.diff(changes)
    assert len(changes) >= 4
    assert len(changes) < 1200 / (2 * CALM_WINDOWS) / 3
    assert (np.diff(gaps) >= 0).all()


class NamedSession:
    """What LiveSession looks at in a session."""

    def __init__(self, name: str) -> None:
        self.backend, self.precision = name, "int8"
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Owner:
    """An encoder or generator around a fake one, with a session that can be exchanged."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.session: Any = NamedSession("full")
        self.session.card = type("Card", (), {"name": type(engine).__name__})
        self.used: list[tuple[str, str]] = []

    def use(self, session: Any) -> None:
        self.used.append((session.backend, threading.current_thread().name))
        self.session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@pytest.fixture
def overloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LiveSession, FakeClock]]:
    """A live session of slow engines whose lighter ones are found at once, on a clock that is told."""
    light: dict[str, NamedSession] = {}

    def open_lighter(name: str, present: Any) -> Any:
        found = light[name] = NamedSession("light")
        found.card = present.card
        return found

    monkeypatch.setattr("engines.building.lighter.open_lighter", open_lighter)
    engines = Engines(Owner(FakeEncoder()), FakeShaper(), Owner(FakeGenerator()))
    source = BlockSource(iter([np.zeros((16_000 * 20, 1), np.float32)]), 16_000, 1, paced=True)
    portrait = FakePortrait()
    pipeline = Pipeline(
        source, engines.encoder, engines.shaper, engines.generator, portrait, [NullSink()], size=portrait.size
    )
    session = LiveSession(pipeline, engines, Path("me.jpg"), (48, 32), "auto", None, None, None, 0.0, "null")
    session.clock = FakeClock(session.start_ns)  # type: ignore[assignment]
    with session.lighter:
        yield session, session.clock  # type: ignore[misc]


def test_live_exchanges_engines_between_steps_and_back(
    overloaded: tuple[LiveSession, FakeClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, clock = overloaded
    pipeline, engines = session.pipeline, session.engines
    counted, look = Machine(session.governor), session.governor.look

    def told(now_s: float, *_: int) -> str:
        return look(now_s, counted.drawn, counted.late, counted.busy_ns)  # a busy test machine may not interfere

    monkeypatch.setattr(session.governor, "look", told)

    def live(seconds: int, late: int) -> None:
        for _ in range(seconds):
            clock.advance(NS)
            counted.drawn, counted.late = counted.drawn + 25, counted.late + late
            session.poll()
            pipeline.wait(0.02)

    def until_exchanged(times: int) -> None:
        for _ in range(200):
            if len(engines.encoder.used) == len(engines.generator.used) == times:
                return
            pipeline.wait(0.05)

    with pipeline:
        live(4, late=50)
        assert session.lighter._thread is not None
        session.lighter._thread.join(5)
        live(1, late=0)
        until_exchanged(1)
        assert engines.encoder.used == [("light", "voice")]
        assert engines.generator.used == [("light", "face")]
        assert session.entry()["engines"] == {"FakeEncoder": "light int8", "FakeGenerator": "light int8"}
        assert pipeline.controls.rate_divisor == 1
        assert any("a lighter engine (light int8)" in note for note in session.state["notes"])
        live(60, late=0)
        until_exchanged(2)
        assert engines.encoder.used[1:] == [("full", "voice")]
        assert engines.generator.used[1:] == [("full", "face")]
    assert pipeline.error is None
    assert len([note for note in session.state["notes"] if "busy" in note]) == 1


@pytest.mark.parametrize(
    ("error", "told"), [(RuntimeError("out of memory"), "out of memory"), (MemoryError(), "MemoryError")]
)
def test_a_search_that_breaks_is_told_and_pictures_are_fewer(
    overloaded: tuple[LiveSession, FakeClock], monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    session, clock = overloaded

    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr("engines.building.lighter.open_lighter", broken)
    for _ in range(10):
        clock.advance(NS)
        session.pipeline.meters.late_pictures += 50
        session.poll()
        if session.lighter._thread is not None:
            session.lighter._thread.join(5)
    assert f"no lighter engine: {told}" in session.state["notes"]
    assert session.pipeline.controls.rate_divisor > 1
    assert not session.governor.lighter


# -- real engines


def codes_of(encoder: Encoder, chunks: np.ndarray, exchange: dict[int, Any]) -> np.ndarray:
    """Motion (n, 3, 14) of a stream; before step k the encoder goes on with exchange[k]."""
    state, found = encoder.init_state(), []
    for k, chunk in enumerate(chunks):
        if k in exchange:
            encoder.use(exchange[k])
        code, state = encoder.step(chunk, state)
        found.append(code.motion.copy())
    return np.array(found)


def test_an_encoder_is_exchanged_in_mid_stream_and_nothing_is_lost() -> None:
    pytest.importorskip("openvino", reason="needs the openvino extra")
    random = np.random.default_rng(5)
    level = np.repeat(random.uniform(0, 0.3, 20), 6)[:, None]
    chunks = (random.standard_normal((120, SPEC.chunk_samples)) * level).astype(np.float32)
    with open_session("encoder") as first, open_session("encoder", "openvino") as second:
        plain = codes_of(Encoder(first), chunks, {})
        mixed = codes_of(Encoder(first), chunks, {40: second, 80: first})
        late = codes_of(Encoder(first), chunks[40:], {})
    assert np.abs(mixed - plain).max() < 2e-3
    assert np.abs(late[0] - plain[40]).max() > 2e-3, "a state that begins anew would not show"


def test_a_generator_is_exchanged_with_its_portrait(shipped_portrait: Any) -> None:
    pytest.importorskip("openvino", reason="needs the openvino extra")
    code = np.zeros(len(MOTION_CHANNELS), np.float32)
    code[:2] = 0.12
    with open_session("generator") as first, open_session("generator", "openvino") as second:
        generator = Generator(first)
        plain = generator.draw(code, shipped_portrait).copy()
        generator.use(second)
        other = generator.draw(code, shipped_portrait).copy()
        generator.use(first)
        again = generator.draw(code, shipped_portrait)
    assert np.abs(plain.astype(int) - other).max() <= 2
    assert np.array_equal(plain, again)
    assert generator.session is first


@pytest.fixture(scope="module")
def shipped_portrait() -> Any:
    from importlib.resources import files

    from realtime.faces import load_portrait

    return load_portrait(Path(str(files("realtime") / "assets" / "portrait.jpg")), camera=(320, 240)).portrait


def test_lighter_engines_pass_their_golden_stream_or_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Timing decides which one: here every lower precision counts as half as slow."""
    pytest.importorskip("openvino", reason="needs the openvino extra")
    import engines.building.lighter

    told: list[str] = []
    tried: list[Candidate] = []
    original = engines.building.lighter._time_share

    def half(path: Any, card: Any, now: Any, option: Candidate, *rest: Any) -> float:
        tried.append(option)
        original(path, card, now, option, *rest)
        return 0.5

    monkeypatch.setattr("engines.building.lighter._time_share", half)
    with open_session("generator") as present:
        lighter = engines.building.lighter.open_lighter("generator", present, tmp_path, told.append)
        if not tried:
            pytest.skip("this processor has no lower precision that needs no build")
        assert lighter is not None
        with lighter:
            assert lighter.precision in ("bf16", "fp16", "int8")
            assert {n: t.shape for n, t in lighter.card.inputs.items()} == {
                n: t.shape for n, t in present.card.inputs.items()
            }
    monkeypatch.setattr("engines.building.lighter._time_share", lambda *_: 0.99)
    with open_session("generator") as present:
        assert engines.building.lighter.open_lighter("generator", present, tmp_path) is None


def test_looking_for_lighter_engines_beside_real_ones() -> None:
    """Whatever this machine has: the search ends, and what it gives can draw and hear."""
    with engines_in_use.open_engines() as engines:
        told: list[str] = []
        with LighterEngines(engines, told.append) as lighter:
            lighter.look()
            assert lighter._thread is not None
            lighter._thread.join(120)
            assert lighter.found is not None
            state = engines.encoder.init_state()
            for owner, full, other in lighter.pairs:
                owner.use(other)
                owner.use(full)
            code, state = engines.encoder.step(np.zeros(SPEC.chunk_samples, np.float32), state)
            assert np.isfinite(code.motion).all()
    assert told == []
