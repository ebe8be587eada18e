"""One path: offline equals streaming, live draws what offline draws, and every end carries its cause."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import OutputError, StreamError
from engines.spec import SPEC
from realtime.audio.sources import HOP_NS, BlockSource, DeviceSource, Source
from realtime.clock import NS, Clock, Doorbell, FakeClock
from realtime.latent_ring import LatentRing
from realtime.messages import AudioHop, Picture, Stop
from realtime.meters import Meters
from realtime.pacer import Pacer
from realtime.pictures.picture_pool import PicturePool
from realtime.pictures.sinks import Sink, SinkWorker
from realtime.pipeline import FADE_NS, ArrivalLag, FaceStage, Pipeline, run
from tests.fakes import JAW, FakeEncoder, FakeGenerator, FakePortrait, FakeShaper

RATE = SPEC.sample_rate_hz


def speech_like(seconds: float, rate: int = RATE, seed: int = 3) -> np.ndarray:
    """Noise in syllables: (samples,) float32."""
    random = np.random.default_rng(seed)
    envelope = np.repeat(random.uniform(0, 1, round(seconds * 12) + 1), rate // 12)[: round(seconds * rate)]
    return (0.3 * envelope * random.normal(0, 1, len(envelope))).clip(-1, 1).astype(np.float32)


def blocks(samples: np.ndarray, cuts: list[int]) -> Iterator[np.ndarray]:
    edges = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    for begin, end in pairwise(edges):
        yield samples[begin:end, None]


class Album(Sink):
    """Keeps what it is sent: index -> grey."""

    def __init__(self, name: str = "album", delay_s: float = 0.0, fail_at: int = -1) -> None:
        self.name, self.delay_s, self.fail_at = name, delay_s, fail_at
        self.greys: dict[int, int] = {}
        self.pictures: list[Picture] = []

    def send(self, picture: Picture) -> None:
        if picture.index >= self.fail_at >= 0:  # live, any single picture may be left out
            raise OutputError("the album is full", "buy another")
        time.sleep(self.delay_s)
        self.greys[picture.index] = int(picture.pixels[0, 0, 0])
        assert (picture.pixels == picture.pixels[0, 0, 0]).all(), "a buffer was drawn into while it was sent"
        self.pictures.append(picture)


def make(
    samples: np.ndarray,
    sinks: list[Sink],
    *,
    cuts: list[int] | None = None,
    rate: int = RATE,
    paced: bool = False,
    fps: int = 25,
    lookahead_ms: int = 0,
    encoder: FakeEncoder | None = None,
    limit: int | None = None,
) -> Pipeline:
    source = BlockSource(blocks(samples, cuts or []), rate, 1, paced=paced)
    portrait = FakePortrait()
    return Pipeline(
        source,
        encoder or FakeEncoder(),
        FakeShaper(),
        FakeGenerator(),
        portrait,
        sinks,
        size=portrait.size,
        picture_rate=fps,
        lookahead_ms=lookahead_ms,
        samples_limit=limit,
    )


def render(samples: np.ndarray, **options: object) -> tuple[dict[int, int], np.ndarray]:
    """Pictures by index, and all codes (n, 25)."""
    album = Album()
    codes: list[np.ndarray] = []
    pipeline = make(samples, [album], **options)  # type: ignore[arg-type]
    pipeline.voice.on_code.append(lambda code: codes.append(code.motion))
    run(pipeline, every_s=0.01)
    return album.greys, np.array(codes)


@pytest.mark.parametrize("step_ms", [1, 10, 37])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_chunks_of_any_size_give_equal_codes_and_pictures(step_ms: int, rate: int) -> None:
    samples = speech_like(1.3, rate)
    whole_pictures, whole_codes = render(samples, rate=rate)
    step = rate * step_ms // 1000
    pictures, codes = render(samples, rate=rate, cuts=list(range(step, len(samples), step)))
    assert np.array_equal(codes, whole_codes)
    assert pictures == whole_pictures
    assert len(whole_pictures) == 33


@given(
    seconds=st.floats(0.05, 0.6),
    more=st.floats(0.02, 0.4),
    fps=st.sampled_from((25, 30, 60)),
    lookahead_ms=st.sampled_from(SPEC.lookaheads_ms),
)
def test_more_sound_never_changes_what_was(seconds: float, more: float, fps: int, lookahead_ms: int) -> None:
    samples = speech_like(seconds + more)
    count = round(seconds * RATE)
    first, first_codes = render(samples[:count], fps=fps, lookahead_ms=lookahead_ms)
    later, later_codes = render(samples, fps=fps, lookahead_ms=lookahead_ms)
    heard = count // SPEC.chunk_samples
    assert np.array_equal(first_codes[:heard], later_codes[:heard])
    # Pictures whose end lies within the first sound have heard nothing else.
    safe = [i for i in first if (i + 1) * RATE // fps + lookahead_ms * 16 <= count]
    assert all(first[i] == later[i] for i in safe)


@pytest.mark.parametrize("lookahead_ms", SPEC.lookaheads_ms)
def test_offline_pictures_are_in_step_with_their_sound(lookahead_ms: int) -> None:
    samples = np.zeros(RATE, np.float32)
    samples[RATE // 2 :] = 0.5
    pictures, _ = render(samples, lookahead_ms=lookahead_ms)
    loud = [pictures[i] > 100 for i in range(25)]
    # The sound begins at 0.5 s: picture 12 shows 0.48 to 0.52 s, half of it.
    assert loud == [False] * 12 + [pictures[12] > 100] + [True] * 12
    assert 60 <= pictures[12] <= 140


def note_starved(pipeline: Pipeline) -> set[int]:
    """Fills with the pictures that are drawn though a code of theirs is missing."""
    starved: set[int] = set()
    known = 0

    def look(picture: Picture) -> None:
        nonlocal known
        if pipeline.meters.starved_pictures > known:
            known = pipeline.meters.starved_pictures
            starved.add(picture.index)

    pipeline.on_picture.append(look)
    return starved


@pytest.mark.parametrize("fps", [25, 30])
def test_live_draws_the_pictures_that_offline_draws(fps: int) -> None:
    samples = speech_like(1.0)
    offline, _ = render(samples, fps=fps)
    album = Album()
    pipeline = make(samples, [album], paced=True, fps=fps)
    starved = note_starved(pipeline)
    run(pipeline, every_s=0.02)
    assert pipeline.meters.codes >= 50
    assert album.greys, "no picture was drawn"
    heard = {i: grey for i, grey in album.greys.items() if i not in starved}  # a busy machine may hold a code
    assert heard == {i: offline[i] for i in heard}
    missing = len(offline) - len(album.greys)
    assert missing == pipeline.meters.late_pictures + pipeline.workers[0].dropped


def test_live_pictures_carry_the_age_of_their_sound() -> None:
    album = Album()
    pipeline = make(speech_like(0.6), [album], paced=True)
    run(pipeline, every_s=0.02)
    first = album.pictures[-1]
    assert first.captured_ns <= first.due_ns
    assert pipeline.meters.newest_sample_age.count == len(album.pictures)


@pytest.mark.parametrize(
    ("fps", "lookahead_ms", "screen_ms", "delay_ms"),
    [(25, 0, 0.0, 76.0), (25, 80, 0.0, 156.0), (60, 0, 0.0, 64 + 1 / 3), (60, 80, 40.0, 184 + 1 / 3)],
)
def test_sound_is_delayed_as_the_picture_that_shows_it_and_a_little_more(
    fps: int, lookahead_ms: int, screen_ms: float, delay_ms: float
) -> None:
    """By docs/latency.md: 20 ms, the lookahead, half a picture, 11 ms until it is handed over, and 25 ms on purpose.

    And as long as the slowest sink says that it takes from there to who sees it.
    """
    album, screen = Album(), Album("screen")
    screen.delay_ms = screen_ms
    pipeline = make(speech_like(0.1), [album, screen], paced=True, fps=fps, lookahead_ms=lookahead_ms)
    for _ in range(300):  # it is measured
        pipeline._sent(Picture(0, pipeline.pool.buffers[0], 0, 0, due_ns=NS), NS + 11_000_000)
    assert pipeline.sound_delay_ns == pytest.approx(delay_ms * 1e6, abs=10)


def test_a_slow_sink_holds_nobody_up() -> None:
    slow, fast = Album("slow", delay_s=0.2), Album("fast")
    pipeline = make(speech_like(1.2), [slow, fast], paced=True)
    run(pipeline, every_s=0.02)
    assert len(fast.greys) >= 25 - pipeline.meters.late_pictures
    assert pipeline.workers[0].dropped > 0
    assert pipeline.workers[0].dropped + pipeline.meters.late_pictures > 10
    assert list(slow.greys) == sorted(slow.greys)


def test_a_sink_that_is_blocked_for_two_seconds_goes_on_and_delays_nobody() -> None:
    class Blocked(Album):
        slept = False

        def send(self, picture: Picture) -> None:
            if picture.index >= 10 and not self.slept:  # a busy machine may leave any single picture out
                self.slept = True
                time.sleep(2.0)
            super().send(picture)

    blocked, free = Blocked("blocked"), Album("free")
    pipeline = make(speech_like(3.2), [blocked, free], paced=True)
    heard: list[int] = []
    pipeline.voice.on_code.append(lambda code: heard.append(code.index))
    run(pipeline, every_s=0.02)
    assert heard == list(range(160))
    gap = max(later - earlier for earlier, later in pairwise(sorted(blocked.greys)))
    assert gap > 30  # of 50 pictures in 2 s; the queue held two
    assert max(blocked.greys) == 79
    assert len(free.greys) >= 80 - pipeline.meters.late_pictures
    assert pipeline.error is None


def test_offline_a_slow_sink_loses_nothing() -> None:
    album = Album(delay_s=0.004)
    run(make(speech_like(1.0), [album]), every_s=0.02)
    assert list(album.greys) == list(range(25))


def test_a_failing_sink_ends_offline_and_is_left_out_live() -> None:
    broken = Album("broken", fail_at=3)
    with pytest.raises(OutputError, match="the album is full"):
        run(make(speech_like(1.0), [broken]), every_s=0.02)
    told: list[str] = []
    healthy, broken = Album("healthy"), Album("broken", fail_at=3)
    pipeline = make(speech_like(1.0), [broken, healthy], paced=True)
    pipeline.warn = told.append
    with pytest.raises(OutputError):  # said again at the end, when the other sink is done
        run(pipeline, every_s=0.02)
    assert max(healthy.greys) == 24
    assert told == ["broken stopped: the album is full: buy another"]


def test_an_encoder_that_fails_ends_the_stream_with_its_cause() -> None:
    encoder = FakeEncoder()
    encoder.fail_at = 20
    album = Album()
    pipeline = make(speech_like(2.0), [album], encoder=encoder)
    with pytest.raises(RuntimeError, match="the fake encoder fails"):
        run(pipeline, every_s=0.01)
    assert not any(thread.is_alive() for thread in pipeline._threads)


def test_numbers_that_are_none_are_not_drawn() -> None:
    encoder = FakeEncoder()
    encoder.nan_at = 10
    album = Album()
    with pytest.raises(StreamError, match="not numbers"):
        run(make(speech_like(1.0), [album], encoder=encoder), every_s=0.01)


def test_stop_ends_all_threads_within_a_second() -> None:
    pipeline = make(speech_like(30.0), [Album()], paced=True)
    with pipeline:
        assert pipeline.wait(0.3) is None
        begin = time.monotonic()
    assert time.monotonic() - begin < 2
    assert pipeline.wait(0) is not None
    assert pipeline.error is None
    assert [t.name for t in threading.enumerate() if t.name in ("voice", "face")] == []


def test_the_first_cause_of_an_end_counts() -> None:
    pipeline = make(speech_like(1.0), [Album()])
    pipeline.stop(StreamError("first"))
    pipeline.stop(StreamError("second"))
    with pytest.raises(StreamError, match="first"):
        pipeline.raise_if_error()


class Recorder(Album):
    """Keeps the sound, too: the loudest sample of each block."""

    wants_sound = True

    def __init__(self, name: str = "recorder", fail_at: int = -1) -> None:
        super().__init__(name, fail_at=fail_at)
        self.heard: list[float] = []

    def hear(self, block: np.ndarray) -> None:
        self.heard.append(float(np.abs(block).max()))


SMALL_CUTS = list(range(160, 3 * RATE, 160))  # as devices hand over


def test_a_recorder_that_stalls_is_waited_for() -> None:
    """Or its file would be closed beside its thread; a camera's thread is left behind."""

    class Stalling(Recorder):
        stalled = threading.Event()

        def send(self, picture: Picture) -> None:
            if not self.stalled.is_set():
                self.stalled.set()
                time.sleep(3.5)
            super().send(picture)

    recorder, stuck = Stalling(), Album("stuck", delay_s=20.0)
    pipeline = make(speech_like(3.0), [recorder, stuck], paced=True, cuts=SMALL_CUTS)
    with pipeline:
        assert recorder.stalled.wait(10)
        assert pipeline.wait(0.1) is None
    assert [worker._thread.is_alive() for worker in pipeline.workers] == [False, True]
    assert len(recorder.heard) >= 10


def test_quitting_does_not_hide_a_recording_that_failed() -> None:
    """A window that was closed, or the reader of a pipe that Ctrl-C ended as well, is no failure at the end."""
    for failing in (Recorder(fail_at=3), Album("window", fail_at=3)):
        pipeline = make(speech_like(3.0), [Album(), failing], paced=True, cuts=SMALL_CUTS)
        with pipeline:
            while pipeline.workers[1].error is None:
                assert pipeline.wait(0.02) is None
        assert pipeline.error is None
        if isinstance(failing, Recorder):
            with pytest.raises(OutputError, match="the album is full"):
                pipeline.raise_if_error()
        else:
            pipeline.raise_if_error()


def test_a_picture_before_the_first_code_has_no_age() -> None:
    """At 60 a second the first one ends before 20 ms of sound."""
    pipeline = make(speech_like(0.1), [Album()], paced=True, fps=60)
    picture = pipeline.face.draw(0, pipeline.pool.buffers[0])
    pipeline._sent(picture, pipeline.clock.now_ns())
    assert pipeline.meters.newest_sample_age.count == 0
    pipeline._sent(replace(picture, captured_ns=NS), 2 * NS)
    assert pipeline.meters.newest_sample_age.max_ns == NS


def test_a_limit_ends_the_stream_there() -> None:
    album = Album()
    run(make(speech_like(2.0), [album], limit=RATE // 2), every_s=0.01)
    assert len(album.greys) == 13


def test_mute_shuts_the_mouth() -> None:
    album = Album()
    pipeline = make(speech_like(0.5), [album])
    pipeline.controls.mute = True
    run(pipeline, every_s=0.01)
    assert set(album.greys.values()) == {0}


def test_mute_silences_what_is_recorded() -> None:
    recorder = Recorder()
    pipeline = make(speech_like(0.5), [recorder])
    pipeline.controls.mute = True
    run(pipeline, every_s=0.01)
    assert recorder.heard
    assert max(recorder.heard) == 0.0


def test_another_lookahead_while_live() -> None:
    album = Album()
    pipeline = make(speech_like(1.2), [album], paced=True)
    with pipeline:
        pipeline.wait(0.4)
        pipeline.controls.lookahead_ms = 80
        while pipeline.wait(0.05) is None:
            pass
    assert pipeline.face.pacer.lookahead_samples == 80 * 16
    assert list(album.greys) == sorted(set(album.greys))
    assert max(album.greys) == 29


def test_a_new_portrait_fades_in() -> None:
    album = Album()
    pipeline = make(np.zeros(3 * RATE, np.float32), [album], paced=True)
    with pipeline:
        while not album.greys:
            assert pipeline.wait(0.02) is None
        pipeline.face.swap(FakePortrait(grey=200))
        while pipeline.wait(0.05) is None:
            pass
    greys = [album.greys[i] for i in sorted(album.greys)]
    assert greys == sorted(greys)
    assert (greys[0], greys[-1]) == (0, 200)
    assert any(0 < grey < 200 for grey in greys)


def test_portraits_that_come_while_another_fades_in_do_not_jump() -> None:
    clock, generator, out = FakeClock(NS), FakeGenerator(), np.empty((32, 48, 3), np.uint8)
    face = FaceStage(generator, FakePortrait(), LatentRing(), Pacer(25, 0), Meters(), size=(32, 48), clock=clock)

    def shown() -> int:
        return int(face.draw(0, out).pixels[0, 0, 0])

    greys = []
    for grey in (200, 100, 250):
        face.swap(FakePortrait(grey=grey))
        greys.append(shown())
        clock.advance(FADE_NS // 2)
        greys.append(shown())
    # Half of 200; half way from it, which by then is all there, to 100; half way from what 100 has covered to 250.
    assert greys == pytest.approx([0, 100, 100, 150, 150, 175], abs=1)
    clock.advance(FADE_NS // 4)
    assert shown() == pytest.approx(0.75 * 250 + 0.25 * 100, abs=1)
    clock.advance(FADE_NS // 4)
    assert shown() == 250
    drawn = generator.drawn
    shown()
    assert generator.drawn == drawn + 1  # what is covered is not drawn any more


def test_snapshots_are_copies() -> None:
    taken: list[np.ndarray] = []
    pipeline = make(speech_like(0.5), [Album()])
    pipeline.controls.snapshot.append(taken.append)
    run(pipeline, every_s=0.01)
    assert len(taken) == 1
    assert all(taken[0] is not buffer for buffer in pipeline.pool.buffers)


def test_the_jaw_follows_loudness_in_the_fakes_themselves() -> None:
    encoder, state = FakeEncoder(), FakeEncoder().init_state()
    for level in (0.5, 0.0, 0.0):
        code, state = encoder.step(np.full(320, level, np.float32), state)
    assert code.motion[:, JAW].tolist() == [0.0, 0.5, 0.0]


def test_a_recorder_that_hangs_does_not_fill_the_memory() -> None:
    pool = PicturePool(2, 2, 2)
    worker = SinkWorker(Album("recorder"), pool, patient=False)  # never started: it takes nothing
    for _ in range(2_000):
        worker.give_sound(np.zeros((9_600, 1), np.float32))
    assert isinstance(worker.error, OutputError)
    assert sum(block.nbytes for block in worker._sound) <= 64_100_000


def test_a_stall_in_the_first_second_does_not_delay_a_minute() -> None:
    for before in (1, 5, 10, 30):
        lag = ArrivalLag(period_ns=40_000_000)
        for _ in range(before):
            lag.add(4_000_000)
        for late_ms in (175, 135, 95, 55):  # nothing runs for 175 ms: four pictures at 25 a second
            lag.add(late_ms * 1_000_000)
        assert lag.lag_ns <= 4_000_000
        for _ in range(10):
            lag.add(60_000_000)  # and what comes late again and again is waited for
        assert lag.lag_ns == 60_000_000


def test_the_wait_for_late_sound_grows_at_once_and_falls_as_the_sound_can_follow() -> None:
    """At most 1.5 ms a second: a delayed microphone that is read 0.2 % faster at most has to keep up."""
    lag = ArrivalLag(period_ns=20_000_000)
    for _ in range(50):
        lag.add(100_000_000)
    assert lag.lag_ns == 100_000_000
    falls = []
    for _ in range(2_000):
        before = lag.lag_ns
        lag.add(10_000_000)
        falls.append((before - lag.lag_ns) / 20_000_000)
    assert max(falls) == pytest.approx(5e-3)
    assert max(falls[250:]) == pytest.approx(1.5e-3)  # from the sixth second on
    assert lag.lag_ns < 35_000_000


@pytest.mark.parametrize("divisor", [1, 2, 4])
def test_the_wait_for_late_sound_falls_as_fast_where_fewer_pictures_are_drawn(divisor: int) -> None:
    """What an overload leaves behind is the delay of picture and cable: it goes as soon on a machine still busy."""
    engines = FakeEncoder(), FakeShaper(), FakeGenerator()
    silence = BlockSource(iter([np.zeros((16_000, 1), np.float32)]), 16_000, 1, paced=True)
    pipeline = Pipeline(silence, *engines, FakePortrait(), [Album("album")], size=(32, 48))
    pipeline.controls.rate_divisor = divisor
    late_ns = 100_000_000
    pipeline.ring.captured_ns = lambda end: 1  # type: ignore[method-assign]
    pipeline.ring.arrived_ns = lambda end: 1 + late_ns  # type: ignore[method-assign]
    for index in range(0, 400, divisor):
        pipeline._watch_arrival(index)
    assert pipeline.arrival.lag_ns == late_ns
    late_ns = 0
    for index in range(400, 400 + 20 * 25, divisor):
        pipeline._watch_arrival(index)
    seconds = 20 - 45 * divisor / 25  # of the last 50 pictures five are late until then
    assert 100_000_000 - pipeline.arrival.lag_ns == pytest.approx(seconds * 1_500_000, rel=0.02)


class Studio(FakeClock):
    """Time in which the voice hears, step by step, while the face waits; it stands still once."""

    def __init__(self, still_at_ns: int, still_ns: int) -> None:
        super().__init__(NS)
        self.still_at_ns, self.still_ns = NS + still_at_ns, still_ns
        self.woken_ns = 0
        self.step: Callable[[], None] = lambda: None
        self._stepping = False

    def sleep_until(self, due_ns: int) -> None:
        if self._stepping:  # it is the voice that waits
            super().sleep_until(due_ns)
            return
        while self.now_ns() < due_ns:
            self.advance(min(HOP_NS, due_ns - self.now_ns()))
            self._stepping = True
            self.step()
            self._stepping = False
            if not self.woken_ns and self.now_ns() >= self.still_at_ns:
                self.advance(self.still_ns)
                self.woken_ns = self.now_ns()  # and the face runs first

    def wait(self, bell: Doorbell, timeout_ns: int) -> bool:
        if self._stepping:
            return super().wait(bell, timeout_ns)
        until_ns = self.now_ns() + timeout_ns
        while not (rang := bell.wait(0)) and self.now_ns() < until_ns:
            self.sleep_until(min(until_ns, self.now_ns() + HOP_NS))
        return rang


class StudioMicrophone(DeviceSource):
    def __init__(self, clock: Clock) -> None:
        super().__init__(RATE, 1, clock, retry=False)
        self._sound = iter(speech_like(40.0).reshape(-1, RATE // 100, 1))

    def give(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self._on_block(next(self._sound), False)

    def _open_device(self) -> None:
        return

    def _close_device(self) -> None:
        return


def watch(clock: Studio, source: Source, seconds: float, fps: int = 25) -> tuple[Pipeline, list[tuple[int, int, int]]]:
    """The pictures that the face draws in this time: index, grey and when."""
    portrait = FakePortrait()
    pipeline = Pipeline(
        source,
        FakeEncoder(),
        FakeShaper(),
        FakeGenerator(),
        portrait,
        [],
        size=portrait.size,
        picture_rate=fps,
        clock=clock,
    )
    shown: list[tuple[int, int, int]] = []

    def see(picture: Picture) -> None:
        shown.append((picture.index, int(picture.pixels[0, 0, 0]), clock.now_ns()))
        if clock.now_ns() > (1 + seconds) * NS:
            pipeline.stop()

    pipeline.on_picture.append(see)
    return pipeline, shown


def play(clock: Studio, samples: np.ndarray, fps: int = 25, deaf_s: tuple[float, float] = (0.0, 0.0)) -> Pipeline:
    """A pipeline whose voice hears a file at its pace, but for a time in which it hears nothing."""
    file = BlockSource(blocks(samples, list(range(160, len(samples), 160))), RATE, 1, paced=True, clock=clock)
    pipeline, _ = watch(clock, file, 60.0, fps)

    def step() -> None:
        if deaf_s[0] <= clock.now_ns() / NS - 1 < deaf_s[1]:
            return
        while not pipeline.ring.stop:
            if pipeline.sound_samples and file.captured_ns(pipeline.sound_samples + 160) > clock.now_ns():
                return
            if isinstance(hop := file.read_hop(0), Stop):
                pipeline._finish_sound(hop)
            elif hop is not None:
                pipeline.voice.hear(hop)
                pipeline.sound_samples += 160

    clock.step = step
    return pipeline


@pytest.mark.parametrize("fps", [25, 30, 60])
@pytest.mark.parametrize(("deaf_s", "least", "most"), [((0.0, 0.0), 0, 0), ((0.5, 0.7), 1, 12)])
def test_live_pictures_are_offlines_but_where_their_sound_is_missing(
    fps: int, deaf_s: tuple[float, float], least: int, most: int
) -> None:
    samples, greys = speech_like(1.0), dict[int, int]()
    offline, _ = render(samples, fps=fps)
    clock = Studio(60 * NS, 0)
    pipeline = play(clock, samples, fps, deaf_s)
    starved = note_starved(pipeline)
    pipeline.on_picture.append(lambda picture: greys.update({picture.index: int(picture.pixels[0, 0, 0])}))
    clock.sleep_until(clock.now_ns() + NS // 10)  # until there is sound the face waits in real time
    pipeline._face_loop()
    assert len(greys) + pipeline.meters.late_pictures == len(offline)
    assert len(greys) > 0.9 * len(offline)
    assert least <= len(starved) <= most
    assert {i for i, grey in greys.items() if grey != offline[i]} <= starved


def test_every_second_picture_when_the_machine_is_too_slow() -> None:
    clock, drawn = Studio(60 * NS, 0), list[int]()
    pipeline = play(clock, speech_like(1.0))
    pipeline.controls.rate_divisor = 2
    pipeline.on_picture.append(lambda picture: drawn.append(picture.index))
    clock.sleep_until(clock.now_ns() + NS // 10)  # until there is sound the face waits in real time
    pipeline._face_loop()
    assert len(drawn) > 10
    assert drawn == list(range(drawn[0], 25, 2))
    assert pipeline.meters.codes == 50  # sound is never dropped


@pytest.mark.parametrize("old_hops", [0, 6])
@pytest.mark.parametrize(("comes_back", "survives_s"), [(True, 0.0), (True, 1.5), (False, 0.0)])
def test_pictures_never_go_back_after_a_standstill(old_hops: int, comes_back: bool, survives_s: float) -> None:
    """The sound of that time is lost, wholly or in part: by the clock alone, pictures would run ahead of it.

    old_hops: captured before it, heard first after it; survives_s: of the standstill's sound, which comes in a burst.
    """
    clock = Studio(2 * NS, 12 * NS)
    microphone = StudioMicrophone(clock)
    pipeline, shown = watch(clock, microphone, 20.0)
    taped: list[np.ndarray] = []
    microphone.taps.append(lambda block, _: taped.append(block[:, 0]))
    steps_awake = 0

    def hear(hops: int) -> None:
        for _ in range(hops):
            if isinstance(hop := microphone.read_hop(1), AudioHop):
                pipeline.voice.hear(hop)

    def step() -> None:
        nonlocal steps_awake
        steps_awake += clock.woken_ns > 0
        if not clock.woken_ns and clock.now_ns() >= clock.still_at_ns:
            microphone.give(old_hops)
        elif not clock.woken_ns:
            microphone.give()
            hear(4)
        elif steps_awake <= old_hops:
            hear(1)
        else:
            if comes_back:
                microphone.give(round(survives_s * 100) if survives_s and steps_awake == old_hops + 1 else 1)
            hear(8)

    clock.step = step
    clock.sleep_until(clock.now_ns() + NS // 10)  # until there is sound the face waits in real time
    pipeline._face_loop()
    indices = [index for index, _, _ in shown]
    after = [when for _, _, when in shown if when > clock.woken_ns]
    assert all(later > earlier for earlier, later in pairwise(indices)), "a recording would lose them"
    assert max(later - earlier for earlier, later in pairwise(indices)) < 25 * (survives_s + 0.5)
    assert max(later - earlier for earlier, later in pairwise([clock.woken_ns, *after])) < 0.4 * NS
    sound_of = render(np.concatenate(taped))[0]
    settled = [(index, grey) for index, grey, when in shown if when > clock.woken_ns + NS]
    assert len(settled) > 110
    assert [sound_of[index] for index, _ in settled] == [grey for _, grey in settled]


def test_a_file_goes_on_after_a_standstill_at_its_pace() -> None:
    """None of its sound is lost: it is caught up with."""
    clock = Studio(2 * NS, 12 * NS)
    samples = speech_like(30.0)
    file = BlockSource(blocks(samples, list(range(160, len(samples), 160))), RATE, 1, paced=True, clock=clock)
    pipeline, shown = watch(clock, file, 22.0)
    hops = 0

    def step() -> None:
        nonlocal hops
        for _ in range(4):
            if hops and file.captured_ns((hops + 1) * 160) > clock.now_ns():
                break
            hop = file.read_hop(0)
            assert isinstance(hop, AudioHop)
            pipeline.voice.hear(hop)
            hops += 1

    clock.step = step
    clock.sleep_until(clock.now_ns() + NS // 10)  # until there is sound the face waits in real time
    pipeline._face_loop()
    indices = [index for index, _, _ in shown]
    after = [when for _, _, when in shown if when > clock.woken_ns]
    assert all(later > earlier for earlier, later in pairwise(indices))
    assert after[0] - clock.woken_ns < 1.1 * NS
    assert max(later - earlier for earlier, later in pairwise(after)) < 0.2 * NS
    assert indices[-1] == pytest.approx(25 * 22, abs=3)


@pytest.mark.parametrize("told_at_once", [True, False])
@pytest.mark.parametrize(("stalled", "stall_ms"), [(23, 90), (21, 130), (22, 300), (24, 300)])
def test_a_stall_at_the_end_leaves_the_last_picture(
    stalled: int, stall_ms: int, told_at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And counts as late what the stream had, not what time went on to.

    told_at_once: or only when the face has just looked for the end; then it shows a later one.
    """
    clock = Studio(60 * NS, 0)
    file = BlockSource(blocks(speech_like(1.0), SMALL_CUTS), RATE, 1, paced=True, clock=clock)
    pipeline, shown = watch(clock, file, 5.0)
    untold: list[Stop] = []
    count_late = pipeline._count_late

    def step() -> None:
        while not (pipeline.ring.stop or untold):
            if pipeline.sound_samples and file.captured_ns(pipeline.sound_samples + 160) > clock.now_ns():
                break
            if isinstance(hop := file.read_hop(0), Stop):
                if not told_at_once:
                    untold.append(hop)
                    break
                pipeline._finish_sound(hop)
            elif hop is not None:
                pipeline.voice.hear(hop)
                pipeline.sound_samples += 160

    def tell(pictures: int) -> None:
        if untold and not pipeline.ring.stop:
            pipeline._finish_sound(untold[0])
        count_late(pictures)

    def stall(picture: Picture) -> None:
        if picture.index == stalled:
            clock.advance(stall_ms * 1_000_000)

    monkeypatch.setattr(pipeline, "_count_late", tell)
    clock.step = step
    pipeline.on_picture.append(stall)
    clock.sleep_until(clock.now_ns() + NS // 10)  # until there is sound the face waits in real time
    pipeline._face_loop()
    assert shown[-1][0] == 24 if told_at_once else shown[-1][0] >= 24
    assert len(shown) + pipeline.meters.late_pictures == shown[-1][0] + 1
    assert pipeline.slept_pictures == pipeline.meters.late_pictures  # the stream is as young as after a sleep
