"""`voxcam demo`: the portrait and speech that come with the package become out/demo.mp4 and out/demo.png."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from realtime.commands.options import LookaheadMs
from realtime.commands.progress import progress_bar
from realtime.commands.render import render_file, tell


def demo(
    out: Annotated[Path, typer.Option(help="Folder for demo.mp4 and demo.png.")] = Path("out"),
    lookahead_ms: LookaheadMs = 80,
    seed: Annotated[int, typer.Option(help="Of blinks, gaze and small head motion.")] = 7,
) -> None:
    """Make a talking picture from the portrait and speech that come along."""
    from realtime.engines_in_use import open_engines
    from realtime.faces import load_portrait
    from realtime.pacer import checked_lookahead
    from realtime.targets import checked_folder

    checked_lookahead(lookahead_ms)
    checked_folder(out)
    assets = files("realtime") / "assets"
    with as_file(assets / "portrait.jpg") as portrait, as_file(assets / "speech.opus") as speech:
        portrayed = load_portrait(portrait)
        with open_engines(seed=seed) as engines, progress_bar("the photo learns to speak") as progress:
            made = render_file(
                portrayed.portrait,
                engines,
                speech,
                out / "demo.mp4",
                lookahead_ms=lookahead_ms,
                overwrite=True,
                sheet=out / "demo.png",
                title="demo: one photo, one sound",
                progress=progress,
            )
    tell(made, out / "demo.mp4", portrayed.portrait.size)
    print(f"{out / 'demo.png'}: the pictures over the sound's waveform")
    print("next, your own:  voxcam render --portrait me.jpg --audio speech.wav --out me.mp4")
    print("and live:        voxcam doctor   then   voxcam live --portrait me.jpg")
