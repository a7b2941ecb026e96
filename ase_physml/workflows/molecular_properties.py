"""Properties and fingerprints of molecules from their SMILES."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from torch import Tensor

from ase_physml.chem.collate import collate
from ase_physml.chem.embed import MAX_ATOMS, check_size
from ase_physml.chem.features import Featurised, Order, featurise, unseen_elements
from ase_physml.chem.molecules import MoleculeStore
from ase_physml.data.frame import Array
from ase_physml.errors import DataError, PotentialError
from ase_physml.jobs.failures import Failure
from ase_physml.models.bonded_model import BondedModel, MolecularPrediction
from ase_physml.predictor import Predictor

Model = str | Path | BondedModel
"""Model of properties: shipped name, path or module."""

Filled = tuple[Array, Callable[[MolecularPrediction], Tensor]]
"""Array with a row for each molecule, and the function that reads what it is of."""

Errors = Literal["nan", "raise"]
"""Consequence of a SMILES that cannot be read: a row of NaN, or an error."""

# SMILES read at a time: enough to find batches of equal size among them.
_CHUNK = 2048
# Sum over the molecules of a batch of atoms times atoms, which memory goes with: some
# hundreds of drugs, or one molecule of 500 atoms.
_COST = 250_000


@dataclass(frozen=True)
class PropertyPredictions:
    """Predicted properties of M molecules.

    Attributes:
        smiles: SMILES as given (M,).
        names: Names of the columns (C,); several classes have one column each.
        values: Numbers in ``unit``, or probabilities, (M, C); NaN for molecules that
            could not be read.
        unit: Unit of the values, "" where there is none.
        failures: Molecules that could not be read, and why.
        unseen: Molecules with elements that the model never saw: guesses.
        std: Standard deviations among the members of a committee (M, C), scaled to
            their errors if those were measured; None of a single model.
    """

    smiles: tuple[str, ...]
    names: tuple[str, ...]
    values: Array
    unit: str
    failures: list[Failure] = field(default_factory=list)
    unseen: list[Failure] = field(default_factory=list)
    std: Array | None = None

    def __getitem__(self, name: str) -> Array:
        """Values of a property, (M,)."""
        if name not in self.names:
            raise DataError(f"no property {name!r}; there are {', '.join(self.names)}")
        column: Array = self.values[:, self.names.index(name)]
        return column


def fingerprints(
    smiles: Sequence[str] | str,
    model: Model,
    *,
    errors: Errors = "raise",
    max_atoms: int = MAX_ATOMS,
    on_molecules: Callable[[int], None] | None = None,
) -> Array:
    """Fingerprints of molecules, as the model's head reads them.

    A molecule's fingerprint does not depend on the others, nor on how its SMILES is
    written; rounding of float32 aside.

    Args:
        smiles: SMILES of M molecules; a lone one is one molecule.
        model: Model of properties: shipped name, path or module.
        errors: Consequence of a SMILES that cannot be read.
        max_atoms: Number of atoms but hydrogens, at most; times go with the second
            power.
        on_molecules: Function called with the number of molecules just finished.

    Returns:
        Fingerprints, float32 (M, F), F = 256 unless the model was built otherwise.

    Raises:
        PotentialError: The model cannot be used, or has no fingerprints.
        DataError: A SMILES cannot be read, with ``errors="raise"``.
    """
    return fingerprint_columns(
        smiles, model, errors=errors, max_atoms=max_atoms, on_molecules=on_molecules
    ).values


def fingerprint_columns(
    smiles: Sequence[str] | str,
    model: Model,
    *,
    errors: Errors = "nan",
    max_atoms: int = MAX_ATOMS,
    on_molecules: Callable[[int], None] | None = None,
) -> PropertyPredictions:
    """Fingerprints as columns of a table; see `fingerprints`."""
    smiles = _several(smiles)
    predictor = Predictor.of(model)
    names = fingerprint_names(fingerprint_width(predictor))
    found = PropertyPredictions(tuple(smiles), names, _empty(smiles, names), "")
    filled: list[Filled] = [(found.values, _fingerprint)]
    _fill(found, predictor, filled, errors, max_atoms, on_molecules)
    return found


def predict_properties(
    smiles: Sequence[str] | str,
    model: Model,
    *,
    errors: Errors = "nan",
    max_atoms: int = MAX_ATOMS,
    on_molecules: Callable[[int], None] | None = None,
) -> PropertyPredictions:
    """Properties of molecules.

    Args:
        smiles: SMILES of M molecules; a lone one is one molecule.
        model: Model of properties: shipped name, path or module.
        errors: Consequence of a SMILES that cannot be read.
        max_atoms: Number of atoms but hydrogens, at most; times go with the second
            power.
        on_molecules: Function called with the number of molecules just finished.

    Raises:
        PotentialError: The model cannot be used, or predicts conformations alone.
        DataError: A SMILES cannot be read, with ``errors="raise"``.
    """
    smiles = _several(smiles)
    predictor = Predictor.of(model)
    if not predictor.columns:
        raise PotentialError(
            f"{predictor.name} predicts conformations, but no properties; use a model "
            "that was trained on properties"
        )
    names = predictor.columns
    unit = predictor.card.unit if predictor.card.task == "regression" else ""
    found = PropertyPredictions(tuple(smiles), names, _empty(smiles, names), unit)
    filled: list[Filled] = [(found.values, predictor.table)]
    if predictor.is_committee:
        found = replace(found, std=_empty(smiles, names))
        assert found.std is not None
        filled.append((found.std, predictor.spread))
    _fill(found, predictor, filled, errors, max_atoms, on_molecules)
    return found


def fingerprint_width(predictor: Predictor) -> int:
    """Number of values F of a fingerprint, by asking for that of methane."""
    return _fingerprint(predictor(_graph([featurise("C")], predictor))).shape[1]


def fingerprint_names(width: int) -> tuple[str, ...]:
    """Names of the columns of fingerprints (F,)."""
    return tuple(f"fingerprint{k}" for k in range(width))


class MolecularFingerprint:
    """Fingerprints as a transformer of scikit-learn, which need not be installed.

    ``make_pipeline(MolecularFingerprint("my.pt"), Ridge()).fit(smiles, y)``; a SMILES
    that cannot be read is an error, since no regressor takes NaN, unless
    ``errors="nan"``.

    Args:
        model: Model of properties: shipped name, path or module.
        errors: Consequence of a SMILES that cannot be read.
    """

    def __init__(self, model: Model, errors: Errors = "raise") -> None:
        self.model = model
        self.errors = errors

    def fit(self, smiles: Sequence[str], y: object = None) -> MolecularFingerprint:
        """Find out how wide fingerprints are; nothing is learned from the data."""
        self.n_features_out_ = fingerprint_width(Predictor.of(self.model))
        return self

    def transform(self, smiles: Sequence[str]) -> Array:
        """Fingerprints, float32 (M, F), of SMILES (M,)."""
        return fingerprints(list(smiles), self.model, errors=self.errors)

    def fit_transform(self, smiles: Sequence[str], y: object = None) -> Array:
        """Fingerprints, float32 (M, F), of SMILES (M,); see `fit` and `transform`."""
        return self.fit(smiles).transform(smiles)

    def get_feature_names_out(self, input_features: object = None) -> Array:
        """Names of the columns, objects (F,); only after `fit`."""
        if not hasattr(self, "n_features_out_"):
            raise DataError("MolecularFingerprint is not fitted yet; call fit first")
        return np.array(fingerprint_names(self.n_features_out_), dtype=object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Arguments of the constructor by their names."""
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


def _several(smiles: Sequence[str] | str) -> Sequence[str]:
    # A text is a sequence too, of characters.
    return [smiles] if isinstance(smiles, str) else smiles


def _fingerprint(said: MolecularPrediction) -> Tensor:
    if said.fingerprint is None:
        raise PotentialError(
            "this model predicts conformations, and has no fingerprints; use a model "
            "that was trained on properties"
        )
    return said.fingerprint


def _graph(molecules: Sequence[Featurised], predictor: Predictor) -> Any:
    return collate(MoleculeStore.of(molecules), predictor.variant)


def _empty(smiles: Sequence[str], names: Sequence[str]) -> Array:
    return np.full((len(smiles), len(names)), np.nan, dtype=np.float32)


def _fill(
    found: PropertyPredictions,
    predictor: Predictor,
    filled: Sequence[Filled],
    errors: Errors,
    max_atoms: int,
    tell: Callable[[int], None] | None,
) -> None:
    """Fill arrays for each molecule, and keep what there is to say about some."""
    if errors not in ("nan", "raise"):
        raise DataError(f"errors must be 'nan' or 'raise', got {errors!r}")
    smiles = found.smiles
    for start in range(0, len(smiles), _CHUNK):
        chunk = smiles[start : start + _CHUNK]
        order = cast(Order, predictor.card.order)
        molecules, reasons = _featurised(chunk, order, max_atoms)
        bad = [Failure(start + k, str(chunk[k]), why) for k, why in reasons.items()]
        if bad and errors == "raise":
            raise DataError(f"molecule {bad[0].index}: {bad[0].reason}")
        found.failures.extend(bad)
        for k, molecule in molecules.items():
            found.unseen.extend(_unseen(start + k, chunk[k], molecule, predictor))
        if tell is not None:
            tell(len(bad))
        for batch in _batches(molecules):
            graph = _graph([molecules[k] for k in batch], predictor)
            said = predictor(graph)
            for values, read in filled:
                values[start + np.array(batch)] = read(said).numpy()
            if tell is not None:
                tell(len(batch))


def _unseen(
    index: int, smiles: str, molecule: Featurised, predictor: Predictor
) -> list[Failure]:
    new = unseen_elements(molecule, predictor.card.elements)
    if not new:
        return []
    reason = f"{predictor.name} has seen no {', '.join(new)}: a guess"
    return [Failure(index, smiles, reason)]


def _featurised(
    smiles: Sequence[str], order: Order, max_atoms: int
) -> tuple[dict[int, Featurised], dict[int, str]]:
    """Molecules, and reasons why there is none, by their places."""
    molecules, reasons = {}, {}
    for k, one in enumerate(smiles):
        if not isinstance(one, str):
            reasons[k] = f"{one!r} is not text; give SMILES"
            continue
        try:
            molecule = featurise(one, order=order)
            check_size(len(molecule.masses), max_atoms)
            molecules[k] = molecule
        except DataError as error:
            reasons[k] = str(error)
    return molecules, reasons


def _batches(molecules: dict[int, Featurised]) -> Iterator[list[int]]:
    """Places of molecules of about one size, as many as fit into memory."""
    sizes = {k: len(molecule.masses) for k, molecule in molecules.items()}
    batch: list[int] = []
    cost = 0
    for k in sorted(sizes, key=sizes.__getitem__):
        more = sizes[k] ** 2
        if batch and cost + more > _COST:
            yield batch
            batch, cost = [], 0
        batch.append(k)
        cost += more
    if batch:
        yield batch
