"""Real files of many formats, beside the project where they are there."""

import pytest

from assistant.documents import Parsed
from assistant.loaders import parse
from tests.conftest import ROOT

SAMPLES = ROOT.parent / "shared" / "data" / "loader_docs"


def read(relative: str) -> Parsed:
    """Return what the loader makes of a sample; without it the test is skipped."""
    path = SAMPLES / relative
    if not path.exists():
        pytest.skip("shared/data/loader_docs is not here")
    return parse(path.read_bytes(), path.suffix)
