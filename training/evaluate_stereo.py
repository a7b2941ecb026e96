"""Do conformers have the stereochemistry of the SMILES?

    python training/evaluate_stereo.py lipophilicity.csv tox21.csv --count 1000 \
        --out stereo.sdf

Molecules come from the SMILES in tables (.csv with a column "smiles", or .smi). Of some
that have stereocentres or double bonds to choose, one stereoisomer each is drawn, all
of it specified. Conformers are made from its SMILES and written to OUT; RDKit then
reads the stereochemistry off each geometry, and the canonical SMILES must be that of
the isomer. Of isomers without a conformer (in small cages many cannot exist) it is said
how many RDKit's own ETKDGv3 embeds. A run that was stopped goes on when it is started
again.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from random import Random

from rdkit import Chem
from rdkit.Chem import rdDistGeom
from rdkit.Chem.EnumerateStereoisomers import (
    EnumerateStereoisomers,
    StereoEnumerationOptions,
)
from rdkit.rdBase import BlockLogs
from rich.progress import track

from ase_physml.errors import DataError
from ase_physml.molecules.embed import with_hydrogens
from ase_physml.tasks.conformer_ensemble import Settings
from ase_physml.tasks.conformer_runs import Named, run_conformers
from ase_physml.tasks.smiles_tables import read_smiles_table

ISOMERS = 16  # of a molecule, among which one is drawn
ORGANIC = {"H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I"}


def isomers(tables: list[Path], count: int, largest: int) -> list[str]:
    """Canonical SMILES with all stereochemistry, of different molecules."""
    random = Random(0)
    smiles = {s for table in tables for s in read_smiles_table(table).smiles}
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
    if any(specified(Chem.MolFromSmiles(isomer))):
        yield isomer


def specified(molecule: Chem.Mol) -> tuple[int, int]:
    """Stereocentres and double bonds that are specified."""
    centres = [a.GetChiralTag() for a in molecule.GetAtoms()]
    bonds = [b.GetStereo() for b in molecule.GetBonds()]
    none, neither = Chem.ChiralType.CHI_UNSPECIFIED, Chem.BondStereo.STEREONONE
    return (
        sum(tag != none for tag in centres),
        sum(tag != neither for tag in bonds),
    )


def as_read(molecule: Chem.Mol) -> str:
    """Canonical SMILES with the stereochemistry of the geometry alone."""
    bare = Chem.Mol(molecule)
    for atom in bare.GetAtoms():
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    for bond in bare.GetBonds():
        bond.SetStereo(Chem.BondStereo.STEREONONE)
    Chem.AssignStereochemistryFrom3D(bare)
    return Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(bare)))


def embeds(smiles: str) -> bool:
    """ETKDGv3 alone finds a geometry."""
    molecule = with_hydrogens(smiles)
    settings = rdDistGeom.ETKDGv3()
    settings.randomSeed = 1
    settings.maxIterations = 20
    with BlockLogs():
        return rdDistGeom.EmbedMolecule(molecule, settings) == 0


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
    named = [Named(smiles, smiles) for smiles in wanted]
    with_bar = iter(track(range(len(named)), "conformers"))
    report = run_conformers(
        named,
        options.out,
        options.model,
        options.relax,
        Settings(options.n),
        processes=options.jobs,
        resume=True,
        on_molecules=lambda count: [next(with_bar, None) for _ in range(count)],
    )
    centres, bonds = zip(
        *(specified(Chem.MolFromSmiles(s)) for s in wanted), strict=True
    )
    print(f"{len(wanted)} isomers: {sum(centres)} centres, {sum(bonds)} double bonds")
    conformers = [m for m in Chem.SDMolSupplier(str(options.out), removeHs=False) if m]
    wrong = [m for m in conformers if as_read(m) != m.GetProp("smiles")]
    right = {m.GetProp("smiles") for m in conformers} - {
        m.GetProp("smiles") for m in wrong
    }
    print(f"{len(conformers)} conformers of {len(report.rows)} isomers")
    print(f"{len(right)} isomers as asked for, {len(wrong)} conformers are not")
    for molecule in wrong:
        print(f"  {molecule.GetProp('smiles')} became {as_read(molecule)}")
    lost = [failure.name for failure in report.failures]
    possible = [smiles for smiles in lost if embeds(smiles)]
    print(f"{len(lost)} without a conformer; ETKDGv3 embeds {len(possible)} of them")
    for failure in report.failures:
        print(f"  {failure.reason}")


if __name__ == "__main__":
    main()
