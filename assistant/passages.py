"""Hits become passages: what is far from the best is left out, and chunks that follow each other are one."""

from collections.abc import Sequence
from dataclasses import replace

from assistant.catalog import Catalog
from assistant.lexical import terms
from assistant.retrieval import Hit

HITS = 2  # hits looked at for each passage wanted
FARTHEST = 0.15  # below the best hit's score: what scores less is about something else
_LEAST = 0.75  # below the best sentence's evidence: a passage begins and ends with sentences no farther than that
_BETWEEN = 20  # characters of white space between chunks that follow each other, at most
_MOST = 3  # chunks of one passage
OTHERS = 2  # passages of other documents that are shown beside those that an answer is made from
DEPTH = 4  # hits looked at for these, for each passage wanted
# A sentence with this evidence is about what is asked, however far its passage is from the best: eval/RESULTS.md.
_ABOUT_IT = 0.85
_ALIKE = 0.9  # share of terms in common from which a passage is a copy of one in another document


def passages(hits: Sequence[Hit], limit: int, catalog: Catalog, fused: bool = True) -> list[Hit]:
    """Return at most `limit` passages made of `hits` (best first), best first by their best chunk.

    When the scores are `fused` (those of mode "full"), what is far from the best is left out. Of chunks that stand in
    several documents only the best copy is kept. The gist of each passage goes from its first to its last sentence
    whose evidence comes near that of the best sentence of all. A passage whose document was removed meanwhile is left out.
    """
    groups: list[list[Hit]] = []
    seen: list[tuple[str, frozenset[str]]] = []  # document and terms of each chunk kept
    for hit in hits:
        if fused and hit.score < hits[0].score - FARTHEST:
            break
        words = frozenset(terms(hit.chunk.text))
        if any(id != hit.chunk.document_id and _alike(words, others) for id, others in seen):
            continue  # what one document repeats may matter in both places: folding it cost 5 points of recall on chat logs
        near = next((group for group in groups if len(group) < _MOST and any(_adjoin(hit, other) for other in group)), None)
        if near is not None:
            near.append(hit)
        elif len(groups) < limit:
            groups.append([hit])
        else:
            continue
        seen.append((hit.chunk.document_id, words))
    made = [passage for passage in (_joined(group, catalog) for group in groups) if passage is not None]
    least = max((value for passage in made for value in passage.evidence), default=0.0) - _LEAST
    return [replace(hit, gist=hit.sentences_above(min(least, max(hit.evidence, default=0.0)))) for hit in made]


def others(hits: Sequence[Hit], shown: Sequence[Hit]) -> list[Hit]:
    """Return at most `OTHERS` of `hits` (best first) that are about what is asked, each of a document not among `shown`.

    What repeats the question scores so high that what merely answers it may be left out, or find no place. The reader
    should see both: those come first that say most in other words than `shown`, and what says nothing so is left out.
    """
    documents = {hit.chunk.document_id for hit in shown}
    said = {word for hit in shown for word in terms(hit.chunk.text)}
    found: list[tuple[float, Hit]] = []
    for hit in hits if shown else ():
        if hit.chunk.document_id in documents or max(hit.evidence, default=0.0) < _ABOUT_IT:
            continue
        documents.add(hit.chunk.document_id)
        words = set(terms(hit.chunk.text))
        if words - said:
            gist = hit.sentences_above(max(hit.evidence) - _LEAST)
            found.append((len(words - said) / len(words), replace(hit, gist=gist, beside=True)))
    return [hit for _, hit in sorted(found, key=lambda pair: -pair[0])[:OTHERS]]


def _adjoin(one: Hit, other: Hit) -> bool:
    first, second = sorted((one.chunk, other.chunk), key=lambda chunk: chunk.start)
    return first.document_id == second.document_id and 0 <= second.start - first.end <= _BETWEEN


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one) and len(one & other) >= _ALIKE * len(one | other) and not any(word[0].isdigit() for word in one ^ other)


def _joined(group: Sequence[Hit], catalog: Catalog) -> Hit | None:
    """Return one hit whose chunk spans those of `group`, with the scores of the first, the best."""
    if len(group) == 1:
        return group[0]
    in_order = sorted(group, key=lambda hit: hit.chunk.start)
    first, last = in_order[0].chunk, in_order[-1].chunk
    text = catalog.text(first.document_id, first.start, last.end)
    if len(text) != last.end - first.start:
        return None
    sentences = tuple(
        (hit.chunk.start - first.start + start, hit.chunk.start - first.start + end)
        for hit in in_order
        for start, end in hit.chunk.sentences
    )
    return replace(
        group[0],
        # Page and heading are the best chunk's; each part has its own.
        chunk=replace(group[0].chunk, start=first.start, end=last.end, text=text, sentences=sentences),
        sentence_scores=tuple(value for hit in in_order for value in hit.sentence_scores),
        evidence=tuple(value for hit in in_order for value in hit.evidence),
        parts=tuple(part for hit in in_order for part in hit.parts),
        header=in_order[0].header,
    )
