import json
import os
import threading
from pathlib import Path

import pytest

from assistant import addresses as notes
from assistant.addresses import Address, addresses, forget, keep, note, target
from assistant.documents import corpus_files
from assistant.errors import UserError
from assistant.web import Snapshot

NOTES = ".addresses.jsonl"


def snapshot(
    data: bytes = b"<p>first", url: str = "http://site.test/a", name: str = "a.html", at: str = "2026-01-02", final: str = ""
) -> Snapshot:
    return Snapshot(url, final or url, f"{at}T03:04:05+00:00", name, data)


def test_a_page_is_kept_under_its_host_with_its_address(tmp_path: Path) -> None:
    page = snapshot(final="https://www.site.test/b")
    path = keep(tmp_path, page)
    assert path == tmp_path / "web" / "www.site.test" / "a.html" and path.read_bytes() == page.data
    assert addresses(tmp_path) == {
        page.sha256: Address("http://site.test/a", "https://www.site.test/b", "2026-01-02T03:04:05+00:00")
    }
    assert [id for id, _ in corpus_files(tmp_path)] == ["web/www.site.test/a.html"]  # the notes are no document


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("http://site.test:8080/a", "site.test_8080"),
        ("http://xn--bcher-kva.test/a", "xn--bcher-kva.test"),
        ("http://[2606:4700::1111]:8443/a", "2606-4700--1111_8443"),
        ("http://a_b.test/a", "a_b.test"),
        ("http://-./a", "host"),
    ],
)
def test_every_host_makes_a_safe_folder(tmp_path: Path, url: str, folder: str) -> None:
    assert target(tmp_path, snapshot(url=url)) == tmp_path / "web" / folder / "a.html"


def test_a_changed_page_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    path = keep(tmp_path, snapshot(b"<p>first"))
    newer = snapshot(b"<p>second", at="2026-02-02")
    assert keep(tmp_path, newer) == path and path.read_bytes() == b"<p>second"
    assert list(addresses(tmp_path)) == [newer.sha256]
    assert sorted(os.listdir(path.parent)) == ["a.html"]


def test_an_unchanged_page_is_not_written_again(tmp_path: Path) -> None:
    path = keep(tmp_path, snapshot())
    before = path.stat()
    assert keep(tmp_path, snapshot(at="2026-02-02")) == path
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert [address.fetched_at[:10] for address in addresses(tmp_path).values()] == ["2026-02-02"]


def test_a_renamed_page_is_found_again_in_the_web_folder(tmp_path: Path) -> None:
    path = keep(tmp_path, snapshot())
    renamed = tmp_path / "web" / "mine" / "ridge.html"
    renamed.parent.mkdir()
    path.rename(renamed)
    assert keep(tmp_path, snapshot(b"<p>second")) == renamed and renamed.read_bytes() == b"<p>second"


def test_a_page_moved_out_of_the_web_folder_stays_and_keeps_its_address(tmp_path: Path) -> None:
    first = snapshot()
    moved = keep(tmp_path, first).rename(tmp_path / "archive.html")
    path = keep(tmp_path, snapshot(b"<p>second"))
    assert path.name == "a.html" and moved.read_bytes() == first.data
    assert {address.url for address in addresses(tmp_path).values()} == {"http://site.test/a"} and len(addresses(tmp_path)) == 2


def test_a_page_changed_by_hand_is_never_overwritten(tmp_path: Path) -> None:
    path = keep(tmp_path, snapshot())
    path.write_bytes(b"<p>mine")
    assert keep(tmp_path, snapshot(b"<p>second")).name == "a (2).html"
    assert path.read_bytes() == b"<p>mine"


def test_two_addresses_have_two_files_even_with_the_same_bytes(tmp_path: Path) -> None:
    first, second = snapshot(url="http://site.test/a?1"), snapshot(url="http://site.test/a?2")
    other = snapshot(url="http://site.test/b", name="b.html")
    paths = [keep(tmp_path, page) for page in (first, second, other)]
    assert [path.name for path in paths] == ["a.html", "a (2).html", "b.html"]
    assert addresses(tmp_path)[first.sha256].url == other.url  # the newest
    assert keep(tmp_path, snapshot(b"<p>second", url="http://site.test/b", name="b.html")) == paths[2]
    assert [path.read_bytes() for path in paths] == [b"<p>first", b"<p>first", b"<p>second"]
    assert addresses(tmp_path)[first.sha256].url == second.url


def test_a_page_of_another_format_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    path = keep(tmp_path, snapshot())
    paper = snapshot(b"%PDF-1.7", name="a.pdf")
    assert keep(tmp_path, paper) == path.with_suffix(".pdf")
    assert not path.exists() and list(addresses(tmp_path)) == [paper.sha256]


def test_a_removed_page_can_be_forgotten(tmp_path: Path) -> None:
    first, second = snapshot(), snapshot(b"<p>b", url="http://site.test/b")
    note(tmp_path, first)
    note(tmp_path, second)
    forget(tmp_path, first.sha256)
    assert list(addresses(tmp_path)) == [second.sha256]


def test_damaged_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    page = snapshot()
    note(tmp_path, page)
    line = json.loads((tmp_path / NOTES).read_text())
    wrong = [
        {**line, "sha256": "zz"},
        {**line, "url": "javascript:alert(1)"},
        {**line, "final_url": "http://ann:pw@site.test/"},
        {**line, "url": "http://site.test/\u202egpj.exe"},
        {**line, "fetched_at": "yesterday"},
        {**line, "url": 7},
        {key: value for key, value in line.items() if key != "url"},
        [1],
        None,
    ]
    lines = [
        json.dumps({**item, "sha256": "f" * 64} if isinstance(item, dict) and item["sha256"] != "zz" else item) for item in wrong
    ]
    lines += ["{", "\x00\xff", "[" * 100_000, (tmp_path / NOTES).read_text()[:50]]
    with (tmp_path / NOTES).open("a") as file:
        file.write("\n".join(lines))
    assert list(addresses(tmp_path)) == [page.sha256]
    note(tmp_path, snapshot(b"<p>b"))
    assert len((tmp_path / NOTES).read_text().splitlines()) == 2


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
def test_without_notes_there_are_no_addresses(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / NOTES).write_bytes(content)
    assert addresses(tmp_path) == {}
    forget(tmp_path, "0" * 64)
    assert (tmp_path / NOTES).exists() is (content is not None)


def test_the_notes_stay_bounded_and_the_newest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "_MAX_BYTES", 2000)
    pages = [snapshot(b"%d" % number) for number in range(30)]
    for page in pages:
        note(tmp_path, page)
    assert (tmp_path / NOTES).stat().st_size <= 2000
    left = list(addresses(tmp_path))
    assert 5 < len(left) < 30 and left == [page.sha256 for page in pages[-len(left) :]]
    (tmp_path / NOTES).write_bytes(b"x" * 5000 + b"\n" + (tmp_path / NOTES).read_bytes())
    assert pages[-1].sha256 in addresses(tmp_path)


def test_notes_written_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    pages = [snapshot(b"%d" % number, url=f"http://site.test/{number}") for number in range(24)]
    threads = [threading.Thread(target=(keep, note)[number % 2], args=(tmp_path, page)) for number, page in enumerate(pages)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {*addresses(tmp_path)} == {page.sha256 for page in pages}
    assert len(list((tmp_path / "web" / "site.test").iterdir())) == 12


def test_a_write_that_fails_leaves_the_notes_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = snapshot()
    note(tmp_path, first)

    def fail(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(UserError, match="No space left"):
            note(tmp_path, snapshot(b"<p>b"))
    assert list(addresses(tmp_path)) == [first.sha256]
    assert os.listdir(tmp_path) == [NOTES]


def test_a_folder_that_can_t_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "web").write_text("a file")
    with pytest.raises(UserError, match=r"can't be written to .*web"):
        keep(tmp_path, snapshot())


def test_nothing_is_written_through_a_link_out_of_the_corpus(tmp_path: Path) -> None:
    corpus, outside = tmp_path / "corpus", tmp_path / "outside"
    (corpus / "web").mkdir(parents=True)
    outside.mkdir()
    (corpus / "web" / "site.test").symlink_to(outside)
    with pytest.raises(UserError, match="leads out of the corpus folder"):
        keep(corpus, snapshot())
    assert os.listdir(outside) == []


def test_a_link_in_the_place_of_a_page_is_not_written_through(tmp_path: Path) -> None:
    page = snapshot()
    path = keep(tmp_path, page)
    elsewhere = path.rename(tmp_path / "elsewhere.html")
    path.symlink_to(elsewhere)
    assert keep(tmp_path, snapshot(b"<p>second")).name == "a (2).html"
    assert elsewhere.read_bytes() == page.data
