"""Hits become passages: what is far from the best is left out, and chunks that follow each other are one."""

from collections.abc import Sequence
from dataclasses import replace

from assistant.catalog import Catalog
from assistant.lexical import terms
from assistant.retrieval import Hit

HITS = 2  # hits looked at for each passage wanted
_FARTHEST = 0.15  # below the best hit's score: what scores less is about something else
_LEAST = 0.75  # below the best sentence's evidence: a passage begins and ends with sentences no farther than that
_BETWEEN = 20  # characters of white space between chunks that follow each other, at most
_MOST = 3  # chunks of one passage
_ALIKE = 0.9  # share of terms in common from which a passage is a copy of one in another document


def passages(hits: Sequence[Hit], limit: int, catalog: Catalog) -> list[Hit]:
    """Return at most `limit` passages made of `hits` (best first), best first by their best chunk.

    Of a passage that stands in several documents only the best copy is kept. The gist of each goes from its first to its last sentence
    whose evidence comes near that of the best sentence of all. A passage whose document was removed meanwhile is left out.
    """
    groups: list[list[Hit]] = []
    for hit in hits:
        if hit.score < hits[0].score - _FARTHEST:
            break
        near = next((group for group in groups if len(group) < _MOST and any(_adjoin(hit, other) for other in group)), None)
        if near is not None:
            near.append(hit)
        elif len(groups) < limit and not any(_is_copy(hit, group[0]) for group in groups):
            groups.append([hit])
    made = [passage for passage in (_joined(group, catalog) for group in groups) if passage is not None]
    least = max((value for passage in made for value in passage.evidence), default=0.0) - _LEAST
    return [replace(hit, gist=hit.sentences_above(min(least, max(hit.evidence, default=0.0)))) for hit in made]


def _adjoin(one: Hit, other: Hit) -> bool:
    first, second = sorted((one.chunk, other.chunk), key=lambda chunk: chunk.start)
    return first.document_id == second.document_id and 0 <= second.start - first.end <= _BETWEEN


def _is_copy(one: Hit, other: Hit) -> bool:
    if one.chunk.document_id == other.chunk.document_id:
        return False  # what a document repeats may matter in both places: folding it cost 5 points of recall on chat logs
    mine, its = set(terms(one.chunk.text)), set(terms(other.chunk.text))
    return len(mine & its) >= _ALIKE * len(mine | its) if mine or its else one.chunk.text == other.chunk.text


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
        chunk=replace(first, end=last.end, text=text, sentences=sentences),
        sentence_scores=tuple(value for hit in in_order for value in hit.sentence_scores),
        evidence=tuple(value for hit in in_order for value in hit.evidence),
        parts=tuple(id for hit in in_order for id in hit.parts),
    )
