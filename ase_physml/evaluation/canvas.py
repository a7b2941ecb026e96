"""Canvas of the report's figures, and what all of them share."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ase_physml.errors import PhysMLError
from ase_physml.evaluation.suite import Record, Records, good

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ByCandidate = Mapping[str, Records]


class Shown(NamedTuple):
    """Good records of a candidate, whose colour is the same in all figures."""

    name: str
    records: dict[str, Record]
    colour: str


def shown(found: ByCandidate) -> Iterator[Shown]:
    """Candidates that measured anything, in their order.

    Args:
        found: Records of all candidates of the report.
    """
    for k, (name, records) in enumerate(found.items()):
        if some := good(records):
            yield Shown(name, some, f"C{k % 10}")


def parity(axes: "Axes", what: str, unit: str, found: Iterable[Any]) -> None:
    """Found against true values, with the line where they agree.

    Args:
        axes: Panel to draw in.
        what: Name of the quantity.
        unit: Unit of the quantity.
        found: Name, colour, true and found values of each candidate.
    """
    ends: list[float] = []
    for name, colour, true, values in found:
        axes.plot(true, values, "o", ms=4, alpha=0.8, color=colour, label=name)
        ends += [float(np.min(true)), float(np.max(true))]
    if ends:
        low, high = min([0.0, *ends]), max(ends)
        axes.plot([low, high], [low, high], "k--", lw=0.8)
        # One wild value shall not hide the others.
        margin = 0.5 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)
    axes.set(xlabel=f"{what}, reference ({unit})", ylabel=f"{what}, found ({unit})")
    outside_legend(axes)


def outside_legend(axes: "Axes") -> None:
    """Legend that hides nothing: beside the panel."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def new_figure(columns: int, height: float = 3.4) -> "Figure":
    """Empty figure of the report.

    Args:
        columns: Panels side by side; a single one makes it narrower.
        height: Height in inches.

    Raises:
        PhysMLError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PhysMLError(
            "the report needs the extra: pip install 'ase-physml[plot]'"
        ) from error
    return Figure(figsize=(10.0 if columns > 1 else 6.5, height), layout="constrained")


def plain_texts() -> AbstractContextManager[Any]:
    """Context in which names are names: a dollar, as of SMILES, begins no formula."""
    try:
        from matplotlib import rc_context
    except ImportError:
        return nullcontext()  # `new_figure` will say so
    return rc_context({"text.parse_math": False})


def plain_ticks(figure: "Figure") -> None:
    """Write powers of ten on logarithmic axes as numbers: they would be formulas.

    Args:
        figure: Figure whose axes are changed.
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axis.set_minor_formatter(NullFormatter())
