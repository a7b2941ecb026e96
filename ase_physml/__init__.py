"""PhysML, PhysChem and HamNet for ASE.

>>> from ase_physml import PhysMLCalculator
>>> atoms.calc = PhysMLCalculator("qm9.pt")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ase_physml import moved

if TYPE_CHECKING:
    from ase_physml.calculators.molecular import HamNetCalculator, PhysChemCalculator
    from ase_physml.calculators.names import make_calculator
    from ase_physml.calculators.physml import PhysMLCalculator
    from ase_physml.errors import PhysMLError
    from ase_physml.jobs.dask import DaskWorkers
    from ase_physml.workflows.alignment import mean_displacement, rmsd
    from ase_physml.workflows.conformers.generate import generate_conformers
    from ase_physml.workflows.conformers.runs import write_conformers
    from ase_physml.workflows.inputs import from_smiles, read_inputs
    from ase_physml.workflows.molecular_properties import (
        MolecularFingerprint,
        fingerprints,
        predict_properties,
    )
    from ase_physml.workflows.paths.band import BatchedNEB
    from ase_physml.workflows.paths.neb import Search, find_paths
    from ase_physml.workflows.paths.reaction_path import ReactionPath
    from ase_physml.workflows.pathways.pathway import (
        Pathway,
        PathwaySettings,
        find_pathway,
        find_pathways,
    )
    from ase_physml.workflows.relax import Relaxed, relax
    from ase_physml.workflows.relax_many import (
        PotentialOptions,
        relax_many,
        relax_on,
        write_relaxed,
    )
    from ase_physml.workflows.saddles.search import Guess, Saddle, find_saddles
    from ase_physml.workflows.vibrations.normal_modes import Vibrations, vibrations_many
    from ase_physml.workflows.vibrations.thermochemistry import (
        Conditions,
        thermochemistry,
    )

__version__ = "0.1.0"
__all__ = [
    "BatchedNEB",
    "Conditions",
    "DaskWorkers",
    "Guess",
    "HamNetCalculator",
    "MolecularFingerprint",
    "Pathway",
    "PathwaySettings",
    "PhysChemCalculator",
    "PhysMLCalculator",
    "PhysMLError",
    "PotentialOptions",
    "ReactionPath",
    "Relaxed",
    "Saddle",
    "Search",
    "Vibrations",
    "__version__",
    "find_paths",
    "find_pathway",
    "find_pathways",
    "find_saddles",
    "fingerprints",
    "from_smiles",
    "generate_conformers",
    "make_calculator",
    "mean_displacement",
    "predict_properties",
    "read_inputs",
    "relax",
    "relax_many",
    "relax_on",
    "rmsd",
    "thermochemistry",
    "vibrations_many",
    "write_conformers",
    "write_relaxed",
]

# Loaded when first asked for: importing the package takes no torch.
_LAZY = {
    "BatchedNEB": "ase_physml.workflows.paths.band",
    "Conditions": "ase_physml.workflows.vibrations.thermochemistry",
    "DaskWorkers": "ase_physml.jobs.dask",
    "Guess": "ase_physml.workflows.saddles.search",
    "HamNetCalculator": "ase_physml.calculators.molecular",
    "MolecularFingerprint": "ase_physml.workflows.molecular_properties",
    "Pathway": "ase_physml.workflows.pathways.pathway",
    "PathwaySettings": "ase_physml.workflows.pathways.pathway",
    "PhysChemCalculator": "ase_physml.calculators.molecular",
    "PhysMLCalculator": "ase_physml.calculators.physml",
    "PhysMLError": "ase_physml.errors",
    "PotentialOptions": "ase_physml.workflows.relax_many",
    "ReactionPath": "ase_physml.workflows.paths.reaction_path",
    "Relaxed": "ase_physml.workflows.relax",
    "Saddle": "ase_physml.workflows.saddles.search",
    "Search": "ase_physml.workflows.paths.neb",
    "Vibrations": "ase_physml.workflows.vibrations.normal_modes",
    "find_paths": "ase_physml.workflows.paths.neb",
    "find_pathway": "ase_physml.workflows.pathways.pathway",
    "find_pathways": "ase_physml.workflows.pathways.pathway",
    "find_saddles": "ase_physml.workflows.saddles.search",
    "fingerprints": "ase_physml.workflows.molecular_properties",
    "from_smiles": "ase_physml.workflows.inputs",
    "generate_conformers": "ase_physml.workflows.conformers.generate",
    "make_calculator": "ase_physml.calculators.names",
    "mean_displacement": "ase_physml.workflows.alignment",
    "predict_properties": "ase_physml.workflows.molecular_properties",
    "read_inputs": "ase_physml.workflows.inputs",
    "relax": "ase_physml.workflows.relax",
    "relax_many": "ase_physml.workflows.relax_many",
    "relax_on": "ase_physml.workflows.relax_many",
    "rmsd": "ase_physml.workflows.alignment",
    "thermochemistry": "ase_physml.workflows.vibrations.thermochemistry",
    "vibrations_many": "ase_physml.workflows.vibrations.normal_modes",
    "write_conformers": "ase_physml.workflows.conformers.runs",
    "write_relaxed": "ase_physml.workflows.relax_many",
}

moved.install()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'ase_physml' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
