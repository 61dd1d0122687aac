"""The command line as a user runs it: in a process of its own."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assistant.settings import Settings
from tests.conftest import Ran, as_environment, run_python
from tests.scripted_server import Finish, ScriptedServer, Used, serving, stream


class Cli:
    """Runs `assistant` on one corpus."""

    def __init__(self, settings: Settings, **env: str) -> None:
        self.settings = settings
        self._env = as_environment(settings, **env)

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
    bad.write_bytes(b"no pdf")
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


def test_a_failed_file_is_one_line_and_exit_code_1(cli: Cli) -> None:
    (cli.settings.corpus / "empty.md").write_bytes(b"")
    ran = cli("sync")
    assert ran.code == 1
    assert ran.err == "assistant: empty.md was not indexed: it is empty.\n"
    assert "1 files indexed" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "   "),
        ("search", "-k", "0", "bees"),
        ("ask", ""),
        ("ask", "why " * 30_000),
        ("remove", "--yes", "unknown.md"),
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


def test_doctor_finds_all_in_order_and_names_what_is_not(cli: Cli) -> None:
    cli("sync")
    ran = cli("doctor", "--json")
    assert ran.code == 0, ran.out
    (cli.settings.corpus / "empty.md").write_bytes(b"")
    cli("sync")
    ran = cli("doctor")
    assert ran.code == 1
    assert "FAIL empty.md: not indexed: it is empty" in ran.out


def test_evals_take_the_folders_before_the_command(cli: Cli, tmp_path: Path) -> None:
    for folders in (["--data", str(tmp_path / "other")], [f"--data={tmp_path / 'other'}", "--corpus", str(tmp_path)]):
        ran = cli(*folders, "eval", "history")
        assert ran.code == 2 and str(tmp_path / "other") in ran.err and "Traceback" not in ran.err
