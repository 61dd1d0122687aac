"""Run by test_offline.py in a process of its own: the whole assistant once, with every way out watched.

Usage: offline_job.py RESULT.json [isolated]. With `isolated` the process is alone in a network
namespace, where the kernel counts what finds no way out, from C and Rust code too.
"""

import fcntl
import ipaddress
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import urllib.request
from contextlib import closing
from pathlib import Path

attempts: list[str] = []
_OUTSIDE = "192.0.2.1"  # reserved for documentation (RFC 5737)


def _is_here(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Note and refuse whatever leaves this machine; an audit hook can't be taken away again."""
    host: object
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if not isinstance(address, tuple) or not address:
            return  # a Unix socket, or one that is connected already
        host = address[0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    if not _is_here(host):
        attempts.append(
            f"{event} {arguments[1:] if event.startswith('socket.c') else arguments}\n" + "".join(traceback.format_stack(limit=25))
        )
        raise OSError(f"{event} to {host!r} is refused by the test")


def raise_loopback() -> None:
    """Switch the loopback interface on; it is off in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        flags = struct.unpack("16sh", fcntl.ioctl(plain, 0x8913, struct.pack("16sh", b"lo", 0)))[1]  # SIOCGIFFLAGS
        fcntl.ioctl(plain, 0x8914, struct.pack("16sh", b"lo", flags | 1))  # SIOCSIFFLAGS, IFF_UP


def counters() -> dict[str, int]:
    """Return how many packets found no route and how many datagrams were sent, as the kernel counts them."""
    lines = [line.split() for line in Path("/proc/self/net/snmp").read_text().splitlines()]
    found = {
        f"{row[0]}{name}": int(value)
        for names, row in zip(lines[::2], lines[1::2], strict=True)
        for name, value in zip(names[1:], row[1:], strict=True)
    }
    six = dict(line.split()[:2] for line in Path("/proc/self/net/snmp6").read_text().splitlines())
    return {
        "no route, IPv4": found["Ip:OutNoRoutes"],
        "no route, IPv6": int(six["Ip6OutNoRoutes"]),
        "datagrams, IPv4": found["Udp:OutDatagrams"],
        "datagrams, IPv6": int(six["Udp6OutDatagrams"]),
    }


def serve(seen: dict[str, object]) -> None:
    """Start the app, read its page, give its background threads some time, and stop it."""
    from assistant.answer import Assistant
    from assistant.settings import load_settings
    from ui.serve import ended_by_signal
    from ui.serve import serve as serve_app

    def visit(url: str) -> None:
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(url, timeout=60) as page:
                seen["page"] = page.status
            time.sleep(3)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    # In this order: closing waits for the language model longer than the app would have, which ends the process.
    with closing(Assistant(load_settings())) as assistant, ended_by_signal() as ended:
        serve_app(assistant, "127.0.0.1", 0, ended, lambda url: threading.Thread(target=visit, args=[url], daemon=True).start())
    seen["serve"] = 0


def main(result: Path, isolated: bool) -> None:
    """Do everything once and write what happened to `result`."""
    if isolated:
        raise_loopback()
    before = counters()
    sys.addaudithook(watch)
    from assistant.cli import main as assistant

    seen: dict[str, object] = {}
    try:
        for name, arguments in (
            ("sync", ["sync"]),
            ("search", ["search", "Who founded DeepSeek?"]),
            ("ask", ["ask", "Who is the founder of DeepSeek?", "--json"]),
        ):
            seen[name] = assistant(arguments)
        serve(seen)
    finally:
        after = counters()
        happened = {name: after[name] - before[name] for name in before}
        report: dict[str, object] = {"seen": seen, "attempts": list(attempts), "kernel": happened}
        # Were both watches awake? Both must see this.
        known = len(attempts)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as plain:
            try:
                plain.connect((_OUTSIDE, 9))
            except OSError as error:
                report["refused"] = str(error)
        report["noticed"] = len(attempts) - known
        report["counted"] = _native_attempt() if isolated else 0
        result.write_text(json.dumps(report))


def _native_attempt() -> int:
    """Connect to the outside past Python's own sockets, as C code would, and return what the kernel counted."""
    import ctypes

    before = counters()["no route, IPv4"]
    libc = ctypes.CDLL(None)
    descriptor = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", 9) + socket.inet_aton(_OUTSIDE) + bytes(8)
    assert libc.connect(descriptor, address, len(address)) != 0
    libc.close(descriptor)
    return counters()["no route, IPv4"] - before


if __name__ == "__main__":
    main(Path(sys.argv[1]), "isolated" in sys.argv[2:])
