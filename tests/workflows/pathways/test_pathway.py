"""From mapped reaction SMILES to paths, with a small random potential."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms, Hookean
from ase.io import read, write

from ase_physml import PhysMLCalculator
from ase_physml.chem.atom_mapping import read_reaction
from ase_physml.errors import DataError, PhysMLError, PotentialError, StructureError
from ase_physml.workflows.alignment import rmsd
from ase_physml.workflows.conformers.embedding import ConformerSettings
from ase_physml.workflows.paths.neb import Search
from ase_physml.workflows.paths.reaction_path import ReactionPath
from ase_physml.workflows.pathways import pathway as module
from ase_physml.workflows.pathways.ends import (
    Ends,
    align_mapped,
    closest_pair,
    ends_of,
    grow,
    is_of,
    meet,
    relaxed_ends,
)
from ase_physml.workflows.pathways.pathway import (
    Pathway,
    PathwaySettings,
    find_pathway,
    find_pathways,
)

ENOL = "[CH3:1][C:2](=[O:3])[CH3:4]>>[CH3:1][C:2]([OH:3])=[CH2:4]"
SPLIT = "[CH3:1][CH2:2][OH:3]>>[CH2:1]=[CH2:2].[OH2:3]"
BOTH = "[CH3:1][Cl:2].[NH3:3]>>[CH3:1][NH2:3].[ClH:2]"
DIELS_ALDER = (
    "[CH2:1]=[CH:2][CH:3]=[CH2:4].[CH2:5]=[CH2:6]"
    ">>[CH2:1]1[CH:2]=[CH:3][CH2:4][CH2:5][CH2:6]1"
)


@pytest.fixture
def calculator(tiny_potential: Path) -> PhysMLCalculator:
    return PhysMLCalculator(tiny_potential, device="cpu")


@pytest.fixture
def settings(tiny_conformations: Path) -> PathwaySettings:
    return PathwaySettings(
        # The small potential knows no chemistry: structures stay as they were embedded.
        ConformerSettings(n=2, steps=0),
        str(tiny_conformations),
        search=Search(images=4, steps=3, any_domain=True),
    )


@pytest.mark.parametrize("smiles", [ENOL, SPLIT, BOTH, DIELS_ALDER])
def test_one_side_grows_out_of_the_other(smiles: str) -> None:
    reaction = read_reaction(smiles)
    for way in (reaction, reaction.reverse()):
        for start in meet(way, 2, seed=0):
            assert is_of(way.reactant, start)
            grown = grow(way, start)
            assert grown is not None and is_of(way.product, grown)
            # Atoms move, but not to the other end of the molecule.
            assert rmsd(grown, way.handed_over(start)) < 2.0


def test_molecules_meet_where_they_react() -> None:
    reaction = read_reaction(DIELS_ALDER)
    found = meet(reaction, 3, seed=0)
    assert found
    for positions in found:
        for i, j in reaction.formed():
            assert np.linalg.norm(positions[i] - positions[j]) < 3.6


def test_other_bonds_are_another_molecule() -> None:
    reaction = read_reaction(SPLIT)
    (positions,) = meet(reaction, 1, seed=0)
    assert is_of(reaction.reactant, positions)
    assert not is_of(reaction.product, positions)
    assert not is_of(reaction.reactant, 1.5 * positions)


def test_ends_are_those_of_the_smiles(
    calculator: PhysMLCalculator, settings: PathwaySettings
) -> None:
    reactions = [read_reaction(smiles) for smiles in (ENOL, SPLIT, DIELS_ALDER)]
    found = ends_of(reactions, calculator, settings.model, settings.relaxation)
    for reaction, ends in zip(reactions, found, strict=True):
        assert isinstance(ends, Ends)
        sides = (reaction.reactant, ends.reactants), (reaction.product, ends.products)
        for side, structures in sides:
            numbers = [atom.GetAtomicNum() for atom in side.GetAtoms()]
            assert 2 <= len(structures) <= 4
            for atoms in structures:
                assert atoms.numbers.tolist() == numbers
                assert is_of(side, atoms.positions)
            energies = [atoms.get_potential_energy() for atoms in structures]
            assert energies == sorted(energies)


def test_hydrogens_that_are_alike_are_put_where_they_are_near() -> None:
    smiles = "[CH3:1][CH2:2][OH:3]>>[CH3:1][CH2:2][OH:3]"
    reaction = read_reaction(smiles)
    (positions,) = meet(reaction, 1, seed=0)
    numbers = [atom.GetAtomicNum() for atom in reaction.reactant.GetAtoms()]
    reactant, product = Atoms(numbers, positions), Atoms(numbers, positions)
    product.positions[[3, 4]] = product.positions[[4, 3]]
    product.positions[[6, 7]] = product.positions[[7, 6]]
    product.rotate(70, (1, 2, 3))
    product.positions += 5.0
    aligned = align_mapped(reaction, reactant, product)
    assert np.allclose(aligned.positions, positions, atol=1e-6)


def test_the_closest_pair_is_taken(calculator: PhysMLCalculator) -> None:
    reaction = read_reaction("[CH3:1][OH:2]>>[CH3:1][OH:2]")
    (start,) = meet(reaction, 1, seed=0)
    numbers = [6, 8, 1, 1, 1, 1]
    away = start + np.random.default_rng(0).normal(size=start.shape)
    ends = Ends(
        [Atoms(numbers, away), Atoms(numbers, start)],
        [Atoms(numbers, away + 0.5 * away[::-1]), Atoms(numbers, start + 0.01)],
    )
    reactant, product = closest_pair(ends, partial(align_mapped, reaction))
    assert reactant is ends.reactants[1]
    assert product.info["rmsd"] == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(StructureError, match="no structure"):
        closest_pair(Ends(), partial(align_mapped, reaction))


def test_many_reactions_at_once(
    calculator: PhysMLCalculator, settings: PathwaySettings, tmp_path: Path
) -> None:
    stages: list[str] = []
    folders = [tmp_path / name for name in "abc"]
    found = find_pathways(
        [ENOL, "CC>>CC", SPLIT],
        calculator,
        settings,
        folders=folders,
        on_stage=stages.append,
    )
    assert stages == ["conformers", "ends", "path"]
    assert isinstance(found[1], DataError)
    for folder, outcome in zip(folders[::2], found[::2], strict=True):
        assert isinstance(outcome, Pathway)
        assert outcome.path is not None and outcome.pair is not None
        assert len(outcome.path.images) == 4 and len(outcome.path.forces) == 4
        assert outcome.path.barrier >= 0.0
        ends = outcome.path.images[0], outcome.path.images[-1]
        for end, image in zip(outcome.pair, ends, strict=True):
            assert rmsd(end.positions, image.positions) < 1e-6
        names = {path.name for path in folder.iterdir()}
        assert names == {
            "reactant.xyz", "product.xyz", "ends.traj", "path.traj", "steps.json",
        }  # fmt: skip


def test_structures_instead_of_smiles(
    calculator: PhysMLCalculator, settings: PathwaySettings
) -> None:
    last = molecule("CH3OH")
    last.rattle(0.1, seed=1)
    last.rotate(50, "x")
    far = molecule("CH3OH")
    far.rattle(0.3, seed=2)
    given = Ends([molecule("CH3OH")], [far, last])
    found = find_pathway(given, calculator, settings)
    assert found.pair is not None and found.path is not None
    assert len(found.ends.products) == 2
    assert rmsd(found.pair[1].positions, last.positions) < 1e-6
    other = Ends([molecule("CH4")], [molecule("NH3")])
    with pytest.raises(StructureError, match="different molecules"):
        find_pathway(other, calculator, settings)


def test_a_side_without_structures_says_why(
    calculator: PhysMLCalculator, settings: PathwaySettings
) -> None:
    silane = "[SiH3:1][CH3:2]>>[SiH4:1].[CH2:2]"
    with pytest.raises(PhysMLError, match=r"no structure of the reactant .*Si"):
        find_pathway(silane, calculator, settings)
    (failed,) = relaxed_ends(
        [Ends([molecule("SiH4")], [molecule("SiH4")])], calculator, settings.relaxation
    )
    assert isinstance(failed, StructureError) and "Si" in str(failed)


def test_constraints_of_structures_are_kept_or_refused(
    calculator: PhysMLCalculator, settings: PathwaySettings, tmp_path: Path
) -> None:
    last = molecule("CH3OH")
    last.positions[3] += 0.1
    first = molecule("CH3OH")
    for atoms in (first, last):
        atoms.set_constraint(FixAtoms([0, 1]))
    found = find_pathway(Ends([first], [last]), calculator, settings)
    assert found.path is not None
    assert found.path.remarks[0] == "not aligned: held by FixAtoms"
    for atoms in (first, last):
        atoms.set_constraint(Hookean(0, 1, 5.0, 1.0))
    with pytest.raises(StructureError, match="do not keep Hookean"):
        find_pathway(Ends([first], [last]), calculator, settings, folder=tmp_path)
    # In memory nothing is lost.
    found = find_pathway(Ends([first], [last]), calculator, settings)
    assert found.path is not None
    assert [type(c) for c in found.path.images[1].constraints] == [Hookean]
    with pytest.raises(StructureError, match="not a tuple"):
        find_pathway((first, last), calculator, settings)


def test_what_rdkit_cannot_embed_fails_alone(
    calculator: PhysMLCalculator, settings: PathwaySettings
) -> None:
    salt, enol = find_pathways(
        ["[Na+:1].[Cl-:2]>>[Na:1][Cl:2]", ENOL], calculator, settings, until="ends"
    )
    assert isinstance(salt, StructureError) and "RDKit cannot embed it" in str(salt)
    assert isinstance(enol, Pathway)


def test_names_of_calculators_and_a_lone_reaction(
    tiny_potential: Path, settings: PathwaySettings
) -> None:
    (found,) = find_pathways(ENOL, str(tiny_potential), settings, until="conformers")
    assert isinstance(found, Pathway)
    with pytest.raises(PotentialError, match="no calculator"):
        find_pathway(ENOL, None, settings)


def test_settings_are_checked_before_any_work(
    calculator: PhysMLCalculator, settings: PathwaySettings, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    with pytest.raises(StructureError, match="equilibrium structures only"):
        find_pathway(ENOL, calculator, PathwaySettings(), folder=folder)
    assert not folder.exists()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Steps that had something to do."""
    seen: list[str] = []

    def count(name: str, step: str) -> None:
        original = getattr(module, name)

        def counted(first: Any, *arguments: Any, **named: Any) -> Any:
            if first:
                seen.append(step)
            return original(first, *arguments, **named)

        monkeypatch.setattr(module, name, counted)

    count("ends_of", "conformers")
    count("closest_pair", "ends")
    count("find_paths", "path")
    return seen


def test_steps_that_are_done_are_left_out(
    calculator: PhysMLCalculator,
    settings: PathwaySettings,
    tmp_path: Path,
    calls: list[str],
) -> None:
    go = partial(find_pathways, [ENOL], calculator, folders=[tmp_path])
    (stopped,) = go(settings, until="conformers")
    assert calls == ["conformers"] and not (tmp_path / "ends.traj").exists()
    assert isinstance(stopped, Pathway)
    assert stopped.pair is None and stopped.path is None
    (first,) = go(settings, resume=True)
    assert calls == ["conformers", "ends", "path"]
    (second,) = go(settings, resume=True)
    assert calls == ["conformers", "ends", "path", "path"]
    assert isinstance(first, Pathway) and isinstance(second, Pathway)
    assert first.path is not None and second.path is not None
    # As it was left, only evaluated again.
    assert np.allclose(second.path.energies, first.path.energies, atol=1e-6)
    assert len(first.path.forces) == 4 and len(second.path.forces) == 1
    calls.clear()
    go(settings)
    assert calls == ["conformers", "ends", "path"]


def test_what_has_changed_is_done_anew(
    calculator: PhysMLCalculator,
    settings: PathwaySettings,
    tmp_path: Path,
    calls: list[str],
) -> None:
    def go(reaction: str, settings: PathwaySettings) -> ReactionPath:
        calls.clear()
        found = find_pathway(
            reaction, calculator, settings, folder=tmp_path, resume=True
        )
        assert found.path is not None
        return found.path

    go(ENOL, settings)
    more = replace(settings, search=replace(settings.search, images=5))
    path = go(ENOL, more)
    assert calls == ["path"] and len(path.images) == 5 and len(path.forces) == 4
    # Somebody keeps one structure of the product only.
    write(tmp_path / "product.xyz", read(tmp_path / "product.xyz", "-1"))
    go(ENOL, more)
    assert calls == ["ends", "path"]
    go(SPLIT, more)
    assert calls == ["conformers", "ends", "path"]


def test_files_are_an_option_and_change_nothing(
    calculator: PhysMLCalculator,
    settings: PathwaySettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = find_pathway(SPLIT, calculator, settings, folder=tmp_path / "kept")
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    found = find_pathway(SPLIT, calculator, settings)
    assert not list(empty.iterdir())
    assert kept.path is not None and found.path is not None
    np.testing.assert_array_equal(found.path.energies, kept.path.energies)
    again = find_pathway(
        SPLIT, calculator, settings, folder=tmp_path / "kept", resume=True
    )
    assert again.pair is not None and found.pair is not None
    for one, other in zip(again.pair, found.pair, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-7)
        assert one.info["smiles"] == other.info["smiles"]
    assert again.pair[1].info["rmsd"] == pytest.approx(found.pair[1].info["rmsd"])


def test_files_that_somebody_spoiled_fail_their_reaction_alone(
    calculator: PhysMLCalculator, settings: PathwaySettings, tmp_path: Path
) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    go = partial(find_pathways, [ENOL, ENOL], calculator, settings, folders=folders)
    go(until="conformers")
    (folders[0] / "product.xyz").write_text("3\nnot an xyz\n")
    bad, good = go(until="ends", resume=True)
    assert isinstance(bad, Exception) and isinstance(good, Pathway)


def test_a_killed_search_goes_on(
    calculator: PhysMLCalculator,
    settings: PathwaySettings,
    tmp_path: Path,
) -> None:
    long = replace(settings, search=replace(settings.search, steps=25))
    forces: list[float] = []

    def follow(index: int, step: int, force: float) -> None:
        assert index == 0
        if step == 22:
            raise KeyboardInterrupt
        forces.append(force)

    go = partial(find_pathways, [ENOL], calculator, long, folders=[tmp_path])
    with pytest.raises(KeyboardInterrupt):
        go(on_step=follow)
    (found,) = go(resume=True)
    assert isinstance(found, Pathway) and found.path is not None
    # Images are kept every 20 steps.
    assert found.path.forces[0] == pytest.approx(forces[20], rel=1e-6)
    assert not (tmp_path / "path.state.traj").exists()
