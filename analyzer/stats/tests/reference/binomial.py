"""Clopper-Pearson intervals from scipy: python3 binomial.py > binomial.json (scipy 1.17.1)."""
import json
from scipy.stats import beta

rows = []
for events, trials in [(0, 1), (1, 1), (0, 200), (200, 200), (1, 200), (7, 200), (100, 200), (199, 200), (3, 10000), (512, 10000), (9990, 10000)]:
    for alpha in [0.05, 0.01, 1e-4]:
        low = 0.0 if events == 0 else float(beta.ppf(alpha / 2, events, trials - events + 1))
        high = 1.0 if events == trials else float(beta.ppf(1 - alpha / 2, events + 1, trials - events))
        rows.append([events, trials, alpha, low, high])
print(json.dumps(rows))
