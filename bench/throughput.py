"""`voxcam bench throughput`: pictures and codes a second, for each engine and thread count, beside the yardstick.

Everything that is compared runs in one process, in turns, so that load on the machine falls on all alike.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.latency import Progress
from bench.rig import Rig, hops_of, shipped_speech
from bench.rows import Row, value_row
from bench.yardstick import yardstick_card
from engines.backends import BACKENDS, find_backend
from engines.building.build import models, open_engine
from engines.card import EngineCard, card_path, read_card
from engines.errors import ConfigError, EngineMismatch, VoxcamError
from engines.golden import Golden, golden_path, read_golden, verify
from engines.spec import SPEC
from realtime.latent_ring import LatentRing
from realtime.messages import AudioHop
from realtime.meters import Meters
from realtime.pipeline import VoiceStage

TURN_S = 0.4  # of each contestant in each round


class Contestant:
    """Something that can be called again and again, and counted.

    On one thread, calls a second of processor time: what other programs take from the core meanwhile is not counted.
    """

    def __init__(self, call: Callable[[], None], **about: Any) -> None:
        self.call, self.about = call, about
        self.rates: list[float] = []

    def take_turn(self, seconds: float) -> None:
        self.call()
        clock = time.process_time if self.about.get("threads", 1) == 1 else time.perf_counter
        calls, began = 0, clock()
        while (now := clock()) - began < seconds or calls < 3:
            self.call()
            calls += 1
        self.rates.append(calls / (now - began))


def measure_throughput(
    rig: Rig,
    backend: str = "all",
    threads: tuple[int, ...] = (1,),
    repeats: int = 5,
    yardstick: bool = True,
    progress: Progress = lambda text: None,
) -> list[Row]:
    """Pictures (generator, yardstick) and codes (encoder) a second; and offline render against real time."""
    if backend != "all" and backend not in BACKENDS:
        raise ConfigError(f"no engine {backend!r}", f"choose all or one of {', '.join(BACKENDS)}")
    with ExitStack() as stack:
        contestants, refused = [drawing(rig, stack)], list[Row]()
        cards = [card_path(name) for name in models()] + ([yardstick_card()] if yardstick else [])
        for card in cards:
            for count in threads:
                accepted, others = engine_contestants(card, backend, count, stack, progress)
                contestants += accepted
                refused += others
        for turn in range(repeats):
            progress(f"throughput: round {turn + 1} of {repeats}, {len(contestants)} contestants")
            for contestant in contestants:
                contestant.take_turn(TURN_S)
    rows = [value_row("calls_per_second", c.rates, _unit(c), **c.about) for c in contestants]
    return rows + refused + _against_yardstick(contestants) + render_rows(rig, repeats=min(repeats, 3))


def _unit(contestant: Contestant) -> str:
    return "1/s" if contestant.about["threads"] == 1 else "1/s (wall clock)"


def drawing(rig: Rig, stack: ExitStack) -> Contestant:
    """The shipped generator on one core, over the codes of real speech."""
    codes = motion_course(rig, shipped_speech()[: 16_000 * 4])
    engines = stack.enter_context(rig.engines())
    out = np.empty_like(rig.portrait.photo)
    order = iter(range(10**9))

    def draw() -> None:
        cv2.setNumThreads(1)
        engines.generator.draw(codes[next(order) % len(codes)], rig.portrait, out=out)

    height, width = rig.portrait.size
    return Contestant(draw, model=f"generator {width}x{height}", engine="opencv, numba", precision="-", threads=1)


def motion_course(rig: Rig, samples: np.ndarray) -> np.ndarray:
    """The motion codes of a sound, (codes, 26)."""
    course = []
    with rig.engines() as engines:
        stage = VoiceStage(engines.encoder, engines.shaper, LatentRing(), Meters(), lookahead_ms=0)
        stage.on_code.append(lambda code: course.append(code.motion.copy()))
        for index, hop in enumerate(hops_of(samples)):
            stage.hear(AudioHop(index, hop[:, 0], 0))
    return np.array(course)


def engine_contestants(
    card: Path, backend: str, threads: int, stack: ExitStack, progress: Progress
) -> tuple[list[Contestant], list[Row]]:
    """Every engine of a model that can be opened here without building, or was built; and a row for each refused one.

    What fails against the golden stream would never be used, so its speed is no figure.
    """
    found = read_card(card)
    golden = _golden(card)
    inputs = dict(golden.inputs) if golden is not None else _random_inputs(found)
    contestants, refused = [], []
    for name in BACKENDS if backend == "all" else (backend,):
        module = find_backend(name)
        try:
            options = [(device, precision) for device in module.devices() for precision in module.precisions(device)]
        except EngineMismatch as error:
            if backend != "all":
                raise
            progress(f"left out: {error.what}")
            continue
        for device, precision in options:
            try:
                session = stack.enter_context(open_engine(card, name, device, precision, threads))
            except VoxcamError:
                continue  # not built: `voxcam bench engines` builds all, this measures what is there
            about = {"model": found.name, "engine": f"{name} {device}", "precision": precision, "threads": threads}
            comparison = verify(session, golden) if golden is not None else None
            if comparison is None or comparison.passed:
                contestants.append(Contestant(stepper(session, inputs), **about))
            else:
                progress(f"refused: {found.name} {name} {precision}: {comparison.refusal()}")
                refused.append({"measure": "refused", **about, "note": comparison.refusal()})
    return contestants, refused


def stepper(session: Any, inputs: dict[str, np.ndarray]) -> Callable[[], None]:
    """One call after another on a session, over inputs (steps, *shape)."""
    steps = len(next(iter(inputs.values())))
    state = [session.init_state() if session.state_tensors else None]
    k = [0]

    def step() -> None:
        chunk = {name: array[k[0] % steps] for name, array in inputs.items()}
        k[0] += 1
        if state[0] is None:
            session.run(chunk)
        else:
            _, state[0] = session.step(chunk, state[0])

    return step


def _golden(card: Path) -> Golden | None:
    """The model's golden stream; None for the yardstick, which has none."""
    found = read_card(card)
    path = golden_path(found, card.parent)
    return read_golden(path, found) if path.exists() else None


def _random_inputs(card: EngineCard) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {name: random.random((4, *tensor.shape), np.float32) for name, tensor in card.inputs.items()}


def _against_yardstick(contestants: list[Contestant]) -> list[Row]:
    """How many times faster the shipped generator draws than the yardstick, round by round."""
    own = contestants[0]
    rows = []
    for other in contestants[1:]:
        if other.about["model"] != "yardstick" or other.about["threads"] != 1:
            continue
        ratios = [a / b for a, b in zip(own.rates, other.rates, strict=True)]
        about = {key: other.about[key] for key in ("engine", "precision", "threads")}
        rows.append(value_row("generator_against_yardstick", ratios, "times faster", **about))
    return rows


def render_rows(rig: Rig, seconds: float = 8.0, repeats: int = 3) -> list[Row]:
    """Seconds of work for a second of talking video, file and all; below 1 is faster than time."""
    import soundfile

    from realtime.commands.render import render_file

    factors, times = [], []
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "speech.wav"
        speech = shipped_speech()
        soundfile.write(sound, np.resize(speech, round(seconds * SPEC.sample_rate_hz)), SPEC.sample_rate_hz)
        for turn in range(repeats):
            with rig.engines() as engines:
                made = render_file(rig.portrait, engines, sound, Path(folder) / f"{turn}.mp4", lookahead_ms=80)
            factors.append(made.real_time_factor)
            times.append(made.first_picture_s)
    about = {"picture_rate": 25, "lookahead_ms": 80, "size": f"{rig.portrait.size[1]}x{rig.portrait.size[0]}"}
    return [
        value_row("render_real_time_factor", factors, "s/s", **about),
        value_row("render_first_picture", times, "s", **about),
    ]
