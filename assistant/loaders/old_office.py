"""Files named .doc and .ppt: refused, but for those that are of a newer format in truth."""

from collections.abc import Sequence

from assistant.documents import Parsed
from assistant.errors import DocumentError
from assistant.loaders.docx import load_docx
from assistant.loaders.office import OLD_FORMAT, OLE
from assistant.loaders.pptx import load_pptx
from assistant.loaders.rtf import load_rtf


def load_doc(data: bytes, passwords: Sequence[str]) -> Parsed:
    """Read a .doc that is a .docx or RTF by its bytes; raises `DocumentError` for the old binary format."""
    if data.lstrip().startswith(b"{\\rtf"):
        return load_rtf(data)
    if data.startswith(OLE):
        raise DocumentError(OLD_FORMAT)
    return load_docx(data, passwords)


def load_ppt(data: bytes, passwords: Sequence[str]) -> Parsed:
    """Read a .ppt that is a .pptx by its bytes; raises `DocumentError` for the old binary format."""
    if data.startswith(OLE):
        raise DocumentError(OLD_FORMAT)
    return load_pptx(data, passwords)
