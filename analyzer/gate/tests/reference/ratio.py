"""The corrected relative change, written again from the formulas: prints what `correct_ratio.rs` is held against.

400 pairs, every fourth labelled; values by arithmetic, so that any language makes the same. No libraries. Run: python3 ratio.py
"""

from math import exp, expm1, log, sqrt

ALPHA = 0.05
PAIRS = [((7 * i % 10) / 10 + 0.3, (3 * i % 10) / 10 + 0.2) for i in range(400)]
LABELLED = range(0, 400, 4)
PERSON = {i: (PAIRS[i][0] - (i % 3) / 30, PAIRS[i][1] - (i % 5) / 20) for i in LABELLED}


def boundary(n, alpha, tuned_n):
    """Half of the width over the standard deviation: the mixture over the t statistic."""
    level = -2 * log(alpha)
    growth = n * (level + log(level) + 1) / tuned_n + 1
    exponent = (log(growth) - 2 * log(alpha)) / n
    return sqrt(expm1(exponent) / (1 - exp(exponent) / growth) * (n - 1) / n)


def mean(values):
    return sum(values) / len(values)


def sequence(values, size, alpha, tuned_n):
    """Mean with its confidence sequence; one imagined value as far off as `size` counts into the spread."""
    n, middle = len(values), mean(values)
    spread = sqrt((sum((value - middle) ** 2 for value in values) + size**2) / (n - 1))
    half = boundary(n, alpha, tuned_n) * spread
    return middle, middle - half, middle + half


def difference(ratio):
    """The corrected mean of candidate - ratio * control: estimate, low, high."""
    pairs = [(ratio * control, candidate) for control, candidate in PAIRS]
    judged = sequence(
        [candidate - control for control, candidate in pairs],
        mean([abs(value) for pair in pairs for value in pair]),
        ALPHA * 0.75 / 2,
        500,
    )
    terms, weights, seen = [], [], []
    for i in LABELLED:
        truth = PERSON[i][1] - ratio * PERSON[i][0]
        score = pairs[i][1] - pairs[i][0]
        weight = 0.5
        if len(seen) >= 10:
            truths, scores = mean([t for t, _ in seen]), mean([s for _, s in seen])
            covariance = mean([t * s for t, s in seen]) - truths * scores
            variance = mean([s * s for _, s in seen]) - scores**2
            weight = min(max(covariance / variance, 0), 1) if variance > 1e-12 else 0
        terms.append(truth - weight * score)
        weights.append(weight)
        seen.append((truth, score))
    rest = sequence(terms, mean([abs(term) for term in terms]), ALPHA / 2 * 0.25, 150)
    weight = mean(weights)
    return [weight * of_judge + of_labels for of_judge, of_labels in zip(judged, rest)]


def crossing(place):
    """Where that part of `difference`, which falls with the ratio, is zero."""
    low, high = 0.0, 10.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if difference(middle)[place] > 0 else (low, middle)
    return low - 1


if __name__ == "__main__":
    for name, place in [("estimate", 0), ("low", 1), ("high", 2)]:
        print(f"{name:<9}{crossing(place):.12f}")
