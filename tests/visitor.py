"""A visitor of the real app over HTTP: sends the events of the page as Gradio's own script does, or as nobody should."""

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx
from gradio_client.utils import apply_diff  # type: ignore[import-untyped]

_API = "/gradio_api"


class Visitor:
    """One page without a browser. `config` is what the page is made of."""

    def __init__(self, url: str, timeout: float = 60) -> None:
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=timeout)
        self.session = secrets.token_hex(6)
        self.config: dict[str, Any] = self.client.get("/config").json()
        self._types = {part["id"]: part["type"] for part in self.config["components"]}
        self._names = {part["id"]: part["props"].get("elem_id") for part in self.config["components"]}

    def close(self) -> None:
        """Leave."""
        self.client.close()

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that the page may ask for."""
        return list(self.config["dependencies"])

    def event(self, name: str, kind: str) -> dict[str, Any]:
        """Return the event `kind` of the part with the id `name`, such as ("question", "submit")."""
        return next(
            event
            for event in self.events
            if event["backend_fn"] is not False and [name, kind] in [[self._names.get(id), what] for id, what in event["targets"]]
        )

    def has_details(self, event: dict[str, Any]) -> bool:
        """Whether the page tells more with an event than that it happened."""
        return any(self._types.get(id) in ("html", "chatbot") and kind != "change" for id, kind in event["targets"])

    def inputs(self, event: dict[str, Any], **values: Any) -> list[Any]:
        """Return what is sent with an event: `values` by the ids of their parts, and what is empty for the others."""
        empty = {"state": None, "textbox": "", "dropdown": "full", "slider": 10}
        return [values.get(str(self._names.get(id)), empty.get(self._types[id])) for id in event["inputs"]]

    def body(self, event: dict[str, Any], data: Any, event_data: Any = None) -> dict[str, Any]:
        """Return what Gradio's script sends for an event."""
        return {
            "data": data,
            "event_data": event_data,
            "fn_index": event["id"],
            "session_hash": self.session,
            "trigger_id": event["targets"][0][0] if event["targets"] else None,
        }

    def post(self, event: dict[str, Any], content: bytes) -> httpx.Response:
        """Send any bytes as an event."""
        path = f"{_API}/queue/join" if event["queue"] else f"{_API}/run/predict"
        return self.client.post(path, content=content, headers={"Content-Type": "application/json"})

    def send(self, event: dict[str, Any], data: list[Any], event_data: Any = None) -> list[Any]:
        """Send an event and return its last outputs; raises `ValueError` when it fails."""
        if event["queue"]:
            last: list[Any] = []
            for last in self.stream(event, data, event_data):
                pass
            return last
        reply = self.post(event, json.dumps(self.body(event, data, event_data)).encode())
        if reply.status_code != 200:
            raise ValueError(f"{reply.status_code}: {reply.text[:300]}")
        return list(reply.json()["data"])

    def perform(self, event: dict[str, Any], data: list[Any], event_data: Any = None) -> Iterator[list[Any]]:
        """Do as the page does: send an event, then those that follow it; yields the outputs of all as they come."""
        yield from self.stream(event, data, event_data) if event["queue"] else [self.send(event, data, event_data)]
        for next_one in self.events:
            if next_one.get("trigger_after") == event["id"]:
                yield from self.perform(next_one, self.inputs(next_one))

    def stream(self, event: dict[str, Any], data: list[Any], event_data: Any = None) -> Iterator[list[Any]]:
        """Send an event through the queue and yield its outputs as they come."""
        reply = self.post(event, json.dumps(self.body(event, data, event_data)).encode())
        if reply.status_code != 200:
            raise ValueError(f"{reply.status_code}: {reply.text[:300]}")
        id, outputs = reply.json()["event_id"], None
        with self.client.stream("GET", f"{_API}/queue/data", params={"session_hash": self.session}) as lines:
            for line in lines.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message["msg"] in ("unexpected_error", "server_stopped"):
                    raise ValueError(str(message))
                if message.get("event_id") != id or message["msg"] not in ("process_generating", "process_completed"):
                    continue
                if not message["success"]:
                    raise ValueError(str(message["output"]))
                sent = message["output"].get("data", [])
                if message["msg"] == "process_completed":
                    yield list(sent) or outputs or []
                    return
                outputs = list(sent) if outputs is None else [apply_diff(*pair) for pair in zip(outputs, sent, strict=True)]
                yield outputs

    def upload(self, files: list[tuple[str, bytes]]) -> list[str]:
        """Upload files and return where the server has put them; raises `ValueError` when it refuses."""
        reply = self.client.post(f"{_API}/upload", files=[("files", file) for file in files])
        if reply.status_code != 200:
            raise ValueError(f"{reply.status_code}: {reply.text[:300]}")
        return list(reply.json())

    def add(self, paths: list[str], names: list[str] | None = None) -> str:
        """Have uploaded files added to the documents; returns what the page shows of that."""
        files = [list(pair) for pair in zip(paths, names or [path.rsplit("/", 1)[-1] for path in paths], strict=True)]
        event = self.event("upload-bridge", "click")
        details = {"drop": secrets.token_hex(6), "total": len(files), "told": "", "files": files}
        told = ""
        for outputs in self.perform(event, self.inputs(event), details):
            told = outputs[0] if isinstance(outputs[0], str) else told
        return told

    def alive(self) -> bool:
        """Whether the server answers."""
        return self.client.get("/").status_code == 200


def until(true: Any, seconds: float = 20) -> bool:
    """Wait for `true()`, for at most `seconds`; returns whether it came."""
    end = time.monotonic() + seconds
    while not (found := bool(true())) and time.monotonic() < end:
        time.sleep(0.05)
    return found
