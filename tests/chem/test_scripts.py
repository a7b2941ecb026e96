"""The scripts that make stores of molecules, and the one that measures RDKit."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from rdkit import Chem

from ase_physml.chem.molecule_sets import random_split, scaffold_split
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.chem.property_sets import PropertySet
from ase_physml.data.index_split import Split
from ase_physml.data.property_tables import FORMATS

SMILES = ["C" * n + "O" for n in range(1, 7)] + ["C1CC1", "C1CCC1", "c1ccccc1"]


def test_molecules_and_baseline(
    script: Callable[..., str], make_set: Callable[..., Path], tmp_path: Path
) -> None:
    geometries, out = make_set("set.h5", SMILES), tmp_path / "molecules.h5"
    assert "9 molecules, 0 left out" in script(
        "physchem/make_molecules.py", geometries, "--out", out
    )
    assert len(MoleculeStore.load(out)) == 9
    Split(np.arange(6), np.array([8]), np.array([6, 7])).save(tmp_path / "split.json")
    found = script(
        "physchem/conformer_baseline.py", out, "--split", tmp_path / "split.json"
    )
    assert "2 molecules" in found
    # The set was made with MMFF94, and rings of three and four have one shape each.
    lines = [x.split() for x in found.splitlines() if x.startswith("ETKDGv3")]
    errors = {line[3]: float(line[8]) for line in lines}
    assert errors["mmff94"] < 1e-3 < errors["uff"]


def test_properties(
    script: Callable[..., str], make_set: Callable[..., Path], tmp_path: Path
) -> None:
    table, out = tmp_path / "my_lipophilicity.csv", tmp_path / "out"
    rows = [f"{k},{k / 10},{smiles}" for k, smiles in enumerate(SMILES)]
    table.write_text("\n".join(["CMPD_CHEMBLID,exp,smiles", *rows, "x,1,nonsense"]))
    energies = make_set("qm.h5", SMILES, energies=True)
    found = script("properties/make_properties.py", table, energies, "--out", out)
    assert "1 left out" in found
    for name in ("my_lipophilicity", "qm"):
        data = PropertySet.load(out / f"{name}.h5")
        assert len(data.store) == 9
        assert data.store.has_positions.all()
        for kind in ("random", "scaffold"):
            assert Split.load(out / f"{name}.{kind}.json").size == 9


def test_energies_less_their_elements(
    script: Callable[..., str], make_set: Callable[..., Path], tmp_path: Path
) -> None:
    energies, split = make_set("qm.h5", SMILES, energies=True), tmp_path / "split.json"
    Split(np.arange(8), np.array([8]), np.array([], dtype=int)).save(split)
    script("properties/make_properties.py", energies, "--out", tmp_path / "whole")
    whole = PropertySet.load(tmp_path / "whole" / "qm.h5")
    options = ("--out", tmp_path / "less", "--less-elements", split)
    script("properties/make_properties.py", energies, *options)
    less = PropertySet.load(tmp_path / "less" / "qm.h5")
    counts = np.array([composition_of(smiles) for smiles in whole.smiles])
    removed = whole.targets[:, 0] - less.targets[:, 0]
    # Every molecule's, of the validation part too, is one sum over elements.
    fitted, *_ = np.linalg.lstsq(counts, removed)
    assert np.abs(removed - counts @ fitted).max() < 1e-6
    # Of what it was fitted to nothing that elements explain is left.
    trained = np.isin(whole.store.columns["frame"], np.arange(8))
    assert np.abs(counts[trained].T @ less.targets[trained]).max() < 1e-6


def test_geometries_by_their_numbers_in_qm9(
    script: Callable[..., str], make_set: Callable[..., Path], tmp_path: Path
) -> None:
    geometries = make_set("named.h5", SMILES)
    with h5py.File(geometries, "a") as file:
        file.pop("name", None)
        file["name"] = [f"dsgdb9nsd_{k + 5:06d}" for k in range(len(SMILES))]
    targets = FORMATS["qm8"].targets
    rows = [
        # Another formula has that number, and nothing has number 99.
        [k + 5 if smiles != "CCO" else 5, smiles, *range(k, k + 12)]
        for k, smiles in enumerate(SMILES)
    ]
    rows.append([99, "CCCC", *range(12)])
    table = tmp_path / "qm8.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["gdb9_index", "smiles", *targets], *rows])
    options = ("--geometries", geometries, "--out", tmp_path / "out")
    assert "2 left out" in script("properties/make_properties.py", table, *options)
    found = PropertySet.load(tmp_path / "out" / "qm8.h5")
    assert found.target_names == targets
    assert len(found.smiles) == len(SMILES) - 1 and "CCO" not in found.smiles
    assert found.store.has_positions.all()
    ring = list(found.smiles).index("C1CC1")
    assert found.targets[ring].tolist() == list(range(6, 18))
    listed = (tmp_path / "out" / "qm8.h5.failures.csv").read_text()
    assert "CCO,no such geometry" in listed and "CCCC,no such geometry" in listed


def test_conformers_of_rdkit_in_place_of_geometries(
    script: Callable[..., str], make_set: Callable[..., Path], tmp_path: Path
) -> None:
    energies = make_set("qm.h5", SMILES, energies=True)
    script("properties/make_properties.py", energies, "--out", tmp_path / "own")
    own, out = tmp_path / "own" / "qm.h5", tmp_path / "rdkit.h5"
    script("properties/make_conformers.py", own, "--out", out)
    first, second = PropertySet.load(own), PropertySet.load(out)
    assert random_split(first.store, 0).hash == random_split(second.store, 0).hash
    assert (first.targets == second.targets).all()
    assert second.store.has_positions.all()
    for molecule in range(len(SMILES)):
        bonds = [
            _bond_lengths(s.store.select(np.array([molecule]))) for s in (first, second)
        ]
        np.testing.assert_allclose(*bonds, atol=0.1)


def _bond_lengths(store: MoleculeStore) -> np.ndarray:
    x = store.rows["positions"]
    ends = x[store.rows["source"]] - x[store.rows["target"]]
    lengths: np.ndarray = np.linalg.norm(ends, axis=1)
    return lengths


def composition_of(smiles: str) -> list[int]:
    """Atoms of C, O and H."""
    symbols = [a.GetSymbol() for a in Chem.AddHs(Chem.MolFromSmiles(smiles)).GetAtoms()]
    return [symbols.count(symbol) for symbol in "COH"]


def test_plain_models(script: Callable[..., str], tmp_path: Path) -> None:
    """They learn what counts of atoms say, on the splits that ours are trained on."""
    ends = ("O", "C1CC1", "C1CCC1", "c1ccccc1")
    smiles = ["C" * n + end for n in range(1, 30) for end in ends]
    table, out = tmp_path / "toy_lipophilicity.csv", tmp_path / "plain.json"
    rows = [f"{k},{len(one)},{one}" for k, one in enumerate(smiles)]
    table.write_text("\n".join(["CMPD_CHEMBLID,exp,smiles", *rows]))
    options = ("--no-conformers", "--out", tmp_path)
    script("properties/make_properties.py", table, *options)
    store = table.with_suffix(".h5")
    script("properties/plain_models.py", store, "--seeds", 0, 1, "--out", out)
    every = json.loads(out.read_text())["toy_lipophilicity"]
    found = every["random"]
    molecules = PropertySet.load(store).store
    assert found["splits"] == [random_split(molecules, seed).hash for seed in (0, 1)]
    assert every["scaffold"]["splits"] == [scaffold_split(molecules).hash]
    lengths = np.array([len(one) for one in smiles])
    for name in ("ECFP4, random forest", "descriptors, gradient boosting"):
        rmse = found[name]["rmse"]
        assert len(rmse["each"]) == 2
        assert rmse["mean"] < 0.5 * lengths.std()
