"""Stored vectors as bytes, and whether they can be what a model gave."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from assistant.late_interaction import NO_TOKENS

_TOLERANCE = 1e-3  # of the length 1
_MOST = 4_000_000  # bytes; the sentences of a chunk of 256 tokens have far fewer


class VectorRow(NamedTuple):
    """The vectors of one chunk as the catalogue stores them, by key (64 hexadecimal digits)."""

    key: str
    vector: bytes
    sentences: bytes
    tokens: bytes


def dimension(lengths: Iterable[int]) -> int:
    """Return how many numbers most vectors have whose `lengths` in bytes are given; 0 when there are none."""
    counted = Counter(lengths).most_common(1)
    return counted[0][0] // 4 if counted else 0


def is_unit(vector: bytes, dim: int) -> bool:
    """Whether `vector` holds `dim` finite numbers and has length 1."""
    if len(vector) != 4 * dim:
        return False
    numbers = np.frombuffer(vector, "<f4")
    with np.errstate(all="ignore"):  # damaged bytes may be any number
        return bool(abs(float(np.sqrt(np.sum(numbers.astype(np.float64) ** 2))) - 1) < _TOLERANCE)


def is_sound(row: VectorRow, dim: int) -> bool:
    """Whether a row can be used with a model of `dim` dimensions."""
    return (
        len(row.key) == 64
        and is_unit(row.vector, dim)
        and len(row.sentences) % dim == 0
        and len(row.tokens) % NO_TOKENS.shape[1] == 0
        and max(len(row.sentences), len(row.tokens)) <= _MOST
    )
