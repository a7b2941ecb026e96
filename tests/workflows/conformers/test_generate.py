"""Conformers: distances followed, stereochemistry kept, energies in order."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from rdkit import Chem
from rdkit.Chem import AllChem

from ase_physml import generate_conformers
from ase_physml.chem.bonds import keeps_bonds
from ase_physml.chem.embed import distance_error, embed_predicted, embed_varied
from ase_physml.chem.smiles import heavy_atoms, with_hydrogens, with_positions
from ase_physml.chem.stereo import keeps_stereo
from ase_physml.errors import DataError, PhysMLError, PotentialError, StructureError
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import save_model
from ase_physml.workflows.conformers.embedding import (
    ConformerEnsemble,
    ConformerSettings,
    DistanceModel,
)
from ase_physml.workflows.conformers.generate import conformers_of
from ase_physml.workflows.conformers.selection import RMSD, boltzmann_weights, distinct

PEPTIDE = "CC(=O)N[C@@H](C)C(=O)NC"
STEREO = [
    "C[C@H](O)[C@@H](N)C#N",
    "C/C=C\\C=C\\C(=O)O",
    "C[C@H]1CC[C@@H](O)CC1",
    "C[S@](=O)CC",
    "O[C@H]1[C@@H]2CC[C@H]1O2",
    "F/C=C/[C@@](C)(O)[C@H]1CO1",
]


def true_distances(
    smiles: str, seed: int = 5
) -> tuple[Chem.Mol, np.ndarray, np.ndarray]:
    """Distances of a relaxed conformer, as of a model that is never wrong."""
    molecule = with_hydrogens(smiles)
    assert AllChem.EmbedMolecule(molecule, randomSeed=seed) == 0
    AllChem.MMFFOptimizeMolecule(molecule)
    positions = molecule.GetConformer().GetPositions()
    molecule.RemoveAllConformers()
    heavy = heavy_atoms(molecule)
    distances = np.full((len(positions), len(positions)), np.nan)
    vectors = positions[heavy][:, None] - positions[heavy]
    distances[np.ix_(heavy, heavy)] = np.linalg.norm(vectors, axis=-1)
    np.fill_diagonal(distances, np.nan)
    return molecule, distances, positions


def isomer(smiles: str, positions: np.ndarray) -> str:
    """What RDKit reads off a geometry."""
    molecule = with_positions(with_hydrogens(smiles), positions)
    Chem.AssignStereochemistryFrom3D(molecule)
    return str(Chem.MolToSmiles(Chem.RemoveHs(molecule)))


@pytest.mark.parametrize(
    ("smiles", "near"),
    [(PEPTIDE, 0.4), ("C[C@H]1CC[C@@H](O)CC1", 0.1), ("CCOCCN", 0.1)],
)
def test_the_first_follows_the_prediction(smiles: str, near: float) -> None:
    molecule, distances, truth = true_distances(smiles)
    found = embed_predicted(molecule, distances, seed=0)
    assert distance_error(distances, found) < 0.1
    rmsd = RMSD(molecule, polar=False)
    mirrored = truth * [1.0, 1.0, -1.0]
    assert min(rmsd(found, truth), rmsd(found, mirrored)) < near


def test_the_others_turn_but_keep_what_hardly_varies() -> None:
    molecule, distances, _ = true_distances("CCOCCN")
    found = embed_varied(molecule, distances, 12, seed=0)
    hops = Chem.GetDistanceMatrix(molecule)
    near = np.isfinite(distances) & (hops <= 2)
    for positions in found:
        lengths = np.linalg.norm(positions[:, None] - positions, axis=-1)
        assert np.abs(lengths - distances)[near].max() < 0.15
    kept = distinct(found, RMSD(molecule), 0.2, 12)
    assert len(kept) >= 5


def test_contradictory_distances_still_give_a_geometry() -> None:
    molecule, distances, _ = true_distances(PEPTIDE)
    noise = np.random.default_rng(0).normal(0.0, 1.0, distances.shape)
    wrong = np.abs(distances + noise + noise.T)
    assert keeps_stereo(molecule, embed_predicted(molecule, wrong, seed=0))


@pytest.mark.parametrize("smiles", STEREO)
def test_stereochemistry_is_that_of_the_smiles(
    smiles: str, tiny_conformations: Path
) -> None:
    conformers = generate_conformers(smiles, 4, tiny_conformations)
    expected = Chem.CanonSmiles(smiles)
    for atoms in conformers:
        assert isomer(smiles, atoms.positions) == expected
        assert atoms.info["isomer"] == expected


def test_a_mirror_image_is_another_molecule() -> None:
    for smiles in [*STEREO, "C[N@]1C[C@H]1C"]:
        molecule, _, positions = true_distances(smiles)
        assert keeps_stereo(molecule, positions)
        chiral = "@" in smiles
        mirrored = positions * [1.0, 1.0, -1.0]
        assert keeps_stereo(molecule, mirrored) != chiral
    _, _, positions = true_distances("C/C=C\\C")
    turned = Chem.MolFromSmiles("C/C=C/C")
    assert not keeps_stereo(Chem.AddHs(turned), positions)


def test_what_is_open_is_the_same_in_all(tiny_conformations: Path) -> None:
    smiles = "CC(O)C(N)C=CCl"
    conformers = generate_conformers(smiles, 8, tiny_conformations)
    assert len(conformers) > 1
    (one,) = {isomer(smiles, atoms.positions) for atoms in conformers}
    assert {atoms.info["isomer"] for atoms in conformers} == {one}
    assert one.count("@") >= 2
    assert "/" in one


def test_atoms_stand_as_in_the_smiles(tiny_conformations: Path) -> None:
    (atoms,) = generate_conformers("OC(=O)C([2H])N", 1, tiny_conformations)
    assert atoms.get_chemical_symbols()[:6] == ["O", "C", "O", "C", "H", "N"]
    assert atoms.get_chemical_formula() == "C2H5NO2"
    assert atoms.info["smiles"] == "OC(=O)C([2H])N"
    assert 0.9 < atoms.get_distance(3, 4) < 1.25


def test_distances_do_not_depend_on_the_order_of_atoms(
    tiny_conformations: Path,
) -> None:
    model = DistanceModel(tiny_conformations)
    molecule = with_hydrogens("CC(=O)N[C@@H](C)C#N")
    order = np.random.default_rng(0).permutation(molecule.GetNumAtoms())
    shuffled = Chem.RenumberAtoms(molecule, order.tolist())
    both = [molecule, shuffled]
    (a, note), (b, _) = model.predict(both)
    assert note == ""
    heavy = np.isfinite(a)
    assert heavy.sum() == 8 * 7
    given = a[np.ix_(order, order)]
    np.testing.assert_allclose(b, given, atol=2e-3)


def test_one_is_the_first_of_many_and_a_seed_repeats(tiny_conformations: Path) -> None:
    (one,) = generate_conformers(PEPTIDE, 1, tiny_conformations, seed=3)
    many = generate_conformers(PEPTIDE, 5, tiny_conformations, seed=3)
    again = generate_conformers(PEPTIDE, 5, tiny_conformations, seed=3)
    np.testing.assert_array_equal(one.positions, many[0].positions)
    assert 1 < len(many) <= 5
    for first, second in zip(many, again, strict=True):
        np.testing.assert_array_equal(first.positions, second.positions)
    errors = [atoms.info["distance_error"] for atoms in many[1:]]
    assert errors == sorted(errors)
    assert "boltzmann_weight" not in one.info


def test_conformers_are_distinct(tiny_conformations: Path) -> None:
    conformers = generate_conformers("CCOCCN", 6, tiny_conformations, threshold=0.5)
    rmsd = RMSD(with_hydrogens("CCOCCN"))
    apart = [
        rmsd(a.positions, b.positions)
        for k, a in enumerate(conformers)
        for b in conformers[:k]
    ]
    assert min(apart) > 0.5
    assert [a.info["rmsd"] for a in conformers[1:]] == pytest.approx(
        [rmsd(a.positions, conformers[0].positions) for a in conformers[1:]]
    )
    assert len(generate_conformers("C#CC", 6, tiny_conformations)) == 1


def test_relaxed_ones_come_in_order_of_energy(
    tiny_conformations: Path, tiny_potential: Path
) -> None:
    conformers = generate_conformers(
        "CCOCCN", 4, tiny_conformations, str(tiny_potential), steps=3
    )
    energies = np.array([atoms.get_potential_energy() for atoms in conformers])
    assert (np.diff(energies) >= 0).all()
    about = [atoms.info for atoms in conformers]
    above = [info["relative_energy"] for info in about]
    assert above == pytest.approx(energies - energies[0])
    weights = [info["boltzmann_weight"] for info in about]
    assert weights == pytest.approx(boltzmann_weights(energies, 298.15))
    assert all(atoms.get_forces().shape == (len(atoms), 3) for atoms in conformers)
    assert not any(info["converged"] for info in about)


def test_boltzmann_weights() -> None:
    kt = 8.617333262e-5 * 298.15
    weights = boltzmann_weights(np.array([-10.0, -10.0 + kt * np.log(3.0)]), 298.15)
    assert weights == pytest.approx([0.75, 0.25])


def test_symmetry_counts_for_rmsd_but_mirror_images_differ() -> None:
    molecule = with_hydrogens("Cc1ccc(F)cc1")
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    positions = molecule.GetConformer().GetPositions()
    turned = positions.copy()
    turned[[2, 3, 6, 7]] = positions[[7, 6, 3, 2]]
    assert RMSD(molecule, polar=False)(positions, turned) < 0.1
    rmsd = RMSD(with_hydrogens("CCCC"))
    for seed in range(20):
        _, _, butane = true_distances("CCCC", seed)
        if np.linalg.norm(butane[0] - butane[3]) < 3.4:
            break
    assert rmsd(butane, butane * [1.0, 1.0, -1.0]) > 0.2


class Pull(Calculator):
    """Harmonic, towards given positions."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, towards: np.ndarray) -> None:
        super().__init__()
        self.towards = towards

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = None,
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        away = atoms.positions - self.towards
        self.results = {"energy": 10.0 * (away**2).sum(), "forces": -20.0 * away}


def test_one_that_changes_in_the_relaxation_is_dropped(
    tiny_conformations: Path,
) -> None:
    smiles = "C[C@H](O)Cl"
    (atoms,) = generate_conformers(smiles, 1, tiny_conformations)
    with pytest.raises(StructureError, match="changed its stereochemistry"):
        generate_conformers(
            smiles, 1, tiny_conformations, Pull(atoms.positions * [1, 1, -1])
        )
    with pytest.raises(StructureError, match="broke a bond"):
        generate_conformers(smiles, 1, tiny_conformations, Pull(atoms.positions * 2))
    (kept,) = generate_conformers(smiles, 1, tiny_conformations, Pull(atoms.positions))
    assert kept.info["converged"]


@pytest.mark.parametrize(
    ("smiles", "imine", "free"),
    [("CC=N", (0, 1, 2, 7), True), ("C/C=N/[H]", (0, 1, 2, 3), False)],
)
def test_the_hydrogen_of_an_imine_may_swing_unless_it_is_said_where(
    smiles: str,
    imine: tuple[int, int, int, int],
    free: bool,
    tiny_conformations: Path,
) -> None:
    (atoms,) = generate_conformers(smiles, 1, tiny_conformations)
    assert atoms.info["isomer"] == Chem.CanonSmiles(smiles)
    swung = atoms.copy()
    swung.rotate_dihedral(*imine, angle=180.0, indices=[imine[3]])
    pull = Pull(swung.positions)
    if free:
        (kept,) = generate_conformers(smiles, 1, tiny_conformations, pull)
        assert np.allclose(kept.positions, swung.positions, atol=0.01)
    else:
        with pytest.raises(StructureError, match="changed its stereochemistry"):
            generate_conformers(smiles, 1, tiny_conformations, pull)


def test_a_dropped_conformer_is_a_warning(tiny_conformations: Path) -> None:
    class Half(Pull):
        """Refuses what is far from the first."""

        def calculate(self, *arguments: Any, **named: Any) -> None:
            super().calculate(*arguments, **named)
            if self.results["energy"] > 1e-6:
                raise StructureError("too far")

    first = generate_conformers("CCOC", 4, tiny_conformations)
    assert len(first) > 1
    with pytest.warns(UserWarning, match="CCOC: too far"):
        found = generate_conformers(
            "CCOC", 4, tiny_conformations, Half(first[0].positions)
        )
    assert len(found) == 1


def test_bonds_are_checked() -> None:
    molecule, _, positions = true_distances("CCO")
    assert keeps_bonds(molecule, positions)
    positions[2] += 2.0
    assert not keeps_bonds(molecule, positions)


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("C(C", "'C(C' is not a valid SMILES"),
        ("", "'' is not a valid SMILES"),
        ("[Na+].[Cl-]", "several molecules"),
        ("[H][H]", "no atom but hydrogen"),
        ("*CC", "dummy"),
    ],
)
def test_what_is_no_molecule_is_refused(
    smiles: str, message: str, tiny_conformations: Path
) -> None:
    with pytest.raises(DataError) as refused:
        generate_conformers(smiles, 2, tiny_conformations)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("C[NH3+]", "total charge is \\+1"),
        ("C[CH2]", "multiplicity is 2"),
        ("C[Si](C)(C)C", "Si"),
    ],
)
def test_what_the_potential_does_not_treat_is_refused_by_name(
    smiles: str, message: str, tiny_conformations: Path, tiny_potential: Path
) -> None:
    (atoms,) = generate_conformers(smiles, 1, tiny_conformations)
    assert np.isfinite(atoms.positions).all()
    with pytest.raises(StructureError, match=message) as refused:
        generate_conformers(smiles, 1, tiny_conformations, str(tiny_potential))
    assert str(refused.value).startswith(f"{smiles}: ")


@pytest.mark.parametrize("smiles", ["C", "O", "C[Zn]C", "[O-]C(=O)C[NH3+]", "[Ar]"])
def test_small_and_unusual_molecules(smiles: str, tiny_conformations: Path) -> None:
    (atoms, *_) = generate_conformers(smiles, 3, tiny_conformations)
    assert len(atoms) == with_hydrogens(smiles).GetNumAtoms()
    assert np.isfinite(atoms.positions).all()


def test_one_failure_leaves_the_others(
    tiny_conformations: Path, tiny_potential: Path
) -> None:
    found = conformers_of(
        ["CCO", "C(", "C[NH3+]", "CN"],
        tiny_conformations,
        str(tiny_potential),
        ConformerSettings(n=2, steps=1),
    )
    kinds = [isinstance(one, ConformerEnsemble) for one in found]
    assert kinds == [True, False, False, True]
    assert isinstance(found[1], PhysMLError)
    alone = conformers_of(
        ["CN"], tiny_conformations, str(tiny_potential), ConformerSettings(n=2, steps=1)
    )
    for one in (found[3], alone[0]):
        assert isinstance(one, ConformerEnsemble)
        assert one.structures[0].info["smiles"] == "CN"


def test_hydrogens_of_oh_turn_without_a_relaxation(tiny_conformations: Path) -> None:
    found = generate_conformers("OCCO", 12, tiny_conformations)
    heavy = RMSD(with_hydrogens("OCCO"), polar=False)
    families = distinct([a.positions for a in found], heavy, 0.2, 12)
    assert len(families) < len(found) == 12


def test_mirror_images_get_mirror_images(tiny_conformations: Path) -> None:
    left = generate_conformers("C[C@H](O)C(=O)O", 4, tiny_conformations)
    right = generate_conformers("C[C@@H](O)C(=O)O", 4, tiny_conformations)
    written = generate_conformers("OC(=O)[C@H](C)O", 4, tiny_conformations)
    for a, b, c in zip(left, right, written, strict=True):
        np.testing.assert_array_equal(a.positions * [1.0, 1.0, -1.0], b.positions)
        lengths = [np.sort(x.get_all_distances().ravel()) for x in (b, c)]
        np.testing.assert_allclose(*lengths, atol=1e-9)


@pytest.fixture(scope="module")
def knows_no_sulphur(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = PhysChemConfig(variant="physnet", forces="springs", atom_width=8)
    path = tmp_path_factory.mktemp("models") / "cno.pt"
    card = ModelCard(
        name="cno",
        kind="physchem",
        architecture=config.to_dict(),
        elements=["C", "N", "O"],
    )
    save_model(path, PhysChem(config), card)
    return path


def test_unknown_elements_fall_back_on_etkdg_and_it_is_said(
    knows_no_sulphur: Path,
) -> None:
    known, other = conformers_of(
        ["CCO", "CS(=O)(=O)NCCl"], knows_no_sulphur, None, ConformerSettings(n=2)
    )
    assert isinstance(known, ConformerEnsemble)
    assert isinstance(other, ConformerEnsemble)
    assert "distance_error" in known.structures[0].info
    assert not known.note
    assert "cno.pt was not trained on S, Cl" in other.note
    assert "distance_error" not in other.structures[0].info
    assert keeps_bonds(with_hydrogens("CS(=O)(=O)NCCl"), other.structures[0].positions)
    with pytest.warns(UserWarning, match=r"CCS: cno\.pt was not trained on S"):
        assert len(generate_conformers("CCS", 3, knows_no_sulphur)) > 1


def test_isotopes_weigh_what_they_weigh(tiny_conformations: Path) -> None:
    (atoms,) = generate_conformers("[2H]C([2H])([2H])O", 1, tiny_conformations)
    assert sorted(atoms.get_masses())[1:4] == pytest.approx([2.014] * 3, abs=1e-3)


def test_impossible_isomers_and_large_molecules_are_one_line(
    tiny_conformations: Path,
) -> None:
    settings = ConformerSettings(n=2, max_atoms=8)
    bridge, large, late = conformers_of(
        ["C1C[C@H]2CC[C@H]1O2", "C" * 9, "CC"], tiny_conformations, None, settings
    )
    assert "C1C[C@H]2CC[C@H]1O2: this stereoisomer cannot exist" in str(bridge)
    assert "CCCCCCCCC: 9 atoms" in str(large)
    assert isinstance(late, ConformerEnsemble)


def test_a_model_without_conformations_is_refused(tmp_path: Path) -> None:
    config = PhysChemConfig(
        variant="chemnet", targets=1, atom_width=8, bond_width=8, molecule_width=8
    )
    card = ModelCard(
        name="p",
        kind="physchem",
        architecture=config.to_dict(),
        target_names=["property"],
    )
    save_model(tmp_path / "p.pt", PhysChem(config), card)
    with pytest.raises(PotentialError, match="not conformations"):
        generate_conformers("CCO", 1, tmp_path / "p.pt")


@pytest.mark.parametrize(
    "setting", [{"n": 0}, {"threshold": 0.0}, {"temperature": -1.0}, {"seed": -1}]
)
def test_settings_out_of_range(setting: dict[str, Any]) -> None:
    with pytest.raises(StructureError, match=next(iter(setting))):
        ConformerSettings(**setting)
