"""The package opens quickly, and brings torch only with a model."""

import subprocess
import sys

import pytest

import ase_physml

HEAVY = ("torch", "ase", "rdkit", "matplotlib", "lightning", "h5py", "scipy")


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def loaded_by(statement: str) -> set[str]:
    listed = run(f"{statement}\nimport sys\nprint(*sys.modules)")
    return set(listed.split()) & set(HEAVY)


@pytest.mark.parametrize("module", ["ase_physml", "ase_physml.cli"])
def test_nothing_heavy_is_imported(module: str) -> None:
    assert loaded_by(f"import {module}") == set()


def test_the_model_brings_torch() -> None:
    # Also shows that the test above looks for modules the right way.
    found = loaded_by("from ase_physml import PhysMLCalculator")
    assert {"torch", "ase"} <= found
    assert not {"lightning", "matplotlib", "rdkit", "h5py"} & found


@pytest.mark.slow
def test_import_takes_less_than_300_ms_of_a_processor() -> None:
    code = (
        "from time import process_time\nstart = process_time()\n"
        "import ase_physml\nprint(process_time() - start)"
    )
    # The best of three, since other programs share its caches.
    assert min(float(run(code)) for _ in range(3)) < 0.3


def test_public_names_resolve_and_are_listed() -> None:
    for name in ase_physml.__all__:
        assert getattr(ase_physml, name) is not None
        assert name in dir(ase_physml)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'PhysMLCalculatr'"):
        _ = ase_physml.PhysMLCalculatr
    with pytest.raises(ImportError):
        from ase_physml import nothing_of_this_name  # noqa: F401
