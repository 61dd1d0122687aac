"""The command line: `assistant serve | ask | search | sync | add | list | show | remove | doctor | reindex | export | import | eval`.

Exit codes: 0, 1 when some files failed or the question could not be answered, 2 for a mistake by the caller, 130 when it
was interrupted.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant import maintenance
from assistant.errors import UserError
from assistant.settings import SETTINGS, Settings, load_settings, stay_offline

if TYPE_CHECKING:
    from assistant.answer import Assistant
    from assistant.catalog import Catalog
    from assistant.filters import Filter
    from assistant.grounding import Citation
    from assistant.receipts import FileResult, Report
    from assistant.retrieval import Hit
    from assistant.snapshots import Answer


_FOLDERS = ("--corpus", "--data")
_NOTHING = "Nothing is indexed: run 'assistant sync'."
_LINES = 20  # about failed files, and about warnings
_FIRST_SYNC = 10.0  # seconds that the page waits for the documents
_EVERY = 10.0  # seconds between two lines about an indexing that goes on


def _folders() -> argparse.ArgumentParser:
    """Return what every command takes before its name."""
    parser = argparse.ArgumentParser(prog="assistant", add_help=False)
    parser.add_argument("--corpus", metavar="FOLDER", help="folder with the documents (ASSISTANT_CORPUS)")
    parser.add_argument("--data", metavar="FOLDER", help="folder for the index and the models (ASSISTANT_DATA)")
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assistant",
        parents=[_folders()],
        description="Ask your own documents; every statement of an answer points to its source.",
        epilog="Settings are environment variables: " + ", ".join(row.variable for row in SETTINGS) + "; the README explains them.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, help: str, json: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        if json:
            sub.add_argument("--json", action="store_true", help="print JSON for programs")
        return sub

    def filtered(sub: argparse.ArgumentParser) -> None:
        only = sub.add_argument_group("only in some documents", "each can be given several times; dates are of the file")
        only.add_argument("--document", action="append", default=[], metavar="ID", help="this one, as `assistant list` shows it")
        only.add_argument("--folder", action="append", default=[], metavar="F", help="those in this folder of the corpus")
        only.add_argument("--type", action="append", default=[], metavar="T", help="those of this type, such as pdf")
        only.add_argument("--after", metavar="DATE", help="modified on this day (YYYY-MM-DD) or later")
        only.add_argument("--before", metavar="DATE", help="modified before this day")

    serve = command("serve", "index the corpus and start the app in the browser", json=False)
    serve.add_argument("--host", help="address to listen on (ASSISTANT_HOST)")
    serve.add_argument("--port", type=int, help="port to listen on (ASSISTANT_PORT)")
    ask = command("ask", "answer a question in the terminal, with its sources")
    ask.add_argument("question", nargs="+", metavar="QUESTION")
    filtered(ask)
    search = command("search", "show the passages for a query, without a language model")
    search.add_argument("query", nargs="+", metavar="QUERY")
    search.add_argument("-k", type=int, default=5, metavar="N", help="how many passages (1 to 1000, default 5)")
    filtered(search)
    sync = command("sync", "index what is new or changed in the corpus folder, drop what was removed")
    sync.add_argument("--dry-run", action="store_true", help="only tell what would be done; works while the app runs")
    add = command("add", "copy files or folders into the corpus folder, or fetch pages of the web into it, and index them")
    add.add_argument("sources", nargs="+", metavar="PATH|URL", help="a file, a folder, or an address that begins with https://")
    command("list", "list the documents, then the files that failed and why")
    show = command("show", "show what is known of a document: its receipt, text and chunks")
    show.add_argument("id", metavar="ID", help="its name as `assistant list` shows it")
    show.add_argument("--text", action="store_true", help="print the text that was read of it")
    show.add_argument("--chunks", action="store_true", help="print the chunks that it is searched by")
    remove = command("remove", "delete a document from the corpus folder and the index")
    remove.add_argument("id", metavar="ID", help="its name as `assistant list` shows it")
    remove.add_argument("--yes", action="store_true", help="do not ask before deleting the file")
    maintenance.add_commands(command)
    command("eval", "measure retrieval and speed: `assistant eval --help` lists the measurements", json=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    at = next((at for at, word in enumerate(given) if word == "eval" and given[at - 1] not in _FOLDERS), None)
    if at is not None:
        folders, others = _folders().parse_known_args(given[:at])
        if not others:
            return _eval(folders, given[at + 1 :])
    options = _parser().parse_args(given)
    try:
        settings = _settings(options)
        stay_offline(settings)
        return int(_COMMANDS[options.command](options, settings))
    except UserError as error:
        print(f"assistant: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("assistant: interrupted; what was done is kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        what = f"{error.filename} can't be used" if error.filename else "a file can't be used"
        print(f"assistant: {what} ({error.strerror or error}): check its permissions and the disk.", file=sys.stderr)
        return 2


def _eval(folders: argparse.Namespace, rest: Sequence[str]) -> int:
    """Run a measurement; these read their folders from the environment."""
    from eval.__main__ import main as measure

    for name, value in vars(folders).items():
        if value:
            os.environ[f"ASSISTANT_{name.upper()}"] = value
    return measure(rest)


def _settings(options: argparse.Namespace) -> Settings:
    settings = load_settings()
    if options.corpus:
        settings = replace(settings, corpus=Path(options.corpus).expanduser().absolute())
    if options.data:
        settings = replace(settings, data=Path(options.data).expanduser().absolute())
    return settings


def _say(line: str) -> None:
    """Show a line about what takes long; quiet when nobody watches."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr)


@contextmanager
def _opened(settings: Settings) -> Iterator["Assistant"]:
    from assistant.answer import Assistant

    assistant = Assistant(settings, _say)
    try:
        yield assistant
    finally:
        assistant.close()


@contextmanager
def _stopped_by_interrupt() -> Iterator[threading.Event]:
    """Give an event that Ctrl+C sets; a second one ends the process, which harms nothing that was done."""
    stop = threading.Event()

    def interrupted(*_: object) -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()
        os.write(2, b"\nassistant: stopping; press Ctrl+C again to end at once.\n")

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _sync(assistant: "Assistant") -> "Report":
    """Bring the index in step with the folder, with a progress bar on a terminal after two seconds; Ctrl+C stops it early."""
    from tqdm import tqdm

    form = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} files{postfix}"
    with _stopped_by_interrupt() as stop, tqdm(desc="Indexing", bar_format=form, disable=None, leave=False, delay=2) as bar:

        def progress(report: "Report") -> None:
            bar.total = report.total
            left = report.seconds_left
            time_left = "" if left is None else f", {left / 60:.0f} min left" if left >= 90 else f", {left:.0f} s left"
            bar.set_postfix_str(f"{report.chunks_per_second:.0f} chunks/s{time_left}", refresh=False)
            bar.update(report.done - bar.n)

        report = assistant.sync(progress, stop)
    _told(report)
    return report


def _synced(assistant: "Assistant") -> None:
    """Sync before something else, which an interrupted sync ends as well."""
    if _sync(assistant).stopped:
        raise KeyboardInterrupt
    if assistant.notice:
        print(f"assistant: {assistant.notice}", file=sys.stderr)


def _told(report: "Report") -> None:
    """Say on standard error what went wrong."""
    _some(_failed_line(result) for result in report.failed)
    if report.problem:
        print(f"assistant: {report.problem}", file=sys.stderr)


def _some(lines: Iterable[str]) -> None:
    """Print lines on standard error, only the first of many."""
    lines = list(lines)
    for line in lines[:_LINES]:
        print(f"assistant: {line}", file=sys.stderr)
    if len(lines) > _LINES:
        print(f"assistant: and {len(lines) - _LINES:,} more, which 'assistant list' shows.", file=sys.stderr)


def _failed_line(result: "FileResult") -> str:
    from assistant.terminal import line_of

    return f"{line_of(result.id)} was not indexed: {line_of(result.message)}."


def _warning_lines(result: "FileResult") -> list[str]:
    from assistant.documents import clean_line
    from assistant.terminal import line_of

    return [f"{line_of(result.id)}: {clean_line(warning)}" for warning in result.warnings]


def _print_json(value: Any) -> None:
    from assistant.terminal import as_json

    print(as_json(value))


def _place(hit: "Hit") -> str:
    chunk = hit.chunk
    return ", ".join([chunk.title, *([chunk.heading] if chunk.heading else []), *([f"p. {chunk.page}"] if chunk.page else [])])


def _hit(hit: "Hit") -> dict[str, Any]:
    chunk = hit.chunk
    return {
        "document": chunk.document_id,
        "title": chunk.title,
        "heading": chunk.heading,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
        "score": round(hit.score, 4),
        "gist": hit.gist,
        "text": chunk.text,
    }


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    from ui.serve import check_address, ended_by_signal, serve

    host = options.host or settings.host
    port = settings.port if options.port is None else options.port
    check_address(host, port)
    print("Starting…", flush=True)
    with ended_by_signal() as ended, _opened(settings) as assistant:
        watching = assistant.watch(
            _Log(assistant), lambda status: print(status or "The corpus folder is watched.", flush=True), ended
        )
        until = time.monotonic() + _FIRST_SYNC
        while not (watching.settled.wait(0.1) or ended.is_set() or time.monotonic() > until):
            pass

        def ready(url: str) -> None:
            assistant.corpus.set_address(url)
            print(f"Ready: open {url} (Ctrl+C stops).", flush=True)

        if not ended.is_set():
            serve(assistant, host, port, ended, ready)
    # All is closed. llama.cpp would first finish the prompt that it is reading, which takes seconds.
    sys.stdout.flush()
    os._exit(0)


class _Log:
    """Prints what the syncs of a running app do, without a word about those that find nothing to do."""

    def __init__(self, assistant: "Assistant") -> None:
        self._assistant = assistant
        self._first = True
        self._printed_at = time.monotonic()
        self._problem = ""

    def __call__(self, report: "Report") -> None:
        if not report.over:
            if time.monotonic() - self._printed_at >= _EVERY:
                self._printed_at = time.monotonic()
                print(f"Indexing: {report.done:,} of {report.total:,} files…", flush=True)
            return
        _some(_failed_line(result) for result in report.failed)
        if report.problem and report.problem != self._problem:
            print(f"assistant: {report.problem}", file=sys.stderr, flush=True)
        self._problem = report.problem
        if self._first:
            documents = [info for info in self._assistant.documents() if not info.reason]
            stopped = f", stopped before {report.total - report.done:,} files" if report.stopped else ""
            print(f"{len(documents):,} documents, {report.done:,} files read now{stopped}.", flush=True)
        elif not report.idle:
            print(f"Synced: {report.line}", flush=True)
        self._first = False


def _filter(options: argparse.Namespace) -> "Filter":
    from assistant.filters import parse_filter

    return parse_filter(options.document, options.folder, options.type, options.after, options.before)


def _ask(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.answer import check_question
    from assistant.snapshots import Answer

    question, only = check_question(" ".join(options.question)), _filter(options)
    with _opened(settings) as assistant:
        _synced(assistant)
        answer = Answer(question)
        live = sys.stdout.isatty() and not options.json
        for answer in assistant.ask(question, filter=only):
            if live and not answer.final:
                waiting = "Reading part {} of {}…".format(*answer.progress) if answer.progress else "…"
                print(f"\r\033[K{answer.text.splitlines()[-1][-100:] if answer.text else waiting}", end="", flush=True)
        if live:
            print("\r\033[K", end="")
    if options.json:
        _print_json(_answer(answer))
    else:
        print(answer.text)
        for other in answer.elsewhere:
            print(f"{other.line} [{other.citation.number}].")
        for citation in answer.cited:
            page = f", p. {citation.chunk.page}" if citation.chunk.page else ""
            print(f'  [{citation.number}] {citation.chunk.document_id}{page}: "{citation.quote}"')
        for statement in answer.statements:
            for line in statement.differs:
                print(f"  {statement.mark}: {line}")
        if answer.found:
            print(f"{answer.found}.")
        if answer.note:
            print(f"assistant: {answer.note}", file=sys.stderr)
        if answer.cost:
            print(answer.cost, file=sys.stderr)
    without_model = answer.quoted and not answer.features and not settings.extractive  # a model that failed has no features
    return 1 if answer.state == "failed" or without_model else 0


def _answer(answer: "Answer") -> dict[str, Any]:
    return {
        "question": answer.question,
        "answer": answer.text,
        "refused": answer.refused,
        "unknown_words": answer.unknown_words,
        "citations": [_cited(citation) for citation in answer.citations],
        "elsewhere": [{"value": other.value, "citation": _cited(other.citation)} for other in answer.elsewhere],
        "statements": [
            {
                "text": answer.text[statement.start : statement.end],
                "start": statement.start,
                "end": statement.end,
                "mark": statement.mark,
                "support": statement.support,
                "citation": statement.citation.number if statement.citation else None,
                "differs": statement.differs,
            }
            for statement in answer.statements
        ],
        "found": answer.found,
        "passages": [_hit(hit) for hit in answer.passages],
        "reasoning": answer.reasoning,
        "note": answer.note,
        "sentences_kept_from_the_model": answer.unread,
        "quoted": answer.quoted,
        "usage": asdict(answer.usage) if answer.usage else None,
        "passages_read": answer.read,
        "seconds_thinking": answer.seconds_thinking,
        "seconds_to_first_token": answer.seconds_to_first_token,
        "seconds": answer.seconds,
    }


def _cited(citation: "Citation") -> dict[str, Any]:
    return {
        "number": citation.number,
        "document": citation.chunk.document_id,
        "page": citation.chunk.page,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
    }


def _search(options: argparse.Namespace, settings: Settings) -> int:
    if not 1 <= options.k <= 1000:
        raise UserError(f"-k is {options.k}: it must be between 1 and 1000.")
    only = _filter(options)
    with _opened(settings) as assistant:
        _synced(assistant)
        hits = assistant.search(" ".join(options.query), options.k, only)
    if options.json:
        _print_json([_hit(hit) for hit in hits])
        return 0
    for number, hit in enumerate(hits, start=1):
        print(f"{number}. {_place(hit)} ({hit.chunk.document_id}, {hit.score:.2f})")
        print("   " + " ".join(hit.chunk.text.split())[:300])
    if not hits:
        print("Nothing found.")
    return 0


def _sync_command(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.receipts import counted

    if options.dry_run:
        return _dry_run(options, settings)
    with _opened(settings) as assistant:
        report = _sync(assistant)
        left_out = sum(bool(entry.reason) for entry in assistant.corpus.catalog.files().values()) - len(report.failed)
    _some(line for result in report.results if result.ok for line in _warning_lines(result))
    if options.json:
        hidden = ("_known", "_left", "_started")
        _print_json({name: value for name, value in asdict(report).items() if name not in hidden})
    else:
        print(report.line)
        if left_out > 0:
            print(f"{counted(left_out, 'file')} from before can't be read: 'assistant list' tells why.")
    if report.stopped:
        left = f"{report.total - report.done:,} of {report.total:,} files are left" if report.total else "nothing was done yet"
        print(f"assistant: interrupted: {left}; what was done is kept, the next sync goes on there.", file=sys.stderr)
        return 130
    return 1 if report.failed or report.problem else 0


def _dry_run(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.sync import planned
    from assistant.terminal import plan, plan_lines

    made = plan(*planned(settings))
    if options.json:
        _print_json(made)
    else:
        print("\n".join(plan_lines(made)))
    if made["problem"]:
        print(f"assistant: {made['problem']}", file=sys.stderr)
    return 1 if made["problem"] else 0


def _add(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.terminal import line_of

    if "" in options.sources:  # Path takes it for the folder that one is in
        raise UserError("One of the names is empty: name a file, a folder or an address.")
    results: list[FileResult] = []
    with _opened(settings) as assistant:
        for result in _added(assistant, options.sources):
            results.append(result)
            if not result.ok:
                print(f"assistant: {_failed_line(result)}", file=sys.stderr)
                continue
            _some(_warning_lines(result))
            if not options.json:
                print(f"{line_of(result.id)}: {line_of(result.line)}")
    if options.json:
        _print_json([asdict(result) for result in results])
    return 1 if any(not result.ok for result in results) else 0


def _added(assistant: "Assistant", sources: Sequence[str]) -> Iterator["FileResult"]:
    """Add paths and addresses in the order they were given, those paths together that follow each other."""
    from assistant.web import is_url

    for are_urls, some in groupby(sources, is_url):
        if are_urls:
            yield from map(assistant.add_url, some)
        else:
            yield from assistant.add([Path(source) for source in some])


def _list(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.terminal import listed

    with _catalogue(settings) as catalog:
        documents = catalog.documents() if catalog else []
    if options.json:
        _print_json([asdict(document) for document in documents])
        return 0
    for document in documents:
        print(listed(document))
    if not documents:
        print(_NOTHING)
    return 0


@contextmanager
def _catalogue(settings: Settings) -> Iterator["Catalog | None"]:
    """Give the catalogue to read, or None when there is none; that disturbs nobody, so it works while the app runs."""
    from assistant.catalog import Catalog

    path = settings.data / "catalog.sqlite3"
    if not path.exists():
        yield None
        return
    with closing(Catalog(path, read_only=True)) as catalog:
        yield catalog


def _show(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.addresses import addresses
    from assistant.terminal import chunk_lines, find_receipt, plain, receipt, shown

    with _catalogue(settings) as catalog:
        if catalog is None:
            raise UserError(_NOTHING)
        info = find_receipt(catalog, options.id)
        document = catalog.document(info.id)
        known = catalog.files().get(info.file)
        chunks = sorted(catalog.chunks(catalog.chunk_ids_of([info.id])), key=lambda chunk: chunk.start)
    address = addresses(settings.corpus).get(known.sha256) if known else None
    text = document.text if document else ""
    if options.json:
        _print_json(shown(info, address, text if options.text else None, chunks if options.chunks else None))
        return 0
    print("\n".join(receipt(info, address)))
    if options.text:
        print(f"\n{plain(text)}")
    for number, chunk in enumerate(chunks if options.chunks else [], start=1):
        print("\n".join(["", *chunk_lines(number, len(chunks), chunk)]))
    return 0


def _remove(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.terminal import line_of

    with _catalogue(settings) as catalog:
        if catalog is None or (options.id not in catalog.files() and not options.yes):
            raise UserError(f"There is no file called {line_of(options.id)!r}: 'assistant list' shows their names.")
    if not options.yes and sys.stdin.isatty():
        if input(f"Delete {options.id} from {settings.corpus} for good? [y/N] ").strip().lower() not in ("y", "yes"):
            raise UserError("Nothing was deleted.")
    elif not options.yes:
        raise UserError(f"This deletes {options.id} from the corpus folder: repeat it with --yes.")
    with _opened(settings) as assistant:
        copies = assistant.remove(options.id)
    if options.json:
        _print_json({"removed": options.id, "same_content": copies})
    else:
        stays = f" The same text stays as {', '.join(map(line_of, copies))}." if copies else ""
        print(f"{line_of(options.id)} was deleted.{stays}")
    return 0


_COMMANDS = {
    "serve": _serve,
    "ask": _ask,
    "search": _search,
    "sync": _sync_command,
    "add": _add,
    "list": _list,
    "show": _show,
    "remove": _remove,
    **maintenance.COMMANDS,
}


if __name__ == "__main__":
    sys.exit(main())
