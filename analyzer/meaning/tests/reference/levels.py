"""False alarms of Evidently's bootstrap MMD on the simulated answers of tests/levels.rs: the same generator, seeds and order.

Run: python3 -m venv v && v/bin/pip install "evidently==0.7.23" "pandas<3"
     v/bin/python levels.py 200 > levels.json        # runs; both sizes
Nothing else is random: Evidently seeds its own bootstrap.
"""
import json, sys
import numpy as np, pandas as pd
from evidently.legacy.metrics.data_drift.embedding_drift_methods import mmd

WIDTH = 384
GAMMA = np.uint64(0x9E3779B97F4A7C15)


def normals(seed, count):
    """SplitMix64 and Box-Muller, two uniforms for each normal."""
    steps = np.arange(1, 2 * count + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + steps * GAMMA
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    uniform = ((z >> np.uint64(11)).astype(float) + 0.5) / 2.0**53
    return np.sqrt(-2.0 * np.log(uniform[::2])) * np.cos(2.0 * np.pi * uniform[1::2])


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def answers(n, run):
    """Control, candidate and control again for n prompts."""
    drawn = unit(normals(n << 32 | run, n * 4 * WIDTH).reshape(n, 4, WIDTH))
    return [unit(2.0 * drawn[:, 0] + drawn[:, which]).astype(np.float32) for which in (1, 2, 3)]


def main(runs):
    found = []
    for n in (200, 1000):
        methods = {
            "default (quantile_probability 0.05)": mmd(bootstrap=True),
            "quantile_probability 0.95": mmd(bootstrap=True, quantile_probability=0.95),
        }
        counts = {(name, data): 0 for name in methods for data in ("pairs", "cohorts")}
        for run in range(runs):
            control, candidate, _ = answers(n, run)
            data = {
                "pairs": (control, candidate),
                "cohorts": (control[::2], candidate[1::2]),
            }
            for (name, what) in counts:
                before, after = (pd.DataFrame(part) for part in data[what])
                counts[name, what] += bool(methods[name](after, before)[1])
            print(n, run, counts, file=sys.stderr)
        for (name, what), alarms in counts.items():
            found.append({"n": n, "data": what, "method": name, "runs": runs, "alarms": alarms})
    json.dump(found, sys.stdout, indent=1)
    print()


main(int(sys.argv[1]))
