"""The scripts beside the recipes: they run, and say what they measured."""

import importlib
import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import molecule

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.frame import Frame
from ase_physml.data.groups import reactions
from ase_physml.data.index_split import Split
from ase_physml.data.metadata import Metadata
from ase_physml.data.writer import write
from ase_physml.jobs.file_hash import sha256
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.store.checkpoint import load_potentials, save_model
from ase_physml.store.registry import register
from ase_physml.training.fit import load_recipe
from ase_physml.training.physml_recipe import PhysMLRecipe
from ase_physml.training.recipe import find

FOLDER = Path(__file__).parents[2] / "training"
SET = FOLDER / "quickstart_equilibrium.h5"
RECIPES = sorted(FOLDER.rglob("*.yaml"))
SPLIT = FOLDER / "quickstart_equilibrium_split.json"


def test_evaluate_measures_a_potential(
    script: Callable[..., str], tiny_potential: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    common = ("--data", SET, "--split", SPLIT, "--molecules", 2, "--out", out)
    script("evaluate.py", tiny_potential, *common)
    found = json.loads(out.read_text())
    assert found["part"] == "test"
    assert found["test_molecules"] == 38
    # A random potential has no idea of energies near -300 eV.
    assert found["mae_energy_meV"] > 1e4
    assert found["mae_force_eV_per_A"] > 0.0
    assert found["recovery_from_0.1_A"]["molecules"] == 2


def test_evaluate_recovers_minima_of_the_method_that_made_them(
    script: Callable[..., str], tmp_path: Path
) -> None:
    pytest.importorskip("tblite")
    out = tmp_path / "out.json"
    common = ("--data", SET, "--split", SPLIT, "--molecules", 4, "--out", out)
    script("evaluate.py", "tblite:GFN2-xTB", *common, "--deviations", 0, 0.05)
    result = json.loads(out.read_text())
    found, at_rest = result["recovery_from_0.05_A"], result["recovery_from_0.0_A"]
    assert found["median_A"] < 0.03
    assert found["converged"] == 1.0
    # Noise turns a molecule a little, which nothing brings back.
    assert found["mean_A"] < found["raw_mean_A"] < 0.1
    # Nothing to gain at its own minima, some ten meV a coordinate after noise.
    assert at_rest["energy_gained_median_meV"] < 5.0
    assert found["energy_gained_median_meV"] > 50.0


def test_molecules_of_the_paper_are_the_smallest_and_others(tmp_path: Path) -> None:
    """Fig 2: half of them the smallest of the test part, the others drawn from it."""
    spec = importlib.util.spec_from_file_location("evaluate", FOLDER / "evaluate.py")
    assert spec is not None
    assert spec.loader is not None
    evaluate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(evaluate)
    sizes = [5, 4, 3, 2] * 5
    frames = [Frame(np.ones(n), np.eye(n, 3) * n, energy=0.0) for n in sizes]
    write(tmp_path / "set.h5", frames, Metadata("toy", equilibrium=True))
    data, test = RaggedSet(tmp_path / "set.h5"), np.arange(4, 20)
    found = evaluate.chosen(data, test, 8)
    assert len(set(found.tolist())) == 8
    assert set(found.tolist()) <= set(test.tolist())
    assert data.n_atoms[found[:4]].tolist() == [2, 2, 2, 2]
    assert data.n_atoms[found[4:]].min() > 2


def test_quickstart_set_is_made_anew(
    script: Callable[..., str], tmp_path: Path
) -> None:
    pytest.importorskip("tblite")
    text = script("make_quickstart.py", "--out", tmp_path, "--limit", 20)
    assert "quickstart_equilibrium.h5: 20 frames" in text
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "quickstart.h5", "quickstart_split.json",
        "quickstart_equilibrium.h5", "quickstart_equilibrium_split.json",
    }  # fmt: skip


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_recipes_are_valid(path: Path) -> None:
    assert load_recipe(path).total_steps > 0


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_splits_that_come_with_recipes_are_found(path: Path) -> None:
    values = yaml.safe_load(path.read_text("utf-8"))
    named = [one.get("split") for one in values.get("sources", [values])]
    for name in named:
        if name is not None and name.startswith(("splits/", "quickstart")):
            assert Split.load(find(name, path)).size > 0


def test_every_target_of_the_makefile_runs_files_that_are_there() -> None:
    text = (FOLDER / "Makefile").read_text("utf-8")
    named = re.findall(r"\$\(T\)/([\w/]+\.(?:py|yaml|json))", text)
    assert len(named) > 40
    assert not [name for name in named if not (FOLDER / name).is_file()]
    # A recipe or script that no command uses would be of nobody.
    used = {FOLDER / name for name in named} | {FOLDER / "quickstart.yaml"}
    rows = [path for path in used if path.name.endswith("_rows.json")]
    used |= {path.parent / json.loads(path.read_text())["recipe"] for path in rows}
    assert not [path.name for path in RECIPES if path not in used]


@pytest.mark.parametrize("protocol", ["ours", "printed"])
def test_rows_of_the_ablation_are_recipes_without_its_parts(
    monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER / "physml"))
    ablation = importlib.import_module("ablation")
    chosen = ablation.PROTOCOLS[protocol]
    of_losses = {"Mask": "mask", "Force": "zero_force", "Bound": "bound"}
    for row in chosen.rows:
        parts, _ = ablation.ROWS[row]
        changes = ablation.overrides(row, 2, chosen)
        recipe = load_recipe(FOLDER / "physml" / chosen.recipe, changes)
        assert isinstance(recipe, PhysMLRecipe)
        weights = recipe.stages[chosen.stage].losses.weights
        assert {p for p, name in of_losses.items() if name in weights} == (
            parts & {*of_losses}
        )
        assert isinstance(recipe.model, PhysMLConfig)
        assert (recipe.model.cls != "none") == ("CLS" in parts)
        assert recipe.model.pair_energy == ("LJP" in parts)
        assert recipe.seed == 2 and not [*recipe.mistakes()]


@pytest.fixture
def bending(tmp_path: Path) -> Path:
    """A set of one reaction, as published ones are: the barrier at the saddle."""
    frames = []
    for role, angle in (("r", 104.0), ("ts", 150.0), ("p", 120.0)):
        atoms = molecule("H2O")
        atoms.set_angle(1, 0, 2, angle)
        smiles = "[O:1]([H:2])[H:3]>>[O:1]([H:2])[H:3]"
        energy = 1.5 if role == "ts" else None
        frames.append(
            Frame(
                atoms.numbers,
                atoms.positions,
                energy,
                name=f"rxn1/{role}",
                smiles=smiles,
            )
        )
    path = tmp_path / "bending.h5"
    write(path, frames, Metadata(equilibrium=False))
    return path


def test_reactions_become_a_set_to_label(
    script: Callable[..., str], bending: Path, tmp_path: Path
) -> None:
    out = tmp_path / "geometries.h5"
    script(
        "reactions/make_reactions.py",
        bending,
        "--minima",
        SET,
        "--every",
        50,
        "--out",
        out,
    )
    data = RaggedSet(out)
    assert not data.has("energy")
    smiles = [text.decode() for text in data.column("smiles")]
    names = [text.decode() for text in data.column("name")]
    # Three known structures, seven on the line, four around; then minima.
    assert smiles[:14] == ["O"] * 14 and smiles[14] != "O"
    assert [name for name in names if name] == ["rxn1/r", "rxn1/p", "rxn1/ts"]
    (reaction,) = reactions(data)
    assert reaction.saddle is not None
    apart = np.linalg.norm(reaction.saddle.positions[1] - reaction.saddle.positions[2])
    assert apart > np.linalg.norm(
        reaction.reactant.positions[1] - reaction.reactant.positions[2]
    )


def test_evaluate_reactions(
    script: Callable[..., str], bending: Path, tiny_committee: Path, tmp_path: Path
) -> None:
    made, labelled = tmp_path / "made.h5", tmp_path / "labelled.h5"
    script("reactions/make_reactions.py", bending, "--out", made)
    frames = [
        Frame(f.numbers, f.positions, 0.1 * i, np.zeros_like(f.positions), name=f.name,
              smiles=f.smiles)
        for i, f in enumerate(RaggedSet(made).read(np.arange(14)))
    ]  # fmt: skip
    write(labelled, frames, Metadata("nothing", equilibrium=False))
    split, out = tmp_path / "split.json", tmp_path / "out.json"
    nobody = np.array([], dtype=np.int64)
    Split(nobody, nobody, np.arange(14)).save(split)
    script(
        "reactions/evaluate_reactions.py", tiny_committee, "--data", labelled,
        "--split", split, "--reference", bending, "--labels", "emt", "--bands", 1,
        "--steps", 1, "--out", out, "--plot", tmp_path / "spread.png",
    )  # fmt: skip
    found = json.loads(out.read_text())
    assert found["paths"]["frames"] == 14
    # Labels count up by 0.1 eV a frame: the saddle is the third, the reactant first.
    assert found["barriers"]["label_to_ccsd_eV"] == pytest.approx(1.5 - 0.2)
    assert found["bands"]["bands"] == 1
    assert -1.0 <= found["spread"]["rank_correlation_forces"] <= 1.0
    assert (tmp_path / "spread.png").stat().st_size > 1000


def test_scripts_import_from_their_own_folder_only() -> None:
    # That of a script is the one where Python looks.
    scripts = {path.stem: path for path in FOLDER.rglob("*.py")}
    for path in scripts.values():
        for name in re.findall(r"^from (\w+) import", path.read_text("utf-8"), re.M):
            if name in scripts:
                assert scripts[name].parent == path.parent, f"{path}: {name}"


def test_distances_are_noted_on_a_card(
    script: Callable[..., str], tiny_potential: Path, tmp_path: Path
) -> None:
    members, card = load_potentials(tiny_potential)
    notes = {"recipe": {"sources": [{"path": SET.name, "split": None}]}}
    path = tmp_path / "tiny.pt"
    save_model(path, members, replace(card, shortest={}, training=notes))
    register(path, "as it was")
    with pytest.raises(AssertionError, match="not on other"):
        script("note_distances.py", path, "other.h5")
    script("note_distances.py", path, f"{SET}:{SPLIT}")
    noted = load_potentials(path)[1].shortest
    assert 1.0 < noted["H-C"] < 1.15
    assert 0.6 < noted["H-H"] < 2.0
    entry = yaml.safe_load((tmp_path / "registry.yaml").read_text())["potentials"]
    assert entry["tiny.pt"] == {"sha256": sha256(path), "summary": "as it was"}
