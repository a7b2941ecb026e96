"""Names of earlier versions: what they import comes from where it is now.

Before 0.2 the rooms were tasks, molecules and potentials, and many modules had other
names. Scripts that import these go on working, and are told the new place once
(`DeprecationWarning`).
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_HOME = __name__.partition(".")[0]

# Old module, and where its names are now.
_MOVED = """
calculators.batch: calculators.batch_evaluator
calculators.bond_graph: calculators.topology
calculators.byname: calculators.names
calculators.cells: data.conversion
calculators.committee: calculators.spread potential
calculators.evaluate: calculators.many
calculators.graphs: potential
calculators.identity: calculators.provenance
calculators.loading: store.loading
calculators.passes: calculators.batching
calculators.predict: potential
calculators.shared: calculators.many
data.adsorption: data.groups
data.atoms: data.conversion
data.chunks: jobs.chunks
data.convert: data.importers.opening
data.dask_workers: jobs.dask
data.disk: jobs.disk
data.files.smiles: data.files.smiles_file
data.files.structures: data.files.structure_file
data.files.table: data.files.text_table
data.importers.ani1: data.importers.ani
data.importers.ani1x: data.importers.ani
data.importers.ani2x: data.importers.ani
data.importers.oc20_lmdb: data.importers.oc20
data.importers.oc20_s2ef: data.importers.oc20
data.importers.own: data.importers.hdf5
data.importers.source: data.importers.importer
data.journal: jobs.journal data.results
data.locking: jobs.locking
data.ragged: data.dataset
data.reactions: data.groups
data.schema: data.dataset
data.slabs: jobs.chunks
data.splits: data.index_split data.groups
data.tables: data.property_tables
data.text_column: data.columns
data.units: data.importers.units
data.workers: jobs.pool data.results
evaluation.assembly: evaluation.suites.assembly
evaluation.masked: evaluation.suites.masked
evaluation.reaction: evaluation.suites.barriers
evaluation.report: evaluation.page
evaluation.run: evaluation.measure
evaluation.smoothness: evaluation.suites.smoothness
evaluation.structure: evaluation.suites.structure
evaluation.subject: evaluation.candidate
models.committee: models.ensemble
models.physml.forces: models.energy_model
models.physml.traced: models.traced
models.property_committee: models.ensemble
molecular_graph: bonded_graph
molecules.atoms: data.conversion
molecules.build: chem.molecule_sets chem.molecules
molecules.canonical: chem.canonical
molecules.collate: chem.collate
molecules.conformers: chem.initial_geometry
molecules.elements: chem.features
molecules.embed: chem.smiles chem.embed
molecules.etkdg: chem.embed
molecules.featurise: chem.features
molecules.force_field: chem.force_field
molecules.geometry: chem.initial_geometry chem.stereo
molecules.graph: chem.collate
molecules.normal_form: chem.canonical
molecules.perceive: chem.bonds
molecules.properties: chem.property_sets
molecules.reaction: chem.atom_mapping
molecules.sets: chem.molecule_sets
molecules.smiles: chem.smiles
molecules.splits: chem.molecule_sets
molecules.stereo: chem.stereo chem.smiles chem.bonds
molecules.store: chem.molecules
molecules.strain: chem.initial_geometry
potentials.card: store.card
potentials.catalogue: store.catalogue
potentials.checkpoint: store.checkpoint
potentials.molecular: store.checkpoint store.card models.ensemble models.bonded_model
potentials.predict: models.bonded_model
potentials.predictor: predictor
potentials.registry: store.registry jobs.file_hash
potentials.state: store.state
tasks.band: workflows.paths.band calculators.many
tasks.calibration: workflows.uncertainty
tasks.committee: workflows.uncertainty
tasks.conformer_choice: workflows.conformers.selection
tasks.conformer_ensemble: workflows.conformers.embedding workflows.conformers.generate
tasks.conformer_files: workflows.conformers.runs
tasks.conformer_runs: workflows.conformers.runs data.files.text_table
tasks.conformer_starts: workflows.conformers.embedding
tasks.conformer_targets: workflows.conformers.embedding
tasks.conformers: workflows.conformers.generate
tasks.constraints: workflows.constraints
tasks.ends: workflows.paths.band workflows.alignment
tasks.geometry: workflows.alignment
tasks.neb: workflows.paths.neb workflows.paths.reaction_path workflows.relax_many
tasks.path_images: workflows.paths.reaction_path workflows.image_files
tasks.pathway: workflows.pathways.pathway workflows.relax_many
tasks.pathway_ends: workflows.pathways.ends
tasks.pathway_files: workflows.pathways.files
tasks.pathway_geometry: workflows.pathways.ends
tasks.plots: workflows.plots
tasks.properties: workflows.molecular_properties
tasks.property_runs: workflows.prediction_tables
tasks.relax: workflows.relax workflows.relax_many
tasks.relax_many: workflows.relax_many
tasks.relax_units: workflows.relax_many
tasks.relaxation: workflows.relax
tasks.smiles_tables: workflows.prediction_tables data.files.smiles_file
tasks.structures: workflows.inputs
tasks.transformer: workflows.molecular_properties
tasks.uncertainty: workflows.uncertainty
tasks.verdict: workflows.paths.reaction_path
training.conformation: training.losses.conformation
training.curves: training.callbacks
training.launch: training.fit
training.loop: training.fit
training.molecular.calibration: training.molecular_evaluation
training.molecular.committee: training.molecular_evaluation
training.molecular.data: training.molecular_data
training.molecular.evaluate: training.molecular_evaluation
training.molecular.module: training.molecular_module
training.molecular.recipe: training.molecular_recipe
training.molecular.run: training.molecular_training training.fit
training.noise: training.displacement
training.properties: training.losses.targets
training.report: training.callbacks
training.run: training.fit training.physml_training
training.schedule: training.recipe
training.shares: training.distributed
training.sources: training.physml_data
training.start: training.fit
training.yaml_recipe: training.recipe
workflows.band: workflows.paths.band
workflows.band_search: workflows.paths.band_search
workflows.calibration: workflows.uncertainty
workflows.certificate: workflows.saddles.certificate
workflows.certified: workflows.paths.certified
workflows.conformer_choice: workflows.conformers.selection
workflows.conformer_ensemble: workflows.conformers.embedding
workflows.conformer_files: workflows.conformers.runs
workflows.conformer_runs: workflows.conformers.runs data.files.text_table
workflows.conformer_starts: workflows.conformers.embedding
workflows.conformer_targets: workflows.conformers.embedding
workflows.descent: workflows.saddles.descent
workflows.eigenvector_following: workflows.saddles.eigenvector_following
workflows.ends: workflows.alignment workflows.paths.band
workflows.geometry: workflows.alignment
workflows.hessian: workflows.vibrations.hessian
workflows.interpolation: workflows.paths.interpolation
workflows.neb: workflows.paths.neb
workflows.path_images: workflows.paths.reaction_path workflows.image_files
workflows.pathway: workflows.pathways.pathway
workflows.pathway_ends: workflows.pathways.ends
workflows.pathway_files: workflows.pathways.files
workflows.pathway_geometry: workflows.pathways.ends
workflows.properties: workflows.molecular_properties
workflows.property_runs: workflows.prediction_tables
workflows.reaction_path: workflows.paths.reaction_path workflows.image_files
workflows.relax_units: workflows.relax_many
workflows.relaxation: workflows.relax
workflows.saddle_files: workflows.saddles.files workflows.paths.certified
workflows.smiles_tables: workflows.prediction_tables data.files.smiles_file
workflows.structures: workflows.inputs
workflows.symmetry: workflows.vibrations.symmetry
workflows.thermochemistry: workflows.vibrations.thermochemistry
workflows.transformer: workflows.molecular_properties
workflows.verdict: workflows.paths.reaction_path
workflows.vibration_files: workflows.vibrations.files
"""

# Rooms that are no more, and held nothing themselves.
_ROOMS = ("molecules", "potentials", "tasks", "training.molecular")

_RENAMED = {
    "BondGraph": "Topology",
    "MolecularCard": "ModelCard",
    "MolecularGraph": "BondedGraph",
    "MolecularModel": "BondedModel",
    "PotentialCard": "ModelCard",
    "PropertyCommittee": "Ensemble",
    "Said": "MolecularPrediction",
    "Slabs": "Chunks",
    "Subject": "Candidate",
    "build_molecular": "build_model",
    "load_committee": "load_potentials",
    "passes": "batches_of",
    "placed": "with_positions",
    "save_molecular": "save_model",
    "save_potential": "save_model",
}


def _table() -> dict[str, list[str]]:
    rows = (line.split(":") for line in _MOVED.strip().splitlines())
    found = {f"{_HOME}.{old}": new.split() for old, new in rows}
    return found | {f"{_HOME}.{room}": [] for room in _ROOMS}


class _Moved(MetaPathFinder, Loader):
    """Finder of modules that are not there any more, asked after all others."""

    def __init__(self) -> None:
        self.table = _table()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Specification of a module of the table."""
        if fullname not in self.table:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """Let the module look for its names in the new places."""
        name, places = module.__name__, self.table[module.__name__]
        if places:
            new = " and ".join(f"{_HOME}.{place}" for place in places)
            text = f"{name} is {new} now; earlier names go with version 0.3"
            warnings.warn(text, DeprecationWarning, stacklevel=2)

        def look_up(attribute: str) -> Any:
            wanted = [attribute, _RENAMED.get(attribute, attribute)]
            for place in places:
                there = import_module(f"{_HOME}.{place}")
                for one in wanted:
                    if hasattr(there, one):
                        return getattr(there, one)
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")

        module.__getattr__ = look_up  # type: ignore[method-assign]


def install() -> None:
    """Let earlier names be imported."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
