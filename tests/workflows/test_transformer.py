"""Fingerprints as a transformer."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ase_physml import MolecularFingerprint, fingerprints
from ase_physml.errors import DataError
from ase_physml.models.physchem.config import PhysChemConfig
from ase_physml.models.physchem.model import PhysChem

MOLECULES = ["CCO", "C", "c1ccccc1O", "[Na+].[Cl-]", "N[C@@H](C)C(=O)O", "CC(C)(C)C"]


def physchem() -> PhysChem:
    torch.manual_seed(0)
    sizes = {"atom_width": 16, "bond_width": 8, "molecule_width": 12, "steps": 2}
    return PhysChem(PhysChemConfig(targets=1, **sizes)).eval()


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
