"""Native code gives what autograd gives of the torch model."""

import copy
import pickle
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import graphene, molecule

import ase_physml.native
import ase_physml.potential
from ase_physml import PhysMLCalculator
from ase_physml.errors import PotentialError, StructureError
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.native import native_of
from ase_physml.native.binding import shared_object
from ase_physml.native.curves import error_between, nodes_needed, nodes_of, spacing
from ase_physml.potential import LoadedPotential

SMALL = {"elements": (1, 6, 7, 8), "width": 16, "depth": 2, "heads": 2, "n_basis": 8}
# Each switch and shape that the loops know, and widths that fill no vector register.
SHAPES: dict[str, dict[str, Any]] = {
    "as ever": {},
    "one head": {"heads": 1},
    "odd width": {"width": 21, "heads": 3},
    "narrow": {"width": 2, "heads": 1},
    "one layer": {"depth": 1},
    "four layers": {"depth": 4},
    "no pair terms": {"pair_energy": False},
    "no atom terms": {"atom_energy": False},
    "endless pairs": {"pair_cutoff": None},
    "short pairs": {"pair_cutoff": 5.0},
    "narrow basis": {"n_basis": 48, "cutoff": 6.5},
    "alpha": {"alpha": 1.7},
    "no mam": {"mam": False},
    "many heads": {"width": 40, "heads": 20},
    "angles": {"angular": 3},
    "angles, odd width": {"angular": 2, "width": 21, "heads": 3},
    "angles, many heads": {"angular": 1, "width": 40, "heads": 20},
    "charges": {"pair_terms": "physical"},
    "charges, odd width": {"pair_terms": "physical", "width": 21, "heads": 3},
    "charges, endless": {"pair_terms": "physical", "pair_cutoff": None},
    "charges, short": {"pair_terms": "physical", "pair_cutoff": 5.0},
    "charges, no atom terms": {"pair_terms": "physical", "atom_energy": False},
}
TOLERANCE = {"float64": 1e-7, "float32": 1e-3}


def random_model(seed: int = 0, **changes: Any) -> PhysML:
    """All weights away from where training starts, those of norms and gates too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PhysML(PhysMLConfig(**{**SMALL, **changes}))
        with torch.no_grad():
            for name, values in model.named_parameters():
                scale = 0.02 if name.startswith("basis") else 0.3
                values.add_(torch.randn_like(values) * scale)
    return model


def rattled(name: str = "CH3CONH2") -> Atoms:
    atoms = molecule(name)
    atoms.rattle(0.1, seed=1)
    return atoms


def in_cell(pbc: tuple[int, int, int], size: float = 1.0) -> Atoms:
    atoms = rattled("CH3OH")
    atoms.set_cell(size * np.array([[5.0, 0, 0], [1, 6.0, 0], [0, -2, 7.0]]))
    atoms.pbc = pbc
    return atoms


def both(
    model: PhysML, dtype: str = "float64"
) -> tuple[PhysMLCalculator, PhysMLCalculator]:
    made = [
        PhysMLCalculator(model, device="cpu", dtype=dtype, backend=backend)  # type: ignore[arg-type]
        for backend in ("native", "torch")
    ]
    return made[0], made[1]


def assert_alike(
    model: PhysML, structures: list[Atoms], dtype: str = "float64"
) -> None:
    native, by_torch = both(model, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = native.calculate_many(structures)
        expected = by_torch.calculate_many(structures)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, values in other.items():
            assert np.shape(one[name]) == np.shape(values)
            scale = max(1.0, float(np.abs(values).max()))
            error = float(np.abs(one[name] - values).max())
            assert error < TOLERANCE[dtype] * scale, (name, error)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_the_model(shape: str, dtype: str) -> None:
    assert_alike(random_model(**SHAPES[shape]), [rattled(), rattled("HCN")], dtype)


def far_apart() -> Atoms:
    """Beyond attention, on the taper, and beyond the pair terms."""
    atoms = rattled("H2O")
    for shift in (7.0, 24.5, 60.0):
        other = rattled("H2O")
        other.positions[:, 0] += shift
        atoms += other
    return atoms


@pytest.mark.parametrize(
    "atoms",
    [
        Atoms("O"),
        Atoms("H2", [[0, 0, 0], [0, 0, 0.2]]),
        Atoms("H2", [[0, 0, 0], [0, 0, 0.02]]),
        Atoms("N2", [[0, 0, 0], [0, 0, 4.9999]]),
        far_apart(),
    ],
    ids=["one", "close", "closer", "at the cutoff", "far"],
)
@pytest.mark.parametrize("terms", ["paper", "physical"])
def test_molecules_of_all_kinds(atoms: Atoms, terms: str) -> None:
    assert_alike(random_model(pair_terms=terms), [atoms])


@pytest.mark.parametrize(
    "atoms",
    [
        in_cell((1, 1, 1)),
        in_cell((1, 1, 1), size=0.6),
        in_cell((0, 1, 1)),
        in_cell((0, 0, 1), size=0.5),
        graphene(size=(1, 1, 1), vacuum=6.0),
    ],
    ids=["crystal", "small", "sheet", "wire", "graphene"],
)
@pytest.mark.parametrize("terms", [{}, {"pair_energy": False}, {"angular": 2}], ids=str)
def test_cells(atoms: Atoms, terms: dict[str, Any]) -> None:
    assert_alike(random_model(pair_cutoff=8.0, **terms), [atoms])


@pytest.mark.parametrize("size", [1.0, 0.6])
def test_charges_in_cells(size: float) -> None:
    """Ewald's sum in space and over waves, forces and stress of it."""
    model = random_model(pair_cutoff=8.0, pair_terms="physical")
    assert_alike(model, [in_cell((1, 1, 1), size)])


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_kind_of_vector_unit(kind: int, dtype: str) -> None:
    model = random_model(pair_terms="physical", width=21, heads=3)
    try:
        shared_object().physml_kind(kind)
        assert_alike(model, [rattled(), in_cell((1, 1, 1))], dtype)
    finally:
        shared_object().physml_kind(-1)


@pytest.mark.parametrize("pair_cutoff", [8.0, None])
def test_large_molecules_take_lists_of_neighbours(pair_cutoff: float | None) -> None:
    atoms = Atoms()
    for k in range(52):
        one = rattled("CH3OH")
        one.positions += [3.5 * (k % 8), 4.0 * (k // 8), 0.0]
        atoms += one
    shape = {"width": 2, "heads": 1, "depth": 1}
    assert_alike(random_model(pair_cutoff=pair_cutoff, **shape), [atoms])


def test_a_committee(tiny_committee: Path) -> None:
    found, expected = (
        PhysMLCalculator(tiny_committee, device="cpu", backend=backend).calculate_many(  # type: ignore[arg-type]
            [rattled()]
        )[0]
        for backend in ("native", "torch")
    )
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-7)


def test_tables_are_as_fine_as_slopes_need() -> None:
    """The narrowest basis function of qm9.pt is worth less than its width says."""
    calculator = PhysMLCalculator("qm9.pt", device="cpu", backend="native")
    (model,) = calculator.loaded.members
    assert isinstance(model, PhysML)
    with torch.no_grad():
        found = nodes_needed(model)
        assert 300 < found < nodes_of(model)
        species = torch.arange(len(model.config.elements) + 1)
        assert error_between(model, species, found) < 1e-6


def test_forces_are_the_gradient_of_the_tables() -> None:
    """Across nodes as well: here the curves are as coarse as they get."""
    model = random_model().double()
    native = native_of(model)
    numbers, n_atoms = np.array([6, 8, 1, 1]), np.array([4])
    start = np.array([[0.0, 0, 0], [1.2, 0, 0], [-0.6, 0.9, 0], [-0.6, -0.9, 0.1]])
    direction = np.random.default_rng(0).normal(size=start.shape)
    step, length = 1e-4, spacing(model, nodes_of(model)) * 3.0

    def at(t: float) -> tuple[float, float]:
        found = native.evaluate(numbers, start + t * direction, n_atoms)
        return found.energies.sum(), -(found.forces * direction).sum()

    for t in np.linspace(0.0, length, 7):
        slope = (at(t + step)[0] - at(t - step)[0]) / (2.0 * step)
        assert slope == pytest.approx(at(t)[1], abs=1e-5 * max(1.0, abs(slope)))


@pytest.fixture
def calculator(tiny_potential: Path) -> PhysMLCalculator:
    return PhysMLCalculator(tiny_potential, device="cpu", backend="native")


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_are_what_single_structures_are(
    calculator: PhysMLCalculator, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    names = ["H2O", "CH3CH2OH", "HCN", "CH4", "C6H6", "H2O"] * 3
    structures = [rattled(name) for name in names]
    structures.insert(4, in_cell((1, 1, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together = calculator.calculate_many(structures)
        alone = [calculator.calculate_many([one])[0] for one in structures]
    for one, other in zip(together, alone, strict=True):
        assert one["energy"] == pytest.approx(other["energy"], abs=1e-10)
        np.testing.assert_allclose(one["forces"], other["forces"], atol=1e-10)


def test_threads_share_a_model() -> None:
    """Curves of an element are made once, by whoever needs them first."""
    model = random_model().double()
    atoms, native = rattled(), native_of(model)
    found: list[float] = []

    def run() -> None:
        out = native.evaluate(atoms.numbers, atoms.positions, np.array([9]))
        found.append(out.energies.sum())

    workers = [threading.Thread(target=run) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(found)) == 1
    assert len(found) == 8


def test_the_default_is_native_where_it_applies(tiny_potential: Path) -> None:
    assert PhysMLCalculator(tiny_potential, device="cpu").loaded.is_native
    by_torch = PhysMLCalculator(tiny_potential, device="cpu", backend="torch")
    assert not by_torch.loaded.is_native
    other = PhysMLCalculator(random_model(cls="one-way"), device="cpu")
    assert not other.loaded.is_native
    assert np.isfinite(other.calculate_many([rattled()])[0]["energy"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": {"cls": "one-way"}}, "CLS"),
        ({"model": {"a_mask": True}}, "A-mask"),
        ({"backend": "fast"}, "must be one of auto, native, torch"),
        ({"compiled": True}, "compiled"),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_refused_in_one_line(
    options: dict[str, Any], said: str
) -> None:
    model = random_model(**options.pop("model", {}))
    with pytest.raises(PotentialError, match=said) as raised:
        PhysMLCalculator(model, **{"backend": "native", "device": "cpu", **options})
    assert "\n" not in str(raised.value)


def test_without_a_compiler_torch_computes_and_says_so_once(
    tiny_potential: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ase_physml.potential, "failure", lambda: "no compiler")
    monkeypatch.setattr(ase_physml.native, "failure", lambda: "no compiler")
    ase_physml.native.warn_of_failure.cache_clear()
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    with pytest.warns(UserWarning, match="by torch.*no compiler"):
        calculator.calculate_many([rattled()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calculator.calculate_many([rattled("HCN")])
    with pytest.raises(PotentialError, match="no compiler"):
        PhysMLCalculator(tiny_potential, device="cpu", backend="native")


def test_features_out_of_range_are_left_to_torch() -> None:
    model = random_model()
    assert model.pair_energy is not None
    with torch.no_grad():
        model.pair_energy.first.bias += 2000.0
        model.pair_energy.second.weight *= 1e-3
    assert_alike(model, [rattled(), in_cell((1, 1, 1))])


def test_atoms_in_one_place_are_refused(calculator: PhysMLCalculator) -> None:
    atoms = rattled()
    atoms.positions[3] = atoms.positions[5] + 1e-3
    with pytest.raises(StructureError, match=r"3 \(.\) and 5 \(.\) coincide"):
        calculator.calculate_many([rattled("HCN"), atoms])


def test_copies_and_pickles(tiny_potential: Path) -> None:
    calculator = PhysMLCalculator(tiny_potential, device="cpu", backend="native")
    (expected,) = calculator.calculate_many([rattled()])
    for other in (copy.deepcopy(calculator), pickle.loads(pickle.dumps(calculator))):
        assert other.loaded.backend == "native"
        assert other.calculate_many([rattled()])[0]["energy"] == expected["energy"]


def test_graphs_of_all_layouts() -> None:
    """What torch-sim evaluates: tensors in, tensors out."""
    native, by_torch = (
        LoadedPotential.open(random_model(), "cpu", "float64", backend)
        for backend in ("native", "torch")
    )
    from ase_physml.calculators.batching import tensors_of

    structures = [rattled(), rattled("HCN"), in_cell((1, 0, 1))]
    cpu = torch.device("cpu")
    for some in (structures[:1], structures[:2], structures):
        graph = native.graph(tensors_of(some, cpu, "float64"))
        (found,), (expected,) = native.evaluate(graph), by_torch.evaluate(graph)
        for one, other in zip(found, expected, strict=True):
            if other is not None:
                torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-7)
