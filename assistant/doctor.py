"""Is everything in order? One finding for each part, with the way to mend it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from assistant.errors import UserError
from assistant.settings import Settings


@dataclass(frozen=True)
class Finding:
    """What was found about one part; `message` says what to do when it is not `ok`."""

    part: str
    ok: bool
    message: str


def examine(settings: Settings, report: Callable[[str], None] = lambda line: None) -> list[Finding]:
    """Check folders, catalogue, indexes, language model and disk; every part is tried, nothing is raised."""
    from assistant.model_files import BUNDLED, digest_matches
    from assistant.sync import Corpus

    findings: list[Finding] = []
    try:
        corpus = Corpus(settings, report)
    except UserError as error:
        findings.append(Finding("corpus and index", False, str(error)))
    else:
        documents = corpus.documents()
        failed = [document for document in documents if document.reason]
        findings.append(Finding("corpus", True, f"{settings.corpus}, {len(documents) - len(failed)} documents indexed"))
        findings += [Finding(document.id, False, f"not indexed: {document.reason}") for document in failed]
        message = "was damaged and has been made again" if corpus.index.rebuilt and documents else "random chunks find themselves"
        findings.append(Finding("index", corpus.index.check(), f"{corpus.chunk_count()} chunks, {message}"))
        findings.append(Finding("embedding model", True, f"{corpus.embedder.name}, {corpus.embedder.dim} dimensions"))
        corpus.close()
    if settings.extractive:
        findings.append(Finding("language model", True, "none is used: answers are sentences of the documents"))
    elif settings.base_url or not settings.embedded:
        where = settings.base_url or settings.chat_model
        findings.append(
            Finding("language model", True, f"{settings.chat_model or 'the first one'} at {where}: ask a question to try it")
        )
    elif settings.chat_model == "embedded":
        path = settings.data / "models" / BUNDLED
        if not path.exists():
            findings.append(Finding("language model", True, "is made by the first question"))
        else:
            report("Checking the language model…")
            good = digest_matches(path)
            findings.append(
                Finding("language model", good, str(path) if good else f"{path} is damaged: delete it, it is made again")
            )
    else:
        findings.append(_own_model(settings))
    free = shutil.disk_usage(settings.data if settings.data.exists() else settings.data.anchor).free
    findings.append(Finding("disk", free > 3e9, f"{free / 1e9:.1f} GB free{'' if free > 3e9 else ': make room, 3 GB are needed'}"))
    return findings


def _own_model(settings: Settings) -> Finding:
    from assistant.model_files import model_file

    if settings.chat_model.startswith("hf:"):
        return Finding("language model", True, f"{settings.chat_model} is fetched by the first question")
    try:
        return Finding("language model", True, str(model_file(settings)))
    except UserError as error:
        return Finding("language model", False, str(error))
