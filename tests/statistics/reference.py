"""An independent implementation of docs/concepts/mathematics.md on NumPy and SciPy, whose results the tests compare ours with.

    python3 -m venv venv && venv/bin/pip install numpy scipy
    venv/bin/python tests/statistics/reference.py > tests/statistics/reference.json
"""

import json
import sys

import numpy as np
from scipy import integrate, optimize, special, stats

K = 1.345
INFLATION = 1.05


def location(values, scale):
    """Huber's M-estimate: the root of the sum of clipped residuals, found by bracketing and not by reweighting."""
    values = np.asarray(values, dtype=float)
    if scale <= 0 or len(values) == 1:
        return float(np.median(values))
    score = lambda centre: np.clip((values - centre) / scale, -K, K).sum()
    low, high = values.min() - scale, values.max() + scale
    return float(optimize.brentq(score, low, high, xtol=1e-14))


def trigamma(x):
    return float(special.polygamma(1, x))


def squares(values):
    values = np.asarray(values, dtype=float)
    return float(((values - values.mean()) ** 2).sum())


def winsorised(sessions):
    distances = []
    for session in sessions:
        own = sorted(abs(np.asarray(session) - np.median(session)))
        distances += own[len(own) % 2:]
    most = 4 * 1.4826 * float(np.median(distances))
    return [np.clip(s, np.median(s) - most, np.median(s) + most) for s in map(np.asarray, sessions)]


def learn(sessions):
    sessions = winsorised(sessions[-30:])
    d = np.array([len(s) - 1 for s in sessions], dtype=float)
    variances = np.array([s.var(ddof=1) for s in sessions])
    e = np.log(variances) - special.digamma(d / 2) + np.log(d / 2)
    excess = e.var(ddof=1) - special.polygamma(1, d / 2).mean()
    nu = 20.0
    if excess > 0:
        solved = optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-6, 1e6, xtol=1e-14)
        nu = min(20.0, 2 * solved)
    s2 = float(np.exp(e.mean() + special.digamma(nu / 2) - np.log(nu / 2)))
    m = np.array([location(s, s2**0.5) for s in sessions])
    mad = 1.4826 * np.median(abs(np.diff(m)))
    between = (mad**2 - 2 * s2 * np.mean([1 / len(s) for s in sessions])) / 2
    host = max(between, 0.0625 * s2) ** 0.5
    return {"repeat": s2**0.5, "degrees_of_freedom": nu, "host": float(host), "sessions": len(sessions)}


def clip_one(arms, noise):
    if not noise["sessions"]:
        return arms, False
    s0 = noise["repeat"]
    far, near = [], [0.0]
    for a, arm in enumerate(arms):
        for i, value in enumerate(arm):
            residual = value - np.median(arm)
            if abs(residual) > 4 * s0:
                far.append((a, i, np.median(arm) + np.sign(residual) * 4 * s0))
            else:
                near.append(abs(residual))
    if len(far) == 1 and max(near) <= 2 * s0:
        a, i, value = far[0]
        arms = [list(arm) for arm in arms]
        arms[a][i] = float(value)
        return arms, True
    return arms, False


def moderate(seen, noise):
    """`seen` is a list of (squares, degrees, level); the last is moderated, each may show that today is noisier."""
    prior, nu = noise["repeat"] ** 2, noise["degrees_of_freedom"]
    learnt = noise["sessions"] > 0
    noisier = learnt and any(d >= 1 and stats.f.sf(ss / d / prior, d, nu) < level for ss, d, level in seen)
    ss, d, _ = seen[-1]
    own = ss / d if d > 0 else 0.0
    moderated = (nu * prior + ss) / (nu + d)
    if learnt and not noisier:
        return moderated, nu + d, False, 1.0
    return max(own, moderated), max(d, min(nu, 1.0)), noisier, own / prior if noisier else 1.0


def arms_seen(arms):
    return sum(squares(a) for a in arms if len(a)), sum(len(a) - 1 for a in arms if len(a))


def stored(baseline, candidate, noise):
    (b, c), clipped = clip_one([baseline, candidate], noise)
    variance, df, noisier, excess = moderate([(*arms_seen([b, c]), 0.05)], noise)
    tau2 = noise["host"] ** 2 * max(1.0, excess)
    within = INFLATION * variance * (1 / len(b) + 1 / len(c))
    total = within + 2 * tau2
    uncertainty = within**2 / df + ((2 * tau2) ** 2 / (noise["sessions"] - 1) if noise["sessions"] > 1 else 0)
    ss, d = arms_seen([c])
    doubt = noise["sessions"] > 0 and d >= 1 and stats.f.sf(ss / d / noise["repeat"] ** 2, d, noise["degrees_of_freedom"]) < 0.2
    return {"delta": location(c, variance**0.5) - location(b, variance**0.5), "standard_error": total**0.5,
            "degrees_of_freedom": total**2 / uncertainty, "noisier": bool(noisier),
            "doubtful": bool(noisier or doubt), "clipped": clipped}


def paired(pairs, others, noise):
    arms, clipped = clip_one([[a for a, _ in pairs], [b for _, b in pairs], others], noise)
    d = np.array(arms[1]) - np.array(arms[0])
    variance, df, noisier, _ = moderate([(squares(d) / 2, len(d) - 1, 0.05), (*arms_seen(arms), 0.10)], noise)
    return {"delta": location(d, (2 * variance) ** 0.5), "standard_error": (2 * INFLATION * variance / len(d)) ** 0.5,
            "degrees_of_freedom": df, "noisier": bool(noisier), "doubtful": bool(noisier), "clipped": clipped}


def e_value(differences, edge):
    """Marginal density of t under effects N(0, 1), over that of no effect, by numerical integration."""
    n = len(differences)
    t = float(n**0.5 * (np.mean(differences) - edge) / np.std(differences, ddof=1))
    density = lambda effect: stats.nct.pdf(t, n - 1, n**0.5 * effect) * stats.norm.pdf(effect)
    mixed, _ = integrate.quad(density, -12, 12, points=[0, t / n**0.5], limit=500, epsabs=0, epsrel=1e-10)
    return mixed / float(stats.t.pdf(t, n - 1))


def main():
    rng = np.random.default_rng(20261124)
    draw = lambda n, scale, shift=0.0: [float(x) for x in shift + scale * rng.standard_normal(n)]
    ledgers = [
        [draw(3, 0.01, float(level)) for level in np.cumsum(0.005 * rng.standard_normal(20))],
        [draw(int(rng.integers(2, 6)), 0.02 * float(rng.chisquare(4) / 4) ** 0.5, 0.01 * float(rng.standard_normal())) for _ in range(40)],
        [draw(3, 0.01) for _ in range(5)],
    ]
    ledgers[0][4][1] += 0.2
    learnt = [learn(ledger) for ledger in ledgers]
    assumed = {"repeat": 0.02, "degrees_of_freedom": 1.0, "host": 0.01, "sessions": 0}
    cases = []
    for noise in [assumed, *learnt]:
        for scale in [0.3, 1.0, 3.0]:
            for n, k, p in [(3, 3, 3), (5, 3, 6), (3, 10, 12), (1, 1, 1)]:
                s = scale * noise["repeat"]
                baseline, candidate = draw(n, s), draw(k, s, 0.05)
                pairs = [[a, b] for a, b in zip(draw(p, s), draw(p, s, 0.05))]
                if p == 6:
                    candidate[0] += 8 * noise["repeat"]
                cases.append({"noise": noise, "baseline": baseline, "candidate": candidate, "pairs": pairs,
                              "stored": stored(baseline, candidate, noise), "paired": paired(pairs, candidate, noise)})
    families = [[float(p) for p in rng.uniform(0, 0.3, size)] for size in (1, 2, 4, 7, 12)] + [[0.03, 0.9, 0.04, 0.06]]
    discoveries = [[family, [bool(p) for p in stats.false_discovery_control(family) <= 0.1]] for family in families]
    differences = [draw(n, 0.02, 0.04) for n in (3, 4, 6, 9, 12)]
    parts = {
        "discoveries": discoveries,
        "e_values": [[d, e_value(d, 0.005)] for d in differences if np.mean(d) > 0.005],
        "upper_t": [[p, df, float(stats.t.ppf(p, df))] for p in (0.8, 0.98, 0.995, 0.9983) for df in (1.0, 2.5, 4.0, 24.0, 83.6)],
        "trigamma": [[x, trigamma(x)] for x in [0.01, 0.5, 1.0, 3.7, 12.0, 25.0, 400.0]],
        "ledgers": [{"sessions": ledger, "noise": noise} for ledger, noise in zip(ledgers, learnt)],
        "estimates": cases,
    }
    # A line per case, so that a change can be read.
    lines = [f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, cases)) + "\n]" for name, cases in parts.items()]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
