"""Motion to other faces: ARKit weights and the head's rotation over VMC, an OSC protocol that 3D avatars listen to.

    with OscSender("192.168.1.7:39539") as sender:
        sender.send(motion)                      # (26,), any number of times a second

Protocol: https://protocol.vmc.info/english (Virtual Motion Capture). A send is a few datagrams below 1,400 bytes, so
that none is torn on its way; each ends in whole messages. They are laid out once and only their numbers are written.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable
from types import TracebackType

import numpy as np

from engines.errors import ConfigError
from engines.motion.arkit import ARKIT, arkit_weights, head_quaternion

DATAGRAM_BYTES = 1_400
EXAMPLE = "write --osc 127.0.0.1:39539"


class OscSender:
    """A UDP sender. Nothing is heard back: `sent` counts datagrams, `failed` those that the network refused."""

    def __init__(self, target: str) -> None:
        """target: HOST:PORT, [IPV6]:PORT; ConfigError where it is neither or the host has no address."""
        host, port = parse_target(target)
        try:
            from pythonosc.osc_message_builder import OscMessageBuilder
        except ModuleNotFoundError as error:
            raise ConfigError("--osc needs python-osc", 'pip install "voxcam[osc]"') from error
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"the OSC host {host!r} has no address ({error})", EXAMPLE) from error
        self.address = found[4]
        self.sent = self.failed = 0
        self.tell: Callable[[str], None] | None = None  # hears once that the network refuses them
        self._target = target.strip()

        def message(address: str, *values: str | float | int) -> bytes:
            builder = OscMessageBuilder(address)
            for value in values:
                builder.add_arg(value, "f" if isinstance(value, float) else None)
            return bytes(builder.build().dgram)

        # A float lies at the end of its message: remember where, to write it in place.
        messages = [(message("/VMC/Ext/Blend/Val", name, 0.0), 1) for name in ARKIT]
        messages.append((message("/VMC/Ext/Blend/Apply"), 0))
        messages.append((message("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0), 4))
        messages.append((message("/VMC/Ext/OK", 1), 0))
        self._datagrams: list[bytearray] = []
        self._floats: list[tuple[bytearray, int, int]] = []  # datagram, offset, count
        for content, floats in messages:
            if not self._datagrams or len(self._datagrams[-1]) + 4 + len(content) > DATAGRAM_BYTES:
                self._datagrams.append(bytearray(b"#bundle\0" + struct.pack(">Q", 1)))  # time tag 1: at once
            datagram = self._datagrams[-1]
            datagram += struct.pack(">i", len(content)) + content
            if floats:
                self._floats.append((datagram, len(datagram) - 4 * floats, floats))
        self._socket = socket.socket(*found[:3])
        self._socket.setblocking(False)

    def __enter__(self) -> OscSender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, motion: np.ndarray) -> None:
        """One motion code (26,) as it is now. Never waits and never raises for the network's sake."""
        values = [*arkit_weights(motion).tolist(), *head_quaternion(motion).tolist()]
        at = 0
        for datagram, offset, count in self._floats:
            struct.pack_into(f">{count}f", datagram, offset, *values[at : at + count])
            at += count
        for datagram in self._datagrams:
            try:
                self._socket.sendto(datagram, self.address)
                self.sent += 1
            except OSError as error:
                self.failed += 1
                if self.tell is not None and not isinstance(error, BlockingIOError):  # that is a moment's crowd
                    tell, self.tell = self.tell, None
                    tell(f"no motion goes to {self._target} ({error.strerror or error}): check --osc")


def parse_target(target: str) -> tuple[str, int]:
    """HOST:PORT -> (host, port); ConfigError where a part is missing or the port is none."""
    host, colon, port_text = target.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"OSC target {target!r} is ambiguous", "write an IPv6 address as [::1]:39539")
    if not colon or not host:
        raise ConfigError(f"OSC target {target!r} is not HOST:PORT", EXAMPLE)
    if not re.fullmatch("[0-9]{1,5}", port_text) or not 1 <= int(port_text) <= 65_535:
        raise ConfigError(f"OSC port {port_text!r} is not between 1 and 65535", EXAMPLE)
    return host, int(port_text)
