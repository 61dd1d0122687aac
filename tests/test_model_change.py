"""Another embedding model, or another way to cut texts: the old index answers until the new one is ready, nothing is mixed or lost."""

import shutil
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from assistant import chunking, lexical, renewal
from assistant.chunking import Chunk
from assistant.embedding import Embedded, Embedder, SentenceTransformerEmbedder
from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import MakeSettings, write_documents

WORDS = [
    *("bees", "dance", "flowers", "honey", "moon", "sea", "tides", "spring", "bread", "flour"),
    *("yeast", "salt", "tea", "hills", "leaves", "hand", "river", "bridge", "stone", "arch"),
]
TEXTS = {
    f"{first}.md": f"# {first.title()}\n\nThe {first} and the {second}. All about {first}."
    for first, second in zip(WORDS[::2], WORDS[1::2], strict=True)
}


def make_model(folder: Path, seed: int, dim: int = 384) -> Path:
    """Write a real sentence-transformers model of one layer with random weights into `folder`."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    shutil.rmtree(folder, ignore_errors=True)
    parts = folder.with_name(f"{folder.name}-parts")
    parts.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "#", "the", "and", "all", "about", *WORDS]
    (parts / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizer(vocab_file=str(parts / "vocab.txt"), vocab=str(parts / "vocab.txt"), model_max_length=128).save_pretrained(parts)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=dim,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(parts)
    SentenceTransformer(modules=[Transformer(str(parts)), Pooling(dim)]).save(str(folder))
    shutil.rmtree(parts)
    return folder


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have few documents embedded together, so that there is something to interrupt."""
    monkeypatch.setattr(renewal, "_TOGETHER", 100)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, seed, dim in (("first", 0, 384), ("second", 1, 384), ("small", 2, 32)):
        make_model(folder / name, seed, dim)
    return folder


@pytest.fixture
def first(settings: MakeSettings, made: Path, tmp_path: Path) -> Settings:
    """Settings with a model of the test's own, with which all documents are indexed."""
    shutil.copytree(made / "first", tmp_path / "model")
    options = settings(ASSISTANT_EMBEDDING_MODEL=str(tmp_path / "model"))
    write_documents(options.corpus, TEXTS)
    with closing(Corpus(options)) as corpus:
        assert corpus.sync().failed == []
    return options


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The documents of chunks as they are embedded."""
    seen: list[str] = []
    real = SentenceTransformerEmbedder.embed_chunks

    def counted(self: Embedder, chunks: Sequence[Chunk]) -> list[Embedded]:
        seen.extend(chunk.document_id for chunk in chunks)
        return real(self, chunks)  # type: ignore[arg-type]

    monkeypatch.setattr(SentenceTransformerEmbedder, "embed_chunks", counted)
    return seen


def found(corpus: Corpus, query: str) -> list[tuple[str, float]]:
    return [(hit.chunk.document_id, round(hit.score, 4)) for hit in corpus.search(query, 5)]


def agrees(corpus: Corpus) -> bool:
    """Whether each stored vector is what the model in force makes of its chunk, and no other is stored."""
    ids = corpus.catalog.chunk_ids()
    chunks, vectors = corpus.catalog.chunks(ids), corpus.catalog.vectors(ids)
    fresh = corpus.embedder.embed_chunks(chunks)
    stored = corpus.catalog.query("SELECT count(*) FROM vectors")[0][0]
    same = all(np.allclose(vectors[chunk.id], item.vector, atol=1e-4) for chunk, item in zip(chunks, fresh, strict=True))
    return same and stored == len({*(row[0] for row in corpus.catalog.query("SELECT vector_key FROM chunks"))})


@pytest.mark.parametrize("other", ["second", "small"])
def test_the_old_model_answers_until_all_is_embedded_anew_and_an_interruption_loses_nothing(
    first: Settings, settings: MakeSettings, made: Path, embedded: list[str], other: str
) -> None:
    with closing(Corpus(first)) as corpus:
        before = found(corpus, "bees and flowers")
    changed = settings(ASSISTANT_EMBEDDING_MODEL=str(made / other))
    stop = threading.Event()
    with closing(Corpus(changed)) as corpus:
        assert "embedded anew" in corpus.notice or "searched as before" in corpus.notice
        assert corpus.embedder.name == first.embedding_model and found(corpus, "bees and flowers") == before
        assert not corpus.renew(lambda done, total, id: stop.set(), stop)
        assert 0 < len(embedded) < len(TEXTS)
        assert corpus.embedder.name == first.embedding_model and found(corpus, "bees and flowers") == before
    with closing(Corpus(changed)) as corpus:
        assert corpus.sync().problem == ""
        assert sorted(embedded) == sorted(TEXTS)  # none twice
        assert corpus.notice == "" and corpus.embedder.name == str(made / other)
        assert corpus.index.check() and agrees(corpus)
        assert len(list((changed.data / "index").iterdir())) == 1
        assert len(found(corpus, "bees and flowers")) == 5
    embedded.clear()
    with closing(Corpus(changed)) as corpus:
        assert (corpus.sync().unchanged, embedded, corpus.notice) == (len(TEXTS), [], "")


def test_searches_go_on_in_other_threads_while_the_models_change(first: Settings, settings: MakeSettings, made: Path) -> None:
    with closing(Corpus(settings(ASSISTANT_EMBEDDING_MODEL=str(made / "small")))) as corpus:
        done, errors, counts = threading.Event(), list[BaseException](), list[int]()

        def search() -> None:
            while not done.is_set():
                try:
                    counts.append(len(corpus.search("bees and the moon", 5)))
                except BaseException as error:
                    errors.append(error)
                    return

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        report = corpus.sync()
        done.set()
        for thread in threads:
            thread.join()
        assert report.problem == "" and errors == [] and corpus.embedder.dim == 32
        assert counts and set(counts) == {5}


@pytest.mark.parametrize("other", ["second", "small"])
def test_without_the_old_model_words_are_searched_and_the_reader_is_told(
    first: Settings, made: Path, tmp_path: Path, other: str
) -> None:
    shutil.rmtree(tmp_path / "model")
    shutil.copytree(made / other, tmp_path / "model")  # other weights under the same path
    with closing(Corpus(first)) as corpus:
        assert "words only" in corpus.notice
        hits = corpus.search("bees", 5)
        assert [hit.chunk.document_id for hit in hits] == ["bees.md"] and hits[0].dense == 0
        assert [vectors.shape[1] for vectors in corpus.passage_vectors(hits)] == [corpus.embedder.dim]
        assert corpus.search("nothing of that", 5) == []
        assert corpus.sync().problem == ""
        assert corpus.notice == "" and corpus.index.check() and agrees(corpus)
        assert len(corpus.search("bees", 5)) == 5


def test_with_the_old_model_set_back_nothing_was_lost(
    first: Settings, settings: MakeSettings, made: Path, embedded: list[str]
) -> None:
    with closing(Corpus(first)) as corpus:
        before = found(corpus, "bees and flowers")
    stop = threading.Event()
    with closing(Corpus(settings(ASSISTANT_EMBEDDING_MODEL=str(made / "second")))) as corpus:
        corpus.renew(lambda done, total, id: stop.set(), stop)
    embedded.clear()
    with closing(Corpus(first)) as corpus:
        assert corpus.notice == "" and not corpus.index.rebuilt
        assert corpus.sync().unchanged == len(TEXTS)
        assert embedded == [] and found(corpus, "bees and flowers") == before
        assert agrees(corpus)


def test_files_that_change_during_the_renewal_are_embedded_by_the_new_model_alone(
    first: Settings, settings: MakeSettings, made: Path
) -> None:
    changed = settings(ASSISTANT_EMBEDDING_MODEL=str(made / "second"))
    stop = threading.Event()
    with closing(Corpus(changed)) as corpus:
        corpus.renew(lambda done, total, id: stop.set(), stop)
    (changed.corpus / "bees.md").write_text("# Bees\n\nThe bees and the bridge.", encoding="utf-8")
    (changed.corpus / "moon.md").rename(changed.corpus / "moon and sea.md")
    (changed.corpus / "tea.md").unlink()
    write_documents(changed.corpus, {"new.md": "The new arch and the river."})
    with closing(Corpus(changed)) as corpus:
        report = corpus.sync()
        assert (report.failed, report.removed, report.moved) == ([], 1, 1)
        assert corpus.index.check() and agrees(corpus)
        assert "bridge" in corpus.search("bees", 1)[0].chunk.text


def test_a_model_that_gives_no_numbers_leaves_the_old_one_in_force(
    first: Settings, settings: MakeSettings, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Corpus(first)) as corpus:
        before = found(corpus, "bees and flowers")
    real = SentenceTransformerEmbedder.embed_chunks

    def broken(self: Embedder, chunks: Sequence[Chunk]) -> list[Embedded]:
        return [item._replace(vector=item.vector * np.float32(np.nan)) for item in real(self, chunks)]  # type: ignore[arg-type]

    monkeypatch.setattr(SentenceTransformerEmbedder, "embed_chunks", broken)
    with closing(Corpus(settings(ASSISTANT_EMBEDDING_MODEL=str(made / "second")))) as corpus:
        problem = corpus.sync().problem
        assert "no numbers" in problem and "\n" not in problem
        assert found(corpus, "bees and flowers") == before


@pytest.mark.parametrize("module", [chunking, lexical])
def test_another_way_to_cut_or_to_read_words_takes_the_texts_from_the_catalogue_and_embeds_nothing_twice(
    first: Settings, embedded: list[str], monkeypatch: pytest.MonkeyPatch, module: object
) -> None:
    monkeypatch.setattr(module, "VERSION", 99)
    with closing(Corpus(first)) as corpus:
        assert "as before" in corpus.notice and len(found(corpus, "bees and flowers")) == 5
        report = corpus.sync()
        assert (report.done, report.unchanged, report.problem, embedded) == (0, len(TEXTS), "", [])
        assert corpus.notice == "" and corpus.index.check() and agrees(corpus)
    embedded.clear()
    with closing(Corpus(first)) as corpus:
        assert corpus.notice == "" and not corpus.index.rebuilt


def test_what_is_removed_meanwhile_takes_no_new_vectors_along(
    first: Settings, settings: MakeSettings, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Corpus, "_next_batch", lambda self: 1)  # two batches in a group
    real = SentenceTransformerEmbedder.embed_chunks
    removers: list[threading.Thread] = []
    with closing(Corpus(settings(ASSISTANT_EMBEDDING_MODEL=str(made / "second")))) as corpus:

        def removing(self: Embedder, chunks: Sequence[Chunk]) -> list[Embedded]:
            if len(removers) < 2:
                removers.append(threading.Thread(target=corpus.flush))
                removers[-1].start()
                removers[-1].join(0.5)  # it may have to wait
            return real(self, chunks)  # type: ignore[arg-type]

        monkeypatch.setattr(SentenceTransformerEmbedder, "embed_chunks", removing)
        assert corpus.sync().problem == ""
        for thread in removers:
            thread.join()
        assert corpus.index.check() and agrees(corpus)
