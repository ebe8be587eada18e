"""Options that several commands have, each said once, and the picture size that some of them read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engines.errors import ConfigError
from engines.spec import ARTICULATION
from realtime.pacer import PICTURE_RATES

CAMERA_SIZE = "1280x720"
CAMERA_SIZES = "640x360, 640x480, 960x540, 1280x720 or 1920x1080"
LOOKS = "neutral, happiness, sadness, anger, disgust, fear, boredom, surprise, frown"  # engines/motion/expression.py

PortraitPath = Annotated[Path, typer.Option("--portrait", "-p", help="A photo, or a portrait made by voxcam enroll.")]
FaceSize = Annotated[
    str, typer.Option(help="full: the photo, cut where its face would be too small. face: the aligned face, 256x256.")
]
Fps = Annotated[int, typer.Option(help=f"Pictures a second: one of {', '.join(map(str, PICTURE_RATES))}.")]
LookaheadMs = Annotated[int, typer.Option(help="Future sound that a picture may use: 0, 40 or 80 ms.")]
Mood = Annotated[str, typer.Option(help=f"auto, off, {LOOKS}, with a strength if you like: happiness:0.5.")]
Articulation = Annotated[
    float, typer.Option(min=ARTICULATION[0], max=ARTICULATION[1], help="How far the mouth moves; 1 as in calm speech.")
]
Seed = Annotated[
    int | None, typer.Option(help="Of blinks, gaze and small head motion; without it each photo has its own.")
]
Engine = Annotated[str, typer.Option(help="auto, onnxruntime, openvino, openvino:bf16, ...")]
Threads = Annotated[int, typer.Option(min=1, max=64, help="Threads of each network.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
C2paCertificates = Annotated[
    Path | None,
    typer.Option(envvar="VOXCAM_C2PA_CERT", help="Certificates (PEM, yours first) to sign the mp4 with, C2PA."),
]
C2paKey = Annotated[Path | None, typer.Option(envvar="VOXCAM_C2PA_KEY", help="The certificate's private key (PEM).")]


def checked_engine(engine: str) -> str:
    """`auto`, BACKEND or BACKEND:PRECISION; ConfigError for a name that is none. Nothing is opened yet."""
    from engines.backends import PRECISIONS, find_backend

    if engine == "auto":
        return engine
    backend, _, precision = engine.partition(":")
    find_backend(backend)
    if precision and precision not in PRECISIONS:
        raise ConfigError(f"no precision {precision!r}", f"choose one of {', '.join(PRECISIONS)}")
    return engine


def parse_size(text: str) -> tuple[int, int]:
    """'1280x720' -> (1280, 720), px; ConfigError for anything else, odd, tiny or huge."""
    width_text, cross, height_text = text.lower().partition("x")
    if not (cross and all(side.isdecimal() and len(side) <= 5 for side in (width_text, height_text))):
        raise ConfigError(f"{text!r} is no picture size", f"use one such as {CAMERA_SIZES}")
    width, height = int(width_text), int(height_text)
    if width % 2 or height % 2 or not (160 <= width <= 3840 and 120 <= height <= 2160):
        raise ConfigError(f"a camera cannot be {text}", f"use one such as {CAMERA_SIZES}")
    return width, height
