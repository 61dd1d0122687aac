"""Which kind of question is it? One about a point needs the best passages; others need many, or whole documents."""

import re
from collections.abc import Sequence
from typing import Literal

from assistant.lexical import terms
from assistant.retrieval import Hit

Kind = Literal["point", "summary", "list", "compare"]

_DOCUMENT = (
    r"(?:documents?|reports?|papers?|articles?|files?|texts?|notes?|books?|chapters?|pdfs?|transcripts?|corpus|collection|"
    r"guides?|contracts?|memos?|letters?|presentations?|manuals?|essays?|policies|policy)"
)
_PLEASE = r"(?:^|[.,:;!?]\s*)(?:(?:please|now|then|and|so)[, ]+)*(?:(?:can|could|would|will) you (?:please )?|i (?:want|need|would like) you to |(?:help me |let['’]s ))?"
# About what was said before, not about the documents.
_CONVERSATION = re.compile(
    r"\byou (?:just )?(?:said|say|told|wrote|answered|mentioned)\b|\byour (?:\w+ )?(?:answer|reply|response)\b|\b(?:our|this) (?:conversation|chat)\b",
    re.IGNORECASE,
)
# English as people ask it; of other languages the words that open such a question.
_PATTERNS: dict[Kind, tuple[str, ...]] = {
    "compare": (
        rf"{_PLEASE}(?:compare|contrast|distinguish) .+ (?:and|with|to|versus|vs\.?|against|from) ",
        r"\b(?:differences?|distinctions?|similarit(?:y|ies)|comparison|contrast)\b(?: \w+){0,3} (?:between|of) .+ (?:and|with|to) ",
        r"\bhow (?:do|does|did|is|are|was|were) .+ (?:differ|differs|different|differed) (?:from|between) ",
        r"\bhow (?:do|does|did) .+ compare (?:to|with|against|in|on)\b",
        r"\bhow (?:do|does|did) .+ and .+ (?:compare|differ)\b",
        r"\bwhat do .+ and .+ have in common\b",
        r"\w (?:vs\.?|versus) \w",
        r"^vergleiche?\b.+ (?:und|mit) |\bunterschiede? zwischen .+ und ",
        r"^compare[zr]? .+ (?:et|avec|à) |\bdifférences? entre .+ et ",
        r"^compara\w* .+ (?:y|con) |\bdiferencias? entre .+ y ",
        r"比较|区别|有什么不同|比較|違い",
    ),
    "summary": (
        rf"{_PLEASE}(?:summari[sz]e|sum up|recap|outline)\b",
        r"\b(?:give|write|provide|make|create|show|draft|need|want)\b(?: \w+)? (?:an?|the|your) (?:\w+[ -]){0,2}(?:summary|overview|outline|recap|digest|abstract)\b",
        r"^(?:an? )?(?:\w+ )?(?:summary|overview|outline|recap|digest) (?:of|on|about)\b",
        r"\bwhat (?:is|['’]s) the (?:gist|overview|summary|bottom line)\b",
        r"\b(?:main|key|central|major|most important|essential) (?:points?|ideas?|takeaways?|messages?|findings|topics|themes|conclusions|facts|arguments|lessons)\b",
        rf"\bwhat (?:is|are|was|were) (?:this|these|the|all|my|that|those)(?: \w+){{0,3}} {_DOCUMENT}(?: [^?]{{0,60}})? (?:about|saying)\b",
        rf"\bwhat (?:do|does) (?:this|these|the|all|my)(?: \w+){{0,3}} {_DOCUMENT}(?: [^?]{{0,60}})? (?:say|cover|deal with|discuss|contain)(?: in (?:short|general|brief|total))?\s*\??$",
        r"\btl;?dr\b|\bin a nutshell\b",
        r"\btell me (?:all|everything)\b|\bwhat (?:all )?(?:do|does) .+ say overall\b",
        r"^fass\w*\b.+\bzusammen|\bzusammenfassung\b|\büberblick über\b|\bhauptpunkte\b|\bwichtigsten punkte\b",
        r"^résume[zr]?\b|\brésumé (?:de|du|des)\b|\baperçu\b|\bpoints? (?:clés|principaux)\b",
        r"^resum\w+\b|\bresumen\b|\bpuntos (?:clave|principales)\b",
        r"总结|概述|概括|要約|まとめて|주요 내용|요약",
    ),
    "list": (
        rf"{_PLEASE}(?:list|enumerate)\b(?! (?:price|item|view)s?\b)",
        rf"{_PLEASE}(?:name|give(?: me)?|show(?: me)?|find|identify|tell me) (?:all|every|each|a list)\b",
        r"\b(?:what|which) (?:are|were) (?:all|the different|the various|every)\b",
        r"\ball (?:of )?(?:the )?(?:\w+ ){1,4}(?:that (?:are|were) )?(?:mentioned|named|listed|discussed|described|covered)\b",
        r"^(?:what|which) (?:\w+ ){1,4}(?:are|were) (?:mentioned|named|listed|covered|there)\b",
        r"\bhow many\b",
        r"^(?:liste|nenne|zähle)\b.*\b(?:alle|auf)\b|\bwie viele\b",
        r"^(?:liste[zr]?|énumère[zr]?|cite[zr]?) (?:tou|les)|\bcombien d",
        r"^(?:lista|enumera|nombra)\b|\bcu[aá]nt[oa]s\b",
        r"列出|有哪些|多少个|いくつ|一覧",
    ),
}
_KINDS = {kind: re.compile("|".join(patterns), re.IGNORECASE) for kind, patterns in _PATTERNS.items()}
_COUNT = re.compile(r"\bhow many\b|\bwie viele\b|\bcombien d|\bcu[aá]nt[oa]s\b|多少|いくつ", re.IGNORECASE)
_ASPECT = r"(?:\s+(?:in terms of|with (?:regard|respect) to|regarding|when it comes to|concerning|on the basis of)\s+(?P<aspect>[^?.]+))?\s*[?.!]*$"
_SIDES = tuple(
    re.compile(pattern + _ASPECT, re.IGNORECASE)
    for pattern in (
        r"\b(?:compare|contrast|distinguish)\s+(?:the\s+)?(?P<shared>[\w-]+(?: [\w-]+){0,2}\s+(?:of|in|for|between)\s+)?(?P<a>.+?)\s+(?:with|to|and|versus|vs\.?|against|from)\s+(?P<b>.+?)",
        r"\b(?:differences?|distinctions?|similarit(?:y|ies)|comparison|contrast)\s+(?P<shared>in [\w -]+? )?(?:between|of)\s+(?P<a>.+?)\s+(?:and|with|to)\s+(?P<b>.+?)",
        r"\bhow (?:do|does|did|is|are|was|were)\s+(?P<a>.+?)\s+(?:differ|differs|different|differed|compare)\s+(?:from|to|with|against)\s+(?P<b>.+?)",
        r"\bhow (?:do|does|did)\s+(?P<a>.+?)\s+and\s+(?P<b>.+?)\s+(?:compare|differ)(?:\s+(?:in|on)\s+(?P<shared>[^?.]+?))?",
        r"\bwhat do\s+(?P<a>.+?)\s+and\s+(?P<b>.+?)\s+have in common",
        r"(?:\bis |\bare |^)(?P<a>[^,:]+?)\s+(?:vs\.?|versus)\s+(?P<b>.+?)",
        r"\b(?:zwischen|vergleiche?)\s+(?P<a>.+?)\s+(?:und|mit)\s+(?P<b>.+?)",
        r"\b(?:entre|compare[zr]?)\s+(?P<a>.+?)\s+(?:et|avec)\s+(?P<b>.+?)",
        r"\b(?:entre|compara\w*)\s+(?P<a>.+?)\s+(?:y|con)\s+(?P<b>.+?)",
        r"(?:比较|比較)?(?P<a>[^，,]+?)(?:和|与|與|跟|と)(?P<b>[^，,]+?)(?:的?(?:区别|不同|違い|比较).*)?",
    )
)
# The words that make it such a question, and say nothing about its topic.
CUES = frozenset(
    terms(
        "summarise summarize summary sum up recap outline overview digest abstract gist bottom line main key central major most important "
        "essential point points idea ideas takeaway takeaways message messages finding findings topic topics theme themes conclusion "
        "conclusions fact facts argument lesson list lists enumerate name named names give me show find identify tell all every each "
        "everything different various mentioned listed discussed described covered cover compare contrast difference differences "
        "similarity between versus vs please short brief briefly sentence sentences paragraph bullet bullets whole entire content contents "
        "many document documents report paper article file files text corpus collection passages say says one two three four five from und et y con"
    )
)
_NUMBER = (
    r"(?:\d[\d.,]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|millions?|billions?"
    r"|fifteen|twenty|thirty|forty|fifty|no|none|several)"
)
_A_NUMBER = re.compile(rf"\b(?!(?:1[5-9]|20)\d\d\b){_NUMBER}\b", re.IGNORECASE)  # and no year
_NUMBERED = re.compile(rf"\b{_NUMBER}\s+((?:\w+[\s-]+){{0,2}}\w+)", re.IGNORECASE)
_COUNTED = re.compile(r"\bhow many\s+((?:\w+\s+){0,2}?\w+)", re.IGNORECASE)
_STATED = 0.6  # of the question's terms that a sentence with a number must hold to be where the number is stated
_FEW = 3  # with fewer terms the number must stand right before what is counted
_ALL = re.compile(r"\bthere\b|\bmentioned\b|\bnamed\b|\blisted\b|\bdocuments?\b|\baltogether\b|\bin (?:total|all)\b", re.IGNORECASE)
_LOOKED_AT = 3  # passages in which it is looked for


def kind(question: str) -> Kind:
    """Return what kind of question it is, by its words alone: "point" for all that is none of the others."""
    plain = " ".join(question.split())
    if _CONVERSATION.search(plain):
        return "point"
    return next((kind for kind, pattern in _KINDS.items() if pattern.search(plain)), "point")


def topic(question: str) -> list[str]:
    """Return the terms of `question` that say what it is about, in order; none for "Summarise the documents"."""
    return [term for term in dict.fromkeys(terms(question)) if term not in CUES]


def sides(question: str) -> tuple[str, str] | None:
    """Return what a question compares, each with what it is compared in; None when that can't be told."""
    plain = " ".join(question.split())
    for pattern in _SIDES:
        match = pattern.search(plain)
        if match and match["a"].strip() and match["b"].strip():
            about = " ".join(part for part in (match.groupdict().get("shared"), match["aspect"]) if part)
            return f"{match['a']} {about}".strip(), f"{match['b']} {about}".strip()
    return None


def is_count(question: str) -> bool:
    """Whether the question asks how many there are."""
    return bool(_COUNT.search(question))


def is_stated(question: str, hits: Sequence[Hit]) -> bool:
    """Whether one sentence of the best `hits` holds a number and most of the terms of a question that asks how many.

    Then the number can be read there, and nothing need be counted. So it is when the question says much more than
    what is to be counted: that is one fact, which stands in one place if anywhere.
    """
    wanted = set(topic(question))
    if len(wanted) > _FEW and not _ALL.search(question):
        return True
    counted = _COUNTED.search(question)
    nouns = set(terms(counted[1])) if counted else set()
    for hit in hits[:_LOOKED_AT]:
        about = set(terms(hit.chunk.prefix)) & wanted
        for start, end in hit.chunk.sentences:
            sentence = hit.chunk.text[start:end]
            held = set(terms(sentence)) & wanted
            if not held or len(held | about) < _STATED * len(wanted):
                continue
            if (len(wanted) >= _FEW and _A_NUMBER.search(sentence)) or _numbers(sentence, nouns):
                return True
    return False


def _numbers(sentence: str, nouns: set[str]) -> bool:
    """Whether a number stands right before one of the terms, as in "40 small ships"."""
    return any(nouns & set(terms(match[1])) for match in _NUMBERED.finditer(sentence))
