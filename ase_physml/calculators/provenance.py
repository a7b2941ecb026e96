"""Identity of a calculator or a model: files of weights, code and parameters."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator
from torch import nn

from ase_physml.calculators.molecular import ConformationCalculator
from ase_physml.calculators.names import factory_of, make_calculator
from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.calculators.processes import ProcessesCalculator
from ase_physml.jobs.file_hash import cached_sha256
from ase_physml.jobs.identity import CALLED, Identity, canonical, digest
from ase_physml.store.registry import resolve


def identity_of(calculator: Calculator | str) -> dict[str, Any]:
    """Identity of a calculator: what its results depend on, for an `Identity`.

    Potentials are the SHA-256 of their files, or of their weights where they have
    none. Other calculators are their class, its package's version (its source, where
    it is of no package) and the parameters that they list.

    Args:
        calculator: Calculator of ASE, or what `make_calculator` makes one of.

    Raises:
        PotentialError: As of `make_calculator`.
    """
    if isinstance(calculator, str):
        about = identity_of(make_calculator(calculator))
        made = {} if "sha256" in about else _factory(calculator)
        return {**about, CALLED: calculator, **made}
    if isinstance(calculator, PhysMLCalculator):
        return _potential(calculator)
    if isinstance(calculator, ProcessesCalculator):
        return identity_of(calculator.made_of)
    parts: dict[str, Any] = {CALLED: type(calculator).__name__}
    parts.update(_code(type(calculator)))
    if isinstance(calculator, ConformationCalculator):
        # The whole energy is springs, at distances that the model predicted.
        parts["springs"] = calculator.restraints
        parts["stiffness"] = calculator.stiffness
        parts["check_bonds"] = calculator.check_bonds
    parts["parameters"] = _plain(_parameters(calculator))
    plain: dict[str, Any] = canonical(parts)
    return plain


def identities_of(
    kind: str,
    version: int,
    structures: Mapping[str, Atoms],
    calculator: Calculator | str,
    settings: object,
) -> dict[str, Identity]:
    """Identity of the same work on each of many structures, by their names.

    Args:
        kind: Name of what is done, see `Identity.of`.
        version: Version of the stored results.
        structures: Structures by name.
        calculator: Calculator of them all, see `identity_of`.
        settings: Settings of the work.

    Raises:
        PotentialError: As of `identity_of`.
    """
    potential = identity_of(calculator)
    return {
        name: Identity.of(
            kind, version, structure=one, potential=potential, settings=settings
        )
        for name, one in structures.items()
    }


def model_identity(name: str | Path) -> dict[str, Any]:
    """Identity of a model of molecules: its SHA-256.

    Raises:
        PotentialError: As of `resolve`.
    """
    return {CALLED: str(name), "sha256": cached_sha256(resolve(name))}


def _potential(calculator: PhysMLCalculator) -> dict[str, Any]:
    files = [cached_sha256(path) for path in calculator.sources]
    weights = files or [_weights(member) for member in calculator.members]
    below = calculator.card.baseline if calculator.card is not None else ""
    return {
        CALLED: calculator.potential,
        **({"baseline": identity_of(below)} if below else {}),
        "sha256": weights[0] if len(weights) == 1 else digest(weights),
        "dtype": calculator.dtype,
        "charge": calculator.charge,
        "spin": calculator.spin,
    }


def _weights(model: nn.Module) -> str:
    tensors = {k: v.detach().cpu().numpy() for k, v in model.state_dict().items()}
    return digest([repr(getattr(model, "config", "")), tensors])


def _factory(name: str) -> dict[str, Any]:
    """Source of ``module:factory``, in which anything may be set."""
    made = factory_of(name)
    made = made.func if isinstance(made, partial) else made
    return {"factory": digest(_source(made))} if inspect.isfunction(made) else {}


def _code(kind: type) -> dict[str, Any]:
    package = kind.__module__.partition(".")[0]
    about: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    try:
        about["package"] = f"{package} {version(package)}"
    except PackageNotFoundError:
        stated = getattr(import_module(package), "__version__", None)
        if stated is None:
            about["source"] = digest(_source(kind))
        else:
            about["package"] = f"{package} {stated}"
    return about


def _source(thing: type | Callable[..., Any]) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return ""  # typed into a session, or compiled


def _parameters(calculator: Calculator) -> dict[str, Any]:
    listed = dict(getattr(calculator, "parameters", None) or {})
    with suppress(Exception):  # calculators that build no dict of themselves
        listed.update(calculator.todict())
    mixer = getattr(calculator, "mixer", None)
    if mixer is not None:  # ASE's sums of calculators
        listed["of"] = list(getattr(mixer, "calcs", ()))
        listed["weights"] = list(getattr(mixer, "weights", ()))
    return listed


def _plain(value: Any) -> Any:
    """Plain values; of what has no identity the class, so that it does not vary."""
    if isinstance(value, Calculator):
        return identity_of(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(one) for one in value]
    try:
        return canonical(value)
    except TypeError:
        return type(value).__qualname__
