"""Ctrl-C and SIGTERM at any moment: the program ends, soon, and every device is as it was."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile

from realtime.interrupts import Interrupts, _lead_nowhere
from tests.rigs.camera_rig import CameraRig
from tests.rigs.sound_rig import SoundRig

ROOT = Path(__file__).parents[2]
PORTRAIT = str(files("realtime") / "assets" / "portrait.jpg")


def start(env: dict[str, str], *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "realtime", "live", "--portrait", PORTRAIT, "--camera-size", "320x240", *options]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.device
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_at_any_moment_of_the_start(
    sound_rig: SoundRig, camera_rig: CameraRig, number: signal.Signals, tmp_path: Path
) -> None:
    env = {**sound_rig.env, **camera_rig.env}
    for wait_s in (0.0, 0.2, 0.5, 0.9, 1.4, 2.0):
        out = tmp_path / f"{wait_s}.mp4"
        with start(env, "--camera", "/dev/video0", "--make-cable", "--out", str(out)) as live:
            try:
                assert live.stderr is not None
                assert "choose voxcam_microphone" in live.stderr.readline()
                time.sleep(wait_s)
                live.send_signal(number)
                time.sleep(0.05)
                live.send_signal(number)  # an impatient second one
                _, err = live.communicate(timeout=20)  # one that was swallowed by a library would run for ever
            finally:
                live.kill()
        assert live.returncode in (0, 130), err
        assert "Traceback" not in err
        assert "voxcam" not in sound_rig.ask("list", "short", "modules").stdout
        assert [path for path in tmp_path.iterdir() if path != out] == []
        out.unlink(missing_ok=True)


def test_what_an_interrupt_left_half_made_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    stops = Interrupts()
    monkeypatch.setattr(stops, "_hook_before", told.append)
    lost = SimpleNamespace(exc_type=AttributeError)
    stops._unraisable(lost)
    assert told == [lost]  # without an interrupt it is
    stops.came = True
    stops._unraisable(lost)
    assert told == [lost]


SWALLOW = """
import os, signal, sys, time
from realtime.interrupts import interrupts
from realtime.cli import main

def lost(what, hook=interrupts._unraisable):
    print("swallowed", what.exc_type.__name__)
    hook(what)

interrupts._unraisable = lost

def interrupt():
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass

class Callback:
    def __del__(self):
        interrupt()
"""


def swallowing(script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which an interrupt gets lost where Python can only print it; it would go on for ten minutes."""
    done = subprocess.run(
        [sys.executable, "-c", SWALLOW + script, *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "swallowed KeyboardInterrupt" in done.stdout, done
    return done


def test_an_interrupt_swallowed_while_live_ends_it(tmp_path: Path) -> None:
    """Python prints an exception in a library's callback, or in `__del__`, and goes on."""
    script = (
        "import realtime.commands.live as live\n"
        "run = live._run\n"
        "def swallowing(*arguments):\n"
        "    Callback()\n"
        "    run(*arguments)\n"
        "live._run = swallowing\n"
        "import tests.rigs.loud_voxcam as loud, realtime.engines_in_use, realtime.faces\n"
        "realtime.engines_in_use.open_engines = loud.open_loud_engines\n"
        "realtime.faces.load_portrait = loud.load_grey_portrait\n"
        "main(['live', '--portrait', 'any', '--source', sys.argv[1], '--camera', 'none', '--camera-size', '320x240'])\n"
    )
    minutes = tmp_path / "minutes.wav"
    soundfile.write(minutes, np.zeros(16_000 * 600, np.float32), 16_000)
    done = swallowing(script, str(minutes))
    assert done.returncode == 0
    assert "pictures in" in done.stdout
    assert [line for line in done.stderr.splitlines() if not line.startswith("live: ")] == []


def test_an_interrupt_swallowed_before_comes_again() -> None:
    """Work that looks at nothing, such as a compiler, is ended by the exception itself."""
    script = (
        "import realtime.commands.devices\n"
        "def work():\n"
        "    Callback()\n"
        "    time.sleep(600)\n"
        "realtime.commands.devices.devices = work\n"
        "main(['devices'])\n"
    )
    done = swallowing(script)
    assert done.returncode == 130
    assert done.stderr == "voxcam: stopped\n"


def test_an_interrupt_while_numba_compiles(tmp_path: Path) -> None:
    """At a first start: the compiler calls back from C, where nobody can catch it."""
    script = (
        "import realtime.commands.devices, numba\n"
        "from numba.core.codegen import JITCodeLibrary\n"
        "def compiled(library, module, buffer, hook=JITCodeLibrary._object_compiled_hook.__func__):\n"
        "    interrupt()\n"
        "    hook(library, module, buffer)\n"
        "JITCodeLibrary._object_compiled_hook = classmethod(compiled)\n"
        "def work():\n"
        "    numba.njit(lambda x: x + 1)(2)\n"
        "    time.sleep(600)\n"
        "realtime.commands.devices.devices = work\n"
        "main(['devices'])\n"
    )
    done = swallowing(script, NUMBA_CACHE_DIR=str(tmp_path))
    assert done.returncode == 130
    assert done.stderr == "voxcam: stopped\n"


@pytest.mark.parametrize("becomes", ["ImportError", "DeviceError", "RuntimeError"])
def test_an_interrupt_that_a_library_turns_into_an_error_of_its_own(becomes: str) -> None:
    """numba and onnxruntime do, while they load and compile."""
    script = (
        "import realtime.commands.devices\n"
        "from engines.errors import DeviceError\n"
        "def work():\n"
        "    Callback()\n"
        "    try:\n"
        "        raise ImportError('initialization failed')\n"
        "    except ImportError as error:\n"
        "        kinds = {'ImportError': ImportError, 'DeviceError': DeviceError, 'RuntimeError': RuntimeError}\n"
        "        raise kinds[sys.argv[1]]('it is not there') from error\n"
        "realtime.commands.devices.devices = work\n"
        "main(['devices'])\n"
    )
    done = swallowing(script, becomes)
    assert (done.returncode, done.stderr) == (130, "voxcam: stopped\n")


def test_an_impatient_second_one_does_not_cut_the_end_short() -> None:
    script = (
        "import realtime.commands.devices\n"
        "def work():\n"
        "    try:\n"
        "        Callback()\n"
        "        time.sleep(600)\n"
        "    finally:\n"
        "        interrupt()\n"
        "        print('put back')\n"
        "realtime.commands.devices.devices = work\n"
        "main(['devices'])\n"
    )
    done = swallowing(script)
    assert done.returncode == 130
    assert "put back" in done.stdout
    assert done.stderr == "voxcam: stopped\n"


def test_a_reader_of_pictures_that_stands_still_holds_up_no_end(tmp_path: Path) -> None:
    minute = tmp_path / "minute.wav"
    soundfile.write(minute, np.zeros(16_000 * 60, np.float32), 16_000)
    options = ["--source", str(minute), "--camera", "none", "--camera-size", "320x240", "--raw"]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.rigs.loud_voxcam", "live", "--portrait", "any", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # a buffer has a lock
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as live:
        assert live.stdout is not None
        live.stdout.read(320 * 240 * 3)
        time.sleep(1.0)  # by now the pipe is full
        live.send_signal(signal.SIGTERM)
        try:
            assert live.wait(20) == 0
        finally:
            live.kill()
        assert live.stderr is not None
        assert b"pictures in" in live.stderr.read()


def test_the_end_does_not_wait_for_libraries_to_unload(tmp_path: Path) -> None:
    """The program's own end, after which nothing of Python runs: exit code and all output are kept."""
    script = (
        "import realtime.cli, atexit, sys\n"
        "class Slow:\n"
        "    def __del__(self): print('unloaded', file=sys.stderr)\n"
        "slow = Slow()\n"
        "slow.itself = slow\n"
        "atexit.register(lambda: print('at exit'))\n"
        "realtime.cli.main = lambda: (print('out' * 50_000), sys.exit(7))\n"
        "from realtime.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 7
    assert done.stdout == "out" * 50_000 + "\nat exit\n"
    assert done.stderr == ""


def wait_for(child: int, terminal: int, seen: Callable[[], bool]) -> None:
    """Read what a program shows until something has been seen."""
    end = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < end
        if select.select([terminal], [], [], 0.1)[0]:
            with suppress(OSError):  # it has ended, as is told below
                os.read(terminal, 65_536)
        assert os.waitpid(child, os.WNOHANG) == (0, 0)


HANGS = """
import ctypes, os, sys, threading, time
import realtime.commands.devices
from realtime.cli import main
from realtime.interrupts import interrupts
from realtime.pictures.kept_file import uninterrupted

libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)

def say(word):  # at once: an unbuffered print writes the line's end by itself, and two threads' words are mixed
    os.write(1, word.encode() + b"\\n")

def hang():
    say("hangs")
    libc.pthread_mutex_lock(mutex)  # as a library that waits for an answer: no signal ends it

"""


def stopped_while_it_hangs(script: str, *signals: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Run a script as a command, and send the signals once it has said "hangs", the next ones after a word each."""
    work = "def begin():\n    interrupts.impatient = True\n    work()\n"
    script = HANGS + script + work + "realtime.commands.devices.devices = begin\nmain(['devices'])\n"
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        try:
            assert program.stdout is not None
            for number in signals:
                program.stdout.readline()
                time.sleep(0.3)  # by now it does
                program.send_signal(number)
            out, err = program.communicate(timeout=60)
        finally:
            program.kill()
    return subprocess.CompletedProcess(script, program.returncode, out, err)


@pytest.mark.skipif(sys.platform == "win32", reason="no such libc there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_library_that_hangs_in_the_main_thread_is_left(number: signal.Signals) -> None:
    """A recording is finished first, however long that takes; what should be put back, but hangs as well, is left."""
    script = (
        "import signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "def work():\n"
        "    interrupts.to_put_back += [hang, lambda: say('put back')]\n"
        "    interrupts.to_finish.append(lambda: (time.sleep(1.5), say('finished')))\n"
        "    interrupts.terminal.append(lambda: say('terminal'))\n"
        "    hang()\n"
    )
    done = stopped_while_it_hangs(script, number)
    assert (done.returncode, done.stderr) == (130, "voxcam: stopped\n")
    assert done.stdout.splitlines()[0] == "finished"
    assert {"terminal", "put back"} <= set(done.stdout.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="no such libc there")
@pytest.mark.parametrize(
    "work",
    [
        "    with uninterrupted():\n        hang()\n        say('kept')\n",  # a file is being finished
        # Nothing that may hang is in use: a step of training takes seconds, and its checkpoint is written after it.
        "    interrupts.impatient = False\n    try:\n        hang()\n    finally:\n        say('kept')\n",
    ],
)
def test_what_must_not_be_cut_short_is_waited_for(work: str) -> None:
    script = (
        "import realtime.interrupts\n"
        "realtime.interrupts.SEEN_NS //= 10\n"
        "def work():\n"
        "    threading.Timer(1.5, libc.pthread_mutex_unlock, [mutex]).start()\n"
    )
    done = stopped_while_it_hangs(script + work, signal.SIGINT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "kept\n", "voxcam: stopped\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no such libc there")
def test_a_further_one_ends_an_end_that_takes_for_ever() -> None:
    """An end that waits in Python hears every signal, and may still never come."""
    script = (
        "import realtime.interrupts\n"
        "realtime.interrupts.DEAF_NS //= 10\n"
        "def work():\n"
        "    say('hangs')\n"
        "    while True:\n"
        "        try:\n"
        "            time.sleep(600)\n"
        "        except KeyboardInterrupt:\n"
        "            time.sleep(0.5)\n"
        "            say('closes')\n"
    )
    done = stopped_while_it_hangs(script, signal.SIGINT, signal.SIGINT)
    assert (done.returncode, done.stderr) == (130, "voxcam: stopped\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no such libc there")
def test_a_child_that_is_ended_does_not_end_the_program() -> None:
    """What a forked child is sent reaches the descriptor that it has in common with us."""
    script = (
        "import signal, warnings, realtime.interrupts\n"
        "warnings.simplefilter('ignore', DeprecationWarning)  # of a fork beside a thread: that is what is tried\n"
        "realtime.interrupts.SEEN_NS //= 10\n"
        "def work():\n"
        "    ready, child_is_ready = os.pipe()\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        try:\n"
        "            say('hangs')\n"
        "            os.write(child_is_ready, b'x')\n"
        "            libc.pthread_mutex_lock(mutex)\n"
        "        finally:\n"
        "            os._exit(0)\n"
        "    os.read(ready, 1)\n"
        "    threading.Timer(0.5, os.kill, [child, signal.SIGTERM]).start()\n"
        "    threading.Timer(1.5, libc.pthread_mutex_unlock, [mutex]).start()\n"
        "    libc.pthread_mutex_lock(mutex)\n"
        "    os.kill(child, signal.SIGKILL)\n"
        "    say('goes on')\n"
    )
    done = stopped_while_it_hangs(script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hangs\ngoes on\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="no such libc there")
@pytest.mark.parametrize("at", ["LiveSession.poll", "FileSource.close"])
def test_a_recording_is_finished_before_what_may_hang(at: str, tmp_path: Path) -> None:
    minute, out = tmp_path / "minute.wav", tmp_path / "videos" / "call.mp4"
    soundfile.write(minute, np.zeros(16_000 * 60, np.float32), 16_000)
    out.parent.mkdir()
    script = (
        "from realtime.commands.live_session import LiveSession\n"
        "from realtime.audio.sources import FileSource\n"
        "import tests.rigs.loud_voxcam as loud, realtime.engines_in_use, realtime.faces\n"
        "realtime.engines_in_use.open_engines = loud.open_loud_engines\n"
        "realtime.faces.load_portrait = loud.load_grey_portrait\n"
        f"{at} = lambda self: (isinstance(self, FileSource) or self.pipeline.meters.pictures > 20) and hang()\n"
        "main(['live', '--portrait', 'any', '--camera', 'none', '--camera-size', '320x240', *sys.argv[1:]])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", HANGS + script, "--source", str(minute), "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            assert program.stdout is not None
            assert program.stderr is not None
            if at == "FileSource.close":
                assert "live: " in program.stderr.readline()
                time.sleep(2.0)
                program.send_signal(signal.SIGINT)  # it is seen; what closes afterwards hangs
            while program.stdout.readline() not in ("hangs\n", ""):
                continue
            time.sleep(0.3)
            if at == "FileSource.close":
                assert list(out.parent.iterdir()) == [out]
            program.send_signal(signal.SIGINT)
            _, err = program.communicate(timeout=60)
        finally:
            program.kill()
    assert program.returncode == 130
    assert err.endswith("voxcam: stopped\n")
    assert list(out.parent.iterdir()) == [out]
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) > 5


@pytest.fixture
def frozen_rig(tmp_path: Path) -> Iterator[tuple[SoundRig, Callable[[], None]]]:
    """A sound server of its own, and what stops it as it is: it takes what is asked, and says nothing."""
    if missing := SoundRig.missing():
        pytest.skip(missing)
    rig = SoundRig(tmp_path / "sound")
    rig.start()
    assert rig._server is not None
    try:
        yield rig, lambda: rig._server.send_signal(signal.SIGSTOP)
    finally:
        rig._server.send_signal(signal.SIGCONT)
        rig.stop()


@pytest.mark.device
@pytest.mark.parametrize("lost", [False, True])  # has live found out, and looks for the microphone in vain?
def test_a_sound_server_that_hangs_holds_up_no_end(
    frozen_rig: tuple[SoundRig, Callable[[], None]], lost: bool, tmp_path: Path
) -> None:
    (rig, freeze), out = frozen_rig, tmp_path / "videos" / "call.mp4"
    out.parent.mkdir()
    with start(rig.env, "--camera", "none", "--make-cable", "--out", str(out)) as live:
        try:
            assert live.stderr is not None
            assert any("live: " in line for line in live.stderr)
            time.sleep(2.0)
            freeze()
            if lost:
                assert any("the microphone is lost" in line for line in live.stderr)
                time.sleep(1.5)
            live.send_signal(signal.SIGINT)
            told, _ = live.communicate(timeout=30)
        finally:
            live.kill()
    assert live.returncode == 0
    assert "pictures in" in told
    assert list(out.parent.iterdir()) == [out]
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) > 5


@pytest.mark.device
@pytest.mark.parametrize("options", [[], ["--microphone", "pyaudio:default"]])
def test_a_sound_server_that_hangs_at_the_start_is_told(
    frozen_rig: tuple[SoundRig, Callable[[], None]], options: list[str]
) -> None:
    if options:
        pytest.importorskip("pyaudio")
    rig, freeze = frozen_rig
    freeze()
    for stops in (False, True):
        with start(rig.env, "--camera", "none", *options) as live:
            try:
                if stops:
                    time.sleep(2.5)
                    live.send_signal(signal.SIGTERM)
                _, err = live.communicate(timeout=60)
            finally:
                live.kill()
        assert live.returncode == (130 if stops else 1)
        assert ("voxcam: stopped" if stops else "the sound server does not answer: ") in err


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP there")
def test_a_hangup_by_hand_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    """`kill -HUP` from another one: this one lives on, with echo, lines and a cursor."""
    minute = tmp_path / "minute.wav"
    soundfile.write(minute, np.zeros(16_000 * 60, np.float32), 16_000)
    options = ["--source", str(minute), "--camera", "none", "--camera-size", "320x240"]
    keyboard, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    child = os.fork()
    if child == 0:
        os.setsid()
        own = os.open(os.ttyname(terminal), os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(own, number)
        os.chdir(ROOT)
        os.environ["TERM"] = "xterm"
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-m", "realtime", "live", "--portrait", PORTRAIT, *options])
    shown = b""
    try:
        end = time.monotonic() + 60
        while b"q quit" not in shown and time.monotonic() < end:
            if select.select([keyboard], [], [], 0.1)[0]:
                shown += os.read(keyboard, 65_536)
        assert not termios.tcgetattr(terminal)[3] & termios.ECHO
        os.kill(child, signal.SIGHUP)
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            assert time.monotonic() < end
            if select.select([keyboard], [], [], 0.1)[0]:
                shown += os.read(keyboard, 65_536)
        child = 0
        assert termios.tcgetattr(terminal) == before
        while select.select([keyboard], [], [], 0)[0]:
            shown += os.read(keyboard, 65_536)
        assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(keyboard)
        os.close(terminal)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP there")
def test_a_closed_terminal_ends_it_with_a_recording_that_plays(tmp_path: Path) -> None:
    minute, out = tmp_path / "minute.wav", tmp_path / "call.mp4"
    soundfile.write(minute, np.zeros(16_000 * 60, np.float32), 16_000)
    options = ["--source", str(minute), "--camera", "none", "--camera-size", "320x240", "--out", str(out)]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ["TERM"] = "xterm"
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests by nohup ignores it
        os.execv(sys.executable, [sys.executable, "-m", "realtime", "live", "--portrait", PORTRAIT, *options])
    ended, status = 0, 0
    try:
        wait_for(child, terminal, lambda: any(path.stat().st_size > 20_000 for path in tmp_path.glob("*.part.mp4")))
        os.close(terminal)
        end = time.monotonic() + 20
        while not ended and time.monotonic() < end:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.02)
    finally:
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert ended
    assert os.waitstatus_to_exitcode(status) in (0, 130)
    assert sorted(tmp_path.iterdir()) == [out, minute]
    with av.open(str(out)) as video:
        assert sum(1 for _ in video.decode(video=0)) > 5


HANGS_UP = """
import os, signal, sys
import realtime.commands.devices
from realtime.cli import main
from realtime.interrupts import interrupts
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))
def work():
    os.kill(os.getpid(), signal.SIGHUP)
    print("goes on")
realtime.commands.devices.devices = work
main(["devices"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP there")
@pytest.mark.parametrize(("before", "code"), [("SIG_IGN", 0), ("SIG_DFL", 130)])
def test_a_hangup_is_heeded_unless_nohup_ignores_it(before: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS_UP, before], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == ("goes on\n" if before == "SIG_IGN" else "")


def test_all_that_leads_to_a_dead_terminal_leads_nowhere() -> None:
    """Also copies that are put back later: the view keeps one."""
    keyboard, terminal = pty.openpty()
    copy, other = os.dup(terminal), os.open(os.devnull, os.O_RDONLY)
    device, before = os.fstat(terminal).st_rdev, os.fstat(other)
    os.close(keyboard)
    try:
        with pytest.raises(OSError):  # noqa: PT011 - errno 5
            os.write(copy, b"x")
        _lead_nowhere({device})
        assert os.write(copy, b"x") == os.write(terminal, b"x") == 1
        assert os.fstat(other) == before
    finally:
        for number in (terminal, copy, other):
            os.close(number)
