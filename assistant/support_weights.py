"""The weights of the support scores and the thresholds of the marks, written by `python -m eval grounding --data DIR --fit`."""

from typing import NamedTuple


class Fitted(NamedTuple):
    """The weights of the features in their order, the constant last, and the least support for each mark."""

    weights: tuple[float, ...]
    supported: float
    partly: float


# Fitted on 653 claims. With these thresholds, on the claims fitted on:
# qags_cnndm: 16% of the false are supported, 36% of the true are not, 1% not found
# qags_xsum: 0% of the false are supported, 95% of the true are not, 9% not found
# scifact: 0% of the false are supported, 99% of the true are not, 19% not found
STATEMENT = Fitted(
    weights=(
        2.9819,  # cosine
        -0.6356,  # spread
        0.2761,  # order
        -1.3698,  # unknown
        -0.22,  # joined
        0.4651,  # constant
    ),
    supported=0.8,
    partly=0.4,
)

# Fitted on 608 claims. With these thresholds, on the claims fitted on:
# squad_phrases: 44% of the false are supported, 23% of the true are not, 11% not found
PHRASE = Fitted(
    weights=(
        1.3818,  # words
        -0.2112,  # around
        2.9197,  # cosine
        2.0106,  # near
        -2.6997,  # constant
    ),
    supported=0.55,
    partly=0.43,
)
