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

from ase_physml.chem.etkdg import Clock, embedded, etkdg
from ase_physml.chem.force_field import has_mmff, has_uff, lowest_on_the_way
from ase_physml.chem.stereo import keeps_stereo, with_stereo_of
from ase_physml.data.frame import Array
from ase_physml.errors import DataError

LIMIT = 2.6
"""eV above the best isomer that is believed, 60 kcal/mol."""

TRIALS = 3
"""Embeddings that energies are taken from."""

LENIENT = 10
"""Embeddings without RDKit's tests of stereocentres: most are other isomers."""

TRIES = 5
"""Geometries tried where the stereochemistry that is left open came out impossible."""


def first_possible(
    molecule: Chem.Mol, geometries: Iterable[Array], seed: int, clock: Clock
) -> Array:
    """The first geometry, Å (n, 3), of an isomer that can exist.

    Energies are those of MMFF94, without charges, or of UFF where it has no parameters;
    what neither knows is not judged.

    Args:
        molecule: With explicit hydrogens, perhaps with stereochemistry left open.
        geometries: Of it; only the first is looked at where nothing is open.
        seed: Of the embeddings that these are compared with.
        clock: How long these may take.

    Raises:
        DataError: There is none.
    """
    best: float | None = None
    refusal = DataError("no geometry")
    for positions in geometries:
        isomer = with_stereo_of(molecule, positions)
        fused = _fused_centres(isomer)
        if len(fused) < 2 or not (has_mmff(isomer) or has_uff(isomer)):
            return positions
        own = _lowest(isomer, [positions])
        if own is None:
            own = _lowest(isomer, _embeddings(isomer, seed, clock))
        if own is not None and best is None:
            best = _lowest(*_freed(isomer, fused, seed, clock))
        # Without time there is no verdict.
        fits = own is not None and (best is None or own - best < LIMIT)
        if fits or clock.over:
            return positions
        refusal = _refusal(own, best)
        if _centres(isomer) == _centres(molecule):
            break
    raise refusal


def _refusal(own: float | None, best: float | None) -> DataError:
    how = (
        "relaxed with a force field, it becomes another"
        if own is None or best is None
        else f"it lies {own - best:.1f} eV above another by a force field"
    )
    return DataError(
        f"this stereoisomer cannot exist: {how}; check @ and @@ where its rings are "
        "fused"
    )


def _centres(molecule: Chem.Mol) -> int:
    unspecified = Chem.ChiralType.CHI_UNSPECIFIED
    return sum(atom.GetChiralTag() != unspecified for atom in molecule.GetAtoms())


def _freed(
    isomer: Chem.Mol, fused: Sequence[int], seed: int, clock: Clock
) -> tuple[Chem.Mol, Iterator[Array]]:
    """The molecule with its fused rings left open, and geometries of it."""
    free = Chem.Mol(isomer)
    for index in fused:
        free.GetAtomWithIdx(index).SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    return free, _embeddings(free, seed, clock)


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
    """Some that have the stereochemistry that is specified."""
    ways = ((True, False, TRIALS), (False, False, LENIENT), (False, True, LENIENT))
    for strict, anywhere, trials in ways:
        if clock.over:
            return
        way = etkdg(seed, strict=strict, anywhere=anywhere, seconds=clock.left())
        found = embedded(molecule, way, trials)
        fitting = [one for one in found if keeps_stereo(molecule, one)]
        if fitting:
            yield from fitting[:TRIALS]
            return


def _lowest(molecule: Chem.Mol, geometries: Iterable[Array]) -> float | None:
    """Energy of the best that is still this isomer, eV; None where none is."""
    energies = (lowest_on_the_way(molecule, positions) for positions in geometries)
    return min((one for one in energies if one is not None), default=None)
