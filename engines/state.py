"""State: all the memory of one stream, as named arrays of fixed shape. It goes into a step and comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engines.errors import StreamError
from engines.whole_file import read_npz, write_npz


class State:
    """Named arrays of fixed shape and dtype; zeros at a stream's start.

    A state that came out of a session lives in that session's buffers: the step after it overwrites them. `copy` to
    keep one, `save` to put it on disk (npz, no pickle).
    """

    __slots__ = ("arrays",)

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays

    @classmethod
    def zeros(cls, shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype | type = np.float32) -> State:
        return cls({name: np.zeros(shape, dtype) for name, shape in shapes.items()})

    def copy(self) -> State:
        """The same values in memory of their own."""
        return State({name: np.array(array) for name, array in self.arrays.items()})

    def equal(self, other: State) -> bool:
        """True if names, shapes, dtypes and every bit pattern's value are the same (NaN equals nothing)."""
        return self.arrays.keys() == other.arrays.keys() and all(
            array.dtype == other.arrays[name].dtype and np.array_equal(array, other.arrays[name])
            for name, array in self.arrays.items()
        )

    def save(self, path: Path) -> None:
        write_npz(path, self.arrays, compressed=False)

    @classmethod
    def load(cls, path: Path) -> State:
        """Read what `save` wrote; StreamError where the file is none of ours."""
        try:
            return cls(read_npz(Path(path).read_bytes()))
        except (OSError, ValueError) as error:
            raise StreamError(f"{path} holds no stream state ({error})", "start the stream anew") from error
