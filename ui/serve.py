"""The server: this page, on this machine, and nothing else."""

import ipaddress
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from assistant.answer import Assistant
from assistant.errors import UserError
from ui.receiving import Uploads

_HERE = Path(__file__).parent
_PATIENCE = 4.0  # seconds to end in order
_SESSIONS = 200  # pages whose state is kept in memory


def serve(
    assistant: Assistant, host: str, port: int, ended: threading.Event, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve the page until `ended` is set; `on_ready` is called with its address when it answers.

    Loads the language model meanwhile. Port 0 takes any free one. Raises `UserError` for a host that
    isn't loopback (there is no login) and for a port that is taken.
    """
    settings = assistant.settings
    host, port = check_address(host, port)
    uploads = Uploads(settings.uploads, settings.upload_mb * 1_000_000)
    uploads.clear()  # what an earlier run left
    uploads.folder.mkdir(parents=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder)  # read by Gradio when it is imported
    # Starting, Gradio asks its own address over HTTP: a proxy of the environment must not see that.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(
        filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost,::1"])
    )

    from starlette.middleware import Middleware

    from assistant.conversations import Conversations
    from ui import exports, reader, where
    from ui.app import build
    from ui.desk import MOST_AT_ONCE, Desk
    from ui.evaluating import Evaluating
    from ui.events import Events
    from ui.guard import Guard
    from ui.look import theme
    from ui.relay import stop_all

    shown_host = f"[{host}]" if ":" in host else host
    kept = Conversations(settings.data / "conversations.sqlite3")
    desk = Desk(assistant.ask, kept, assistant.follow_ups)
    evaluating = Evaluating(assistant)
    app = build(assistant, desk, kept, evaluating)
    app.queue(max_size=None, default_concurrency_limit=MOST_AT_ONCE, api_open=False)
    app.launch(
        server_name=shown_host,
        server_port=port,
        quiet=True,
        prevent_thread_lock=True,
        inbrowser=False,
        share=False,
        show_error=False,
        allowed_paths=[],
        # The guard serves no file at all; this holds should Gradio find another way. Uploads must stay readable.
        blocked_paths=[str(settings.corpus), *(str(path) for path in settings.data.iterdir() if path != uploads.folder)],
        max_file_size=uploads.max_bytes,
        strict_cors=True,
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        footer_links=[],
        state_session_capacity=_SESSIONS,
        app_kwargs={
            "middleware": [Middleware(Guard, port=port, events=Events(app))],
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
        theme=theme(),
        css_paths=sorted(_HERE.glob("*.css")),
        head="".join(f"<script>{path.read_text(encoding='utf-8')}</script>" for path in sorted(_HERE.glob("*.js"))),
    )
    # Before Gradio's own, which take every path.
    own = [*exports.routes(kept, settings.user_header), *reader.routes(assistant), *where.routes(assistant), *uploads.routes()]
    app.app.router.routes[:0] = own
    threading.Thread(target=_load_model, args=[assistant], name="load-model", daemon=True).start()
    try:
        if on_ready is not None:
            on_ready(f"http://{shown_host}:{port}")
        while not ended.wait(0.5):  # a signal that another thread got is only seen when this one wakes up
            pass
    finally:
        evaluating.stop()
        uploads.end()
        desk.close(seconds=1.5)
        evaluating.close(seconds=0.3)
        stop_all(seconds=1.5)
        app.close(verbose=False)
        kept.close()
        uploads.clear()


def _load_model(assistant: Assistant) -> None:
    with suppress(UserError):  # the page shows `status`, and the next question tries again
        assistant.chat_model.start()


@contextmanager
def ended_by_signal() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set; the process ends `_PATIENCE` seconds later if this is still open then."""
    ended = threading.Event()
    # What is written is whole at any time. A file that is being read may take longer than anybody waits.
    backstop = threading.Timer(_PATIENCE, os._exit, [0])
    backstop.daemon = True

    def end(*_: object) -> None:
        if not ended.is_set():
            ended.set()
            backstop.start()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        backstop.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def check_address(host: str, port: int) -> tuple[str, int]:
    """Return the address and port that would be listened on, before anything slow; raises as `serve` does."""
    host = _checked_host(host)
    return host, _free_port(host, port)


def _checked_host(host: str) -> str:
    name = host.strip().strip("[]")
    try:
        loopback = name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UserError(
            f"ASSISTANT_HOST is {host!r}: only this machine is served (127.0.0.1), because there is no login yet. "
            "Put a proxy with a login in front to share it."
        )
    return name


def _free_port(host: str, port: int) -> int:
    """Return `port`, or a free one for 0; `UserError` when it can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # on Windows this option would let two servers share a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(
                f"Port {port} on {host} can't be used ({reason}): end the program that has it, or set ASSISTANT_PORT to another port."
            ) from None
        return int(probe.getsockname()[1])
