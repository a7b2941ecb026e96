"""Make the small sets that tests and `physml train training/quickstart.yaml` use.

    python training/make_quickstart.py

Almost 400 organic molecules of up to nine C, N, O atoms, composed here from everyday
groups. Each is embedded by RDKit, rattled, and relaxed with GFN2-xTB; structures along
the way and displacements of the minimum are labelled with GFN2-xTB again. Written next
to this file: ``quickstart.h5`` (off equilibrium, energies and forces),
``quickstart_equilibrium.h5`` (the minima) and a split of each, by molecule: one is in
the same part of both. Takes some minutes of one core.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

# Before tblite loads: threads cost more than they give for molecules this small.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.optimize import BFGS
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from rich.progress import Progress

from ase_physml.calculators.names import make_calculator
from ase_physml.data.conversion import from_atoms
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.index_split import Split, make_split
from ase_physml.data.label import label
from ase_physml.data.metadata import Metadata

CALCULATOR = "tblite:GFN2-xTB"
FMAX = 0.01
MAX_STEPS = 300
# Before relaxation, Å: far enough from the force field's minimum to see slopes.
START = 0.1
# Of each minimum, Å: from thermal motion to strongly distorted.
SIGMAS = (0.02, 0.03, 0.05, 0.05, 0.08, 0.1, 0.15, 0.2)
# Shard of the steps of a relaxation at which a structure is kept.
ALONG = (0.0, 0.1, 0.2, 0.35, 0.6)

CHAINS = (
    "C", "CC", "CCC", "CC(C)", "C1CC1", "C1CCC1", "CC(C)(C)", "C=CC", "C#CC", "COC",
    "CNC", "OCC", "NCC", "C1CCCC1", "C1COC1",
)  # fmt: skip
GROUPS = (
    "O", "N", "C=O", "C(=O)O", "C(=O)N", "C#N", "OC", "N(C)C", "C#C", "C=C", "C(C)=O",
    "C(=O)OC", "NC=O", "OC=O", "C=N", "NC(N)=O", "C(O)CO", "C(=O)C=C",
)  # fmt: skip
OTHERS = (
    "C", "N", "O", "CC", "C=C", "C#C", "CO", "CN", "C=O", "C#N", "O=C=O", "N#N", "NN",
    "OO", "NO", "C=C=C", "C=C=O", "CN=C=O", "N=C=O", "OC=O", "NC=O", "NC(=O)N",
    "c1ccccc1", "Cc1ccccc1", "Oc1ccccc1", "Nc1ccccc1", "N#Cc1ccccc1", "O=Cc1ccccc1",
    "C=Cc1ccccc1", "c1ccncc1", "Cc1ccncc1", "Oc1ccncc1", "c1cnccn1", "c1ccnnc1",
    "c1ncncn1", "c1cc[nH]c1", "Cc1cc[nH]c1", "c1ccoc1", "Cc1ccoc1", "O=Cc1ccco1",
    "c1c[nH]cn1", "c1cocn1", "c1cn[nH]c1", "c1conc1", "Cn1ccnc1", "NCc1ccco1",
    "C1CC1", "C1CO1", "C1CN1", "C1=CC1", "C1CCC1", "C1CCO1", "C1CCN1", "C1CNC1",
    "C1CCCCC1", "C1CCOCC1", "C1CCNCC1", "C1COCCN1", "C1CNCCN1", "C1COCCO1",
    "C1=CCCCC1", "C1=CCC=CC1", "C1CC2CC12", "C1CC2CCC1C2", "C1C2CC1C2", "O=C1CCC1",
    "O=C1CCCC1", "O=C1CCCCC1", "O=C1CCCO1", "O=C1CCCN1", "O=C1CCC(=O)N1", "O=C1C=CCC1",
    "O=C1NCCN1", "OC1CCCCC1", "NC1CCCCC1", "CC1CCCCC1", "CC1CCCO1", "OCC1CCCO1",
    "CC(N)C(=O)O", "NCC(=O)O", "OCC(O)C=O", "CC(O)C(=O)O", "CC(=O)C(=O)O", "OCCO",
    "OCC(O)CO", "NCCN", "NCCO", "COCCO", "COCOC", "COCCOC", "CC(=O)CC(C)=O", "O=CC=O",
    "CC(=O)C(C)=O", "O=CCC=O", "N#CCC#N", "C#CC#C", "C=CC=C", "C=CC=O", "C=CC#N",
    "CC=CC", "CC#CC", "CC(C)=O", "CC(C)=C", "C=C(C)C=C", "CC(C)C(C)C", "CCCCCCC",
    "CCCCCCCC", "CC(C)CC(C)C", "CNC(C)=O", "CN(C)C=O", "CC(=O)N(C)C", "CNC(=O)NC",
    "CC(=O)OC(C)=O", "COC(=O)OC", "CC(=O)NC1CC1", "CC(=O)NCC#N", "CON", "CNO", "CC=NO",
    "CN=NC", "CNN", "NC=N", "CC(N)=N", "CN(C)C=N", "NC(N)=N", "C[N+](=O)[O-]",
)  # fmt: skip


def molecules() -> list[str]:
    """Canonical SMILES of up to nine heavy atoms, each once."""
    smiles = [*OTHERS, *(chain + group for chain in CHAINS for group in GROUPS)]
    found: dict[str, None] = {}
    for text in smiles:
        molecule = Chem.MolFromSmiles(text)
        if molecule is not None and molecule.GetNumHeavyAtoms() <= 9:
            found[Chem.MolToSmiles(molecule)] = None
    return list(found)


def embed(smiles: str, seed: int) -> Atoms:
    """A conformer of RDKit's."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if rdDistGeom.EmbedMolecule(molecule, randomSeed=seed) != 0:
        raise SystemExit(f"RDKit cannot embed {smiles}; take it off the list")
    atoms = Atoms([a.GetAtomicNum() for a in molecule.GetAtoms()])
    atoms.positions = molecule.GetConformer().GetPositions()
    atoms.info.update(name=smiles, smiles=smiles)
    return atoms


def relaxation(atoms: Atoms) -> list[Atoms]:
    """Structures of a relaxation, the last one converged, or an empty list."""
    atoms.calc = make_calculator(CALCULATOR)
    path: list[Atoms] = []
    with BFGS(atoms, logfile=None) as optimizer:
        optimizer.attach(lambda: path.append(atoms.copy()))
        converged = optimizer.run(FMAX, MAX_STEPS)
    return path if converged and _is_intact(atoms) else []


def _is_intact(atoms: Atoms) -> bool:
    """Whether the bonds are those of the SMILES: some isomers are no minima."""
    reference = Chem.AddHs(Chem.MolFromSmiles(atoms.info["smiles"]))
    radii = covalent_radii[atoms.numbers]
    near = atoms.get_all_distances() < 1.2 * (radii[:, None] + radii)
    bonds = near ^ np.eye(len(atoms), dtype=bool)
    return bool((bonds == Chem.GetAdjacencyMatrix(reference).astype(bool)).all())


def structures(smiles: str, seed: int) -> Iterator[tuple[bool, Atoms]]:
    """Structures, and whether each is the minimum."""
    random = np.random.default_rng(seed)
    atoms = embed(smiles, seed)
    atoms.positions += random.normal(scale=START, size=(len(atoms), 3))
    path = relaxation(atoms)
    if not path:
        return
    # By number of step; a short relaxation gives fewer structures.
    for step in sorted({int(share * (len(path) - 1)) for share in ALONG}):
        yield False, path[step]
    for sigma in SIGMAS:
        displaced = path[-1].copy()
        displaced.positions += random.normal(scale=sigma, size=(len(atoms), 3))
        yield False, displaced
    yield True, path[-1]


def make(folder: Path, limit: int | None, processes: int) -> None:
    """Write the sets and their splits."""
    off: list[Frame] = []
    minima: list[Frame] = []
    lost: list[str] = []
    with Progress() as bar:
        chosen = molecules()[:limit]
        for seed, smiles in enumerate(bar.track(chosen, description="relaxing")):
            made = list(structures(smiles, seed))
            if not made:
                lost.append(smiles)
            for is_minimum, atoms in made:
                (minima if is_minimum else off).append(_rounded(from_atoms(atoms)))
        for frames, name in ((off, "quickstart"), (minima, "quickstart_equilibrium")):
            task = bar.add_task(f"labelling {name}", total=len(frames))
            advance = partial(bar.advance, task)
            _label(frames, folder / f"{name}.h5", frames is minima, processes, advance)
    if lost:
        print(f"left out, no minimum with these bonds: {' '.join(lost)}")
    _split(folder)


def _rounded(frame: Frame) -> Frame:
    """Positions are stored in single precision: label what will be read."""
    return replace(frame, positions=frame.positions.astype(np.float32))


def _label(
    frames: list[Frame],
    out: Path,
    equilibrium: bool,
    processes: int,
    advance: Callable[[int], None],
) -> None:
    metadata = Metadata(
        level_of_theory="GFN2-xTB",
        energy_kind="total energy",
        equilibrium=equilibrium,
        source="training/make_quickstart.py (RDKit, tblite)",
    )
    report = label(
        frames,
        out,
        make_calculator,
        CALCULATOR,
        metadata,
        processes=processes,
        precision="f4",
        on_frames=advance,
    )
    size = out.stat().st_size / 1e6
    print(f"{out}: {report.labelled} frames, {size:.1f} MB")
    for failure in report.failures:
        print(f"  {failure.name}: {failure.reason}")


def _split(folder: Path) -> None:
    """Split by molecule: no test molecule is seen in training in another shape."""
    minima = RaggedSet(folder / "quickstart_equilibrium.h5")
    split = make_split(len(minima), (0.1, 0.1), seed=0)
    split.save(folder / "quickstart_equilibrium_split.json")
    off = [frame.smiles for frame in RaggedSet(folder / "quickstart.h5")]
    of_molecule = [frame.smiles for frame in minima]
    random = np.random.default_rng(0)
    parts = []
    for part in (split.train, split.val, split.test):
        chosen = {of_molecule[i] for i in part}
        parts.append(random.permutation([i for i, s in enumerate(off) if s in chosen]))
    Split(np.sort(parts[0]), *parts[1:]).save(folder / "quickstart_split.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--limit", type=int, help="only the first so many molecules")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    make(arguments.out, arguments.limit, arguments.processes)
