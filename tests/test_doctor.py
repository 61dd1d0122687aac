"""What is damaged is found without changing anything, told in one line, and mended."""

import errno
import hashlib
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from assistant.catalog import Catalog
from assistant.doctor import Finding, examine
from assistant.errors import UserError
from assistant.recovery import damaged_copy, recover, state_of
from assistant.repair import repair
from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import MakeSettings, write_documents
from tests.test_ownership import owner

TOPICS = [
    "granite",
    "willow",
    "copper",
    "harbour",
    "lantern",
    "meadow",
    "orchid",
    "pepper",
    "quartz",
    "saddle",
    "thimble",
    "walnut",
]
TEXTS = {
    f"{word}.md": f"# {word.title()}\n\nThis page is about {word}. " + f"Everything known of {word} stands here. " * 60
    for word in TOPICS
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A folder with a corpus and a data folder in which all is well."""
    from tests.conftest import settings_in

    folder = tmp_path_factory.mktemp("well")
    options = settings_in(folder, models, {"ASSISTANT_CHAT_MODEL": "extractive"})
    write_documents(options.corpus, TEXTS)
    with closing(Corpus(options)) as corpus:
        assert corpus.sync().failed == []
    return folder


@pytest.fixture
def well(made: Path, tmp_path: Path, settings: MakeSettings) -> Settings:
    shutil.copytree(made, tmp_path, symlinks=True, dirs_exist_ok=True)
    return settings(ASSISTANT_CHAT_MODEL="extractive")


def contents(folder: Path) -> dict[str, str]:
    """Return the digest of every file but those that only say who is looking."""
    passing = ("lock", "owner.json", "catalog.sqlite3-shm", "catalog.sqlite3-wal")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in passing
    }


def wrong(findings: list[Finding]) -> dict[str, str]:
    return {finding.part: finding.message for finding in findings if finding.level == "fault"}


def searched(corpus: Corpus) -> list[str]:
    return [corpus.search(f"all about {word}", 1)[0].chunk.document_id for word in TOPICS]


def change(statement: str, *values: object) -> Callable[[Settings], None]:
    def run(settings: Settings) -> None:
        with closing(sqlite3.connect(settings.data / "catalog.sqlite3", isolation_level=None)) as db:
            db.execute(statement, values)

    return run


def generation(settings: Settings) -> Path:
    return next((settings.data / "index").glob("gen-*"))


def file(name: str, data: bytes = b"x") -> Callable[[Settings], None]:
    def write(settings: Settings) -> None:
        path = settings.data.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return write


def stray(settings: Settings) -> None:
    (generation(settings) / "dense" / "0f3e7a52-1111-4222-8333-444455556666").mkdir()


def garbage(pattern: str) -> Callable[[Settings], None]:
    def write(settings: Settings) -> None:
        for path in generation(settings).glob(pattern):
            path.write_bytes(os.urandom(path.stat().st_size))

    return write


ONE = "(SELECT vector_key FROM chunks ORDER BY row LIMIT 1)"
FAULTS: dict[str, tuple[str, Callable[[Settings], None]]] = {
    "a chunk without a vector": ("catalogue", change(f"DELETE FROM vectors WHERE key = {ONE}")),
    "a vector of zeros": ("catalogue", change(f"UPDATE vectors SET vector = zeroblob(1536) WHERE key = {ONE}")),
    "a short vector": ("catalogue", change(f"UPDATE vectors SET vector = substr(vector, 1, 100) WHERE key = {ONE}")),
    "a vector of no numbers": (
        "catalogue",
        change(f"UPDATE vectors SET vector = ? WHERE key = {ONE}", struct.pack("<f", np.nan) * 384),
    ),
    "a chunk outside of its text": ("catalogue", change("UPDATE chunks SET end = 1000000 WHERE row = 1")),
    "no index": ("index", lambda settings: shutil.rmtree(generation(settings))),
    "a cut dense index": ("index", lambda settings: os.truncate(generation(settings) / "dense" / "chroma.sqlite3", 5000)),
    "a damaged dense index": ("index", garbage("dense/chroma.sqlite3")),
    "a damaged lexical index": ("index", garbage("lexical/meta.json")),
    "damaged words": ("index", garbage("lexical/*.term")),
    "an old generation": ("left behind", file("data/index/gen-77/dense/x")),
    "a folder that Chroma forgot": ("left behind", stray),
    "a half made model": ("left behind", file("data/models/.making-abc/model.xml")),
    "a half copied file": ("left behind", file("corpus/folder/.0123456789abcdef.assistant.part")),
    "garbage for a catalogue": ("catalogue", file("data/catalog.sqlite3", b"nothing that anybody wrote " * 1000)),
}


def test_where_all_is_well_nothing_is_found_and_nothing_is_changed(well: Settings) -> None:
    before = contents(well.data) | contents(well.corpus)
    findings = examine(well)
    assert wrong(findings) == {}
    assert {"folders", "embedding model", "catalogue", "corpus", "index", "disk", "left behind"} <= {item.part for item in findings}
    assert contents(well.data) | contents(well.corpus) == before
    assert list(repair(well)) == []


def test_what_another_program_is_downloading_into_the_corpus_folder_is_left_alone(well: Settings) -> None:
    file("corpus/.report.pdf.part")(well)
    assert wrong(examine(well)) == {} and list(repair(well)) == []
    assert (well.corpus / ".report.pdf.part").exists()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_without_changing_anything_and_mended(well: Settings, fault: str, tmp_path: Path, made: Path) -> None:
    part, damage = FAULTS[fault]
    if fault == "a half made model":  # the models of the tests are shared
        (well.data / "models").unlink()
        shutil.copytree(made / "data" / "models", well.data / "models", ignore=shutil.ignore_patterns("*.gguf"))
    damage(well)
    before = contents(well.data) | contents(well.corpus)
    found = wrong(examine(well))
    assert set(found) == {part}, found
    assert "\n" not in found[part] and ("--repair" in found[part])
    assert contents(well.data) | contents(well.corpus) == before
    lines = list(repair(well))
    assert lines and all("\n" not in line for line in lines)
    assert wrong(examine(well)) == {}
    with closing(Corpus(well)) as corpus:
        assert not corpus.index.rebuilt and searched(corpus) == [f"{word}.md" for word in TOPICS]
        assert corpus.sync().unchanged == len(TEXTS)


def test_a_damaged_copy_of_the_embedding_model_is_found_and_made_again(well: Settings, made: Path) -> None:
    (well.data / "models").unlink()
    shutil.copytree(made / "data" / "models", well.data / "models", ignore=shutil.ignore_patterns("*.gguf", ".making-*"))
    [weights] = (well.data / "models").glob("all-MiniLM*/model.bin")
    with weights.open("r+b") as file:
        file.seek(5000)
        file.write(bytes(1000))
    assert "damaged" in wrong(examine(well))["embedding model"]
    assert any("embedding model" in line for line in repair(well))
    assert wrong(examine(well)) == {}


def test_a_file_that_failed_and_one_that_waits_are_told(well: Settings) -> None:
    write_documents(well.corpus, {"new.md": "A new page.", "empty.md": ""})
    findings = examine(well)
    assert wrong(findings) == {}
    assert "would change 2 files" in next(item.message for item in findings if item.part == "corpus")
    with closing(Corpus(well)) as corpus:
        corpus.sync()
    findings = examine(well)
    assert wrong(findings) == {}
    assert next(item for item in findings if item.part == "empty.md") == Finding("empty.md", "note", "not indexed: it is empty")


def test_beside_a_running_app_it_tells_who_owns_the_folder_and_checks_what_it_can(well: Settings) -> None:
    with owner(well, "http://127.0.0.1:7860") as first:
        findings = {item.part: item for item in examine(well)}
        assert str(first.pid) in findings["owner"].message and "http://127.0.0.1:7860" in findings["owner"].message
        assert findings["catalogue"].level == "ok" and "12 documents" in findings["catalogue"].message
        assert "index" not in findings and all(item.level != "fault" for item in findings.values())
        with pytest.raises(UserError, match=str(first.pid)):
            list(repair(well))


def test_of_a_catalogue_with_any_page_damaged_the_rest_is_kept_and_nothing_embedded_twice(
    well: Settings, chunks_embedded: list[int]
) -> None:
    path = well.data / "catalog.sqlite3"
    whole = path.read_bytes()
    pages = len(whole) // 4096
    with closing(Catalog(path, read_only=True)) as catalog:
        vectors = int(str(catalog.query("SELECT count(*) FROM vectors")[0][0]))
    lost, synced = [], 0
    for page in range(1, pages):  # all but the first
        path.write_bytes(whole[: page * 4096] + os.urandom(4096) + whole[(page + 1) * 4096 :])
        if not state_of(path):
            continue  # the inside of a blob, or a free page: nothing that SQLite could tell
        line = recover(path)
        assert state_of(path) == "" and "\n" not in line
        assert damaged_copy(path).read_bytes()[:4096] == whole[:4096]
        with closing(Catalog(path)) as catalog:
            left = int(str(catalog.query("SELECT count(*) FROM vectors")[0][0]))
            assert catalog.query("PRAGMA foreign_key_check") == []
        lost.append(vectors - left)
        if len(lost) % 25 == 1:
            chunks_embedded.clear()
            with closing(Corpus(well)) as corpus:
                assert corpus.sync().problem == ""
                assert searched(corpus) == [f"{word}.md" for word in TOPICS]
            assert sum(chunks_embedded) <= vectors - left
            synced += 1
    assert synced and len(lost) > 20
    assert sorted(lost)[len(lost) * 9 // 10] <= vectors // 4  # only the root of the table takes all with it


def test_a_damaged_catalogue_is_mended_where_no_file_has_two_names(well: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    path = well.data / "catalog.sqlite3"
    damaged = b"nothing that anybody wrote " * 1000
    path.write_bytes(damaged)
    assert "could not be read at all" in recover(path)
    assert damaged_copy(path).read_bytes() == damaged and not path.exists()
