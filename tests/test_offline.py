"""Nothing leaves the machine: the whole assistant once, from an empty data folder, with every way out watched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assistant.model_files import BUNDLED
from tests.conftest import ROOT, clean_environment

_JOB = Path(__file__).with_name("offline_job.py")


def _isolation() -> list[str]:
    """Return the command that gives a process a network namespace of its own, or nothing where that is not permitted."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode != 0:
        return []
    return [unshare, "-rn"]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, models: Path) -> dict[str, Any]:
    """What the job reports; it quantises the embedding model itself, only the language model is linked."""
    folder = tmp_path_factory.mktemp("offline")
    data = folder / "data"
    (data / "models").mkdir(parents=True)
    for name in (BUNDLED, BUNDLED.replace(".gguf", ".verified.json")):
        (data / "models" / name).symlink_to(models / name)
    isolation = _isolation()
    result = folder / "result.json"
    env = clean_environment(
        {"ASSISTANT_CORPUS": str(ROOT / "corpus"), "ASSISTANT_DATA": str(data), "HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    )
    for name in ("GRADIO_ANALYTICS_ENABLED", "ANONYMIZED_TELEMETRY", "DO_NOT_TRACK", "TOKENIZERS_PARALLELISM"):
        env.pop(name, None)  # the command line must set them itself
    done = subprocess.run(
        [*isolation, sys.executable, str(_JOB), str(result), *(["isolated"] if isolation else [])],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        stdin=subprocess.DEVNULL,
    )
    assert result.exists(), done.stderr
    report: dict[str, Any] = json.loads(result.read_text())
    return {**report, "isolated": bool(isolation), "out": done.stdout, "err": done.stderr, "data": data}


def test_everything_works_without_a_network(outcome: dict[str, Any]) -> None:
    assert outcome["seen"] == {"sync": 0, "search": 0, "ask": 0, "page": 200, "serve": 0}, outcome["err"]
    assert "Liang Wenfeng" in outcome["out"]
    assert [path.name for path in (outcome["data"] / "models").iterdir() if path.is_dir()]  # the embedding model was made here


def test_no_python_code_tries_to_reach_another_machine(outcome: dict[str, Any]) -> None:
    assert outcome["noticed"] == 1 and "refused by the test" in outcome["refused"]  # the watch was awake
    assert outcome["attempts"] == [], "\n".join(outcome["attempts"])


def test_no_native_code_tries_to_reach_another_machine(outcome: dict[str, Any]) -> None:
    if not outcome["isolated"]:
        pytest.skip("'unshare -rn' is not permitted here, so the kernel can't be asked")
    assert outcome["counted"] >= 1  # the kernel counts such attempts
    assert set(outcome["kernel"].values()) == {0}, outcome["kernel"]


def test_the_job_leaves_nothing_in_the_home_folder(outcome: dict[str, Any]) -> None:
    left = sorted(path.name for path in outcome["data"].parent.iterdir())
    assert left == ["data", "result.json"]
    assert os.access(outcome["data"] / "catalog.sqlite3", os.R_OK)
