"""Fits the weights of the support scores: a logistic regression, with thresholds from cross-validation by article."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.support_weights import Fitted
from eval.readme import ROOT
from eval.runs import write_whole

WEIGHTS = ROOT / "assistant" / "support_weights.py"
_STRENGTH = 0.3  # inverse of the regularisation, on features of unit variance
_FOLDS = 10
_STEP, _SMOOTH = 0.01, 5  # thresholds tried, and over how many of them the figures are averaged

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """The features of one claim, whether it is true, its set, and its article: articles are never split between folds."""

    features: tuple[float, ...]
    true: bool
    set: str
    group: str


def balanced_accuracy(true: Sequence[bool], found: Sequence[bool]) -> float:
    """Return the mean of the shares of true claims found true and of false ones found false; NaN when one kind is missing."""
    truth, guess = np.asarray(true, bool), np.asarray(found, bool)
    if truth.all() or not truth.any():
        return float("nan")
    return float((guess[truth].mean() + (~guess[~truth]).mean()) / 2)


def auroc(true: Sequence[bool], support: Sequence[float]) -> float:
    """Return how often a true claim scores above a false one, ties counting half; NaN when one kind is missing."""
    truth, values = np.asarray(true, bool), np.asarray(support, float)
    above, below = values[truth], values[~truth]
    if not len(above) or not len(below):
        return float("nan")
    return float(((above[:, None] > below).mean() + (above[:, None] >= below).mean()) / 2)


def calibration_error(true: Sequence[bool], support: Sequence[float], bins: int = 10) -> float:
    """Return the expected calibration error: how far apart support and the share of true claims are, in bins of equal width.

    After Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015).
    """
    truth, values = np.asarray(true, float), np.asarray(support, float)
    rows = np.minimum((values * bins).astype(int), bins - 1)
    parts = [(rows == row) for row in range(bins)]
    return float(sum(abs(truth[part].mean() - values[part].mean()) * part.mean() for part in parts if part.any()))


def fit(samples: Sequence[Sample], shares: Mapping[str, tuple[float, float]], firm: Sequence[str], loose: Sequence[str]) -> Fitted:
    """Return weights and thresholds fitted to `samples`.

    `shares` gives each set its weight and the share of true claims it is taken to have. The threshold of "supported" is the one
    of best balanced accuracy on the sets `firm`, that of "partly" on `loose`, both by cross-validation; without `loose` it is
    the one that 90 % of the true claims reach.
    """
    features = np.array([sample.features for sample in samples])
    true = np.array([sample.true for sample in samples])
    sets = np.array([sample.set for sample in samples])
    importance = _importance(true, sets, shares)
    groups = sorted({(sample.set, sample.group) for sample in samples})
    order = np.random.default_rng(0).permutation(len(groups))
    fold_of = {group: int(place) % _FOLDS for group, place in zip(groups, order, strict=True)}
    folds = np.array([fold_of[sample.set, sample.group] for sample in samples])
    held_back = np.zeros(len(samples))
    for fold in range(_FOLDS):
        rest = folds != fold
        weights = _regression(features[rest], true[rest], importance[rest])
        held_back[~rest] = _probabilities(features[~rest], weights)
    supported = _threshold(true, held_back, sets, firm)
    partly = _threshold(true, held_back, sets, loose) if loose else float(np.quantile(held_back[true], 0.1))
    partly = round(min(partly, supported - 0.05), 2)
    weights = _regression(features, true, importance)
    return Fitted(tuple(round(float(weight), 4) for weight in weights), supported, partly)


def _importance(true: NDArray[np.bool_], sets: NDArray[np.str_], shares: Mapping[str, tuple[float, float]]) -> Floats:
    importance = np.zeros(len(true))
    for name, (weight, positive) in shares.items():
        for kind, share in ((True, positive), (False, 1 - positive)):
            rows = (sets == name) & (true == kind)
            if rows.any():
                importance[rows] = weight * share / rows.sum()
    return np.asarray(importance * len(true) / importance.sum())


def _regression(features: Floats, true: NDArray[np.bool_], importance: Floats) -> Floats:
    """Return the weights of the features as they are, the constant last."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread < 1e-9] = 1.0
    model = LogisticRegression(C=_STRENGTH, max_iter=2000).fit((features - mean) / spread, true, sample_weight=importance)
    weights = model.coef_[0] / spread
    return np.append(weights, model.intercept_[0] - weights @ mean)


def _probabilities(features: Floats, weights: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(features @ weights[:-1] + weights[-1]))))


def _threshold(true: NDArray[np.bool_], support: Floats, sets: NDArray[np.str_], chosen: Sequence[str]) -> float:
    tried = np.arange(0.05, 0.95, _STEP)
    figures = [
        np.mean([balanced_accuracy(list(true[sets == name]), list(support[sets == name] >= value)) for name in chosen])
        for value in tried
    ]
    smooth = np.convolve(figures, np.ones(_SMOOTH) / _SMOOTH, "same")
    smooth[: _SMOOTH // 2] = smooth[-(_SMOOTH // 2) :] = 0
    return round(float(tried[int(np.argmax(smooth))]), 2)


def write_weights(fitted: Mapping[str, tuple[Fitted, Sequence[str], Sequence[str]]], path: Path = WEIGHTS) -> None:
    """Write `support_weights.py`: for each name its weights, the names of the features, and lines about its errors."""
    lines = path.read_text(encoding="utf-8").split("\n\n\n")[:2]
    for name, (model, features, errors) in fitted.items():
        weights = [
            f"        {weight},  # {feature}" for weight, feature in zip(model.weights, (*features, "constant"), strict=True)
        ]
        lines.append("\n".join([*(f"# {line}" for line in errors), f"{name} = Fitted(", "    weights=(", *weights, "    ),"]))
        lines[-1] += f"\n    supported={model.supported},\n    partly={model.partly},\n)"
    write_whole(path, ("\n\n\n".join(lines[:2]) + "\n\n\n" + "\n\n".join(lines[2:]) + "\n").encode())


def error_rates(samples: Sequence[Sample], model: Fitted, sets: Sequence[str]) -> dict[str, str]:
    """Return for each set, in words, how often false claims get a mark with `model`, and true ones miss it."""
    rates: dict[str, str] = {}
    for name in sets:
        own = [sample for sample in samples if sample.set == name]
        support = _probabilities(np.array([sample.features for sample in own]), np.array(model.weights))
        true = np.array([sample.true for sample in own])
        rates[name] = (
            f"{(support[~true] >= model.supported).mean():.0%} of the false are supported, "
            f"{(support[true] < model.supported).mean():.0%} of the true are not, {(support[true] < model.partly).mean():.0%} not found"
        )
    return rates
