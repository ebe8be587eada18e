"""Progress bars with the time that is left, and the losses beside them."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

SHOWN = ("motion", "phones", "presence", "components")


class Bars:
    """One bar a task; leaving the context leaves them on the screen."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._progress = Progress(*columns)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, what: str, done: int, of: int, note: str = "") -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=of, note=note)
        self._progress.update(self._tasks[what], completed=done, total=of, note=note)

    def losses(self, step: int, steps: int, losses: dict[str, float]) -> None:
        note = " ".join(f"{name} {losses[name]:.3f}" for name in SHOWN if name in losses)
        self.update("step", step, steps, note)
