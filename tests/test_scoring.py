"""The scores of candidates equal what their definitions give, computed plainly, one by one."""

from dataclasses import dataclass

import numpy as np
import pytest

from assistant.catalog import Candidate
from assistant.chunking import Chunk
from assistant.embedding import quantise, unit
from assistant.lexical import chunk_terms, query_terms, terms
from assistant.scoring import Scores, score

DICE = np.random.default_rng(3)
TEXTS = [
    ("Chips", ["Advanced chips train large models.", "Export rules limit the sale of chips."]),
    ("", ["The harbour froze."]),
    ("Rules", ["Rules, rules, rules: nobody sells a chip without them.", "Models wait.", "Ships carry chips."]),
    ("Only a title about chips", []),
    ("", []),
]


@dataclass(frozen=True)
class Made:
    """A candidate with the texts it was made of."""

    candidate: Candidate
    title: str
    sentences: list[str]


def made(title: str, sentences: list[str], number: int) -> Made:
    text, spans = "", []
    for sentence in sentences:
        spans.append((len(text), len(text) + len(sentence)))
        text += sentence + " "
    chunk = Chunk(str(number), "d", title, 0, len(text), text, "", None, tuple(spans))
    vectors = unit(DICE.normal(size=(1 + len(sentences), 8)).astype(np.float32))
    return Made(Candidate(vectors[0], quantise(vectors[1:]), chunk_terms(chunk)), title, sentences)


MADE = [made(title, sentences, number) for number, (title, sentences) in enumerate(TEXTS)]
QUESTION = unit(DICE.normal(size=(1, 8)).astype(np.float32))[0]
WANTED = query_terms("Which rules limit chip models? zebra")
IDF = np.array([1.5, 0.5, 2.0, 1.0, 3.0], np.float32)[: len(WANTED)]


@pytest.fixture(scope="module")
def scores() -> Scores:
    return score(QUESTION, WANTED, IDF, [item.candidate for item in MADE])


def test_dense_and_sentence_are_cosines(scores: Scores) -> None:
    for row, item in enumerate(MADE):
        cosine = float(item.candidate.vector @ QUESTION)
        each = [float(vector @ QUESTION) / 127 for vector in item.candidate.sentences.astype(np.float32)]
        assert scores.dense[row] == pytest.approx(cosine, abs=1e-5)
        assert scores.cosines[row].tolist() == pytest.approx(each, abs=1e-5)
        assert scores.sentence[row] == pytest.approx(max(each, default=cosine), abs=1e-5)


def test_lexical_is_bm25_as_a_share_of_the_most(scores: Scores) -> None:
    words = [terms("\n".join([item.title, *item.sentences])) for item in MADE]
    mean = sum(map(len, words)) / len(words)
    for row, own in enumerate(words):
        length = 0.9 * (1 - 0.4 + 0.4 * len(own) / mean)
        parts = [weight * own.count(term) / (own.count(term) + length) for term, weight in zip(WANTED, IDF, strict=True)]
        assert scores.lexical[row] == pytest.approx(sum(parts) / IDF.sum(), abs=1e-5)
    assert scores.lexical[0] > 0 and scores.lexical[1] == 0


def test_coverage_is_the_share_of_the_terms_in_one_sentence(scores: Scores) -> None:
    for row, item in enumerate(MADE):
        shares = [
            sum(weight for term, weight in zip(WANTED, IDF, strict=True) if term in terms(sentence)) / IDF.sum()
            for sentence in item.sentences
        ]
        assert scores.shares[row].tolist() == pytest.approx(shares, abs=1e-5)
        assert scores.coverage[row] == pytest.approx(max(shares, default=0.0), abs=1e-5)
    assert scores.coverage[3] == 0 < scores.lexical[3], "a title is no sentence, but it counts"


def test_a_question_without_terms_has_no_lexical_scores() -> None:
    nothing = score(QUESTION, [], np.empty(0, np.float32), [item.candidate for item in MADE])
    assert not nothing.lexical.any() and not nothing.coverage.any()
    assert [len(shares) for shares in nothing.shares] == [len(item.sentences) for item in MADE]
