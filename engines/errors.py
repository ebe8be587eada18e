"""What can go wrong, in words: every error says what is wrong and what to do about it.

Exit codes of every command: 0 done; 1 it failed: a damaged file, a missing device, a full disk; 2 wrong use: an option,
a value or a path that cannot be, so that the command line has to be changed; 130 stopped by the user. The class tells
which.
"""

from __future__ import annotations


def one_line(error: object) -> str:
    """What another library says, on one line of 300 characters at most."""
    return " ".join(str(error).split())[:300]


class VoxcamError(Exception):
    """A failure that the user can act on. `fix` is the next thing to type or do; `exit_code` ends the command."""

    exit_code = 1

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}: {self.fix}" if self.fix else self.what


class ConfigError(VoxcamError):
    """Wrong use: an option, a configuration key or a value that cannot be."""

    exit_code = 2


class InputError(VoxcamError):
    """A photo or a sound that cannot be used."""


class CutOff(InputError):
    """A face that the picture's edge cuts off."""


class WrongInput(InputError):
    """Wrong use: a path that was named to be read leads to nothing, or to something of another kind."""

    exit_code = 2


class OutputError(VoxcamError):
    """A file or folder that cannot be written."""


class WrongTarget(OutputError):
    """Wrong use: no such file can be written there, for its folder is missing or a folder has its name."""

    exit_code = 2


class DeviceError(VoxcamError):
    """A microphone, camera or cable that is missing, busy or lost."""


class EngineMismatch(VoxcamError):
    """An engine, card or weight file that is damaged, of another model, version or machine."""


class WrongEngine(EngineMismatch):
    """Wrong use: a card that was named is not there, or its name can't be one."""

    exit_code = 2


class StreamError(VoxcamError):
    """A stream that broke while it ran."""


class Stopped(VoxcamError):
    """The user ended it early: what was made so far is kept."""

    exit_code = 130
