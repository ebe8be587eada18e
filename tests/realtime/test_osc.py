"""VMC over OSC, heard on a real socket."""

from __future__ import annotations

import builtins
import socket

import numpy as np
import pytest

from engines.errors import ConfigError
from engines.motion.arkit import ARKIT, arkit_weights
from engines.spec import MOTION_CHANNELS
from realtime.osc import DATAGRAM_BYTES, OscSender, parse_target

pytest.importorskip("pythonosc")
from pythonosc.osc_packet import OscPacket


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(5)
        yield opened


def heard(listener: socket.socket, datagrams: int) -> list[tuple[str, list]]:
    """Messages in order, as (address, values), decoded by python-osc."""
    messages = []
    for _ in range(datagrams):
        content = listener.recv(65_536)
        assert len(content) <= DATAGRAM_BYTES
        messages += [(timed.message.address, list(timed.message.params)) for timed in OscPacket(content).messages]
    return messages


def test_all_weights_arrive_by_name_then_apply(listener):
    code = np.zeros(len(MOTION_CHANNELS), np.float32)
    code[MOTION_CHANNELS.index("jawOpen")] = 0.2
    code[MOTION_CHANNELS.index("eyeBlinkLeft")] = 0.75
    code[MOTION_CHANNELS.index("headYaw")] = 0.3
    with OscSender(f"127.0.0.1:{listener.getsockname()[1]}") as sender:
        sender.send(np.zeros(25))
        rest = heard(listener, sender.sent)
        sender.send(code)
        messages = heard(listener, sender.sent // 2)
    assert {tuple(v) for a, v in rest if a.endswith("/Val")} == {(name, 0.0) for name in ARKIT}
    values = dict(v for a, v in messages if a == "/VMC/Ext/Blend/Val")
    assert list(values) == list(ARKIT)
    assert list(values.values()) == pytest.approx(arkit_weights(code).tolist())
    assert values["eyeBlinkLeft"] == pytest.approx(0.75)
    addresses = [a for a, _ in messages]
    assert addresses.index("/VMC/Ext/Blend/Apply") > max(i for i, a in enumerate(addresses) if a.endswith("/Val"))
    [bone] = [v for a, v in messages if a == "/VMC/Ext/Bone/Pos"]
    assert bone[0] == "Head"
    assert len(bone) == 8
    assert bone[5] == pytest.approx(-np.sin(0.15), abs=1e-6)
    assert bone[7] == pytest.approx(np.cos(0.15), abs=1e-6)


def test_nobody_listening_is_no_error():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with OscSender(f"127.0.0.1:{port}") as sender:
        for _ in range(5):
            sender.send(np.zeros(25))
        assert sender.sent + sender.failed >= 5


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("localhost", "HOST:PORT"),
        (":39539", "HOST:PORT"),
        ("localhost:", "between 1 and 65535"),
        ("localhost:0", "between 1 and 65535"),
        ("localhost:70000", "between 1 and 65535"),
        ("localhost:" + "9" * 5000, "between 1 and 65535"),  # more digits than int() reads
        ("localhost:vmc", "between 1 and 65535"),
        ("localhost:٣٩", "between 1 and 65535"),
        ("::1:39539", r"\[::1\]"),
        ("no-such-host.invalid:39539", "has no address"),
        ("two words:39539", "has no address"),
        ("a" * 70 + ".invalid:39539", "has no address"),
    ],
)
def test_a_target_that_cannot_be_is_told(target, words):
    with pytest.raises(ConfigError, match=words) as caught:
        OscSender(target)
    assert caught.value.exit_code == 2


def test_targets():
    assert parse_target("[::1]:39539") == ("::1", 39539)
    assert parse_target(" avatar.local:9000 ") == ("avatar.local", 9000)


def test_without_python_osc_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("pythonosc"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match=r"voxcam\[osc\]"):
        OscSender("127.0.0.1:39539")


def test_a_network_that_refuses_is_told_once():
    told = []
    with OscSender("255.255.255.255:39539") as sender:
        sender.tell = told.append
        for _ in range(3):
            sender.send(np.zeros(len(MOTION_CHANNELS), np.float32))
    assert not sender.sent
    assert sender.failed >= 3
    assert len(told) == 1
    assert told[0].startswith("no motion goes to 255.255.255.255:39539 (")
