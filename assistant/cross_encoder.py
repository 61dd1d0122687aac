"""The reranker: a cross-encoder of sentence-transformers that reads question and passage together, by setting."""

import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.errors import UserError
from assistant.settings import Settings

if TYPE_CHECKING:
    from assistant.retrieval import Hit

# Passages that it reads for a question: 2.6 s of processor time by six layers of 384 dimensions, 1100 characters each.
RERANKED = 20
_ADVICE = (
    "set ASSISTANT_RERANKER to the folder of a cross-encoder or its name on the Hugging Face Hub, or leave it empty to do without."
)
_PROBE = ("What jumps over the dog?", "The quick brown fox jumps over the lazy dog.")
# What the weights were trained as: of other models only the encoder would be loaded, with a head of random numbers.
_ARCHITECTURES = ("ForSequenceClassification", "ForCausalLM")


class Reranker:
    """Orders passages by a cross-encoder, named as on the Hugging Face Hub or by its folder; loaded when first needed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._model: Any = None
        self._loading = threading.Lock()

    def rerank(self, question: str, hits: Sequence["Hit"]) -> list["Hit"]:
        """Return `hits` (best first) with the first `RERANKED` ordered by the cross-encoder, the others behind them as they were.

        The score of those read becomes 0.5 to 1, the sigmoid of the model's output in the upper half; the
        others keep half of theirs, 0 to 0.5. Raises `UserError` when the model can't be loaded or used.
        """
        read, rest = hits[:RERANKED], hits[RERANKED:]
        if not read:
            return []
        outputs = self.scores(question, [hit.chunk.prefix + hit.chunk.text for hit in read])
        order = sorted(range(len(read)), key=lambda place: -outputs[place])
        best = [replace(read[place], score=0.5 + 0.5 * _sigmoid(outputs[place])) for place in order]
        return best + [replace(hit, score=0.5 * hit.score) for hit in rest]

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the model's output for (question, text) of each text, before any activation: higher is better."""
        from torch.nn import Identity

        model = self._loaded()
        try:
            outputs = model.predict([(question, text) for text in texts], activation_fn=Identity(), show_progress_bar=False)
            scores = [float(output) for output in outputs]
        except Exception as error:  # the library raises whatever the model's code raises
            raise UserError(f"The reranker {self.name!r} failed ({_reason(error)}): {_ADVICE}") from None
        if not all(math.isfinite(score) for score in scores):
            raise UserError(f"The reranker {self.name!r} failed (its output is no number): {_ADVICE}")
        return scores

    @property
    def fingerprint(self) -> str:
        """What tells which model scored: a digest of its name and its output for a fixed pair."""
        return hashlib.sha256(f"{self.name} {self.scores(_PROBE[0], [_PROBE[1]])[0]:.2f}".encode()).hexdigest()[:16]

    def _loaded(self) -> Any:
        with self._loading:
            if self._model is None:
                self._model = _load(self.name)
            return self._model


def load_reranker(settings: Settings) -> Reranker | None:
    """Return the reranker that the settings name, or None; `UserError` at once when it names a folder that isn't there."""
    name = settings.reranker
    if not name:
        return None
    path = Path(name).expanduser()
    # A name on the hub is `name` or `owner/name`; everything else can only be a path.
    if not path.exists() and (name.startswith(("/", ".", "~")) or name.count("/") > 1):
        raise UserError(f"ASSISTANT_RERANKER is {name}: there is no such folder; {_ADVICE}")
    return Reranker(str(path) if path.exists() else name)


def _load(name: str) -> Any:
    from sentence_transformers import CrossEncoder
    from transformers import AutoConfig

    local = Path(name).exists()
    try:
        trained_as = AutoConfig.from_pretrained(name, local_files_only=local).architectures or []
        if not any(kind.endswith(_ARCHITECTURES) for kind in trained_as):
            raise UserError(f"The reranker {name!r} is not a cross-encoder ({', '.join(trained_as) or 'unknown'}): {_ADVICE}")
        model = CrossEncoder(name, local_files_only=local)
    except UserError:
        raise
    except Exception as error:  # the library raises whatever its many loaders raise
        raise UserError(f"The reranker {name!r} can't be loaded ({_reason(error)}): {_ADVICE}") from None
    if model.num_labels != 1:
        raise UserError(f"The reranker {name!r} gives {model.num_labels} scores for a pair, one is needed: {_ADVICE}")
    return model


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
