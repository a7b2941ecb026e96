"""The raw QM9 archive, on a small one in its layout."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.units import Bohr, Hartree, kcal, mol

from ase_physml.data.dataset import check
from ase_physml.data.importers.importer import Options
from ase_physml.data.importers.opening import convert, open_source
from ase_physml.data.importers.qm9_archive import (
    TARGETS,
    read_excluded,
    read_properties,
)
from ase_physml.errors import DataError

# As published, tabs and exponents included.
METHANE = (
    "5\n"
    "gdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t"
    "35.3641\t0.044749\t-40.47893\t-40.476062\t-40.475117\t-40.498597\t6.469\t\n"
    "C\t-0.0126981359\t 1.0858041578\t 0.0080009958\t-0.535689\n"
    "H\t 0.002150416\t-0.0060313176\t 0.0019761204\t 0.133921\n"
    "H\t 1.0117308433\t 1.4637511618\t 0.0002765748\t 0.133922\n"
    "H\t-0.540815069\t 1.4475266138\t-8.7664371*^-1\t 0.133923\n"
    "H\t-0.5238136345\t 1.4379326443\t 0.9063972942\t 0.133923\n"
    "1341.307\t1341.3284\t1341.365\t1562.6731\t1562.7453\t3038.3205\n"
    "C\tC\t\n"
    "InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4\n"
)


def molecule(index: int) -> str:
    return METHANE.replace("gdb 1\t", f"gdb {index}\t").replace("C\tC\t", "CC\tC\t")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "dsgdb9nsd.xyz.tar.bz2"
    with tarfile.open(path, "w:bz2") as tar:
        for index in range(1, 31):
            content = molecule(index).encode()
            member = tarfile.TarInfo(f"dsgdb9nsd_{index:06d}.xyz")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_electronic_energies(archive: Path, tmp_path: Path) -> None:
    source = open_source(archive)
    out = tmp_path / "out.h5"
    assert source.importer.name == "qm9"
    assert convert(source, out) == 30
    data = check(out)
    assert data.metadata.energy_kind == "total electronic energy (U0 minus ZPVE)"
    assert data.metadata.level_of_theory == "B3LYP/6-31G(2df,p)"
    assert data.metadata.equilibrium is True
    frame = data[0]
    assert frame.energy == pytest.approx((-40.47893 - 0.044749) * Hartree, abs=1e-9)
    assert (frame.name, frame.smiles) == ("dsgdb9nsd_000001", "C")
    assert frame.numbers.tolist() == [6, 1, 1, 1, 1]
    np.testing.assert_array_equal(
        frame.positions[3], [-0.540815069, 1.4475266138, -0.87664371]
    )


def test_the_twelve_properties(archive: Path) -> None:
    frame, values = next(read_properties(archive))
    found = dict(zip(TARGETS, values, strict=True))
    assert frame.name == "dsgdb9nsd_000001"
    assert found["mu (e Å)"] == 0.0
    assert found["alpha (Å^3)"] == pytest.approx(13.21 * Bohr**3)
    assert found["gap (eV)"] == pytest.approx(0.5048 * Hartree)
    assert found["zpve (eV)"] == pytest.approx(0.044749 * Hartree)
    assert found["g298 (eV)"] == pytest.approx(-40.498597 * Hartree)
    assert found["cv (eV/K)"] == pytest.approx(6.469 * kcal / mol / 1000)


def test_internal_energies(archive: Path) -> None:
    source = open_source(archive, "auto", Options(energy="U0"))
    assert next(iter(source)).energy == pytest.approx(-40.47893 * Hartree, abs=1e-9)
    assert source.metadata.energy_kind == "internal energy at 0 K (U0)"
    with pytest.raises(DataError, match="'G298' is not one of U0-ZPVE, U0"):
        open_source(archive, "auto", Options(energy="G298"))


def test_uncharacterised_molecules(archive: Path, tmp_path: Path) -> None:
    listed = tmp_path / "uncharacterized.txt"
    listed.write_text(
        "12 molecules failed the check\n======\n   Index  SMILES from GDB  relaxed\n"
        "     3   C   CC\n    21   [NH3+]CC([O-])=O   NCC(O)=O\n\n"
        "------\n11 compounds\n"
    )
    assert read_excluded(listed) == {3, 21}
    source = open_source(archive, "auto", Options(exclude=listed))
    assert len(list(source)) == 28
    assert source.notes.left_out == {f"listed in {listed}": 2}
    listed.write_text("3\ndsgdb9nsd_000021\n")
    assert read_excluded(listed) == {3, 21}
    listed.write_text("none\n")
    with pytest.raises(DataError, match="no line starts with an identifier"):
        list(source)
    listed.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        list(source)


def test_a_truncated_archive(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"cannot be read as 'qm9' after .* truncated"):
        list(open_source(archive, "qm9"))


def test_another_archive(tmp_path: Path) -> None:
    path = tmp_path / "other.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(__file__, "readme.txt")
    with pytest.raises(DataError, match="not the raw QM9 archive"):
        list(open_source(path))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "five" + text[1:],
        lambda text: text[:200],
        lambda text: text.replace("H\t", "Xq\t", 1),
        lambda text: text.replace("\t6.469", ""),
        lambda text: text[:0],
    ],
)
def test_a_damaged_member(tmp_path: Path, damage: Callable[[str], str]) -> None:
    path = tmp_path / "qm9.tar"
    content = damage(METHANE).encode()
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("dsgdb9nsd_000001.xyz")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match="dsgdb9nsd_000001: not a QM9 record"):
        list(open_source(path))
