"""Committees are made, calibrated, and say what they do not know."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from typer.testing import CliRunner

from ase_physml import PhysMLCalculator, relax_many
from ase_physml.cli import app
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import DataError, PotentialError
from ase_physml.store.checkpoint import load_potential, load_potentials
from ase_physml.workflows.paths.neb import Search, find_paths
from ase_physml.workflows.relax import Relaxed
from ase_physml.workflows.uncertainty import (
    Doubt,
    Spread,
    make_committee,
    measure_spread,
)


@pytest.fixture
def labelled(tiny_committee: Path, tmp_path: Path) -> RaggedSet:
    """What the committee says, and noise of 0.2 eV and 0.4 eV/Å on it."""
    random = np.random.default_rng(0)
    calculator = PhysMLCalculator(tiny_committee, device="cpu")
    frames = []
    for seed in range(40):
        atoms = molecule(["CH3OH", "CH3CHO", "C2H6", "HCN"][seed % 4])
        atoms.rattle(0.1, seed=seed)
        (found,) = calculator.calculate_many([atoms])
        forces = found["forces"]
        frames.append(
            Frame(
                atoms.numbers,
                atoms.positions,
                found["energy"] + 0.2 * random.normal(),
                forces + 0.4 * random.normal(size=forces.shape),
            )
        )
    path = tmp_path / "labelled.h5"
    write(path, frames, Metadata("none, random weights"))
    return RaggedSet(path)


def test_the_scaled_spread_is_as_large_as_the_error(
    members: list[Path], labelled: RaggedSet, tmp_path: Path
) -> None:
    out = tmp_path / "joined.pt"
    card = make_committee(members, out, labelled, range(40))
    calculator = PhysMLCalculator(out, device="cpu")
    assert len(calculator.members) == 3
    assert calculator.card is not None and calculator.card.name == "joined"
    spreads, errors, above, atoms = [], [], 0, 0
    for frame in labelled.read(np.arange(40)):
        structure = Atoms(frame.numbers, frame.positions)
        (found,) = calculator.calculate_many([structure])
        spread = np.linalg.norm(found["forces_std"], axis=1)
        spreads.append(spread**2)
        errors.append(((found["forces"] - frame.forces) ** 2).sum(axis=1))
        above += (spread > card["threshold_eV_per_A"]).sum()
        atoms += len(spread)
    mean = np.concatenate(errors).mean()
    assert np.concatenate(spreads).mean() == pytest.approx(mean, rel=1e-6)
    assert above == pytest.approx(0.05 * atoms, abs=1)


def test_calibration_refuses(
    members: list[Path], labelled: RaggedSet, tmp_path: Path
) -> None:
    out = tmp_path / "joined.pt"
    with pytest.raises(PotentialError, match="two members"):
        make_committee(members[:1], out, labelled, range(40))
    with pytest.raises(DataError, match="agree everywhere"):
        make_committee([members[0], members[0]], out, labelled, range(40))
    with pytest.raises(DataError, match="needs frames"):
        make_committee(members, out, labelled, [])
    bare = tmp_path / "bare.h5"
    write(bare, [Frame(np.array([1, 1]), np.eye(2, 3))], Metadata())
    with pytest.raises(DataError, match="energy and forces"):
        make_committee(members, out, RaggedSet(bare), [0])
    assert not out.exists()


def test_relative_energies_calibrate_differences(
    tiny_committee: Path, labelled: RaggedSet, tmp_path: Path
) -> None:
    """What is added to both energies of a reaction changes nothing."""
    frames = []
    for k, frame in enumerate(labelled):
        pair, role = divmod(k, 2)
        name = f"rxn{pair}/{'r' if role == 0 else 'ts'}"
        assert frame.energy is not None
        energy = None if k in (6, 9) else frame.energy + 1000.0 * pair
        frames.append(replace(frame, name=name, energy=energy))
    path = tmp_path / "relative.h5"
    write(path, frames, Metadata("none", energy_kind="relative to the reactant's"))
    calculator = PhysMLCalculator(tiny_committee, device="cpu")
    known = measure_spread(calculator, labelled, range(40))
    found = measure_spread(calculator, RaggedSet(path), range(40))
    # Frames are visited by size; of 20 reactions, two have one energy only.
    errors = np.empty(40)
    errors[sorted(range(40), key=lambda k: len(frames[k].numbers))] = (
        known.energy_errors
    )
    expected = np.abs(np.delete(errors[1::2] - errors[::2], [3, 4]))
    np.testing.assert_allclose(
        np.sort(np.abs(found.energy_errors)), np.sort(expected), atol=1e-4
    )
    np.testing.assert_allclose(found.force_errors, known.force_errors)


def test_rank_correlation_sees_order() -> None:
    random = np.random.default_rng(0)
    std = random.uniform(0.1, 2.0, 500)
    errors = std * random.normal(size=500)
    shuffled = random.permutation(std)
    ranks = Spread(errors, std, np.abs(errors), std).uncertainty()
    none = Spread(errors, shuffled, np.abs(errors), shuffled).uncertainty()
    assert ranks["rank_correlation_forces"] > 0.3
    assert abs(none["rank_correlation_forces"]) < 0.15


def test_member_of_a_committee(tiny_committee: Path) -> None:
    models, _ = load_potentials(tiny_committee)
    model, card = load_potential(tiny_committee, 2)
    assert card.format_version == 2
    for name, value in models[2].state_dict().items():
        assert (model.state_dict()[name] == value).all()
    with pytest.raises(PotentialError, match="committee of 3"):
        load_potential(tiny_committee)
    with pytest.raises(PotentialError, match="members 0 to 2"):
        load_potential(tiny_committee, 3)


def test_relaxations_and_paths_know_their_doubt(tiny_committee: Path) -> None:
    calculator = PhysMLCalculator(tiny_committee, device="cpu")
    start, end = molecule("CH3OH"), molecule("CH3OH")
    end.rattle(0.1, seed=0)
    (done,) = relax_many([end], calculator, steps=3)
    assert isinstance(done, Relaxed) and done.doubt is not None
    (last,) = calculator.calculate_many([done.atoms])
    # Not only of the last structure: the worst on the way.
    assert done.doubt.largest >= np.linalg.norm(last["forces_std"], axis=1).max()
    # Two hydrogens change places: there is a maximum between.
    end = start.copy()
    end.positions[[4, 5]] = end.positions[[5, 4]]
    search = Search(images=4, fmax=1e6, steps=1, relax_ends=False, certify=False)
    (path,) = find_paths([(start, end)], calculator, search)
    assert not isinstance(path, Exception)
    assert path.doubt is not None and path.barrier_std is not None
    first, top = (
        calculator.calculate_many([path.images[k]])[0]["energy_members"]
        for k in (0, path.saddle)
    )
    assert path.barrier_std == pytest.approx(2.0 * np.std(top - first, ddof=1))


def test_doubtful_atoms_are_named() -> None:
    doubt = Doubt(molecule("H2O"), np.array([0.1, 0.5, 0.3]))
    assert doubt.about(0.2) == "1 (H), 2 (H)"
    assert doubt.about(0.6) == ""
    assert Doubt(molecule("C2H6"), np.arange(8.0)).about(0.5).endswith("and 2 more")


def test_a_member_may_be_named_like_a_shipped_potential(
    members: list[Path],
    labelled: RaggedSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    members[0].rename("qm9.pt")
    line = ["committee", str(members[1]), "--data", str(labelled.path)]
    out = str(tmp_path / "joined.pt")
    result = CliRunner().invoke(app, [*line, "--out", out, "./qm9.pt"])
    assert result.exit_code == 0, result.output
    # The shipped one is of another level of theory.
    out = str(tmp_path / "other.pt")
    result = CliRunner().invoke(app, [*line, "--out", out, "qm9.pt"])
    assert isinstance(result.exception, PotentialError)
    assert "B3LYP" in str(result.exception)


def test_active_learning_from_the_command_line(
    members: list[Path], labelled: RaggedSet, tmp_path: Path
) -> None:
    out = tmp_path / "joined.pt"
    line = ["committee", *map(str, members), "--data", str(labelled.path)]
    result = CliRunner().invoke(app, [*line, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "3 potentials" in result.stdout
    card = CliRunner().invoke(app, ["info", str(out)])
    assert "threshold_eV_per_A" in card.stdout
    # A structure far from those of the calibration.
    torn = molecule("CH3CONH2")
    torn.rattle(0.6, seed=1)
    torn.write(tmp_path / "torn.xyz")
    doubtful = tmp_path / "doubtful.h5"
    line = ["relax", str(tmp_path / "torn.xyz"), "--steps", "3", "--model", str(out)]
    line += ["--out", str(tmp_path / "out"), "--uncertain", str(doubtful)]
    line += ["--collect", str(tmp_path / "all.h5")]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.output
    assert "torn: the forces on atoms" in result.stdout
    data = RaggedSet(doubtful)
    assert len(data) == 1 and not data.has("energy")
    assert data[0].name == "torn"
    everything = RaggedSet(tmp_path / "all.h5")
    assert everything.has("energy") and everything.has("forces")


def test_export_needs_a_threshold(tiny_potential: Path, tmp_path: Path) -> None:
    line = ["relax", "O", "--model", str(tiny_potential), "--uncertain", "u.h5"]
    result = CliRunner().invoke(app, [*line, "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, PotentialError)
    assert "physml committee" in str(result.exception)
