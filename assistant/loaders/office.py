"""What all office files share: the container is opened, decrypted, and looked at before any parser sees it."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from assistant.documents import clean_line
from assistant.errors import DocumentError
from assistant.loaders.zips import open_zip, read_member

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # the container of the formats before 2007, and of encrypted files
OLD_FORMAT = "it is in the format of Office before 2007, which is not supported: save it as .docx, .xlsx or .pptx"
MANIFEST = "META-INF/manifest.xml"  # of OpenDocument; the only part that may name a DTD, and is never parsed
_MAX_MEMBERS = 10_000  # a long presentation has a dozen for each slide
# A file set to "read-only" by Excel is encrypted with this, as MS-OFFCRYPTO 2.2.3 tells.
_KNOWN_PASSWORD = "VelvetSweatshop"
# The strict variant of the formats differs by the names of its vocabularies.
_STRICT = {
    b"http://purl.oclc.org/ooxml/officeDocument/": b"http://schemas.openxmlformats.org/officeDocument/2006/",
    b"http://purl.oclc.org/ooxml/wordprocessingml/main": b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    b"http://purl.oclc.org/ooxml/drawingml/": b"http://schemas.openxmlformats.org/drawingml/2006/",
}


@contextmanager
def parsing() -> Iterator[None]:
    """Turn whatever a parser raises on damaged data into a `DocumentError`."""
    try:
        yield
    except DocumentError:
        raise
    except (MemoryError, RecursionError):
        raise DocumentError("it is too large or nested too deeply to be read; split it or save it in another format") from None
    except Exception as error:
        raise DocumentError(f"it is damaged ({clean_line(str(error)) or type(error).__name__})") from None


def decrypted(data: bytes, passwords: Sequence[str]) -> bytes:
    """Return an office file without its encryption: `data` itself when it has none.

    Raises `DocumentError` when none of `passwords` opens it.
    """
    if not data.startswith(OLE):
        return data
    import msoffcrypto
    from msoffcrypto.exceptions import FileFormatError
    from msoffcrypto.format.ooxml import OOXMLFile

    try:
        file: Any = msoffcrypto.OfficeFile(io.BytesIO(data))
        if not file.is_encrypted():
            return data
    except FileFormatError:
        return data  # an OLE container of something else
    except Exception as error:
        raise DocumentError(f"it is damaged ({clean_line(str(error))})") from None
    for password in (_KNOWN_PASSWORD, *passwords):
        plain = io.BytesIO()
        try:
            if isinstance(file, OOXMLFile):
                file.load_key(password=password, verify_password=True)
            else:  # the older formats always verify
                file.load_key(password=password)
            file.decrypt(plain)
        except Exception:  # a wrong password, or an encryption the library doesn't know
            continue
        return plain.getvalue()
    if passwords:
        raise DocumentError("it is protected by a password, and none in ASSISTANT_PASSWORDS opens it")
    raise DocumentError("it is protected by a password: set ASSISTANT_PASSWORDS")


def open_office(data: bytes) -> zipfile.ZipFile:
    """Open the ZIP container of an office file and check every member.

    Raises `DocumentError` when it is none, damaged, unpacks to too much, or declares XML entities, which office
    files never do and attacks are made of.
    """
    if data.startswith(OLE):
        raise DocumentError(OLD_FORMAT)
    if not data.startswith(b"PK"):
        raise DocumentError("it is no office file")
    opened = open_zip(data, _MAX_MEMBERS)
    for member in opened.infolist():
        if member.filename.lower().endswith((".xml", ".rels", ".vml")) and member.filename != MANIFEST:
            _refuse_entities(read_member(opened, member))
    return opened


def _refuse_entities(content: bytes) -> None:
    if any("<!DOCTYPE".encode(encoding) in content for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")):
        raise DocumentError("it declares XML entities, as attacks do and no office program writes")


def usual_xml(content: bytes) -> bytes:
    """Return XML of the strict variant as that of the usual one; raises `DocumentError` when it declares entities."""
    _refuse_entities(content)
    for strict, usual in _STRICT.items():
        content = content.replace(strict, usual)
    return content


def read_xml(opened: zipfile.ZipFile, name: str) -> Any:
    """Return the root of a member as lxml element."""
    from lxml import etree

    content = usual_xml(read_member(opened, name))
    with parsing():
        return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))


@dataclass(frozen=True)
class Link:
    """A relationship of one part to another: its kind is the end of the type's address; the target a path or address."""

    kind: str
    target: str


def links(opened: zipfile.ZipFile, part: str = "") -> dict[str, Link]:
    """Return the relationships of `part` (of the whole file without it) by id; targets inside have full paths."""
    folder, _, name = part.rpartition("/")
    source = f"{folder}/_rels/{name}.rels".lstrip("/")
    if source not in opened.namelist():
        return {}
    found: dict[str, Link] = {}
    for element in read_xml(opened, source):
        target = str(element.get("Target") or "")
        if element.get("TargetMode") != "External":
            target = _resolve(folder, target)
        found[str(element.get("Id"))] = Link(str(element.get("Type") or "").rpartition("/")[2], target)
    return found


def _resolve(folder: str, target: str) -> str:
    steps: list[str] = [] if target.startswith("/") else [step for step in folder.split("/") if step]
    for step in target.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps)


def refuse_encrypted_opendocument(opened: zipfile.ZipFile) -> None:
    """Raise `DocumentError` for an encrypted OpenDocument file; no library here opens one."""
    if MANIFEST in opened.namelist() and b"encryption-data" in read_member(opened, MANIFEST):
        raise DocumentError("it is protected by a password, which can't be given for OpenDocument: save it without one")


def core_title(opened: zipfile.ZipFile) -> str:
    """Return the title in the file's properties, or nothing."""
    for link in links(opened).values():
        if link.kind == "core-properties" and link.target in opened.namelist():
            root = read_xml(opened, link.target)
            return str(root.findtext("{http://purl.org/dc/elements/1.1/}title") or "")
    return ""
