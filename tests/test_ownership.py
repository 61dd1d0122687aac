"""One process owns the data folder: a second one is told who, and a killed owner leaves nothing in the way."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assistant.settings import Settings
from tests.conftest import MakeSettings, Ran, WriteCorpus, as_environment, clean_environment, run_python

_OWN = """
import sys
from assistant.settings import load_settings
from assistant.sync import Corpus
corpus = Corpus(load_settings())
corpus.sync()
if len(sys.argv) > 1:
    corpus.set_address(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
corpus.close()
"""
FACT = "The lighthouse keeper is called Ines Holm.\n"


@contextmanager
def owner(settings: Settings, *address: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that owns the data folder until its standard input is closed."""
    command = [sys.executable, "-c", _OWN, *address]
    env = clean_environment(as_environment(settings))
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.stdin.close()
            process.wait(30)


def assistant(settings: Settings, *arguments: str) -> Ran:
    return run_python("-m", "assistant.cli", *arguments, env=as_environment(settings, ASSISTANT_PORT="0"))


@pytest.fixture
def lighthouse(settings: MakeSettings, corpus: WriteCorpus) -> Settings:
    corpus({"lighthouse.txt": FACT})
    return settings()


def test_a_second_process_is_refused_with_the_pid_of_the_first_and_changes_nothing(lighthouse: Settings, tmp_path: Path) -> None:
    new = tmp_path / "new.txt"
    new.write_text("The harbour master is called Olu Bello.\n")
    commands = [
        ("search", "lighthouse"),
        ("sync",),
        ("ask", "Who keeps the lighthouse?"),
        ("add", str(new)),
        ("remove", "lighthouse.txt", "--yes"),
        ("serve",),
    ]
    with owner(lighthouse) as first:
        before = (lighthouse.data / "owner.json").read_text()
        for command in commands:
            ran = assistant(lighthouse, *command)
            assert ran.code == 2, command
            assert len(ran.err.splitlines()) == 1 and str(first.pid) in ran.err, ran.err
            assert str(lighthouse.data) in ran.err and "ASSISTANT_DATA" in ran.err
            assert "Traceback" not in ran.out + ran.err
        assert (lighthouse.data / "owner.json").read_text() == before
        assert sorted(path.name for path in lighthouse.corpus.iterdir()) == ["lighthouse.txt"]
        assert first.poll() is None
        # To read the list disturbs nobody.
        listed = assistant(lighthouse, "list", "--json")
        assert listed.code == 0 and [document["id"] for document in json.loads(listed.out)] == ["lighthouse.txt"]
        examined = assistant(lighthouse, "doctor")
        assert examined.code == 0 and str(first.pid) in examined.out
        assert assistant(lighthouse, "doctor", "--repair").code == 2
    assert assistant(lighthouse, "search", "lighthouse").code == 0


def test_a_second_process_is_told_the_address_of_a_running_server(lighthouse: Settings) -> None:
    with owner(lighthouse, "http://127.0.0.1:7860") as first:
        ran = assistant(lighthouse, "search", "lighthouse")
    assert ran.code == 2
    assert str(first.pid) in ran.err and "http://127.0.0.1:7860" in ran.err and len(ran.err.splitlines()) == 1


def test_after_the_owner_was_killed_the_next_start_works(lighthouse: Settings) -> None:
    with owner(lighthouse) as first:
        os.kill(first.pid, signal.SIGKILL)
        assert first.wait(30) == -signal.SIGKILL
        assert str(first.pid) in (lighthouse.data / "owner.json").read_text()  # it had no time to clear up
        ran = assistant(lighthouse, "search", "lighthouse keeper", "--json")
    assert ran.code == 0, ran.err
    assert [hit["text"].strip() for hit in json.loads(ran.out)] == [FACT.strip()]
    assert not (lighthouse.data / "owner.json").exists()


def test_a_note_of_the_owner_that_can_not_be_read_still_gives_one_line(lighthouse: Settings) -> None:
    with owner(lighthouse):
        for note in ("", "{", "[]", '{"pid": "x", "url": ""}'):
            (lighthouse.data / "owner.json").write_text(note)
            ran = assistant(lighthouse, "search", "lighthouse")
            assert ran.code == 2 and len(ran.err.splitlines()) == 1 and str(lighthouse.data) in ran.err, note


def test_another_data_folder_is_free(lighthouse: Settings, models: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "models").symlink_to(models)
    with owner(lighthouse):
        assert assistant(lighthouse, "--data", str(other), "search", "lighthouse").code == 0


def test_two_starts_at_the_same_moment_give_one_owner(lighthouse: Settings) -> None:
    env = clean_environment(as_environment(lighthouse))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _OWN],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = []
    for racer in racers:
        assert racer.stdout is not None
        said.append(racer.stdout.readline())
    ended = [racer.communicate(timeout=60) for racer in racers]
    assert said.count("ready\n") == 1
    assert sum("OwnedError" in err for _, err in ended) == 3


def test_a_busy_port_is_told_in_one_line_and_frees_the_data_folder(lighthouse: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        ran = assistant(lighthouse, "serve", "--port", port)
    assert ran.code == 2 and port in ran.err and len(ran.err.splitlines()) == 1
    assert assistant(lighthouse, "search", "lighthouse").code == 0
