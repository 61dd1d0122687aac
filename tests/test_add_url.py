"""Pages of the web added to the corpus, from a real server on loopback, the one place that the tests allow."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from assistant.addresses import addresses
from assistant.hosts import Address
from assistant.receipts import FileResult
from assistant.settings import Settings
from assistant.sync import Corpus
from tests.conftest import as_environment, run_python

PAGE = "<!doctype html><meta charset=utf-8><title>The Ridge</title><main><h1>The Ridge</h1><p>The ridge is {} m high.</p></main>"


class Site(ThreadingHTTPServer):
    """A web server on a free port with the pages in `pages`: type and content by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Visit)
        self.pages: dict[str, tuple[str, bytes]] = {}

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Visit(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Site)
        kind, content = self.server.pages.get(self.path, ("", b""))
        self.send_response(200 if kind else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def loopback(address: Address) -> bool:
    return address.is_loopback


def files(corpus: Corpus) -> list[str]:
    root = corpus.settings.corpus
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))


def test_a_page_is_kept_searched_and_shown_with_its_address(settings: Callable[..., Settings], site: Site) -> None:
    site.pages["/ridge"] = "text/html", PAGE.format("1,200").encode()
    options = settings()
    with closing(Corpus(options)) as corpus:
        result = corpus.add_url(site.url("/ridge#top"), loopback)
        assert result.ok and files(corpus) == [result.id] and result.id.startswith("web/127.0.0.1_")
        [hit] = corpus.search("How high is the ridge?", 5)
        assert hit.chunk.document_id == result.id and "1,200 m" in hit.chunk.text
        assert corpus.add_url(site.url("/ridge"), loopback) == FileResult(result.id, True, "is there already, unchanged")
        site.pages["/ridge"] = "text/html", PAGE.format("1,300").encode()
        assert corpus.add_url(site.url("/ridge"), loopback).id == result.id and files(corpus) == [result.id]
        assert "1,300 m" in corpus.search("How high is the ridge?", 5)[0].chunk.text
        ran = run_python("-m", "assistant.cli", "show", result.id, env=as_environment(options))
        assert f"  address      {site.url('/ridge')}\n" in ran.out and "  fetched at   2" in ran.out, ran.err
        corpus.remove(result.id)
        assert files(corpus) == [] and (options.corpus / ".addresses.jsonl").read_bytes() == b""


def test_what_can_not_be_fetched_or_read_is_not_kept_and_replaces_nothing(settings: Callable[..., Settings], site: Site) -> None:
    site.pages["/paper.pdf"] = "application/pdf", b"%PDF-1.4 nothing"
    site.pages["/ridge"] = "text/html", PAGE.format("1,200").encode()
    with closing(Corpus(settings())) as corpus:
        for path, reason in (("/paper.pdf", "damaged"), ("/nowhere", "404")):
            result = corpus.add_url(site.url(path), loopback)
            assert not result.ok and result.id == site.url(path) and reason in result.message
        assert not corpus.add_url(site.url("/ridge")).ok  # loopback isn't the internet
        assert files(corpus) == [] and corpus.documents() == [] and not (corpus.settings.corpus / ".addresses.jsonl").exists()
        kept = corpus.add_url(site.url("/ridge"), loopback)
        site.pages["/ridge"] = "text/html", b"<!doctype html><title></title><body></body>"
        assert not corpus.add_url(site.url("/ridge"), loopback).ok
        assert files(corpus) == [kept.id] and "1,200 m" in corpus.search("ridge", 1)[0].chunk.text


def test_while_the_corpus_folder_is_away_nothing_is_written(settings: Callable[..., Settings], site: Site) -> None:
    site.pages["/ridge"] = "text/html", PAGE.format("1,200").encode()
    with closing(Corpus(settings())) as corpus:
        corpus.settings.corpus.rmdir()
        result = corpus.add_url(site.url("/ridge"), loopback)
        assert not result.ok and "does not exist" in result.message and not corpus.settings.corpus.exists()


def test_the_address_of_a_page_stays_known_when_a_copy_of_it_is_removed(settings: Callable[..., Settings], site: Site) -> None:
    site.pages["/ridge"] = "text/html", PAGE.format("1,200").encode()
    with closing(Corpus(settings())) as corpus:
        kept = corpus.add_url(site.url("/ridge"), loopback)
        shutil.copyfile(corpus.settings.corpus / kept.id, corpus.settings.corpus / "copy.html")
        corpus.sync()
        corpus.remove("copy.html")
        assert [address.url for address in addresses(corpus.settings.corpus).values()] == [site.url("/ridge")]


def test_a_copy_made_of_a_page_stays_when_the_page_is_fetched_again(settings: Callable[..., Settings], site: Site) -> None:
    site.pages["/ridge"] = "text/html", PAGE.format("1,200").encode()
    with closing(Corpus(settings())) as corpus:
        kept = corpus.add_url(site.url("/ridge"), loopback)
        shutil.copyfile(corpus.settings.corpus / kept.id, corpus.settings.corpus / "zcopy.html")
        corpus.sync()
        site.pages["/ridge"] = "text/html", PAGE.format("1,300").encode()
        corpus.add_url(site.url("/ridge"), loopback)
        texts = {hit.chunk.document_id: hit.chunk.text for hit in corpus.search("How high is the ridge?", 5)}
        assert "1,300 m" in texts[kept.id] and "1,200 m" in texts["zcopy.html"]
