"""Bytes become text: which encoding they are in, told by marks, by what is declared, or by how the result reads."""

import codecs
import re
import unicodedata
from dataclasses import dataclass

from assistant.errors import DocumentError

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]")
_HIGH = re.compile(rb"[\x80-\xff]")
_MARKS = (  # UTF-32 first: its mark starts with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What is not text at all in these reads as ASCII, so only a declaration tells.
_SEVEN_BITS = {"iso2022_jp", "iso2022_jp_2", "iso2022_kr", "hz", "utf-7"}
# Encodings that old files really have; fewer candidates make fewer wrong guesses.
_CANDIDATES = [
    "cp932",
    "euc_jp",
    "gb18030",
    "big5",
    "cp949",
    "cp1251",
    "koi8_r",
    "cp866",
    "cp1252",
    "cp1253",
    "cp1255",
    "cp1256",
    "cp874",
]
# What languages written in Latin letters have beyond ASCII.
_WESTERN = (
    "äöüß",
    "àâæçéèêëîïôœùûüÿ",
    "áéíñóúü",
    "ãáâàçéêíóôõúü",
    "àèéìíòóù",
    "åäöøæéü",
    "áðéíóúýþæö",
    "éëïöüóèê",
)
_CENTRAL = ("áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "ąćęłńóśźż", "áéíóöőúüű", "ăâîşţ", "čćđšž")
_ALPHABETS = {
    "cp1252": _WESTERN,
    "cp1250": _CENTRAL,
    "iso8859_2": _CENTRAL,
    "cp1254": ("çğıöşüâîûi̇",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž"),
    "cp850": _WESTERN,
    "mac_roman": _WESTERN,
}
_SPECIAL = re.compile(r"(?<=[a-z])[“”‘„‚…€£°§«»¿¡©®™·•½²³ºª](?=[a-z])|[^\x00-\x7f\d“”‘’„‚–—…€£°§«»¿¡©®™·•½²³ºª‹›µ\xa0\xad]")
_MARGIN = 0.05  # so much must another one fit better than Windows-1252
_MULTIBYTE = ("cp932", "euc_jp", "cp949", "gb18030", "big5")
_SAMPLE = 16_000  # bytes that are looked at
_ENOUGH = 64  # bytes beyond ASCII that make a guess sure
_FEW = 24  # and that make one possible
_BINARY = "it is binary data, not text; convert it to one of the supported formats"


@dataclass(frozen=True)
class Decoded:
    """A text and what the reader should know about how it was decoded."""

    text: str
    warnings: tuple[str, ...] = ()


def decode(data: bytes, declared: str = "") -> str:
    """Return the text of `decode_text` alone."""
    return decode_text(data, declared).text


def decode_text(data: bytes, declared: str = "") -> Decoded:
    """Decode `data`; line ends become newlines, and control characters but form feeds are dropped.

    A byte order mark comes first, then UTF-8, then the encoding `declared` by the file itself, then the likeliest
    of the old ones; Windows-1252 when nothing else is. Raises `DocumentError` when over 1 % of the characters are
    control characters or none at all: that is no text.
    """
    encoding, doubtful = _encoding(data, declared)
    text = data.decode(encoding, errors="replace").removeprefix("\ufeff")
    lost = text.count("\ufffd") - data.count("\ufffd".encode())
    bad = len(_CONTROL.findall(text)) + max(lost, 0)
    if encoding.startswith(("utf-16", "utf-32")):
        # Random bytes read as UTF-16 are letters of twenty scripts, and some that are none.
        bad += sum(unicodedata.category(letter) in ("Cn", "Co", "Cs") for letter in text[:_SAMPLE])
    if bad * 100 > len(text):
        raise DocumentError(_BINARY)
    warnings: list[str] = []
    if lost > 0:
        warnings.append(f"{lost} characters could not be decoded ({encoding})")
    elif doubtful:
        warnings.append(f"the encoding is not declared; it was read as {encoding}, so letters may be wrong")
    return Decoded(_CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")), tuple(warnings))


def is_binary(data: bytes) -> bool:
    """Tell whether the beginning of `data` is no text in any encoding."""
    try:
        decode_text(data[: _SAMPLE // 8 * 8])
    except DocumentError:
        return True
    return False


def _encoding(data: bytes, declared: str) -> tuple[str, bool]:
    """Return the name of the encoding, and whether it was guessed with doubt."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name, False
    wide = _wide(data)
    if wide:
        return wide, False
    known = _known(declared)
    if known in _SEVEN_BITS:
        return known, False
    if _decodes(data, "utf-8"):
        return "utf-8", False
    if known and _decodes(data, known):
        return known, False
    # One slip in much UTF-8, or a letter cut off at the end, is still UTF-8.
    rough = data.decode("utf-8", errors="replace")
    bad = rough.count("\ufffd")
    beyond = sum(map(len, re.findall(r"[^\x00-\x7f]+", rough))) - bad
    if beyond > 20 * bad or (known == "utf-8" and bad * 200 < len(rough)):
        return "utf-8", False
    if known and known != "utf-8":
        return known, False
    return _guess(data)


def _known(declared: str) -> str:
    """Return Python's name for a declared encoding, or nothing; as on the web, Latin-1 means Windows-1252."""
    label = declared.strip().strip("\"'").lower()
    label = {"iso-8859-8-i": "iso-8859-8", "x-sjis": "cp932", "unicode": "utf-16", "gb2312": "gb18030", "gbk": "gb18030"}.get(
        label, label
    )
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):
        return ""
    if name.startswith(("utf-16", "utf-32")) or name in ("idna", "punycode", "unicode_escape", "raw_unicode_escape"):
        return ""  # the bytes would have shown it
    if not getattr(codecs.lookup(name), "_is_text_encoding", True):
        return ""
    return {"ascii": "cp1252", "iso8859-1": "cp1252", "shift_jis": "cp932", "euc_kr": "cp949", "iso8859-9": "cp1254"}.get(
        name, name
    )


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _wide(data: bytes) -> str:
    """Recognise UTF-16 and UTF-32 without a mark by where their zero bytes stand."""
    sample = data[:_SAMPLE]
    zeros = [sample[place::4].count(0) * 4 / max(len(sample), 1) for place in range(4)]
    found = ""
    if len(data) % 4 == 0 and min(zeros[1:]) > 0.7 > zeros[0]:
        found = "utf-32-le" if zeros[0] < 0.1 else ""
    if not found and len(data) % 4 == 0 and min(zeros[:2]) > 0.9 and zeros[3] < 0.1:
        found = "utf-32-be"
    if not found and len(data) % 4 == 0 and min(zeros[2:]) > 0.9 and zeros[0] < 0.1:
        found = "utf-32-le"
    if not found:
        even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
        if odd > 0.1 and even < odd / 10:
            found = "utf-16-le"
        elif even > 0.1 and odd < even / 10:
            found = "utf-16-be"
    return found if found and _decodes(sample[: len(sample) // 4 * 4], found) else ""


def _guess(data: bytes) -> tuple[str, bool]:
    """Tell an old encoding from the lines that have letters beyond ASCII."""
    sample = b"\n".join(line for line in data[: 20 * _SAMPLE].splitlines() if _HIGH.search(line)) or data
    sample = re.sub(rb"[\x80-\xff]+\Z", b"", sample[:_SAMPLE]) if len(sample) > _SAMPLE else sample
    runs = re.findall(rb"[\x80-\xff]+", sample)
    high = sum(map(len, runs))
    # In Latin text letters beyond ASCII stand alone or in twos; elsewhere whole words consist of them.
    scattered = sum(len(run) for run in runs if len(run) <= 2) * 2 >= high
    if not scattered or not _decodes(sample, "cp1252"):
        for name in _MULTIBYTE:
            if _decodes(sample, name) and _reads_east_asian(sample.decode(name), name):
                return name, high < _ENOUGH
    if scattered or (high < _FEW and _decodes(sample, "cp1252")):
        return _latin(sample)
    if high >= _FEW:
        letters = set(b"".join(runs))
        if min(letters) >= 0xE0 and max(letters) <= 0xFA:
            return "cp1255", True  # Hebrew: no capitals, and none of the last letters of Russian
        from charset_normalizer import from_bytes

        best = from_bytes(sample, cp_isolation=_CANDIDATES).best()
        if best is not None:
            return best.encoding, best.encoding != "cp1252"
    return "cp1252", True


def _latin(sample: bytes) -> tuple[str, bool]:
    """Return the encoding in which the letters beyond ASCII fit best into the alphabet of one language."""
    scores = {name: max(_share(sample, name, alphabet) for alphabet in alphabets) for name, alphabets in _ALPHABETS.items()}
    best = max(scores, key=lambda name: scores[name] + (_MARGIN if name == "cp1252" else 0))
    return best, best != "cp1252" or scores[best] < 0.5


def _share(sample: bytes, encoding: str, alphabet: str) -> float:
    """Return the share of letters beyond ASCII in `sample` that are in `alphabet`; signs inside words are none."""
    if not _decodes(sample, encoding):
        return 0
    text = sample.decode(encoding)
    found = _SPECIAL.findall(text)
    return sum(letter.lower() in alphabet for letter in found) / len(found) if found else 1


def _reads_east_asian(text: str, name: str) -> bool:
    """Tell whether the letters beyond ASCII are those that such text consists of, not rare ones or half-width kana."""
    letters = [letter for letter in text if letter > "\x7f"]
    if name == "cp949":
        usual = sum("가" <= letter <= "힣" for letter in letters)
    elif name in ("cp932", "euc_jp"):
        usual = sum("\u3000" <= letter <= "\u30ff" or "一" <= letter <= "鿿" or "！" <= letter <= "～" for letter in letters)
        # Without kana only what the other encodings can't be: names and addresses are often kanji alone.
        if not any("ぁ" <= letter <= "ヿ" for letter in letters) and name != "cp932":
            return False
    else:
        # Punctuation, and the rows with the frequent characters.
        rows = {0xA1, 0xA3, *(range(0xB0, 0xD8) if name == "gb18030" else range(0xA4, 0xC7))}
        usual = sum(letter.encode(name)[0] in rows for letter in letters)
    return usual * 10 >= len(letters) * 9
