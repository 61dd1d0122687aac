"""`python -m eval COMMAND` or `assistant eval COMMAND`: measurements of this assistant."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from assistant.errors import UserError

# Each is a module with `add_arguments(parser)` and `run(options) -> exit code`, loaded when it is asked for.
COMMANDS = {
    "retrieval": "does search find what it should? on a BEIR folder, on questions with gold spans, or on your corpus",
    "answers": "are whole answers right, cited and refused where there is none? on a set with answers, or on your corpus",
    "abstain": "how often are answers wrongly refused or given? --fit fits the refusal threshold",
    "injections": "do instructions inside documents get through to the answer? with the app's defences and without",
    "sources": "do answers follow the documents where the world knows better, and tell when two of them disagree?",
    "poison": "do five texts written to match a question push a wrong answer? and is the reader told?",
    "compare": "two runs, question by question: exit code 1 when the second is significantly worse",
    "history": "the main measure of all runs over time: a plot and a table",
    "generate": "draft questions about your own documents, for you to keep or throw away",
    "table": "the README's table of retrieval quality, from the newest stored runs",
    "latency": "speed, memory and recall of search at 1,000 to 100,000 chunks; writes eval/results/ and the README's table",
    "indexing": "how fast documents become searchable, against the plain LangChain recipe; writes eval/results/ and the README's table",
    "grounding": "is the support of a statement told from its lack? on judged claims; with --fit the weights are fitted",
    "bench": "speed and memory on this machine; writes eval/results/ and the README's table",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one measurement and return its exit code: 2 for a mistake by the caller."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m eval", description="Measure this assistant.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, help in COMMANDS.items():
        command = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        if given[:1] == [name]:
            importlib.import_module(f"eval.{name}").add_arguments(command)
    options = parser.parse_args(given)
    try:
        return int(importlib.import_module(f"eval.{options.command}").run(options))
    except UserError as error:
        print(f"eval: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f"{error.filename} can't be used" if error.filename else "a file can't be used"
        print(f"eval: {place} ({error.strerror or error}): check its permissions and the disk.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("eval: interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
