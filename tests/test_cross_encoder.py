"""A cross-encoder by setting, tried with a tiny real one that the test trains to prefer shared words."""

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from assistant.chunking import Chunk
from assistant.cross_encoder import RERANKED, Reranker, load_reranker
from assistant.errors import UserError
from assistant.retrieval import Hit
from assistant.settings import Settings, load_settings, stay_offline
from assistant.sync import Corpus
from eval.__main__ import main as measure
from tests.conftest import as_environment, run_python, write_documents

WORDS = [f"{first}{second}" for first in "bdfgkl" for second in ("an", "el", "in", "or", "us")]


def model_folder(path: Path, labels: int = 1) -> Path:
    """Write a BERT of two small layers and random weights, with a vocabulary of `WORDS`, as transformers does."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    path.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "#", *WORDS]
    (path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizer(vocab_file=str(path / "vocab.txt"), vocab=str(path / "vocab.txt"), model_max_length=64).save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.2,
    )
    config.num_labels = labels
    BertForSequenceClassification(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder trained to tell texts that share words with the question from texts that don't."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    path = model_folder(tmp_path_factory.mktemp("reranker") / "tiny")
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    choose = random.Random(0)
    for _ in range(300):
        questions, texts, labels = [], [], []
        for place in range(64):
            words = choose.sample(WORDS, 8)
            shared = words[:2] if place % 2 else choose.sample(words[5:], 2)
            text = [*shared, *words[2:5]]
            choose.shuffle(text)
            questions.append(" ".join(words[:2]))
            texts.append(" ".join(text))
            labels.append(float(place % 2))
        batch = tokenizer(questions, texts, padding=True, return_tensors="pt")
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(**batch).logits[:, 0], torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(path)
    return path


def outputs(path: Path, question: str, texts: Sequence[str]) -> list[float]:
    """Return the model's output for each pair, one by one, without the library that is tested."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForSequenceClassification.from_pretrained(path)
    with torch.no_grad():
        return [float(model(**tokenizer(question, text, truncation=True, return_tensors="pt")).logits[0, 0]) for text in texts]


def hits(texts: Sequence[str]) -> list[Hit]:
    """Return one hit for each text, with falling scores from 1."""
    chunks = [Chunk(str(place), "d", "", 0, len(text), text, "", None, ()) for place, text in enumerate(texts)]
    return [Hit(chunk, 1 - place / len(texts), 0, 0, 0, (), (), (chunk,), (0, chunk.end)) for place, chunk in enumerate(chunks)]


def some_texts(count: int) -> list[str]:
    choose = random.Random(1)
    return [" ".join(choose.choices(WORDS, k=choose.randint(2, 60))) for _ in range(count)]


def test_the_order_is_that_of_the_model_called_directly(trained: Path) -> None:
    question, before = "ban fel", hits(some_texts(RERANKED + 5))
    after = Reranker(str(trained)).rerank(question, before)
    direct = outputs(trained, question, [hit.chunk.text for hit in before[:RERANKED]])
    order = np.argsort(-np.array(direct), kind="stable")
    assert (
        [hit.chunk.id for hit in after[:RERANKED]] == [str(place) for place in order] != [str(place) for place in range(RERANKED)]
    )
    expected = 0.5 + 0.5 / (1 + np.exp(-np.array(direct)[order]))
    assert np.allclose([hit.score for hit in after[:RERANKED]], expected, atol=1e-4)
    # What it doesn't read stays behind, in its order.
    assert [hit.chunk.id for hit in after[RERANKED:]] == [hit.chunk.id for hit in before[RERANKED:]]
    scores = [hit.score for hit in after]
    assert scores == sorted(scores, reverse=True) and scores[-1] >= 0 and scores[0] <= 1


def test_what_shares_words_with_the_question_comes_first(trained: Path) -> None:
    texts = ["kan dor din", "lel gin kus", "gor ban fel"]
    assert Reranker(str(trained)).rerank("ban fel", hits(texts))[0].chunk.text == texts[2]


def test_nothing_to_order_needs_no_model() -> None:
    assert Reranker("/nowhere").rerank("question", []) == []


def some_corpus(options: Settings) -> Corpus:
    write_documents(options.corpus, {f"{place}.txt": f"{text}." for place, text in enumerate(some_texts(30))})
    corpus = Corpus(options)
    corpus.sync()
    return corpus


def test_search_reads_twenty_passages_with_title_and_text(settings: Callable[..., Settings], trained: Path) -> None:
    corpus = some_corpus(settings(ASSISTANT_RERANKER=str(trained)))
    assert corpus.reranker is not None
    question = "ban fel"
    fused = corpus.search(question, 30, "hybrid")
    reranked, corpus.reranker = corpus.reranker, None
    plain = corpus.search(question, 30)
    corpus.reranker = reranked
    found = corpus.search(question, 30)
    read = {hit.chunk.id: hit for hit in plain[:RERANKED]}
    direct = outputs(trained, question, [f"{hit.chunk.title}\n{hit.chunk.text}" for hit in read.values()])
    order = np.argsort(-np.array(direct), kind="stable")
    assert [hit.chunk.id for hit in found[:RERANKED]] == [list(read)[place] for place in order]
    assert [hit.chunk.id for hit in found[RERANKED:]] == [hit.chunk.id for hit in plain[RERANKED:]]
    # As many are read however few are shown, and the other modes are left alone.
    assert corpus.search(question, 2) == found[:2]
    assert corpus.search(question, 30, "hybrid") == fused
    corpus.close()


def test_off_when_not_set(settings: Callable[..., Settings]) -> None:
    options = settings()
    assert load_reranker(options) is None
    corpus = some_corpus(options)
    assert corpus.reranker is None and corpus.search("ban fel", 3)
    corpus.close()


def one_line(name: str) -> str:
    def rerank() -> None:
        reranker = load_reranker(load_settings({"ASSISTANT_RERANKER": name}))
        assert reranker is not None
        reranker.rerank("ban fel", hits(["kan dor"]))

    with pytest.raises(UserError) as caught:
        rerank()
    message = str(caught.value)
    assert name in message and "\n" not in message and message.count("ASSISTANT_RERANKER") >= 1, message
    return message


def test_what_is_no_cross_encoder_gives_one_line(tmp_path: Path, trained: Path) -> None:
    from transformers import BertConfig, BertModel

    assert "there is no such folder" in one_line("/nowhere/at/all")
    assert "there is no such folder" in one_line("./models/typo")
    assert "can't be loaded" in one_line("nobody/no-such-cross-encoder")  # the hub is closed in tests
    (tmp_path / "empty").mkdir()
    assert "can't be loaded" in one_line(str(tmp_path / "empty"))
    shutil.copytree(trained, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "can't be loaded" in one_line(str(tmp_path / "cut"))
    assert "gives 3 scores" in one_line(str(model_folder(tmp_path / "three", labels=3)))
    encoder = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64)
    shutil.copytree(trained, tmp_path / "encoder")
    BertModel(encoder).save_pretrained(tmp_path / "encoder")
    assert "is not a cross-encoder (BertModel)" in one_line(str(tmp_path / "encoder"))


def test_a_missing_folder_is_noticed_at_the_start(settings: Callable[..., Settings]) -> None:
    options = settings(ASSISTANT_RERANKER="/nowhere/at/all")
    with pytest.raises(UserError, match="ASSISTANT_RERANKER is /nowhere/at/all: there is no such folder"):
        Corpus(options)
    Corpus(settings()).close()  # the data folder isn't left locked


@pytest.mark.parametrize(
    ("env", "offline"),
    [
        ({}, "1"),
        ({"ASSISTANT_RERANKER": "here"}, "1"),
        ({"ASSISTANT_RERANKER": "cross-encoder/ms-marco-MiniLM-L6-v2"}, "0"),
        ({"ASSISTANT_RERANKER": "here", "ASSISTANT_EMBEDDING_MODEL": "intfloat/e5-small"}, "0"),
        ({"ASSISTANT_RERANKER": "a/b", "ASSISTANT_EMBEDDING_MODEL": "here"}, "0"),
        ({"ASSISTANT_RERANKER": "here", "ASSISTANT_EMBEDDING_MODEL": "here"}, "1"),
    ],
)
def test_only_a_model_named_on_the_hub_opens_the_hub(
    env: dict[str, str], offline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict[str, str]())
    stay_offline(load_settings(env))
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == offline


def test_nothing_is_loaded_before_the_first_question(trained: Path) -> None:
    code = (
        "import sys\nimport assistant.collection\nfrom assistant.cross_encoder import load_reranker\n"
        "from assistant.settings import load_settings\nassert load_reranker(load_settings())\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & sys.modules.keys()\n"
    )
    ran = run_python("-c", code, env={"ASSISTANT_RERANKER": str(trained)})
    assert ran.code == 0, ran.err


def test_an_eval_run_records_the_reranker(
    settings: Callable[..., Settings],
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = some_texts(30)
    rows = "".join(json.dumps({"_id": str(place), "text": text}) + "\n" for place, text in enumerate(texts))
    question = json.dumps({"_id": "q", "text": "ban fel"}) + "\n"
    folder = write_documents(tmp_path / "set", {"corpus.jsonl": rows, "queries.jsonl": question, "qrels/test.tsv": "q\t3\t1\n"})
    for name, value in as_environment(settings()).items():
        monkeypatch.setenv(name, value)
    runs = []
    for name, mode in (("", "full"), (str(trained), "full"), (str(trained), "hybrid")):
        monkeypatch.setenv("ASSISTANT_RERANKER", name)
        assert measure(["retrieval", "--data", str(folder), "--mode", mode]) == 0
        run = capsys.readouterr().err.split("kept as ")[1].strip()
        runs.append(json.loads(Path(run).read_text(encoding="utf-8")))
        Path(run).unlink()
    assert [run["settings"]["reranker"] for run in runs] == ["", str(trained), ""]
    assert "reranker" not in runs[0]["models"] and runs[1]["models"]["reranker"]["fingerprint"]
    ranked = [[hit["document"] for hit in run["questions"][0]["hits"]] for run in runs]
    assert ranked[0] != ranked[1]
