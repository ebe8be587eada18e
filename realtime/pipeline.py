"""The path from sound to sinks, live and offline.

    source -> VoiceStage (encoder, shaper) -> LatentRing -> FaceStage (generator, badge) -> SinkWorkers

Two threads: `voice` steps the encoder for every hop there is; `face` draws the pictures. Live, pictures follow
absolute deadlines on the source's clock and late ones are dropped; offline, the face waits for the codes, the voice for
the face, and the sinks make both wait. Nothing else differs: both draw the same pictures.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from engines.encoder import Code
from engines.errors import StreamError
from engines.shaper import chunk_rms
from engines.spec import MOTION_CHANNELS, SPEC
from realtime.audio.sources import Source
from realtime.clock import JUMP_NS, NS, Clock, SystemClock
from realtime.latent_ring import LatentRing
from realtime.messages import AudioCode, AudioHop, Picture, Stop
from realtime.meters import Meters
from realtime.pacer import Pacer
from realtime.pictures.picture_pool import PicturePool
from realtime.pictures.sinks import Sink, SinkWorker

AHEAD_CODES = 100  # offline the voice runs at most 2 s ahead of the face
FADE_NS = 400_000_000
MOST_LAG_NS = 200_000_000
FEW_LATE = 5
LAG_FALLS, LAG_FALLS_AT_FIRST = 1.5e-3, 5e-3  # seconds a second
SETTLING_NS = 6 * NS  # so long the delayed microphone jumps to where it should be
WAKING_NS = 2 * NS  # so long after a sleep its pictures may still turn out late: what had waited comes bit by bit
# Sound that comes 45 ms early is noticed, 125 ms late (ITU-R BT.1359-1), and picture and sound scatter by 10 to 20 ms
# about each other. So sound is aimed behind the picture, not at it, and by so much that it is not early either for who
# reads a cable before the sound system says that its sound is played (docs/decisions.md).
SOUND_BEHIND_NS = 25_000_000
JAW_OPEN = MOTION_CHANNELS.index("jawOpen")
SILENT_CODE = Code.silent()


class EncoderLike(Protocol):
    """What the pipeline asks of engines/encoder.py."""

    def init_state(self) -> Any: ...

    def step(self, chunk: np.ndarray, state: Any) -> tuple[Any, Any]: ...


class ShaperLike(Protocol):
    """What the pipeline asks of engines/shaper.py. `row` is the encoder's row of the lookahead in use."""

    row: int

    def init_state(self) -> Any: ...

    def step(self, code: Any, state: Any, chunk_rms: float) -> tuple[np.ndarray, Any]: ...


class GeneratorLike(Protocol):
    """What the pipeline asks of engines/generator.py."""

    def draw(self, code: np.ndarray, portrait: Any, out: np.ndarray | None = None) -> np.ndarray: ...


class VoiceStage:
    """Hops to codes: all of the stream's memory. Not threaded; `hear` is called with each hop in order."""

    def __init__(
        self,
        encoder: EncoderLike,
        shaper: ShaperLike,
        ring: LatentRing,
        meters: Meters,
        *,
        lookahead_ms: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.encoder, self.shaper, self.ring, self.meters = encoder, shaper, ring, meters
        self.lookahead_ms = lookahead_ms
        shaper.row = SPEC.lookahead_row(lookahead_ms)
        self.muted = False
        self.on_code: list[Callable[[AudioCode], None]] = []
        self.on_hop: list[Callable[[np.ndarray], None]] = []
        self.on_failure: Callable[[Exception], None] | None = None  # the encoder's: then the face idles; else it raises
        self._failed = False
        self._clock = clock or SystemClock()
        self._encoder_state = encoder.init_state()
        self._shaper_state = shaper.init_state()
        self._chunk = np.zeros(SPEC.chunk_samples, np.float32)
        self._hops = 0

    def hear(self, hop: AudioHop) -> None:
        """Take one hop; every second one completes a chunk and makes a code."""
        half = self._hops % SPEC.chunk_hops
        at = half * SPEC.hop_samples
        self._chunk[at : at + SPEC.hop_samples] = 0.0 if self.muted else hop.samples
        self._hops += 1
        self.meters.hops += 1
        self.meters.gap_hops += hop.gap
        if half == SPEC.chunk_hops - 1:
            self._step(hop.captured_ns)

    def _step(self, captured_ns: int) -> None:
        begin_ns = self._clock.now_ns()
        self.meters.stages["hop"].add(begin_ns - captured_ns)
        row = self.shaper.row = SPEC.lookahead_row(self.lookahead_ms)
        level = chunk_rms(self._chunk)
        code, motion = self._shaped(level)
        meters = self.meters
        meters.level = level
        meters.presence = float(np.ravel(code.presence)[row])
        meters.snr_db = float(code.snr_db)
        message = AudioCode(
            index=self.ring.codes,
            motion=np.array(motion, np.float32),
            captured_ns=captured_ns,
            emotion=_softmax(code.emotion_logits),
            presence=meters.presence,
            snr_db=meters.snr_db,
        )
        for call in self.on_code:
            call(message)
        done_ns = self._clock.now_ns()
        self.ring.write(message, done_ns)
        meters.codes += 1
        meters.stages["encode"].add(done_ns - begin_ns)

    def _shaped(self, level: float) -> tuple[Any, np.ndarray]:
        """The encoder's code of the present chunk and the motion that the shaper makes of it."""
        if self._failed:
            return self._idle()
        try:
            code, self._encoder_state = self.encoder.step(self._chunk, self._encoder_state)
            motion, self._shaper_state = self.shaper.step(code, self._shaper_state, level)
            if not np.isfinite(motion).all():
                raise StreamError("the encoder gave values that are not numbers", "voxcam engines verify")
        except Exception as error:
            if self.on_failure is None:
                raise
            self._failed = True
            self.on_failure(error)
            return self._idle()
        return code, motion

    def _idle(self) -> tuple[Any, np.ndarray]:
        """Nobody speaks, for all we know: blinks and small movements go on."""
        motion, self._shaper_state = self.shaper.step(SILENT_CODE, self._shaper_state, 0.0)
        return SILENT_CODE, motion

    def finish(self, end_samples: int) -> None:
        """Silence until the codes reach a sample: what the last pictures and the lookahead still need."""
        silence = np.zeros(SPEC.hop_samples, np.float32)
        while self.ring.end_sample < end_samples:
            self.hear(AudioHop(self._hops, silence, self._clock.now_ns()))


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max())
    return np.ravel(exponents / exponents.sum())


class FaceStage:
    """Codes to pictures. No memory: picture n depends on the ring at its end sample and on the portrait."""

    def __init__(
        self,
        generator: GeneratorLike,
        portrait: Any,
        ring: LatentRing,
        pacer: Pacer,
        meters: Meters,
        *,
        size: tuple[int, int],
        badge: Callable[[np.ndarray], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.generator, self.portrait, self.ring, self.pacer, self.meters = generator, portrait, ring, pacer, meters
        self.badge = badge
        self.height, self.width = size
        self._clock = clock or SystemClock()
        self._motion = np.zeros(len(MOTION_CHANNELS), np.float32)
        self.opening = 0.0  # of the lips in the newest picture, eye distances
        self.spare: Callable[[], GeneratorLike] | None = None  # makes the generator that replaces one that fails
        self.on_failure: Callable[[Exception], None] = lambda error: None
        self._behind: deque[tuple[Any, int]] = deque()  # portraits that fade out, oldest first, and since when
        self._fade_buffer: np.ndarray | None = None

    def swap(self, portrait: Any) -> None:
        """Show another portrait of the same picture size from now on; it fades in. Any thread may call it.

        One that was still fading in goes on with that behind the new one, so no picture jumps.
        """
        self._behind.append((self.portrait, self._clock.now_ns()))
        self.portrait = portrait

    def draw(self, index: int, out: np.ndarray, due_ns: int = 0) -> Picture:
        begin_ns = self._clock.now_ns()
        end = self.pacer.end_sample(index)
        motion = self.ring.at(end, self._motion)
        self.opening = float(motion[JAW_OPEN])
        captured_ns = self.ring.captured_ns(end)
        try:
            drawn = self.generator.draw(motion, self.portrait, out=out)
        except Exception as error:
            if self.spare is None:
                raise
            self.on_failure(error)
            self.generator, self.spare = self.spare(), None
            drawn = self.generator.draw(motion, self.portrait, out=out)
        if drawn is not out:
            np.copyto(out, drawn)
        if self._behind:
            self._fade(motion, out, begin_ns)
        drawn_ns = self._clock.now_ns()
        self.meters.stages["generate"].add(drawn_ns - begin_ns)
        if self.badge is not None:
            self.badge(out)
        self.meters.stages["compose"].add(self._clock.now_ns() - drawn_ns)
        return Picture(index, out, end, captured_ns, due_ns)

    def _fade(self, motion: np.ndarray, out: np.ndarray, now_ns: int) -> None:
        """Mix into `out` (H, W, 3), in which the newest portrait is drawn, those behind it as far as they are seen."""
        import cv2

        while self._behind and now_ns - self._behind[0][1] >= FADE_NS:
            self._behind.popleft()
        behind = list(self._behind)
        if not behind:
            self._fade_buffer = None
            return
        if self._fade_buffer is None:
            self._fade_buffer = np.empty_like(out)
        # How far each has come in over those behind it, oldest first; the oldest is all there, the newest is in `out`.
        *shares, own = 1.0, *(max(0, now_ns - since_ns) / FADE_NS for _, since_ns in behind)
        left = 1 - own  # what is still to be mixed in
        for (portrait, _), share in zip(reversed(behind), reversed(shares), strict=True):
            self.generator.draw(motion, portrait, out=self._fade_buffer)
            cv2.addWeighted(out, own, self._fade_buffer, left * share, 0, dst=out)
            own, left = 1.0, left * (1 - share)


class ArrivalLag:
    """How long after its capture sound is usually there: drivers and sound servers hand it over in bursts.

    Pictures wait that long after their deadline, so that they are evenly spaced and never drawn without their sound.
    The fifth largest of the last 50 pictures (their 90th percentile): one stall is a few pictures, and says nothing of
    the next one, not at the start either. Up at once, down by 1.5 ms a second: the delayed microphone follows that
    inaudibly (0.15 % of its pitch). Devices start in bursts: in the first seconds it falls faster.
    """

    def __init__(self, period_ns: int) -> None:
        self.lag_ns = 0
        self._period_ns = period_ns
        self._young_ns = SETTLING_NS
        self._lags: deque[int] = deque(maxlen=50)

    def add(self, lag_ns: int, periods: int = 1) -> None:
        """A picture's lag; it stands for so many periods: more than one where fewer pictures are drawn."""
        self._lags.append(min(max(lag_ns, 0), MOST_LAG_NS))
        wanted_ns = sorted(self._lags)[max(0, len(self._lags) - FEW_LATE)]
        passed_ns = periods * self._period_ns
        self._young_ns -= passed_ns
        falls = LAG_FALLS_AT_FIRST if self._young_ns > 0 else LAG_FALLS
        self.lag_ns = max(wanted_ns, self.lag_ns - round(passed_ns * falls))


@dataclass
class Controls:
    """What a user may change while the stream runs; set by one thread, looked at by the stages."""

    lookahead_ms: int = 0
    mute: bool = False
    rate_divisor: int = 1  # 2 draws every second picture: how an overloaded machine steps down
    snapshot: list[Callable[[np.ndarray], None]] = field(default_factory=list)
    before_hop: deque[Callable[[], None]] = field(default_factory=deque)  # called once, in the voice thread
    before_picture: deque[Callable[[], None]] = field(default_factory=deque)  # the same, in the face thread


class Pipeline(AbstractContextManager["Pipeline"]):
    """Starts the stages' threads, and stops them: in order when the sound ends, at once on `stop`.

    `wait` returns the Stop; `raise_if_error` turns its cause into an exception. The sinks must be open. With
    `samples_limit` the stream ends after so many 16 kHz samples.
    """

    def __init__(
        self,
        source: Source,
        encoder: EncoderLike,
        shaper: ShaperLike,
        generator: GeneratorLike,
        portrait: Any,
        sinks: Sequence[Sink],
        *,
        size: tuple[int, int],
        picture_rate: int = 25,
        lookahead_ms: int = 0,
        badge: Callable[[np.ndarray], None] | None = None,
        clock: Clock | None = None,
        samples_limit: int | None = None,
    ) -> None:
        self.source = source
        self.clock = clock or SystemClock()
        self.live = source.paced
        self.meters = Meters()
        self.ring = LatentRing()
        self.controls = Controls(lookahead_ms)
        self.picture_rate = picture_rate
        self.pacer = Pacer(picture_rate, lookahead_ms)
        self.voice = VoiceStage(encoder, shaper, self.ring, self.meters, lookahead_ms=lookahead_ms, clock=self.clock)
        self.face = FaceStage(
            generator, portrait, self.ring, self.pacer, self.meters, size=size, badge=badge, clock=self.clock
        )
        depth = 2 if self.live else 4
        self.pool = PicturePool(*size, count=2 + (depth + 1) * len(sinks))
        self.workers = [
            SinkWorker(sink, self.pool, patient=not self.live, depth=depth, clock=self.clock) for sink in sinks
        ]
        self.on_picture: list[Callable[[Picture], None]] = []
        self.first_picture_ns = 0
        self.warn: Callable[[str], None] = lambda message: None
        self._failed: list[SinkWorker] = []
        self.failure: Exception | None = None  # of an engine: the stream goes on as well as it can
        self._ready_ns = 0
        self._face_failed = False
        self.slept_pictures = 0  # of the late ones, those of a second and more in which nothing ran, and just after it
        self._slept = False  # what `_wait_live` left out now counts among them
        self._looked_ns = self._awake_ns = 0  # the last look at the time; until when lateness is a sleep's
        self._arrival_counts_from = 0  # a picture: what had waited comes in a burst, and says nothing
        self.arrival = ArrivalLag(self.pacer.period_ns)
        self.picture_lag_ns = 8e6  # from a picture's end sample to its hand-over; measured as it runs
        if self.live:
            self.voice.on_failure = partial(self._engine_failed, "the face idles, start live again")
            self.face.on_failure = partial(self._engine_failed, "the face goes on without its network")
        if self.live and self.workers:
            self.workers[0].on_sent.append(self._sent)
        self.sound_samples = 0  # 16 kHz samples heard, without the silence after the end
        self._limit = samples_limit
        self._halt = threading.Event()
        self._done = threading.Event()
        self._stop: Stop | None = None
        self._stop_lock = threading.Lock()
        self._pictures_total: int | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._voice_loop,), name="voice", daemon=True),
            threading.Thread(target=self._guarded, args=(self._face_loop,), name="face", daemon=True),
        ]
        if any(sink.wants_sound for sink in sinks):
            source.taps.append(self._give_sound)

    # -- life

    def __enter__(self) -> Pipeline:
        for worker in self.workers:
            worker.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join(2.0)
        for worker in self.workers:
            while not worker.stop(0.5 if self.live else 5.0) and worker.sink.wants_sound:
                continue  # a recording takes all that it was given, as long as its disk may need

    def stop(self, error: BaseException | None = None) -> None:
        """End the stream now. The first caller's cause is the one that counts."""
        self._end(Stop(self.clock.now_ns(), error))
        self._halt.set()
        self.ring.close(Stop(self.clock.now_ns(), error))
        self._done.set()

    def wait(self, timeout_s: float | None = None) -> Stop | None:
        """Until the stream has ended, or None when it still runs after the timeout."""
        return self._stop if self._done.wait(timeout_s) else None

    @property
    def error(self) -> BaseException | None:
        return self._stop.error if self._stop else None

    @property
    def recording_error(self) -> BaseException | None:
        """Of what takes the sound, too, and so is a file to be kept: who quits wants to know."""
        errors = (worker.error for worker in self.workers if worker.sink.wants_sound)
        return next((error for error in errors if error is not None), None)

    def raise_if_error(self) -> None:
        if (error := self.error or self.recording_error or self.failure) is not None:
            raise error

    def _engine_failed(self, what_now: str, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
        self.warn(f"{what_now}: {error}")

    def _end(self, stop: Stop) -> None:
        with self._stop_lock:
            if self._stop is None:
                self._stop = stop

    def _guarded(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception as error:
            self.stop(error)

    # -- voice

    def _voice_loop(self) -> None:
        stop: Stop | None = None
        while not self._halt.is_set():
            if not self.live:
                self.ring.wait_for_space(AHEAD_CODES)
            self.voice.lookahead_ms = self.controls.lookahead_ms
            self.voice.muted = self.controls.mute
            hop = self.source.read_hop(NS // 10)
            if isinstance(hop, Stop):
                stop = hop
                break
            if hop is None:
                continue
            for call in self.voice.on_hop:
                call(hop.samples)
            while self.controls.before_hop:
                self.controls.before_hop.popleft()()
            self.voice.hear(hop)
            self.sound_samples += SPEC.hop_samples
            if self._limit is not None and self.sound_samples >= self._limit:
                stop = Stop(self.clock.now_ns())
                break
        if stop is not None:
            self._finish_sound(stop)

    def _finish_sound(self, stop: Stop) -> None:
        self._pictures_total = self.pacer.count(self.sound_samples)
        end = self.pacer.end_sample(self._pictures_total - 1)
        whole = -(-end // SPEC.chunk_samples) * SPEC.chunk_samples
        while self.ring.end_sample < whole and not self._halt.is_set():
            if not self.live:
                self.ring.wait_for_space(AHEAD_CODES)
            self.voice.finish(min(whole, self.ring.end_sample + SPEC.chunk_samples))
        self.ring.close(stop)

    def _give_sound(self, block: np.ndarray, captured_ns: int) -> None:
        if self.controls.mute:
            block = np.zeros_like(block)
        for worker in self.workers:
            if worker.sink.wants_sound:
                worker.give_sound(block)

    # -- face

    def _face_loop(self) -> None:
        index = 0
        while not self._halt.is_set():
            if self._pictures_total is not None and index >= self._pictures_total:
                break
            wanted = index
            if self.live:
                index = self._wait_live(index)
            else:
                self.ring.release(self.pacer.end_sample(index))
                if not self.ring.wait_for(self.pacer.end_sample(index), clock=self.clock) and self.ring.stop is None:
                    continue
            total = self._pictures_total  # one look for all that follows: the voice may tell it at any moment
            if total is not None:
                index = min(index, max(wanted, total - 1))  # the last picture is shown, however late
            self._count_late(index - wanted)
            if self._halt.is_set() or (total is not None and index >= total):
                break
            self._draw(index)
            self._check_sinks()
            index += self.controls.rate_divisor if self.live else 1
        self._finish_sinks()

    def _wait_live(self, index: int) -> int:
        """Wait for a picture's time and sound; gives the index to draw, a later one when this one's time is past."""
        if self.controls.lookahead_ms * SPEC.sample_rate_hz // 1000 != self.pacer.lookahead_samples:
            self.pacer = self.face.pacer = Pacer(self.picture_rate, self.controls.lookahead_ms)
        while not self.ring.codes and not self._halt.is_set() and self.ring.stop is None:
            self.ring.doorbell.wait(NS // 10)  # the source's clock starts with its first sound
        now_ns = self.clock.now_ns()
        if now_ns - self._looked_ns > NS:  # at the start, too: a pipe begins with all that it held
            if self._looked_ns:
                now_ns = self._wait_for_present_sound(now_ns)
                self._arrival_counts_from = index + self.picture_rate
            self._awake_ns = now_ns + WAKING_NS
        self._looked_ns = now_ns
        newest = self.pacer.index_at(self.source.sample_at(now_ns - self.arrival.lag_ns))
        self._slept = False
        if newest > index:
            if newest - index > self.picture_rate or now_ns < self._awake_ns:
                self._slept = True
                self._arrival_counts_from = newest + self.picture_rate
            index = newest
        due_ns = self._due_ns(index)
        # A lookahead that grew, or a clock that jumped, must not freeze the loop for long: look again often.
        while (now_ns := self.clock.now_ns()) < due_ns and not self._halt.is_set():
            if due_ns - now_ns > JUMP_NS:  # this program was stopped, and the sound of that time is lost: go back to it
                index = self.pacer.index_at(self.source.sample_at(now_ns - self.arrival.lag_ns))
                self._arrival_counts_from = index + self.picture_rate
                due_ns = self._due_ns(index)
                continue
            self.clock.sleep_until(min(due_ns, now_ns + NS // 4))
            due_ns = self._due_ns(index)
        grace_ns = due_ns + self.pacer.period_ns
        if not self.ring.wait_for(self.pacer.end_sample(index), grace_ns, self.clock) and self.ring.stop is None:
            self.meters.starved_pictures += 1
        self.meters.stages["ring_wait"].add(self.clock.now_ns() - due_ns)
        self._watch_arrival(index)
        return index

    def _count_late(self, pictures: int) -> None:
        """Those that `_wait_live` has left out."""
        if pictures > 0:
            self.meters.late_pictures += pictures
            self.slept_pictures += pictures if self._slept else 0

    def _wait_for_present_sound(self, woken_ns: int) -> int:
        """After a standstill, until sound from after it has been heard, at most a second; gives the time then.

        Until then the source's clock counts the sound that was lost: a picture by it would lie as far ahead as the
        program stood still, and a recording takes none that comes after that one and lies before it.
        """
        until_ns = woken_ns + NS
        while (newest := self.ring.newest) is not None and newest.captured_ns < woken_ns - JUMP_NS:
            if not self.ring.wait_for(self.ring.end_sample + SPEC.chunk_samples, until_ns, self.clock):
                break
        return self.clock.now_ns()

    def _due_ns(self, index: int) -> int:
        """When a picture should be drawn: its sound has been captured, and has usually arrived."""
        return self.source.captured_ns(self.pacer.end_sample(index)) + self.arrival.lag_ns

    def _watch_arrival(self, index: int) -> None:
        """Learn from the sound of a picture some time ago how late sound arrives."""
        end = self.pacer.end_sample(index - 4)
        arrived_ns = self.ring.arrived_ns(end)
        if arrived_ns and not self.source.lost and index >= self._arrival_counts_from:
            self.arrival.add(arrived_ns - self.ring.captured_ns(end), self.controls.rate_divisor)

    def _draw(self, index: int) -> None:
        buffer = self.pool.take(0.0 if self.live else 60.0)
        if buffer is None:  # every buffer waits in a sink that is stuck
            self.meters.late_pictures += 1
            return
        while self.controls.before_picture:
            self.controls.before_picture.popleft()()
        due_ns = self.source.captured_ns(self.pacer.end_sample(index)) if self.live else 0
        try:
            picture = self.face.draw(index, buffer, due_ns)
        except Exception as error:
            if not self.live:
                raise
            self.pool.release(buffer)
            self.meters.late_pictures += 1
            if not self._face_failed:
                self._face_failed = True
                self._engine_failed("the picture stands still, start live again", error)
            return
        self._ready_ns = self.clock.now_ns()
        for worker in self.workers:
            worker.give(picture)
        for call in self.on_picture:
            call(picture)
        while self.controls.snapshot:
            self.controls.snapshot.pop()(buffer.copy())
        self.pool.release(buffer)
        now_ns = self.clock.now_ns()
        if self.meters.pictures == 0:
            self.first_picture_ns = now_ns
        self.meters.pictures += 1

    @property
    def sound_delay_ns(self) -> int:
        """How far behind its capture a sound must be to be in step with the picture that shows it.

        A picture is handed over `picture_lag_ns` after its end sample, shows the motion 20 ms and the lookahead before
        that sample, and stands for a period: its middle counts. Sound comes SOUND_BEHIND_NS after that.
        """
        lookahead_ns = self.pacer.lookahead_samples * NS // SPEC.sample_rate_hz
        delay_ms = max((worker.sink.delay_ms for worker in self.workers), default=0.0)
        path_ns = SPEC.chunk_ns + lookahead_ns + self.pacer.period_ns / 2 + self.picture_lag_ns + delay_ms * 1e6
        return round(path_ns + SOUND_BEHIND_NS)

    def _sent(self, picture: Picture, sent_ns: int) -> None:
        if picture.due_ns:
            lag_ns = min(max(sent_ns - picture.due_ns, 0), NS)
            self.picture_lag_ns += (lag_ns - self.picture_lag_ns) * (0.01 if self.meters.pictures > 100 else 0.05)
        self.meters.stages["hand_over"].add(sent_ns - self._ready_ns)
        if picture.captured_ns:
            self.meters.newest_sample_age.add(sent_ns - picture.captured_ns)

    def _check_sinks(self) -> None:
        """Live, a sink that fails leaves the others going, as long as there are any."""
        self.meters.drift_ppm = self.source.drift_ppm
        for worker in self.workers:
            if worker.error is None or worker in self._failed:
                continue
            self._failed.append(worker)
            if not self.live or len(self._failed) == len(self.workers):
                raise worker.error
            self.warn(f"{worker.sink.name} stopped: {worker.error}")

    def _finish_sinks(self) -> None:
        stop = self.ring.stop or Stop(self.clock.now_ns())
        for worker in self.workers:
            if not worker.stop(60.0 if not self.live else 2.0) and not self.live:
                stop = Stop(stop.at_ns, StreamError(f"{worker.sink.name} does not finish"))
            if worker.error is not None:
                stop = Stop(stop.at_ns, worker.error)
        self._end(stop)
        self._done.set()


def run(pipeline: Pipeline, poll: Callable[[], None] | None = None, every_s: float = 0.1) -> Stop:
    """Run a pipeline to its end in this thread's company; `poll` is called now and then. Errors are raised."""
    with ExitStack() as stack:
        stack.enter_context(pipeline)
        while (stop := pipeline.wait(every_s)) is None:
            if poll is not None:
                poll()
    pipeline.raise_if_error()
    return stop
