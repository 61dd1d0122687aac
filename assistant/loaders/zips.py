"""ZIP files, looked at before they are unpacked, so that a small file can't fill the memory."""

import io
import zipfile
import zlib

from assistant.errors import DocumentError

MAX_BYTES = 200_000_000  # unpacked, all members together
MAX_MEMBERS = 2000
_MAX_RATIO = 100  # real documents stay under 50
_SMALL = 10_000_000  # bytes, unpacked; less harms nobody, whatever its ratio
_BLOCK = 1 << 20


def open_zip(data: bytes, max_members: int = MAX_MEMBERS) -> zipfile.ZipFile:
    """Open a ZIP file by its directory; nothing is unpacked yet.

    Raises `DocumentError` when it is none, is damaged, or says it has over `max_members`, unpacks to over 200 MB,
    or to over 100 times its size.
    """
    try:
        opened = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise DocumentError(f"it is damaged ({error})") from None
    members = opened.infolist()
    if len(members) > max_members:
        raise DocumentError(f"it holds {len(members):,} files, over the limit of {max_members:,}")
    size = sum(member.file_size for member in members)
    if size > MAX_BYTES:
        raise DocumentError(f"it unpacks to {size / 1e6:.0f} MB, over the limit of {MAX_BYTES / 1e6:.0f}")
    if size > max(_SMALL, _MAX_RATIO * len(data)):
        raise DocumentError(f"it unpacks to {size / len(data):.0f} times its size, as no real document does")
    return opened


def read_member(opened: zipfile.ZipFile, name: str | zipfile.ZipInfo, limit: int = MAX_BYTES) -> bytes:
    """Unpack one member, counting the bytes that really come out.

    Raises `DocumentError` when they are over `limit`, or it is missing, damaged or encrypted.
    """
    label = name if isinstance(name, str) else name.filename
    blocks: list[bytes] = []
    left = limit
    try:
        with opened.open(name) as member:
            while block := member.read(_BLOCK):
                left -= len(block)
                if left < 0:
                    raise DocumentError(f"its member {label[:80]!r} unpacks to over {limit / 1e6:.0f} MB")
                blocks.append(block)
    except KeyError:
        raise DocumentError(f"it is damaged (its member {label[:80]!r} is missing)") from None
    except RuntimeError as error:
        # NotImplementedError, for a rare compression, is one of these.
        reason = "is encrypted" if "encrypted" in str(error) else f"can't be unpacked: {error}"
        raise DocumentError(f"its member {label[:80]!r} {reason}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise DocumentError(f"it is damaged (its member {label[:80]!r}: {error})") from None
    return b"".join(blocks)
