"""The engines of one stream, opened together and closed together."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from engines.spec import SPEC


class Engines(AbstractContextManager["Engines"]):
    """Encoder, shaper and generator as the pipeline wants them."""

    def __init__(self, encoder: Any, shaper: Any, generator: Any) -> None:
        self.encoder, self.shaper, self.generator = encoder, shaper, generator

    def __exit__(self, *_: object) -> None:
        self.encoder.close()


def open_engines(*, emotion: str = "auto", seed: int = 0, threads: int = 1, lookahead_ms: int = 0) -> Engines:
    """The shipped encoder, a shaper with this seed and emotion, and the generator. EngineMismatch where damaged."""
    from engines.encoder import open_encoder
    from engines.generator import Generator
    from engines.shaper import Shaper

    shaper = Shaper(SPEC, lookahead_ms=lookahead_ms, seed=seed, emotion=emotion)
    return Engines(open_encoder(threads=threads), shaper, Generator())
