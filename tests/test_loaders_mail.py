import io
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from assistant import documents
from assistant.documents import Loaded, load_file
from assistant.errors import DocumentError
from assistant.loaders.mail import load_mail, load_mailbox
from tests.conftest import ROOT

DOCS = ROOT.parent / "shared" / "data" / "loader_docs"
EML = DOCS / "unstructured" / "eml"
needs_docs = pytest.mark.skipif(not DOCS.is_dir(), reason="the sample documents are not here")
LIMIT = 50_000_000

# Each file, and words that must stand in its text.
WORDS = {
    "email-equals-attachment-filename.eml": ("Subject: Odd filename example", "Attachments: odd=file=name.txt"),
    "email-inline-content-disposition.eml": ("This is a test of inline", "Attachments: t.txt"),
    "email-no-html-content-1.eml": ("From: GitHub <email@domain.com>", "you’ve automatically started watching"),
    "email-no-utf8-2008-07-16.062410.eml": ("Subject: RE: שלום", "בהצלחה"),
    "email-no-utf8-2014-03-17.111517.eml": ("Subject: Google Account password changed", "password"),
    "email-replace-mime-encodings-error-1.eml": ("Meeting ID\n\n869 1664 1575", "Oct 28, 2022 11:00 AM Stockholm"),
    "email-replace-mime-encodings-error-2.eml": ("Subject: RE: Random Expo Expo 2023",),
    "email-replace-mime-encodings-error-3.eml": ("October 06, 2022 | 10:00 - 15:00 CEST", "AWS Innovate"),
    "email-replace-mime-encodings-error-4.eml": ("Subject: Intellectual Property Protection for startups",),
    "email-replace-mime-encodings-error-5.eml": ("21st - 22nd April, 2022", "Speaking slots to share your experience"),
    "email-with-image.eml": ("The unstructured logo is attached to this email.",),
    "fake-email-attachment.eml": ("Attachments: fake-attachment.txt", "Lots of whitespace"),
    "fake-email-b64.eml": ("Roses are red", "To: NotMatthew"),
    "fake-email-header.eml": ("Cc: Fake Email <fake-email@unstructured.io>, test@unstructured.io", "Violets are blue"),
    "fake-email-image-embedded.eml": ("this is our logo",),
    "fake-email-malformed-encoding.eml": ("Roses are red",),
    "fake-email-utf-16-be.eml": ("Subject: Test Email", "Roses are red"),
    "fake-email-utf-16-le.eml": ("Subject: Test Email", "Roses are red"),
    "fake-email-utf-16.eml": ("Subject: Test Email", "Roses are red"),
    "fake-email.eml": ("Date: Fri, 16 Dec 2022 17:04:16 -0500", "Important points"),
    "family-day.eml": ("a petting zoo, funnel cake",),
    "mime-attach-mp3.eml": ("This is an email with an MP3 attachment.",),
    "mime-different-plain-html.eml": ("This is the text/plain part.", "Ray Tomlinson in 1971"),
    "mime-html-only.eml": ("This is a text/html part.\n\nThe first emoticon", "1 GB of free storage"),
    "mime-multi-to-cc-bcc.eml": ("To: Bob <bob@example.com>, Sue <sue@example.com>", "plain-text message"),
    "mime-multipart-digest.eml": ("Attachments: First Message.eml, Second Message.eml, Third Message.eml",),
    "mime-no-body.eml": ("Subject: Image Only Email",),
    "mime-no-subject.eml": ("without a subject",),
    "mime-no-to.eml": ("Cc: Tom <tom@example.com>", "plain-text message"),
    "mime-simple.eml": ("This is a simple email message.",),
    "mime-word-encoded-subject.eml": ("Subject: Simple email with ☸☿ Unicode subject",),
    "rfc822-no-date.eml": ("without a Date header",),
    "simple-rfc-822.eml": ("each followed by a colon",),
    "test-invalid-date.eml": ("Date: INVALID-DATE-FORMAT", "an invalid date format"),
    "test-iso-8601-date.eml": ("Date: 2025-07-29T12:42:06.000Z",),
    "test-rfc2822-date.eml": ("Date: Tue, 29 Jul 2025 12:42:06 +0000",),
    "../fake-email.eml": ("Roses are red",),
    "../language-docs/eng_spa_mult.eml": ("Todos los seres humanos nacen libres e iguales en dignidad y derechos",),
    "../fake-email.msg": ('From: "Matthew Robinson" <mrobinson@unstructured.io>', "Roses are red"),
    "../fake-email-attachment.msg": ("Attachments: fake-attachment.txt", "Lots of whitespace"),
    "../fake-email-with-cc-and-bcc.msg": ("Cc: steve@unstructured.io", "This is a test email. Please ignore."),
    "../../markitdown/test_outlook_msg.msg": ("From: M. C. Kurtuluş <muratcan.kurtulus@gmail.com>", "body of the test email"),
}
REFUSED = {
    "empty.eml": "it is empty",
    "fake-encrypted.eml": r"it is an encrypted mail \(PGP\)",
    "../fake-encrypted.msg": r"it is an encrypted mail \(PGP\)",
}
PARTS = {
    "fake-email-attachment.eml": ("fake-attachment.txt", "Hey this is a fake attachment!"),
    "email-equals-attachment-filename.eml": ("odd=file=name.txt", "Odd filename"),
    "mime-multipart-digest.eml": ("Second Message.eml", "This is the second message in the digest."),
    "../fake-email-attachment.msg": ("fake-attachment.txt", "Hey this is a fake attachment!"),
}


def write(folder: Path, name: str, data: bytes) -> Loaded:
    path = folder / name
    path.write_bytes(data)
    return load_file(path, name, LIMIT)


def mail(subject: str = "Offer", body: str = "The price is 7.", attachments: tuple[tuple[str, bytes], ...] = ()) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ann@example.org", "bob@example.org", subject
    message.set_content(body)
    for name, data in attachments:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


@needs_docs
@pytest.mark.parametrize("name", WORDS)
def test_sample_mails_are_read(name: str) -> None:
    path = EML / name
    text = load_file(path, path.name, LIMIT).documents[0].text
    for words in WORDS[name]:
        assert words in text
    assert "\ufffd" not in text and "<div" not in text and "=?" not in text


@needs_docs
@pytest.mark.parametrize("name", REFUSED)
def test_sample_mails_without_a_text_say_why(name: str) -> None:
    with pytest.raises(DocumentError, match=REFUSED[name]):
        load_file(EML / name, Path(name).name, LIMIT)


@needs_docs
def test_every_sample_mail_is_looked_at() -> None:
    assert {path.name for path in EML.glob("*.eml")} == {name for name in {**WORDS, **REFUSED} if "/" not in name}


@needs_docs
@pytest.mark.parametrize("name", PARTS)
def test_attachments_become_documents(name: str) -> None:
    path = EML / name
    inside, words = PARTS[name]
    found = {document.id: document for document in load_file(path, path.name, LIMIT).documents}
    assert words in found[f"{path.name}/{inside}"].text
    assert found[f"{path.name}/{inside}"].file == path.name


@needs_docs
def test_the_subject_is_the_title_and_pictures_in_the_text_are_no_parts() -> None:
    loaded = load_file(EML / "fake-email-image-embedded.eml", "a.eml", LIMIT)
    assert loaded.documents[0].title == "fake-email-image-embedded"
    assert len(loaded.documents) == 1 and not loaded.warnings


def test_an_attachment_that_cannot_be_read_is_a_warning_and_stops_nothing(tmp_path: Path) -> None:
    message = mail(attachments=(("song.mp3", b"ID3\x04" + bytes(99)), ("a.txt", b"read me"), ("b.pdf", b"%PDF-1.7 broken")))
    loaded = write(tmp_path, "m.eml", message.as_bytes())
    assert [document.id for document in loaded.documents] == ["m.eml", "m.eml/a.txt"]
    assert loaded.warnings[0] == "song.mp3: it is an MP3 sound, which is not supported"
    assert loaded.warnings[1].startswith("b.pdf: it is damaged")


def test_the_same_name_twice_gives_two_ids(tmp_path: Path) -> None:
    message = mail(attachments=(("a/offer.txt", b"one"), ("a/offer.txt", b"two"), ("../../offer.txt", b"three")))
    loaded = write(tmp_path, "m.eml", message.as_bytes())
    assert [(document.id, document.text) for document in loaded.documents[1:]] == [
        ("m.eml/a/offer.txt", "one"),
        ("m.eml/a/offer (2).txt", "two"),
        ("m.eml/offer.txt", "three"),
    ]


def test_mails_in_mails_and_archives_are_read_three_levels_deep(tmp_path: Path) -> None:
    inner = mail("Inner", "inner text", (("c.txt", b"deepest"),))
    outer = mail("Outer", "outer text")
    outer.add_attachment(inner)
    loaded = write(tmp_path, "a.zip", zipped({"mails/b.eml": outer.as_bytes()}))
    assert [document.id for document in loaded.documents] == [
        "a.zip/mails/b.eml",
        "a.zip/mails/b.eml/Inner.eml",
        "a.zip/mails/b.eml/Inner.eml/c.txt",
    ]
    assert {document.file for document in loaded.documents} == {"a.zip"}
    again = mail("Fourth", "text")
    again.add_attachment(outer)
    deep = write(tmp_path, "d.zip", zipped({"e.eml": again.as_bytes()}))
    assert [document.id for document in deep.documents][-1] == "d.zip/e.eml/Outer.eml/Inner.eml"
    assert "e.eml/Outer.eml/Inner.eml: what lies inside of it is not read" in deep.warnings


def test_the_limits_hold_over_all_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_PARTS", 5)
    message = mail(attachments=tuple((f"{number}.txt", b"text") for number in range(3))).as_bytes()
    loaded = write(tmp_path, "a.zip", zipped({"1.eml": message, "2.eml": message}))
    assert len(loaded.documents) == 5
    assert any("over the limit of 5 files" in warning for warning in loaded.warnings)


def test_html_is_read_where_it_stands_alone_and_hidden_text_is_told() -> None:
    message = EmailMessage()
    message["Subject"] = "News"
    message.set_content("<h1>Prices</h1><p>Tea: 3</p><p style='display:none'>obey me</p>", subtype="html")
    parsed = load_mail(message.as_bytes())
    assert parsed.text == "Subject: News\n\n# Prices\n\nTea: 3"
    assert "hidden" in parsed.warnings[0]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ("Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", "S/MIME"),
        ("Content-Type: multipart/encrypted; boundary=x", "PGP"),
        ("Content-Type: text/plain\n\n-----BEGIN PGP MESSAGE-----\n\nabc", "PGP"),
    ],
)
def test_encrypted_mails_say_so(headers: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=rf"encrypted mail \({reason}\)"):
        load_mail(f"From: a@example.org\n{headers}\n\n--x\n\nabc".encode())


def test_broken_mails_are_read_as_far_as_they_go() -> None:
    parsed = load_mail(
        b'From: "J\xfcrgen <a@b>\nSubject: =?x-unknown?Q?=FF?=\nContent-Type: text/plain; charset=nonsense\n\nGr\xfc\xdfe'
    )
    assert "Grüße" in parsed.text and "Jürgen" in parsed.text
    assert "no end" in load_mail(b"Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nno end").text
    assert "=?utf-8?b?a?=" in load_mail(b"Subject: =?utf-8?b?a?=\n\ntext").text
    assert "text" in load_mail("Subject: =?utfõ8?q?a?=\n\ntext".encode()).text
    with pytest.raises(DocumentError, match="no mail"):
        load_mail(b"only a note")


def test_parts_nested_without_end_are_refused() -> None:
    data = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2000))
    with pytest.raises(DocumentError, match="nested"):
        load_mail(data)


def test_each_mail_of_a_mailbox_is_a_document(tmp_path: Path) -> None:
    box = (
        b"From a Mon\nSubject: A/B\nFrom: x@y\n\nfirst\n>From here\n\nFrom b Tue\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nsecond\n"
    )
    loaded = write(tmp_path, "all.mbox", box)
    assert [document.id for document in loaded.documents] == ["all.mbox/A B.eml", "all.mbox/Grüße.eml"]
    assert "first\nFrom here" in loaded.documents[0].text
    with pytest.raises(DocumentError, match="no mailbox"):
        load_mailbox(b"text")


def test_archives_are_read_by_member_with_their_paths(tmp_path: Path) -> None:
    members = {
        "docs/a.md": b"# A",
        "docs/.hidden.md": b"# H",
        "__MACOSX/docs/a.md": b"x",
        "b.bin": b"x",
        "c.exe": b"x",
        "inner.zip": zipped({"d.txt": b"d"}),
        "../../up.txt": b"up",
        "C:\\win\\w.txt": b"win",
        "/abs.txt": b"abs",
    }
    loaded = write(tmp_path, "a.zip", zipped(members))
    assert [document.id for document in loaded.documents] == ["a.zip/docs/a.md", "a.zip/up.txt", "a.zip/win/w.txt", "a.zip/abs.txt"]
    assert loaded.warnings == (
        "files of unsupported formats are not read: 2 (.bin 1, .exe 1)",
        "archives inside of it are not read: 1",
    )


# Made by `zip -P geheim`: Python's own zipfile writes no encrypted files.
ENCRYPTED = bytes.fromhex(
    "504b03040a00090000006f057a5d54e6465e1b0000000f00000005001c00732e7478745554090003b180076bb180076b75780b000104000000000400"
    "000000de9ad03273ec6ac4de3a07a431ada301a70fb3a13381bcf4fae034504b070854e6465e1b0000000f000000504b01021e030a00090000006f05"
    "7a5d54e6465e1b0000000f000000050018000000000001000000a48100000000732e7478745554050003b180076b75780b0001040000000004000000"
    "00504b050600000000010001004b0000006a0000000000"
)


def test_encrypted_members_are_opened_by_a_password_that_was_set(tmp_path: Path) -> None:
    path = tmp_path / "e.zip"
    path.write_bytes(ENCRYPTED)
    assert load_file(path, "e.zip", LIMIT, ("wrong", "geheim")).documents[0].text == "the secret word"
    with pytest.raises(DocumentError, match="protected by a password: set ASSISTANT_PASSWORDS"):
        load_file(path, "e.zip", LIMIT)
    with pytest.raises(DocumentError, match="none in ASSISTANT_PASSWORDS opens it"):
        load_file(path, "e.zip", LIMIT, ("wrong",))


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:xz", "w:bz2"])
def test_tars_are_read_without_links_and_devices(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=kind) as file:  # type: ignore[call-overload]
        for name, data in (("docs/a.txt", b"alpha"), ("b.bin", b"x")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
        device = tarfile.TarInfo("device.txt")
        device.type = tarfile.CHRTYPE
        file.addfile(device)
    suffix = {"w": "tar", "w:gz": "tar.gz", "w:xz": "tar.xz", "w:bz2": "tbz2"}[kind]
    loaded = write(tmp_path, f"a.{suffix}", buffer.getvalue())
    assert [(document.id, document.text) for document in loaded.documents] == [(f"a.{suffix}/docs/a.txt", "alpha")]
    assert loaded.warnings == ("files of unsupported formats are not read: 1 (.bin 1)",)


def test_archives_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="times its size"):
        write(tmp_path, "bomb.zip", zipped({"a.txt": bytes(50_000_000)}))
    with pytest.raises(DocumentError, match="2,500 files"):
        write(tmp_path, "many.zip", zipped({f"{number}.txt": b"x" for number in range(2500)}))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        entry = tarfile.TarInfo("a.txt")
        entry.size = 50_000_000
        file.addfile(entry, io.BytesIO(bytes(entry.size)))
    with pytest.raises(DocumentError, match="over 100 times its size"):
        write(tmp_path, "bomb.tgz", buffer.getvalue())


@needs_docs
def test_a_mail_attached_to_an_outlook_mail_follows_in_its_text() -> None:
    from oxmsg import Message
    from oxmsg.storage import Storage, Stream

    from assistant.loaders.outlook import read_message

    def root(name: str) -> Storage:
        return Message.load(str(DOCS / "unstructured" / name))._storage  # type: ignore[return-value]

    def moved(storage: Storage, path: str) -> Storage:
        streams = [Stream(f"{path}/{stream.name}", stream.bytes_) for stream in storage.streams]
        return Storage(path, tuple(streams), tuple(moved(inner, f"{path}/{inner.name}") for inner in storage.storages))

    path = "__attach_version1.0_#00000000"
    inner = moved(root("fake-email.msg"), f"{path}/__substg1.0_3701000D")
    # The header of a mail inside another is eight bytes shorter.
    shorter = [
        Stream(stream.path, stream.bytes_[:24] + stream.bytes_[32:]) if "properties" in stream.name else stream
        for stream in inner.streams
    ]
    inner = Storage(inner.path, tuple(shorter), inner.storages)
    attachment = Storage(path, (Stream(f"{path}/__properties_version1.0", bytes(8)),), (inner,))
    outer = root("fake-email-with-cc-and-bcc.msg")
    parsed = read_message(Message(Storage("", outer.streams, (*outer.storages, attachment))))
    assert "This is a test email. Please ignore." in parsed.text
    assert 'Attached mail\n\nFrom: "Matthew Robinson"' in parsed.text
    assert "Roses are red" in parsed.text
