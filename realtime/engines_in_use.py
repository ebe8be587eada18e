"""The engines of one stream, opened together and closed together."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.card import card_path
from engines.session import Session
from engines.spec import MOTION_CHANNELS, SPEC

if TYPE_CHECKING:
    from engines.building.auto import AutoSession

SHUT_AND_OPEN = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "jawDrop", "tongueUp")  # lids, and mouth


def seed_of(portrait: Any, now_ns: int = 0) -> int:
    """Whose blinks and looks, where no seed is given: each photo's own, so that no two faces sway alike.

    now_ns: for a call, which nobody wants to repeat; 0 gives the same video again.
    """
    return zlib.crc32(portrait.photo) ^ (now_ns & 0x7FFF_FFFF)


class Engines(AbstractContextManager["Engines"]):
    """Encoder, shaper and generator as the pipeline wants them."""

    def __init__(self, encoder: Any, shaper: Any, generator: Any) -> None:
        self.encoder, self.shaper, self.generator = encoder, shaper, generator

    def __exit__(self, *_: object) -> None:
        self.encoder.close()
        if (session := getattr(self.generator, "session", None)) is not None:
            session.close()

    def move_as(self, portrait: Any) -> None:
        """Move mouth and smile as far as this portrait's person does; in a stream, too."""
        self.shaper.reach, self.shaper.smile = portrait.reach, portrait.own_smile

    def take_up(self, portrait: Any) -> float:
        """Move mouth and smile as far as this portrait's person does; draw it with everything moving, and in a blink.

        So kernels are loaded before sound flows; or compiled, after an update. Gives the seconds that this took, 0
        where none was compiled.
        """
        from engines.compiling import watch_compiling

        self.move_as(portrait)
        with watch_compiling(lambda _: None) as compiling:
            moving = np.full(len(MOTION_CHANNELS), 0.05, np.float32)
            self.generator.draw(moving, portrait)
            moving[[MOTION_CHANNELS.index(name) for name in SHUT_AND_OPEN]] = 1.0
            self.generator.draw(moving, portrait)
        return compiling.seconds

    @property
    def sessions(self) -> list[tuple[Any, Session]]:
        """Who works with which session."""
        pairs = [(owner, getattr(owner, "session", None)) for owner in (self.encoder, self.generator)]
        return [(owner, session) for owner, session in pairs if session is not None]

    @property
    def names(self) -> dict[str, str]:
        """By model: backend and precision at work."""
        return {session.card.name: f"{session.backend} {session.precision}" for _, session in self.sessions}


def open_engines(
    *,
    emotion: str = "auto",
    articulation: float = 1.0,
    seed: int = 0,
    threads: int = 1,
    engine: str = "onnxruntime",
) -> Engines:
    """The shipped encoder, a shaper with this seed, emotion and articulation, and the generator.

    EngineMismatch where a model is damaged. engine: a backend, or BACKEND:PRECISION, or auto: the fastest here. One
    that fails while it runs is replaced.
    """
    from engines.encoder import Encoder
    from engines.generator import Generator
    from engines.shaper import Shaper

    shaper = Shaper(SPEC, seed=seed, emotion=emotion, articulation=articulation)
    shipped = card_path("generator").is_file()  # without its network the closed form alone draws
    session = open_model("generator", engine, threads) if shipped else None
    return Engines(Encoder(open_model("encoder", engine, threads)), shaper, Generator(session))


def open_model(name: str, engine: str = "onnxruntime", threads: int = 1) -> AutoSession:
    """A shipped model on the engine the user chose (`engine` as in `open_engines`), which has to open.

    When it fails later, ONNX Runtime in fp32, opened anew, goes on from the state before the step that failed.
    """
    from engines.building.auto import LAST_RESORT, AutoSession, Candidate, open_auto
    from engines.opening import open_session
    from realtime.cli import say

    if engine == "auto":
        session = open_auto(name, threads=threads, notify=say)
    else:
        backend, _, precision = engine.partition(":")
        first = open_session(name, backend, precision=precision or "fp32", threads=threads)
        opened = [first]

        def open_one(option: Candidate) -> Session:
            if opened:
                return opened.pop()
            return open_session(name, option.backend, option.device, option.precision, threads)

        chosen = Candidate(first.backend, first.device, first.precision)
        session = AutoSession(card_path(name), [chosen, LAST_RESORT], open_one)
    session.on_fallback = say
    return session


class LighterEngines(AbstractContextManager["LighterEngines"]):
    """The same models in a lower precision, for a machine that is too busy: looked for beside the running stream.

    `look` starts a thread that opens, verifies and times them; `found` is None until it has ended. `pairs` holds
    (owner, full session, lighter session): the threads that own encoder and generator exchange them between two steps.
    """

    def __init__(self, engines: Engines, tell: Callable[[str], None]) -> None:
        self.engines, self.tell = engines, tell
        self.found: bool | None = None
        self.pairs: list[tuple[Any, Session, Session]] = []
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def possible(self) -> bool:
        """False where no model runs in a session, as in the closed form alone."""
        return bool(self.engines.sessions)

    def look(self) -> None:
        """Start looking; once."""
        if self._thread is None:
            # No lower priority: threads that an engine starts would inherit it, and draw with it later.
            self._thread = threading.Thread(target=self._look, name="lighter engines", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        from engines.building.lighter import open_lighter

        try:
            for owner, session in self.engines.sessions:
                if self._closed:
                    return
                if (lighter := open_lighter(session.card.name, session)) is not None:
                    lighter.on_fallback = self.tell
                    self.pairs.append((owner, session, lighter))
        except Exception as error:  # whatever is missing here, the call goes on as it is
            self.tell(f"no lighter engine: {str(error) or type(error).__name__}")
        finally:
            self.found = bool(self.pairs)

    def __exit__(self, *_: object) -> None:
        self._closed = True
        if self._thread is not None:
            self._thread.join(0.5)
        for _, full, lighter in self.pairs:  # the one at work is closed by its owner as well: no harm
            full.close()
            lighter.close()
