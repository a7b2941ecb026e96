"""Fingerprints as a transformer of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ase_physml.data.frame import Array
from ase_physml.errors import DataError
from ase_physml.predictor import Predictor
from ase_physml.workflows.properties import (
    Errors,
    Model,
    fingerprint_names,
    fingerprint_width,
    fingerprints,
)


class MolecularFingerprint:
    """Fingerprints as a transformer of scikit-learn, which need not be installed.

    ``make_pipeline(MolecularFingerprint("my.pt"), Ridge()).fit(smiles, y)``; a SMILES
    that cannot be read is an error, since no regressor takes NaN, unless
    ``errors="nan"``.

    Args:
        model: As of `fingerprints`.
        errors: As of `fingerprints`.
    """

    def __init__(self, model: Model, errors: Errors = "raise") -> None:
        self.model = model
        self.errors = errors

    def fit(self, smiles: Sequence[str], y: object = None) -> MolecularFingerprint:
        """Find out how wide fingerprints are; nothing is learned from the data."""
        self.n_features_out_ = fingerprint_width(Predictor.of(self.model))
        return self

    def transform(self, smiles: Sequence[str]) -> Array:
        """SMILES to fingerprints (M, F)."""
        return fingerprints(list(smiles), self.model, errors=self.errors)

    def fit_transform(self, smiles: Sequence[str], y: object = None) -> Array:
        """`fit`, then `transform`."""
        return self.fit(smiles).transform(smiles)

    def get_feature_names_out(self, input_features: object = None) -> Array:
        """Names of the columns, (F,) objects; only after `fit`."""
        if not hasattr(self, "n_features_out_"):
            raise DataError("MolecularFingerprint is not fitted yet; call fit first")
        return np.array(fingerprint_names(self.n_features_out_), dtype=object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"model": self.model, "errors": self.errors}

    def set_params(self, **parameters: Any) -> MolecularFingerprint:
        """Change arguments of the constructor.

        Raises:
            DataError: There is no such argument.
        """
        for name, value in parameters.items():
            if name not in self.get_params():
                known = ", ".join(self.get_params())
                raise DataError(f"no parameter {name!r}; there are {known}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"MolecularFingerprint(model={self.model!r}, errors={self.errors!r})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_out_")

    def __sklearn_tags__(self) -> Any:
        # Only scikit-learn asks, and then it is there.
        sklearn = import_module("sklearn.utils")
        tags = sklearn.Tags(
            estimator_type=None,
            target_tags=sklearn.TargetTags(required=False),
            transformer_tags=sklearn.TransformerTags(),
        )
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags
