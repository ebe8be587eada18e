"""The user's side of `voxcam live`: what keys do, what is told, and the log."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from errno import ENOSPC
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.errors import OutputError, VoxcamError
from engines.spec import ARTICULATION, EMOTIONS, MOTION_CHANNELS, SPEC
from realtime.audio.microphone import ANSWER_S, STREAMS
from realtime.cli import say
from realtime.clock import NS, STARTED_NS, SystemClock, cpu_s, today
from realtime.interrupts import interrupts
from realtime.targets import readable, unless_taken

if TYPE_CHECKING:
    from realtime.audio.audio_out import AudioOut
    from realtime.engines_in_use import Engines
    from realtime.pipeline import Pipeline

SNAPSHOT_S = 5.0  # longest that the end waits for a slow disk
EMOTION_KEYS = ("auto", "off", "happiness", "sadness", "anger", "fear", "disgust")


class LiveSession:
    """What the keys do, what is logged, what is told: the user's side of a running pipeline."""

    def __init__(
        self,
        pipeline: Pipeline,
        engines: Engines,
        portrait_path: Path,
        camera_size: tuple[int, int],
        emotion: str,
        badge: Callable[[np.ndarray], None],
        log: FileIO | None,
        audio_out: AudioOut | None,
        av_offset_ms: float,
        camera_name: str,
    ) -> None:
        from realtime.engines_in_use import LighterEngines
        from realtime.governor import UNKNOWN, Governor

        self.pipeline, self.engines, self.portrait_path = pipeline, engines, portrait_path
        self.camera_size, self.emotion, self.badge = camera_size, emotion, badge
        self.log, self.audio_out, self.av_offset_ms = log, audio_out, av_offset_ms
        self.log_error: OutputError | None = None
        self._log_size = 0  # of whole lines
        self.clock = SystemClock()
        self.governor = Governor()
        self.lighter = LighterEngines(engines, self.tell)
        if self.lighter.possible:
            self.governor.engine = UNKNOWN
        self._uses_lighter = False
        self.start_ns = self.clock.now_ns()
        self.cpu_before_s = cpu_s()
        self.next_second_ns = self.start_ns + NS
        self.state: dict[str, Any] = {
            "microphone": readable(pipeline.source.name),
            "camera": readable(camera_name),
            "emotion": emotion,
            "articulation": engines.shaper.articulation,
            "badge": pipeline.face.badge is not None,
            "notes": [],
            "sound_out": partial(cable_line, audio_out) if audio_out is not None else None,
        }
        self.has_view = False
        self._said = 0  # how many of the notes
        self._scans_since_ns = 0  # when it was first found that a scan keeps the lock
        self._lost_cameras: list[str] = []
        self._was_lost = False
        self._writing: list[threading.Thread] = []  # of snapshots
        self._naming = threading.Lock()  # each has its own name
        self._reloading, self._reload_waits = threading.Lock(), threading.Lock()
        self._reviving: threading.Thread | None = None
        pipeline.warn = self.tell
        if getattr(engines.generator, "session", None) is not None:
            pipeline.face.spare = type(engines.generator)  # the closed form alone
        if audio_out is not None:
            audio_out.tell = self.tell
        for _, engine in engines.sessions:
            if hasattr(engine, "on_fallback"):
                engine.on_fallback = self.tell

    def tell(self, message: str) -> None:
        """Into the view where there is one, else soon a line on stderr. Any thread may call it."""
        self.state["notes"].append(" ".join(readable(message).split()))

    def say_notes(self, wait: bool = False) -> None:
        """Say what was told since.

        Not during a scan for sound devices, which leads stderr to nowhere; one that hangs is not waited for.
        """
        if wait:
            with STREAMS.lock_at_end():
                if STREAMS.hangs:
                    interrupts.speak_again()
                self._say_new_ones()
        elif STREAMS.lock.acquire(blocking=False):
            self._scans_since_ns = 0
            try:
                self._say_new_ones()
            finally:
                STREAMS.lock.release()
        elif not self._scans_since_ns:
            self._scans_since_ns = self.clock.now_ns()
        elif not self.has_view and self.clock.now_ns() - self._scans_since_ns > ANSWER_S * NS:
            interrupts.speak_again()
            self._say_new_ones()

    def _say_new_ones(self) -> None:
        notes = self.state["notes"]
        while self._said < len(notes):
            self._said += 1
            if not self.has_view:
                say(f"note: {notes[self._said - 1]}")

    def key(self, key: str) -> bool:
        """Act on a key; False to quit."""
        controls = self.pipeline.controls
        if key == "m":
            controls.mute = not controls.mute
            if self.audio_out is not None:
                self.audio_out.line.muted = controls.mute
        elif key == "e":
            at = EMOTION_KEYS.index(self.emotion) if self.emotion in EMOTION_KEYS else -1
            self.emotion = self.state["emotion"] = EMOTION_KEYS[(at + 1) % len(EMOTION_KEYS)]
            self.engines.shaper.choose_emotion(self.emotion)
        elif key in ("+", "-"):
            shaper = self.engines.shaper
            wanted = round(shaper.articulation + (0.1 if key == "+" else -0.1), 1)
            shaper.articulation = self.state["articulation"] = min(ARTICULATION[1], max(ARTICULATION[0], wanted))
        elif key == "l":
            choices = SPEC.lookaheads_ms
            controls.lookahead_ms = choices[(choices.index(controls.lookahead_ms) + 1) % len(choices)]
        elif key == "b":
            face = self.pipeline.face
            face.badge = None if face.badge is not None else self.badge
            self.state["badge"] = face.badge is not None
        elif key == "r":
            if self._reload_waits.acquire(blocking=False):  # else the one that waits reads what there is by then
                threading.Thread(target=self._reload_in_turn, name="reload", daemon=True).start()
        elif key == "s":
            controls.snapshot.append(self._snapshot)
        return key != "q"

    def _reload_in_turn(self) -> None:
        """One at a time: a key that is held comes 30 times a second, and a large photo takes seconds and 200 MB."""
        with self._reloading:
            self._reload_waits.release()
            self.reload()

    def reload(self) -> None:
        """Read the photo again; the new face fades in."""
        from realtime.faces import load_portrait

        try:
            portrayed = load_portrait(self.portrait_path, camera=self.camera_size, asked=False)
            portrait = portrayed.portrait
            if portrait.size != (self.pipeline.face.height, self.pipeline.face.width):
                self.tell("the portrait stays: the new one has another size, start live again")
                return
            # What a first picture makes of a portrait is made here: the face thread would stand still for it.
            type(self.engines.generator)().draw(np.zeros(len(MOTION_CHANNELS), np.float32), portrait)
        except VoxcamError as error:
            self.tell(f"the portrait stays: {error}")
            return
        except Exception as error:  # in a thread of its own: its traceback would tear the view, and say nothing in it
            self.tell(f"the portrait stays ({type(error).__name__}: {error})")
            return
        self.pipeline.face.swap(portrait)
        self.engines.move_as(portrait)
        for note in portrayed.notes:
            self.tell(note)
        self.tell(f"{self.portrait_path.name} fades in")

    def _snapshot(self, pixels: np.ndarray) -> None:
        """Called in the face thread, which must not wait until a picture is coded and on the disk."""
        writing = threading.Thread(target=self._write_snapshot, args=(pixels,), name="snapshot", daemon=True)
        self._writing = [*filter(threading.Thread.is_alive, self._writing), writing]
        writing.start()

    def _write_snapshot(self, pixels: np.ndarray) -> None:
        from realtime.pictures.sheet import write_picture

        try:
            with self._naming:  # two keys in one second
                path = unless_taken(Path(f"voxcam-{today()}.png"), overwrite=False)
                write_picture(path, pixels)
            self.tell(f"snapshot: {path}")
        except OutputError as error:
            self.tell(str(error))
        except Exception as error:
            self.tell(f"no snapshot ({type(error).__name__}: {error})")

    def finish_snapshots(self) -> None:
        """Wait for those that are being written."""
        for writing in self._writing:
            writing.join(SNAPSHOT_S)

    def poll(self) -> None:
        """A few times a second: the delay of the cable, what was lost; once a second the log and the governor."""
        pipeline = self.pipeline
        if self.audio_out is not None:
            self.audio_out.line.delay_ns = pipeline.sound_delay_ns + round(self.av_offset_ms * 1e6)
        if pipeline.source.lost != self._was_lost:
            self._was_lost = pipeline.source.lost
            self.tell(pipeline.source.lost_words[0 if self._was_lost else 1])
        cameras = [worker.sink.name for worker in pipeline.workers if worker.sink.lost]
        if cameras != self._lost_cameras:
            gone, back = (set(a) - set(b) for a, b in ((cameras, self._lost_cameras), (self._lost_cameras, cameras)))
            self._lost_cameras = cameras
            for name in sorted(gone):
                self.tell(f"{name} is lost: it is tried again every second")
            for name in sorted(back):
                self.tell(f"{name} is back")
        now_ns = self.clock.now_ns()
        if now_ns < self.next_second_ns:
            return
        slept = now_ns - self.next_second_ns > NS
        self.next_second_ns = now_ns + NS if slept else self.next_second_ns + NS
        if self.audio_out is not None and (self._reviving is None or not self._reviving.is_alive()):
            self._reviving = threading.Thread(target=self._revive, args=(self.audio_out,), name="revive", daemon=True)
            self._reviving.start()
        busy_ns = sum(pipeline.meters.stages[name].sum_ns for name in ("generate", "compose"))
        late = pipeline.meters.late_pictures - pipeline.slept_pictures
        message = self.governor.look(now_ns / NS, pipeline.meters.pictures, late, busy_ns)
        self._govern()
        if message:
            self.tell(message)
        self.write_log()

    def _revive(self, audio_out: AudioOut) -> None:
        audio_out.revive()
        self.pipeline.source.look_after()

    def write_log(self) -> None:
        """One line, where there is a log; one that cannot be written stops, is told now and raised at the end."""
        if self.log is None:
            return
        try:
            rest = memoryview((json.dumps(self.entry()) + "\n").encode())
            size = self._log_size + len(rest)
            while rest:
                rest = rest[self.log.write(rest) :]
            self._log_size = size
        except OSError as error:
            with suppress(OSError):
                self.log.truncate(self._log_size)  # half a line is none
            self.log, fix = None, "free some space" if error.errno == ENOSPC else "name another file"
            self.log_error = OutputError(f"the log stopped ({error.strerror})", fix)
            self.tell(str(self.log_error))

    def _govern(self) -> None:
        """Do what the governor wants: a lighter engine made ready, in use or not, and the share of pictures."""
        from realtime.governor import WANTED

        controls = self.pipeline.controls
        if self.governor.engine == WANTED:
            self.lighter.look()
            if self.lighter.found is not None:
                self.governor.prepared(self.lighter.found)
                if self.lighter.found:
                    names = ", ".join(sorted({f"{s.backend} {s.precision}" for _, _, s in self.lighter.pairs}))
                    self.tell(f"this machine is very busy: a lighter engine ({names}) works until there is room")
        if self.governor.lighter != self._uses_lighter:
            self._uses_lighter = self.governor.lighter
            for owner, full, lighter in self.lighter.pairs:
                waiting = controls.before_hop if owner is self.engines.encoder else controls.before_picture
                waiting.append(partial(owner.use, lighter if self._uses_lighter else full))
        controls.rate_divisor = self.governor.divisor

    def entry(self) -> dict[str, object]:
        """One line of the log."""
        pipeline = self.pipeline
        elapsed_s = (self.clock.now_ns() - self.start_ns) / NS
        values: dict[str, object] = pipeline.meters.snapshot()
        newest = pipeline.ring.newest
        heard = () if newest is None or newest.emotion is None else zip(EMOTIONS, newest.emotion, strict=True)
        values |= {
            "emotion": {name: round(float(chance), 3) for name, chance in heard},
            "elapsed_s": round(elapsed_s, 2),
            "first_picture_s": round(max(0, pipeline.first_picture_ns - STARTED_NS) / NS, 3),
            "cpu_share": round((cpu_s() - self.cpu_before_s) / max(elapsed_s, 1e-3), 3),
            "lookahead_ms": pipeline.controls.lookahead_ms,
            "picture_rate": pipeline.picture_rate / pipeline.controls.rate_divisor,
            "engines": self.engines.names,
            "failure": None if pipeline.failure is None else str(pipeline.failure),
            "muted": pipeline.controls.mute,
            "microphone_lost": pipeline.source.lost,
            "overflows": pipeline.source.overflows,
            "arrival_lag_ms": round(pipeline.arrival.lag_ns / 1e6, 2),
            "device_latency_ms": round(pipeline.source.device_latency_ms, 1),
            "sinks": {w.sink.name: {"sent": w.sent, "dropped": w.dropped} for w in pipeline.workers},
            "sound_delay_ms": round(pipeline.sound_delay_ns / 1e6, 2),
        }
        if self.audio_out is not None:
            line = self.audio_out.line
            values["audio_out"] = {
                "delay_ms": round(line.delay_ns / 1e6, 2),
                "error_ms": round(line.error_ns / 1e6, 2),
                "correction_ppm": round(line.correction * 1e6, 1),
                "silent_samples": line.silent_samples,
                "skipped_samples": line.skipped_samples,
                "pulls": self.audio_out.pulls,
                "rate_hz": self.audio_out.rate_hz,
                "samples": self.audio_out.samples,
                "underflows": self.audio_out.underflows,
                "latency_ms": round(self.audio_out.latency_ns / 1e6, 1),
                "ahead_ms": round(self.audio_out.ahead_ns / 1e6, 1),
                "jumps": line.jumps,
            }
        return values


def cable_line(audio_out: AudioOut) -> str:
    """How the delayed microphone does, for the view."""
    line = audio_out.line
    return f"{audio_out.name}: {line.delay_ns / 1e6:.0f} ms behind, off by {line.error_ns / 1e6:+.1f} ms"
