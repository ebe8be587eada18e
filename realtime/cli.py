"""The `voxcam` command: knows the names of its commands, and loads one when it is used."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from engines.errors import ConfigError, VoxcamError
from realtime.broken_pipe import reader_is_gone
from realtime.interrupts import interrupts  # its clock notes when the program started

COMMANDS = {
    # name: (module, function, one line of help)
    "demo": ("realtime.commands.demo", "demo", "Make a talking picture from the portrait and speech that come along."),
    "render": ("realtime.commands.render", "render", "A photo and a sound become a talking video."),
    "live": ("realtime.commands.live", "live", "A photo and your microphone become a camera for calls."),
    "enroll": ("realtime.commands.enroll", "enroll", "Analyse a photo once and keep the portrait."),
    "encode": ("realtime.commands.encode", "encode", "The codes of a sound as arrays."),
    "devices": ("realtime.commands.devices", "devices", "List microphones, cameras and sound outputs."),
    "doctor": ("realtime.commands.doctor", "doctor", "Say whether live would work here, and what to type if not."),
    "sync-test": ("realtime.commands.sync_test", "sync_test", "Measure picture against sound through the real path."),
    "build-engine": ("realtime.commands.build_engine", "command", "Build and verify engines for this machine."),
    "engines": ("realtime.commands.engines_command", "app", "List, verify, profile and clean engines."),
}
OTHERS = {
    "train": "Train the models (needs the train extra).",
    "bench": "Measure speed, delay and robustness.",
}
GROUP = "voxcam.commands"
STOPPED = 130  # by Ctrl-C or SIGTERM, as shells count
CONTEXT = {"help_option_names": ["-h", "--help"]}


class LazyGroup(TyperGroup):
    """A command group whose members are imported when they are run, not when they are listed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *(entry.name for entry in _entries() if entry.name not in COMMANDS)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What `--help` lists: name and one line."""
        if cmd_name in COMMANDS:
            return TyperCommand(name=cmd_name, help=COMMANDS[cmd_name][2], callback=lambda: None)
        if any(entry.name == cmd_name for entry in _entries()):
            return TyperCommand(name=cmd_name, help=OTHERS.get(cmd_name, ""), callback=lambda: None)
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        self.commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}  # for "did you mean"
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load_command(str(name)), rest


def _entries() -> list[Any]:
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def load_command(name: str) -> Any:
    """Import a command and give it as something to run."""
    if name in COMMANDS:
        module, function, _ = COMMANDS[name]
        return _as_command(getattr(import_module(module), function), name)
    entry = next(entry for entry in _entries() if entry.name == name)
    try:
        loaded = entry.load()
    except ModuleNotFoundError as error:
        folder = entry.value.split(".")[0]
        if error.name and error.name.split(".")[0] in ("engines", "realtime", "train", "bench"):
            raise VoxcamError(f"{entry.value} is not there") from error
        raise VoxcamError(f"{name} needs {error.name}", f'pip install "voxcam[{folder}]"') from error
    return _as_command(loaded, name)


def _as_command(loaded: Any, name: str) -> Any:
    if isinstance(loaded, typer.Typer):
        return typer.main.get_command(loaded)
    app = typer.Typer(add_completion=False, context_settings=CONTEXT, pretty_exceptions_enable=False)
    app.command(name)(loaded)
    return typer.main.get_command(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            print(f"voxcam {version('voxcam')}")
        except PackageNotFoundError:
            print("voxcam (not installed)")
        raise typer.Exit()


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    context_settings=CONTEXT,
    pretty_exceptions_enable=False,
    help="You speak; your photo speaks, live, as your camera.\n\nBegin with: voxcam demo",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong use (change the command line), 130 stopped.",
)


@app.callback()
def voxcam(
    show_version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Say the version."
    ),
) -> None:
    """You speak; your photo speaks, live, as your camera. Begin with: voxcam demo"""


def say(message: str, stream: TextIO | None = None) -> None:
    """One line on stderr, or on `stream`; nothing where nobody reads it any more: a note must not end a call."""
    stream = stream or sys.stderr
    try:
        print(message, file=stream, flush=True)
    except (OSError, ValueError):  # its reader has gone, its terminal or its disk is full
        with suppress(OSError, ValueError):
            _drain(stream)


def _drain(stream: TextIO) -> None:
    """Let what is written to it from now on, and what is left in its buffers, go nowhere."""
    descriptor = stream.fileno()  # first: a closed stream has none
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exit 0, 2 for wrong use, 1 for failure, 130 when interrupted. Never a traceback.

    With VOXCAM_DEBUG set, errors that are no VoxcamError keep their traceback.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what is wrong with a photo is ours to say
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may hold what a terminal's letters lack
        sys.stdout.reconfigure(errors="backslashreplace")
    interrupts.install()
    try:
        _check_empty(sys.argv[1:] if arguments is None else arguments)
        code = app(args=arguments, standalone_mode=False)
    except VoxcamError as error:
        code = error.exit_code
        if interrupts.came and isinstance(error.__cause__, ImportError):
            code = STOPPED  # nothing is missing: the interrupt came while it was loaded
        else:
            say(f"voxcam: {_one_line(error)}")
            sys.exit(code)
    except KeyboardInterrupt:
        code = STOPPED
    except Exception as error:
        code = _reader_gone() if reader_is_gone(error) else _other_error(error)
    if code == STOPPED:
        say("voxcam: stopped")
    sys.exit(code if isinstance(code, int) else 0)


def _reader_gone() -> int:
    _drain(sys.stdout)
    return 1


def _check_empty(arguments: list[str]) -> None:
    """ConfigError for an empty argument, as of a variable that is not set: as a path it would be this folder."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if argument == "--":
            break
        name, equals, value = argument.partition("=")
        if not argument:
            raise ConfigError(f"{before if before.startswith('-') else 'an argument'} is empty", "give a value")
        if name.startswith("--") and equals and not value:
            raise ConfigError(f"{name} is empty", "give a value")


def _other_error(error: Exception) -> int:
    """Typer's own exceptions show themselves; everything else is a fault of ours, said in one line."""
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        context = getattr(error, "ctx", None)
        path = f" (see {context.command_path} --help)" if context is not None else ""
        message = error.format_message()
        if message:
            say(f"voxcam: {_one_line(message)}{path}")
        return int(error.exit_code)
    if type(error).__name__ == "Abort":
        if not isinstance(error.__cause__, EOFError):
            return STOPPED
        error = error.__cause__  # of a file: typer takes it for Ctrl-D
    if type(error).__name__ == "Exit":
        return int(getattr(error, "exit_code", 0))
    if os.environ.get("VOXCAM_DEBUG"):
        raise error
    if interrupts.came and not isinstance(error, OSError):  # what a library made of the interrupt
        return STOPPED
    if isinstance(error, MemoryError):
        say("voxcam: out of memory: use a smaller photo")
        return 1
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
        say("voxcam: the disk is full: free some space")
        return 1
    if isinstance(error, OSError) and error.strerror:
        say(f"voxcam: {_one_line(error.strerror)}{f': {error.filename}' if error.filename else ''}")
        return 1
    say(f"voxcam: {type(error).__name__}: {_one_line(error)} (VOXCAM_DEBUG=1 shows where)")
    return 1


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


if __name__ == "__main__":
    main()
