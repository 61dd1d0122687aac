"""Texts become unit vectors: the bundled model by default, any sentence-transformers model by setting."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assistant.chunking import MAX_TOKENS, Chunk
from assistant.documents import clean_line
from assistant.errors import UserError
from assistant.late_interaction import NO_TOKENS, TOKEN_DIM, TokenVectors
from assistant.sentences import Span
from assistant.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]
SentenceVectors = NDArray[np.int8]

BUNDLED = "all-MiniLM-L6-v2"
_PROBE = "The quick brown fox jumps over the lazy dog."


class Embedded(NamedTuple):
    """The vectors of one chunk: its own `(dim,)`, one for each of its sentences `(sentences, dim)`, and its tokens'."""

    vector: Vectors
    sentences: SentenceVectors
    tokens: TokenVectors


class EmbeddedQuestion(NamedTuple):
    """The vectors of one question: its own `(dim,)`, its tokens' `(tokens, TOKEN_DIM)`, and their spans of characters."""

    vector: Vectors
    tokens: Vectors
    spans: tuple[Span, ...]


class Embedder(ABC):
    """Embeds chunks and questions as unit vectors, so that the dot product is the cosine.

    `tokenizer` counts tokens (no padding, no truncation). `fingerprint` tells which model made a
    vector: vectors of different fingerprints must never meet in one index.
    """

    name: str
    max_tokens: int
    tokenizer: "Tokenizer"

    def __init__(self, identity: str) -> None:
        probe = self.embed([_PROBE])[0]
        self.dim = len(probe)
        # Machines round differently: one decimal still tells models with swapped weights apart.
        signature = " ".join(f"{value:.1f}" for value in np.sort(probe * 5)[:: max(self.dim // 16, 1)] + 0.0)
        self.fingerprint = hashlib.sha256(f"{identity} {self.dim} {signature}".encode()).hexdigest()[:16]

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors `(len(texts), dim)` of questions or statements; beyond `max_tokens` nothing is read."""

    def embed_question(self, text: str) -> EmbeddedQuestion:
        """Return the vectors of a question; a model whose token vectors aren't used has none."""
        return EmbeddedQuestion(self.embed([text])[0], np.empty((0, TOKEN_DIM), np.float32), ())

    @abstractmethod
    def embed_chunks(self, chunks: Sequence[Chunk]) -> list[Embedded]:
        """Return the vectors of chunks (read with their title and heading) and of their sentences."""


def load_embedder(settings: Settings, report: Callable[[str], None] = lambda line: None) -> Embedder:
    """Load the model that the settings name; `report` is called with a line before anything slow.

    Raises `UserError` when the model is missing, damaged or unknown.
    """
    if settings.embedding_model == BUNDLED:
        try:
            from assistant.bundled_embedding import BundledEmbedder

            return BundledEmbedder(settings.data, settings.threads, report)
        except (MemoryError, ImportError, OSError, RuntimeError) as error:
            why = clean_line(str(error), 200) or "there is too little memory"
            raise UserError(f"The embedding model can't be loaded ({why}): free some memory or disk, or install again.") from error
    report(f"Loading the embedding model {settings.embedding_model}…")
    return SentenceTransformerEmbedder(settings.embedding_model)


class SentenceTransformerEmbedder(Embedder):
    """Any model of sentence-transformers, on whatever device it finds; sentences are embedded apart."""

    def __init__(self, name: str) -> None:
        from sentence_transformers import SentenceTransformer

        try:
            self._model = SentenceTransformer(name)
        except Exception as error:  # the library raises whatever its many loaders raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"The embedding model {name!r} can't be loaded ({reason}): set ASSISTANT_EMBEDDING_MODEL to a folder that holds one, "
                "or to a name on the Hugging Face Hub that this machine can reach."
            ) from None
        self.name = name
        self.max_tokens = min(int(self._model.max_seq_length or MAX_TOKENS), MAX_TOKENS)
        tokenizer = getattr(self._model.tokenizer, "backend_tokenizer", None)
        if tokenizer is None:
            raise UserError(f"The embedding model {name!r} has no fast tokenizer: choose another.")
        self.tokenizer = unbounded(tokenizer.to_str())
        super().__init__(f"{name} {_weights_digest(Path(name))}")

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = self._model.encode_query(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def embed_chunks(self, chunks: Sequence[Chunk]) -> list[Embedded]:
        texts = [chunk.prefix + chunk.text for chunk in chunks]
        texts += [chunk.text[start:end] for chunk in chunks for start, end in chunk.sentences]
        encoded = self._model.encode_document(texts, normalize_embeddings=True, show_progress_bar=False)
        vectors = np.asarray(encoded, dtype=np.float32)
        results = []
        first = len(chunks)
        for row, chunk in enumerate(chunks):
            last = first + len(chunk.sentences)
            results.append(Embedded(vectors[row], quantise(vectors[first:last]), NO_TOKENS))
            first = last
        return results


def _weights_digest(folder: Path) -> str:
    """Return a digest of a local model's weights, so that changed weights under one path are noticed."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def unbounded(tokenizer_json: str) -> "Tokenizer":
    """Return the tokenizer of `tokenizer_json` without its padding and truncation."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def unit(vectors: Vectors) -> Vectors:
    """Return `vectors` with every row scaled to length 1; rows of zeros stay so."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), dtype=np.float32)


def quantise(vectors: Vectors) -> SentenceVectors:
    """Return unit vectors as int8, 127 times the value: a quarter of the room, cosines change by about 0.002."""
    return np.clip(np.rint(vectors * 127), -127, 127).astype(np.int8)
