"""How good is a ranking? Of documents through ir_measures, of spans of characters as Chroma's evaluation defines it."""

from collections.abc import Iterable, Mapping, Sequence

from eval.datasets import EvalQuestion, GoldSpan

Rankings = Mapping[str, Sequence[str]]


def document_measures(questions: Sequence[EvalQuestion], rankings: Rankings, k: int) -> dict[str, dict[str, float]]:
    """Return for each question's id its measures, 0 to 1; `rankings` holds ids of documents, best first.

    The first, the main one, is nDCG at `k`. Recall is taken at 5, 10 and 100.
    """
    import ir_measures
    from ir_measures import RR, R, nDCG

    wanted = {f"nDCG@{k}": nDCG @ k, "recall@5": R @ 5, "recall@10": R @ 10, "recall@100": R @ 100, f"MRR@{k}": RR @ k}
    names = {str(measure): name for name, measure in wanted.items()}
    qrels = [ir_measures.Qrel(q.id, document, grade) for q in questions for document, grade in q.documents.items()]
    # Scores only carry the order: libraries break ties in ways of their own.
    run = [
        ir_measures.ScoredDoc(id, document, float(-rank))
        for id, ranking in rankings.items()
        for rank, document in enumerate(ranking)
    ]
    found = {question.id: dict.fromkeys(wanted, 0.0) for question in questions}
    for result in ir_measures.iter_calc(list(wanted.values()), qrels, run):
        found[result.query_id][names[str(result.measure)]] = float(result.value)
    return found


def span_measures(gold: Sequence[GoldSpan], retrieved: Sequence[GoldSpan], every: Sequence[GoldSpan]) -> dict[str, float]:
    """Return recall, precision, IoU and precision-omega of one question, over characters.

    `retrieved` are the passages found, `every` all chunks of the documents. After Smith and Troynikov,
    "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024): with `e` the characters of the gold
    spans and `r` those retrieved, counted as often as they were, recall is `|e & r| / |e|`, precision
    `|e & r| / |r|`, IoU `|e & r| / (|r| + |e - r|)`. Precision-omega is the precision if exactly the
    chunks that touch a gold span were retrieved: the most that the cutting allows.
    """
    wanted = _length(gold)
    found = _length(_common(gold, retrieved))
    size = sum(span.end - span.start for span in retrieved)
    touching = [chunk for chunk in every if any(_overlap(chunk, span) for span in gold)]
    best_size = sum(span.end - span.start for span in touching)
    best_found = _length(_common(gold, touching))
    return {
        "recall": found / wanted,
        "precision": found / size if size else 0.0,
        "IoU": found / (size + wanted - found),
        "precision-omega": best_found / (best_size + wanted - best_found),
    }


def cl100k_tokens(texts: Sequence[str]) -> list[int]:
    """Return how many tokens each text has in cl100k, the encoding that published tables of chunk sizes count in."""
    from bpe_openai import get_encoding

    encoding = get_encoding("cl100k_base")
    return [len(encoding.encode_ordinary(text)) for text in texts]


def _overlap(one: GoldSpan, other: GoldSpan) -> bool:
    return one.document == other.document and one.start < other.end and other.start < one.end


def _common(gold: Iterable[GoldSpan], retrieved: Sequence[GoldSpan]) -> list[GoldSpan]:
    return [
        GoldSpan(span.document, max(span.start, other.start), min(span.end, other.end))
        for span in gold
        for other in retrieved
        if _overlap(span, other)
    ]


def _length(spans: Iterable[GoldSpan]) -> int:
    """Return how many characters lie in at least one of `spans`."""
    total, last_document, last_end = 0, "", 0
    for span in sorted(spans, key=lambda span: (span.document, span.start)):
        if span.document != last_document:
            last_document, last_end = span.document, 0
        total += max(0, span.end - max(span.start, last_end))
        last_end = max(last_end, span.end)
    return total
