"""The real `voxcam` command with engines whose picture is as bright as the sound is loud.

    python -m tests.rigs.loud_voxcam live ...

Everything but encoder, shaper and generator is the product's own.
"""

from __future__ import annotations

from typing import Any

import realtime.engines_in_use
import realtime.faces
from realtime.cli import main
from realtime.engines_in_use import Engines
from tests.fakes import FakeEncoder, FakeGenerator, FakePortrait, FakeShaper


def open_loud_engines(**_: Any) -> Engines:
    return Engines(FakeEncoder(), FakeShaper(), FakeGenerator())


def load_grey_portrait(path: Any, size: str = "full", camera: tuple[int, int] | None = None, **_: object) -> Any:
    width, height = camera or (320, 240)
    return realtime.faces.Portrayed(FakePortrait(height, width, 20), [])


if __name__ == "__main__":
    realtime.engines_in_use.open_engines = open_loud_engines  # type: ignore[assignment]
    realtime.faces.load_portrait = load_grey_portrait  # type: ignore[assignment]
    main()
