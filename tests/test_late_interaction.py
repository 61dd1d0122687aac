"""Token vectors are kept in four bits, and compared as MaxSim defines it."""

from pathlib import Path

import numpy as np
import pytest

from assistant.chunking import Chunk
from assistant.embedding import load_embedder, unit
from assistant.late_interaction import NO_TOKENS, TOKEN_DIM, max_sim, pack, unpack
from assistant.settings import load_settings

DICE = np.random.default_rng(5)


def vectors(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return unit(DICE.normal(size=(count, TOKEN_DIM)).astype(np.float32))


def test_four_bits_keep_a_vector_within_a_few_degrees() -> None:
    before = vectors(200)
    packed = pack(before)
    assert packed.shape == (200, TOKEN_DIM // 2)
    assert np.sum(unpack(packed) * before, axis=1).min() > 0.98
    assert pack(np.empty((0, TOKEN_DIM), np.float32)).shape == NO_TOKENS.shape


def test_each_token_of_the_question_counts_with_its_nearest_in_the_passage() -> None:
    question, weights = vectors(4), np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    passages = [pack(vectors(7)), NO_TOKENS, pack(vectors(1)), pack(question)]
    found = max_sim(question, weights, passages)
    for score, passage in zip(found, passages, strict=True):
        best = [max((float(token @ other) for other in unpack(passage)), default=0.0) for token in question]
        assert score == pytest.approx(sum(weight * cosine for weight, cosine in zip(weights, best, strict=True)), abs=1e-5)
    assert found[1] == 0 and found[3] == max(found) > 0.99


def test_no_tokens_at_all_score_nothing() -> None:
    assert max_sim(np.empty((0, TOKEN_DIM), np.float32), np.empty(0, np.float32), [pack(vectors(3))]).tolist() == [0]
    assert max_sim(vectors(2), np.full(2, 0.5, np.float32), [NO_TOKENS, NO_TOKENS]).tolist() == [0, 0]


def test_the_bundled_model_gives_a_vector_for_each_token(models: Path) -> None:
    embedder = load_embedder(load_settings({"ASSISTANT_DATA": str(models.parent)}))
    question = "Who founded the chipmaker?"
    vector, tokens, spans = embedder.embed_question(question)
    np.testing.assert_allclose(vector, embedder.embed([question])[0], atol=1e-5)
    assert [question[start:end] for start, end in spans] == ["Who", "founded", "the", "chip", "maker", "?"]
    texts = ["The chipmaker was founded by Ada.", "Rain fell on the harbour all week."]
    chunks = [Chunk(text, "d", "", 0, len(text), text, "", None, ((0, len(text)),)) for text in texts]
    passages = [item.tokens for item in embedder.embed_chunks(chunks)]
    assert [len(passage) for passage in passages] == [len(embedder.tokenizer.encode(text).ids) for text in texts]
    near, far = max_sim(tokens, np.full(len(tokens), 1 / len(tokens), np.float32), passages)
    assert near > far + 0.1
