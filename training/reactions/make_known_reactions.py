"""Make the reactions that `physml evaluate` knows without a set of the user's.

    python training/reactions/make_known_reactions.py

Textbook rearrangements of small molecules. RDKit embeds the reactant; from the
conformer whose reacting atoms are nearest to each other, a hydrogen hops or springs
form the new bonds, all with GFN2-xTB, and a climbing band between both ends is
converged. A saddle is kept if one curvature there is negative, no more, and relaxations
to either side of it find the bonds of both ends. Written to
``ase_physml/evaluation/reactions.h5`` with energies and forces. Takes some minutes of
one core.
"""

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Before tblite loads: threads cost more than they give for molecules this small.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.constraints import Hookean
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from rdkit import Chem

from ase_physml.calculators.names import make_calculator
from ase_physml.chem.bonds import bonded_pairs
from ase_physml.chem.embed import embed, etkdg_parameters
from ase_physml.data.conversion import find_labels, from_atoms
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import RaggedWriter
from ase_physml.workflows.alignment import align_ends

CALCULATOR = "tblite:GFN2-xTB"
OUT = Path(__file__).parents[2] / "ase_physml" / "evaluation" / "reactions.h5"
FMAX = 0.01
CONFORMERS = 30
TRIED = 4  # of them, nearest first
SPRING, LENGTH = 15.0, 1.0  # eV/Å^2, Å
HOP = 1.0  # Å, of a hydrogen from its new neighbour
IMAGES = 11
SADDLE_FORCE = 0.03
CURVED = 0.1  # eV/Å^2: a curvature below minus this is a negative one
ASIDE = 0.3  # Å


@dataclass(frozen=True)
class Known:
    """A reaction by the bonds that it forms; those that it breaks follow.

    Attributes:
        name: Name of the reaction.
        smiles: SMILES of the reactant; atoms that react have map numbers.
        forms: Bonds that are there in the product alone.
    """

    name: str
    smiles: str
    forms: tuple[tuple[int, int], ...]


REACTIONS = (
    Known("methyl isocyanide to acetonitrile", "[CH3:1][N+]#[C-:2]", ((1, 2),)),
    Known("acetone to propen-2-ol", "[H:1]CC(C)=[O:2]", ((1, 2),)),
    Known("formamide to formimidic acid", "[H:1]NC=[O:2]", ((1, 2),)),
    Known("malonaldehyde", "[H:1]OC=CC=[O:2]", ((1, 2),)),
    Known("acetylacetone, enol", "[H:1]OC(C)=CC(C)=[O:2]", ((1, 2),)),
    Known("Cope", "[CH2:1]=CCCC=[CH2:2]", ((1, 2),)),
    Known("retro-ene", "[H:1]OCCC=[CH2:2]", ((1, 2),)),
    Known("nitrous acid, hydrogen shift", "[H:1]ON=[O:2]", ((1, 2),)),
)


def reactant(known: Known) -> Chem.Mol:
    """Reactant with hydrogens, those that react among them."""
    keep: Any = Chem.SmilesParserParams()
    keep.removeHs = False
    return Chem.AddHs(Chem.MolFromSmiles(known.smiles, keep))


def conformers(mol: Chem.Mol) -> list[Atoms]:
    """Embedded."""
    settings = etkdg_parameters(0, attempts=0, random_start=True)
    symbols = [atom.GetSymbol() for atom in mol.GetAtoms()]
    return [Atoms(symbols, positions) for positions in embed(mol, settings, CONFORMERS)]


def driven(known: Known, calculator: Calculator) -> tuple[Atoms, Atoms] | None:
    """Ends: the second is where springs that form the bonds take the first."""
    mol = reactant(known)
    place = {a.GetAtomMapNum(): a.GetIdx() for a in mol.GetAtoms()}
    forming = [(place[i], place[j]) for i, j in known.forms]

    def way(atoms: Atoms) -> float:
        return float(sum(atoms.get_distance(*pair) for pair in forming))

    for start in sorted(conformers(mol), key=way)[:TRIED]:
        relaxed(start, calculator)
        end = start.copy()
        hops = [pair for pair in forming if end.numbers[pair[0]] == 1]
        for hydrogen, acceptor in hops:
            end.set_distance(acceptor, hydrogen, HOP, fix=0)
        if not hops:
            end.set_constraint([Hookean(i, j, SPRING, LENGTH) for i, j in forming])
            relaxed(end, calculator)
            end.set_constraint()
        relaxed(end, calculator)
        formed = set(map(tuple, map(sorted, forming)))
        if formed <= bonded_pairs(end) and not formed & bonded_pairs(start):
            return start, end
    return None


def relaxed(atoms: Atoms, calculator: Calculator) -> Atoms:
    """Structure in the nearest minimum."""
    atoms.calc = calculator
    BFGS(atoms, logfile=None).run(fmax=FMAX, steps=500)
    return atoms


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
    return top if forces < 2 * SADDLE_FORCE and joins(top, start, end) else None


def joins(top: Atoms, start: Atoms, end: Atoms) -> bool:
    """One curvature is negative, and downhill along it lie the bonds of both ends."""
    values, modes = curvatures(top)
    if (values < -CURVED).sum() != 1:
        return False
    found = []
    for sign in (1.0, -1.0):
        side = top.copy()
        side.positions += sign * ASIDE * modes[:, 0].reshape(-1, 3)
        found.append(bonded_pairs(relaxed(side, top.calc)))
    ends = [bonded_pairs(start), bonded_pairs(end)]
    return found in (ends, ends[::-1])


def curvatures(atoms: Atoms, step: float = 0.005) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (eV/Å^2), ascending, and vectors of the Hessian by differences."""
    probe = atoms.copy()
    probe.calc = atoms.calc
    rows = []
    for axis in range(3 * len(atoms)):
        sides = []
        for sign in (1.0, -1.0):
            moved = atoms.positions.flatten()
            moved[axis] += sign * step
            probe.positions = moved.reshape(-1, 3)
            sides.append(probe.get_forces().flatten())
        rows.append((sides[1] - sides[0]) / (2 * step))
    hessian = np.array(rows)
    return np.linalg.eigh(0.5 * (hessian + hessian.T))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    calculator = make_calculator(CALCULATOR)
    about = Metadata(
        level_of_theory="GFN2-xTB",
        source="textbook rearrangements, made by \
        training/reactions/make_known_reactions.py",
    )
    chosen = [k for k in REACTIONS if not options.only or k.name in options.only]
    with RaggedWriter(options.out, about) as writer:
        for known in chosen:
            pair = driven(known, calculator)
            top = saddle(*pair, calculator) if pair is not None else None
            if pair is None or top is None:
                print(f"{known.name}: no {'product' if pair is None else 'saddle'}")
                continue
            for role, atoms in zip(
                ("r", "ts", "p"), (pair[0], top, pair[1]), strict=True
            ):
                frame = labelled(atoms, calculator)
                writer.append(replace(frame, name=f"{known.name}/{role}"))
            barrier = top.get_potential_energy() - pair[0].get_potential_energy()
            print(f"{known.name}: barrier {barrier:.2f} eV", flush=True)


def labelled(atoms: Atoms, calculator: Calculator) -> Frame:
    """Frame with energy and forces."""
    atoms.calc = calculator
    atoms.get_forces()
    return from_atoms(atoms, find_labels(atoms))


if __name__ == "__main__":
    main()
