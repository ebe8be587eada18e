"""The engines of one stream, opened together and closed together."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from engines.session import Session
from engines.spec import SPEC


class Engines(AbstractContextManager["Engines"]):
    """Encoder, shaper and generator as the pipeline wants them."""

    def __init__(self, encoder: Any, shaper: Any, generator: Any) -> None:
        self.encoder, self.shaper, self.generator = encoder, shaper, generator

    def __exit__(self, *_: object) -> None:
        self.encoder.close()
        if (session := getattr(self.generator, "session", None)) is not None:
            session.close()


def open_engines(
    *, emotion: str = "auto", seed: int = 0, threads: int = 1, lookahead_ms: int = 0, engine: str = "onnxruntime"
) -> Engines:
    """The shipped encoder, a shaper with this seed and emotion, and the generator. EngineMismatch where damaged.

    engine: a backend, or BACKEND:PRECISION, or auto: the fastest here, which the next one replaces when it fails.
    """
    from engines.card import card_path
    from engines.encoder import Encoder
    from engines.generator import Generator
    from engines.shaper import Shaper

    shaper = Shaper(SPEC, lookahead_ms=lookahead_ms, seed=seed, emotion=emotion)
    shipped = card_path("generator").is_file()  # without its network the closed form alone draws
    session = open_model("generator", engine, threads) if shipped else None
    return Engines(Encoder(open_model("encoder", engine, threads)), shaper, Generator(session))


def open_model(name: str, engine: str = "onnxruntime", threads: int = 1) -> Session:
    """A shipped model on the engine the user chose; `engine` as in `open_engines`."""
    from engines.auto import open_auto
    from engines.opening import open_session
    from realtime.cli import say

    if engine == "auto":
        session = open_auto(name, threads=threads, notify=say)
        session.on_fallback = say
        return session
    backend, _, precision = engine.partition(":")
    return open_session(name, backend, precision=precision or "fp32", threads=threads)
