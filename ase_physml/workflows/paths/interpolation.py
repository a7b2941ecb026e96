"""Interpolation between the ends of a path, and what of it is refused."""

import numpy as np
from ase import Atoms
from ase.mep import NEB
from ase.mep.neb import idpp_interpolate

from ase_physml.errors import StructureError
from ase_physml.workflows.alignment import (
    align_ends,
    distances,
    n_rotations,
    placement_of,
    superpose,
)

STARTS = ("idpp", "geodesic")
"""Interpolations that bands start from: image dependent pair potential (Smidstrup et
al. 2014), or geodesic in internal coordinates (Zhu et al. 2019)."""

# Å; no bond is shorter than 0.74 Å, and a path may squeeze one.
_COLLISION = 0.4
# Å; two atoms that trade places meet in the middle.
_MEETING = 0.05
# Å; on a line, what moves further passes another atom, and how far around it.
_PASSING, _AROUND = 1.5, 1.2
# Å; atoms of two elements that come nearer on the straight path trade places.
_PASSED = 0.3


def interpolate(
    images: list[Atoms],
    method: str = "idpp",
    mic: bool | None = None,
    apply_constraint: bool | None = None,
) -> None:
    """Lay images between the first and the last; see `BatchedNEB.interpolate`.

    Raises:
        StructureError: Atoms that run into each other, named.
    """
    if mic is None:
        mic = bool(images[0].pbc.any())
    band = NEB(images, method="improvedtangent")
    band.interpolate("linear", mic, apply_constraint)
    _leave_the_line(images)
    _turn_past(images)
    check_meeting(images)
    if method == "geodesic":
        geodesic_interpolate(images)
        check_path(images)
    if method == "idpp":
        idpp_interpolate(band, traj=None, log=None, mic=mic)
        check_path(images)


def images_between(
    pair: tuple[Atoms, Atoms] | Exception,
    count: int,
    start: str = "idpp",
    match: bool = False,
    guess: Atoms | None = None,
) -> list[Atoms]:
    """Images from the reactant to the product, turned to face it.

    Args:
        pair: Reactant and product; an exception is raised.
        count: Number of images, ends included.
        start: "idpp" or "geodesic".
        match: Whether to reorder the product's atoms; see `align_ends`.
        guess: Structure of the same atoms to lead through, near the saddle.

    Raises:
        StructureError: Ends, or a guess, of other atoms; atoms that collide.
    """
    if isinstance(pair, Exception):
        raise pair
    reactant, product = pair[0].copy(), align_ends(*pair, match=match)
    if guess is None:
        images = [*(reactant.copy() for _ in range(count - 1)), product]
        interpolate(images, start, apply_constraint=True)
        return images
    if not isinstance(guess, Atoms):
        raise StructureError(f"a guess is an ase.Atoms, not a {type(guess).__name__}")
    before = count // 2
    top = reactant.copy()
    top.positions = align_ends(reactant, guess).positions
    if placement_of(top).aligned:
        product = align_ends(top, product)
    first = [*(reactant.copy() for _ in range(before)), top]
    last = [*(top.copy() for _ in range(count - before - 1)), product]
    for half in (first, last):
        if len(half) < 3:  # nothing between
            continue
        interpolate(half, start, apply_constraint=True)
    return [*first, *last[1:]]


def _leave_the_line(images: list[Atoms]) -> None:
    """Lead the atom that moves furthest around the others, where all lie on a line.

    On a line atoms can only run through each other, and no force leads off it.
    """
    first, last = images[0], images[-1]
    free = not first.pbc.any() and not first.constraints
    if not free or len(first) < 3 or not (n_rotations(first) == n_rotations(last) == 2):
        return
    moves = np.linalg.norm(last.positions - first.positions, axis=1)
    moves[first.get_masses() > first.get_masses().min()] *= 0.5
    mover = int(moves.argmax())
    if moves[mover] < _PASSING:
        return
    _, axes = first.get_moments_of_inertia(vectors=True)
    for image, share in zip(images, np.linspace(0.0, np.pi, len(images)), strict=True):
        image.positions[mover] += _AROUND * np.sin(share) * axes[-1]


def _turn_past(images: list[Atoms]) -> None:
    """Lead atoms of two elements that trade places around each other: NC to CN.

    No mistake in the order of the atoms looks like this, as one of equal atoms would.
    """
    first = images[0]
    if first.pbc.any() or first.constraints:
        return
    shares = np.sin(np.linspace(0.0, np.pi, len(images)))
    for _ in range(len(first) // 2):
        middle = min(images[1:-1], key=lambda image: _closest(image)[2])
        i, j, distance = _closest(middle)
        if distance > _PASSED or first.numbers[i] == first.numbers[j]:
            return
        axis = first.positions[j] - first.positions[i]
        others = first.positions - 0.5 * (first.positions[i] + first.positions[j])
        beside = np.cross(
            axis, others[np.linalg.norm(np.cross(axis, others), axis=1).argmax()]
        )
        if np.linalg.norm(beside) < 1e-3:
            beside = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
        beside *= 0.5 * _AROUND / np.linalg.norm(beside)
        for image, share in zip(images, shares, strict=True):
            image.positions[i] += share * beside
            image.positions[j] -= share * beside


def geodesic_interpolate(images: list[Atoms]) -> None:
    """Lay images on the geodesic between the ends in redundant internal coordinates.

    By the library of its authors (Zhu, Thompson and Martínez, J. Chem. Phys. 150,
    164103, 2019).

    Raises:
        StructureError: It is not installed, or the images are held or in a cell.
    """
    try:
        from geodesic_interpolate.geodesic import Geodesic
        from geodesic_interpolate.interpolation import redistribute
    except ImportError as error:
        raise StructureError(
            "geodesic starts need the extra: pip install 'ase-physml[geodesic]'"
        ) from error
    first, last = images[0], images[-1]
    if first.pbc.any() or first.constraints:
        raise StructureError(
            "geodesic starts are of free molecules; use idpp for what is held or in a "
            "cell"
        )
    symbols = list(first.symbols)
    # The library nudges its geometries at random, by numpy's global numbers.
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        raw = redistribute(
            symbols, [first.positions, last.positions], len(images), tol=1e-2
        )
        smoother = Geodesic(symbols, raw, 1.7, threshold=3, friction=1e-2)
        smoother.smooth(tol=2e-3, max_iter=15)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    middle = range(1, len(images) - 1)
    for index in middle:
        images[index].positions = smoother.path[index]
    last.positions = superpose(last.positions, smoother.path[-1])


def check_meeting(images: list[Atoms]) -> None:
    """Refuse a straight path on which atoms trade places: no interpolation survives it.

    Raises:
        StructureError: Naming the image and the atoms.
    """
    for index, image in enumerate(images):
        i, j, distance = _closest(image)
        if distance < _MEETING:
            raise StructureError(
                f"atoms {i} ({image.symbols[i]}) and {j} ({image.symbols[j]}) run into "
                f"each other at image {index} of the straight path: does their order "
                "differ between the ends? exchange them in one end, or have atoms "
                "matched (--match)"
            )


def check_path(images: list[Atoms]) -> None:
    """Refuse a path on which atoms collide, or are nowhere.

    Raises:
        StructureError: Naming the image and the atoms.
    """
    for index, image in enumerate(images):
        lost = np.flatnonzero(~np.isfinite(image.positions).all(axis=1))
        if len(lost):
            raise StructureError(
                f"the interpolation put atom {lost[0]} ({image.symbols[lost[0]]}) of "
                f"image {index} nowhere ({image.positions[lost[0]]}): does the order "
                "of atoms differ between the ends?"
            )
        i, j, distance = _closest(image)
        if distance < _COLLISION:
            raise StructureError(
                f"atoms {i} ({image.symbols[i]}) and {j} ({image.symbols[j]}) come "
                f"within {distance:.2f} Å of each other at image {index} of the "
                "interpolated path; are the atoms of both ends in the same order?"
            )


def _closest(image: Atoms) -> tuple[int, int, float]:
    """The two atoms nearest to each other, and their distance, Å."""
    apart = distances(image, image) + 1e3 * np.eye(len(image))
    i, j = np.unravel_index(apart.argmin(), apart.shape)
    return int(i), int(j), float(apart[i, j])
