"""A conversation as one file: Markdown and HTML with the quotes of the sources as footnotes, or JSON with all that is known."""

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from assistant.conversations import Conversations, Talk
from assistant.errors import UserError
from assistant.grounding import Citation
from assistant.snapshots import Answer
from ui.render import markdown_html, shown, shown_lines

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_MARK = re.compile(r"\[(\d{1,4})(\??)\]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")
_LOADS = re.compile(r"(?<!\\)(\[(?!\^\d+-\d+\])|<)")  # begins a link, a picture or HTML in Markdown
_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1e293b;background:#fff}"
    "h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2.2rem;white-space:pre-wrap}footer,.cost{color:#64748b;font-size:.85rem}"
    "ol{font-size:.9rem;color:#475569}blockquote{margin:.2rem 0;white-space:pre-wrap}table{border-collapse:collapse}"
    "td,th{border:1px solid #cbd5e1;padding:.2rem .5rem}sup a{text-decoration:none}"
    "@media(prefers-color-scheme:dark){body{color:#e2e8f0;background:#0f172a}}"
)


def as_json(talk: Talk, answers: Sequence[Answer]) -> str:
    """Return all of a conversation, passages and figures included, as JSON."""
    turns = [asdict(answer) for answer in answers]
    return json.dumps({**asdict(talk), "turns": turns}, ensure_ascii=False, indent=2, default=str)


def as_markdown(talk: Talk, answers: Sequence[Answer]) -> str:
    """Return a conversation as Markdown; a footnote for each source quotes what supports the statements."""
    parts = [f"# {_plain(talk.title)}", _date(talk)]
    for turn, answer in enumerate(answers, 1):
        parts += _turn_markdown(turn, answer)
    return "\n\n".join(filter(None, parts)) + "\n"


def _turn_markdown(turn: int, answer: Answer) -> Iterator[str]:
    yield f"## {_plain(' '.join(answer.question.split()))}"
    text = _MARK.sub(lambda found: f"[^{turn}-{found[1]}]" + (" (in part)" if found[2] else ""), answer.text)
    yield _LOADS.sub(r"\\\1", text)
    yield from (f"{_plain(other.line)}[^{turn}-{other.citation.number}]." for other in answer.elsewhere)
    if answer.scope:
        yield f"*In {_plain(answer.scope.line)}.*"
    if answer.note:
        yield f"*{_plain(answer.note)}*"
    for number, citations in _by_number(answer):
        yield f"[^{turn}-{number}]: {_plain(_place(citations[0]))}: {_plain(_quotes(citations))}"


def as_text(answer: Answer) -> str:
    """Return an answer with its sources as plain text, for the clipboard."""
    parts = [answer.text, *(f"{other.line} [{other.citation.number}]." for other in answer.elsewhere)]
    listed = "\n".join(f"[{number}] {_place(citations[0])}: {_quotes(citations)}" for number, citations in _by_number(answer))
    return "\n\n".join(filter(None, [*parts, f"Sources\n{listed}" if listed else ""])) + "\n"


def as_html(talk: Talk, answers: Sequence[Answer]) -> str:
    """Return a conversation as one page that loads and runs nothing, with the quotes of the sources below each answer."""
    title, policy = shown(talk.title), "default-src 'none'; style-src 'unsafe-inline'"
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}"><title>{title}</title>'
    turns = "".join(_turn_html(turn, answer) for turn, answer in enumerate(answers, 1))
    body = f"<h1>{title}</h1><p>{_date(talk)}</p>{turns}"
    return f"<!doctype html><html><head>{head}<style>{_STYLE}</style></head><body>{body}</body></html>\n"


def _turn_html(turn: int, answer: Answer) -> str:
    text = _MARK.sub(lambda found: _reference(turn, found[1], found[2]), markdown_html(answer.text))
    lines = [f"<p>{shown(other.line)} {_reference(turn, other.citation.number)}.</p>" for other in answer.elsewhere]
    lines += [f"<p><em>In {shown(answer.scope.line)}.</em></p>"] if answer.scope else []
    lines += [f"<p><em>{shown_lines(answer.note)}</em></p>"] if answer.note else []
    quoted = "".join(
        f'<li id="n{turn}-{number}">{shown(_place(citations[0]))}'
        + "".join(f"<blockquote>{shown_lines(one.quote)}</blockquote>" for one in citations)
        + "</li>"
        for number, citations in _by_number(answer)
    )
    cost = f'<p class="cost">{html.escape(answer.cost)}</p>'
    return f"<section><h2>{shown_lines(answer.question)}</h2>{text}{''.join(lines)}<ol>{quoted}</ol>{cost}</section>"


def _reference(turn: int, number: int | str, doubt: str = "") -> str:
    return f'<sup><a href="#n{turn}-{number}">{number}{" in part" if doubt else ""}</a></sup>'


def _by_number(answer: Answer) -> list[tuple[int, list[Citation]]]:
    grouped: dict[int, list[Citation]] = {}
    for citation in answer.cited:
        grouped.setdefault(citation.number, []).append(citation)
    return sorted(grouped.items())


def _quotes(citations: Sequence[Citation]) -> str:
    return " … ".join(f"“{' '.join(one.quote.split())}”" for one in citations)


def _place(citation: Citation) -> str:
    chunk = citation.chunk
    page = f", p. {chunk.page}" if chunk.page else ""
    return f"{chunk.title or chunk.document_id} ({chunk.document_id}{page})"


def _plain(text: str) -> str:
    """Return text whose signs mean nothing in Markdown."""
    return _MARKDOWN.sub(r"\\\1", text)


def _date(talk: Talk) -> str:
    return f"{datetime.fromtimestamp(talk.created).astimezone():%Y-%m-%d %H:%M}"


_KINDS = {"md": (as_markdown, "text/markdown"), "html": (as_html, "text/html"), "json": (as_json, "application/json")}


def routes(kept: Conversations, user_header: str) -> "list[BaseRoute]":
    """Return the addresses `/export/ID.md`, `.html` and `.json`, each a file to be saved, and `/export/ID/TURN.txt`."""
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    def found(request: "Request") -> tuple[Talk, list[Answer]]:
        user, id = request.headers.get(user_header, "") if user_header else "", request.path_params["id"]
        return kept.talk(user, id), kept.answers(user, id)

    def export(request: "Request") -> "Response":
        kind = request.url.path.rpartition(".")[2]
        write, media = _KINDS[kind]
        try:
            talk, answers = found(request)
        except UserError as error:
            return PlainTextResponse(str(error), 404)
        name = quote(f"{talk.title[:60].strip('. ')}.{kind}", safe="")
        disposition = f"attachment; filename=\"conversation.{kind}\"; filename*=UTF-8''{name}"
        return Response(write(talk, answers), media_type=media, headers={"Content-Disposition": disposition})

    def one(request: "Request") -> "Response":
        try:
            _, answers = found(request)
        except UserError as error:
            return PlainTextResponse(str(error), 404)
        turn = request.path_params["turn"]
        return PlainTextResponse(as_text(answers[turn])) if turn < len(answers) else PlainTextResponse("No such answer.", 404)

    files = [Route("/export/{id:str}." + kind, export, methods=["GET"], name=f"export-{kind}") for kind in _KINDS]
    return [*files, Route("/export/{id:str}/{turn:int}.txt", one, methods=["GET"])]
