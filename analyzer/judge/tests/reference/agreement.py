"""Agreement and corrected estimates from other implementations: python3 agreement.py > agreement.json

krippendorff 0.9.0, scikit-learn 1.9.1, ppi-python 0.2.3, numpy 2.4.6, seed 20261121.
"""
import json

import krippendorff
import numpy as np
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate
from sklearn.metrics import cohen_kappa_score

rng = np.random.default_rng(20261121)
r = lambda values: [float(value) for value in values]


def agreement(n, noise):
    person = rng.integers(1, 6, n)
    judge = np.clip(person + np.round(rng.normal(0, noise, n)), 1, 5).astype(int)
    return {
        "person": r(person), "judge": r(judge),
        "kappa": float(cohen_kappa_score(person, judge)),
        "alpha": float(krippendorff.alpha(np.array([person, judge], dtype=float), level_of_measurement="interval")),
    }


def powered(n, m, bias, noise):
    truth = lambda count: rng.beta(4, 2, count)
    people = truth(n)
    judge = lambda values: np.clip(values + bias + rng.normal(0, noise, len(values)), 0, 1)
    labelled, judged = judge(people), judge(truth(m))
    mean = float(ppi_mean_pointestimate(people, labelled, judged)[0])
    low, high = ppi_mean_ci(people, labelled, judged, alpha=0.05)
    return {
        "person": r(people), "judge": r(labelled), "judged": r(judged), "mean": mean,
        "interval": [float(low[0]), float(high[0])],
    }


print(json.dumps({
    "agreement": [agreement(*case) for case in [(12, 0.5), (60, 1.0), (200, 2.0)]],
    "powered": [powered(*case) for case in [(40, 400, 0.1, 0.1), (100, 150, -0.2, 0.3), (30, 1000, 0.0, 1.0)]],
}))
