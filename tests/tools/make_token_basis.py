"""Make assistant/token_basis.npy: the principal axes of the token vectors of calibration.txt.

Run it as `python tests/tools/make_token_basis.py` after the model or TOKEN_DIM changed, and then index everything again.
It ships with the code because machines round differently: made on each, vectors of two machines would not fit together.
"""

from pathlib import Path

import numpy as np

from assistant.bundled_embedding import BundledEmbedder, _calibration_texts
from assistant.late_interaction import TOKEN_DIM
from assistant.settings import load_settings, stay_offline

TARGET = Path(__file__).parents[2] / "assistant" / "token_basis.npy"


def main() -> None:
    """Write the file."""
    settings = load_settings()
    stay_offline(settings)
    embedder = BundledEmbedder(settings.data, settings.threads, print)
    encodings = embedder._truncating.encode_batch(_calibration_texts())
    # Without the model's two marks around each text.
    rows = np.concatenate([tokens[1:-1] for _, tokens in embedder._token_vectors(encodings)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    axes = np.linalg.svd(rows, full_matrices=False)[2][:TOKEN_DIM]
    np.save(TARGET, axes.astype(np.float16))
    print(f"{TARGET}: {axes.shape[0]} axes from {len(rows):,} tokens")


if __name__ == "__main__":
    main()
