"""Keys from a terminal: none is lost, arrows are none, and a job in the background leaves the terminal alone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.commands.keys import Keys

ROOT = Path(__file__).parents[2]


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What is written there is typed into the terminal that is now standard input."""
    keyboard, terminal = pty.openpty()
    with open(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield keyboard
    os.close(keyboard)


@pytest.mark.parametrize(
    ("typed", "pressed"),
    [
        (b"+++++++++q", "+++++++++q"),
        (b"\x1b[A\x1b[B+\x1b[1;5C\x1bOD-", "+-"),  # arrows, one with Ctrl, one of a keypad
        (b"\x1b[15~\x1bOPm", "m"),  # F5, F1
        (b"\x1bq", "q"),  # Esc
        ("mäe\xff".encode("latin-1"), "me"),  # of another encoding
        (b"l" * 200, "l" * 200),
    ],
)
def test_all_that_was_typed_comes_key_by_key(keyboard: int, typed: bytes, pressed: str) -> None:
    with Keys() as keys:
        assert keys.pressed() == ""
        os.write(keyboard, typed)
        assert "".join(iter(keys.pressed, "")) == pressed
        assert keys.pressed() == ""


# The leader of a session, as a shell is, and a job of its that leaves the foreground with a key waiting.
SHELL = """
import fcntl, os, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
_, status = os.waitpid(job.pid, os.WUNTRACED)
if os.WIFSTOPPED(status):
    job.kill()
    sys.exit(f"stopped by signal {os.WSTOPSIG(status)}")
"""
STARTED_THERE = """
import os
from realtime.commands.keys import Keys
os.setpgid(0, 0)
with Keys() as keys:
    print(repr(keys.pressed()))
"""
SENT_THERE = """
import os
from realtime.commands.keys import Keys
with Keys() as keys:
    os.setpgid(0, 0)
    print(repr(keys.pressed()))
"""


@pytest.mark.parametrize("job", [STARTED_THERE, SENT_THERE])
def test_a_job_in_the_background_is_not_stopped(job: str) -> None:
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"m\n")
    done = subprocess.run(
        [sys.executable, "-c", SHELL, job],
        cwd=ROOT,
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    os.close(keyboard)
    os.close(terminal)
    assert (done.stdout, done.stderr) == ("''\n", "")
