"""One HTTP request to addresses that were checked: nothing is looked up again, and all waiting ends at a deadline."""

import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies

import httpcore
import httpx

from assistant.errors import DocumentError
from assistant.hosts import Deadline

_TRIED = 4  # addresses of a host
_HEADERS = {
    "User-Agent": "document-assistant",
    "Accept": "text/html, application/xhtml+xml, application/pdf, text/*;q=0.9, */*;q=0.5",
    "Accept-Encoding": "gzip, identity",
    "Connection": "close",
}


@dataclass(frozen=True)
class Response:
    """An answer: its headers by their names in lower case, and its body as it is sent, in blocks still to be read."""

    status: int
    headers: dict[str, str]
    blocks: Iterator[bytes]


class _Stream(httpcore.NetworkStream):
    """A connection that waits until the deadline and no longer, however often it is read."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        except httpcore.ConnectError as error:
            raise _distrusted(server_hostname or "the server", error.__cause__) from None
        return _Stream(stream, self._deadline)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to the given addresses, whatever host is asked for."""

    def __init__(self, addresses: Sequence[str], deadline: Deadline) -> None:
        self._addresses = addresses[:_TRIED]
        self._deadline = deadline
        self._system = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("no address")
        for number, address in enumerate(self._addresses):
            share = self._deadline.left() / (len(self._addresses) - number)
            try:
                return _Stream(self._system.connect_tcp(address, port, share, local_address, socket_options), self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


@contextmanager
def get(url: httpx.URL, addresses: Sequence[str], deadline: Deadline, tls: ssl.SSLContext | None) -> Iterator[Response]:
    """Ask one of `addresses` for `url` and yield the response, of which the body is still to be read.

    Host, server name and certificate are those of `url`. Proxies, cookies and logins of the environment are not
    used; SSL_CERT_FILE and SSL_CERT_DIR are. Raises `DocumentError`, also for what goes wrong while the body is read.
    """
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    headers = [*_HEADERS.items(), ("Host", url.netloc.decode("ascii"))]
    pool = httpcore.ConnectionPool(tls or httpx.create_ssl_context(), network_backend=_Backend(addresses, deadline))
    try:
        with pool, pool.stream("GET", target, headers=headers) as response:
            yield Response(response.status, _headers(response.headers), iter(response.iter_stream()))
    except httpcore.TimeoutException:
        raise deadline.passed() from None
    except httpcore.ConnectError:
        proxy = " (a proxy is set, but pages are fetched without one)" if getproxies().keys() & {"http", "https", "all"} else ""
        raise DocumentError(f"{url.host} can't be reached{proxy}; check the address and the network") from None
    except (httpcore.NetworkError, httpcore.ProtocolError):
        raise DocumentError(f"{url.host} broke off or did not answer as a web server does; try again later") from None


def _headers(sent: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, value in sent:
        name = raw_name.decode("latin-1").lower()
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        # What is sent several times is a list, as HTTP has it.
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def _distrusted(host: str, cause: BaseException | None) -> DocumentError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message.rstrip(".")
        return DocumentError(f"the certificate of {host} is not valid ({reason}), so it may be another machine; check the address")
    return DocumentError(f"{host} does not speak HTTPS as it should; check the address")
