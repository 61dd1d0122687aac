"""The command line as a user runs it: in a process of its own."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import pytest

from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import ROOT, Ran, as_environment, clean_environment, run_python
from tests.scripted_server import Finish, ScriptedServer, Used, serving, stream


class Cli:
    """Runs `assistant` on one corpus."""

    def __init__(self, settings: Settings, **env: str) -> None:
        self.settings = settings
        self._env = as_environment(settings, **env)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "assistant.cli", *arguments],
            env=clean_environment(self._env),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> Ran:
        return run_python("-m", "assistant.cli", *arguments, env=self._env)


@pytest.fixture
def cli(settings: Callable[..., Settings]) -> Cli:
    options = settings()
    (options.corpus / "bees.md").write_text("# Bees\n\nHoney bees dance to show where flowers are.", encoding="utf-8")
    return Cli(options)


def test_search_prints_json_best_first_with_exact_spans(cli: Cli) -> None:
    (cli.settings.corpus / "tides.txt").write_text("The moon pulls the sea.", encoding="utf-8")
    ran = cli("search", "--json", "-k", "2", "How do bees show flowers?")
    assert (ran.code, ran.err) == (0, "")
    hits = json.loads(ran.out)
    assert list(hits[0]) == ["document", "title", "heading", "page", "start", "end", "score", "gist", "text"]
    assert [hit["document"] for hit in hits] == ["bees.md", "tides.txt"]
    source = (cli.settings.corpus / "bees.md").read_text(encoding="utf-8")
    assert source[hits[0]["start"] : hits[0]["end"]] == hits[0]["text"]


def test_a_question_needs_no_quotation_marks(cli: Cli) -> None:
    quoted, bare = cli("search", "-k", "1", "bees show flowers"), cli("search", "bees", "show", "flowers", "-k", "1")
    assert (bare.code, bare.err, bare.out) == (0, "", quoted.out) and "Honey bees" in bare.out


def test_list_sync_add_and_remove(cli: Cli, tmp_path: Path) -> None:
    assert json.loads(cli("sync", "--json").out)["done"] == 1
    good, bad = tmp_path / "good.md", tmp_path / "bad.pdf"
    good.write_text("# Good\n\nA good file.", encoding="utf-8")
    bad.write_bytes(b"%PDF-1.4 nothing")
    ran = cli("add", "--json", str(good), str(bad))
    assert ran.code == 1
    assert [result["ok"] for result in json.loads(ran.out)] == [True, False]
    assert ran.err.count("\n") == 1
    assert "bad.pdf" in ran.err
    assert [row["id"] for row in json.loads(cli("list", "--json").out)] == ["bees.md", "good.md"]
    refused = cli("remove", "good.md")
    assert (refused.code, (cli.settings.corpus / "good.md").exists()) == (2, True)
    assert cli("remove", "--yes", "good.md").code == 0
    assert not (cli.settings.corpus / "good.md").exists()


def test_add_tells_when_the_name_was_taken(cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "bees.md"
    other.write_text("# Mason bees\n\nThey live alone.", encoding="utf-8")
    told = cli("add", str(other)).out
    assert told.count("\n") == 1
    assert "bees.md is there already with other content, so this one was added as bees (2).md;" in told
    other.write_text("# Carder bees\n\nThey card wool.", encoding="utf-8")
    [row] = json.loads(cli("add", "--json", str(other)).out)
    assert (row["id"], row["instead_of"]) == ("bees (3).md", "bees.md")


def test_a_failed_file_is_one_line_and_exit_code_1(cli: Cli) -> None:
    (cli.settings.corpus / "empty.md").write_bytes(b"")
    ran = cli("sync")
    assert ran.code == 1
    assert ran.err == "assistant: empty.md was not indexed: it is empty.\n"
    assert ran.out.startswith("1 new, 0 changed, 0 moved, 0 same as another, 0 removed, 1 failed, 0 unchanged; 1 chunk in ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "   "),
        ("search", "-k", "0", "bees"),
        ("ask", ""),
        ("ask", "why " * 30_000),
        ("add", ""),
        ("remove", "--yes", "unknown.md"),
        ("show", "unknown.md"),
        ("--corpus", "/nowhere/at/all", "sync"),
        ("--data", "/proc/nothing", "sync"),
        ("serve", "--host", "0.0.0.0"),
        ("fly",),
        (),
    ],
)
def test_a_mistake_of_the_caller_is_exit_code_2_without_a_traceback(cli: Cli, arguments: tuple[str, ...]) -> None:
    ran = cli(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "Traceback" not in ran.err
    if arguments and arguments[0] != "fly":
        assert ran.err.startswith("assistant: ")
        assert ran.err.count("\n") == 1


def test_a_dry_run_tells_what_a_sync_would_do_and_writes_nothing(cli: Cli) -> None:
    corpus, data = cli.settings.corpus, cli.settings.data
    for name in ("old.md", "tides.md", "gone.md"):
        (corpus / name).write_text(f"# {name}\n\nThe text of {name}.", encoding="utf-8")
    before = sorted(data.iterdir())
    ran = cli("sync", "--dry-run")
    assert (ran.code, ran.err, sorted(data.iterdir())) == (0, "", before)
    assert ran.out.splitlines()[-1] == "4 new, 0 changed, 0 moved, 0 same as another, 0 removed, 0 unchanged."
    assert cli("sync").code == 0
    (corpus / "copy.md").write_bytes((corpus / "bees.md").read_bytes())
    (corpus / "old.md").rename(corpus / "\x1b[31mnew\u202e.md".replace("\x1b", ""))
    (corpus / "tides.md").write_text("other", encoding="utf-8")
    (corpus / "gone.md").unlink()
    (corpus / "fresh.md").write_text("fresh", encoding="utf-8")
    held = data / "catalog.sqlite3"
    content = held.read_bytes()
    with closing(Corpus(cli.settings)):  # another process owns the data folder
        ran = cli("sync", "--dry-run")
        made = json.loads(cli("sync", "--dry-run", "--json").out)
    assert ran.code == 0 and held.read_bytes() == content
    assert ran.out.splitlines() == [
        "new      fresh.md",
        "changed  tides.md",
        "moved    old.md -> [31mnew�.md",
        "same     copy.md (as bees.md)",
        "removed  gone.md",
        "1 new, 1 changed, 1 moved, 1 same as another, 1 removed, 1 unchanged.",
    ]
    assert (made["new"], made["same"], made["removed"]) == (["fresh.md"], {"copy.md": "bees.md"}, ["gone.md"])
    ran = cli("sync")
    assert ran.out.startswith("1 new, 1 changed, 1 moved, 1 same as another, 1 removed, 0 failed, 1 unchanged; ")


def test_a_corpus_folder_that_leads_nowhere_is_a_mistake_and_what_is_known_can_still_be_listed(cli: Cli) -> None:
    cli("sync")
    moved = cli.settings.corpus.with_name("moved")
    cli.settings.corpus.rename(moved)
    cli.settings.corpus.symlink_to(moved)
    assert cli("sync").code == 0
    moved.rename(moved.with_name("away"))
    ran = cli("sync", "--dry-run")
    assert ran.code == 2 and "does not exist" in ran.err
    assert [row["id"] for row in json.loads(cli("list", "--json").out)] == ["bees.md"]


def test_show_prints_the_receipt_the_text_and_the_chunks(cli: Cli) -> None:
    corpus = cli.settings.corpus
    text = "# Bees\n\nHoney bees dance.\n\n## Night\n\nBees sleep\x9b2J at night.\u202e " + 50 * "They hum. "
    (corpus / "bees.md").write_text(text, encoding="utf-8")
    (corpus / "copy of bees.md").write_text(text, encoding="utf-8")
    (corpus / "empty.md").write_bytes(b"")
    with ZipFile(corpus / "pack.zip", "w") as pack:
        pack.writestr("in.md", "Wasps build with paper.")
    cli("sync")
    with closing(Corpus(cli.settings)):
        ran = cli("show", "bees.md", "--text", "--chunks")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "bees.md" and "  title        Bees" in lines and "  also as      copy of bees.md" in lines
    assert "  type         md" in lines and f"  size         {len(text.encode()):,} bytes" in lines
    assert any(line.startswith("Bees sleep2J at night. They hum.") for line in lines)  # in the text
    [chunk] = [line for line in lines if line.startswith("┌")]
    assert "chunk 1 of 1, characters 0 to " in chunk and "│ Honey bees dance." in lines and lines[-1].startswith("└")
    assert "\x9b" not in ran.out and "\u202e" not in ran.out
    shown = json.loads(cli("show", "copy of bees.md", "--json", "--text", "--chunks").out)
    assert (shown["id"], shown["copies"], shown["address"], shown["chunks"]) == ("bees.md", ["copy of bees.md"], None, 1)
    assert "Honey bees dance." in shown["text"] and shown["chunk_list"][0]["text"] == shown["text"].strip()
    part = cli("show", "pack.zip/in.md").out.splitlines()  # the archive's size is not its own
    assert "  lies in      pack.zip" in part and not any(line.startswith("  size") for line in part)
    assert "  not indexed  it is empty" in cli("show", "empty.md").out.splitlines()
    for wrong, close in (("bee.md", "did you mean 'bees.md'"), ("x\x1b[31m", "'assistant list' shows their names")):
        ran = cli("show", wrong)
        assert (ran.code, ran.out) == (2, "") and close in ran.err and "\x1b" not in ran.err


def test_list_tells_copies_and_warnings_and_reads_while_another_process_writes(cli: Cli) -> None:
    corpus = cli.settings.corpus
    (corpus / "copy.md").write_bytes((corpus / "bees.md").read_bytes())
    for n in range(40):
        (corpus / f"{n:02}.md").write_text(f"# Note {n}\n\n" + f"Fact {n} is about island {n}. " * 800, encoding="utf-8")
    syncing = cli.start("sync")
    seen = []
    try:
        while syncing.poll() is None:
            ran = cli("list", "--json")
            assert (ran.code, ran.err) == (0, "") or "earlier version" in ran.err, ran.err
            seen.append(len(json.loads(ran.out or "[]")))
    finally:
        syncing.kill()
        syncing.communicate()
    assert seen == sorted(seen) and any(0 < count < 41 for count in seen), seen
    assert "bees.md: Bees (1 chunk, " in cli("list").out and "; also as copy.md" in cli("list").out
    row = next(row for row in json.loads(cli("list", "--json").out) if row["id"] == "bees.md")
    assert row["copies"] == ["copy.md"] and {"size", "seconds", "language", "warnings", "reason", "file"} <= row.keys()


def test_ctrl_c_stops_a_sync_which_keeps_what_is_done_and_goes_on_there(cli: Cli) -> None:
    for n in range(60):
        (cli.settings.corpus / f"{n:02}.md").write_text(
            f"# Note {n}\n\n" + f"Fact {n} is about island {n}. " * 800, encoding="utf-8"
        )
    syncing = cli.start("sync")
    while not (rows := json.loads(cli("list", "--json").out or "[]")):
        assert syncing.poll() is None
    syncing.send_signal(signal.SIGINT)
    out, err = syncing.communicate(timeout=120)
    assert syncing.returncode == 130 and "the next sync goes on there" in err and "Traceback" not in err
    assert 0 < int(out.split()[0]) < 61 and out.split()[1] == "new,"
    kept = len(json.loads(cli("list", "--json").out))
    assert len(rows) <= kept == int(out.split()[0])
    rest = json.loads(cli("sync", "--json").out)
    assert (rest["unchanged"], rest["new"], rest["stopped"], rest["over"]) == (kept, 61 - kept, False, True)


def test_addresses_and_paths_can_be_added_together_and_those_of_this_machine_are_refused(cli: Cli, tmp_path: Path) -> None:
    good = tmp_path / "good.md"
    good.write_text("# Good\n\nA good file.", encoding="utf-8")
    ran = cli("add", "http://127.0.0.1:9999/page", str(good), "ftp://example.com/x")
    assert ran.code == 1 and ran.out.startswith("good.md: ")
    assert [line.split(" was not indexed: ")[0] for line in ran.err.splitlines()] == [
        "assistant: http://127.0.0.1:9999/page",
        "assistant: ftp://example.com/x",
    ]
    assert sorted(path.name for path in cli.settings.corpus.iterdir()) == ["bees.md", "good.md"]


@pytest.fixture
def endpoint() -> Iterator[ScriptedServer]:
    yield from serving()


def test_ask_prints_the_answer_with_its_sources(cli: Cli) -> None:
    ran = cli("ask", "--json", "What do honey bees do to show where flowers are?")
    assert ran.code == 0, ran.err
    answer = json.loads(ran.out)
    assert not answer["refused"]
    assert answer["answer"].endswith("[1]")
    assert answer["found"] == "1 of 1 statement found in the sources"
    [statement] = answer["statements"]
    assert (statement["mark"], statement["citation"], statement["differs"]) == ("supported", 1, []) and statement["support"] > 0.5
    assert answer["answer"][statement["start"] : statement["end"]] == statement["text"]
    assert answer["citations"][0]["document"] == "bees.md"
    assert answer["citations"][0]["quote"] == "Honey bees dance to show where flowers are."
    assert 0 < answer["seconds_to_first_token"] <= answer["seconds"]
    assert answer["passages"][0]["document"] == "bees.md"


def test_ask_with_an_endpoint_that_is_down_keeps_the_passages_and_exits_with_1(settings: Callable[..., Settings]) -> None:
    options = settings()
    (options.corpus / "bees.md").write_text("# Bees\n\nHoney bees dance to show where flowers are.", encoding="utf-8")
    down = Cli(options, OPENAI_BASE_URL="http://127.0.0.1:9/v1", ASSISTANT_CHAT_MODEL="m")
    ran = down("ask", "--json", "What do bees do?")
    assert ran.code == 1
    answer = json.loads(ran.out)
    assert "can't be reached" in answer["note"]
    assert answer["passages"][0]["document"] == "bees.md"
    assert answer["quoted"] and answer["answer"] == "Honey bees dance to show where flowers are. [1]"


def test_without_a_language_model_ask_quotes_and_no_model_file_is_made(settings: Callable[..., Settings], tmp_path: Path) -> None:
    options = settings()
    (options.corpus / "bees.md").write_text("# Bees\n\nHoney bees dance to show where flowers are.", encoding="utf-8")
    quoting = Cli(options, ASSISTANT_CHAT_MODEL="extractive")
    ran = quoting("ask", "What do bees do to show flowers?")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "Honey bees dance to show where flowers are. [1]"), ran.err
    assert re.fullmatch(r"1 passage found · \d+\.\d s\n", ran.err)
    assert "ok   language model: none is used" in quoting("doctor").out
    own = tmp_path / "own"  # only the embedding model is made in a fresh data folder
    own.mkdir()
    assert quoting("--data", str(own), "ask", "What do bees do to show flowers?").code == 0
    assert not list(own.rglob("*.gguf"))


def test_ask_prints_what_it_cost(settings: Callable[..., Settings], endpoint: ScriptedServer) -> None:
    options = settings()
    (options.corpus / "bees.md").write_text("# Bees\n\nHoney bees dance to show where flowers are.", encoding="utf-8")
    prices = {"ASSISTANT_PRICE_IN": "0.5", "ASSISTANT_PRICE_OUT": "2", "ASSISTANT_CURRENCY": "EUR"}
    asking = Cli(options, OPENAI_BASE_URL=endpoint.url, ASSISTANT_CHAT_MODEL="m", **prices)
    endpoint.play(stream("Honey bees dance ", "to show where flowers are.", Finish(used=Used(1000, 50, 200))))
    ran = asking("ask", "What do bees do to show flowers?")
    assert ran.code == 0
    assert re.search(r"1 passage found, 1 read · 1,000 tokens in, 50 out · \d+\.\d s(, \d+ tokens/s)? · m · €0\.00060\n", ran.err)
    usage = json.loads(asking("ask", "--json", "What do bees do to show flowers?").out)["usage"]
    assert (usage["prompt_tokens"], usage["answer_tokens"], usage["cached_tokens"], usage["money"]) == (1000, 50, 200, 0.0006)


def test_sync_goes_on_telling_of_what_cannot_be_read_and_remove_of_copies(cli: Cli) -> None:
    (cli.settings.corpus / "empty.md").write_bytes(b"")
    (cli.settings.corpus / "copy.md").write_bytes((cli.settings.corpus / "bees.md").read_bytes())
    assert cli("sync").code == 1
    again = cli("sync")
    assert again.code == 0 and "1 file from before can't be read: 'assistant list' tells why." in again.out
    assert "There is no file called" in cli("remove", "nothing.md").err
    removed = cli("remove", "bees.md", "--yes")
    assert removed.out == "bees.md was deleted. The same text stays as copy.md.\n"


def test_doctor_finds_all_in_order_and_names_what_is_not(cli: Cli) -> None:
    cli("sync")
    ran = cli("doctor", "--json")
    assert ran.code == 0, ran.out
    (cli.settings.corpus / "empty.md").write_bytes(b"")
    cli("sync")
    ran = cli("doctor")
    assert ran.code == 0 and "note empty.md: not indexed: it is empty" in ran.out
    shutil.rmtree(cli.settings.data / "index")
    ran = cli("doctor")
    assert ran.code == 1 and re.search(r"^FAIL index: .* is missing", ran.out, re.M)


def test_evals_take_the_folders_before_the_command(cli: Cli, tmp_path: Path) -> None:
    for folders in (["--data", str(tmp_path / "other")], [f"--data={tmp_path / 'other'}", "--corpus", str(tmp_path)]):
        ran = cli(*folders, "eval", "history")
        assert ran.code == 2 and str(tmp_path / "other") in ran.err and "Traceback" not in ran.err
