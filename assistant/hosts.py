"""Which machines may be asked: names become addresses, and every address must be public."""

import socket
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import Empty, Queue
from threading import Thread

from assistant.errors import DocumentError

Address = IPv4Address | IPv6Address

# `is_global` of Python 3.11 counts these as public. Registries: iana.org/assignments/iana-ipv4-special-registry and
# iana-ipv6-special-registry; 168.63.129.16 is where Azure answers its own virtual machines.
_LOCAL_V4 = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
# All that is given out to networks lies in the first; the others lie in it and are tunnels, examples and protocols.
_UNICAST_V6 = IPv6Network("2000::/3")
_LOCAL_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
# What networks without IPv4 turn an IPv4 address into (RFC 6052): the last four bytes say which.
_NAT64 = IPv6Network("64:ff9b::/96")


class Deadline:
    """The end of all waiting for one page, `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left; raises `DocumentError` when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> DocumentError:
        """Return the error for what took longer."""
        return DocumentError(
            f"it took longer than {self.seconds:g} seconds; try again later, or save it with your browser and add that file"
        )


def public(address: Address) -> bool:
    """Tell whether `address` is one of the internet's, not of this machine, of a local network or for a special use."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in network for network in _LOCAL_V4)
    if address.ipv4_mapped is not None:
        return public(address.ipv4_mapped)
    if address in _NAT64:
        return public(IPv4Address(address.packed[-4:]))
    return address in _UNICAST_V6 and not any(address in network for network in _LOCAL_V6)


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a name, the one to try first first; raises `OSError` or `UnicodeError` when there are none."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def checked_addresses(
    host: str,
    port: int,
    deadline: Deadline,
    allowed: Callable[[Address], bool] = public,
    look_up: Callable[[str, int], Sequence[str]] = look_up,
) -> list[str]:
    """Look `host` up once and return its addresses; a number in any notation is looked up too, so it is seen for what it is.

    Raises `DocumentError` when one of them isn't allowed, even if others are: which of them is used would be chance.
    """
    answers: Queue[Sequence[str] | Exception] = Queue()

    def ask() -> None:
        try:
            answers.put(look_up(host, port))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    # The system's look-up can't be given a time limit; one that hangs is left to itself.
    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except Empty:
        raise deadline.passed() from None
    if isinstance(answer, Exception) or not answer:
        raise DocumentError(f"{host} can't be found; check the address and the network")
    addresses = list(dict.fromkeys(answer))
    if not all(allowed(ip_address(address)) for address in addresses):
        raise DocumentError(f"{host} is not on the public internet; save the page with your browser and add that file")
    return addresses
