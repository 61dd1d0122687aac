import os
import socket
from pathlib import Path

import pytest

from assistant.documents import Document, Heading, clean_line, corpus_files, load_document
from assistant.errors import DocumentError

LIMIT = 50_000_000
STARTER = Path(__file__).parents[1] / "corpus"


def load(folder: Path, name: str, data: bytes) -> Document:
    path = folder / name
    path.write_bytes(data)
    return load_document(path, name, LIMIT)


def test_the_starter_corpus_loads_with_titles_headings_and_pages() -> None:
    documents = {id: load_document(path, id, LIMIT) for id, path in corpus_files(STARTER)}
    briefing = documents["export-controls-briefing.pdf"]
    assert len(briefing.pages) >= 3
    assert briefing.title == "Export controls and the efficiency race: a briefing"
    zhang = briefing.text.index("Marina Zhang is an associate professor")
    assert briefing.page_at(zhang) == 2
    assert "Zhang" in briefing.heading_at(zhang)
    page = documents["r1-and-v3.html"]
    assert page.title == "R1 and DeepSeek-V3: the claims and the doubts"
    assert [heading.level for heading in page.headings][:2] == [1, 2]
    assert all(document.headings for document in documents.values())


def test_html_gives_the_main_text_without_menus_scripts_and_styles(tmp_path: Path) -> None:
    body = "<p>The main story is told here in enough words to be taken for the article itself, not for a menu.</p>" * 4
    page = f"""<html><head><title>T</title><style>p{{color:red}}</style></head><body><nav><a href=/>Home</a><a href=/x>Login</a></nav>
    <main><article><h1>Story</h1>{body}<table><tr><th>Year</th><th>Sum</th></tr><tr><td>2024</td><td>7</td></tr></table></article></main>
    <script>alert(1)</script><footer>Imprint</footer></body></html>"""
    document = load(tmp_path, "a.html", page.encode())
    assert document.title == "Story"
    assert "main story" in document.text
    assert "2024" in document.text
    for unwanted in ("Login", "alert", "color:red", "Imprint"):
        assert unwanted not in document.text


def test_markdown_keeps_its_text_and_finds_both_kinds_of_headings(tmp_path: Path) -> None:
    source = "---\ntitle: Front\n---\n# One *two*\n\ntext\n\nThree\n-----\n\n```\n# no heading\n```\n"
    document = load(tmp_path, "a.md", source.encode())
    assert document.title == "Front"
    assert [(heading.level, heading.text) for heading in document.headings] == [(1, "One two"), (2, "Three")]
    for heading in document.headings:
        assert source[heading.start :].lstrip("# ").startswith(heading.text.split()[0])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("\ufeffbyte order mark".encode(), "byte order mark"),
        ("Grüße – £5".encode("utf-16"), "Grüße – £5"),
        ("café naïve £5".encode("cp1252"), "café naïve £5"),
        (b"two\r\nlines\rhere", "two\nlines\nhere"),
        (
            b"a nul \x00 is dropped from a longer line of text, where one such sign is rare enough to be no more than a slip of the pen",
            "a nul  is",
        ),
    ],
)
def test_text_is_decoded(tmp_path: Path, data: bytes, expected: str) -> None:
    assert load(tmp_path, "a.txt", data).text.startswith(expected)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.md", b" \n\t\n", "empty"),
        ("a.txt", bytes(range(32)) * 50, "binary"),
        ("a.pdf", b"%PDF-1.7 broken", "damaged"),
        ("a.html", b"<html><body><script>1</script></body></html>", "no text"),
        ("a.xyz", b"text", "not supported"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        load(tmp_path, name, data)


def test_a_truncated_pdf_says_why(tmp_path: Path) -> None:
    whole = (STARTER / "export-controls-briefing.pdf").read_bytes()
    for share in (0.2, 0.6, 0.9):
        try:
            document = load(tmp_path, "cut.pdf", whole[: int(len(whole) * share)])
        except DocumentError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert document.text.strip()


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    with path.open("wb") as file:
        file.truncate(2_000_000)
    with pytest.raises(DocumentError, match="over the limit"):
        load_document(path, "big.txt", 1_000_000)


def test_pipes_and_missing_files_say_why_and_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DocumentError, match="regular file"):
        load_document(tmp_path / "pipe.txt", "pipe.txt", LIMIT)
    with pytest.raises(DocumentError, match="can't be opened"):
        load_document(tmp_path / "none.txt", "none.txt", LIMIT)


def test_hidden_files_and_links_out_of_the_folder_are_passed_over(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "sub").mkdir(parents=True)
    (corpus / ".git").mkdir()
    for name in ("a.md", "sub/b.TXT", ".hidden.md", ".git/c.md", "d.bin"):
        (corpus / name).write_text("x")
    (tmp_path / "secret.txt").write_text("secret")
    (corpus / "link.txt").symlink_to(tmp_path / "secret.txt")
    (corpus / "inside.md").symlink_to(corpus / "a.md")
    assert [id for id, _ in corpus_files(corpus)] == ["a.md", "inside.md", "sub/b.TXT"]


def test_links_in_circles_and_to_folders_and_devices_are_passed_over_or_refused(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "sub").mkdir(parents=True)
    (corpus / "sub" / "a.md").write_text("x")
    (corpus / "sub" / "up").symlink_to(corpus)
    (corpus / "same").symlink_to(corpus / "sub")
    (corpus / "one.md").symlink_to(corpus / "two.md")
    (corpus / "two.md").symlink_to(corpus / "one.md")
    (corpus / "zero.txt").symlink_to("/dev/zero")
    (corpus / "dangling.txt").symlink_to(tmp_path / "none.txt")
    files = dict(corpus_files(corpus))
    assert sorted(files) == ["one.md", "sub/a.md", "two.md"]
    for id in ("one.md", "two.md"):
        with pytest.raises(DocumentError, match="it is a link"):
            load_document(files[id], id, LIMIT)


def test_a_link_to_a_file_inside_is_read_and_a_link_given_by_path_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("words")
    (tmp_path / "link.md").symlink_to(tmp_path / "a.md")
    files = dict(corpus_files(tmp_path))
    assert load_document(files["link.md"], "link.md", LIMIT).text == "words"
    with pytest.raises(DocumentError, match="it is a link"):
        load_document(tmp_path / "link.md", "link.md", LIMIT)


def test_devices_sockets_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="regular file"):
        load_document(Path("/dev/zero"), "zero.txt", LIMIT)
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(DocumentError, match=r"regular file|can't be opened"):
        load_document(tmp_path / "folder.txt", "folder.txt", LIMIT)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.txt"))
        with pytest.raises(DocumentError, match="can't be opened"):
            load_document(tmp_path / "s.txt", "s.txt", LIMIT)


@pytest.mark.parametrize("name", ["new\nline.txt", "esc\x1b[31m.txt", "rtl\u202etxt.exe.txt", "latin-\udce9.txt"])
def test_a_name_that_cannot_be_shown_or_stored_is_listed_under_one_that_can_and_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("words")
    [(id, path)] = corpus_files(tmp_path)
    assert id.isprintable() and "\ufffd" in id
    id.encode()
    with pytest.raises(DocumentError, match="rename it"):
        load_document(path, id, LIMIT)
    with pytest.raises(DocumentError, match="rename it"):
        load_document(tmp_path / "nul\0byte.txt", "nul.txt", LIMIT)


def test_odd_but_harmless_names_and_long_paths_are_read(tmp_path: Path) -> None:
    names = [
        "CON.txt",
        "~.txt",
        "$(touch x).txt",
        "%2e%2e%2f.txt",
        "a\\b.txt",
        "ü" * 125 + ".txt",
        "x" * 251 + ".txt",
        "😀 שלום.md",
    ]
    deep = tmp_path.joinpath(*["d" * 200] * 5)
    deep.mkdir(parents=True)
    for name in names:
        (tmp_path / name).write_text("words")
    (deep / "deep.txt").write_text("words")
    os.link(tmp_path / "CON.txt", tmp_path / "hard link.txt")
    files = dict(corpus_files(tmp_path))
    assert len(files) == len(names) + 2
    for id, path in files.items():
        assert load_document(path, id, LIMIT).text == "words"


def test_a_path_longer_than_the_system_takes_does_not_end_the_walk(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=here)
            below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
            os.close(os.open("f.txt", os.O_WRONLY | os.O_CREAT, dir_fd=here))
            os.symlink("f.txt", "l.txt", dir_fd=here)
    finally:
        os.close(here)
    (tmp_path / "a.md").write_text("words")
    assert "a.md" in dict(corpus_files(tmp_path))
    with pytest.raises(DocumentError, match="can't be opened"):
        load_document(tmp_path.joinpath(*["d" * 250] * 20, "f.txt"), "f.txt", LIMIT)


def test_text_of_many_millions_of_characters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"5\.1 million characters of text, over the limit of 5; split it"):
        load(tmp_path, "a.txt", b"word " * 1_020_000)


def test_heading_paths_of_many_headings() -> None:
    headings = tuple(Heading(10 * number, number % 6 + 1, f"h{number}") for number in range(100_000))
    document = Document("a.md", "h0", "x" * 1_000_000, headings, (), "0" * 64)
    assert document.heading_at(0) == ""
    assert document.heading_at(25) == "h1 › h2"
    assert document.heading_at(999_999) == "h99996 › h99997 › h99998 › h99999"
    assert Document("a.md", "T", "x" * 9, (Heading(5, 3, "c"), Heading(7, 2, "b")), (), "").heading_at(8) == "b"
    assert Document("a.md", "T", "x" * 9, (Heading(5, 3, "c"),), (), "").heading_at(4) == ""


def test_lines_for_people_have_no_control_or_direction_characters() -> None:
    assert clean_line("a\nb\x00\u202ecod.exe\u200b ") == "a b cod.exe"
    assert len(clean_line("x" * 500)) == 120


def test_pictures_are_documents_only_where_they_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scan.png").write_bytes(b"x")
    (tmp_path / "note.md").write_text("Note")
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    assert [id for id, _ in corpus_files(tmp_path)] == ["note.md"]
    program = programs / "tesseract"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert [id for id, _ in corpus_files(tmp_path)] == ["note.md", "scan.png"]
