"""Export and import: a round trip keeps everything, a damaged or hostile file changes nothing."""

import json
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant import transfer
from assistant.errors import UserError
from assistant.settings import Settings
from assistant.sync import Corpus
from assistant.transfer import export_corpus, import_corpus, read_manifest
from tests.conftest import as_environment, run_python, settings_in, write_documents

TEXTS = {
    "bees.md": "# Bees\n\nHoney bees dance to tell each other where flowers are. The waggle dance shows direction.",
    "deep/er/tides.txt": "TIDES\n\nThe moon pulls the sea. Spring tides come with the new and the full moon.",
    "größe 😀.md": "# Sizes\n\nA shoe of size 42 is 27 centimetres long.",
    "copy.md": "# Bees\n\nHoney bees dance to tell each other where flowers are. The waggle dance shows direction.",
}
QUERIES = ["How do bees show the way?", "spring tides and the moon", "size of a shoe", "nothing of the kind"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, models: Path) -> tuple[Settings, Path]:
    folder = tmp_path_factory.mktemp("first")
    options = settings_in(folder, models, {})
    write_documents(options.corpus, TEXTS)
    for number, name in enumerate(TEXTS):
        os.utime(options.corpus / name, ns=(0, 1_600_000_000_123_456_789 + number))
    (options.corpus / ".addresses.jsonl").write_text('{"sha256": "a", "url": "https://example.org/"}\n')
    with closing(Corpus(options)) as corpus:
        assert corpus.sync().failed == []
    target = folder / "all.export"
    manifest = export_corpus(options, target)
    assert manifest.files == 4 and manifest.vectors > 0
    return options, target


@pytest.fixture
def second(tmp_path: Path, models: Path) -> Settings:
    return settings_in(tmp_path, models, {})


def bring(settings: Settings, path: Path) -> list[tuple[str, str]]:
    with closing(Corpus(settings)) as corpus:
        results = [(result.id, result.message) for result in import_corpus(corpus, path)]
        report = corpus.sync()
        assert report.problem == "" and report.failed == []
    return results


def found(settings: Settings) -> list[list[tuple[str, float]]]:
    with closing(Corpus(settings)) as corpus:
        return [[(hit.chunk.text, round(hit.score, 4)) for hit in corpus.search(query, 5)] for query in QUERIES]


def files(settings: Settings) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(settings.corpus).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in settings.corpus.rglob("*")
        if path.is_file()
    }


def test_a_round_trip_gives_the_same_files_and_results_and_embeds_nothing(
    exported: tuple[Settings, Path], second: Settings, chunks_embedded: list[int]
) -> None:
    first, path = exported
    assert {message for _, message in bring(second, path)} == {"imported"}
    assert chunks_embedded == []
    there = files(second)
    assert {name: there[name] for name in TEXTS} == {name: files(first)[name] for name in TEXTS}
    assert there[".addresses.jsonl"][0] == files(first)[".addresses.jsonl"][0]
    assert found(second) == found(first)
    assert {message for _, message in bring(second, path)} == {"is there already, unchanged"}
    assert files(second).keys() == there.keys() and chunks_embedded == []


def test_a_file_of_the_same_name_and_other_content_stays_and_the_imported_one_is_put_beside_it(
    exported: tuple[Settings, Path], second: Settings
) -> None:
    write_documents(second.corpus, {"bees.md": "# Mine\n\nAbout wasps.", ".addresses.jsonl": '{"sha256": "b"}\n'})
    assert ("bees (2).md", "imported") in bring(second, exported[1])
    there = files(second)
    assert there["bees.md"][0] == b"# Mine\n\nAbout wasps." and there["bees (2).md"][0].decode() == TEXTS["bees.md"]
    assert there[".addresses.jsonl"][0].count(b"\n") == 2


def test_with_another_model_the_documents_are_embedded_anew(
    exported: tuple[Settings, Path], second: Settings, tmp_path: Path
) -> None:
    other = rewritten(exported[1], tmp_path / "other", lambda made: made | {"fingerprint": "f" * 16, "model": "some/model"})
    ran = run_python("-m", "assistant.cli", "import", str(other), env=as_environment(second))
    assert ran.code == 0 and "4 files imported" in ran.out, ran.err
    assert "some/model" in ran.err and "ASSISTANT_EMBEDDING_MODEL" in ran.err and len(ran.err.splitlines()) == 1
    assert found(second) == found(exported[0])


def test_another_file_is_replaced_only_with_force_and_one_that_fails_leaves_nothing(
    exported: tuple[Settings, Path], tmp_path: Path
) -> None:
    first, _ = exported
    target = tmp_path / "kept"
    target.write_text("mine")
    with pytest.raises(UserError, match="--force"):
        export_corpus(first, target)
    assert target.read_text() == "mine"
    export_corpus(first, target, force=True)
    assert read_manifest(target).files == 4
    for bad in (tmp_path / "no" / "folder", tmp_path):
        with pytest.raises(UserError):
            export_corpus(first, bad, force=True)
    with pytest.raises(UserError, match="sync"):
        export_corpus(replace(first, data=tmp_path / "empty"), tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]


def test_a_file_that_goes_while_the_export_is_written_is_left_out(
    exported: tuple[Settings, Path], second: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(exported[0], corpus=tmp_path / "copy")
    shutil.copytree(exported[0].corpus, first.corpus)
    add = transfer._add

    def removing(archive: zipfile.ZipFile, name: str, path: Path) -> Any:
        (first.corpus / sorted(TEXTS)[-1]).unlink(missing_ok=True)
        return add(archive, name, path)

    monkeypatch.setattr(transfer, "_add", removing)
    manifest = export_corpus(first, tmp_path / "export")
    assert manifest.files == 3 == read_manifest(tmp_path / "export").files
    assert {message for _, message in bring(second, tmp_path / "export")} == {"imported"}


def rewritten(
    source: Path,
    target: Path,
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda made: made,
    more: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """Write the export `source` again with another manifest and more members, which the manifest names rightly."""
    import hashlib

    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        manifest = json.loads(old.read("manifest.json"))
        for name in old.namelist():
            if name != "manifest.json" and name not in (more or {}):
                new.writestr(name, old.read(name))
        manifest["members"] = [member for member in manifest["members"] if member["name"] not in (more or {})]
        for name, data in (more or {}).items():
            new.writestr(name, data)
            entry = {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "modified": 0}
            manifest["members"].append(entry)
        new.writestr("manifest.json", json.dumps(change(manifest)))
    return target


NAMES = {
    "up": "corpus/../../evil.md",
    "absolute": "corpus//etc/evil.md",
    "hidden": "corpus/.ssh/evil.md",
    "backslash": "corpus/..\\..\\evil.md",
    "null": "corpus/evil\n.md",
    "escape": "corpus/\x9b31mevil.md",
    "long": f"corpus/{'x' * 300}.md",
    "own notes": "corpus/.addresses.jsonl",
    "elsewhere": "data/catalog.sqlite3",
    "folder": "corpus/folder/",
}
HOSTILE: dict[str, Callable[[Path, Path], Path]] = {
    **{kind: (lambda old, new, name=name: rewritten(old, new, more={name: b"evil"})) for kind, name in NAMES.items()},  # type: ignore[misc]
    "compressed": lambda old, new: rewritten(
        old, new, more={"corpus/bomb.md": bytes(10_000_000)}, compression=zipfile.ZIP_DEFLATED
    ),
    "newer": lambda old, new: rewritten(old, new, lambda made: made | {"version": 99}),
    "other kind": lambda old, new: rewritten(old, new, lambda made: made | {"format": "photos"}),
    "no manifest": lambda old, new: _without(old, new, "manifest.json"),
    "deep manifest": lambda old, new: _plain(new, {"manifest.json": b"[" * 100_000}),
    "lying size": lambda old, new: rewritten(old, new, lambda made: made | {"members": [m | {"size": 1} for m in made["members"]]}),
    "too few vectors": lambda old, new: rewritten(old, new, lambda made: made | {"vectors": 1000}),
    "other dimension": lambda old, new: rewritten(old, new, lambda made: made | {"dim": 7}),
    "vectors of another length": lambda old, new: rewritten(
        *(old, new, lambda made: made | {"dim": 4, "vectors": 1}),
        more={"vectors.bin": struct.pack("<32sIII4f4b", bytes(32), 16, 4, 0, 1, 0, 0, 0, 9, 9, 9, 9)},
    ),
    "wild vectors": lambda old, new: rewritten(old, new, more={"vectors.bin": os.urandom(5000)}),
    "huge lengths": lambda old, new: rewritten(old, new, more={"vectors.bin": bytes(32) + b"\xff" * 12}),
    "empty": lambda old, new: _bytes(new, b""),
    "text": lambda old, new: _bytes(new, b"<html>not found</html>"),
}


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _without(old: Path, new: Path, left: str) -> Path:
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w") as target:
        for name in source.namelist():
            if name != left:
                target.writestr(name, source.read(name))
    return new


def _plain(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def state(folder: Path) -> dict[str, bytes]:
    """Return all files below `folder` but those of the data folder that every start writes."""
    return {
        str(path): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_relative_to(folder / "data")
    }


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Corpus:
    return Corpus(settings_in(tmp_path_factory.mktemp("empty"), models, {}))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_export_is_refused_in_one_line_and_nothing_is_changed(
    exported: tuple[Settings, Path], empty: Corpus, tmp_path: Path, kind: str
) -> None:
    path = HOSTILE[kind](exported[1], tmp_path / "hostile")
    before = state(empty.settings.corpus.parent)
    with pytest.raises(UserError) as caught:
        list(import_corpus(empty, path))
    assert "\n" not in str(caught.value)
    assert state(empty.settings.corpus.parent) == before
    assert empty.catalog.query("SELECT count(*) FROM vectors")[0][0] == 0


def refusal(corpus: Corpus, path: Path) -> str:
    try:
        list(import_corpus(corpus, path))
    except UserError as error:
        return str(error)
    return ""


def test_an_export_damaged_or_cut_anywhere_is_refused_and_nothing_is_changed(
    exported: tuple[Settings, Path], empty: Corpus, tmp_path: Path
) -> None:
    whole = exported[1].read_bytes()
    path = tmp_path / "damaged"
    before = state(empty.settings.corpus.parent)
    steps = range(0, len(whole), max(1, len(whole) // 40))
    damaged = [whole[:at] for at in steps] + [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in steps]
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        message = refusal(empty, path)
        if message:
            refused += 1
            assert "\n" not in message
            assert state(empty.settings.corpus.parent) == before
            continue
        # A byte that nothing depends on, such as a time in a header of the archive: what was imported is right.
        for name, text in TEXTS.items():
            assert (empty.settings.corpus / name).read_text(encoding="utf-8") == text
            (empty.settings.corpus / name).unlink()
        (empty.settings.corpus / ".addresses.jsonl").unlink()
        before = state(empty.settings.corpus.parent)
    assert refused >= len(damaged) - 8


def test_a_link_in_the_archive_or_in_the_corpus_folder_leads_nowhere(
    exported: tuple[Settings, Path], second: Settings, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (second.corpus / "deep").symlink_to(outside)
    results = dict(bring(second, exported[1]))
    assert "link" in results["deep/er/tides.txt"] and list(outside.iterdir()) == []
    path = tmp_path / "links"
    with zipfile.ZipFile(rewritten(exported[1], path, more={"corpus/link.md": b"/etc/passwd"})) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in entries:
            if info.filename == "corpus/link.md":
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, data)
    bring(second, path)
    assert not (second.corpus / "link.md").is_symlink() and (second.corpus / "link.md").read_text() == "/etc/passwd"


def test_vectors_that_are_there_are_not_replaced_by_an_import(
    exported: tuple[Settings, Path], second: Settings, tmp_path: Path
) -> None:
    bring(second, exported[1])
    before = found(second)
    with zipfile.ZipFile(exported[1]) as archive:
        stored = archive.read("vectors.bin")
    (length,) = struct.unpack("<I", stored[32:36])
    turned = b"".join(struct.pack("<f", -number) for (number,) in struct.iter_unpack("<f", stored[44 : 44 + length]))
    path = rewritten(exported[1], tmp_path / "turned", more={"vectors.bin": stored[:44] + turned + stored[44 + length :]})
    bring(second, path)
    assert found(second) == before
    with closing(Corpus(second)) as corpus:
        assert corpus.catalog.query("SELECT vector FROM vectors WHERE key = ?", [stored[:32].hex()]) == [
            (stored[44 : 44 + length],)
        ]


@pytest.mark.skipif(os.sep != "/", reason="this character separates folders here")
def test_names_with_a_backslash_or_as_long_as_can_be_come_back(second: Settings, tmp_path: Path, models: Path) -> None:
    (tmp_path / "other").mkdir()
    other = settings_in(tmp_path / "other", models, {})
    long = "長" * 84 + ".md"  # 255 bytes, the most that a name may have
    write_documents(other.corpus, {"a\\b.md": TEXTS["bees.md"], long: TEXTS["deep/er/tides.txt"]})
    with closing(Corpus(other)) as corpus:
        assert corpus.sync().failed == []
    export_corpus(other, tmp_path / "all.export")
    assert bring(second, tmp_path / "all.export") == [("a\\b.md", "imported"), (long, "imported")]


def test_the_name_of_an_exports_model_sends_nothing_to_the_terminal(exported: tuple[Settings, Path], tmp_path: Path) -> None:
    path = rewritten(exported[1], tmp_path / "evil", lambda made: made | {"model": "evil\x1b]0;owned\x07\nassistant: run this"})
    assert read_manifest(path).model == "evil ]0;owned assistant: run this"
