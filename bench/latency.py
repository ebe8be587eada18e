"""`voxcam bench latency`: how old a picture's sound is, and how long a beginning sound takes to show.

newest_sample_age: from the capture of the newest sample that a picture heard to its hand-over, for every picture.
event_to_picture: from a sudden sound's first sample to the hand-over of the first picture that shows it, which is the
first one that differs visibly from what would have been drawn had the sound not come. docs/latency.md says more.
event_to_picture_end: the same up to that picture's end in stream time: what would remain if computing took no time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from bench.figures import STAGE_NAMES
from bench.rig import EVENT_S, HOP, Events, Rig, Timed, make_events
from bench.rows import Row, latency_row
from engines.spec import SPEC
from realtime.latent_ring import LatentRing
from realtime.messages import AudioHop
from realtime.meters import Histogram, Meters
from realtime.pacer import Pacer
from realtime.pipeline import VoiceStage

VISIBLE_LEVELS, VISIBLE_SHARE = 12, 2e-4  # a picture shows a change where this share of it changes by so much
Progress = Callable[[str], None]


def measure_latency(
    rig: Rig,
    lookaheads_ms: tuple[int, ...] = SPEC.lookaheads_ms,
    picture_rates: tuple[int, ...] = (25, 30, 60),
    seconds: float = 20.0,
    progress: Progress = lambda text: None,
) -> list[Row]:
    """Rows of both figures and of every stage, for each lookahead and picture rate, through the real live path."""
    events = make_events(seconds, rig.seed)
    rows = []
    for lookahead_ms in lookaheads_ms:
        for picture_rate in picture_rates:
            progress(f"latency: lookahead {lookahead_ms} ms, {picture_rate} pictures/s, {seconds:.0f} s")
            rows += _one_run(rig, events, lookahead_ms, picture_rate)
    return rows + algorithmic_rows(rig)


def _one_run(rig: Rig, events: Events, lookahead_ms: int, picture_rate: int) -> list[Row]:
    first_shown = first_pictures(rig, events, lookahead_ms, picture_rate)
    about = {"lookahead_ms": lookahead_ms, "picture_rate": picture_rate}
    with rig.engines() as engines:
        encoder, shaper = Timed(engines.encoder, "step"), Timed(engines.shaper, "step")
        generator = Timed(engines.generator, "draw")
        engines.encoder, engines.shaper, engines.generator = encoder, shaper, generator
        pipeline = rig.pipeline(
            engines, events.samples, picture_rate=picture_rate, lookahead_ms=lookahead_ms, paced=True
        )
        sent: list[tuple[int, int, int]] = []
        pipeline.workers[0].on_sent.append(lambda p, ns: sent.append((p.index, p.captured_ns, ns)))
        with pipeline:
            pipeline.wait(len(events.samples) / SPEC.sample_rate_hz + 10)
        pipeline.raise_if_error()
    settled = sent[picture_rate // 2 :]  # the first half second starts caches and threads
    rows = [latency_row("newest_sample_age", [(ns - captured) / 1e6 for _, captured, ns in settled], **about)]
    indices = np.array([index for index, _, _ in sent])
    delays = []
    for sample, index in zip(events.at, first_shown, strict=True):
        shown = int(np.searchsorted(indices, index)) if index >= 0 else len(sent)
        if shown < len(sent):
            delays.append((sent[shown][2] - pipeline.source.captured_ns(int(sample))) / 1e6)
    rows.append(latency_row("event_to_picture", delays, **about) | {"events": len(events.at)})
    pacer = Pacer(picture_rate, lookahead_ms)
    ends = [pacer.end_sample(i) - int(s) for s, i in zip(events.at, first_shown, strict=True) if i >= 0]
    rows.append(latency_row("event_to_picture_end", [samples / 16 for samples in ends], **about))
    timed = {"encode": encoder.ms, "motion": shaper.ms, "generate": generator.ms}
    for stage in STAGE_NAMES:
        if stage in timed:
            rows.append(latency_row(f"stage:{stage}", timed[stage][5:], **about))
        elif pipeline.meters.stages[stage].count:
            rows.append(_histogram_row(f"stage:{stage}", pipeline.meters.stages[stage], about))
    meters = pipeline.meters
    counts = {"pictures": meters.pictures, "late": meters.late_pictures, "starved": meters.starved_pictures}
    return [row | counts if row["measure"] == "newest_sample_age" else row for row in rows]


def _histogram_row(measure: str, histogram: Histogram, about: dict[str, Any]) -> Row:
    row: Row = {"measure": measure, **about}
    for name, percent in (("p50_ms", 50), ("p95_ms", 95), ("p99_ms", 99)):
        row[name] = round(histogram.percentile_ms(percent), 3)
    return row | {"max_ms": round(histogram.max_ns / 1e6, 3), "count": histogram.count}


def first_pictures(rig: Rig, events: Events, lookahead_ms: int, picture_rate: int) -> list[int]:
    """Index of the first picture that shows each event, -1 where none does.

    Live pictures are the offline pictures, so this needs no time: the stream is stepped over all the sound, and beside
    it, from a copy of its state at each event, over silence instead. The first picture that differs shows the event.
    """
    pacer = Pacer(picture_rate, lookahead_ms)
    found = []
    with rig.engines() as engines:
        meters = Meters()
        stage = VoiceStage(engines.encoder, engines.shaper, LatentRing(), meters, lookahead_ms=lookahead_ms)
        other = VoiceStage(engines.encoder, engines.shaper, LatentRing(), meters, lookahead_ms=lookahead_ms)
        quiet = np.random.default_rng(1).standard_normal(HOP * 200).astype(np.float32) * 3e-4
        hop = 0
        span = round(EVENT_S * 1000) // 10
        for sample in events.at:
            begin = sample // SPEC.chunk_samples * SPEC.chunk_hops  # branch at the chunk that holds the event's start
            while hop < begin:
                _hear(stage, events.samples, hop)
                hop += 1
            _copy_stage(stage, other)
            for k in range(span):
                _hear(stage, events.samples, hop)
                heard = events.samples[hop * HOP : (hop + 1) * HOP].copy()
                after = max(0, sample - hop * HOP)
                heard[after:] = quiet[k * HOP : (k + 1) * HOP][after:]
                other.hear(AudioHop(hop, heard, 0))
                hop += 1
            found.append(_first_change(rig, engines.generator, stage.ring, other.ring, pacer, int(sample), hop * HOP))
    return found


def _hear(stage: VoiceStage, samples: np.ndarray, hop: int) -> None:
    stage.hear(AudioHop(hop, samples[hop * HOP : (hop + 1) * HOP], 0))


def _copy_stage(stage: VoiceStage, to: VoiceStage) -> None:
    """Make `to` go on from where `stage` is; the engines are shared, their state is not."""
    to._encoder_state = stage._encoder_state.copy()
    to._shaper_state = stage._shaper_state.copy()
    to._hops = stage._hops
    to.ring._motion[:] = stage.ring._motion
    to.ring.codes = stage.ring.codes


def _first_change(
    rig: Rig, generator: Any, ring: LatentRing, other: LatentRing, pacer: Pacer, event: int, until: int
) -> int:
    index = pacer.index_at(event)
    while True:
        index += 1
        end = pacer.end_sample(index)
        if end > until:
            return -1
        with_event, without = ring.at(end).copy(), other.at(end).copy()
        if np.abs(with_event - without).max() < 1e-4:
            continue
        drawn = generator.draw(with_event, rig.portrait)
        silent = generator.draw(without, rig.portrait)
        if changed(drawn, silent):
            return index


def changed(picture: np.ndarray, other: np.ndarray) -> bool:
    """True where a viewer could see that two pictures differ."""
    difference = cv2.absdiff(picture, other).max(-1)
    return bool((difference >= VISIBLE_LEVELS).mean() >= VISIBLE_SHARE)


def algorithmic_delay_ms(lookahead_ms: int, picture_rate: int) -> float:
    """Mean delay that the StreamSpec alone makes, from a sound to the first picture that can show it, ms.

    A sound waits for the end of its chunk (0 to 20 ms), then for the next picture's end; pictures end on the same grid
    as chunks where the periods divide. A picture for lookahead L ends L later than what it shows, but may hear up to
    its end: the first change comes no later for it, the full movement does.
    """
    pacer = Pacer(picture_rate, lookahead_ms)
    waits = []
    for sample in range(0, SPEC.sample_rate_hz, 7):
        chunk_end = (sample // SPEC.chunk_samples + 1) * SPEC.chunk_samples
        index = pacer.index_at(chunk_end - 1) + 1
        while pacer.end_sample(index) < chunk_end:
            index += 1
        waits.append((pacer.end_sample(index) - sample) * 1000 / SPEC.sample_rate_hz)
    return float(np.mean(waits))


def impulse_delays(encoder: Any, offsets: tuple[int, ...] = (0, 1, 100, 159, 160, 319)) -> list[tuple[int, int]]:
    """(offset of one changed sample in its chunk, samples from it to the end of the first chunk whose code changed).

    By the StreamSpec the second is chunk_samples - offset: not earlier (that would not be causal), not later.
    """
    random = np.random.default_rng(3)
    sound = (0.05 * random.standard_normal((30, SPEC.chunk_samples))).astype(np.float32)
    plain = _code_course(encoder, sound)
    found = []
    for offset in offsets:
        at = 20
        struck = sound.copy()
        struck[at, offset] += 0.5
        codes = _code_course(encoder, struck)
        first = next((k for k in range(len(sound)) if not np.array_equal(codes[k], plain[k])), -1)
        found.append((offset, (first + 1 - at) * SPEC.chunk_samples - offset))
    return found


def _code_course(encoder: Any, chunks: np.ndarray) -> list[np.ndarray]:
    state, course = encoder.init_state(), []
    for chunk in chunks:
        code, state = encoder.step(chunk, state)
        course.append(np.concatenate([np.ravel(code.content), np.ravel(code.motion)]))
    return course


def algorithmic_rows(rig: Rig) -> list[Row]:
    with rig.engines() as engines:
        delays = [delay for _, delay in impulse_delays(engines.encoder)]
    measured = [delay * 1000 / SPEC.sample_rate_hz for delay in delays]
    return [latency_row("impulse_to_code", measured, lookahead_ms=0, picture_rate=0)]
