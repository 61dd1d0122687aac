"""`python -m eval generate`: draft questions about your own documents, for you to keep or throw away.

The configured language model reads one chunk after the other and writes a question with the sentence that answers
it; what can't be found word for word in the document is dropped. Only what a person kept counts as a golden question.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from assistant.chat_model import ChatModel
from assistant.chunking import Chunk, chunk_document
from assistant.documents import clean_line
from assistant.embedding import load_embedder
from assistant.errors import ModelError, UserError
from assistant.settings import Settings, load_settings, stay_offline
from eval.datasets import identified, load_corpus, text_field
from eval.drafts import Draft, as_words, draft_messages, is_whole, read_reply, spread
from eval.golden_questions import golden_files, own_questions
from eval.own_questions import append_row

_TRIES = 3  # chunks asked about for each draft that is wanted
_FAILURES = 2  # replies in a row without an answer after which the model is given up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `eval generate`."""
    parser.add_argument("--count", type=int, default=20, metavar="N", help="how many drafts (1 to 1000, default 20)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where they go (default eval/questions.jsonl in the data folder)")
    parser.add_argument("--seed", type=int, metavar="S", help="the same number draws the same passages again")
    parser.add_argument(
        "--yes",
        action="store_true",
        help="don't ask: write all as drafts, to be looked through, in the app under Evaluation for example",
    )


def run(options: argparse.Namespace) -> int:
    """Make drafts, show each and keep what the person wants; returns 1 when the model failed or nothing came of it."""
    settings = load_settings()
    stay_offline(settings)
    if not 1 <= options.count <= 1000:
        raise UserError(f"--count is {options.count}: it must be between 1 and 1000.")
    ask = sys.stdin.isatty() and sys.stdout.isatty() and not options.yes
    if not ask and options.out is None and not options.yes:
        raise UserError(
            "Nobody can be asked which drafts to keep: give --yes to review them in the app, name a file with --out, or run it in a terminal."
        )
    own = own_questions(settings)
    target = _checked(options.out or own)
    known = _known({*golden_files(own=own), target})
    chunks = _chunks(settings, options.seed)[: options.count * _TRIES]
    drafts: list[Draft] = []

    def take(draft: Draft) -> None:
        drafts.append(draft)
        if not ask:
            append_row(target, {"draft": True, **draft.row})

    dropped: Counter[str] = Counter()
    code = _generate(settings, chunks, options.count, known, dropped, take)
    if dropped:
        print("  dropped: " + ", ".join(f"{count} ({why})" for why, count in dropped.most_common()), file=sys.stderr)
    if not drafts:
        if not code:
            print("eval: no draft came of it; another model may do better (ASSISTANT_CHAT_MODEL).", file=sys.stderr)
        return code or 1
    if not ask:
        look = (
            "Review them in the app, under Evaluation"
            if target == own
            else "Delete the bad lines, and '\"draft\": true' from the good ones"
        )
        print(f"{len(drafts)} drafts are in {target}. {look}.")
        return code
    kept = review(drafts, target, known)
    print(
        f"{kept} of {len(drafts)} drafts kept"
        + (f" in {target}: measure with 'python -m eval retrieval --corpus'." if kept else ".")
    )
    return 1 if code == 1 else 0


def _chunks(settings: Settings, seed: int | None) -> list[Chunk]:
    """Return the chunks to ask about, in order. The folder is read, not the index, so a running app is no hindrance."""
    documents, notes = load_corpus(settings)
    for note in notes:
        print(f"  {note}", file=sys.stderr)
    embedder = load_embedder(settings, lambda line: print(f"  {line}", file=sys.stderr))
    cut = [chunk for document in documents for chunk in chunk_document(document, embedder.tokenizer, embedder.max_tokens)]
    chunks = spread(cut, seed)
    if not chunks:
        raise UserError(f"The documents in {settings.corpus} hold too little text to ask about: add longer ones.")
    return chunks


def _generate(
    settings: Settings,
    chunks: Sequence[Chunk],
    count: int,
    known: set[str],
    dropped: Counter[str],
    take: Callable[[Draft], None],
) -> int:
    """Give up to `count` drafts to `take`, and count those dropped; returns 0, 1 when the model failed, or 130 when interrupted."""
    from tqdm import tqdm

    model = ChatModel(settings)
    try:
        print("  Loading the language model…", file=sys.stderr)
        model.start()
        with tqdm(total=min(count, len(chunks)), desc=f"  {model.name}", unit=" drafts", leave=False, mininterval=0) as bar:
            for draft in make_drafts(model, chunks, known, dropped):
                take(draft)
                bar.update()
                if bar.n >= count:
                    break
    except ModelError as error:
        print(f"eval: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("eval: interrupted; the drafts made so far are kept.", file=sys.stderr)
        return 130
    finally:
        model.close()
    return 0


def make_drafts(model: ChatModel, chunks: Sequence[Chunk], known: set[str], dropped: Counter[str]) -> Iterator[Draft]:
    """Yield the sound drafts among one for each chunk; `dropped` counts the others by reason.

    `known` holds the words of the questions that there are (`as_words`); new ones are added. Raises `ModelError`
    when the model fails again and again.
    """
    failures = 0
    for chunk in chunks:
        reply = ""
        try:
            with closing(model.stream(draft_messages(chunk))) as stream:
                for output in stream:
                    reply = output.text
                    if is_whole(reply):
                        break
        except ModelError:
            failures += 1
            if failures == _FAILURES:
                raise
            dropped["the model failed"] += 1
            continue
        failures = 0
        draft = read_reply(reply, chunk)
        if isinstance(draft, str):
            dropped[draft] += 1
        elif as_words(draft.question) in known:
            dropped["the question is there already"] += 1
        else:
            known.add(as_words(draft.question))
            yield draft


def review(drafts: Sequence[Draft], target: Path, known: set[str]) -> int:
    """Ask about each draft on the terminal and append those kept to `target`; returns how many. Ctrl+C or Ctrl+D quits."""
    kept = 0
    try:
        for number, draft in enumerate(drafts, 1):
            print(f"\n{number} of {len(drafts)}, {clean_line(draft.document)}: {draft.quote}")
            changed = _decide(draft, known)
            if changed is not None:
                append_row(target, changed.row)
                kept += 1
    except (_Quit, EOFError, KeyboardInterrupt):
        print()
    return kept


class _Quit(Exception):
    """The person has seen enough."""


def _decide(draft: Draft, known: set[str]) -> Draft | None:
    """Return the draft as the person wants to keep it, or None when it is thrown away."""
    while True:
        print(f"  {draft.question}" + (f"  [{draft.answer}]" if draft.answer else ""))
        choice = input("  keep (k), throw away (t), edit the question (e), quit (q)? ").strip().lower()[:1]
        if choice == "k":
            return draft
        if choice == "t":
            return None
        if choice == "q":
            raise _Quit
        if choice == "e":
            written = input("  question: ").encode("utf-8", errors="replace").decode()
            text = clean_line(written, 1000)
            if text and as_words(text) in known - {as_words(draft.question)}:
                print("  This question is there already.")
            elif text:
                draft = replace(draft, question=text)
                known.add(as_words(text))


def _checked(target: Path) -> Path:
    """Return `target` when it can be written, before minutes are spent on it."""
    if target.is_dir():
        raise UserError(f"{target} is a folder: name a file with --out.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {target.parent} can't be made ({error.strerror or error}): name another with --out.") from None
    if not os.access(target.parent, os.W_OK):
        raise UserError(f"The folder {target.parent} can't be written: name another file with --out.")
    return target


def _known(files: set[Path]) -> set[str]:
    """Return the words of all questions in `files`, drafts too; `UserError` names a bad line."""
    rows = [(path, number, row) for path in sorted(files) if path.exists() for number, _, row in identified(path)]
    return {as_words(text_field(row, "text", path, number)) for path, number, row in rows}
