"""Keys from a terminal: none is lost, arrows are none, and a job in the background leaves the terminal alone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
import tty
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


def test_a_terminal_that_a_program_left_raw_is_read_as_it_is(keyboard: int) -> None:
    tty.setcbreak(sys.stdin.fileno())
    with Keys() as keys:
        os.write(keyboard, b"mq")
        assert "".join(iter(keys.pressed, "")) == "mq"


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


# A shell with job control: it starts a job in the background, brings it forward (fg), and sets its own ways once more.
SHELL_FG = """
import fcntl, os, signal, subprocess, sys, termios
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
modes = termios.tcgetattr(0)
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, process_group=0, text=True)
print(job.stdout.readline().strip(), flush=True)
os.tcsetpgrp(0, job.pid)
for _ in range(2):
    print(job.stdout.readline().strip(), flush=True)
    termios.tcsetattr(0, termios.TCSANOW, modes)
job.wait()
print(termios.tcgetattr(0)[3] == modes[3])
"""
JOB_FG = """
import time
from realtime.commands.keys import Keys
with Keys() as keys:
    print(keys.on, repr(keys.pressed()), flush=True)
    for _ in range(2):
        while not (key := keys.pressed()):
            time.sleep(0.01)
        print(keys.on, key, flush=True)
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="subprocess has no process_group")
def test_a_job_that_is_brought_forward_hears_keys() -> None:
    keyboard, terminal = pty.openpty()
    shell = subprocess.Popen(
        [sys.executable, "-c", SHELL_FG, JOB_FG],
        cwd=ROOT,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert shell.stdout is not None
    lines = [shell.stdout.readline().strip()]
    for key in b"mq":
        time.sleep(0.2)
        os.write(keyboard, bytes([key]))  # no line end
        lines.append(shell.stdout.readline().strip())
    rest, errors = shell.communicate(timeout=60)
    os.close(keyboard)
    os.close(terminal)
    assert ([*lines, rest.strip()], errors) == (["False ''", "True m", "True q", "True"], "")
