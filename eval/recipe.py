"""The plain LangChain recipe that indexing is compared with: split by characters, embed in fp32, put into Chroma."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.errors import UserError

_DEPTH = 100  # chunks looked at to rank documents


def index(corpus: Path, store: Path, queries: Sequence[str]) -> dict[str, Any]:
    """Index the Markdown files under `corpus` in `store`, then search for `queries`; the time counts the imports.

    Returns seconds, chunks, and for each query the names of the files found, best first. Raises `UserError` when the
    packages of the recipe are not installed.
    """
    started = time.monotonic()
    try:
        from langchain_chroma import Chroma
        from langchain_core.documents import Document
        from langchain_huggingface import HuggingFaceEmbeddings
        from langchain_text_splitters import RecursiveCharacterTextSplitter
    except ImportError:
        raise UserError("The recipe's packages are missing: run 'pip install .[bench]'.") from None
    from assistant.bundled_embedding import model_folder

    documents = [
        Document(path.read_text(encoding="utf-8"), metadata={"source": path.stem}) for path in sorted(corpus.rglob("*.md"))
    ]
    chunks = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).split_documents(documents)
    embeddings = HuggingFaceEmbeddings(model_name=str(model_folder()))
    store_of_chunks = Chroma("recipe", embeddings, persist_directory=str(store), collection_metadata={"hnsw:space": "cosine"})
    for first in range(0, len(chunks), 5000):  # Chroma takes no more at once
        store_of_chunks.add_documents(chunks[first : first + 5000])
    seconds = time.monotonic() - started
    found = [[str(hit.metadata["source"]) for hit in store_of_chunks.similarity_search(query, _DEPTH)] for query in queries]
    return {"seconds": seconds, "chunks": len(chunks), "rankings": [list(dict.fromkeys(names)) for names in found]}
