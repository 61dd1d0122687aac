"""`eval retrieval` from the command line to the kept run, on small sets and, where they are, on real ones."""

import json
from pathlib import Path

import pytest

from eval.__main__ import main
from eval.runs import load_run
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared" / "data"
TEXTS = {
    "bees": "Honey bees dance to show where flowers are. The dance tells direction and distance.",
    "tides": "The moon pulls the sea. Tides rise twice a day.",
    "bread": "Bread is baked from flour, water and salt.",
    "trains": "Steam trains burned coal. The first ran in 1804.",
}
QUESTIONS = {
    "q1": ("How do bees show where to find flowers?", "bees"),
    "q2": ("What moves the sea?", "tides"),
    "q3": ("coal", "trains"),
}


@pytest.fixture
def data(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "models").symlink_to(models)
    monkeypatch.setenv("ASSISTANT_DATA", str(folder))
    return folder


def small_set(folder: Path, texts: dict[str, str] = TEXTS) -> Path:
    (folder / "qrels").mkdir(parents=True)
    questions = {id: question for id, question in QUESTIONS.items() if question[1] in texts}
    corpus = "".join(json.dumps({"_id": id, "text": text}) + "\n" for id, text in texts.items())
    queries = "".join(json.dumps({"_id": id, "text": text}) + "\n" for id, (text, _) in questions.items())
    (folder / "corpus.jsonl").write_text(corpus)
    (folder / "queries.jsonl").write_text(queries)
    (folder / "qrels" / "test.tsv").write_text("".join(f"{id}\t{document}\t1\n" for id, (_, document) in questions.items()))
    return folder


def test_a_run_is_measured_printed_and_kept(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_set(tmp_path / "small")
    assert main(["retrieval", "--data", str(folder), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["measures"]["nDCG@10"] == printed["measures"]["MRR@10"] == 1.0
    [path] = (data / "eval" / "runs").iterdir()
    run = load_run(path)
    assert (run.name, run.set, run.mode, len(run.questions)) == (printed["run"], "small", "full", 3)
    assert run.questions[0].hits[0].document == "bees" and "dance" in run.questions[0].hits[0].text


def test_a_second_run_embeds_nothing_again(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assistant.bundled_embedding import BundledEmbedder

    folder = small_set(tmp_path / "small")
    assert main(["retrieval", "--data", str(folder), "--no-save"]) == 0

    def fail(*arguments: object) -> None:
        raise AssertionError("a chunk was embedded")

    monkeypatch.setattr(BundledEmbedder, "embed_chunks", fail)
    for mode in ("dense", "lexical", "hybrid", "full"):
        assert main(["retrieval", "--data", str(folder), "--mode", mode, "--no-save"]) == 0
    assert not (data / "eval" / "runs").exists()


def test_a_corpus_of_one_document_and_a_k_beyond_it(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_set(tmp_path / "one", {"bees": TEXTS["bees"]})
    assert main(["retrieval", "--data", str(folder), "-k", "100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measures"]["nDCG@100"] == 1.0


@pytest.mark.parametrize("arguments", [["-k", "101"], ["-k", "0"], ["-k", "-1"], ["--queries", "none.jsonl"]])
def test_a_mistake_of_the_caller_is_one_line_and_code_2(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    folder = small_set(tmp_path / "small")
    assert main(["retrieval", "--data", str(folder), *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_spans_of_the_starter_corpus_are_found(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_CORPUS", str(ROOT / "corpus"))
    assert main(["retrieval", "--corpus", "--json", "--no-save"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["measures"]["recall"] > 0.9 and printed["measures"]["IoU"] > 0.04
    assert 1 <= printed["passages"] <= 5 and printed["passage_tokens"] > 10


@pytest.mark.skipif(not (SHARED / "xquad_en").is_dir(), reason="the shared data sets aren't here")
def test_the_right_paragraph_of_a_public_set_comes_first(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retrieval", "--data", str(SHARED / "xquad_en"), "--json", "--no-save"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["questions"] == 1190 and printed["measures"]["nDCG@10"] > 0.98
