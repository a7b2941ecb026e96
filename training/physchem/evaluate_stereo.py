"""Stereochemistry of conformers: is it that of the SMILES?

    python training/physchem/evaluate_stereo.py lipophilicity.csv tox21.csv \
        --count 1000 \
        --out stereo.sdf

Molecules come from the SMILES in tables (.csv with a column "smiles", or .smi). Of some
that have stereocentres or double bonds to choose, one stereoisomer each is drawn, all
of it specified. Conformers are made from its SMILES and written to OUT, unless it is
there already; RDKit then reads the stereochemistry off each geometry alone, and every
stereocentre and double bond that the SMILES specifies must come out as it says. Of
isomers without a conformer (in small cages many cannot exist) it is said how many
RDKit's own ETKDGv3 embeds. A run that was stopped goes on when it is started again.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import numpy as np
from rdkit import Chem
from rdkit.Chem.EnumerateStereoisomers import (
    EnumerateStereoisomers,
    StereoEnumerationOptions,
)
from rdkit.rdBase import BlockLogs
from rich.progress import Progress

from ase_physml.chem.embed import embed, etkdg_parameters
from ase_physml.chem.smiles import with_hydrogens, with_positions
from ase_physml.data.files.smiles_file import read_smiles
from ase_physml.errors import DataError
from ase_physml.workflows.conformers.embedding import ConformerSettings
from ase_physml.workflows.conformers.runs import NamedSmiles, run_conformers

UNKNOWN = ("CHI_UNSPECIFIED", "STEREONONE")
# SMILES speak of tetrahedra; RDKit reads a bent one, of phosphorus, as something else.
Chem.SetAllowNontetrahedralChirality(False)
ISOMERS = 16  # of a molecule, among which one is drawn
ORGANIC = {"H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I"}


def isomers(tables: list[Path], count: int, largest: int) -> list[str]:
    """Canonical SMILES with all stereochemistry, of different molecules."""
    random = Random(0)
    smiles = {s for table in tables for s in read_smiles(table).smiles if s}
    shuffled = sorted(smiles)
    random.shuffle(shuffled)
    found: dict[str, None] = {}
    for text in shuffled:
        if len(found) == count:
            break
        for isomer in drawn(text, largest, random):
            found[isomer] = None
    return list(found)


def drawn(smiles: str, largest: int, random: Random) -> Iterator[str]:
    """One isomer; none of what has no stereochemistry, or is no molecule of its own."""
    with BlockLogs():
        try:
            molecule = Chem.RemoveHs(with_hydrogens(smiles))
        except DataError:
            return
        symbols = {atom.GetSymbol() for atom in molecule.GetAtoms()}
        if molecule.GetNumAtoms() > largest or not symbols <= ORGANIC:
            return
        # What is specified is drawn again, too.
        Chem.RemoveStereochemistry(molecule)
        options = StereoEnumerationOptions(unique=True, maxIsomers=ISOMERS, rand=0)
        found = [*map(Chem.MolToSmiles, EnumerateStereoisomers(molecule, options))]
    isomer = Chem.CanonSmiles(random.choice(found))
    if labels(Chem.MolFromSmiles(isomer)):
        yield isomer


def labels(molecule: Chem.Mol) -> dict[tuple[str, int], str]:
    """Labels that are specified, of centres by atom and of double bonds by bond."""
    found = {("atom", a.GetIdx()): str(a.GetChiralTag()) for a in molecule.GetAtoms()}
    found |= {("bond", b.GetIdx()): str(b.GetStereo()) for b in molecule.GetBonds()}
    return {key: text for key, text in found.items() if text not in UNKNOWN}


def as_read(molecule: Chem.Mol, positions: np.ndarray) -> dict[tuple[str, int], str]:
    """The same of the geometry, which alone decides."""
    bare = with_positions(molecule, positions)
    Chem.RemoveStereochemistry(bare)
    Chem.AssignAtomChiralTagsFromStructure(bare)
    Chem.DetectBondStereochemistry(bare)
    # Whatever may be no centre by the rules of RDKit stays labelled.
    Chem.AssignStereochemistry(bare, cleanIt=False, force=True)
    return labels(bare)


def check(conformers: Iterable[Chem.Mol]) -> Counter[str]:
    """Count labels that are as asked for, and print the others."""
    counts: Counter[str] = Counter()
    for conformer in conformers:
        smiles = conformer.GetProp("smiles")
        molecule = with_hydrogens(smiles)
        found = as_read(molecule, conformer.GetConformer().GetPositions())
        counts["conformers"] += 1
        for (kind, index), asked in labels(molecule).items():
            read = found.get((kind, index), "not readable")
            verdict = {asked: "right", "not readable": read}.get(read, "wrong")
            counts[f"{kind}s {verdict}"] += 1
            if verdict != "right":
                print(f"  {smiles}: {kind} {index} is {read}, not {asked}")
    return counts


def embeds(smiles: str) -> bool:
    """ETKDGv3 alone finds a geometry."""
    return bool(embed(with_hydrogens(smiles), etkdg_parameters(seed=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--largest", type=int, default=30, help="heavy atoms")
    parser.add_argument("-n", type=int, default=1, help="conformers of a molecule")
    parser.add_argument("--model", default="physchem_qm9.pt")
    parser.add_argument("--relax", help="calculator")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("stereo.sdf"))
    options = parser.parse_args()
    wanted = isomers(options.tables, options.count, options.largest)
    if not options.out.exists():
        make(wanted, options)
    conformers = [m for m in Chem.SDMolSupplier(str(options.out), removeHs=False) if m]
    counts = check(conformers)
    made = {molecule.GetProp("smiles") for molecule in conformers}
    print(f"{counts['conformers']} conformers of {len(made)} of {len(wanted)} isomers")
    for kind, name in (("atoms", "stereocentres"), ("bonds", "double bonds")):
        verdicts = ("right", "wrong", "not readable")
        print(name + ":", ", ".join(f"{counts[f'{kind} {v}']} {v}" for v in verdicts))
    lost = [smiles for smiles in wanted if smiles not in made]
    possible = [smiles for smiles in lost if embeds(smiles)]
    print(f"{len(lost)} without a conformer; ETKDGv3 embeds {len(possible)} of them")
    print(*(f"  {smiles}" for smiles in lost), sep="\n")


def make(wanted: list[str], options: argparse.Namespace) -> None:
    """Conformers of all isomers."""
    with Progress() as bars:
        task = bars.add_task("conformers", total=len(wanted))
        run_conformers(
            [NamedSmiles(smiles, smiles) for smiles in wanted],
            options.out,
            options.model,
            options.relax,
            ConformerSettings(options.n),
            processes=options.jobs,
            resume=True,
            on_molecules=lambda count: bars.advance(task, count),
        )


if __name__ == "__main__":
    main()
