"""Pages are fetched from real servers on loopback, the one place that the tests allow instead of the internet."""

import gzip
import json
import socketserver
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
import trustme

from assistant.documents import supported_suffixes
from assistant.errors import DocumentError
from assistant.hosts import Address, public
from assistant.loaders import parse
from assistant.web import Snapshot, fetch, is_url

PAGE = b"<!doctype html><meta charset=utf-8><title>The Ridge</title><p>The ridge is 1,200 m high."
LIMIT = 1_000_000
Reply = bytes | Callable[[], Iterable[bytes]]


class Site(socketserver.ThreadingTCPServer):
    """A web server whose replies are written byte for byte, and which notes what it was asked."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(address, _Visit)
        self.tls = tls
        self.replies: dict[str, Reply] = {}
        self.asked: list[str] = []  # each request's lines
        self.port = int(self.server_address[1])

    @property
    def paths(self) -> list[str]:
        return [request.split(" ")[1] for request in self.asked]

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"


class _Visit(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Site)
        connection = self.request
        try:
            if self.server.tls:
                connection = self.server.tls.wrap_socket(connection, server_side=True)
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (block := connection.recv(10_000)):
                    request += block
                    if block.startswith(b"\x16"):  # the start of TLS
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                        return
                self.server.asked.append(request.decode("latin-1"))
                reply = self.server.replies.get(request.split(b" ")[1].decode(), answer(b"", status="404 Not Found"))
                for block in [reply] if isinstance(reply, bytes) else reply():
                    connection.sendall(block)
        except OSError:
            pass  # the client is gone: that is what many of the tests are about


@contextmanager
def serving(address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    with Site((address, port), tls) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    """The server at the only address that is allowed."""
    with serving() as site:
        yield site


@pytest.fixture
def private(site: Site) -> Iterator[Site]:
    """A server at an address that is not allowed, on the same port, with something to tell."""
    with serving("127.0.0.2", site.port) as private:
        private.replies["/"] = answer(b"secret", "text/plain")
        yield private


def answer(body: bytes, type: str = "text/html", status: str = "200 OK", length: int | None = None, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"Content-Type: {type}"] if type else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def moved(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", status=status, Location=location, Set_Cookie="seen=1")


def here(address: Address) -> bool:
    return str(address) == "127.0.0.1"


def get(url: str, *, seconds: float = 20, names: Callable[[str], Sequence[str]] | None = None, **more: Any) -> Snapshot:
    """Fetch from 127.0.0.1; `names` says which addresses a host has."""
    if names is not None:
        more["look_up"] = lambda host, port: names(host)
    return fetch(url, LIMIT, seconds, here, **more)


def test_a_page_is_fetched_as_it_was_sent(site: Site) -> None:
    site.replies["/ridge"] = answer(PAGE)
    before = datetime.now(UTC) - timedelta(seconds=1)
    snapshot = get(f" {site.url('/ridge')}#height ")
    assert (snapshot.url, snapshot.final_url) == (site.url("/ridge"), site.url("/ridge"))
    assert (snapshot.name, snapshot.data, snapshot.charset) == ("ridge.html", PAGE, "")
    assert before <= datetime.fromisoformat(snapshot.fetched_at) <= datetime.now(UTC)
    [request] = site.asked
    assert f"Host: 127.0.0.1:{site.port}" in request and "#" not in request
    assert "python" not in request.lower() and "Accept-Encoding: gzip, identity" in request


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://example.org/a", True),
        (" HTTP://EXAMPLE.ORG", True),
        ("ftp://example.org/", True),  # so that `fetch` can say what is wrong with it
        ("notes.md", False),
        ("www.example.org", False),
        ("C:\\notes.md", False),
        ("folder/http://a", False),
        ("", False),
    ],
)
def test_addresses_are_told_from_paths(text: str, expected: bool) -> None:
    assert is_url(text) is expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "http://"),
        ("ftp://example.org/a", "http://"),
        ("javascript:alert(1)", "http://"),
        ("http://", "not a valid address"),
        ("http://exa mple.org/", "not a valid address"),
        ("http://example.org/\r\nX: y", "not a valid address"),
        ("http://１２７.０.０.１/", "not a valid address"),
        ("http://[::1/", "not a valid address"),
        ("http://\udcff/", "not a valid address"),
        ("http://ann:s3cret@example.org/", "password"),
        ("http://example.org\\@127.0.0.1/", "password"),
        ("http://example.org:25/", "port 25"),
        ("http://example.org:6667/", "port 6667"),
        ("http://example.org:99999/", "port 99999"),
        (f"http://example.org/{'a' * 3000}", "longer than"),
    ],
)
def test_an_address_that_is_not_taken_is_refused_before_anything_is_looked_up(url: str, reason: str) -> None:
    looked_up: list[str] = []

    def names(host: str) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    with pytest.raises(DocumentError, match=reason) as caught:
        get(url, names=names)
    assert looked_up == [] and "\n" not in str(caught.value) and "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_this_machine_is_refused_in_every_notation(site: Site, host: str) -> None:
    site.replies["/"] = answer(PAGE)
    with pytest.raises(DocumentError, match=r"not on the public internet|not a valid address"):
        fetch(site.url(host=host), LIMIT)
    assert site.asked == []


SPECIAL = """0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 127.8.8.8 168.63.129.16 169.254.169.254 172.16.0.1 192.0.0.192 192.0.2.1
    192.88.99.1 192.168.1.1 198.18.0.1 224.0.1.1 239.255.255.250 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::ffff:10.0.0.1
    64:ff9b::a00:1 64:ff9b:1::808:808 100::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 5f00::1 fc00::1
    fd00:ec2::254 fe80::1 fe80::1%1 fec0::1 ff0e::1"""


@pytest.mark.parametrize("address", SPECIAL.split())
def test_addresses_of_special_use_are_not_public(address: str) -> None:
    assert not public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "172.32.0.1",
        "192.0.1.1",
        "223.255.255.1",
        "2606:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert public(ip_address(address))


def test_a_name_with_one_address_that_is_not_allowed_is_refused(site: Site) -> None:
    with pytest.raises(DocumentError, match=r"site\.test is not on the public internet"):
        get(site.url(host="site.test"), names=lambda host: ["127.0.0.1", "10.0.0.1"])
    assert site.asked == []


def test_the_connection_goes_to_the_address_that_was_checked(site: Site, private: Site) -> None:
    """DNS rebinding: the second answer would be another machine."""
    answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]]
    site.replies["/"] = answer(PAGE)
    assert get(site.url(host="site.test"), names=lambda host: answers.pop(0)).data == PAGE
    assert len(answers) == 2 and private.asked == []
    assert f"Host: site.test:{site.port}" in site.asked[0]


def test_a_redirect_to_the_same_name_is_checked_anew(site: Site, private: Site) -> None:
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    site.replies["/"] = moved("/secret")
    with pytest.raises(DocumentError, match="not on the public internet"):
        get(site.url(host="site.test"), names=lambda host: answers.pop(0))
    assert private.asked == []


def test_a_host_is_reached_at_the_address_that_answers(site: Site) -> None:
    site.replies["/"] = answer(PAGE)
    found = fetch(
        site.url(host="site.test"),
        LIMIT,
        allowed=lambda address: address.is_loopback,
        look_up=lambda host, port: ["127.0.0.9", "127.0.0.1"],
    )
    assert found.data == PAGE


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://localhost:{port}/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_a_redirect_to_a_private_address_is_refused(site: Site, private: Site, place: str) -> None:
    site.replies["/"] = moved(place.format(port=site.port))
    with pytest.raises(DocumentError, match=r"redirects to .*not on the public internet"):
        get(site.url(), names=lambda host: ["::1"] if host == "localhost" else [host])
    assert site.paths == ["/"] and private.asked == []


@pytest.mark.parametrize(
    "place",
    ["file:///etc/passwd", "javascript:alert(1)", "http://ann:s3cret@127.0.0.1/", "http://a b/", "gopher://x:70/", "http://x:25/"],
)
def test_a_redirect_to_an_address_that_is_not_taken_is_refused(site: Site, place: str) -> None:
    site.replies["/"] = moved(place)
    with pytest.raises(DocumentError, match="redirects to an address that can't be fetched") as caught:
        get(site.url())
    assert "s3cret" not in str(caught.value)


def test_a_redirect_without_a_place_is_refused(site: Site) -> None:
    site.replies["/"] = answer(b"", status="302 Found")
    with pytest.raises(DocumentError, match="redirects to nowhere"):
        get(site.url())


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_relative_redirects_are_followed(site: Site, status: str) -> None:
    site.replies["/a/b?c=1"] = moved("../höhe/x?y=ü#z", status)
    site.replies["/h%C3%B6he/x?y=%C3%BC"] = answer(PAGE)
    snapshot = get(site.url("/a/b?c=1"))
    assert snapshot.url == site.url("/a/b?c=1")
    assert snapshot.final_url == site.url("/h%C3%B6he/x?y=%C3%BC")


def test_five_redirects_are_followed_and_no_more(site: Site) -> None:
    for number in range(9):
        site.replies[f"/{number}"] = moved(f"/{number + 1}")
    site.replies["/9"] = answer(PAGE)
    assert get(site.url("/4")).data == PAGE
    with pytest.raises(DocumentError, match="more than 5 times"):
        get(site.url("/3"))


def test_a_redirect_to_itself_ends_and_no_cookie_is_kept(site: Site) -> None:
    site.replies["/"] = moved("/")
    with pytest.raises(DocumentError, match="more than 5 times"):
        get(site.url())
    assert len(site.asked) == 6 and not any("cookie" in request.lower() for request in site.asked)


def test_proxies_of_the_environment_are_not_used(site: Site, private: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, private.url())
    site.replies["/"] = answer(PAGE)
    assert get(site.url()).data == PAGE
    assert private.asked == []


def test_a_server_that_is_not_there_is_named_and_so_is_a_proxy_that_was_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as closed:
        pass
    with pytest.raises(DocumentError, match=r"127\.0\.0\.1 can't be reached; check"):
        get(closed.url())
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    with pytest.raises(DocumentError, match=r"can't be reached \(a proxy is set"):
        get(closed.url())


def test_a_name_that_does_not_exist_is_named() -> None:
    def nowhere(host: str) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(DocumentError, match=r"nowhere\.test can't be found"):
        get("http://nowhere.test/", names=nowhere)
    with pytest.raises(DocumentError, match="can't be found"):
        fetch(f"http://{'a' * 70}.test/", LIMIT)  # no label of a name may be so long


def drip(start: bytes, drop: bytes) -> Callable[[], Iterator[bytes]]:
    """Send `start`, then `drop` again and again for longer than any test waits."""

    def reply() -> Iterator[bytes]:
        yield start
        for _ in range(600):
            time.sleep(0.05)
            yield drop

    return reply


@pytest.mark.parametrize(
    "reply",
    [
        drip(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"a"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"", b""),
        drip(answer(b"", status="404 Not Found")[:-2], b"X: y\r\n"),
    ],
    ids=["body", "headers", "nothing but continue", "silence", "error page"],
)
def test_a_server_that_drips_is_left(site: Site, reply: Reply) -> None:
    site.replies["/"] = reply
    with pytest.raises(DocumentError, match=r"longer than 0\.5 seconds"):
        get(site.url(), seconds=0.5)


def test_redirects_share_the_time(site: Site) -> None:
    def slow() -> Iterator[bytes]:
        time.sleep(0.4)
        yield moved("/")

    site.replies["/"] = slow
    with pytest.raises(DocumentError, match="longer than 1 seconds"):
        get(site.url(), seconds=1)


def test_a_look_up_that_hangs_is_left() -> None:
    done = threading.Event()

    def hang(host: str) -> list[str]:
        done.wait(30)
        return ["127.0.0.1"]

    try:
        with pytest.raises(DocumentError, match=r"longer than 0\.2 seconds"):
            get("http://slow.test/", seconds=0.2, names=hang)
    finally:
        done.set()


def endless() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + b"a" * 0x10000 + b"\r\n"


BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"", length=LIMIT + 1),
        answer(b"", length=10**19),
        answer(b"a" * (LIMIT + 1)),
        endless,
        answer(BOMB, Content_Encoding="gzip"),
        b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"") + bytes(LIMIT),
    ],
    ids=["said", "said to be huge", "sent", "endless", "gzip bomb", "after the end of gzip"],
)
def test_what_is_too_large_is_refused(site: Site, reply: Reply) -> None:
    assert len(BOMB) < LIMIT
    site.replies["/"] = reply
    with pytest.raises(DocumentError, match="more than 1 MB, the limit; raise ASSISTANT_UPLOAD_MB"):
        get(site.url())


def test_a_page_of_just_the_limit_is_taken(site: Site) -> None:
    site.replies["/"] = answer(gzip.compress(b"a" * LIMIT), Content_Encoding="gzip")
    assert len(get(site.url()).data) == LIMIT


def test_packed_pages_are_unpacked(site: Site) -> None:
    packed = gzip.compress(PAGE)
    site.replies["/"] = lambda: [answer(b"", Content_Encoding="GZIP", length=len(packed)), *(bytes([byte]) for byte in packed)]
    assert get(site.url()).data == PAGE


@pytest.mark.parametrize(
    ("body", "packed"),
    [(gzip.compress(gzip.compress(PAGE)), "gzip, gzip"), (zlib.compress(PAGE), "deflate"), (PAGE, "br"), (PAGE, "zstd")],
)
def test_what_is_packed_otherwise_is_refused(site: Site, body: bytes, packed: str) -> None:
    site.replies["/"] = answer(body, Content_Encoding=packed)
    with pytest.raises(DocumentError, match="not asked for"):
        get(site.url())
    site.replies["/"] = answer(body, Content_Encoding="gzip\r\nContent-Encoding: gzip")
    with pytest.raises(DocumentError, match="not asked for"):
        get(site.url())


@pytest.mark.parametrize(
    "reply",
    [
        answer(PAGE, length=len(PAGE) + 1),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        answer(gzip.compress(PAGE)[:-4], Content_Encoding="gzip"),
        b"",
        b"SSH-2.0-server\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
    ],
    ids=["body", "chunks", "gzip", "nothing", "no HTTP", "two lengths", "huge header"],
)
def test_what_breaks_off_or_is_no_answer_is_refused(site: Site, reply: bytes) -> None:
    site.replies["/"] = reply
    with pytest.raises(DocumentError, match="broke off"):
        get(site.url())


def test_damaged_packing_is_refused(site: Site) -> None:
    site.replies["/"] = answer(PAGE, Content_Encoding="gzip")
    with pytest.raises(DocumentError, match="damaged"):
        get(site.url())


def test_a_page_that_tells_no_length_is_taken(site: Site) -> None:
    site.replies["/"] = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE
    assert get(site.url()).data == PAGE


def test_an_empty_page_is_left_to_the_loader(site: Site) -> None:
    site.replies["/"] = answer(b"")
    assert get(site.url()).data == b""


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("401 Unauthorized", "401: it needs a login; save it"),
        ("403 Forbidden", "403: .*save it"),
        ("404 Not Found", "404: there is no such page"),
        ("418 Teapot", "418: there is no page"),
        ("429 Too Many Requests", "429: .*later"),
        ("500 Error", "500: .*later"),
        ("202 Accepted", "202: "),
        ("204 No Content", "204: "),
        ("304 Not Modified", "304: "),
    ],
)
def test_an_error_page_is_not_taken_for_a_document(site: Site, status: str, reason: str) -> None:
    site.replies["/"] = answer(b"" if status[:3] in ("204", "304") else PAGE, status=status)
    with pytest.raises(DocumentError, match=reason):
        get(site.url())


@pytest.mark.parametrize(
    "type",
    [
        "image/png",
        "image/svg+xml",
        "video/mp4",
        "audio/mpeg",
        "application/x-msdownload",
        "text/css",
        "application/zip",
        "multipart/mixed",
    ],
)
def test_other_types_are_refused_without_reading_them(site: Site, type: str) -> None:
    if f".{type.split('/')[1]}" in supported_suffixes():
        pytest.skip("this format can be read")
    site.replies["/x.txt"] = answer(b"", type, length=LIMIT * 9)
    with pytest.raises(DocumentError, match=r"of the type .*can't be read"):
        get(site.url("/x.txt"))


@pytest.mark.parametrize(
    ("path", "type", "body", "name"),
    [
        ("/a/ridge", "text/html; charset=utf-8", PAGE, "ridge.html"),
        ("/ridge.html", "TEXT/HTML", PAGE, "ridge.html"),
        ("/ridge.php", "text/html", PAGE, "ridge.html"),
        ("/v1.2", "application/xhtml+xml", PAGE, "v1.2.html"),
        ("/", "text/html", PAGE, "The Ridge.html"),
        ("/index.html", "text/html", PAGE, "The Ridge.html"),
        ("/view?id=7", "text/html", PAGE, "The Ridge.html"),
        ("/view?id=7", "text/html", b"<p>x", "view.html"),
        ("/", "text/html", b"<p>x", "index.html"),
        ("/", "text/html", b"<title>..</title>", "index.html"),
        ("/", "text/html", b"<title>a/b\\c: <b>", "a b c.html"),
        ("/", "text/html", b"<title>\n A &lt;i&gt; \xe2\x80\xae&#x202e;B </title>", "A i B.html"),
        ("/", "text/html", "<meta charset=windows-1251><title>Хребет</title>".encode("cp1251"), "Хребет.html"),
        ("/%D0%A5%D1%80%D0%B5%D0%B1%D0%B5%D1%82/", "text/html", PAGE, "Хребет.html"),
        ("/..%2f..%2f.ssh%2fkeys", "text/html", PAGE, "keys.html"),
        ("/%00%0A.hidden%C2%9B31m", "text/html", PAGE, "hidden 31m.html"),
        ("/paper", "application/pdf", b"%PDF-1.7", "paper.pdf"),
        ("/README.md", "text/plain; charset=utf-8", b"# x", "README.md"),
        ("/notes", "text/plain", b"x", "notes.txt"),
        ("/notes.nfo", "text/plain", b"x", "notes.nfo.txt"),
        ("/notes", "text/x-unheard-of", b"x", "notes.txt"),
        ("/notes.markdown", "text/markdown", b"x", "notes.md"),
        ("/paper.pdf", "application/octet-stream", b"%PDF-1.7", "paper.pdf"),
        ("/paper", "", b"%PDF-1.7", "paper.pdf"),
        ("/page", "", PAGE, "page.html"),
    ],
)
def test_the_file_is_named_by_its_address_or_title_and_its_type(site: Site, path: str, type: str, body: bytes, name: str) -> None:
    site.replies[path] = answer(body, type)
    assert get(site.url(path)).name == name


@pytest.mark.parametrize(
    ("type", "suffix"),
    [
        ("application/json", ".json"),
        ("application/ld+json", ".json"),
        ("application/atom+xml", ".xml"),
        ("text/xml", ".xml"),
        ("text/csv", ".csv"),
    ],
)
def test_data_is_text_where_there_is_no_loader_of_its_own(site: Site, type: str, suffix: str) -> None:
    site.replies["/data"] = answer(json.dumps({"height": 1200}).encode(), type)
    assert get(site.url("/data")).name == f"data{suffix if suffix in supported_suffixes() else '.txt'}"


def test_the_name_that_the_server_gives_comes_first(site: Site) -> None:
    site.replies["/get?id=1"] = answer(
        b"%PDF-1.7", "application/octet-stream", Content_Disposition="attachment; filename*=UTF-8''H%C3%B6he.pdf"
    )
    assert get(site.url("/get?id=1")).name == "Höhe.pdf"
    site.replies["/get?id=1"] = answer(b"%PDF-1.7", "application/pdf", Content_Disposition='attachment; filename="../../.bashrc"')
    assert get(site.url("/get?id=1")).name == "bashrc.pdf"
    site.replies["/get?id=1"] = answer(b"%PDF-1.7", "application/pdf", Content_Disposition="attachment; filename*=idna''%80.pdf")
    assert get(site.url("/get?id=1")).name == "get.pdf"


def test_a_long_name_fits_into_a_file_system(site: Site) -> None:
    site.replies["/"] = answer("<title>{}</title>".format("高" * 400).encode())
    name = get(site.url()).name
    assert name.startswith("高高") and name.endswith("高.html") and len(name.encode()) <= 150


def test_what_nobody_says_the_type_of_is_refused(site: Site) -> None:
    site.replies["/"] = answer(b"\x7fELF", "application/octet-stream")
    with pytest.raises(DocumentError, match="doesn't say of which type"):
        get(site.url())


RUSSIAN = "Высота хребта 1200 метров."
JAPANESE = "尾根の高さは千二百メートルです。"


@pytest.mark.parametrize(
    ("text", "charset", "found"),
    [
        (RUSSIAN, "windows-1251", "windows-1251"),
        (RUSSIAN, "KOI8-R", "koi8-r"),
        (JAPANESE, "Shift_JIS", "shift_jis"),
        (JAPANESE, "iso-2022-jp", "iso-2022-jp"),
        ("Höhe — 1200 €", "windows-1252", "windows-1252"),
        (RUSSIAN, "utf-8", ""),
    ],
)
@pytest.mark.parametrize("type", ["text/html", "text/plain"])
def test_a_charset_that_only_the_server_names_survives(site: Site, type: str, text: str, charset: str, found: str) -> None:
    page = f"<html><body><p>{text}</p></body></html>" if type == "text/html" else text
    site.replies["/x"] = answer(page.encode(charset), f'{type}; charset="{charset}"')
    snapshot = get(site.url("/x"))
    assert snapshot.charset == found
    assert text in parse(snapshot.data, f".{snapshot.name.split('.')[-1]}").text


@pytest.mark.parametrize(
    ("body", "type"),
    [
        (f"<meta charset=windows-1251><p>{RUSSIAN}".encode("cp1251"), "text/html; charset=windows-1251"),
        (
            f"<meta http-equiv=content-type content='text/html; charset=windows-1251'><p>{RUSSIAN}".encode("cp1251"),
            "text/html; charset=koi8-r",
        ),
        (f"<p>{RUSSIAN}".encode(), "text/html; charset=koi8-r"),
        (f"\ufeff<p>{RUSSIAN}".encode(), "text/html; charset=windows-1251"),
        (RUSSIAN.encode("utf-16"), "text/plain; charset=windows-1251"),
        (b"<p>\x81\x8d", "text/html; charset=windows-1252"),
        (f"<p>{RUSSIAN}".encode("cp1251"), "text/html; charset=zlib"),
        (f"<p>{RUSSIAN}".encode("cp1251"), "text/html; charset=utf-7"),
        (f"<p>{RUSSIAN}".encode("cp1251"), "text/html"),
        (b"%PDF-1.7\n\xe2\xe3", "application/pdf; charset=windows-1251"),
        (b"%PDF-1.7\n\xe2\xe3", "text/plain; charset=windows-1251"),
    ],
    ids=[
        "declared",
        "declared otherwise",
        "UTF-8 after all",
        "mark",
        "UTF-16 mark",
        "not that charset",
        "no charset",
        "UTF-7",
        "none",
        "PDF",
        "PDF as text",
    ],
)
def test_all_else_is_kept_byte_for_byte(site: Site, body: bytes, type: str) -> None:
    site.replies["/x"] = answer(body, type)
    snapshot = get(site.url("/x"))
    assert (snapshot.data, snapshot.charset) == (body, "")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Issues certificates that no machine trusts unless told to."""
    return trustme.CA()


@contextmanager
def secure(certificate: trustme.LeafCert) -> Iterator[tuple[Site, list[str | None]]]:
    """A server with `certificate`, and the names that it was called by."""
    named: list[str | None] = []
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(tls)
    tls.sni_callback = lambda connection, name, context: named.append(name)
    with serving(tls=tls) as site:
        site.replies["/"] = answer(PAGE)
        yield site, named


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    return tls


def test_https_is_asked_by_name_and_its_certificate_verified(authority: trustme.CA) -> None:
    with secure(authority.issue_cert("site.test")) as (site, named):
        snapshot = get(site.url(host="site.test."), names=lambda host: ["127.0.0.1"], tls=trusting(authority))
        assert snapshot.data == PAGE and named == ["site.test"]
        assert f"Host: site.test:{site.port}" in site.asked[0]


def test_a_certificate_nobody_vouches_for_is_refused(authority: trustme.CA) -> None:
    with secure(authority.issue_cert("site.test")) as (site, _):
        with pytest.raises(DocumentError, match=r"certificate of site\.test is not valid"):
            get(site.url(host="site.test"), names=lambda host: ["127.0.0.1"])
        assert site.asked == []


@pytest.mark.parametrize(
    ("name", "until"), [("other.test", None), ("site.test", datetime(2020, 1, 1, tzinfo=UTC))], ids=["other name", "expired"]
)
def test_a_certificate_for_another_name_or_time_is_refused(authority: trustme.CA, name: str, until: datetime | None) -> None:
    with secure(authority.issue_cert(name, not_after=until)) as (site, _):
        with pytest.raises(DocumentError, match=r"certificate of site\.test is not valid \(.*\)"):
            get(site.url(host="site.test"), names=lambda host: ["127.0.0.1"], tls=trusting(authority))
        assert site.asked == []


def test_a_redirect_from_https_to_http_is_refused(site: Site, authority: trustme.CA) -> None:
    site.replies["/"] = answer(PAGE)
    with secure(authority.issue_cert("127.0.0.1")) as (safe, _):
        safe.replies["/"] = moved(site.url())
        with pytest.raises(DocumentError, match="without HTTPS"):
            get(safe.url(), tls=trusting(authority))
        assert site.asked == []
        site.replies["/up"] = moved(safe.url("/page"))
        safe.replies["/page"] = answer(PAGE)
        assert get(site.url("/up"), tls=trusting(authority)).final_url == safe.url("/page")


def test_a_server_without_https_at_an_https_address_is_named(site: Site) -> None:
    with pytest.raises(DocumentError, match=r"127\.0\.0\.1 does not speak HTTPS"):
        get(site.url().replace("http:", "https:"))
