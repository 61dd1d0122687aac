"""Sentences in documents that talk to the language model: they are shown as sources, but it doesn't read them.

The prompt says that passages are data; a small model doesn't always mind. What is left out here can't mislead it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from assistant.retrieval import Hit

# Characters that nobody sees, put between letters so that a filter misses the words.
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
# Those of them that no script needs.
_HIDDEN = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
_BEFORE = r"(?:all |any |every(?:thing)? |of |the |these |those |your |my |our |its )*(?:previous|prior|above|earlier|preceding|foregoing|original|initial|existing|other|former|system|developer)"
_ORDERS = r"(?:instructions?|prompts?|directions?|directives?|commands?|rules?|guidelines?|guardrails?|messages?|constraints?|context|orders?|programming|training)"
_MODEL = r"(?:(?:large )?language models?|LLMs?|AI(?: (?:assistant|model|system|chatbot|agent))?|chatbots?|(?:AI|virtual|digital|helpful) assistants?|assistant|ChatGPT|GPT(?:-\w+)?|Claude|Gemini|Copilot|Qwen|Llama)"
_FORGET = r"(?:ignore|disregard|forget|override|overrule|bypass|neglect|discard|skip|do not (?:follow|obey)|don['’]t (?:follow|obey)|stop following)"
_TELL = r"(?:answer|reply|respond|say|write|output|print|return|state|tell|repeat|include|append|add|begin|start|end|finish|use|cite|translate)"

# Each must name what only a model has (its instructions, its prompt, its answer) or call it by name: "Ignore the
# warning light" and "You are a member" are ordinary sentences of documents.
_ORDERING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_FORGET}\b[^.!?]{{0,30}}?\b{_BEFORE}(?: \w+){{0,2}} {_ORDERS}\b",
        rf"\b{_FORGET}\b (?:all |any |everything |of )*(?:your|the system|its) (?:\w+ )?{_ORDERS}\b",
        rf"\b{_FORGET}\b (?:all )?(?:the |everything )?(?:text |passages? |documents? |content |words )?(?:above|before this|you (?:were|have been) told|(?:that )?(?:was|is|came) (?:said |written )?(?:above|before))\b",
        rf"\b{_FORGET}\b (?:the |this |that |all )?(?:user(?:['’]s)?|reader(?:['’]s)?) (?:question|query|request|prompt|input)\b|\b{_FORGET}\b (?:all |the )?(?:other |remaining )?(?:passages|sources)\b",
        rf"\byou are (?:now |no longer |actually |only |just )*(?:an? |the |my )?(?:\w+ )?{_MODEL}\b",
        r"\byou are (?:now|no longer) (?:bound|called|named|free|DAN|in \w+ mode)\b|\byou (?:must|will|shall) now (?:act|answer|behave|speak|pretend|obey|respond)\b",
        rf"\byou are \w+, (?:an? |the )?(?:\w+ )?{_MODEL}\b|\bfrom now on,? you (?:are|will|must|only|shall|always|speak|answer)\b",
        r"\byour (?:only|whole|entire|sole) (?:output|answer|reply|response)\b|^\W*passages:\s*\[\d",
        r"\b(?:pretend|act as if|imagine|behave as if|roleplay)\b[^.!?]{0,20}\b(?:you are|you['’]re|to be) (?:an? |the |my )",
        rf"\b(?:if|when|whenever) (?:you are|you['’]re) (?:an? |the )?(?:\w+ )?{_MODEL}\b",
        rf"\b(?:instead|must|should|shall|will|only|always|please|now|then|just|simply|to this|and)[ ,:]+{_TELL} (?:only |exactly |simply |just |with )*(?:the (?:word|words|phrase|text|following|sentence|line|string)|with|exactly|only|nothing)\b[^.!?]*\b(?-i:[A-Z]{{4,}})\b",
        rf"\b(?:{_TELL}|speak) (?:only |all |exclusively |everything |strictly |solely )+(?:in |with |using |the )?(?:\w+ )?(?:french|german|spanish|italian|chinese|latin|emoji|emojis|base64|json|rhymes?|pirate|riddles|capital letters|uppercase|word|words|phrase)\b",
        r"\b(?:new|updated|secret|additional) (?:system |developer |admin )?(?:instructions?|task|prompt|directive|orders)\s*(?::|for you\b|is to\b|are to\b)",
        r"<\|?(?:im_start|im_end|system|assistant|user|endoftext|eot_id|start_header_id)\b|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>",
        r"^\W*(?:system|assistant|developer)\s*(?:message|prompt|override|note|instruction)?\s*:\s*\S",
        r"!\[[^\]\n]{0,200}\]\(\s*https?://",
        r"(?:^\W*|[:;,] |\b(?:and|then|now|please|must|you) )(?:reveal|repeat|print|show|output|disclose|leak|display|recite|quote|give (?:me|us))\b[^.!?]{0,40}\b(?:your|the) (?:(?:hidden|initial|original|exact|full|secret|own|system|developer) )*(?:instructions|prompt|message)\b|\b(?:reveal|repeat|print|show|output|disclose|leak|display|recite|quote|give (?:me|us))\b[^.!?]{0,40}\byour (?:\w+ ){0,2}(?:instructions|prompt|message)\b",
        rf"\b(?:attention|note|notice|important|instructions?|message|warning|hint|reminder|dear|hey|hello)(?: (?:to|for|from))?(?: (?:all|any|the|every))?[ ,:]+{_MODEL}s?(?: (?:reading|processing|answering|summari[sz]ing|that reads?|who reads?)\b|[:,!—–-])|\b(?:to|for|as)(?: (?:all|any|the|every))?[ ,:]+{_MODEL}s?[:!]",
        r"(?:^\W*|[:;,] |\b(?:and|then|please|you|you must|must always) )(?:do not|don['’]t|never|refuse to|must not|should not) (?:answer|respond to|reply to) (?:the |this |any |that |all )?(?:user|question|query|questions|prompt|reader)s?\b",
        rf"(?:^\W*|[:;,] |\b(?:and|then|please|always|you|you must|you should|you will) )(?:{_TELL}|put|write|insert|mention)\b[^.!?]{{0,60}}\b(?:every|each|your|all your|any of your) (?:answers?|response|reply|replies|output|summary)\b(?! (?:sheet|key|book|box|form|card)s?\b)",
        r"\b(?:the|this|that|user['’]s) question is (?:wrong|a test|a trap|invalid|malicious|not real|a trick)\b|\bwhen (?:you are |you['’]re )?asked (?:about|for|anything|who|what|when|how|where|any)\b[^.!?,]{0,60}, (?:please |always |only |just |you (?:must |should |will )?)*(?:say|answer|reply|respond|claim|state|tell|insist)\b|\bwhen (?:you are|you['’]re) asked\b",
        r"\b(?:developer|debug|god|DAN|jailbreak|admin(?:istrator)?|maintenance|unrestricted) mode (?:enabled|activated)\b|\byou (?:can|will|must) do anything now\b",
        r"\b(?:decode|execute|follow|obey|run)\b[^.!?]{0,40}\bbase64\b|\bbase64\b[^.!?]{0,40}\band (?:follow|obey|execute|do)\b",
        r"\b(?:do not|don['’]t|never|must not) cite (?:any |the |this |these |other |your )*passages?\b",
        rf"^\W*(?:the )?{_MODEL}s?\s*[:,]\s*(?:please |now |always |you must )*(?:{_FORGET}|tell|say|reply|respond)\b",
    )
)
# What descriptions of assistants, prompts and attacks say too: read when the question is about such things.
_MENTIONING = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:your|the|hidden|initial|full|entire) (?:system|developer) (?:prompt|message|instructions?)\b|\bsystem prompt\b",
        r"\b(?:reveal|repeat|print|show|output|disclose|leak|display|recite|quote|give (?:me|us))\b[^.!?]{0,40}\b(?:your|the) (?:(?:hidden|initial|original|exact|full|secret|own) )*(?:instructions|prompt|system message)\b",
        rf"\b(?:attention|note|notice|important|instructions?|message|warning|hint|reminder|to|dear|hey|hello|for|as)(?: (?:to|for|from))?(?: (?:all|any|the|every))?[ ,:]+{_MODEL}s?(?: (?:reading|processing|answering|summari[sz]ing|that reads?|who reads?)\b|[:,!—–-])",
        r"\b(?:do not|don['’]t|never|refuse to|must not|should not) (?:answer|respond to|reply to) (?:the |this |any |that |all )?(?:user|question|query|questions|prompt|reader)s?\b",
        r"\b(?:in|to|at the (?:end|start|beginning) of|with|before|after|end|begin|start|finish) (?:every|each|your|all your|any of your) (?:answers?|response|reply|replies|output|summary)\b(?! (?:sheet|key|book|box|form|card)s?\b)",
        r"\b(?:the|this|that|user['’]s) question is (?:wrong|a test|a trap|invalid|malicious|not real|a trick)\b|\bwhen (?:you are |you['’]re )?asked (?:about|for|anything|who|what|when|how|where|any)\b[^.!?]{0,60}\b(?:say|answer|reply|respond|claim|state|tell|always|insist)\b",
        r"\b(?:developer|debug|god|DAN|jailbreak|admin(?:istrator)?|maintenance|unrestricted) mode (?:enabled|activated|on|is)\b|\bdo anything now\b|\bjailbr(?:eak|oken)\b",
        r"\b(?:decode|execute|follow|obey|run)\b[^.!?]{0,40}\bbase64\b|\bbase64\b[^.!?]{0,40}\b(?:and (?:follow|obey|execute|do)|instructions?)\b",
    )
)
PATTERNS = (*_ORDERING, *_MENTIONING)
_PIECE = re.compile(r"(?<=[.?])(?=[\s<\[*])|(?<=!)(?=[\s<*])|\n")
_ASKED_ABOUT = re.compile(
    r"\b(?:instructions?|prompts?|injections?|ignore|ignored|jailbreak\w*|attack\w*|language models?|LLMs?|chatbots?|assistants?|AI)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=10_000)
def addresses_model(sentence: str) -> bool:
    """Whether a sentence of a document is said to the language model that reads it, not to people, or may be."""
    return _any(PATTERNS, sentence)


@lru_cache(maxsize=10_000)
def gives_orders(sentence: str) -> bool:
    """Whether a sentence gives orders to the language model outright: it is never read, whatever the question."""
    return _any(_ORDERING, sentence)


def _any(patterns: Sequence[re.Pattern[str]], sentence: str) -> bool:
    plain = " ".join(_UNSEEN.sub("", sentence).split())[:2000]
    return any(pattern.search(plain) for pattern in patterns)


def readable(question: str, sentence: str) -> str:
    """Return what the model may read of a sentence: all but the lines and clauses that are said to it.

    When the question is about assistants, prompts or attacks only outright orders are left out.
    """
    kept_from = gives_orders if _ASKED_ABOUT.search(question) else addresses_model
    if not kept_from(sentence):
        return sentence
    # What is glued to a sentence, by a full stop without a space or a line end, must not take it along.
    kept = [piece for piece in _PIECE.split(sentence) if piece.strip() and not kept_from(piece)]
    return " ".join(" ".join(kept).split()) if len(kept) > 0 and not kept_from(" ".join(kept)) else ""


def visible(text: str) -> str:
    """Return `text` without characters that people don't see but a model reads."""
    return _HIDDEN.sub("", text)


def count_unread(question: str, hits: Sequence[Hit]) -> int:
    """Return how many sentences of `hits` the model does not read, or not whole."""
    return sum(readable(question, sentence) != sentence for sentence in _sentences(hits))


def count_let_through(question: str, hits: Sequence[Hit]) -> int:
    """Return how many sentences of `hits` the model may read, whole, only because the question is about such things."""
    return sum(addresses_model(sentence) and readable(question, sentence) == sentence for sentence in _sentences(hits))


def _sentences(hits: Sequence[Hit]) -> list[str]:
    return [hit.chunk.text[start:end] for hit in hits for start, end in hit.chunk.sentences]
