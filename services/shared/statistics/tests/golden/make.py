"""Figures of the Python packages for the crate's tests: prediction-powered inference, distributions, intervals, two-sample tests,
agreement. Writes the JSON files beside this script.

Run by hand, in a virtual environment with the versions below; each file says which versions made it. The packages and what they bring in
(numba, pandas, statsmodels) take 675 MB, too much for every cold run of the tests, so the figures are kept.

    pip install ppi-python==0.2.3 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
    python make.py
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate
from scipy import special, stats
from sklearn.metrics import cohen_kappa_score

HERE = Path(__file__).resolve().parent
PACKAGES = ["ppi-python", "numpy", "scipy", "scikit-learn"]


def plain(value):
    """Numpy's numbers and lists as Python's."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    return value.item() if isinstance(value, np.generic) else value


def lines(value, depth=0) -> str:
    """JSON with one line for each case, so that a change of one case is a change of one line."""
    if isinstance(value, dict) and depth < 2:
        inner = (f'"{key}": {lines(item, depth + 1)}' for key, item in value.items())
        return "{\n" + ",\n".join(inner) + "\n}"
    if isinstance(value, list) and depth < 2 and value and isinstance(value[0], list | dict):
        return "[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]"
    return json.dumps(value)


def keep(name: str, figures: dict) -> None:
    figures = {"versions": {package: version(package) for package in PACKAGES}} | figures
    (HERE / f"{name}.json").write_text(lines(plain(figures)) + "\n")


def rounded(values):
    """Few digits, so that the files stay small and the data are the same in both languages."""
    return np.round(values, 4)


def inference() -> None:
    random = np.random.default_rng(1)
    cases = []
    for labelled, unlabelled, slope, offset, noise in [
        (2, 5, 0.9, 0.1, 0.05),
        (3, 40, 0.0, 0.2, 0.3),
        (20, 100, 0.8, 0.15, 0.05),
        (60, 240, 0.5, 0.3, 0.2),
        (40, 20, 1.0, -0.1, 0.02),
        (30, 90, -0.7, 0.9, 0.05),
    ]:
        truth = random.beta(5, 2, labelled + unlabelled)
        predicted = rounded(slope * truth + offset + noise * random.normal(size=truth.size))
        labels, seen, rest = rounded(truth[:labelled]), predicted[:labelled], predicted[labelled:]
        weights = rounded(random.uniform(0.2, 3.0, labelled))
        rest_weights = rounded(random.uniform(0.2, 3.0, unlabelled))
        figures = []
        for power in [None, 0.0, 0.5, 1.0]:
            for w, w_rest in [(None, None), (weights, rest_weights)]:
                point = ppi_mean_pointestimate(
                    labels, seen, rest, lam=power, w=w, w_unlabeled=w_rest
                )
                for alpha in [0.05, 0.2]:
                    low, high = ppi_mean_ci(
                        labels, seen, rest, alpha=alpha, lam=power, w=w, w_unlabeled=w_rest
                    )
                    figures.append(
                        {
                            "power": power,
                            "weighted": w is not None,
                            "alpha": alpha,
                            "point": float(np.squeeze(point)),
                            "low": float(np.squeeze(low)),
                            "high": float(np.squeeze(high)),
                        }
                    )
        cases.append(
            {
                "labels": labels,
                "predictions": seen,
                "unlabelled": rest,
                "weights": weights,
                "unlabelled_weights": rest_weights,
                "figures": figures,
            }
        )
    keep("ppi", {"cases": cases})


def distributions() -> None:
    probabilities = [1e-12, 1e-6, 0.001, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9999]
    parameters = [
        (0.5, 0.5),
        (1, 1),
        (1, 500),
        (3, 98),
        (30, 1),
        (0.5, 4000),
        (2000, 8000),
        (12, 99988),
    ]
    beta = [(a, b, x) for a, b in parameters for x in [0.0004, 0.03, a / (a + b), 0.97]]
    binomial = [
        (0, 59, 0.05),
        (3, 59, 0.05),
        (50, 1000, 0.05),
        (4000, 20000, 0.21),
        (5, 5, 0.5),
        (7, 100000, 0.0002),
    ]
    keep(
        "special",
        {
            "normal_quantile": [(p, stats.norm.ppf(p)) for p in probabilities],
            "beta": [(a, b, x, special.betainc(a, b, x)) for a, b, x in beta],
            "beta_quantile": [
                (a, b, p, special.betaincinv(a, b, p))
                for a, b in parameters
                for p in [0.001, 0.05, 0.5, 0.975]
            ],
            "binomial": [(k, n, p, stats.binom.cdf(k, n, p)) for k, n, p in binomial],
            "student": [
                (p, df, stats.t.ppf((1 + p) / 2, df))
                for p in [0.5, 0.9, 0.95, 0.99]
                for df in [1, 1.5, 2, 7.3, 30, 400, 100000, 50000000]
            ],
            "chi_square": [
                (x, df, stats.chi2.sf(x, df))
                for df in [1, 2, 5, 40, 300]
                for x in [0.02, 0.9, 4.0, 38.0, 310.0]
            ],
        },
    )


def proportions() -> None:
    rows = []
    for bad, trials in [
        (0, 1),
        (1, 1),
        (0, 59),
        (1, 93),
        (5, 100),
        (50, 100),
        (100, 100),
        (17, 2500),
        (3, 100000),
    ]:
        for confidence in [0.8, 0.95, 0.99]:
            interval = stats.binomtest(bad, trials).proportion_ci(confidence, method="exact")
            rows.append((bad, trials, confidence, interval.low, interval.high))
    one_sided = [
        (k, n, c, stats.binomtest(k, n, alternative="less").proportion_ci(c, method="exact").high)
        for k, n in [(0, 59), (2, 400), (30, 1000), (9, 9)]
        for c in [0.9, 0.95]
    ]
    keep("proportion", {"two_sided": rows, "upper": one_sided})


def samples() -> None:
    random = np.random.default_rng(2)
    rounds = lambda values: np.round(values, 2)
    pairs = [
        (rounds(random.normal(size=12)), rounds(random.normal(size=9))),
        (rounds(random.normal(size=40)), rounds(random.normal(0.8, 1, size=70))),
        (rounds(random.normal(size=3)), rounds(random.normal(5, 1, size=4))),
        (rounds(random.uniform(size=200)), rounds(random.uniform(size=150))),
        (rounds(random.normal(size=400)), rounds(random.normal(0.12, 1, size=500))),
        (rounds(random.normal(size=700)), rounds(random.normal(0.02, 1, size=650))),
        (rounds(random.normal(size=700)), rounds(random.normal(0.3, 1.2, size=650))),
        (random.integers(0, 4, 300), random.integers(0, 4, 300)),
        (np.zeros(20), np.zeros(30)),
        (np.arange(300.0), np.arange(300.0) + 0.5),
    ]
    smirnov = []
    for left, right in pairs:
        test = stats.ks_2samp(left, right, method="asymp")
        smirnov.append(
            {"left": left, "right": right, "statistic": test.statistic, "p": test.pvalue}
        )
    # The distribution itself, in every region in which it is computed in another way.
    one_sample = [
        (n, d, stats.kstwo.sf(d, n))
        for n in [1, 2, 7, 50, 140, 141, 600, 5000, 100000]
        for d in np.round(np.array([0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.6, 2.2, 3.5, 8.0]) / n**0.5, 9)
        if d < 1
    ] + [
        (10, 0.96, stats.kstwo.sf(0.96, 10)),
        (200, 0.003, stats.kstwo.sf(0.003, 200)),
        (9, 0.08, stats.kstwo.sf(0.08, 9)),
    ]
    tables = []
    for left, right in [
        ([10, 20, 30], [12, 18, 33]),
        ([500, 0, 3, 9], [450, 7, 0, 12]),
        ([5, 5], [50, 20]),
    ]:
        test = stats.chi2_contingency([left, right], correction=False)
        tables.append((left, right, test.statistic, test.dof, test.pvalue))
    p_values = [
        [0.01, 0.04, 0.03, 0.005, 0.55],
        [0.2],
        [1.0, 0.0, 0.5, 0.5, 0.0001, 0.049],
        np.round(random.uniform(size=30), 6),
    ]
    keep(
        "samples",
        {
            "smirnov": smirnov,
            "one_sample": one_sample,
            "tables": tables,
            "discoveries": [(list(p), list(stats.false_discovery_control(p))) for p in p_values],
        },
    )


def agreement() -> None:
    random = np.random.default_rng(3)
    ratings = []
    for categories, count, noise in [(2, 30, 0.2), (5, 80, 0.4), (5, 10, 0.9), (3, 200, 0.05)]:
        left = random.integers(0, categories, count)
        other = random.integers(0, categories, count)
        right = np.where(random.uniform(size=count) < noise, other, left)
        labels = list(range(categories))
        kappas = [
            cohen_kappa_score(left, right, labels=labels, weights=weights)
            for weights in [None, "linear", "quadratic"]
        ]
        ratings.append({"categories": categories, "left": left, "right": right, "kappas": kappas})
    ranks = []
    for count, digits, slope in [(5, 3, 1.0), (40, 1, 0.5), (200, 1, -0.3), (60, 0, 2.0)]:
        left = np.round(random.normal(size=count), digits)
        right = np.round(slope * left + random.normal(size=count), digits)
        ranks.append({"left": left, "right": right, "rho": stats.spearmanr(left, right).statistic})
    keep("agreement", {"kappa": ratings, "spearman": ranks})


if __name__ == "__main__":
    inference()
    distributions()
    proportions()
    samples()
    agreement()
