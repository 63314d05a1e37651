#!/usr/bin/env python3
"""Fits the weights of a policy's score from how documents ended.

    precis results --last 0 --json | tools/fit-score.py --tier gpu > score.toml

Reads one JSON object a line and learns from `routing`: the features of a document, and whether the first answer, the one of `--tier`, was
accepted. Prints the policy's section `[score]`, and one `[score.types.NAME]` for each type with outcomes enough (`--least`). Put it in place
of the policy's own, then `precis policy check`.

The fit is logistic regression by Newton's method with a ridge on the weights (not on the bias): outcomes are few at first, and a feature that
never varied must keep the weight 0. How good it is stands in comments, measured on the fifth of the documents that the fit did not see:
AUC 0.5 is guessing, and log-loss is to be compared with that of always saying the mean.
"""

import argparse
import hashlib
import json
import math
import sys

FEATURES = ["length", "digits", "names", "noise", "long_sentences", "not_english"]


def read(lines, tier):
    """(type, id, features, accepted) of each outcome of that tier."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            routing = json.loads(line).get("routing")
        except ValueError as error:
            sys.exit(
                f"line {number} is no JSON object: {error}; use the output of `precis results --json`"
            )
        if routing and routing["first_tier"] == tier:
            row = [float(routing["features"].get(name, 0.0)) for name in FEATURES]
            yield routing["document_type"], line, row, float(routing["accepted"])


def solve(matrix, vector):
    """Gaussian elimination with pivots; the matrix is positive definite."""
    size = len(vector)
    rows = [list(row) + [value] for row, value in zip(matrix, vector)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda at: abs(rows[at][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for other in range(size):
            if other != column:
                factor = rows[other][column] / rows[column][column]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[column])]
    return [rows[at][size] / rows[at][at] for at in range(size)]


def probability(weights, row):
    exponent = weights[0] + sum(w * x for w, x in zip(weights[1:], row))
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, exponent))))


def fit(rows, labels, ridge):
    """Bias first, then a weight for each feature."""
    size = len(FEATURES) + 1
    weights = [0.0] * size
    for _ in range(50):
        gradient = [-ridge * w if at else 0.0 for at, w in enumerate(weights)]
        hessian = [[0.0] * size for _ in range(size)]
        for at in range(size):
            hessian[at][at] = ridge if at else 1e-9
        for row, label in zip(rows, labels):
            p = probability(weights, row)
            values = [1.0, *row]
            for i in range(size):
                gradient[i] += (label - p) * values[i]
                for j in range(size):
                    hessian[i][j] += p * (1.0 - p) * values[i] * values[j]
        step = solve(hessian, gradient)
        longest = max(abs(value) for value in step)
        # Far from the optimum a Newton step can overshoot.
        weights = [
            w + value * min(1.0, 2.0 / max(longest, 1e-12)) for w, value in zip(weights, step)
        ]
        if longest < 1e-6:
            break
    return weights


def log_loss(probabilities, labels):
    clipped = [min(max(p, 1e-12), 1.0 - 1e-12) for p in probabilities]
    return -sum(math.log(p if y else 1.0 - p) for p, y in zip(clipped, labels)) / len(labels)


def auc(probabilities, labels):
    """Chance that an accepted answer's score is above a rejected one's; ties count half."""
    good = [p for p, y in zip(probabilities, labels) if y]
    bad = [p for p, y in zip(probabilities, labels) if not y]
    wins = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    return wins / (len(good) * len(bad))


def section(name, outcomes, ridge):
    # The split depends on the outcome alone, so that the same input gives the same weights.
    held = [
        int(hashlib.sha256(line.encode()).hexdigest(), 16) % 5 == 0 for _, line, _, _ in outcomes
    ]

    def part(keep):
        return [o[2] for o, h in zip(outcomes, held) if h == keep], [
            o[3] for o, h in zip(outcomes, held) if h == keep
        ]

    rows, labels = part(False)
    weights = fit(rows, labels, ridge)
    lines = [
        f"# {len(outcomes)} outcomes, {sum(o[3] for o in outcomes) / len(outcomes):.0%} accepted."
    ]
    test_rows, test_labels = part(True)
    if 0 < sum(test_labels) < len(test_labels):
        scores = [probability(weights, row) for row in test_rows]
        mean = sum(labels) / len(labels)
        lines.append(
            f"# On {len(test_rows)} that the fit did not see: AUC {auc(scores, test_labels):.3f}, log-loss "
            f"{log_loss(scores, test_labels):.4f} against {log_loss([mean] * len(test_rows), test_labels):.4f} for the mean alone."
        )
    # What is printed is fitted to all.
    weights = fit([o[2] for o in outcomes], [o[3] for o in outcomes], ridge)
    table = ", ".join(f"{feature} = {weight:.3f}" for feature, weight in zip(FEATURES, weights[1:]))
    return "\n".join([*lines, f"[{name}]", f"bias = {weights[0]:.3f}", f"weights = {{ {table} }}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", default="gpu", help="the policy's first tier (default: gpu)")
    parser.add_argument(
        "--least",
        type=int,
        default=300,
        help="outcomes that a fit needs, 30 of each kind among them (default: 300)",
    )
    parser.add_argument(
        "--ridge",
        type=float,
        default=0.1,
        help="how strongly weights are drawn to 0 (default: 0.1)",
    )
    arguments = parser.parse_args()

    outcomes = list(read(sys.stdin, arguments.tier))

    def enough(some):
        accepted = sum(o[3] for o in some)
        return len(some) >= arguments.least and min(accepted, len(some) - accepted) >= 30

    if not enough(outcomes):
        accepted = int(sum(o[3] for o in outcomes))
        sys.exit(
            f"{len(outcomes)} outcomes of tier {arguments.tier}, {accepted} accepted: a fit needs {arguments.least}, 30 of each kind; "
            "keep the policy's weights until there are more"
        )
    parts = [section("score", outcomes, arguments.ridge)]
    types = {}
    for outcome in outcomes:
        types.setdefault(outcome[0], []).append(outcome)
    for name, some in sorted(types.items()):
        if name and enough(some) and len(some) < len(outcomes):
            parts.append(section(f"score.types.{json.dumps(name)}", some, arguments.ridge))
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
