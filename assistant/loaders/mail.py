"""Mail as it is sent (.eml, .mht) and mailboxes (.mbox), through Python's email package."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser

from assistant.decoding import decode_text
from assistant.documents import Parsed, Part, clean_line
from assistant.errors import DocumentError
from assistant.loaders.html import html_to_markdown

SHOWN = ("From", "To", "Cc", "Date", "Subject")
_FIELD_LENGTH = 1000  # characters; a list of a thousand recipients helps nobody
_MAX_MAILS = 2000
_MAX_DEPTH = 30  # multiparts in multiparts
_FROM_LINE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From [^\r\n]*\r?\n")
_HEADER = re.compile(rb"\s*[!-9;-~]+[ \t]*:", re.ASCII)
_SIGNATURES = {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature", "application/pgp-keys"}
ENCRYPTED = "it is an encrypted mail ({}): save it without encryption in your mail program"


@dataclass
class _Content:
    """What is found while the parts of a mail are walked through."""

    texts: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def load_mail(data: bytes) -> Parsed:
    """Read a mail: who, to whom, when and what about, then its text; attachments and mails in it are parts.

    Plain text is preferred to HTML. Raises `DocumentError` when it is encrypted or no mail at all.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")) or b"\0" in data[:200]:
        data = decode_text(data).text.encode()
    data = re.sub(rb"\AFrom [^\r\n]*\r?\n", b"", data.lstrip())
    if not _HEADER.match(data):
        raise DocumentError("it is no mail: it doesn't begin with headers such as From:")
    content = _Content()
    try:
        message = BytesParser(policy=policy.compat32).parsebytes(data)
        _collect(message, content, 0)
    except RecursionError:
        raise DocumentError("its parts are nested too deeply") from None
    subject = header(message, "Subject")
    text = mail_text([(name, header(message, name)) for name in SHOWN], content.parts, content.texts)
    return Parsed(text, subject, warnings=tuple(content.warnings), parts=tuple(content.parts))


def load_mailbox(data: bytes) -> Parsed:
    """Read a mailbox file: each mail is a part, named by its subject. Raises `DocumentError` when there is none."""
    places = [match.span() for match in _FROM_LINE.finditer(data)]
    if not places:
        raise DocumentError("it is no mailbox: no line in it begins with 'From '")
    warnings = [f"only its first {_MAX_MAILS:,} mails of {len(places):,} are read"] if len(places) > _MAX_MAILS else []
    ends = [start for start, _ in places[1:]] + [len(data)]
    mails = [data[start:end] for (_, start), end in zip(places, ends, strict=True)][:_MAX_MAILS]
    parser = BytesParser(policy=policy.compat32)
    names = [header(parser.parsebytes(mail, headersonly=True), "Subject") for mail in mails]
    parts = [Part(mail_name(name), re.sub(rb"(?m)^>(>*From )", rb"\1", mail)) for name, mail in zip(names, mails, strict=True)]
    return Parsed("", warnings=tuple(warnings), parts=tuple(parts))


def mail_text(fields: list[tuple[str, str]], parts: list[Part], texts: list[str]) -> str:
    """Put a mail together: one line for each header that is there, the names of attachments, an empty line, the text."""
    lines = [f"{name}: {clean_line(value, _FIELD_LENGTH)}" for name, value in fields if value.strip()]
    if parts:
        lines.append("Attachments: " + clean_line(", ".join(part.name for part in parts), _FIELD_LENGTH))
    return "\n\n".join(["\n".join(lines), *texts]).strip()


def mail_name(subject: str) -> str:
    """Return a file name for a mail in another."""
    return (clean_line(subject.replace("/", " "), 80) or "mail") + ".eml"


def header(message: "Message[str, str]", name: str) -> str:
    """Return a header as text, however it is encoded; empty when it is missing."""
    # `get` would replace bytes that are no ASCII.
    return decoded_header(next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), ""))


def decoded_header(raw: str) -> str:
    """Return a header's value with its encoded words (`=?utf-8?...?=`) decoded, in one line."""
    try:
        # Bytes that are no ASCII come as surrogates.
        plain = raw.encode("utf-8", "surrogateescape")
        text = " ".join(decode_text(plain).text.split()) if plain.strip() else ""
        return str(make_header(decode_header(text)))
    except (ValueError, LookupError, MessageError, DocumentError):
        return clean_line(raw.encode("ascii", "replace").decode(), _FIELD_LENGTH)


def _collect(part: "Message[str, str]", content: _Content, depth: int) -> None:
    kind = part.get_content_type()
    if depth > _MAX_DEPTH:
        raise DocumentError("its parts are nested too deeply")
    if kind == "multipart/encrypted":
        raise DocumentError(ENCRYPTED.format("PGP"))
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        signed = _parameter(part, "smime-type") == "signed-data"
        raise DocumentError(
            "its text is inside an S/MIME signature: save it as text in your mail program" if signed else ENCRYPTED.format("S/MIME")
        )
    if kind in _SIGNATURES:
        return
    name = _file_name(part)
    if kind == "message/rfc822":
        _add_mail(part, content)
    elif kind == "multipart/alternative":
        _collect_best(part, content, depth)
    elif part.is_multipart():
        for child in _children(part):
            _collect(child, content, depth + 1)
    elif name or part.get_content_disposition() == "attachment":
        _add_attachment(part, name, content)
    elif kind.startswith("text/") and kind not in ("text/css", "text/javascript", "text/calendar"):
        text = _text(part, kind == "text/html", content)
        if text.startswith("-----BEGIN PGP MESSAGE-----"):
            raise DocumentError(ENCRYPTED.format("PGP"))
        if text:
            content.texts.append(text)
    elif kind == "message/delivery-status":
        content.texts.append(str(part.get_payload()).strip())


def _children(part: "Message[str, str]") -> Iterator["Message[str, str]"]:
    for child in part.get_payload():
        if isinstance(child, Message):
            yield child


def _collect_best(part: "Message[str, str]", content: _Content, depth: int) -> None:
    """Take one of the alternatives: the first in plain text that has any, else the last with text; all attachments."""
    found: list[tuple[bool, _Content]] = []
    for child in _children(part):
        inner = _Content(parts=content.parts)
        _collect(child, inner, depth + 1)
        if inner.texts:
            found.append((child.get_content_type() == "text/plain", inner))
    if found:
        best = next((inner for is_plain, inner in found if is_plain), found[-1][1])
        content.texts += best.texts
        content.warnings += best.warnings


def _text(part: "Message[str, str]", is_html: bool, content: _Content) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload.strip():
        return ""
    try:
        decoded = decode_text(payload, _parameter(part, "charset"))
        content.warnings += decoded.warnings
        if is_html:
            text, warning = html_to_markdown(decoded.text)
            content.warnings += [warning] if warning else []
        else:
            text = decoded.text
            if _parameter(part, "format").lower() == "flowed":
                text = re.sub(r"(?<!^--) \n(?!>|\s)", " ", text, flags=re.MULTILINE)
    except DocumentError as error:
        content.warnings.append(f"a part of its text can't be read: {error}")
        return ""
    # Addresses that follow visitors hide the sentence they stand in.
    text = re.sub(r" ?<https?://[^\s>]{80,2000}>", "", text)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip()


def _add_attachment(part: "Message[str, str]", name: str, content: _Content) -> None:
    inline = part.get_content_disposition() == "inline" or part.get("Content-ID") is not None
    if part.get_content_maintype() == "image" and inline:
        return
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes) and payload:
        extension = {"text/plain": ".txt", "text/html": ".html", "application/pdf": ".pdf"}.get(part.get_content_type(), "")
        content.parts.append(Part(name or "attachment" + extension, payload))


def _add_mail(part: "Message[str, str]", content: _Content) -> None:
    for inner in _children(part):
        try:
            data = inner.as_bytes()
        except (ValueError, LookupError, TypeError, AttributeError, MessageError) as error:
            content.warnings.append(f"a mail in it can't be read ({error})")
        else:
            content.parts.append(Part(mail_name(header(inner, "Subject")), data))


def _parameter(part: "Message[str, str]", name: str) -> str:
    """Return a parameter of the Content-Type, of which broken mails have strange ones."""
    try:
        value = part.get_param(name, "")
    except (ValueError, LookupError, TypeError, MessageError):
        return ""
    return str(value[2] if isinstance(value, tuple) else value)


def _file_name(part: "Message[str, str]") -> str:
    try:
        name = part.get_filename("") or ""
        return str(make_header(decode_header(name))) if name else ""
    except (ValueError, LookupError, TypeError, MessageError):
        return "attachment"
