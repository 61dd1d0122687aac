"""What a language model writes around its answer: wrapping, openings and refusals in its own words, taken off or noticed."""

import json
import re

from assistant.sentences import split_sentences

# Words for what the model was shown. A report or a contract is also what documents speak of, so it counts with fewer verbs.
_SHOWN = (
    r"(?:(?:provided|given|supplied|available|above|retrieved|relevant|following|these|those|any of the|user's) )*"
    r"(?:passages?|texts?|context|documents?|excerpts?|snippets?|sources?|information|content|documentation)"
    r"(?: (?:provided|given|above|here|you (?:provided|gave|shared)|(?:in|of) the (?:passages?|documents?|context)|available|supplied))*"
)
_ONE = r"(?:report|article|paper|guide|note|contract|policy|manual|letter|author|section|page|briefing)"
_NOT = r"(?:does|do|did)(?: not|n['’]t)(?: (?:seem|appear) to)?"
_HOW = r"(?:\s(?:explicitly|directly|specifically|clearly|actually|otherwise|further|also|currently|even|yet))*"
_TELLS = (
    r"(?:provide|contain|mention|say|specify|state|include|give|discuss|address|answer|offer|indicate|reveal|describe|cover"
    r"|explain|tell|list|name|identify|disclose|have|refer|clarify|elaborate|talk|detail|define|show)"
)
_TOLD = r"(?:mentioned|specified|stated|provided|given|found|available|discussed|described|included|indicated|listed|addressed|covered|answered|explained|identified|present|contained|named)"
_SAID = r"(?:mentioned|specified|stated|indicated|discussed|described)"  # of texts alone: lunch may be "not included"
_IN_SHOWN = rf"(?:in|from|by|within|based on|using|with) (?:the |these |this |any (?:of the )?|your |what )?{_SHOWN}\b"
_ASKED = r"(?:the answer|the question|this question|(?:this|that|the|such) (?:\w+ ){0,3}information)"
_NOTHING = r"(?:information|mention|details?|reference|data|answer|specifics?)"
_CANNOT = r"(?:can(?:not|['’]t| not)|could(?: not|n['’]t)|(?:am|was|is|are) (?:unable|not able) to)"

# A sentence that one of these matches from its start tells that the answer isn't there. Each is a thing that a model said.
REFUSALS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"not in the documents\b",
        rf"(?:the |these |this |your |none of the )?{_SHOWN} {_NOT}{_HOW} {_TELLS}\b",
        rf"(?:the |these |this |your )?{_SHOWN} (?:lacks?|is silent|are silent|says? nothing|contains? no|provides? no|makes? no|has no|have no|gives? no|mentions? no|mentions? nothing|offers? no|includes? no)\b",
        rf"none of (?:the |these |this |your )?{_SHOWN}{_HOW} (?:{_TELLS}|says)s?\b",
        rf"(?:the|this) {_ONE} {_NOT}{_HOW} (?:mention|say|specify|state|discuss|address|indicate|answer)\b",
        r"(?:i['’]?m|i am|we are) (?:very |really )?(?:sorry|afraid)\b",
        r"(?:sorry|apologies|i apologi[sz]e|unfortunately|regrettably),? (?:but )?(?:i|the|there|no|it|this|that|none|we)\b[^.]*\b(?:no|not|cannot|unable|\w+n['’]t)\b",
        rf"i {_CANNOT}{_HOW} (?:find|answer|determine|provide|tell|say|give|locate|see|help|identify|assist|confirm|fulfil)\b",
        r"i (?:do not|don['’]t|did not|didn['’]t) (?:know|have|find|see)\b",
        r"i have no (?:information|data|knowledge|details?|answer|idea)\b",
        rf"there (?:is|are|was|were)(?: no|n['’]t(?: any| enough| sufficient)?| not (?:any|enough|sufficient)) (?:specific |explicit |direct |further |clear |such |relevant )*{_NOTHING}"
        rf"(?: (?:about|of|regarding|concerning|as to|available|provided|given|here|related)\b| (?:to|for|in|from|within|on) (?:the |this |these |your |any |what )?(?:{_SHOWN}|question|topic|subject|answer)\b|[.!]*$)",
        rf"there (?:is|are) no (?:indication|evidence|statement|word|list|record|sign|trace)s?\b.* {_IN_SHOWN}",
        rf"no (?:specific |explicit |direct |further |such |relevant )*{_NOTHING} (?:(?:is|are|was|were|has been|can be)(?: \w+)? {_TOLD}(?! by\b)|{_TOLD}|(?:about|on|regarding|concerning|of) .*{_TOLD})\b",
        rf"(?:it|this|that|{_ASKED}) (?:is|was|are)(?: not|n['’]t){_HOW} (?:(?:mentioned|specified|stated|indicated)\b|{_SAID}[.!]*$|{_TOLD} {_IN_SHOWN})",
        rf"{_ASKED} (?:is|was|are)(?: not|n['’]t){_HOW} {_TOLD}[.!]*$",
        rf"[^.,;]+ (?:is|are|was|were)(?: not|n['’]t){_HOW} {_TOLD}\b[^.]*?{_IN_SHOWN}",
        rf"[^.,;]+ (?:is|are)(?: not|n['’]t){_HOW} (?:mentioned|specified|stated|indicated)[.!]*$",
        rf"(?:it|this|that|the answer|the question|this question|[^.,;]+) (?:cannot|can['’]t|can not|could not) be{_HOW} (?:determined|answered|found|inferred|concluded|deduced|established|derived) {_IN_SHOWN}",
        r"(?:it|this|that|the answer|the question|this question) (?:cannot|can['’]t|can not|could not) be (?:determined|answered|found|inferred)\b",
        rf"(?:it is |it['’]s )?(?:unclear|not clear|not possible|impossible)(?: to (?:determine|say|tell|answer|know)\b.*)? {_IN_SHOWN}",
        r"(?:it is |it['’]s )(?:unclear|not clear|not possible to answer|impossible to answer|not possible to (?:determine|say|tell)|impossible to (?:determine|say|tell))[.!]*$",
        r"(?:it is |it['’]s )?(?:not possible|impossible) to answer (?:this|the|your|that)\b",
        rf"(?:unable|not able|not enough information|insufficient information|insufficient (?:context|data))(?: to (?:determine|answer|find|say|tell)\b|[.!]*$| {_IN_SHOWN})",
        rf"(?:information )?not(?: explicitly| directly)? (?:{_SAID}[.!]*$|{_TOLD} {_IN_SHOWN})",
        rf"information not(?: explicitly| directly)? {_TOLD}[.!]*$",
        rf"no (?:relevant |matching |such )?(?:{_SHOWN}) (?:(?:was|were) )?found\b",
        rf"no answer (?:was |is |could be |can be )?(?:found|available|given|possible)\b|no answer(?:[.!]*$| {_IN_SHOWN})",
        rf"(?:while|although|though) [^.]*, (?:they|it|there|none of them|the \w+|this)\b[^.]*\b(?:{_NOT}{_HOW} {_TELLS}|(?:is|are) no {_NOTHING}|(?:is|are) not{_HOW} {_TOLD})\b",
        r"die (?:passagen|dokumente|texte|textstellen|unterlagen) (?:enthalten|nennen|erwähnen|geben|sagen|liefern) (?:keine?|nicht|nichts|dazu)\b",
        r"(?:les|ces) (?:passages|documents|textes|extraits) ne (?:mentionnent|contiennent|fournissent|précisent|disent|donnent|parlent)\b",
        r"(?:los|estos) (?:pasajes|documentos|textos|fragmentos) no (?:mencionan|contienen|proporcionan|dicen|indican|ofrecen|especifican)\b",
    )
)
# Said beside a refusal, and nothing by itself.
_BESIDE = re.compile(
    r"(?:therefore|thus|so|hence|as a result|consequently|if you|please|you (?:may|might|can|could|should|would)|for more|"
    r"to (?:answer|find|determine)|further|additional|let me know|more (?:information|context)|it would be|i (?:would|suggest|recommend))\b",
    re.IGNORECASE,
)
# What follows these says something after all.
_AFTER_ALL = re.compile(
    r"(?<!sorry)(?<!sorry,)(?<!afraid)(?<!apologies,)(?<!unfortunately,) \b(?:but|however|instead|although|though|except|only that|yet)\b",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[ \t]*(?:\[[^\]\n]{0,40}\]|【[^】\n]{0,40}】)")
_AROUND = " \t\r\n*_`\"'“”‘’>#-•\u200b\ufeff"

_ACCORDING = (
    r"(?:according to|based (?:solely |only )?(?:on|upon)|as (?:stated|mentioned|described|noted|indicated|per|explained|reported) (?:in|by)?|from|per|in|given) "
    rf"(?:the |these |this |what the )?(?:information (?:in|from|provided in) (?:the |these )?)?{_SHOWN}(?: \[?\d*\]?)?(?: (?:say|state|provide)s?)?"
)
_STATES = r"(?:state|say|mention|indicate|suggest|explain|show|note|report|tell|describe|reveal|confirm)(?:s|ed)?"
_OPENINGS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_ACCORDING}[,:]\s*",
        rf"(?:the |these |this )?(?:(?:provided|given|above|retrieved) )?(?:passages?|texts?|context|documents?|excerpts?|sources?)(?: \[?\d+\]?)?(?: provided| given)? (?:clearly |also |explicitly )?{_STATES} that,?\s+",
        r"(?:the answer(?: to (?:the|your|this) question)? is|answer|a|final answer|response|assistant)\s*:\s*",
        r"(?:sure|certainly|of course|great question|okay|ok)[!,.:]+\s+(?:here(?:['’]s| is| are) [^:\n]{0,60}:\s*)?",
        r"here(?:['’]s| is) (?:the|an|my|your) answer(?: to [^:\n]{0,60})?:\s*",
    )
)
_HELD_BACK = 110  # characters; so much of an answer waits while it may still be an opening
_MAY_OPEN = (
    *("according", "based", "as stated", "as mentioned", "as described", "as noted", "as indicated", "as per", "as explained"),
    *("as reported", "the provided", "the given", "the passage", "the text", "the context", "the document", "the answer"),
    *("the excerpt", "the source", "these passages", "this passage", "question", "q:", "answer", "a:", "sure", "certainly"),
    *("of course", "here is", "here's", "final answer", "response", "assistant", "from the", "in the passage", "per the"),
)
_FENCE = re.compile(r"(?:```|~~~)[ \t]*([\w+-]*)[ \t]*\n?(.*?)(?:\n?(?:```|~~~)\s*)?$", re.DOTALL)
_PROSE = {"", "text", "txt", "markdown", "md", "plaintext", "plain", "json", "answer", "output"}
_FIELD = re.compile(r'\{\s*"(?:answer|final_answer|response|text|output|result|content)"\s*:\s*"((?:[^"\\]|\\.)*)(")?', re.DOTALL)
_NAMES = ("answer", "final_answer", "response", "text", "output", "result", "content")
_HANGING = re.compile(
    r"(?:[,;(–-]|\b(?:the|a|an|of|and|or|to|with|for|by|that|which|because|from|as|at|is|are|was|were|its|their|his|her))$"
)
_ENDED = re.compile(r"[.!?…。！？؟।:|][\"'”’»)\]*_`]*$|```$")


def tidy(text: str, question: str, final: bool) -> str:
    """Return what the model wrote without wrapping (JSON, a code fence), an echo of the question and an opening.

    JSON without an answer in it becomes a block of code. Unless `final`, what may still turn out to be one of
    these is held back.
    """
    inner = _unwrapped(text.strip(_AROUND[-2:] + " \t\r\n"), final)
    if inner.startswith("```") or (not final and inner[:1] in ("{", "`", "~")):
        return inner if final else ""
    bare = _without_opening(_without_echo(inner, question))
    if not final and len(bare) < _HELD_BACK and _may_open(bare, question):
        return ""
    return bare


def is_code(text: str) -> bool:
    """Whether a tidied answer is a block of code and nothing else: what a model that answers in JSON gives."""
    return text.startswith("```") and text.endswith("```")


def _unwrapped(text: str, final: bool) -> str:
    fence = _FENCE.match(text)
    if fence and fence[1].lower() in _PROSE:
        text = fence[2].strip() if final else fence[2].rstrip("`~ \n").lstrip()
    elif fence:
        return text
    if not text.startswith(("{", "[")):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        field = _FIELD.match(text)
        return _unescaped(field[1]) if field else text
    found = next((value[name] for name in _NAMES if name in value), None) if isinstance(value, dict) else None
    if isinstance(found, str):
        return found.strip()
    if isinstance(found, int | float) and not isinstance(found, bool):
        return str(found)
    if not value:
        return ""
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return text  # a citation mark and nothing else
    return f"```json\n{json.dumps(value, ensure_ascii=False, indent=2)}\n```" if final else text


def _unescaped(text: str) -> str:
    """Return the value of a JSON string that may be cut off."""
    for end in range(len(text), max(len(text) - 7, -1), -1):
        try:
            return str(json.loads(f'"{text[:end]}"', strict=False)).strip()
        except ValueError:
            continue
    return text


def _without_echo(text: str, question: str) -> str:
    """Take off `Question: ... Answer: ` and a first line that repeats the question."""
    match = re.match(
        r"(?:\*\*)?(?:question|q)(?:\*\*)?\s*:(?:\*\*)?(.*?)(?:\n|\s)(?:\*\*)?(?:answer|a)(?:\*\*)?\s*:(?:\*\*)?\s*",
        text,
        re.I | re.S,
    )
    if match and len(match[1]) <= len(question) + 40:
        return text[match.end() :]
    asked = " ".join(question.lower().split())
    label = re.match(r"(?:\*\*)?(?:question|q)(?:\*\*)?\s*:(?:\*\*)?\s*", text, re.IGNORECASE)
    rest = text[label.end() :] if label else text
    if len(asked) >= 8:
        pattern = r"\s+".join(re.escape(word) for word in asked.split())
        echo = re.match(
            rf"[\"“*]*{pattern}[\"”*]*\s*(?:\n+|$|(?=[A-Z]))" if asked.endswith("?") else rf"[\"“*]*{pattern}[\"”*]*\s*\n+",
            rest,
            re.I,
        )
        if echo:
            return re.sub(r"^(?:answer|a)\s*:\s*", "", rest[echo.end() :], flags=re.IGNORECASE)
    return text


def _without_opening(text: str) -> str:
    """Take off "According to the passages," and the like; the first letter of what is left becomes a capital."""
    for _ in range(3):
        match = next((match for pattern in _OPENINGS if (match := pattern.match(text))), None)
        if match is None or not text[match.end() :].strip():
            return text
        text = text[match.end() :]
        if text[:1].islower() and not re.match(r"\w*[A-Z]", text):  # "iPhone" stays as it is
            text = text[0].upper() + text[1:]
    return text


def _may_open(text: str, question: str) -> bool:
    """Whether the beginning of an answer may still become an opening or an echo of the question."""
    start = text.lower().lstrip(_AROUND)
    if question.lower().startswith(start[:40]):
        return True
    return any(word.startswith(start) or start.startswith(word) for word in _MAY_OPEN)


# Refusals


def is_refusal(text: str) -> bool:
    """Whether the model said that the passages don't hold the answer, and nothing else (also while it is still writing that)."""
    bare = _without_opening(_MARKS.sub("", text).strip(_AROUND))
    start = re.sub(r"[^a-z ]", "", bare.lower())
    if start.startswith("not in the documents") or (len(start) >= 6 and "not in the documents".startswith(start)):
        return True  # as the prompt has it; what follows only explains it
    kinds = [_refuses(bare[first:last]) for first, last in split_sentences(bare)]
    return any(kind == "refusal" for kind in kinds) and all(kinds)


def _refuses(sentence: str) -> str:
    """Return "refusal", "beside" for what is only said with one, or nothing."""
    bare = sentence.strip(_AROUND)
    if not bare:
        return "beside"
    plain = re.sub(r"^(?:however|therefore|thus|so|hence|but|also|additionally|unfortunately),?\s+", "", bare, flags=re.IGNORECASE)
    plain = _without_opening(plain)
    for pattern in REFUSALS:
        match = pattern.match(plain) or pattern.match(bare)
        if match and not _AFTER_ALL.search(bare, match.start()):
            return "refusal"
    return "beside" if _BESIDE.match(bare) else ""


def without_refusals(text: str) -> str:
    """Return an answer without the sentences that say that the documents lack something: they can't be looked up.

    An answer that is nothing else stays as it is.
    """
    spans = split_sentences(text)
    told = [_refuses(text[start:end]) == "refusal" for start, end in spans]
    if not any(told) or all(told):
        return text
    pieces, written = [], 0
    for (start, end), refusal in zip(spans, told, strict=True):
        pieces.append(text[written:start] if not refusal else "")
        pieces.append("" if refusal else text[start:end])
        written = end
    return ("".join(pieces) + text[written:]).strip()


# Ends


def breaks_off(text: str) -> bool:
    """Whether an answer of its own accord ends where no sentence does: after a comma, an article, most prepositions."""
    return bool(_HANGING.search(_MARKS.sub("", text).rstrip()))


def with_ellipsis(text: str) -> str:
    """Return a text that was cut off with an ellipsis after its unfinished last sentence; a finished one stays as it is."""
    text = text.rstrip()
    if not text or _ENDED.search(_MARKS.sub("", text).rstrip()):
        return text
    return f"{text.rstrip(',;–-( ')}…"
