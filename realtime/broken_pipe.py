"""What a system says when nobody reads any more what is written."""

from __future__ import annotations

import sys
from errno import EINVAL


def reader_is_gone(error: Exception) -> bool:
    """Whether a pipe's reader has ended: Windows says "invalid argument" then."""
    if sys.platform == "win32" and isinstance(error, OSError) and error.errno == EINVAL:
        return error.filename is None
    return isinstance(error, BrokenPipeError)
