"""Stereoisomers that cannot exist: bridges that would have to pass through a ring.

Distance geometry finds one a geometry all the same. Such an isomer relaxes to another
one in a force field, or lies far above the best of those that differ from it in the
stereocentres of its fused rings alone. Strain that all of these share, as of cubane or
[1.1.1]propellane, is no reason to doubt a molecule; nor is that of trans-cyclooctene or
trans-bicyclo[3.1.0]hexane (41 kcal/mol above cis), which exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rdkit import Chem

from ase_physml.data.frame import Array
from ase_physml.errors import DataError
from ase_physml.molecules.etkdg import Clock, embedded, etkdg
from ase_physml.molecules.force_field import has_mmff, has_uff, minima

LIMIT = 2.6
"""eV above the best isomer that is believed, 60 kcal/mol."""

_TRIALS = 4


def check_strain(
    molecule: Chem.Mol, geometries: Sequence[Array], seed: int, clock: Clock
) -> None:
    """Refuse an isomer that cannot exist.

    Energies are those of MMFF94, without charges, or of UFF where it has no parameters;
    what neither knows is not judged.

    Args:
        molecule: With explicit hydrogens.
        geometries: Found for it, Å (n, 3) each.
        seed: Of the embeddings that these are compared with.
        clock: How long these may take.

    Raises:
        DataError: It cannot exist.
    """
    fused = _fused_centres(molecule)
    if len(fused) < 2 or not (has_mmff(molecule) or has_uff(molecule)):
        return
    own = _lowest(molecule, geometries)
    if own is None:
        own = _lowest(molecule, _embeddings(molecule, seed, clock))
    name = Chem.MolToSmiles(Chem.RemoveHs(molecule))
    if own is None:
        raise DataError(
            f"{name}: this stereoisomer cannot exist: relaxed with a force field, "
            "it becomes another; check @ and @@ where its rings are fused"
        )
    free = Chem.Mol(molecule)
    for index in fused:
        free.GetAtomWithIdx(index).SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    best = _lowest(free, _embeddings(free, seed, clock))
    if best is not None and own - best > LIMIT:
        raise DataError(
            f"{name}: this stereoisomer cannot exist: it lies {own - best:.1f} eV "
            "above another by a force field; check @ and @@ where its rings are fused"
        )


def _fused_centres(molecule: Chem.Mol) -> list[int]:
    """Stereocentres that belong to several rings."""
    rings = molecule.GetRingInfo()
    return [
        atom.GetIdx()
        for atom in molecule.GetAtoms()
        if atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED
        and rings.NumAtomRings(atom.GetIdx()) > 1
    ]


def _embeddings(molecule: Chem.Mol, seed: int, clock: Clock) -> Iterator[Array]:
    for strict in (True, False):
        settings = etkdg(seed, strict=strict, seconds=clock.left())
        found = embedded(molecule, settings, _TRIALS)
        if found:
            yield from found
            return


def _lowest(molecule: Chem.Mol, geometries: Iterable[Array]) -> float | None:
    """Energy of the best that is still this isomer once it is relaxed, eV."""
    energies = [energy for energy, _ in minima(molecule, geometries, charges=False)]
    return min(energies, default=None)
