"""Suites measure what they say, and lose nothing to a calculator that misbehaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from typer.testing import CliRunner

from ase_physml import PhysMLCalculator
from ase_physml.cli import app
from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import reactions
from ase_physml.data.index_split import Split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.errors import DataError
from ase_physml.evaluation import measure
from ase_physml.evaluation.candidate import REACTIONS, Candidate, Molecule, listed
from ase_physml.evaluation.page import write_report
from ase_physml.evaluation.suite import Record, Suite, run_suite
from ase_physml.evaluation.suites.assembly import ASSEMBLY, cuttable
from ase_physml.evaluation.suites.barriers import REACTION
from ase_physml.evaluation.suites.masked import MASKED, slide
from ase_physml.evaluation.suites.scans import count_wells
from ase_physml.evaluation.suites.smoothness import SMOOTHNESS
from ase_physml.evaluation.suites.structure import DEVIATIONS, STRUCTURE
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.inputs import from_smiles


class Springs(Calculator):
    """Every pair of atoms held at the distance it has in a reference structure.

    A surface whose minimum, stiffness and slopes are known exactly.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, *references: Atoms) -> None:
        super().__init__()
        self.lengths = {len(a): a.get_all_distances() for a in references}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: object = None,
        system_changes: object = tuple(all_changes),
    ) -> None:
        super().calculate(atoms)
        rest = self.lengths[len(self.atoms)]
        vectors = self.atoms.get_all_distances(vector=True)
        now = np.linalg.norm(vectors, axis=2) + np.eye(len(rest))
        off = (now - rest) * (1.0 - np.eye(len(rest)))
        self.results = {
            "energy": float(2.5 * (off**2).sum()),
            "forces": 10.0 * (vectors * (off / now)[..., None]).sum(axis=1),
        }


@pytest.fixture
def ethanol() -> Molecule:
    return Molecule("ethanol", molecule("CH3CH2OH"), minimum=True)


def test_springs_bring_everything_back(ethanol: Molecule, tmp_path: Path) -> None:
    candidate = Candidate("springs", Springs(ethanol.atoms), [ethanol])
    records = run_suite(STRUCTURE, candidate, tmp_path / "s.jsonl")
    assert len(records) == len(DEVIATIONS)
    rows = STRUCTURE.rows(records)
    assert rows["no displacement"]["ΔP mean (Å)"] == pytest.approx(0.0, abs=1e-9)
    assert rows["0.1 Å"]["within 0.1 Å (%)"] == 100.0
    assert 1e-6 < float(rows["0.1 Å"]["ΔP mean (Å)"]) < 0.01
    records = run_suite(ASSEMBLY, candidate, tmp_path / "a.jsonl")
    rows = ASSEMBLY.rows(records)
    assert rows["one group"]["assembled (%)"] == 100.0
    (first, _) = records.values()
    moved = np.subtract(first["before"], ethanol.atoms.positions)
    # Only the group moves, and all of it by as much.
    lengths = np.linalg.norm(moved, axis=1)
    assert set(lengths.round(3)) == {0.0, 0.7}


def test_a_flat_surface_brings_nothing_back(ethanol: Molecule, tmp_path: Path) -> None:
    class Flat(Springs):
        def calculate(self, *arguments: object, **options: object) -> None:
            super().calculate(*arguments, **options)
            self.results = {"energy": 0.0, "forces": 0.0 * self.results["forces"]}

    candidate = Candidate("flat", Flat(ethanol.atoms), [ethanol])
    rows = STRUCTURE.rows(run_suite(STRUCTURE, candidate, tmp_path / "s.jsonl"))
    assert float(rows["0.5 Å"]["ΔP mean (Å)"]) > 0.4
    rows = ASSEMBLY.rows(run_suite(ASSEMBLY, candidate, tmp_path / "a.jsonl"))
    assert rows["one group"]["assembled (%)"] == 0.0


def test_a_minimum_of_something_else_is_no_molecule(
    ethanol: Molecule, tmp_path: Path
) -> None:
    other = ethanol.atoms.copy()
    other.positions[ethanol.atoms.symbols == "O"] += 2.0
    candidate = Candidate("springs", Springs(other), [ethanol])
    rows = ASSEMBLY.rows(run_suite(ASSEMBLY, candidate, tmp_path / "a.jsonl"))
    assert float(rows["one group"]["RMSD median (Å)"]) < 0.1
    assert rows["one group"]["assembled (%)"] == 0.0


def test_functional_groups() -> None:
    atoms = from_smiles("CC(=O)NC1CC1")
    groups = cuttable(atoms)
    formulas = {atoms[members].get_chemical_formula() for _, members in groups}
    # Methyl, acetyl, amide and cyclopropyl; the ring and C=O stay whole.
    assert formulas == {"CH3", "C2H3O", "C2H4NO", "C3H5"}
    for (rest, root), members in groups:
        assert root in members and rest not in members
    assert cuttable(molecule("CH4")) == []


def test_listed_molecules_can_be_embedded_and_cut() -> None:
    found = listed(10_000)
    assert len(found) >= 100
    assert len({one.name for one in found}) == len(found)
    assert sum(bool(cuttable(one.atoms)) for one in found) >= 100


def test_wells() -> None:
    # A hole at the end of a scan is one too.
    x = np.linspace(-2, 2, 200)
    assert count_wells(x**2) == 1
    assert count_wells((x**2 - 1) ** 2) == 2
    assert count_wells(x) == 1
    assert count_wells(-x) == 1


def test_smoothness_of_a_smooth_surface(ethanol: Molecule, tmp_path: Path) -> None:
    systems = [molecule(n) for n in ("H2", "CH4", "CH3CH2OH")]
    both = molecule("CH4") + molecule("H2O")
    both.positions[5:] += [0, 0, 6.0]
    candidate = Candidate("springs", Springs(*systems, both), [ethanol])
    records = run_suite(SMOOTHNESS, candidate, tmp_path / "s.jsonl")
    assert all("error" not in record for record in records.values()), records
    rows = SMOOTHNESS.rows(records)
    assert rows["scans"]["one well (%)"] == 100.0
    assert float(rows["scans"]["force against slope, worst"]) < 1e-4
    assert float(rows["CH4"]["C-H bonds differ by (Å)"]) < 1e-3


def test_forces_that_are_no_slope_are_seen(ethanol: Molecule, tmp_path: Path) -> None:
    class Wrong(Springs):
        def calculate(self, *arguments: object, **options: object) -> None:
            super().calculate(*arguments, **options)
            self.results["forces"] = 0.5 * self.results["forces"]

    candidate = Candidate("wrong", Wrong(molecule("H2"), ethanol.atoms), [ethanol])
    rows = SMOOTHNESS.rows(run_suite(SMOOTHNESS, candidate, tmp_path / "s.jsonl"))
    assert float(rows["scans"]["force against slope, worst"]) > 0.4


def test_hidden_atoms(tiny_potential: Path, tmp_path: Path) -> None:
    calculator = PhysMLCalculator(tiny_potential, device="cpu")
    likely = slide(calculator, molecule("CH4"), 0)
    assert set(likely) == {1, 6, 7, 8}
    np.testing.assert_allclose(sum(likely.values()), 1.0, atol=1e-9)
    assert np.ptp(likely[6]) > 1e-6
    candidate = Candidate("tiny", calculator, [])
    rows = MASKED.rows(run_suite(MASKED, candidate, tmp_path / "m.jsonl"))
    assert set(rows) == {"CH4", "pyrrole"}
    other = run_suite(MASKED, Candidate("emt", EMT(), []), tmp_path / "e.jsonl")
    assert "only PhysML" in other["all cases"]["error"]


@pytest.fixture
def reaction_set(tmp_path: Path) -> Path:
    """Water, bent, through a straight one; labels as springs give them, and 0.1 eV."""
    bent, straight, other = molecule("H2O"), molecule("H2O"), molecule("H2O")
    straight.set_angle(1, 0, 2, 180.0)
    other.set_angle(1, 0, 2, 120.0)
    frames = []
    for role, atoms, shift in (("r", bent, 0), ("ts", straight, 0.1), ("p", other, 0)):
        atoms.calc = Springs(molecule("H2O"))
        energy = atoms.get_potential_energy() + shift
        frames.append(
            Frame(atoms.numbers, atoms.positions, energy, name=f"bending/{role}")
        )
    path = tmp_path / "reactions.h5"
    write(path, frames, Metadata("springs", equilibrium=False))
    return path


def test_barriers(reaction_set: Path, tmp_path: Path) -> None:
    springs = Springs(molecule("H2O"))
    candidate = Candidate("springs", springs, [], reactions=reaction_set)
    (row,) = REACTION.rows(
        run_suite(REACTION, candidate, tmp_path / "r.jsonl")
    ).values()
    assert row["barrier MAE (eV)"] == pytest.approx(0.1)
    assert row["reaction energy MAE (eV)"] == pytest.approx(0.0, abs=1e-6)
    candidate.reference = springs
    (row,) = REACTION.rows(
        run_suite(REACTION, candidate, tmp_path / "q.jsonl")
    ).values()
    assert row["barrier MAE (eV)"] == pytest.approx(0.0, abs=1e-6)
    assert row["profile MAE (eV)"] == pytest.approx(0.0, abs=1e-6)


def test_reactions_that_come_along() -> None:
    found = list(reactions(RaggedSet(REACTIONS)))
    assert len(found) == 8
    for one in found:
        assert one.saddle is not None
        assert one.reactant.energy is not None
        assert one.product.energy is not None
        top = one.saddle.energy
        assert top is not None
        assert top > max(one.reactant.energy, one.product.energy)
        assert one.saddle.forces is not None
        assert np.linalg.norm(one.saddle.forces, axis=1).max() < 0.1


def _suite(cases: dict[str, object]) -> Suite:
    return Suite("toy", "", "", lambda _: list(cases.items()), lambda _: {}, {})


def test_what_goes_wrong_is_a_record(tmp_path: Path) -> None:
    def raises() -> Record:
        raise RuntimeError("broken inside\nwith details")

    suite = _suite(
        {"a": raises, "b": lambda: {"x": [1.0, np.nan]}, "c": lambda: {"x": 1}}
    )
    candidate = Candidate("toy", EMT(), [])
    found = run_suite(suite, candidate, tmp_path / "toy.jsonl")
    assert found["a"] == {"error": "RuntimeError: broken inside"}
    assert "not a finite number" in found["b"]["error"]
    assert found["c"] == {"x": 1}


def test_goes_on_where_it_was(tmp_path: Path) -> None:
    journal, calls = tmp_path / "toy.jsonl", []

    def stops() -> Record:
        calls.append("stop")
        raise KeyboardInterrupt

    def works() -> Record:
        calls.append("work")
        return {"x": 1}

    candidate = Candidate(
        "toy", EMT(), [], settings=Identity.of("evaluate", 1, file="1")
    )
    with pytest.raises(KeyboardInterrupt):
        run_suite(_suite({"a": works, "b": stops}), candidate, journal)
    with journal.open("a") as file:
        file.write('{"case": "b", "rec')  # cut short by a kill
    file.close()
    found = run_suite(_suite({"a": works, "b": works}), candidate, journal)
    assert found == {"a": {"x": 1}, "b": {"x": 1}}
    assert calls == ["work", "stop", "work"]
    candidate.settings = Identity.of("evaluate", 1, file="2")
    with pytest.raises(DataError, match="file was 1, is 2"):
        run_suite(_suite({"a": works}), candidate, journal)


KILLER = """
import os, signal
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
class Killer(EMT):
    def calculate(self, atoms, *rest):
        if len(atoms) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        super().calculate(atoms, *rest)
"""


def test_a_calculator_that_kills_the_process(tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    write(
        tmp_path / "set.h5",
        [
            Frame(a.numbers, a.positions, name=n)
            for n, a in ((n, molecule(n)) for n in ("H2O", "N2"))
        ],
        Metadata(equilibrium=True),
    )
    line = [sys.executable, "-m", "ase_physml.cli", "evaluate", "killer:Killer"]
    line += ["--data", "set.h5", "--suites", "structure", "--out", "report"]
    codes = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(2 * len(DEVIATIONS) + 1):
        done = subprocess.run(line, cwd=tmp_path, check=False, env=environment)
        codes.append(done.returncode)
        if not done.returncode:
            break
    assert codes[0] == -9 and codes[-1] == 0
    tables = json.loads((tmp_path / "report" / "report.json").read_text())
    found = tables["structure"]["killer:Killer"]
    assert "died here" in found["errors"]["H2O from 0 Å"]
    assert found["rows"]["0.1 Å"]["molecules"] == 1
    assert "cases failed" in (tmp_path / "report" / "report.html").read_text()


def test_the_page(tiny_potential: Path, reaction_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    line = [
        "evaluate",
        "emt",
        str(tiny_potential),
        "--molecules",
        "1",
        "--out",
        str(out),
    ]
    line += ["--suites", "masked,reaction", "--reactions", str(reaction_set)]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.output
    page = (out / "report.html").read_text()
    assert "Hidden atoms" in page and "data:image/png;base64," in page
    assert "http" not in page.replace("https://www.w3.org", "")
    assert "emt: 1 of 1 cases failed" in page
    result = CliRunner().invoke(app, ["evaluate", "emt", "--suites", "beauty"])
    assert "no suite beauty" in str(result.exception)


def test_names_are_text_in_the_page(tmp_path: Path) -> None:
    bad = "<script>alert('$x')</script>"
    molecules = [Molecule(name, molecule("H2O")) for name in (bad, "<b>&$_{")]
    candidate = Candidate("<i>lj$", LennardJones(), molecules)
    broken = Candidate("<u>$", Refuses(), molecules)
    found = measure.evaluate([candidate, broken], ["structure", "assembly"], tmp_path)
    write_report(tmp_path / "r.html", found, measure.tables(found))
    page = (tmp_path / "r.html").read_text("utf-8")
    for tag in ("<script", "<b>", "<i>", "<u>"):
        assert tag not in page
    assert "&lt;i&gt;lj$" in page and "&lt;script&gt;" in page


class Refuses(LennardJones):
    """Says what nobody should run."""

    def calculate(self, *_: object) -> None:
        raise ValueError("<script>no</script>")


@pytest.mark.parametrize(("options", "name"), [([], "N2"), (["--part", "val"], "H2O")])
def test_molecules_of_one_part_of_a_split(
    tmp_path: Path, options: list[str], name: str
) -> None:
    frames = [
        Frame(a.numbers, a.positions, name=n)
        for n, a in ((n, molecule(n)) for n in ("CH4", "H2O", "N2"))
    ]
    data, split, out = (tmp_path / n for n in ("set.h5", "split.json", "report"))
    write(data, frames, Metadata(equilibrium=True))
    Split(np.array([0]), np.array([1]), np.array([2])).save(split)
    line = ["evaluate", "emt", "--data", data, "--split", split, "--out", out]
    line += ["--suites", "structure", *options]
    result = CliRunner().invoke(app, [str(part) for part in line])
    assert result.exit_code == 0, result.output
    (journal,) = (out / "cases").iterdir()
    cases = [json.loads(row) for row in journal.read_text().splitlines()]
    assert {n for n in ("CH4", "H2O", "N2") if n in str(cases)} == {name}
