"""The command line: `assistant serve | ask | search | sync | add | list | remove | doctor | eval`.

Exit codes: 0, 1 when some files failed or the question could not be answered, 2 for a mistake by the caller.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.errors import UserError
from assistant.settings import SETTINGS, Settings, load_settings, stay_offline

if TYPE_CHECKING:
    from assistant.answer import Assistant
    from assistant.filters import Filter
    from assistant.grounding import Citation
    from assistant.receipts import FileResult, Report
    from assistant.retrieval import Hit
    from assistant.snapshots import Answer


_FOLDERS = ("--corpus", "--data")


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
    command("sync", "index what is new or changed in the corpus folder, drop what was removed")
    add = command("add", "copy files or folders into the corpus folder and index them")
    add.add_argument("paths", nargs="+", metavar="PATH", type=Path)
    command("list", "list the documents, then the files that failed and why")
    remove = command("remove", "delete a document from the corpus folder and the index")
    remove.add_argument("id", metavar="ID", help="its name as `assistant list` shows it")
    remove.add_argument("--yes", action="store_true", help="do not ask before deleting the file")
    command("doctor", "check folders, catalogue, indexes, models and disk")
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


def _sync(assistant: "Assistant") -> "Report":
    """Bring the index in step with the folder, with a progress bar on a terminal after two seconds."""
    from tqdm import tqdm

    with tqdm(desc="Indexing", unit="file", disable=None, leave=False, delay=2) as bar:

        def progress(report: "Report") -> None:
            bar.total = report.total
            bar.update(report.done - bar.n)
            bar.set_postfix(chunks=report.chunks)

        report = assistant.sync(progress)
    for result in report.failed:
        _failed(result)
    return report


def _failed(result: "FileResult") -> None:
    print(f"assistant: {result.id} was not indexed: {result.message}.", file=sys.stderr)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


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
    from ui.serve import check_address, serve

    host = options.host or settings.host
    port = settings.port if options.port is None else options.port
    check_address(host, port)
    print("Starting…", flush=True)
    with _opened(settings) as assistant:
        report = _sync(assistant)
        print(f"{len(assistant.documents()) - len(report.failed)} documents, {report.done} read now.", flush=True)

        def ready(url: str) -> None:
            assistant.corpus.set_address(url)
            print(f"Ready: open {url} (Ctrl+C stops).", flush=True)

        serve(assistant, host, port, ready)
    # All is closed. llama.cpp would first finish the prompt that it is reading, which takes seconds.
    sys.stdout.flush()
    os._exit(0)


def _filter(options: argparse.Namespace) -> "Filter":
    from assistant.filters import parse_filter

    return parse_filter(options.document, options.folder, options.type, options.after, options.before)


def _ask(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.answer import check_question
    from assistant.snapshots import Answer

    question, only = check_question(" ".join(options.question)), _filter(options)
    with _opened(settings) as assistant:
        _sync(assistant)
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
        _sync(assistant)
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
    with _opened(settings) as assistant:
        report = _sync(assistant)
    if options.json:
        _print_json(asdict(report))
    else:
        print(
            f"{report.done - len(report.failed)} files indexed ({report.chunks} chunks), {report.unchanged} unchanged, "
            f"{report.removed} removed, {len(report.failed)} failed, {report.seconds:.1f} s."
        )
    return 1 if report.failed else 0


def _add(options: argparse.Namespace, settings: Settings) -> int:
    results: list[FileResult] = []
    with _opened(settings) as assistant:
        for result in assistant.add(options.paths):
            results.append(result)
            if not result.ok:
                _failed(result)
            elif not options.json:
                print(f"{result.id}: {result.message}")
    if options.json:
        _print_json([asdict(result) for result in results])
    return 1 if any(not result.ok for result in results) else 0


def _list(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.catalog import Catalog

    # Reading the catalogue disturbs nobody, so this works beside a running server too.
    path = settings.data / "catalog.sqlite3"
    documents = Catalog(path).documents() if path.exists() else []
    if options.json:
        _print_json([asdict(document) for document in documents])
        return 0
    for document in documents:
        if document.reason:
            print(f"{document.id}: not indexed, {document.reason}")
        else:
            pages = f"{document.pages} pages, " if document.pages else ""
            print(f"{document.id}: {document.title} ({pages}{document.chunks} chunks, {document.indexed_at})")
    if not documents:
        print("Nothing is indexed: run 'assistant sync'.")
    return 0


def _remove(options: argparse.Namespace, settings: Settings) -> int:
    if not options.yes and sys.stdin.isatty():
        if input(f"Delete {options.id} from {settings.corpus} for good? [y/N] ").strip().lower() not in ("y", "yes"):
            raise UserError("Nothing was deleted.")
    elif not options.yes:
        raise UserError(f"This deletes {options.id} from the corpus folder: repeat it with --yes.")
    with _opened(settings) as assistant:
        assistant.remove(options.id)
    if options.json:
        _print_json({"removed": options.id})
    else:
        print(f"{options.id} was deleted.")
    return 0


def _doctor(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.doctor import examine

    findings = examine(settings, _say)
    if options.json:
        _print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.part}: {finding.message}")
    return 0 if all(finding.ok for finding in findings) else 1


_COMMANDS = {
    "serve": _serve,
    "ask": _ask,
    "search": _search,
    "sync": _sync_command,
    "add": _add,
    "list": _list,
    "remove": _remove,
    "doctor": _doctor,
}


if __name__ == "__main__":
    sys.exit(main())
