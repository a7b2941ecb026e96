"""Make the reactions that `physml evaluate` knows without a set of the user's.

    python training/make_known_reactions.py

Textbook rearrangements of small molecules. Both ends are embedded by RDKit, the pair of
conformers with the shortest way between them is relaxed with GFN2-xTB, and a climbing
band between them is converged. A saddle is kept if its Hessian has exactly one negative
curvature. Written to ``ase_physml/evaluation/reactions.h5`` with GFN2-xTB energies and
forces. Takes some minutes of one core.
"""

import argparse
import os
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

# Before tblite loads: threads cost more than they give for molecules this small.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from rdkit import Chem
from rdkit.Chem import AllChem

from ase_physml.calculators.byname import make_calculator
from ase_physml.data.atoms import find_labels, from_atoms
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import RaggedWriter
from ase_physml.tasks.ends import align_ends
from ase_physml.tasks.geometry import rmsd

CALCULATOR = "tblite:GFN2-xTB"
OUT = Path(__file__).parents[1] / "ase_physml" / "evaluation" / "reactions.h5"
FMAX = 0.01
CONFORMERS = 30
IMAGES = 13
SADDLE_FORCE = 0.03
CURVED = 0.1  # eV/Å^2: a curvature below minus this is a negative one


@dataclass(frozen=True)
class Known:
    """A reaction by its bonds.

    Attributes:
        name: Of the reaction.
        reactant: SMILES in which the atoms that react have map numbers.
        bonds: Order of the bonds in the product that are others there.
        charges: Formal charges of the product.
    """

    name: str
    reactant: str
    bonds: dict[tuple[int, int], int]
    charges: dict[int, int]


REACTIONS = (
    Known(
        "hydrogen isocyanide", "[H:1][C:2]#[N:3]", {(1, 2): 0, (1, 3): 1}, {2: -1, 3: 1}
    ),
    Known(
        "methyl isocyanide",
        "[CH3:1][N+:2]#[C-:3]",
        {(1, 2): 0, (1, 3): 1},
        {2: 0, 3: 0},
    ),
    Known(
        "acetaldehyde to vinyl alcohol",
        "[H:1][CH2:2][CH:3]=[O:4]",
        {(1, 2): 0, (2, 3): 2, (3, 4): 1, (4, 1): 1},
        {},
    ),
    Known(
        "formamide to formimidic acid",
        "[H:1][NH:2][CH:3]=[O:4]",
        {(1, 2): 0, (2, 3): 2, (3, 4): 1, (4, 1): 1},
        {},
    ),
    Known(
        "acetone to propen-2-ol",
        "[H:1][CH2:2][C:3](C)=[O:4]",
        {(1, 2): 0, (2, 3): 2, (3, 4): 1, (4, 1): 1},
        {},
    ),
    Known(
        "malonaldehyde",
        "[H:1][O:2][CH:3]=[CH:4][CH:5]=[O:6]",
        {(1, 2): 0, (2, 3): 2, (3, 4): 1, (4, 5): 2, (5, 6): 1, (6, 1): 1},
        {},
    ),
    Known(
        "cyclobutene to butadiene",
        "[CH:1]1=[CH:2][CH2:3][CH2:4]1",
        {(1, 2): 1, (2, 3): 2, (3, 4): 0, (4, 1): 2},
        {},
    ),
    Known(
        "hexatriene to cyclohexadiene",
        "[CH2:1]=[CH:2]/[CH:3]=[CH:4]\\[CH:5]=[CH2:6]",
        {(1, 2): 1, (2, 3): 2, (3, 4): 1, (4, 5): 2, (5, 6): 1, (6, 1): 1},
        {},
    ),
    Known(
        "pentadiene, 1,5-hydrogen",
        "[H:1][CH2:2]/[CH:3]=[CH:4]\\[CH:5]=[CH2:6]",
        {(1, 2): 0, (2, 3): 2, (3, 4): 1, (4, 5): 2, (5, 6): 1, (6, 1): 1},
        {},
    ),
    Known(
        "Claisen",
        "[CH2:1]=[CH:2][O:3][CH2:4][CH:5]=[CH2:6]",
        {(1, 2): 1, (2, 3): 2, (3, 4): 0, (4, 5): 2, (5, 6): 1, (6, 1): 1},
        {},
    ),
    Known(
        "Cope",
        "[CH2:1]=[CH:2][CH2:3][CH2:4][CH:5]=[CH2:6]",
        {(1, 2): 1, (2, 3): 2, (3, 4): 0, (4, 5): 2, (5, 6): 1, (6, 1): 1},
        {},
    ),
    Known(
        "retro-Diels-Alder",
        "[CH:1]1=[CH:2][CH2:3][CH2:4][CH2:5][CH2:6]1",
        {(1, 2): 1, (2, 3): 2, (3, 4): 0, (4, 5): 2, (5, 6): 0, (6, 1): 2},
        {},
    ),
    Known(
        "retro-ene",
        "[H:1][O:2][CH2:3][CH2:4][CH:5]=[CH2:6]",
        {(1, 2): 0, (2, 3): 2, (3, 4): 0, (4, 5): 2, (5, 6): 1, (6, 1): 1},
        {},
    ),
    Known(
        "vinylcyclopropane",
        "[CH2:1]1[CH2:2][CH:3]1[CH:4]=[CH2:5]",
        {(1, 3): 0, (3, 4): 2, (4, 5): 1, (5, 1): 1},
        {},
    ),
    Known(
        "acetic acid, decarboxylation",
        "[H:1][O:2][C:3](=O)[CH3:4]",
        {(1, 2): 0, (2, 3): 2, (3, 4): 0, (4, 1): 1},
        {},
    ),
    Known(
        "formic acid, dehydration",
        "[H:1][C:2](=O)[O:3]",
        {(1, 2): 0, (2, 3): 0, (3, 1): 1},
        {},
    ),
)


def ends(known: Known) -> tuple[Chem.Mol, Chem.Mol]:
    """Both ends with the same atoms in the same order."""
    keep = Chem.SmilesParserParams()
    keep.removeHs = False
    reactant = Chem.AddHs(Chem.MolFromSmiles(known.reactant, keep))
    place = {a.GetAtomMapNum(): a.GetIdx() for a in reactant.GetAtoms()}
    product_ = Chem.RWMol(reactant)
    Chem.Kekulize(product_, clearAromaticFlags=True)
    for pair, order in known.bonds.items():
        first, second = (place[number] for number in pair)
        if product_.GetBondBetweenAtoms(first, second) is not None:
            product_.RemoveBond(first, second)
        if order:
            product_.AddBond(first, second, Chem.BondType.values[order])
    for number, charge in known.charges.items():
        product_.GetAtomWithIdx(place[number]).SetFormalCharge(charge)
    for atom in product_.GetAtoms():
        atom.SetNoImplicit(True)
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    for bond in product_.GetBonds():
        bond.SetStereo(Chem.BondStereo.STEREONONE)
    Chem.SanitizeMol(product_)
    return reactant, product_.GetMol()


def conformers(mol: Chem.Mol, calculator: Calculator) -> list[Atoms]:
    """Embedded and relaxed."""
    found = []
    settings = AllChem.ETKDGv3()
    settings.randomSeed = 1
    settings.useRandomCoords = True
    for index in AllChem.EmbedMultipleConfs(mol, CONFORMERS, settings):
        positions = mol.GetConformer(index).GetPositions()
        found.append(
            relaxed(
                Atoms([a.GetSymbol() for a in mol.GetAtoms()], positions), calculator
            )
        )
    return found


def relaxed(atoms: Atoms, calculator: Calculator) -> Atoms:
    """In the nearest minimum."""
    atoms.calc = calculator
    BFGS(atoms, logfile=None).run(fmax=FMAX, steps=500)
    return atoms


def closest(first: list[Atoms], second: list[Atoms]) -> tuple[Atoms, Atoms]:
    """The pair with the shortest way between them."""
    return min(
        product(first, second), key=lambda p: rmsd(p[0].positions, p[1].positions)
    )


def saddle(start: Atoms, end: Atoms, calculator: Calculator) -> Atoms | None:
    """Highest point of a converged climbing band."""
    images = [start.copy() for _ in range(IMAGES - 1)] + [align_ends(start, end)]
    for image in images:
        image.calc = calculator
    band = NEB(images, allow_shared_calculator=True, method="improvedtangent")
    band.interpolate("idpp")
    try:
        FIRE(band, logfile=None).run(fmax=0.3, steps=300)
        band.climb = True
        FIRE(band, logfile=None).run(fmax=SADDLE_FORCE, steps=1500)
    except CalculationFailed:
        return None  # atoms too close for the method
    top = max(images[1:-1], key=lambda image: image.get_potential_energy())
    forces = np.linalg.norm(top.get_forces(), axis=1).max()
    return top if forces < 2 * SADDLE_FORCE and curved_down(top) == 1 else None


def curved_down(atoms: Atoms, step: float = 0.005) -> int:
    """Negative curvatures, from differences of forces."""
    probe = atoms.copy()
    probe.calc = atoms.calc
    hessian = []
    for axis in range(3 * len(atoms)):
        sides = []
        for sign in (1.0, -1.0):
            moved = atoms.positions.flatten()
            moved[axis] += sign * step
            probe.positions = moved.reshape(-1, 3)
            sides.append(probe.get_forces().flatten())
        hessian.append((sides[1] - sides[0]) / (2 * step))
    values = np.linalg.eigvalsh(0.5 * (np.array(hessian) + np.array(hessian).T))
    return int((values < -CURVED).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    calculator = make_calculator(CALCULATOR)
    about = Metadata(
        level_of_theory="GFN2-xTB",
        source="textbook rearrangements, made by training/make_known_reactions.py",
    )
    with RaggedWriter(options.out, about) as writer:
        for known in REACTIONS:
            if options.only and known.name not in options.only:
                continue
            first, second = (conformers(mol, calculator) for mol in ends(known))
            start, end = closest(first, second)
            top = saddle(start, end, calculator)
            if top is None:
                print(f"{known.name}: no saddle")
                continue
            for role, atoms in (("r", start), ("ts", top), ("p", end)):
                atoms.calc = calculator
                atoms.get_forces()
                frame = from_atoms(atoms, find_labels(atoms))
                writer.append(replace(frame, name=f"{known.name}/{role}"))
            barrier = top.get_potential_energy() - start.get_potential_energy()
            print(f"{known.name}: barrier {barrier:.2f} eV", flush=True)


if __name__ == "__main__":
    main()
