"""Files in the project's own layout, imported again."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase.units import Bohr, Hartree

from ase_physml.data.dataset import RaggedSet, check
from ase_physml.data.frame import Frame
from ase_physml.data.importers.importer import Options
from ase_physml.data.importers.opening import convert, open_source
from ase_physml.errors import DataError


def test_own_layout_in_other_units(
    make_set: Callable[[], Path], frames: list[Frame], tmp_path: Path
) -> None:
    path, out = make_set(), tmp_path / "out.h5"
    with h5py.File(path, "a") as file:
        file["energy"][:] /= Hartree
        file["positions"][:] /= Bohr
        file["forces"][:] /= Hartree / Bohr
        file.attrs["length_unit"] = "bohr"
        file.attrs["energy_unit"] = "Hartree"
        file.attrs["forces_unit"] = "Hartree/bohr"
    assert convert(open_source(path), out) == len(frames)
    data = check(out)
    assert data.metadata == RaggedSet(path, any_units=True).metadata
    for found, expected in zip(data, frames, strict=True):
        assert found.energy == pytest.approx(expected.energy)
        np.testing.assert_allclose(found.positions, expected.positions)
        np.testing.assert_allclose(found.forces, expected.forces)
    with pytest.raises(DataError, match="is the file to read"):
        convert(open_source(path), path)


def test_own_layout_without_stated_units(
    make_set: Callable[[], Path], frames: list[Frame], tmp_path: Path
) -> None:
    path, out = make_set(), tmp_path / "out.h5"
    with h5py.File(path, "a") as file:
        del file.attrs["energy_unit"], file.attrs["forces_unit"]
    convert(open_source(path, "auto", Options(energy_unit="kJ/mol")), out, limit=3)
    data = check(out)
    assert len(data) == 3
    assert data[0].energy == pytest.approx(frames[0].energy * 0.010364269)
    np.testing.assert_allclose(
        data[0].forces, frames[0].forces * 0.010364269, rtol=1e-6
    )
