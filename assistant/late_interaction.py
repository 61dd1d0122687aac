"""Late interaction: a question's token vectors against a passage's, kept small enough to be stored for every chunk.

Each token of the question looks for its nearest token in the passage, and the passage scores their weighted sum
(MaxSim of ColBERT, arXiv 2004.12832), here with the token vectors of a model that was trained to pool them.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

TOKEN_DIM = 96  # of 384, the principal axes; with 64 nDCG@10 is 0.003 lower over five sets, with 32 it is 0.005
_LEVELS = 7  # four bits: -7 to 7. Against eight bits nDCG@10 stays the same within 0.001.

Floats = NDArray[np.float32]
TokenVectors = NDArray[np.uint8]  # `(tokens, TOKEN_DIM // 2)`: two values of four bits a byte
NO_TOKENS: TokenVectors = np.empty((0, TOKEN_DIM // 2), np.uint8)


@cache
def _basis() -> Floats:
    """The principal axes `(384, TOKEN_DIM)` of token vectors, made by tests/tools/make_token_basis.py."""
    with (resources.files("assistant") / "token_basis.npy").open("rb") as file:
        return np.ascontiguousarray(np.load(file, allow_pickle=False).astype(np.float32).T)


def basis_digest() -> str:
    """Return what tells which axes the stored vectors were made with."""
    return hashlib.sha256(_basis().tobytes()).hexdigest()[:12]


def project(tokens: Floats) -> Floats:
    """Return token vectors `(n, 384)` of all-MiniLM-L6-v2 as unit vectors `(n, TOKEN_DIM)`."""
    reduced = tokens @ _basis()
    return np.asarray(reduced / np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-9), np.float32)


def pack(vectors: Floats) -> TokenVectors:
    """Return `(n, TOKEN_DIM)` in four bits a value; each vector's length is lost, which cosines don't need."""
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True, initial=0.0), 1e-9)
    levels = (np.rint(vectors / scale * _LEVELS) + 8).astype(np.uint8)
    return np.asarray(levels[:, 0::2] << 4 | levels[:, 1::2], np.uint8)


def unpack(packed: TokenVectors) -> Floats:
    """Return what `pack` stored, as unit vectors `(n, TOKEN_DIM)`."""
    vectors = np.empty((len(packed), 2 * packed.shape[1]), np.float32)
    vectors[:, 0::2] = packed >> 4
    vectors[:, 1::2] = packed & 15
    vectors -= 8
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def max_sim(question: Floats, weights: Floats, passages: Sequence[TokenVectors]) -> Floats:
    """Return for each passage the weighted sum over the question's tokens of the cosine to the passage's nearest token.

    `question` is `(n, TOKEN_DIM)`, `weights` `(n,)`. A passage without tokens scores 0.
    """
    scores = np.zeros(len(passages), np.float32)
    sizes = np.array([len(passage) for passage in passages])
    filled = np.flatnonzero(sizes)
    if not len(filled) or not len(question):
        return scores
    cosines = unpack(np.concatenate(passages)) @ question.T
    starts = np.concatenate([[0], np.cumsum(sizes[filled])[:-1]])
    scores[filled] = np.maximum.reduceat(cosines, starts, axis=0) @ weights
    return scores
