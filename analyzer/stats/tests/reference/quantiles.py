"""Reference values for the confidence sequence of a quantile, computed with scipy.

Usage: python quantiles.py > quantiles.json     (numpy 2, scipy 1.1x; the seed is below)

The capital is scipy's beta-binomial probability over its binomial one, and every count is tried one by one.
"""

import json
import math

import numpy as np
from scipy.stats import betabinom, binom

rng = np.random.default_rng(20261121)
MIXTURE = 100.0


def plausible(n, p, alpha):
    k = np.arange(n + 1)
    mixture = betabinom.logpmf(k, n, MIXTURE * p, MIXTURE * (1 - p))
    return k[mixture - binom.logpmf(k, n, p) < math.log(1 / alpha)]


def both_ends(n, p, alpha):
    k = plausible(n, p, alpha)
    return len(k) > 0 and k[0] >= 1 and k[-1] + 1 <= n


def case(values, p, alpha):
    ordered = np.sort(values)
    n = len(ordered)
    low = high = None
    if both_ends(n, p, alpha):
        k = plausible(n, p, alpha)
        low, high = float(ordered[k[0] - 1]), float(ordered[k[-1]])
    needed = 1
    while not both_ends(needed, p, alpha):
        needed += 1
    value = float(np.quantile(ordered, p, method="inverted_cdf"))
    return {"values": [float(v) for v in values], "p": p, "alpha": alpha, "value": value, "low": low,
            "high": high, "values_needed": needed}


cases = []
for p in (0.5, 0.9, 0.95, 0.99):
    for alpha in (0.05, 0.003):
        for values in (
            rng.lognormal(5, 1, 40),
            np.round(rng.lognormal(5, 1, 700), 2),
            np.round(rng.normal(0, 2, 1500)),
        ):
            cases.append(case(values, p, alpha))
print(json.dumps(cases))
