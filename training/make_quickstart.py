"""Make the project's own small sets: ordinary molecules at GFN2-xTB.

    python training/make_quickstart.py --processes 2

RDKit conformers of the molecules below are relaxed with GFN2-xTB (tblite). Two sets
come out: ``quickstart_equilibrium.h5`` (the minima) and ``quickstart.h5`` (structures
rattled around them and from along the relaxation, with energies and forces).
"""

import argparse
from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.optimize import BFGS

from ase_physml.calculators.byname import make_calculator
from ase_physml.data.atoms import from_atoms
from ase_physml.data.frame import Frame
from ase_physml.data.label import label
from ase_physml.data.ragged import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import PhysMLError
from ase_physml.tasks.structures import from_smiles

HERE = Path(__file__).parent
METHOD = "tblite:GFN2-xTB"
RATTLES = (0.03, 0.06, 0.1, 0.15, 0.2)  # Å

# A core with one open place, and what goes there: 12 x 20 molecules.
CORES = (
    "C{}", "CC{}", "C=C{}", "C#C{}", "CC(=O){}", "O=C{}", "CO{}", "c1ccccc1{}",
    "C1CC1{}", "NCC{}", "OCC{}", "c1ccoc1{}",
)  # fmt: skip
GROUPS = (
    "C", "CC", "O", "N", "C#N", "C=O", "OC", "NC", "C(=O)O", "C(=O)N", "C=C", "C#C",
    "C(C)C", "C1CC1", "CO", "CN", "C(=O)C", "C(=O)OC", "CC#N", "CCO",
)  # fmt: skip
SMALL = (
    "C", "N", "O", "[H][H]", "C=C", "C#C", "C=O", "C#N", "O=C=O", "N#N", "CC", "OO",
    "NN", "C1CO1", "C1CN1", "n1cc[nH]c1", "c1cc[nH]c1", "c1ccncc1", "OC=O", "NC=O",
)  # fmt: skip


def molecules() -> list[str]:
    """SMILES of all molecules, each once."""
    grown = [core.format(group) for core in CORES for group in GROUPS]
    return list(dict.fromkeys([*SMALL, *grown]))


def relax(smiles: str) -> tuple[Frame, list[Frame]] | None:
    """The minimum, and structures around it and on the way to it."""
    try:
        atoms = from_smiles(smiles, seed=0)
    except PhysMLError:
        return None
    atoms.calc = make_calculator(METHOD)
    path: list[Atoms] = []
    optimizer = BFGS(atoms, logfile=None)
    optimizer.attach(lambda: path.append(atoms.copy()), interval=2)
    if not optimizer.run(fmax=0.005, steps=300):
        return None
    minimum, _ = from_atoms(atoms)
    minimum = Frame(minimum.numbers, minimum.positions, minimum.energy, smiles=smiles)
    around = [bare(step, smiles) for step in path[:4]]
    random = np.random.default_rng(abs(hash_of(smiles)))
    for deviation in RATTLES:
        for _ in range(2):
            moved = atoms.copy()
            moved.positions += deviation * random.normal(size=moved.positions.shape)
            around.append(bare(moved, smiles))
    return minimum, around


def bare(atoms: Atoms, smiles: str) -> Frame:
    """Numbers and positions only."""
    numbers = atoms.numbers.astype(np.uint8)
    return Frame(numbers, atoms.positions.copy(), smiles=smiles)


def hash_of(text: str) -> int:
    """A number that does not change between runs, unlike `hash`."""
    return int.from_bytes(text.encode(), "big") % (2**32)


def relaxed(processes: int) -> Iterator[tuple[Frame, list[Frame]]]:
    """Results of all molecules that relax, in order."""
    with get_context("spawn").Pool(processes) as pool:
        for found in pool.imap(relax, molecules()):
            if found is not None:
                yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=1)
    processes = parser.parse_args().processes
    results = list(relaxed(processes))
    common = {"level_of_theory": "GFN2-xTB", "source": "training/make_quickstart.py"}
    out = HERE / "quickstart_equilibrium.h5"
    n = write(out, (m for m, _ in results), Metadata(equilibrium=True, **common), "f4")
    print(f"{out}: {n} frames")
    frames = [frame for _, around in results for frame in around]
    report = label(
        frames,
        HERE / "quickstart.h5",
        partial(make_calculator, METHOD),
        Metadata(equilibrium=False, **common),
        key=METHOD,
        processes=processes,
        precision="f4",
    )
    print(f"{HERE / 'quickstart.h5'}: {report.labelled} frames")


if __name__ == "__main__":
    main()
