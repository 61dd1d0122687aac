"""What the server gives away, asked over real HTTP (rows S2, S5 and S7 of what was measured for Gradio)."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from assistant.sync import Corpus
from tests.conftest import as_environment, run_python, settings_in
from tests.scripted_server import ScriptedServer, serving
from tests.serving import App, running


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedServer]:
    yield from serving()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, models: Path, model: ScriptedServer) -> Iterator[App]:
    options = settings_in(tmp_path_factory.mktemp("server"), models, {})
    (options.corpus / "secret.md").write_text("# Secret\n\nThe tin opener hangs behind the door.", encoding="utf-8")
    with running(options, OPENAI_BASE_URL=model.url, OPENAI_API_KEY="s3cret-key") as started:
        yield started


@pytest.fixture
def client(app: App) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, trust_env=False, timeout=30) as client:
        yield client


def test_the_page_is_served_with_safe_headers(client: httpx.Client) -> None:
    reply = client.get("/")
    assert reply.status_code == 200
    policy = reply.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "../../../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "file:///etc/passwd",
        "//etc/passwd",
        "http://127.0.0.1:1/",
        "HTTP://127.0.0.1:1/",
        "https://example.com/",
        "https%3A%2F%2Fexample.com",
        "http://[::1]/",
        "http://2130706433/",
        "http://169.254.169.254/latest/meta-data",
        "CATALOG",
        "CORPUS",
        "SOURCE",
    ],
)
@pytest.mark.parametrize("route", ["/gradio_api/file=", "/file=", "//gradio_api//file="])
def test_no_file_and_no_address_is_fetched_for_a_visitor(
    app: App, client: httpx.Client, route: str, target: str, tmp_path: Path
) -> None:
    own = Path(__file__).parents[1]
    target = (
        target.replace("SOURCE", str(own / "assistant" / "cli.py"))
        .replace("CORPUS", "secret.md")
        .replace("CATALOG", "catalog.sqlite3")
    )
    reply = client.get(f"{route}{target}")
    assert reply.status_code in (403, 404)
    for leaked in ("root:", "tin opener", "SQLite format", "argparse"):
        assert leaked not in reply.text


@pytest.mark.parametrize(
    "path", ["/gradio_api/runs", "/openapi.json", "/docs", "/redoc", "/monitoring", "/gradio_api/proxy=http://127.0.0.1:1/"]
)
def test_routes_that_the_page_does_not_need_are_closed(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in (403, 404)


def test_no_setting_key_or_path_stands_in_what_everyone_may_read(app: App, client: httpx.Client) -> None:
    for path in ("/", "/config", "/gradio_api/info", "/gradio_api/startup-events", "/theme.css"):
        text = client.get(path).text
        for word in ("s3cret-key", "tin opener", "/corpus", "catalog.sqlite3"):
            assert word not in text, (path, word)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "127.0.0.1:1", ""])
def test_a_name_pointed_at_this_machine_is_not_served(app: App, client: httpx.Client, host: str) -> None:
    assert client.get("/", headers={"Host": host.format(port=app.port)}).status_code in (400, 403)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"])
def test_another_site_can_neither_read_nor_act(client: httpx.Client, origin: str) -> None:
    reply = client.post("/gradio_api/queue/join", json={"data": [], "fn_index": 0, "session_hash": "x"}, headers={"Origin": origin})
    assert reply.status_code == 403
    if not origin.startswith("http://127.0.0.1"):  # Gradio trusts every port of this machine; the guard does not
        assert "access-control-allow-origin" not in reply.headers


def test_a_body_of_megabytes_is_refused(client: httpx.Client) -> None:
    assert client.post("/gradio_api/queue/join", content=b"x" * 9_000_000).status_code == 413
    assert client.post("/gradio_api/cancel", content=b"x" * 2_000_000).status_code == 413


def test_a_second_server_on_the_same_data_is_refused_with_the_address_of_the_first(app: App, tmp_path: Path, models: Path) -> None:
    other = settings_in(tmp_path, models, {})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = run_python("-m", "assistant.cli", "serve", "--port", str(taken.getsockname()[1]), env=as_environment(other))
    assert ran.code == 2
    assert ran.err.startswith("assistant: Port ")
    assert ran.err.count("\n") == 1


def test_the_page_does_not_wait_for_a_long_indexing_which_ends_when_the_app_is_ended(tmp_path: Path, models: Path) -> None:
    options = settings_in(tmp_path, models, {})
    for n in range(300):
        text = " ".join(f"Fact {n}-{m} is about island {n * m} and its {m} lighthouses." for m in range(300))
        (options.corpus / f"{n:03}.md").write_text(f"# Note {n}\n\n{text}", encoding="utf-8")
    with running(options, ASSISTANT_CHAT_MODEL="extractive") as started:
        with httpx.Client(base_url=started.url, trust_env=False, timeout=30) as client:
            assert client.get("/").status_code == 200
        assert not any("files read now" in line for line in started.lines)  # it goes on
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(30) == 0
    assert not any("Traceback" in line for line in started.lines), started.lines
    with closing(Corpus(options)) as corpus:
        done = len(corpus.documents())
        assert 0 < done < 300 and corpus.index.check()
        changes = corpus.changes()
        assert (len(changes.read), changes.unchanged) == (300 - done, done)


def test_the_app_follows_the_folder_while_it_runs(app: App, client: httpx.Client) -> None:
    (app.corpus / "late.md").write_text("# Late\n\nOtters hold hands.", encoding="utf-8")
    end = time.monotonic() + 60
    while not any(line.startswith("Synced: 1 new") for line in app.lines) and time.monotonic() < end:
        time.sleep(0.05)
    assert any(line.startswith("Synced: 1 new") for line in app.lines), app.lines


def test_nothing_that_was_asked_or_set_stands_in_the_log(app: App) -> None:
    assert all("s3cret" not in line and "Traceback" not in line for line in app.lines)
