"""Subtitles (.srt, .vtt): what is said, without numbers and times."""

import re

from assistant.decoding import decode_text
from assistant.documents import Parsed
from assistant.errors import DocumentError

_TIMES = re.compile(r"^\s*(?:\d+:)?\d+:\d+[.,]\d+\s+-->\s")
_TAGS = re.compile(r"</?[a-z][^<>]{0,100}>|\{\\[^}]{0,50}\}", re.IGNORECASE)
_SPEAKER = re.compile(r"<v(?:\.[\w.]+)?\s+([^>]{1,80})>")
_ENDS = (".", "!", "?", "…", '"', "”", "。", "？", "！")


def load_subtitles(data: bytes) -> Parsed:
    """Read subtitles; a paragraph ends where a sentence does. Raises `DocumentError` when no times are found."""
    decoded = decode_text(data)
    spoken: list[str] = []
    found = False
    for block in re.split(r"\n\s*\n", decoded.text):
        lines = block.strip().split("\n")
        place = next((number for number, line in enumerate(lines[:2]) if _TIMES.match(line)), None)
        if place is None:
            continue
        found = True
        words = " ".join(_TAGS.sub("", _SPEAKER.sub(r"\1: ", line)).strip() for line in lines[place + 1 :])
        # Rolling captions repeat what was just said.
        if words.strip() and (not spoken or words.strip() != spoken[-1]):
            spoken.append(words.strip())
    if not found:
        raise DocumentError("no times of subtitles are found in it")
    text = ""
    for words in spoken:
        text += ("" if not text else "\n" if text.endswith(_ENDS) else " ") + words
    return Parsed(text, warnings=decoded.warnings)
