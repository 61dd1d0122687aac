"""Search is timed on collections made of real chunks and altered copies of them."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from assistant.collection import Collection
from assistant.embedding import Embedder, load_embedder, unit
from assistant.errors import UserError
from assistant.settings import Settings
from eval.__main__ import main
from eval.latency import RESULT, measure, parse_sizes, table
from eval.readme import README
from eval.search_times import exact_search, recall
from eval.synthetic import Noise, Source, fill, load_source, neighbour_cosines
from tests.conftest import settings_in

SIZE = 230


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Settings:
    return settings_in(tmp_path_factory.mktemp("latency"), models, {})


@pytest.fixture(scope="module")
def embedder(options: Settings) -> Embedder:
    return load_embedder(options)


@pytest.fixture(scope="module")
def source(options: Settings, embedder: Embedder) -> Source:
    return load_source(None, options, embedder, lambda done, total: None)


@pytest.fixture(scope="module")
def collection(options: Settings, embedder: Embedder, source: Source) -> Iterator[Collection]:
    collection = Collection(options.data / "made", embedder)
    fill(collection, source, SIZE, lambda done, total: None)
    collection.index.rebuild()
    yield collection
    collection.close()


@pytest.fixture(scope="module")
def result(options: Settings) -> dict[str, object]:
    return measure([200], 12, None, options)


def test_a_size_is_measured_whole(result: dict[str, object], options: Settings) -> None:
    assert isinstance(result["sizes"], list)
    (size,) = result["sizes"]
    assert (size["chunks"], size["queries"]) == (200, 12)
    for part in ("search", "embed", "dense", "lexical", "exact"):
        times = size[f"{part}_ms"]
        assert 0 < times["p50"] <= times["p95"] <= times["p99"]
    assert 0.5 < size["recall@10"] <= 1 and 0.5 < size["recall@100"] <= 1
    assert min(size[f"{part}_mb"] for part in ("catalogue", "dense", "lexical")) > 0
    assert size["memory_mb"] > 50
    assert not (options.data / "eval" / "latency").exists()


def test_the_table_has_a_column_for_each_size(result: dict[str, object]) -> None:
    assert isinstance(result["sizes"], list)
    lines = table({**result, "sizes": [*result["sizes"], {**result["sizes"][0], "chunks": 1234}]}).split("\n")
    assert lines[0] == "|  | 200 chunks | 1,234 chunks | goal at 100,000 |"
    assert {line.count("|") for line in lines[: lines.index("")]} == {5}


def test_the_readme_shows_the_stored_figures() -> None:
    assert table(json.loads(RESULT.read_text(encoding="utf-8"))) in README.read_text(encoding="utf-8")


def test_the_collection_has_the_size_asked_for_and_passes_its_check(collection: Collection) -> None:
    assert collection.chunk_count() == SIZE
    assert collection.index.check()


def test_every_chunk_is_a_span_of_its_document_with_a_vector_for_each_sentence(collection: Collection) -> None:
    ids = collection.catalog.chunk_ids()
    stored = collection.catalog.candidates(ids)
    for chunk in collection.catalog.chunks(ids):
        document = collection.catalog.document(chunk.document_id)
        assert document is not None
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert len(stored[chunk.id].sentences) == len(chunk.sentences)
        assert all(0 <= start < end <= len(chunk.text) for start, end in chunk.sentences)


def test_copies_have_other_words_and_vectors_than_the_real_chunks(collection: Collection, source: Source) -> None:
    chunks = collection.catalog.chunks(collection.catalog.chunk_ids())
    real = len(source.chunks)
    assert [chunk.text for chunk in chunks[:real]] == [chunk.text for chunk in source.chunks]
    assert len({chunk.text for chunk in chunks}) > 0.95 * len(chunks)
    _, _, matrix = collection.catalog.all_vectors(384)
    cosines = np.sum(matrix[real:] * source.matrix[np.arange(real, SIZE) % real], axis=1)
    assert cosines.max() < 0.9995
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)


def test_noise_moves_as_far_as_real_neighbours_lie() -> None:
    vectors = unit(np.random.default_rng(1).standard_normal((300, 24)).astype(np.float32))
    brute = vectors @ vectors.T
    np.fill_diagonal(brute, -1)
    assert np.allclose(neighbour_cosines(vectors), brute.max(axis=1), atol=1e-6)
    moved = Noise(vectors).move(vectors)
    cosines = np.sum(moved * vectors, axis=1)
    # Each is one of the real cosines, drawn at random.
    assert np.abs(cosines[:, None] - brute.max(axis=1)[None, :]).min(axis=1).max() < 1e-5
    assert len(np.unique(cosines.round(5))) > 100


def test_exact_search_is_brute_force(collection: Collection) -> None:
    _, _, matrix = collection.catalog.all_vectors(384)
    for vector in collection.embedder.embed(["a lighthouse on the coast", "bread", "42"]):
        cosines = [sum(float(a) * float(b) for a, b in zip(row, vector, strict=True)) for row in matrix]
        brute = sorted(range(len(cosines)), key=lambda row: -cosines[row])[:10]
        found = exact_search(matrix, vector, 10)
        assert [round(cosines[row], 5) for row in found] == [round(cosines[row], 5) for row in brute]
    assert sorted(exact_search(matrix, vector, SIZE + 10)) == list(range(SIZE))


def test_recall_counts_what_is_as_near_as_the_nearest() -> None:
    matrix = np.array([[1, 0], [0.8, 0.6], [0.8, 0.6], [0, 1]], np.float32)
    query = np.array([1, 0], np.float32)
    assert recall(matrix, [query], [[0, 1]], [[0, 1]], 2) == 1
    assert recall(matrix, [query], [[0, 2]], [[0, 1]], 2) == 1  # the same vector twice
    assert recall(matrix, [query, query], [[0, 3], [0, 1]], [[0, 1], [0, 1]], 2) == 0.75
    assert recall(matrix, [query], [[0, 0]], [[0, 1]], 2) == 0.5
    assert recall(matrix, [query], [[]], [[0, 1]], 2) == 0


def test_the_questions_of_a_set_are_asked_once_each(tmp_path: Path, settings: Callable[..., Settings], embedder: Embedder) -> None:
    folder = tmp_path / "set"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "a", "text": "Bread rises."}\n{"_id": "b", "text": "Iron rusts."}\n')
    lines = [
        json.dumps({"_id": str(number), "text": text}) for number, text in enumerate(["What rises?", "What rusts?", "What rises?"])
    ]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n0\ta\t1\n1\tb\t1\n2\ta\t1\n")
    source = load_source(folder, settings(), embedder, lambda done, total: None)
    assert sorted(source.questions) == ["What rises?", "What rusts?"]
    assert sorted(chunk.text for chunk in source.chunks) == ["Bread rises.", "Iron rusts."]
    assert source.name == "set"


@pytest.mark.parametrize("text", ["", "many", "99", "1000001", "1000,,2000", "1000;2000", "-5", "1e3"])
def test_wrong_sizes_are_named(text: str) -> None:
    with pytest.raises(UserError, match="from 100 to 1000000"):
        parse_sizes(text)


def test_sizes_are_taken_in_order_and_once() -> None:
    assert parse_sizes("3000, 1000,3000") == [1000, 3000]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--queries", "0"], "--queries is 0"),
        (["--data", "/nowhere/at/all"], "is not a folder"),
        (["--sizes", "1"], "'1' is not a whole number"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], options: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_DATA", str(options.data))
    assert main(["latency", *arguments]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_too_little_disk_is_said_before_anything_is_built(options: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"1,000 chunks take 20 MB of disk .* 0 MB free"):
        measure([1000], 5, None, options)
