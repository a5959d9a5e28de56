"""What SciPy computes for the parts of docs/concepts/mathematics.md that `vectors.json` does not contain.

    python3 -m venv venv && venv/bin/pip install numpy scipy
    venv/bin/python tests/statistics/reference.py > tests/statistics/reference.json
"""

import json
import sys

import numpy as np
from scipy import integrate, special, stats

def trigamma(x):
    return float(special.polygamma(1, x))


def e_value(differences, edge):
    """Marginal density of t under effects N(0, 1), over that of no effect, by numerical integration."""
    n = len(differences)
    t = float(n**0.5 * (np.mean(differences) - edge) / np.std(differences, ddof=1))
    density = lambda effect: stats.nct.pdf(t, n - 1, n**0.5 * effect) * stats.norm.pdf(effect)
    mixed, _ = integrate.quad(density, -12, 12, points=[0, t / n**0.5], limit=500, epsabs=0, epsrel=1e-10)
    return mixed / float(stats.t.pdf(t, n - 1))


def main():
    rng = np.random.default_rng(20261124)
    draw = lambda n, scale, shift: [float(x) for x in shift + scale * rng.standard_normal(n)]
    families = [[float(p) for p in rng.uniform(0, 0.3, size)] for size in (1, 2, 4, 7, 12)] + [[0.03, 0.9, 0.04, 0.06]]
    discoveries = [[family, [bool(p) for p in stats.false_discovery_control(family) <= 0.1]] for family in families]
    differences = [draw(n, 0.02, 0.04) for n in (3, 4, 6, 9, 12)]
    parts = {
        "discoveries": discoveries,
        "e_values": [[d, e_value(d, 0.005)] for d in differences if np.mean(d) > 0.005],
        "upper_t": [[p, df, float(stats.t.ppf(p, df))] for p in (0.8, 0.98, 0.995, 0.9983) for df in (1.0, 2.5, 4.0, 24.0, 83.6)],
        "trigamma": [[x, trigamma(x)] for x in [0.01, 0.5, 1.0, 3.7, 12.0, 25.0, 400.0]],
    }
    # A line per case, so that a change can be read.
    lines = [f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, cases)) + "\n]" for name, cases in parts.items()]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
