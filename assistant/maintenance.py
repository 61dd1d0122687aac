"""The commands that look after the data folder: `assistant doctor | reindex | export | import`."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assistant.errors import UserError
from assistant.settings import Settings

_SHOWN = {"ok": "ok  ", "note": "note", "fault": "FAIL"}

AddCommand = Callable[[str, str], argparse.ArgumentParser]


def add_commands(command: AddCommand) -> None:
    """Add the parsers of these commands; `command` takes a name and what it does."""
    doctor = command("doctor", "check folders, catalogue, indexes, models and disk")
    doctor.add_argument("--repair", action="store_true", help="mend what is found, from what can be read and the corpus folder")
    reindex = command("reindex", "make both indexes again from the catalogue, or read and embed some documents again")
    reindex.add_argument("ids", nargs="*", metavar="ID", help="only these documents, as `assistant list` shows them")
    reindex.add_argument("--embed", action="store_true", help="embed everything again too, which takes much longer")
    export = command("export", "write all documents and their vectors to one file")
    export.add_argument("file", metavar="FILE", type=Path)
    export.add_argument("--force", action="store_true", help="replace the file when it is there")
    imported = command("import", "add the documents of an export, with their vectors when they fit")
    imported.add_argument("file", metavar="FILE", type=Path)


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(line, file=sys.stderr)


def _print_json(value: Any) -> None:
    from assistant.terminal import as_json

    print(as_json(value))


def _doctor(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.doctor import examine
    from assistant.repair import repair
    from assistant.terminal import line_of

    mended: list[str] = []
    if options.repair:
        for line in repair(settings, _say):
            mended.append(line)
            if not options.json:
                print(f"mended: {line}")
    findings = examine(settings, _say)
    if options.json:
        shown = [asdict(finding) for finding in findings]
        _print_json({"mended": mended, "findings": shown} if options.repair else shown)
    else:
        for finding in findings:
            print(f"{_SHOWN[finding.level]} {line_of(finding.part)}: {line_of(finding.message)}")
    return 1 if any(finding.level == "fault" for finding in findings) else 0


def _reindex(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.receipts import counted
    from assistant.sync import Corpus

    if options.ids:
        return _read_again(options, settings)
    with closing(Corpus(settings, _say)) as corpus, _bar("Indexing", "chunk") as progress:
        corpus.reindex(progress, options.embed)
        chunks = corpus.chunk_count()
    if options.json:
        _print_json({"chunks": chunks})
    else:
        print(f"{counted(chunks, 'chunk')}, both indexes are new.")
    return 0


def _read_again(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.sync import Corpus
    from assistant.terminal import line_of

    with closing(Corpus(settings, _say)) as corpus:
        results = [corpus.read_again(id) for id in options.ids]
    if options.json:
        _print_json([asdict(result) for result in results])
    for result in results:
        if not result.ok:
            print(f"assistant: {line_of(result.id)} was not indexed: {line_of(result.message)}.", file=sys.stderr)
        elif not options.json:
            print(f"{line_of(result.id)}: {line_of(result.message)}")
    return 0 if all(result.ok for result in results) else 1


def _export(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.receipts import counted
    from assistant.transfer import export_corpus

    manifest = export_corpus(settings, options.file, options.force)
    size = options.file.stat().st_size
    if options.json:
        _print_json({"files": manifest.files, "vectors": manifest.vectors, "bytes": size})
    else:
        held = f"{counted(manifest.files, 'file')} and {counted(manifest.vectors, 'vector')} of {manifest.model}"
        print(f"{held} in {options.file}, {size / 1e6:,.1f} MB.")
    return 0


def _import(options: argparse.Namespace, settings: Settings) -> int:
    from assistant.receipts import counted
    from assistant.sync import Corpus
    from assistant.terminal import line_of
    from assistant.transfer import import_corpus, read_manifest

    manifest = read_manifest(options.file)  # before the models are loaded
    with closing(Corpus(settings, _say)) as corpus:
        results = list(import_corpus(corpus, options.file))
        if manifest.vectors and manifest.fingerprint not in corpus.fingerprints:
            print(
                f"assistant: the vectors are of another embedding model ({manifest.model}), so the documents are embedded anew; to keep"
                " them, set ASSISTANT_EMBEDDING_MODEL to it and import again.",
                file=sys.stderr,
            )
        report = corpus.sync()
    if report.problem:
        raise UserError(report.problem)
    failed = [result for result in [*results, *report.results] if not result.ok]
    for result in failed:
        print(f"assistant: {line_of(result.id)} was not imported: {line_of(result.message)}.", file=sys.stderr)
    if options.json:
        _print_json({"files": [asdict(result) for result in results], "failed": [asdict(result) for result in report.failed]})
    else:
        files = counted(sum(result.message == "imported" for result in results), "file")
        print(f"{files} imported, {counted(report.chunks, 'chunk')}, {report.seconds:.1f} s.")
    return 1 if failed else 0


@contextmanager
def _bar(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, disable=None, leave=False, delay=2) as bar:

        def progress(done: int, total: int) -> None:
            if done < bar.n:  # from the vectors to the indexes
                bar.reset()
            bar.total = total
            bar.update(done - bar.n)

        yield progress


COMMANDS = {"doctor": _doctor, "reindex": _reindex, "export": _export, "import": _import}
