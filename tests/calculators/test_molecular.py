"""PhysChem and HamNet as calculators."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.io.trajectory import Trajectory
from ase.optimize import BFGS
from rdkit import Chem
from rdkit.Chem import AllChem
from scipy.spatial.transform import Rotation

from ase_physml.calculators.molecular import (
    ConformationCalculator,
    HamNetCalculator,
    PhysChemCalculator,
)
from ase_physml.calculators.restraints import Restraints
from ase_physml.calculators.topology import distances_of
from ase_physml.chem.collate import graph_of
from ase_physml.errors import DataError, PotentialError, StructureError
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.hamnet.model import HamNet
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import save_model

SMALL = {"atom_width": 16, "bond_width": 8, "molecule_width": 12, "pair_width": 8}
SPRINGS = PhysChemConfig(
    variant="physnet", blocks=1, steps=12, forces="springs", integrator="symplectic",
    friction=0.5, **SMALL,
)  # fmt: skip
ENGINE = HamNetConfig(state_width=4, gcn_width=8, steps=2)
ALANINE = "N[C@@H](C)C(=O)O"


def physchem(config: PhysChemConfig = SPRINGS) -> PhysChem:
    torch.manual_seed(0)
    return PhysChem(config)


def hamnet(config: HamNetConfig = ENGINE) -> HamNetEngine:
    torch.manual_seed(0)
    return HamNetEngine(config)


MAKERS: dict[str, Callable[..., ConformationCalculator]] = {
    "physchem": lambda **options: PhysChemCalculator(physchem(), **options),
    "hamnet": lambda **options: HamNetCalculator(hamnet(), **options),
}


@pytest.fixture(params=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[..., ConformationCalculator]:
    return MAKERS[request.param]


def conformer(smiles: str, seed: int = 3) -> Atoms:
    """RDKit's, in the order of AddHs."""
    found = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(found, randomSeed=seed) == 0
    numbers = [atom.GetAtomicNum() for atom in found.GetAtoms()]
    return Atoms(numbers, found.GetConformer().GetPositions())


def anywhere(calculator: ConformationCalculator, seed: int = 0) -> Atoms:
    numbers = calculator.graph.numbers
    positions = np.random.default_rng(seed).normal(scale=2.0, size=(len(numbers), 3))
    return Atoms(numbers, positions, calculator=calculator)


def aim_at(calculator: ConformationCalculator, atoms: Atoms) -> None:
    """As if the model had predicted this structure."""
    heavy = atoms.positions[calculator.graph.heavy]
    calculator.heavy_positions = heavy
    calculator.restraints = calculator.graph.restraints(heavy, calculator.hops)


def numerical_forces(atoms: Atoms, step: float = 1e-4) -> np.ndarray:
    found = np.zeros((len(atoms), 3))
    for index in np.ndindex(found.shape):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[index] += sign * step
            energies.append(moved.get_potential_energy())
        found[index] = (energies[1] - energies[0]) / (2 * step)
    return found


@pytest.mark.parametrize("hops", [None, 2])
def test_forces_are_the_gradient(
    make: Callable[..., ConformationCalculator], hops: int | None
) -> None:
    atoms = anywhere(make(smiles=ALANINE, hops=hops, check_bonds=False))
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 1.0
    np.testing.assert_allclose(forces, numerical_forces(atoms), atol=1e-6)
    assert np.abs(forces.sum(0)).max() < 1e-10
    assert np.abs(np.cross(atoms.positions, forces).sum(0)).max() < 1e-9


def test_energy_is_conn_k_over_predicted_distances() -> None:
    calculator = PhysChemCalculator(physchem(), smiles=ALANINE, hops=2, stiffness=3.0)
    heavy = calculator.graph.heavy
    atoms = Atoms(calculator.graph.numbers[heavy], calculator.heavy_positions)
    atoms.calc = calculator
    calculator.check_bonds = False
    atoms.rattle(0.01, seed=1)
    read = Chem.GetDistanceMatrix(Chem.MolFromSmiles(ALANINE))
    d = distances_of(atoms.positions)
    expected = 0.0
    for i in range(len(atoms)):
        for j in range(i):
            if read[i, j] <= 2:
                expected += 1.5 * (d[i, j] - calculator.predicted_distances[i, j]) ** 2
    assert expected > 0
    # Pairs beyond are free until they are nearer than bounds and prediction allow.
    assert atoms.get_potential_energy() == pytest.approx(expected, rel=1e-2)


def test_prediction_is_the_model_in_the_order_of_the_input() -> None:
    model = physchem()
    backwards = "OC(=O)[C@@H](C)N"
    for smiles in (ALANINE, backwards):
        calculator = PhysChemCalculator(model, smiles=smiles)
        graph = graph_of(smiles)
        found = model(graph).positions.detach().numpy()
        place = graph.input_index.numpy()
        expected = distances_of(found)
        np.testing.assert_allclose(
            calculator.predicted_distances[np.ix_(place, place)], expected, atol=1e-4
        )


def test_rigid_motions_and_reflections_change_nothing(
    make: Callable[..., ConformationCalculator],
) -> None:
    atoms = anywhere(make(smiles="CCO", check_bonds=False))
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    turn = Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix()
    for matrix in (turn, -turn):
        moved = atoms.copy()
        moved.calc = atoms.calc
        moved.positions = atoms.positions @ matrix.T + [5.0, -2.0, 1.0]
        assert moved.get_potential_energy() == pytest.approx(energy, rel=1e-12)
        np.testing.assert_allclose(moved.get_forces(), forces @ matrix.T, atol=1e-9)


@pytest.mark.parametrize("smiles", ["CCO", "CC(=O)NC", "C1CC1C#N", "O=C=O", "C"])
def test_a_random_start_reaches_the_conformer(
    make: Callable[..., ConformationCalculator], smiles: str
) -> None:
    calculator = make(smiles=smiles, check_bonds=False)
    wanted = conformer(smiles)
    aim_at(calculator, wanted)
    atoms = anywhere(calculator)
    assert BFGS(atoms, logfile=None).run(fmax=1e-3, steps=500)
    heavy = calculator.graph.heavy
    found = distances_of(atoms.positions[heavy])
    np.testing.assert_allclose(found, distances_of(wanted.positions[heavy]), atol=0.02)
    calculator.check_bonds = True
    atoms.calc.reset()
    assert atoms.get_potential_energy() < 0.05  # whole, hydrogens too
    for i, j in np.argwhere(np.triu(calculator.graph.hops == 1)):
        here, there = atoms.get_distance(i, j), wanted.get_distance(i, j)
        assert here == pytest.approx(there, abs=0.05)


def test_heavy_atoms_alone_are_welcome(
    make: Callable[..., ConformationCalculator],
) -> None:
    calculator = make(smiles=ALANINE, check_bonds=False)
    heavy = Atoms("NCCCOO", positions=np.random.default_rng(1).normal(size=(6, 3)))
    heavy.calc = calculator
    np.testing.assert_allclose(heavy.get_forces(), numerical_forces(heavy), atol=1e-6)
    BFGS(heavy, logfile=None).run(fmax=1e-4, steps=500)
    found = distances_of(heavy.positions)
    np.testing.assert_allclose(found, calculator.predicted_distances, atol=1e-3)


def test_atoms_in_one_place_part() -> None:
    calculator = PhysChemCalculator(physchem(), smiles="CCO", check_bonds=False)
    atoms = anywhere(calculator)
    atoms.positions[1] = atoms.positions[0]
    assert np.isfinite(atoms.get_forces()).all()
    atoms.positions[1] += [1e-3, 0, 0]
    np.testing.assert_allclose(
        atoms.get_forces(), numerical_forces(atoms, 1e-6), atol=1e-4
    )
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=300)
    assert atoms.get_distance(0, 1) > 0.1


def test_fragments_do_not_hold_each_other(
    make: Callable[..., ConformationCalculator],
) -> None:
    calculator = make(smiles="[Na+].[Cl-]")
    atoms = Atoms("NaCl", [[0, 0, 0], [0, 0, 30.0]], calculator=calculator)
    assert atoms.get_potential_energy() == 0.0


def test_wrong_structures_are_refused(
    make: Callable[..., ConformationCalculator],
) -> None:
    calculator = make(smiles="CCO")
    good = conformer("CCO")
    aim_at(calculator, good)

    def refused(atoms: Atoms, match: str) -> None:
        atoms.calc = calculator
        with pytest.raises(StructureError, match=match):
            atoms.get_potential_energy()

    good.calc = calculator
    good.get_potential_energy()
    refused(good[:-1], "C2H5O, but CCO is C2H6O")
    refused(conformer("CCN"), "C2H7N, but CCO")
    refused(conformer("OCC"), "another order .* like=atoms")
    refused(Atoms(), "is empty")
    periodic = good.copy()
    periodic.cell, periodic.pbc = [9, 9, 9], True
    refused(periodic, "periodic")
    nowhere = good.copy()
    nowhere.positions[2] = np.nan
    refused(nowhere, r"atom 2 \(O\)")
    broken = good.copy()
    broken.positions[2] += 2 * (broken.positions[2] - broken.positions[1])
    refused(broken, r"between atoms 1 \(C\) and 2 \(O\) is broken")
    formed = good.copy()
    formed.set_distance(0, 2, 1.4, fix=0)
    refused(formed, r"between atoms 0 \(C\) and 2 \(O\) is formed")
    # The same formula with other bonds.
    refused(conformer("COC")[[0, 2, 1, 3, 4, 5, 6, 7, 8]], "formed|broken")


def test_order_follows_a_structure(
    make: Callable[..., ConformationCalculator],
) -> None:
    smiles = "CC(=O)NCC#N"
    there = conformer(smiles)
    order = np.random.default_rng(2).permutation(len(there))
    calculator = make(smiles=smiles, like=there[order], check_bonds=False)
    shuffled = there[order]
    shuffled.calc = calculator
    original = there.copy()
    original.calc = make(smiles=smiles, check_bonds=False)
    assert shuffled.get_potential_energy() == pytest.approx(
        original.get_potential_energy(), rel=1e-6
    )
    # Hydrogens of one carbon may have changed places.
    aim_at(calculator, shuffled)
    calculator.check_bonds = True
    shuffled.calc.reset()
    assert shuffled.get_potential_energy() < 0.1
    with pytest.raises(StructureError, match="not those of"):
        make(smiles="CCO", like=conformer("COC"))


def test_of_equivalent_atoms_the_closest_match_counts() -> None:
    smiles = "CC(C)CO"
    there = conformer(smiles)
    calculators = [
        PhysChemCalculator(physchem(), smiles=smiles, like=like, check_bonds=False)
        for like in (there, there[[2, 1, 0, *range(3, len(there))]])
    ]
    energies = []
    for calculator, order in zip(calculators, ([0, 1, 2], [2, 1, 0]), strict=True):
        atoms = there[[*order, 3, 4]]
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    assert energies[0] == pytest.approx(energies[1], rel=1e-9)


def test_molecules_with_hydrogens_of_their_own() -> None:
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    order = [8, 2, 1, 0, 3, 4, 5, 6, 7]
    mol = Chem.RenumberAtoms(mol, order)
    calculator = PhysChemCalculator(physchem(), mol=mol, check_bonds=False)
    assert calculator.graph.numbers.tolist() == [1, 8, 6, 6, 1, 1, 1, 1, 1]
    plain = PhysChemCalculator(physchem(), smiles="OCC")
    np.testing.assert_allclose(
        calculator.predicted_distances, plain.predicted_distances, atol=1e-5
    )


@pytest.mark.parametrize("config", [
    SPRINGS,
    PhysChemConfig(variant="physnet", blocks=2, steps=2, shared=False, **SMALL),
    PhysChemConfig(blocks=2, steps=2, targets=1, **SMALL),
])  # fmt: skip
def test_physnet_forces_are_the_models(config: PhysChemConfig) -> None:
    model = physchem(config).double()
    calculator = PhysChemCalculator(model, smiles=ALANINE, check_bonds=False)
    graph = graph_of(ALANINE).to(torch.float64)
    found = model(graph)
    # The last step starts from the conformation before the last.
    before = np.empty((6, 3))
    before[graph.input_index.numpy()] = found.trajectory[-2].detach().numpy()
    atoms = Atoms("NCCCOO", before, calculator=calculator)
    atoms.get_potential_energy()
    forces = calculator.results["physnet_forces"][graph.input_index.numpy()]
    np.testing.assert_allclose(forces, found.forces.detach().numpy(), atol=1e-9)
    whole = anywhere(calculator)
    whole.get_potential_energy()
    forces = calculator.results["physnet_forces"]
    assert forces.shape == (len(whole), 3)
    assert np.abs(forces[whole.numbers == 1]).max() == 0.0


def test_models_in_other_spaces_have_no_physnet_forces() -> None:
    model = physchem(PhysChemConfig(variant="physnet", space=5, **SMALL))
    atoms = anywhere(PhysChemCalculator(model, smiles="CCO", check_bonds=False))
    atoms.get_forces()
    assert "physnet_forces" not in atoms.calc.results


def test_engine_energies_are_the_engines() -> None:
    atoms = anywhere(HamNetCalculator(hamnet(), smiles="CCO", check_bonds=False))
    atoms.get_potential_energy()
    expected = hamnet()(graph_of("CCO")).energies
    found = atoms.calc.results["engine_energies"]
    assert found.keys() == {"kinetic", "potential", "dissipation"}
    for name, value in found.items():
        assert value == pytest.approx(getattr(expected, name).item(), rel=1e-4)


def test_properties_have_names(tmp_path: Path) -> None:
    path = tmp_path / "two.pt"
    model = physchem(PhysChemConfig(targets=2, head="classification", **SMALL))
    about = {"target_names": ["a", "b"], "task": "classification"}
    card = ModelCard.for_model(model.config, name="two", **about)
    save_model(path, model, card)
    atoms = anywhere(PhysChemCalculator(path, smiles="CCO", check_bonds=False))
    atoms.get_potential_energy()
    logits = model.eval()(graph_of("CCO")).property[0]
    expected = dict(zip("ab", torch.sigmoid(logits).tolist(), strict=True))
    assert atoms.calc.results["properties"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smiles", [ALANINE, "N[C@H](C)C(=O)O", "C/C=C\\C", "C/C=C/C"])
def test_conformation_has_the_stereochemistry_of_the_smiles(smiles: str) -> None:
    calculator = PhysChemCalculator(physchem(), smiles=smiles, check_bonds=False)
    aim_at(calculator, conformer(smiles))
    found = calculator.conformation()
    assert np.array_equal(found.numbers, calculator.graph.numbers)
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    Chem.RemoveStereochemistry(mol)
    shape = Chem.Conformer(len(found))
    shape.SetPositions(found.positions)
    mol.AddConformer(shape)
    Chem.AssignStereochemistryFrom3D(mol)
    assert Chem.MolToSmiles(Chem.RemoveHs(mol)) == Chem.CanonSmiles(smiles)
    heavy = calculator.graph.heavy
    np.testing.assert_allclose(
        distances_of(found.positions[heavy]), calculator.predicted_distances, atol=0.25
    )


def test_mirror_images_have_one_energy_and_stay_what_they_are() -> None:
    calculator = PhysChemCalculator(physchem(), smiles=ALANINE, check_bonds=False)
    aim_at(calculator, conformer(ALANINE))
    energies = []
    for sign in (1, -1):
        atoms = conformer(ALANINE)
        atoms.positions[:, 0] *= sign
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    assert energies[0] == pytest.approx(energies[1], rel=1e-9, abs=1e-12)


def test_copies_pickles_and_trajectories(
    make: Callable[..., ConformationCalculator], tmp_path: Path
) -> None:
    atoms = anywhere(make(smiles="CCO", check_bonds=False))
    forces = atoms.get_forces()
    for other in (copy.deepcopy(atoms.calc), pickle.loads(pickle.dumps(atoms.calc))):
        again = atoms.copy()
        again.calc = other
        np.testing.assert_allclose(again.get_forces(), forces, atol=1e-12)
        assert other.results.keys() == atoms.calc.results.keys()
    with Trajectory(tmp_path / "a.traj", "w") as file:
        file.write(atoms)
    with Trajectory(tmp_path / "a.traj") as file:
        np.testing.assert_allclose(file[0].get_forces(), forces, atol=1e-12)


def test_unusable_arguments() -> None:
    with pytest.raises(DataError, match="once"):
        PhysChemCalculator(physchem())
    with pytest.raises(DataError, match="not a valid SMILES"):
        PhysChemCalculator(physchem(), smiles="C(C")
    with pytest.raises(PotentialError, match="use HamNetCalculator"):
        PhysChemCalculator(hamnet(), smiles="CCO")
    with pytest.raises(PotentialError, match="use PhysChemCalculator"):
        HamNetCalculator(physchem(), smiles="CCO")
    with pytest.raises(PotentialError, match="stiffness"):
        PhysChemCalculator(physchem(), smiles="CCO", stiffness=0)
    with pytest.raises(PotentialError, match="hops"):
        PhysChemCalculator(physchem(), smiles="CCO", hops=0)
    chemnet = physchem(PhysChemConfig(variant="chemnet", targets=1, **SMALL))
    with pytest.raises(PotentialError, match="no conformation"):
        PhysChemCalculator(chemnet, smiles="CCO")
    given = HamNet(HamNetConfig(conformation="given", targets=1))
    with pytest.raises(PotentialError, match="reads conformations"):
        HamNetCalculator(given, smiles="CCO")


def test_restraints_are_flat_between_bounds() -> None:
    bounds = Restraints(np.array([[0], [1]]), np.array([1.0]), np.array([2.0]))

    def energy(length: float) -> float:
        positions = np.array([[0.0, 0, 0], [0, 0, length]])
        return bounds.energy_and_forces(positions, 2.0)[0]

    assert energy(1.0) == energy(1.5) == energy(2.0) == 0.0
    assert energy(2.5) == pytest.approx(0.25, rel=1e-3)
    assert energy(0.5) == pytest.approx(0.25, rel=1e-3)


def test_water_is_whole() -> None:
    calculator = PhysChemCalculator(physchem(), smiles="O")
    atoms = molecule("H2O")
    atoms.calc = calculator
    BFGS(atoms, logfile=None).run(fmax=1e-3, steps=100)
    assert atoms.get_angle(1, 0, 2) == pytest.approx(104.5, abs=4)
