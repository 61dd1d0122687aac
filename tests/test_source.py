"""Rules about the source itself."""

import ast
import re

import pytest

from tests.conftest import ROOT, run_python

SOURCES = sorted(path for folder in ("assistant", "ui", "eval") for path in (ROOT / folder).rglob("*.py"))
# Each library is imported in one file, so that its changes are met in one place.
OWNERS = {
    "chromadb": "assistant/dense.py",
    "tantivy": "assistant/lexical.py",
    "xllamacpp": "assistant/embedded_model.py",
    "pypdfium2": "assistant/loaders/pdf_pages.py",
    "trafilatura": "assistant/loaders/html.py",
    "httpcore": "assistant/pinned.py",
    "webencodings": "assistant/web_content.py",
}


def imports(source: str) -> list[tuple[str, int]]:
    """Return (top-level package, indentation) of every import."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found += [(name.split(".")[0], node.col_offset) for name in names if isinstance(node, ast.Import | ast.ImportFrom)]
    return found


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_in_one_file_only(library: str) -> None:
    users = {path.relative_to(ROOT).as_posix() for path in SOURCES if library in {name for name, _ in imports(path.read_text())}}
    assert users == {OWNERS[library]}


def test_the_databases_are_opened_and_used_in_few_places() -> None:
    users = {path.relative_to(ROOT).as_posix() for path in SOURCES if "sqlite3" in {name for name, _ in imports(path.read_text())}}
    # dense.py looks into Chroma's database, recovery.py into a damaged one.
    catalogue = {"assistant/catalog.py", "assistant/schema.py", "assistant/dense.py", "assistant/recovery.py"}
    assert users == {*catalogue, "assistant/conversations.py"}


def test_imports_go_one_way() -> None:
    for path in (ROOT / "assistant").rglob("*.py"):
        if path.name != "cli.py":  # it starts the app and the evals by name
            assert not {"ui", "eval", "gradio"} & {name for name, _ in imports(path.read_text())}, path


def test_nothing_runs_what_it_reads() -> None:
    """S14: no pickle, eval, exec, unsafe YAML, LangChain deserialiser or shell."""
    forbidden = re.compile(
        r"\b(pickle|marshal|shelve|dill)\b|(?<![\w.])(eval|exec)\(|yaml\.(unsafe_)?load\(|shell=True|os\.system\(|"
        r"langchain_core\.load|\bload_prompt\b|allow_dangerous_deserialization|trust_remote_code"
    )
    for path in SOURCES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            assert not forbidden.search(line), f"{path}:{number}"


def test_nothing_heavy_is_loaded_by_the_help() -> None:
    code = (
        "import sys\nfrom assistant.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'numpy', 'torch', 'chromadb', 'gradio', 'langchain_core', 'openvino', 'httpx', 'tokenizers', 'tqdm'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    ran = run_python("-c", code)
    assert ran.code == 0, ran.err
    assert "serve" in ran.out
