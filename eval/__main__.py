"""`python -m eval COMMAND`: measurements of this assistant."""

import argparse
import sys


def main() -> int:
    """Run one measurement and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m eval", description="Measure this assistant.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("bench", help="speed and memory on this machine; writes eval/results/ and the README's table")
    parser.parse_args()
    from eval.bench import run

    run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
