"""Figures of the report, as images that a page can hold."""

import base64
import io

from ase_physml.evaluation import (
    figures_curves,
    figures_energies,
    figures_structures,
)
from ase_physml.evaluation.canvas import ByCandidate, plain_texts, plain_ticks

DRAWN = {
    "structure": figures_structures.structure,
    "textbook": figures_structures.textbook,
    "assembly": figures_structures.assembly,
    "conformers": figures_energies.conformers,
    "torsions": figures_energies.torsions,
    "reaction": figures_energies.reaction,
    "saddles": figures_energies.saddles,
    "dimers": figures_energies.dimers,
    "extensivity": figures_energies.extensivity,
    "vibrations": figures_curves.vibrations,
    "masked": figures_curves.masked,
    "smoothness": figures_curves.smoothness,
    "dissociation": figures_curves.dissociation,
    "dynamics": figures_curves.dynamics,
}
"""What is drawn of each suite."""


def picture(suite: str, found: ByCandidate) -> str:
    """Source of an ``<img>``: nothing is fetched when the page is read.

    Args:
        suite: Name of a suite, a key of `DRAWN`.
        found: Records of its cases, by candidate; of all candidates of the report, so
            that each has its colour.
    """
    buffer = io.BytesIO()
    with plain_texts():
        figure = DRAWN[suite](found)
        plain_ticks(figure)
        figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def said(suite: str) -> str:
    """What the picture of a suite shows, for those who do not see it."""
    return (DRAWN[suite].__doc__ or "").splitlines()[0]
