"""Does what the catalogue holds fit together? And what doesn't is dropped, to be read again."""

from collections.abc import Iterator, Sequence

from assistant.catalog import Catalog
from assistant.vector_rows import dimension, is_unit

_WITHOUT_VECTOR = "vector_key NOT IN (SELECT key FROM vectors)"
_OUTSIDE = "start < 0 OR start > end OR end > (SELECT length(text) FROM documents d WHERE d.id = document_id)"


def catalogue_faults(catalog: Catalog) -> Iterator[str]:
    """Yield what is wrong inside of the catalogue, a line each; all of it is read."""
    if astray := len(catalog.query("PRAGMA foreign_key_check")):
        yield f"{astray} rows belong to something that isn't there"
    if lacking := _count(catalog, _WITHOUT_VECTOR):
        yield f"{lacking} chunks have no vector"
    if outside := _count(catalog, _OUTSIDE):
        yield f"{outside} chunks lie outside of their text"
    if wrong := len(wrong_vectors(catalog)):
        yield f"{wrong} vectors are none of length 1"


def wrong_vectors(catalog: Catalog) -> list[str]:
    """Return the keys of vectors that are of another length than most, not finite, or not of length 1.

    Vectors that no chunk uses yet are passed over: they may be of another model.
    """
    used = "EXISTS (SELECT 1 FROM chunks WHERE vector_key = key)"
    dim = dimension(int(str(row[0])) for row in catalog.stream(f"SELECT length(vector) FROM vectors WHERE {used}"))
    return [
        str(key)
        for key, vector in catalog.stream(f"SELECT key, vector FROM vectors WHERE {used}")
        if not (isinstance(vector, bytes) and is_unit(vector, dim))
    ]


def drop_faults(catalog: Catalog) -> int:
    """Drop wrong vectors and the chunks that have none or lie outside of their text; their files are read again by the next sync.

    Returns the number of chunks that were dropped.
    """
    wrong: Sequence[str] = wrong_vectors(catalog)
    with catalog.transaction() as db:
        db.executemany("DELETE FROM vectors WHERE key = ?", [(key,) for key in wrong])
        where = f"{_WITHOUT_VECTOR} OR {_OUTSIDE}"
        db.execute(
            "UPDATE files SET size = -1, sha256 = '' WHERE path IN (SELECT file FROM documents WHERE id IN"
            f" (SELECT document_id FROM chunks WHERE {where}))"
        )
        return int(db.execute(f"DELETE FROM chunks WHERE {where}").rowcount)


def _count(catalog: Catalog, where: str) -> int:
    return int(str(catalog.query(f"SELECT count(*) FROM chunks WHERE {where}")[0][0]))
