"""PhysML, PhysChem and HamNet for ASE.

>>> from ase_physml import PhysMLCalculator
>>> atoms.calc = PhysMLCalculator("qm9.pt")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase_physml.calculators.molecular import HamNetCalculator, PhysChemCalculator
    from ase_physml.calculators.physml import PhysMLCalculator
    from ase_physml.workflows.band import BatchedNEB
    from ase_physml.workflows.conformers.generate import generate_conformers
    from ase_physml.workflows.conformers.library import write_conformers
    from ase_physml.workflows.molecular_properties import (
        MolecularFingerprint,
        fingerprints,
        predict_properties,
    )
    from ase_physml.workflows.pathway import find_pathway, find_pathways
    from ase_physml.workflows.relax_many import relax_many

__version__ = "0.1.0"
__all__ = [
    "BatchedNEB",
    "HamNetCalculator",
    "MolecularFingerprint",
    "PhysChemCalculator",
    "PhysMLCalculator",
    "__version__",
    "find_pathway",
    "find_pathways",
    "fingerprints",
    "generate_conformers",
    "predict_properties",
    "relax_many",
    "write_conformers",
]

# Loaded when first asked for: importing the package takes no torch.
_LAZY = {
    "BatchedNEB": "ase_physml.workflows.band",
    "HamNetCalculator": "ase_physml.calculators.molecular",
    "MolecularFingerprint": "ase_physml.workflows.molecular_properties",
    "PhysChemCalculator": "ase_physml.calculators.molecular",
    "PhysMLCalculator": "ase_physml.calculators.physml",
    "find_pathway": "ase_physml.workflows.pathway",
    "find_pathways": "ase_physml.workflows.pathway",
    "fingerprints": "ase_physml.workflows.molecular_properties",
    "generate_conformers": "ase_physml.workflows.conformers.generate",
    "predict_properties": "ase_physml.workflows.molecular_properties",
    "relax_many": "ase_physml.workflows.relax_many",
    "write_conformers": "ase_physml.workflows.conformers.library",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ase_physml' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
