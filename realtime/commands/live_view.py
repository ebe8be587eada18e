"""What `voxcam live` shows in the terminal: meters, delays, drops and keys."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engines.spec import EMOTIONS
from realtime.pipeline import Pipeline

STAGES = {  # of a picture, and how they are called here
    "hop": "hop",
    "encode": "encode",
    "ring_wait": "wait",
    "generate": "draw",
    "compose": "badge",
    "hand_over": "out",
}
KEYS = "m mute  e mood  +- mouth  l lookahead  r reload  b badge  s snapshot  q quit"  # fits into 80 columns


def level_bar(share: float) -> Text:
    """A meter of loudness: green, then yellow, then red."""
    return bar(share, "green" if share < 0.75 else "yellow" if share < 0.92 else "red")


def bar(share: float, colour: str = "cyan", width: int = 24) -> Text:
    filled = round(float(np.clip(share, 0, 1)) * width)
    return Text("━" * filled, style=colour) + Text("─" * (width - filled), style="grey23")


def level_share(rms: float) -> float:
    """RMS 0..1 to a meter's share: -60 dB is empty, 0 dB full."""
    return float(np.clip(1 + 20 * np.log10(max(rms, 1e-6)) / 60, 0, 1))


def draw(pipeline: Pipeline, state: dict[str, Any]) -> Panel:
    """state: microphone, camera, sound_out, emotion, articulation, badge, notes."""
    meters, controls = pipeline.meters, pipeline.controls
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", width=10)
    table.add_column()
    table.add_column()
    level = Text("muted", style="red") if controls.mute else level_bar(level_share(meters.level))
    where = state["microphone"] + (" [lost: waiting for it]" if pipeline.source.lost else "")
    table.add_row("input", level, Text(where, style="red" if pipeline.source.lost else ""))
    noise = "" if controls.mute else f"signal to noise {meters.snr_db:.0f} dB"
    table.add_row("speech", bar(meters.presence), noise)
    newest = pipeline.ring.newest
    if newest is not None and newest.emotion is not None:
        best = int(np.argmax(newest.emotion))
        heard = f"{EMOTIONS[best]} {newest.emotion[best]:.0%}"
    else:
        heard = "-"
    table.add_row("emotion", str(state["emotion"]), f"heard: {heard}")
    age = meters.newest_sample_age
    stages = "  ".join(
        f"{shown} {meters.stages[name].percentile_ms(50):.1f}"
        for name, shown in STAGES.items()
        if meters.stages[name].count
    )
    table.add_row("delay", f"newest sound {age.percentile_ms(50):.1f} ms, p99 {age.percentile_ms(99):.1f}", "")
    late = f"{meters.late_pictures} late, {sum(worker.dropped for worker in pipeline.workers)} dropped by sinks"
    rate = f"{meters.pictures} pictures, {pipeline.picture_rate / controls.rate_divisor:g}/s"
    table.add_row("pictures", rate, late)
    overflows = f"{pipeline.source.overflows} overflows, {meters.gap_hops} gap hops"
    table.add_row("sound", f"drift {meters.drift_ppm:+.0f} ppm", overflows)
    if state.get("sound_out"):
        table.add_row("cable", state["sound_out"](), "")
    mouth = f"mouth x {state['articulation']:.1f}"
    settings = f"lookahead {controls.lookahead_ms} ms   {mouth}   badge {'on' if state['badge'] else 'off'}"
    lines: list[Any] = [
        table,
        Text.assemble(("stages, ms", "bold"), "  ", stages),
        Text(settings),
        Text(KEYS, style="dim"),
    ]
    lines.extend(Text(note, style="yellow") for note in state["notes"][-3:])
    return Panel(Group(*lines), title=f"voxcam live -> {state['camera']}", border_style="cyan")
