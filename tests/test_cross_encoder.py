"""A cross-encoder by setting, tried with a tiny real one that the test trains to prefer shared words."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.chunking import Chunk
from assistant.cross_encoder import RERANKED, Reranker, load_reranker
from assistant.errors import UserError
from assistant.retrieval import Hit
from assistant.settings import Settings, load_settings
from assistant.sync import Corpus
from tests.conftest import ROOT, clean_environment, write_documents

WORDS = [f"{first}{second}" for first in "bdfgklmnprst" for second in ("an", "el", "in", "or", "us")]


def model_folder(path: Path, labels: int = 1) -> Path:
    """Write a BERT of two small layers and random weights, with a vocabulary of `WORDS`, as transformers does."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    path.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "#", *WORDS]
    (path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(vocab_file=str(path / "vocab.txt"), vocab=str(path / "vocab.txt"), model_max_length=64).save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=labels,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
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
    for _ in range(STEPS):
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
    print("loss", float(loss))
    model.save_pretrained(path)
    return path


STEPS = 300
