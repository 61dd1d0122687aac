"""Where a question looks: the control above the box, and the route that tells `where.js` which names there are."""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assistant.answer import Assistant
from assistant.errors import UserError
from assistant.places import Place, Places
from assistant.receipts import counted
from assistant.scope import Scope, scope_of
from ui.listing import key_of
from ui.render import shown

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

MOST_PLACES = 300  # that a question is limited to without a saved selection
_SUGGESTED = 12
_TYPED = 200  # characters that are read of what is typed
_PLAIN = re.compile(r"[^\s@\"“„]\S*[^\s.,;:?!)\]}'’]")


def where_html(scope: Scope) -> str:
    """Return the control that tells and changes what the next question is limited to."""
    places = shown(scope.line) if scope else "all documents"
    clear = '<button type="button" id="ask-everywhere"><span aria-hidden="true">× </span>All documents</button>' if scope else ""
    return (
        f'<div class="where{" limited" if scope else ""}"><button type="button" id="ask-in" aria-haspopup="dialog" aria-expanded="false">'
        f'Ask in: <b dir="auto">{places}</b> <span aria-hidden="true">▾</span></button>{clear}</div>'
    )


def scope_from(data: object, places: Places) -> Scope:
    """Return the scope of what a page sent, a list of {kind, name} or {kind, key}.

    Raises `UserError` when these are too many, or one of the keys is of something that isn't there any more.
    """
    rows = data if isinstance(data, list) else []
    if len(rows) > MOST_PLACES:
        raise UserError(
            f"These are {len(rows):,} places, a question takes {MOST_PLACES}: save them as a selection and ask in that."
        )
    rows = [row for row in rows if isinstance(row, dict) and row.get("kind") in ("selection", "folder", "document")]
    named = [Place(row["kind"], row["name"]) for row in rows if isinstance(row.get("name"), str) and row["name"]]
    keys = [(row["kind"], str(row["key"])) for row in rows if "key" in row]
    if keys:
        known = {(place.kind, key_of(place.name.rstrip("/"))): place for place in places.all()}
        if missing := sum(key not in known for key in keys):
            raise UserError(
                f"{counted(missing, 'document')} of these {'is' if missing == 1 else 'are'} not there any more: choose again."
            )
        named += [known[key] for key in keys]
    return scope_of(named)


def mention(place: Place) -> str:
    """Return how a place is named in a question."""
    if _PLAIN.fullmatch(place.name):
        return f"@{place.name}"
    return '@"{}"'.format(re.sub(r'(["\\])', r"\\\1", place.name))


def suggestions(places: Sequence[Place]) -> list[dict[str, str]]:
    """Return places as the page gets them, which shows them as text."""
    return [{"kind": place.kind, "name": place.name, "about": place.about, "mention": mention(place)} for place in places]


def routes(assistant: Assistant) -> "list[BaseRoute]":
    """Return the address `/places?q=…`, which answers with the places whose names hold what is typed."""
    from starlette.responses import Response
    from starlette.routing import Route

    def places(request: "Request") -> "Response":
        typed = request.query_params.get("q", "")[:_TYPED]
        try:
            told = {"places": suggestions(assistant.places.suggest(typed, _SUGGESTED))}
        except UserError as error:
            told = {"places": [], "problem": str(error)}  # type: ignore[dict-item]
        return Response(json.dumps(told, ensure_ascii=True), media_type="application/json", headers={"Cache-Control": "no-store"})

    return [Route("/places", places, methods=["GET"])]
