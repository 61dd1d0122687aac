"""Outlook's mail files (.msg) through python-oxmsg."""

from typing import Any

from assistant.documents import Parsed, Part
from assistant.errors import DocumentError
from assistant.loaders.html import html_to_markdown
from assistant.loaders.mail import ENCRYPTED, decoded_header, mail_text

_EMBEDDED = "3701000D"  # the storage of an attached mail: PidTagAttachDataObject ([MS-OXMSG] 2.2.2.1)
_EMBEDDED_HEADER = 24  # bytes before the properties of a mail inside another ([MS-OXMSG] 2.4.1.2)
_MAX_DEPTH = 3


def load_outlook(data: bytes) -> Parsed:
    """Read a mail as `load_mail` does; mails attached to it follow in its text, other attachments are parts."""
    from oxmsg import Message

    try:
        return read_message(Message.load(data))
    except DocumentError:
        raise
    # The library reads what the file says without checks; broken files raise whatever comes.
    except Exception as error:
        raise DocumentError(f"it is damaged, or no Outlook mail ({type(error).__name__})") from None


def read_message(message: Any) -> Parsed:
    """Read oxmsg's `Message`; raises `DocumentError` when it is encrypted."""
    if message.message_class.upper() == "IPM.NOTE.SMIME":
        raise DocumentError(ENCRYPTED.format("S/MIME"))
    parts: list[Part] = []
    warnings: list[str] = []
    text = _read(message, parts, warnings, 0)
    return Parsed(text, message.subject, warnings=tuple(warnings), parts=tuple(parts))


def _read(message: Any, parts: list[Part], warnings: list[str], depth: int) -> str:
    headers = message.message_headers
    sent = message.sent_date
    recipients = [f"{r.name} <{r.email_address}>" if r.name != r.email_address else r.name for r in message.recipients]
    fields = [
        ("From", message.sender or ""),
        ("To", headers.get("To") or ", ".join(recipients)),
        ("Cc", headers.get("Cc") or ""),
        ("Date", headers.get("Date") or (sent.strftime("%a, %d %b %Y %H:%M:%S %z") if sent else "")),
        ("Subject", message.subject),
    ]
    body = (message.body or "").replace("\r\n", "\n").strip()
    if not body and message.html_body:
        body, warning = html_to_markdown(message.html_body)
        warnings += [warning] if warning else []
    own: list[Part] = []
    inner: list[str] = []
    for attachment in message.attachments:
        if attachment.mime_type == "application/pgp-encrypted":
            raise DocumentError(ENCRYPTED.format("PGP"))
        embedded = _embedded(attachment)
        if embedded is not None:
            if depth < _MAX_DEPTH:
                inner.append("Attached mail\n\n" + _read(embedded, parts, warnings, depth + 1))
        elif attachment.file_bytes:
            name = attachment.file_name or "attachment"
            # Of a signed mail the whole text is in an attachment.
            own.append(Part("signed.eml" if attachment.mime_type == "multipart/signed" else name, attachment.file_bytes))
    parts += own
    return mail_text([(name, decoded_header(value)) for name, value in fields], own, [text for text in (body, *inner) if text])


def _embedded(attachment: Any) -> Any:
    """Return the mail that is attached, or None."""
    from oxmsg import Message
    from oxmsg.properties import Properties

    class Inner(Message):
        """A mail whose properties begin elsewhere than those of a file."""

        @property
        def properties(self) -> Properties:
            return Properties(self._storage, properties_header_offset=_EMBEDDED_HEADER)

    found = [storage for storage in attachment._storage.storages if storage.name.endswith(_EMBEDDED)]
    return Inner(found[0]) if found else None
