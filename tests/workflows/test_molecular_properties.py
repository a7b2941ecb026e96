"""Properties and fingerprints: of any SMILES, in any company."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ase_physml import MolecularFingerprint
from ase_physml.chem.collate import graph_of
from ase_physml.data.files.smiles_file import read_smiles
from ase_physml.errors import DataError, PotentialError
from ase_physml.models.hamnet.config import HamNetConfig
from ase_physml.models.hamnet.engine import HamNetEngine
from ase_physml.models.hamnet.model import HamNet
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem
from ase_physml.store.card import ModelCard
from ase_physml.store.checkpoint import save_model
from ase_physml.workflows import molecular_properties
from ase_physml.workflows.molecular_properties import fingerprints, predict_properties
from ase_physml.workflows.prediction_tables import write_table

MOLECULES = ["CCO", "C", "c1ccccc1O", "[Na+].[Cl-]", "N[C@@H](C)C(=O)O", "CC(C)(C)C"]
NARROW = {"atom_width": 16, "bond_width": 8, "molecule_width": 12, "steps": 2}


def physchem(**values: object) -> PhysChem:
    torch.manual_seed(0)
    return PhysChem(PhysChemConfig(**{"targets": 1, **NARROW, **values})).eval()


def hamnet(**values: object) -> HamNet:
    torch.manual_seed(0)
    sizes = {"state_width": 4, "gcn_width": 8, "steps": 2, "width": 8}
    return HamNet(HamNetConfig(targets=1, fingerprint=12, **sizes, **values)).eval()


@pytest.fixture(params=["physchem", "hamnet", "34 features"])
def model(request: pytest.FixtureRequest) -> PhysChem | HamNet:
    if request.param == "34 features":
        return physchem(atom_features=34)
    return physchem() if request.param == "physchem" else hamnet()


def test_fingerprints_do_not_depend_on_the_batch(
    model: PhysChem | HamNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = fingerprints(MOLECULES, model)
    assert together.shape == (6, 12) and together.dtype == np.float32
    assert np.abs(together[0] - together[2]).max() > 1e-3
    backwards = fingerprints(MOLECULES[::-1], model)
    np.testing.assert_allclose(backwards[::-1], together, atol=1e-5)
    monkeypatch.setattr(molecular_properties, "_COST", 1)
    monkeypatch.setattr(molecular_properties, "_CHUNK", 4)
    np.testing.assert_allclose(fingerprints(MOLECULES, model), together, atol=1e-5)


def test_fingerprints_are_what_the_head_reads(model: PhysChem | HamNet) -> None:
    found = torch.from_numpy(fingerprints(MOLECULES, model))
    values = predict_properties(MOLECULES, model).values
    np.testing.assert_allclose(model.head(found).detach(), values, atol=1e-5)


def test_fingerprints_do_not_depend_on_how_smiles_are_written() -> None:
    written = ["OCC", "C(O)C", Chem.MolToSmiles(Chem.AddHs(Chem.MolFromSmiles("CCO")))]
    found = fingerprints(written, physchem())
    np.testing.assert_allclose(found, fingerprints(["CCO"] * 3, physchem()), atol=1e-6)


def test_a_lone_smiles_is_one_molecule() -> None:
    model = physchem()
    np.testing.assert_array_equal(
        fingerprints("CCO", model), fingerprints(["CCO"], model)
    )
    found = predict_properties("CCO", model)
    assert found.smiles == ("CCO",) and found.values.shape == (1, 1)


def test_default_width_is_that_of_the_paper() -> None:
    model = PhysChem(PhysChemConfig(targets=1))
    assert fingerprints(["CCO", "C"], model).shape == (2, 256)


def test_predictions_are_the_models() -> None:
    found = predict_properties(MOLECULES, physchem())
    expected = [physchem()(graph_of(s)).property.item() for s in MOLECULES]
    assert found.names == ("property_0",)
    np.testing.assert_allclose(found["property_0"], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match="no property 'mass'"):
        found["mass"]


@pytest.mark.parametrize(
    ("head", "columns"),
    [("classification", 2), ("multiclass", 6)],
)
def test_classes_are_probabilities(head: str, columns: int) -> None:
    model = physchem(targets=2, head=head, classes=3)
    found = predict_properties(MOLECULES, model)
    logits = model(graph_of("CCO")).property.detach()[0]
    expected = torch.sigmoid(logits) if head == "classification" else logits.softmax(-1)
    assert len(found.names) == columns and found.unit == ""
    np.testing.assert_allclose(found.values[0], expected.flatten(), rtol=1e-4)
    if head == "multiclass":
        assert found.names[:4] == (
            "property_0=0", "property_0=1", "property_0=2", "property_1=0",
        )  # fmt: skip


def test_a_molecule_too_large_to_wait_for_is_refused_alone() -> None:
    found = predict_properties(["C" * 201, "C" * 12, "C"], physchem())
    assert [f.index for f in found.failures] == [0]
    assert "201 atoms besides hydrogen, more than the limit of 200" in (
        found.failures[0].reason
    )
    assert np.isfinite(found.values[1:]).all()
    few = predict_properties(["C" * 12, "C"], physchem(), max_atoms=11)
    assert np.isnan(few.values[0]).all()
    np.testing.assert_allclose(few.values[1], found.values[2], atol=1e-5)


def test_bad_smiles_leave_a_gap_and_are_named() -> None:
    given = ["CCO", "C(C", "", "C", "[H][H]"]
    found = predict_properties(given, physchem())
    assert [f.index for f in found.failures] == [1, 2, 4]
    assert "'C(C' is not a valid SMILES" in found.failures[0].reason
    assert np.isnan(found.values).ravel().tolist() == [False, True, True, False, True]
    alone = predict_properties(["C"], physchem()).values
    np.testing.assert_allclose(found.values[3], alone[0], atol=1e-5)
    with pytest.raises(DataError, match="molecule 1: 'C"):
        fingerprints(given, physchem())
    gaps = fingerprints([*given, float("nan")], physchem(), errors="nan")
    assert np.isnan(gaps[[1, 2, 4, 5]]).all()
    assert np.isfinite(gaps[[0, 3]]).all()
    with pytest.raises(DataError, match="errors must be"):
        fingerprints(given, physchem(), errors="ignore")


def test_nothing_gives_nothing() -> None:
    assert fingerprints([], physchem()).shape == (0, 12)
    only_bad = fingerprints(["C("], physchem(), errors="nan")
    assert only_bad.shape == (1, 12) and np.isnan(only_bad).all()


def test_progress_counts_every_molecule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(molecular_properties, "_CHUNK", 3)
    seen: list[int] = []
    given = [*MOLECULES, "C("]
    fingerprints(given, physchem(), errors="nan", on_molecules=seen.append)
    assert sum(seen) == len(given)


def test_models_of_conformations_have_neither() -> None:
    for model in (
        PhysChem(
            PhysChemConfig(variant="physnet", steps=2, atom_width=8, bond_width=8)
        ),
        HamNetEngine(HamNetConfig(state_width=4, gcn_width=8, steps=1)),
    ):
        with pytest.raises(PotentialError, match="conformations"):
            fingerprints(["C"], model)
        with pytest.raises(PotentialError, match="conformations"):
            predict_properties(["C"], model)
        with pytest.raises(PotentialError, match="conformations"):
            predict_properties([], model)


def test_names_and_units_come_from_the_card(tmp_path: Path) -> None:
    path = tmp_path / "solubility.pt"
    model = physchem()
    card = ModelCard(
        name="solubility",
        kind="physchem",
        architecture=model.config.to_dict(),
        target_names=["logS"],
        unit="log mol/L",
    )
    save_model(path, model, card)
    found = predict_properties(MOLECULES, path)
    assert found.names == ("logS",) and found.unit == "log mol/L"


def test_csv_keeps_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('\ufeffid,SMILES,logS\n1,CCO,"a, b"\n\n2,C\n', encoding="utf-8")
    table = read_smiles(path)
    assert table.smiles == ("CCO", "C")
    out = tmp_path / "new" / "out.csv"
    values = np.array([[1.5, np.nan], [-1e-7, 2]])
    write_table(out, table, ["logS", "x"], values)
    with out.open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["id", "SMILES", "logS", "logS_2", "x"],
            ["1", "CCO", "a, b", "1.5", ""],
            ["2", "C", "", "-1e-07", "2"],
        ]
    assert [p.name for p in out.parent.iterdir()] == ["out.csv"]


def test_smi_files(tmp_path: Path) -> None:
    path = tmp_path / "in.smi"
    path.write_text("CCO ethyl alcohol\n\nC\tmethane\nO\n")
    table = read_smiles(path)
    assert table.smiles == ("CCO", "C", "O")
    assert table.rows[0].cells == ("CCO", "ethyl alcohol")
    assert table.rows[2].cells == ("O", "")


@pytest.mark.parametrize(
    ("name", "content", "column", "match"),
    [
        ("a.csv", b"id,x\n1,2\n", None, "0 columns called 'smiles' .*id, x"),
        ("a.csv", b"smiles,x\nC,2\n", "mol", "0 columns called 'mol'"),
        ("a.csv", b"smiles,SMILES\nC,C\n", None, "2 columns"),
        ("a.csv", b"smiles\n", None, "no molecules"),
        ("a.csv", b"", None, "no rows"),
        ("a.csv", b"smiles\n\0\n", None, "not a text file"),
        ("a.smi", b"C\n", "smiles", "without a column"),
        ("a.smi", b"\n", None, "no molecules"),
        ("a.xlsx", b"PK\3\4", None, "a spreadsheet"),
    ],
)
def test_unusable_tables(
    tmp_path: Path, name: str, content: bytes, column: str | None, match: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_smiles(path, column)
    with pytest.raises(DataError, match="no such file"):
        read_smiles(tmp_path / "nothing.csv")


def test_transformer() -> None:
    one = MolecularFingerprint(physchem())
    with pytest.raises(DataError, match="not fitted"):
        one.get_feature_names_out()
    found = one.fit_transform(MOLECULES)
    np.testing.assert_array_equal(found, fingerprints(MOLECULES, physchem()))
    names = one.get_feature_names_out()
    assert len(names) == 12 and names[3] == "fingerprint3"
    assert one.set_params(errors="nan") is one
    assert np.isnan(one.transform(["C("])).all()
    copy = MolecularFingerprint(**one.get_params())
    assert copy.model is one.model and copy.errors == "nan"
    with pytest.raises(DataError, match="no parameter 'width'"):
        one.set_params(width=3)


def test_transformer_in_a_pipeline() -> None:
    pipeline = make_pipeline(
        MolecularFingerprint(physchem()), StandardScaler(), Ridge(1e-6)
    )
    y = np.arange(6.0)
    assert pipeline.fit(MOLECULES, y).predict(MOLECULES) == pytest.approx(y, abs=0.1)
    assert len(pipeline[:1].get_feature_names_out()) == 12
    again = clone(pipeline).set_params(molecularfingerprint__errors="nan")
    assert again[0].errors == "nan" and pipeline[0].errors == "raise"
    assert len(cross_val_score(pipeline, MOLECULES, y, cv=2)) == 2
