"""Tables of the results of `evaluate_saddles.py`, as Markdown.

    python training/reactions/report_saddles.py \
        training/reactions/results/saddles.json --zero-point zero_point.csv

Of each calculator: how many reactions are joined by a certified saddle, how near it is
to the known one, how far off barriers are, what sigma is worth, and what it costs.
Published barriers hold zero-point energies; those of ``--zero-point`` (made by
`training/delta/zero_point.py`) are taken off, and their mean where one is not known.
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from evaluate_saddles import Row, load

# Potentials that were fitted to the method whose barriers rows have beside theirs.
FITTED = ("reactions.pt",)
# eV; what GFN2-xTB's zero-point energy is at a saddle above the reactant's, on average.
MEAN_SHIFT = -0.19


def shifts(path: Path | None) -> dict[str, float]:
    """Zero-point energy of the saddle less that of the reactant, by reaction, eV."""
    if path is None:
        return {}
    with path.open(newline="") as file:
        found = {
            row["name"]: float(row["zero_point_eV"]) for row in csv.DictReader(file)
        }
    names = {name.rpartition("/")[0] for name in found}
    return {
        name: found[f"{name}/ts"] - found[f"{name}/r"]
        for name in names
        if {f"{name}/ts", f"{name}/r"} <= found.keys()
    }


def summary(rows: Sequence[Row], shift: Mapping[str, float]) -> dict[str, float | str]:
    """Figures of one calculator; eV, Å, seconds."""
    joined = [row for row in rows if row.joins and row.steps == 1]
    mean = float(np.mean([*shift.values()])) if shift else MEAN_SHIFT
    errors = np.array(
        [
            (row.barrier or 0.0) - (row.reference - shift.get(row.name, mean))
            for row in joined
        ]
    )
    near = np.array([row.apart for row in joined if row.apart is not None])
    own = [
        abs((row.barrier or 0.0) - row.labels)
        for row in joined
        if row.labels is not None and row.model in FITTED
    ]
    found: dict[str, float | str] = {
        "reactions": len(rows),
        "PASS": sum(row.grade == "PASS" for row in rows),
        "connected": sum(row.connected for row in rows),
        "joined": len(joined),
        "two steps": sum(row.joins and row.steps > 1 for row in rows),
        "RMSD median": _of(np.median, near),
        "within 0.3 Å": int((near < 0.3).sum()),
        "error mean": _of(np.mean, np.abs(errors)),
        "error median": _of(np.median, np.abs(errors)),
        "error to labels": _of(np.median, np.array(own)),
        "evaluations": _of(np.median, np.array([row.evaluations for row in rows])),
        "cpu": float(np.sum([row.cpu for row in rows])),
    }
    if all(row.ends is not None for row in rows):
        found["ends right"] = sum(bool(row.ends) for row in rows)
    return found | coverage(joined, errors, own)


def coverage(
    joined: Sequence[Row], errors: np.ndarray, own: Sequence[float]
) -> dict[str, float]:
    """Shares of barriers within one and two sigma, and the factor that makes it 68 %.

    Of errors to the labels that a potential was fitted to, where it was; a conformal
    factor is the quantile of error over sigma with the correction for a finite sample.
    """
    sigma = np.array([row.sigma if row.sigma is not None else np.nan for row in joined])
    if not len(sigma) or np.isnan(sigma).any():
        return {}
    off = np.array(own) if len(own) == len(joined) else np.abs(errors)
    ratio = np.sort(off / sigma)
    rank = int(np.ceil(0.6827 * (len(ratio) + 1))) - 1
    return {
        "within sigma": float((ratio < 1.0).mean()),
        "within 2 sigma": float((ratio < 2.0).mean()),
        "factor": float(ratio[min(rank, len(ratio) - 1)]),
    }


def _of(statistic: object, values: np.ndarray) -> float:
    assert callable(statistic)
    return float(statistic(values)) if len(values) else float("nan")


def table(found: Mapping[str, Mapping[str, float | str]]) -> str:
    """Markdown: a row for each figure, a column for each calculator."""
    lines = ["| | " + " | ".join(found) + " |", "| --- |" + " --- |" * len(found)]
    names = dict.fromkeys(name for one in found.values() for name in one)
    for name in names:
        cells = [one.get(name, "") for one in found.values()]
        said = [f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells]
        lines.append(f"| {name} | " + " | ".join(said) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--zero-point", type=Path)
    parser.add_argument("--failures", action="store_true", help="each, with its reason")
    parser.add_argument("--out", type=Path, help="figures, as JSON")
    options = parser.parse_args()
    rows, shift = load(options.results), shifts(options.zero_point)
    models = dict.fromkeys(row.model for row in rows)
    found = {
        model: summary([row for row in rows if row.model == model], shift)
        for model in models
    }
    print(table(found))
    for row in rows if options.failures else ():
        if row.grade != "PASS":
            print(f"- {row.model}, {row.name}: {row.reason}")
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
