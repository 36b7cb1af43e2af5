"""Reference values for the test of a share, computed with scipy: the evidence as betabinom over binom.

Usage: python shares.py > shares.json     (scipy 1.1x; the seed is below)
"""

import json

import numpy as np
from scipy.special import logsumexp
from scipy.stats import betabinom, binom

rng = np.random.default_rng(20261121)
CONCENTRATIONS = (10.0, 100.0, 1_000.0, 10_000.0)


def evidence(p, hits, n):
    each = [betabinom.logpmf(hits, n, c * p, c * (1 - p)) - binom.logpmf(hits, n, p) for c in CONCENTRATIONS]
    return float(logsumexp(each) - np.log(len(each)))


cases = []
for p in (0.01, 0.2, 0.5, 0.95):
    for true in (p, min(1.2 * p, 0.99), 0.5 * p):
        for n in (1, 40, 700, 5000):
            flags = (rng.random(n) < true).astype(int)
            cases.append({"expected": p, "flags": "".join(map(str, flags)), "hits": int(flags.sum()),
                          "ln_evidence": evidence(p, int(flags.sum()), n)})
print(json.dumps(cases))
