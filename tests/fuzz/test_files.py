"""Files of structures, whole and damaged."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from ase_physml.data.files.xyz import read_xyz, write_xyz
from ase_physml.data.importers.opening import open_source
from ase_physml.errors import PhysMLError
from ase_physml.workflows.inputs import read_inputs

Check = Callable[[Callable[[], Any]], Any]
Mutate = Callable[[bytes, np.random.Generator], bytes]

pytestmark = pytest.mark.slow

FORMATS = {
    "a.xyz": "extxyz",
    "a.pdb": "proteindatabank",
    "a.cif": "cif",
    "a.traj": "traj",
    "a.json": "json",
    "a.vasp": "vasp",
    "a.gro": "gromacs",
    "a.sdf": "",
    "b.sdf": "",
}
SEEDS = range(16)


def structures(random: np.random.Generator) -> list[Atoms]:
    """Three of one composition, as some formats want."""
    start = molecule("CH3CH2OH", cell=[9.0, 9.0, 9.0], pbc=True)
    found = []
    for _ in range(3):
        atoms = start.copy()
        atoms.positions += 0.01 * random.normal(size=(len(atoms), 3)) + 4.0
        results = {"energy": -1.0, "forces": random.normal(size=(len(atoms), 3))}
        atoms.calc = SinglePointCalculator(atoms, **results)
        found.append(atoms)
    return found


def content(name: str, random: np.random.Generator, folder: Path) -> tuple[bytes, int]:
    """Of a whole file, and how many structures are in it."""
    if name.endswith(".sdf"):
        return _sdf(v3000=name == "b.sdf"), 2
    images = structures(random)
    if FORMATS[name] in ("vasp", "gromacs", "cif"):
        images = images[:1]
    ase.io.write(folder / name, images, format=FORMATS[name])
    return (folder / name).read_bytes(), len(images)


def _sdf(*, v3000: bool) -> bytes:
    out = io.StringIO()
    with Chem.SDWriter(out) as writer:
        writer.SetForceV3000(v3000)
        for smiles in ("CCO", "C/C=C\\C"):
            mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
            rdDistGeom.EmbedMolecule(mol, randomSeed=1)
            writer.write(mol)
    return out.getvalue().encode()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_files(
    tmp_path: Path, check: Check, mutate: Mutate, name: str, seed: int
) -> None:
    random = np.random.default_rng([seed, list(FORMATS).index(name)])
    whole, count = content(name, random, tmp_path)
    path = tmp_path / name
    path.write_bytes(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        intact = check(lambda: [one for _, one in read_inputs([str(path)])])
        assert len(intact) == count
        assert all(isinstance(one, Atoms) for one in intact)
        (tmp_path / name).write_bytes(mutate(whole, random))
        found = check(lambda: [one for _, one in read_inputs([str(path)])])
        assert isinstance(found, list) and found
        for one in found:
            if isinstance(one, Atoms):
                assert one.positions.shape == (len(one), 3)
        frames = check(lambda: list(open_source(path)))
        if isinstance(frames, list):
            good = [one for one in found if isinstance(one, Atoms)]
            assert len(frames) <= len(good)


@pytest.mark.parametrize("seed", range(40))
def test_texts_in_extended_xyz(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    letters = list("\\\\\\/=[]{}\"' ,TF01.eé\n\t|#@+-cCN()_")
    texts = ["".join(random.choice(letters, size=random.integers(12))) for _ in "abc"]
    atoms = bulk("Cu") if seed % 2 else molecule("H2O")
    atoms.info.update({f"key_{k}": text for k, text in enumerate(texts)})
    path = tmp_path / "a.xyz"
    write_xyz(path, [atoms, atoms])
    for read in (ase.io.read(path, ":"), list(read_xyz(path))):
        assert [a.info for a in read] == [atoms.info] * 2


@pytest.mark.parametrize("seed", range(20))
def test_bytes_of_no_format(tmp_path: Path, check: Check, seed: int) -> None:
    random = np.random.default_rng(seed)
    endings = [
        "xyz",
        "sdf",
        "pdb",
        "traj",
        "db",
        "cif",
        "json",
        "smi",
        "csv",
        "gz",
        "x",
    ]
    name = f"a.{endings[seed % len(endings)]}"
    size = int(random.integers(400))
    path = tmp_path / name
    path.write_bytes(bytes(random.integers(256, size=size, dtype=np.uint8)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check(lambda: [one for _, one in read_inputs([str(path)])])
        check(lambda: list(open_source(path)))
    assert found
    assert all(isinstance(one, PhysMLError) for one in found)
