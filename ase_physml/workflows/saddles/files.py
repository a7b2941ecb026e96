"""Files of saddles: structure, way down to both sides, modes, certificate."""

import json
from pathlib import Path
from typing import Any

from ase_physml.data.files.xyz import write_xyz
from ase_physml.jobs.disk import write_json, writing
from ase_physml.jobs.identity import Identity
from ase_physml.workflows.image_files import write_images
from ase_physml.workflows.relax import AFRESH
from ase_physml.workflows.saddles.certificate import Certificate
from ase_physml.workflows.saddles.search import Saddle
from ase_physml.workflows.vibrations.files import labelled, write_molden

SUFFIXES = (".saddle.json", ".saddle.xyz", ".saddle.traj", ".saddle.molden")
"""Endings of the files of `write_saddle`."""


def write_saddle(
    stem: Path,
    certificate: Certificate,
    saddle: Saddle | None,
    made_of: Identity | None = None,
) -> None:
    """Write ``STEM.saddle.json`` and, where there is a saddle, its structures.

    ``.xyz`` is the saddle, ``.traj`` the steepest descents through it, from the minimum
    of the reactant's side to the other, ``.molden`` its modes.

    Args:
        stem: Path without an ending.
        certificate: Certificate of the search.
        saddle: Saddle, or where its search has ended.
        made_of: Identity of the search, to compare when a run goes on.

    Raises:
        WriteError: They cannot be written.
    """
    numbers, xyz, traj, molden = (stem.with_name(stem.name + end) for end in SUFFIXES)
    for path in (xyz, traj, molden):
        path.unlink(missing_ok=True)
    if saddle is not None:
        write_xyz(xyz, [labelled(saddle.vibrations)])
        write_molden(molden, saddle.vibrations)
        if saddle.path:
            for image, energy in zip(saddle.path, saddle.energies, strict=True):
                image.info["energy_eV"] = float(energy)
            write_images(saddle.path, traj)
    with writing(numbers):
        about = about_saddle(certificate, saddle)
        if made_of is not None:
            about["made_of"] = dict(made_of.values)
        write_json(numbers, about, indent=1)


def has_saddle(stem: Path, made_of: Identity) -> bool:
    """Whether `write_saddle` has written the outcome of the same search.

    Raises:
        DataError: It is of other work.
    """
    path = stem.with_name(stem.name + SUFFIXES[0])
    if not path.is_file():
        return False
    stored = json.loads(path.read_text("utf-8"))
    made_of.check(stored.get("made_of"), path, AFRESH)
    return True


def about_saddle(certificate: Certificate, saddle: Saddle | None) -> dict[str, Any]:
    """What there is to say of a saddle, as JSON holds it; energies in eV."""
    about: dict[str, Any] = {
        "grade": certificate.grade,
        "reasons": list(certificate.reasons),
        "minima": list(certificate.minima),
    }
    if saddle is None:
        return about
    forward, back = saddle.barriers or (None, None)
    return about | {
        "energy": saddle.energy,
        "barrier": forward,
        "barrier_back": back,
        "barrier_std": saddle.barrier_std,
        "zero_point": saddle.zero_point and list(saddle.zero_point),
        "largest_force_eV_per_A": saddle.vibrations.hessian.largest_force,
        "frequencies_per_cm": saddle.vibrations.frequencies.tolist(),
        "steps": len(saddle.forces) - 1,
        "evaluations": saddle.evaluations,
    }
