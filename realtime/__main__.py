"""The `voxcam` program: begins and ends quickly, whatever the libraries behind it do.

Loading takes a third of a second in which Python would answer Ctrl-C with a traceback; unloading onnxruntime, numba and
OpenCV takes as long again, and seconds on a busy machine, when everything is closed already.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys


def main() -> None:
    """Run `realtime.cli.main` and end the process with its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command line takes it over
    _fill_closed_streams()
    from realtime.cli import main as run

    code: object = 0
    try:
        run()
    except SystemExit as end:
        code = end.code
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a pipe whose reader has gone
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _fill_closed_streams() -> None:
    """What a shell closed (`>&-`) leads nowhere, or the next file that is opened would be taken for it."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    main()
