"""A page or document by its address, fetched once: the only place that reaches out, and only for an address the user gives."""

import hashlib
import re
import ssl
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from assistant.errors import DocumentError
from assistant.hosts import Address, Deadline, checked_addresses, look_up, public
from assistant.web_content import file_name, in_utf8, suffix_by_bytes, suffix_of, told

if TYPE_CHECKING:
    import httpx

    from assistant.pinned import Response

_REDIRECTS = 5
_URL_LENGTH = 2000  # characters
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_PORTS = (80, 443)  # below 1024, where the services of systems are
# Ports above that which browsers don't open either, for there a request for a page may be taken for something else:
# fetch.spec.whatwg.org/#port-blocking
_OTHER_SERVICES = {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}
_STATUS = {
    401: "it needs a login; save it with your browser and add that file",
    403: "the server doesn't give it to programs; save it with your browser and add that file",
    404: "there is no such page; check the address",
    410: "the page is gone; check the address",
    429: "the server was asked too often; try again later",
}


@dataclass(frozen=True)
class Snapshot:
    """What lay at an address at one time.

    `url` is as asked and `final_url` where redirects led, both without fragment; `fetched_at` is UTC in ISO 8601;
    `name` is a safe file name. `data` is what was sent, but for a text of which only the server named the `charset`:
    that is in UTF-8 now.
    """

    url: str
    final_url: str
    fetched_at: str
    name: str
    data: bytes
    charset: str = ""

    @property
    def sha256(self) -> str:
        """The hash of `data`, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def is_url(text: str) -> bool:
    """Tell whether `text` is meant as an address, not as a path; `fetch` says which addresses it takes."""
    return re.match(r"[a-z][a-z0-9+.-]*://", text.strip(), re.IGNORECASE) is not None


def fetch(
    url: str,
    max_bytes: int,
    seconds: float = 30,
    allowed: Callable[[Address], bool] = public,
    look_up: Callable[[str, int], Sequence[str]] = look_up,
    tls: ssl.SSLContext | None = None,
) -> Snapshot:
    """Fetch what lies at `url`, at most `max_bytes` after unpacking, in at most `seconds` for all of it.

    Each host, that of a redirect too, is looked up once; every address of it must be `allowed`, and the connection
    goes to one of those. Proxies set in the environment are not used: they would look the name up themselves.
    Raises `DocumentError` with the reason, which doesn't repeat `url`.
    """
    from assistant.pinned import get

    deadline = Deadline(seconds)
    here = asked = _parsed(url.strip())
    for _ in range(_REDIRECTS + 1):
        try:
            addresses = checked_addresses(here.raw_host.decode(), _port(here), deadline, allowed, look_up)
            with get(here, addresses, deadline, tls) as response:
                if response.status not in (301, 302, 303, 307, 308):
                    return _snapshot(asked, here, response, max_bytes)
        except DocumentError as error:
            if here.host == asked.host:
                raise
            raise DocumentError(f"it redirects to {here.host}: {error}") from None
        here = _redirected(here, response.headers.get("location", ""))
    raise DocumentError(
        f"it redirects more than {_REDIRECTS} times, as pages do that need a login; save it with your browser and add that file"
    )


def _parsed(text: str) -> "httpx.URL":
    """Return a valid address without fragment; the one reading of it that all else goes by."""
    import httpx

    try:
        url = httpx.URL(text)
        host = url.raw_host.decode().removesuffix(".")
        if url.scheme not in ("http", "https"):
            raise DocumentError("it does not begin with http:// or https://; only such addresses can be fetched")
        if ":" in host:
            IPv6Address(host)
        elif not _HOST.fullmatch(host):
            raise ValueError
        url = url.copy_with(host=host, fragment=None)
    except (httpx.InvalidURL, ValueError):
        raise DocumentError("it is not a valid address; copy it from your browser") from None
    if url.userinfo:
        raise DocumentError(
            "it holds a user name or password; leave that out, or save the page with your browser and add that file"
        )
    if len(str(url)) > _URL_LENGTH:
        raise DocumentError(
            f"the address is longer than {_URL_LENGTH:,} characters; save the page with your browser and add that file"
        )
    port = _port(url)
    if port in _OTHER_SERVICES or (port not in _PORTS and not 1024 <= port <= 65535):
        raise DocumentError(f"port {port} is not one for web pages; leave it out or check the address")
    return url


def _port(url: "httpx.URL") -> int:
    return url.port if url.port is not None else {"http": 80, "https": 443}[url.scheme]


def _redirected(here: "httpx.URL", location: str) -> "httpx.URL":
    import httpx

    if not location:
        raise DocumentError(f"{here.host} redirects to nowhere; check the address")
    try:
        there = _parsed(str(here.join(location)))
    except (httpx.InvalidURL, DocumentError) as error:
        reason = error if isinstance(error, DocumentError) else "it is not a valid address"
        raise DocumentError(f"{here.host} redirects to an address that can't be fetched: {reason}") from None
    if here.scheme == "https" and there.scheme == "http":
        raise DocumentError(
            f"it redirects to {there.host} without HTTPS, where anyone on the way could change it; give that address if you want it"
        )
    return there


def _snapshot(asked: "httpx.URL", here: "httpx.URL", response: "Response", max_bytes: int) -> Snapshot:
    status = response.status
    if status != 200:
        trouble = "the server has trouble; try again later" if status >= 500 else "there is no page; check the address"
        raise DocumentError(f"the answer is {status}: {_STATUS.get(status, trouble)}")
    file = told(response.headers)
    name = here.path.rstrip("/").rpartition("/")[2]
    suffix = suffix_of(file, name)
    data = _body(response, max_bytes)
    suffix = suffix or suffix_by_bytes(data)
    data, charset = in_utf8(data, suffix, file.charset)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Snapshot(str(asked), str(here), now, file_name(file, name, bool(here.query), suffix, data), data, charset)


def _body(response: "Response", max_bytes: int) -> bytes:
    """Return the unpacked body; what comes and what it unpacks to are counted as they come."""
    packed = response.headers.get("content-encoding", "").strip().lower()
    if packed not in ("", "identity", "gzip", "x-gzip"):
        raise DocumentError("the server packs it in a way that was not asked for; save it with your browser and add that file")
    too_large = DocumentError(f"it has more than {max_bytes / 1e6:g} MB, the limit; raise ASSISTANT_UPLOAD_MB")
    if int(response.headers.get("content-length", "0")) > max_bytes:  # the protocol's reader has checked that it is a number
        raise too_large
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if packed.endswith("gzip") else None
    data = bytearray()
    came = 0
    for block in response.blocks:
        came += len(block)
        try:
            data += unpack.decompress(block, max_bytes + 1 - len(data)) if unpack else block
        except zlib.error:
            raise DocumentError("it arrived damaged; try again later") from None
        if max(came, len(data)) > max_bytes:
            raise too_large
    if unpack and came and not unpack.eof:
        raise DocumentError("it broke off before its end; try again later")
    return bytes(data)
