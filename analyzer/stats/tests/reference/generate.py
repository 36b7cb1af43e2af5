"""Reference values for weir-stats, computed independently with numpy and scipy.

Usage: python generate.py > reference.json     (numpy 2, scipy 1.1x; the seed is below)

The betting bounds are found by scanning a bracket with scipy's brentq over logarithms that are summed one by one with
math.fsum; the anytime-valid t boundary is found by solving the mixture likelihood ratio numerically instead of in
closed form; Fieller's bounds by solving the test of the influence values for each ratio.
"""

import json
import math

import numpy as np
from scipy.optimize import brentq

SEED = 20240611
rng = np.random.default_rng(SEED)


def predictable_variances(x):
    """Regularised variance before each value."""
    out = []
    seen = []
    squares = []
    for value in x:
        out.append((0.25 + math.fsum(squares)) / (len(seen) + 1))
        seen.append(value)
        running_mean = (0.5 + math.fsum(seen)) / (len(seen) + 1)
        squares.append((value - running_mean) ** 2)
    return np.array(out)


def log_capital(x, weights, m):
    """Bets 4, 2, ... (fourteen of them) and the boldest, in a mixture."""
    decay = [0.85**k for k in range(14)]
    gamblers = [(0.25, 0.9 / m)]
    gamblers += [(0.75 * w / math.fsum(decay), min(4.0 / 2**k, 0.9 / m)) for k, w in enumerate(decay)]
    logs = [
        math.log(part) + math.fsum(w * math.log1p(bet * (v - m)) for v, w in zip(x, weights))
        for part, bet in gamblers
    ]
    top = max(logs)
    return top + math.log(math.fsum(math.exp(v - top) for v in logs))


def betting_low(x, weights, alpha):
    goal = math.log(2 / alpha)
    excess = lambda m: log_capital(x, weights, m) - goal
    if excess(1e-12) < 0:
        return 0.0
    return brentq(excess, 1e-12, 1.0, xtol=1e-15, rtol=1e-14, maxiter=500)


def share_out(x):
    """Each value as two weights on the points of 128 intervals between the least and the greatest one."""
    least, greatest = min(x), max(x)
    if least == greatest:
        return np.array([least]), np.array([float(len(x))])
    points = np.linspace(least, greatest, 129)
    weights = np.zeros(129)
    for value in x:
        right = min(int(np.searchsorted(points, value, side="right")), 128)
        part = (value - points[right - 1]) / (points[right] - points[right - 1])
        weights[right - 1] += 1 - part
        weights[right] += part
    return points, weights


def betting(x, alpha, shared=True):
    x = np.asarray(x, float)
    points, weights = share_out(x) if shared else (x, np.ones(len(x)))
    low = betting_low(points, weights, alpha)
    return {"value": float(np.mean(x)), "low": low, "high": 1 - betting_low(1 - points, weights, alpha)}


def empirical_bernstein(x, alpha):
    level = math.log(2 / alpha)
    variances = predictable_variances(x)
    means = np.concatenate([[0.5], (0.5 + np.cumsum(x)) / (np.arange(1, len(x) + 1) + 1)])[:-1]
    t = np.arange(1, len(x) + 1)
    bets = np.minimum(np.sqrt(2 * level / (variances * t * np.log(1 + t))), 0.5)
    v = 4 * (x - means) ** 2
    psi = (-np.log(1 - bets) - bets) / 4
    centre = math.fsum(bets * x) / math.fsum(bets)
    half = (level + math.fsum(v * psi)) / math.fsum(bets)
    return {"value": float(np.mean(x)), "low": max(0.0, centre - half), "high": min(1.0, centre + half)}


def rho_squared(alpha, tuned):
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / tuned


def t_boundary(n, alpha, tuned):
    """Largest |mean| / s that the mixture likelihood ratio does not rule out."""
    k = 1 / (n * rho_squared(alpha, tuned) + 1)

    def log_mixture(ratio):
        q = n * ratio * ratio / (n - 1)
        return 0.5 * math.log(k) + n / 2 * (math.log1p(q) - math.log1p(k * q))

    goal = math.log(1 / alpha)
    if log_mixture(1e9) <= goal:
        return None
    return brentq(lambda r: log_mixture(r) - goal, 0.0, 1e9, xtol=1e-16, rtol=1e-14, maxiter=1000)


def spread(values, size):
    return math.sqrt((math.fsum((values - np.mean(values)) ** 2) + size**2) / (len(values) - 1))


def asymptotic_mean(values, size, alpha, tuned):
    half = t_boundary(len(values), alpha, tuned) * spread(values, size)
    mean = float(np.mean(values))
    return {"value": mean, "low": mean - half, "high": mean + half}


def paired_ratio(x, y, alpha, tuned):
    """Ratios for which the mean of y - q x is not told apart from zero, found by searching both ways."""
    n = len(x)
    b = t_boundary(n, alpha, tuned)
    centre = float(np.mean(y) / np.mean(x))
    size = float(np.mean(np.abs(x)))

    def excess(q):
        z = y - q * x
        return float(np.mean(z)) ** 2 - b * b * spread(z, size) ** 2

    low = brentq(excess, centre - 5, centre, xtol=1e-15, rtol=1e-14)
    high = brentq(excess, centre, centre + 5, xtol=1e-15, rtol=1e-14)
    return {"value": centre - 1, "low": low - 1, "high": high - 1}


def arm_variance(v):
    return spread(v, float(np.mean(np.abs(v)))) ** 2 / len(v)


def unpaired(strata, alpha, tuned):
    total = sum(len(c) + len(t) for c, t in strata)
    weights = [(len(c) + len(t)) / total for c, t in strata]
    control = sum(w * np.mean(c) for w, (c, _) in zip(weights, strata))
    candidate = sum(w * np.mean(t) for w, (_, t) in zip(weights, strata))
    vc = sum(w * w * arm_variance(c) for w, (c, _) in zip(weights, strata))
    vt = sum(w * w * arm_variance(t) for w, (_, t) in zip(weights, strata))
    n = min(sum(len(c) for c, _ in strata), sum(len(t) for _, t in strata))
    scale = t_boundary(n, alpha, tuned) * math.sqrt(n)
    half = scale * math.sqrt(vc + vt)
    difference = {"value": candidate - control, "low": candidate - control - half, "high": candidate - control + half}
    excess = lambda q: (candidate - q * control) ** 2 - scale**2 * (vt + q * q * vc)
    centre = candidate / control
    ratio = {
        "value": centre - 1,
        "low": brentq(excess, centre - 5, centre, xtol=1e-15, rtol=1e-14) - 1,
        "high": brentq(excess, centre, centre + 5, xtol=1e-15, rtol=1e-14) - 1,
    }
    low = high = 0.0
    share = alpha / (2 * len(strata))
    if all(0 <= v <= 1 for c, t in strata for v in (*c, *t)):
        for w, (c, t) in zip(weights, strata):
            a, b = betting(c, share), betting(t, share)
            low += w * (b["low"] - a["high"])
            high += w * (b["high"] - a["low"])
        bounded = {"value": candidate - control, "low": low, "high": high}
    else:
        bounded = None
    return {"difference": difference, "ratio": ratio, "bounded": bounded}


def numbers(values):
    return [float(v) for v in values]


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value if value is None else float(value)


def main():
    columns = {
        "constant half": np.full(300, 0.5),
        "always one": np.ones(120),
        "always zero": np.zeros(40),
        "one value": np.array([0.25]),
        "flags at .99": (rng.random(250) < 0.99).astype(float),
        "flags at .5": (rng.random(200) < 0.5).astype(float),
        "beta": rng.beta(2, 5, 200),
        "three-valued differences": (1 + (rng.random(300) < 0.05) * 1.0 - (rng.random(300) < 0.02) * 1.0) / 2,
    }
    means = []
    for name, x in columns.items():
        for alpha in (0.05, 0.0014):
            means.append(
                {
                    "name": name,
                    "alpha": alpha,
                    "values": numbers(x),
                    "betting": plain(betting(x, alpha)),
                    "unshared": plain(betting(x, alpha, shared=False)),
                    "bernstein": plain(empirical_bernstein(x, alpha)),
                }
            )

    boundaries = [
        {"n": n, "alpha": alpha, "tuned": tuned, "student": t_boundary(n, alpha, tuned)}
        for n in (2, 10, 30, 100, 1000, 100000)
        for alpha in (0.05, 0.0014)
        for tuned in (100.0, 500.0)
    ]

    pairs = []
    for name, x, y in [
        ("normal", rng.normal(50, 5, 80), rng.normal(48, 5, 80)),
        ("lognormal", rng.lognormal(5, 0.6, 200), rng.lognormal(5.1, 0.6, 200)),
        ("correlated lengths", *(lambda b: (b * rng.lognormal(0, 0.2, 150), b * rng.lognormal(-0.3, 0.2, 150)))(rng.lognormal(6, 0.7, 150))),
        ("no spread", np.full(100, 700.0), np.full(100, 700.0)),
    ]:
        size = float((np.mean(np.abs(x)) + np.mean(np.abs(y))) / 2)
        alpha = 0.01
        pairs.append(
            {
                "name": name,
                "alpha": alpha,
                "first": numbers(x),
                "second": numbers(y),
                "difference": plain(asymptotic_mean(y - x, size, alpha, 500.0)),
                "ratio": plain(paired_ratio(x, y, alpha, 500.0)),
            }
        )

    strata = []
    for name, groups in [
        ("two cohorts of flags", [((rng.random(90) < 0.9) * 1.0, (rng.random(40) < 0.8) * 1.0), ((rng.random(60) < 0.7) * 1.0, (rng.random(60) < 0.6) * 1.0)]),
        ("latencies", [(rng.lognormal(5, 0.5, 120), rng.lognormal(5.2, 0.5, 50)), (rng.lognormal(4, 0.4, 80), rng.lognormal(4, 0.4, 20))]),
    ]:
        result = unpaired(groups, 0.02, 500.0)
        strata.append(
            {
                "name": name,
                "alpha": 0.02,
                "strata": [{"control": numbers(c), "candidate": numbers(t)} for c, t in groups],
                **{k: plain(v) for k, v in result.items()},
            }
        )
    print(json.dumps({"seed": SEED, "means": means, "boundaries": boundaries, "pairs": pairs, "strata": strata}))


main()
