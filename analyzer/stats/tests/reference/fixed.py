"""Fixed-n tests from scipy and statsmodels: python3 fixed.py > fixed.json (numpy 2, scipy 1.17.1, statsmodels 0.14, seed 20261121)."""
import itertools
import json
import warnings

import numpy as np
from scipy import special, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20261121)
r = lambda values: [float(value) for value in values]

samples = {
    "normal": (rng.normal(0, 1, 40), rng.normal(0.4, 2, 55)),
    "heavy": (rng.standard_t(2, 200), rng.standard_t(2, 150) + 0.2),
    "ties": (rng.integers(0, 5, 80).astype(float), rng.integers(1, 6, 70).astype(float)),
    "flags": ((rng.random(300) < 0.9).astype(float), (rng.random(280) < 0.8).astype(float)),
    "tiny": (np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 8.0])),
    "log-normal": (np.exp(rng.normal(5, 1, 500)), np.exp(rng.normal(5.2, 1, 500))),
}
pairs = {}
for name, n, make in [
    ("normal", 60, lambda a: a + rng.normal(0.2, 1, len(a))),
    ("zeros and ties", 90, lambda a: np.round(a) + rng.integers(-2, 3, len(a))),
    ("small", 9, lambda a: a + rng.normal(0.5, 1, len(a))),
]:
    first = rng.normal(3, 1, n)
    if "ties" in name:
        first = np.round(first)
    pairs[name] = (first, make(first))
flags = [(rng.random(n) < p, rng.random(n) < q) for n, p, q in [(30, 0.5, 0.6), (500, 0.9, 0.86), (8, 0.5, 0.5)]]


def order_interval(values, share, alpha):
    n, ordered = len(values), np.sort(values)
    ranks = np.arange(0, n + 2)
    low = max(k for k in ranks if k <= n and (k == 0 or stats.binom.cdf(k - 1, n, share) <= alpha / 2))
    high = min(k for k in ranks if k >= 1 and 1 - stats.binom.cdf(k - 1, n, share) <= alpha / 2)
    return ordered[low - 1], ordered[max(1, int(np.ceil(share * n))) - 1], ordered[high - 1]


def stability(first, second):
    ordered = np.sort(first)
    edges = sorted({ordered[tenth * len(ordered) // 10] for tenth in range(1, 10)})
    cells = lambda values: np.maximum(np.histogram(values, [-np.inf, *edges, np.inf])[0], 0.5) / len(values)
    p, q = cells(first), cells(second)
    return float(np.sum((q - p) * np.log(q / p)))


def two(name, a, b):
    welch, u = stats.ttest_ind(b, a, equal_var=False), stats.mannwhitneyu(b, a, method="asymptotic")
    brunner = stats.brunnermunzel(a, b)
    ks, cvm = stats.ks_2samp(a, b), stats.cramervonmises_2samp(a, b, method="asymptotic")
    n, m = len(a), len(b)
    case = {
        "name": name, "first": r(a), "second": r(b),
        "welch": r(welch), "mann_whitney": r(u), "brunner_munzel": [float(brunner.statistic), float(brunner.pvalue)],
        "ks": [float(ks.statistic), float(special.kolmogorov(ks.statistic * np.sqrt(n * m / (n + m))))],
        "cvm": [float(cvm.statistic), float(cvm.pvalue)],
        "wasserstein": float(stats.wasserstein_distance(a, b)),
        "stability": stability(a, b) if min(n, m) >= 10 else None,
        "median": None,
    }
    if min(n, m) >= 10:
        one, other = order_interval(a, 0.5, 0.025), order_interval(b, 0.5, 0.025)
        case["median"] = r([other[1] - one[1], other[0] - one[2], other[2] - one[0]])
    return case


def paired(name, a, b):
    d = b - a
    test = stats.wilcoxon(b, a, zero_method="pratt", correction=False, method="asymptotic", alternative="greater")
    two_sided = stats.wilcoxon(b, a, zero_method="pratt", correction=False, method="asymptotic")
    exact, moved = None, d[d != 0]
    if len(moved) <= 14:
        sums = [abs(np.dot(moved, signs)) for signs in itertools.product([1, -1], repeat=len(moved))]
        exact = float(np.mean(np.array(sums) >= abs(moved.sum()) - 1e-12 * np.abs(moved).sum()))
    ratio = b.mean() / a.mean()
    spread = (b / b.mean() - a / a.mean()).var(ddof=1) / len(a)
    half = stats.norm.ppf(0.975) * np.sqrt(spread)
    return {
        "name": name, "first": r(a), "second": r(b), "wilcoxon": [float(test.statistic), float(two_sided.pvalue)],
        "sign_flip": exact, "ratio": r([ratio, ratio * np.exp(-half), ratio * np.exp(half)]),
    }


def discordant(a, b):
    first, second = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    fewer, all_ = min(first, second), first + second
    exact = min(1.0, 2 * stats.binom.cdf(fewer, all_, 0.5)) if all_ else 1.0
    mid = min(1.0, 2 * stats.binom.cdf(fewer, all_, 0.5) - stats.binom.pmf(fewer, all_, 0.5)) if all_ else 1.0
    return {"first": r(a), "second": r(b), "exact": float(exact), "mid": float(mid)}


def clustered():
    cases = []
    for k, m in [(40, 60), (5, 3)]:
        make = lambda count, rate: [(float(rng.poisson(rate * size)), float(size)) for size in rng.integers(1, 9, count)]
        one, other = make(k, 0.2), make(m, 0.3)
        def ratio(clusters):
            above, below = np.array(clusters).T
            value = above.sum() / below.sum()
            return value, np.var(above - value * below, ddof=0) * len(above) * len(above) / (len(above) - 1) / below.sum() ** 2
        (x, vx), (y, vy) = ratio(one), ratio(other)
        half = stats.norm.ppf(0.975) * np.sqrt(vx + vy)
        cases.append({"first": one, "second": other, "expected": r([y - x, y - x - half, y - x + half])})
    return cases


shares = []
for a, n, b, m in [(10, 100, 20, 110), (0, 50, 5, 40), (7, 7, 3, 9), (500, 1000, 480, 1000)]:
    low, high = confint_proportions_2indep(b, m, a, n, method="newcomb", compare="diff", alpha=0.05)
    shares.append({"first": [a, n], "second": [b, m], "expected": r([b / m - a / n, low, high])})
p = [0.01, 0.04, 0.03, 0.005, 0.5]
print(json.dumps({
    "two": [two(name, *values) for name, values in samples.items()],
    "pairs": [paired(name, *values) for name, values in pairs.items()],
    "flags": [discordant(*values) for values in flags],
    "shares": shares, "clustered": clustered(),
    "holm": {"p": p, "adjusted": r(multipletests(p, method="holm")[1])},
}))
