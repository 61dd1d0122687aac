"""What the server gives away, asked over real HTTP (rows S2, S5 and S7 of what was measured for Gradio)."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

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
    assert client.post("/gradio_api/queue/join", content=b"x" * 2_000_000).status_code == 413


def test_a_second_server_on_the_same_data_is_refused_with_the_address_of_the_first(app: App, tmp_path: Path, models: Path) -> None:
    other = settings_in(tmp_path, models, {})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = run_python("-m", "assistant.cli", "serve", "--port", str(taken.getsockname()[1]), env=as_environment(other))
    assert ran.code == 2
    assert ran.err.startswith("assistant: Port ")
    assert ran.err.count("\n") == 1


def test_nothing_that_was_asked_or_set_stands_in_the_log(app: App) -> None:
    assert all("s3cret" not in line and "Traceback" not in line for line in app.lines)
