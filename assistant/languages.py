"""The language of a text, told by its letters (eldc)."""

from collections import Counter
from collections.abc import Sequence

_SAMPLE = 2000  # characters from the start and from the middle
_LEAST = 100  # letters; less says too little


def language_of(text: str) -> str:
    """Return the language of `text` as a code of ISO 639-1, or nothing when it isn't sure."""
    middle = len(text) // 2
    sample = text if len(text) <= 2 * _SAMPLE else f"{text[:_SAMPLE]} {text[middle : middle + _SAMPLE]}"
    if sum(map(str.isalpha, sample)) < _LEAST:
        return ""
    import eldc

    eldc.init()
    found = eldc.detect_details(sample.replace("\0", " "))
    return str(found.language) if found.reliable else ""


def usual_language(languages: Sequence[str]) -> str:
    """Return the language of at least three fifths of the texts whose language is known, if there are five or more; else nothing."""
    known = [language for language in languages if language]
    if len(known) < 5:
        return ""
    language, count = Counter(known).most_common(1)[0]
    return language if 5 * count >= 3 * len(known) else ""
