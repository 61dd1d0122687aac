"""Measured figures are kept in `eval/results/` and shown in the README, between marks, by the command that measured them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assistant.errors import UserError
from eval.runs import write_whole

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RESULTS = ROOT / "eval" / "results"


def put_block(name: str, text: str, readme: Path = README) -> None:
    """Put `text` between `<!-- name -->` and `<!-- /name -->` in the README, in place of what stood there.

    Raises `UserError` when the file can't be read, or when each mark doesn't stand in it once and in that order.
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        old = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{readme} can't be read ({error}): the table for it was not written.") from None
    if old.count(start) != 1 or old.count(end) != 1 or old.index(end) < old.index(start):
        raise UserError(f"{readme} needs the marks {start} and {end} once each, in this order: put them where the table should be.")
    before, after = old.split(start)[0], old.split(end)[1]
    write_whole(readme, f"{before}{start}\n{text}\n{end}{after}".encode())


def save_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write `result` as JSON to be read and compared by people too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(result, indent=2, ensure_ascii=False).encode() + b"\n")
