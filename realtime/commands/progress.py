"""How far a command has come, in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable


class progress_bar:
    """A rich progress bar on stderr; called with seconds done and in total. Silent where stderr is no terminal."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> Callable[[float, float], None]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=sys.stderr is None or not sys.stderr.isatty(),  # rich takes a pipe for one where FORCE_COLOR is set
            transient=True,
        )
        self._progress.start()
        task = self._progress.add_task(self._what, total=None)

        def show(done_s: float, total_s: float) -> None:
            self._progress.update(task, completed=done_s, total=total_s or None)

        return show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
