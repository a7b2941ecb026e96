"""Tables and a plot of what `speed.py` measured."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from machine import Machine, Work
from matplotlib.figure import Figure

Times = Mapping[str, list[float]]


def write(results: dict[str, Any], folder: Path) -> None:
    """``speed.json``, ``speed.md`` and ``speed.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "speed.md").write_text(markdown(results) + "\n")
    scaling(results).savefig(folder / "speed.png", dpi=150)


def markdown(results: dict[str, Any]) -> str:
    """All tables."""
    machine = Machine(**results["machine"])
    parts = [
        f"{machine.threads} threads, {results['about']}; copies "
        f"{machine.copy / 1e9:.0f} GB/s, multiplies matrices at "
        f"{machine.matmul / 1e9:.0f} GFLOP/s. Medians."
    ]
    for shape, sizes in results["single"].items():
        parts.append(f"### One molecule, {shape}: ms by number of atoms")
        parts.append(_table({n: s["seconds"] for n, s in sizes.items()}, 1e3))
    parts.append("### Batches of molecules of 18 atoms: ms per molecule")
    each = {
        size: {n: [t / int(size) for t in taken] for n, taken in one["seconds"].items()}
        for size, one in results["batches"].items()
    }
    parts.append(_table(each, 1e3))
    parts.append("### Times faster than ET of its size, and than GFN2-xTB: medians")
    parts.append(
        _ratios(
            {
                "20 atoms": results["single"]["chain"]["20"]["seconds"],
                "batch of 64": results["batches"]["64"]["seconds"],
            }
        )
    )
    parts.append("### The machine's limit for one molecule of 20 atoms")
    parts.append(_limits(results["single"]["chain"]["20"], machine))
    parts.append("### Tasks: seconds")
    parts.append(_table({t: v["seconds"] for t, v in results["tasks"].items()}, 1.0))
    parts.append("### Memory beyond that of one small molecule: MiB")
    peaks = {k: {n: [b] for n, b in v.items()} for k, v in results["memory"].items()}
    parts.append(_table(peaks, 1 / 2**20))
    return "\n\n".join(parts)


def _table(columns: Mapping[str, Times], scale: float) -> str:
    """Candidates as rows, medians of their times as cells."""
    names = list(dict.fromkeys(name for times in columns.values() for name in times))
    lines = [f"| | {' | '.join(columns)} |", f"| --- |{' --- |' * len(columns)}"]
    for name in names:
        cells = [
            f"{scale * median(times[name]):.3g}" if name in times else ""
            for times in columns.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratios(columns: Mapping[str, Times]) -> str:
    """Ratios to PhysML, taken round by round."""
    first = next(iter(columns.values()))
    lines = [
        f"| | {' | '.join(f'{c}: ET | {c}: GFN2-xTB' for c in columns)} |",
        f"| --- |{' --- |' * 2 * len(columns)}",
    ]
    for name in (n for n in first if n.startswith("PhysML")):
        cells = []
        for times in columns.values():
            for peer in (f"ET {name.split()[1]}", "GFN2-xTB"):
                pairs = zip(times.get(peer, []), times[name], strict=False)
                ratios = [theirs / ours for theirs, ours in pairs]
                cells.append(f"{median(ratios):.1f}" if ratios else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _limits(one: dict[str, Any], machine: Machine) -> str:
    lines = [
        "| | ms | MFLOP | MB touched | ms at the limit | share of it |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, values in one["work"].items():
        work, taken = Work(**values), median(one["seconds"][name])
        limit = work.limit(machine)
        share = 100 * limit / taken
        lines.append(
            f"| {name} | {1e3 * taken:.2f} | {work.flops / 1e6:.1f} | "
            f"{work.bytes / 1e6:.1f} | {1e3 * limit:.2f} | {share:.0f} % |"
        )
    return "\n".join(lines)


def scaling(results: dict[str, Any]) -> Figure:
    """Time against the number of atoms, and time per molecule against the batch."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _lines(
        left, {n: s["seconds"] for n, s in results["single"]["chain"].items()}, False
    )
    left.set(xlabel="atoms of a chain", ylabel="ms, energy and forces")
    _lines(right, {n: s["seconds"] for n, s in results["batches"].items()}, True)
    right.set(xlabel="molecules in a batch", ylabel="ms per molecule of 18 atoms")
    right.legend(fontsize=7)
    return figure


def _lines(axes: Any, columns: Mapping[str, Times], each: bool) -> None:
    names = list(dict.fromkeys(name for times in columns.values() for name in times))
    for name in names:
        sizes = [int(size) for size, times in columns.items() if name in times]
        taken = [
            1e3 * median(columns[str(s)][name]) / (s if each else 1) for s in sizes
        ]
        style = "-" if name.startswith("PhysML") else "--"
        axes.loglog(sizes, taken, style, marker=".", label=name)
    axes.grid(alpha=0.3)
