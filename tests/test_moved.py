"""Names of earlier versions."""

import importlib
import subprocess
import sys

import pytest

from ase_physml import moved


def test_every_new_place_is_there() -> None:
    for places in moved._table().values():
        for place in places:
            importlib.import_module(f"ase_physml.{place}")


def test_no_old_name_is_in_use() -> None:
    """Modules that are there come first: an entry for one would never be used."""
    program = (
        "import sys; from importlib.machinery import PathFinder\n"
        "import ase_physml; from ase_physml import moved\n"
        "from importlib import import_module\n"
        "for name in moved._table():\n"
        "    head = import_module(name.rpartition('.')[0])\n"
        "    assert PathFinder.find_spec(name, head.__path__) is None, name\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_names_come_from_where_they_are_now() -> None:
    with pytest.warns(DeprecationWarning, match=r"ase_physml\.workflows\.paths\.neb"):
        old = importlib.import_module("ase_physml.tasks.neb")
    from ase_physml.workflows.paths.neb import find_paths

    assert old.find_paths is find_paths
    with pytest.raises(AttributeError, match="nothing"):
        _ = old.nothing


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_classes_under_their_earlier_names() -> None:
    card = importlib.import_module("ase_physml.potentials.card")
    from ase_physml.store.card import ModelCard

    assert card.PotentialCard is ModelCard
    stereo = importlib.import_module("ase_physml.molecules.stereo")
    embed = importlib.import_module("ase_physml.molecules.embed")
    molecule = embed.with_hydrogens("O")
    assert stereo.placed(molecule, [[0, 0, 0], [1, 0, 0], [0, 1, 0]]).GetNumConformers()


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ase_physml.tasks.nothing")
