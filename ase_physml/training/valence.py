"""A generic force field that has its minimum at a given structure.

What an equilibrium structure alone does not say is how stiff its wells are. Rules of
thumb of spectroscopy do, within a factor of two: a bond resists by tens of eV/Å^2, an
angle by a few eV/rad^2, a rotation about a single bond by half an eV/rad^2. Denoising
learns from them which way, and how strongly, a displaced structure is pulled back. No
molecule, no element is parametrised; nothing here is a reference method.

Metals have no such bonds. Springs stand for them: between a metal's atoms as stiff as
phonons say (1.4 to 3.3 eV/Å^2 for nearest neighbours of Ag, Au, Ni, Cu, Pt), and to the
atoms of what is adsorbed, from some 10 eV/Å^2 of a bond to that of physisorption.

Bonded terms of a flat list of atoms; torsions and improper terms are written in unit
vectors, not angles, so that no structure makes them singular.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ase_physml.chem.bonds import SPRING

# Badger's rule: stiffness grows as the sixth power of how much shorter than a single
# bond it is (30 eV/Å^2 for C-C and C-H, 80 for C=O, 130 for C#N).
_BOND, _BADGER = 30.0, 6
# 1/Å; with the stiffness above a C-C bond is 4.2 eV deep.
_MORSE = 1.9
# eV/rad^2 of an angle with none, one and two hydrogens at its ends.
_ANGLE = (5.3, 4.0, 3.2)
_LINEAR = 0.35  # of that at 180 degrees
# eV/rad^2 of a rotation about a single bond, shared by its torsions, and how fast it
# grows with shortening: 0.5 for C-C, 1.5 in benzene, 2.5 for C=C.
_TORSION, _TORSION_GROWTH = 0.5, 12.9
_OUT_OF_PLANE = 2.5
# Elements that bond covalently; all others are taken for metals.
_NONMETALS = (1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 33, 34, 35, 36, 53, 54)
# Springs of metals: eV/Å^2 at the sum of covalent radii, power of their decay with
# distance, and reach in sums of radii; among themselves, and to other atoms.
_AMONG_METALS, _TO_METALS = (2.0, 6, 1.3), (9.0, 8, 1.8)
# Soft modes without a term (two molecules, ring puckers) still get a finite size.
_FLOOR = 0.05
# Of atoms that are held; far above every mode.
_HELD = 1e5
_TINY = 1e-12

_Coordinate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Terms:
    """Terms ``k/2 |q(x) - q0|^2`` of one kind, or Morse terms of that stiffness.

    Attributes:
        atoms: Flat atom indices, (T, a).
        images: Lattice translations of each of them, (T, a, 3) Å.
        coordinate: q of positions (T, a, 3), as (T, c).
        rest: q0 (T, c).
        stiffness: k (T,).
        morse: The difference saturates, as that of a bond which breaks.
    """

    atoms: Tensor
    images: Tensor
    coordinate: _Coordinate
    rest: Tensor
    stiffness: Tensor
    morse: bool = False


class ValenceField:
    """The force field of M structures of N atoms each.

    In a cell an atom is bonded to the nearest image of another, which is the one meant
    in cells of more than some 7 Å.

    Args:
        equilibrium: Positions (M, N, 3) in Å; the minimum.
        numbers: Atomic numbers (M, N).
        radii: Covalent radii (M, N) in Å.
        cell: Lattice vectors in rows, (M, 3, 3) Å; None for molecules.
        pbc: Along which of them structures repeat, (M, 3); needed with a cell.
    """

    def __init__(
        self,
        equilibrium: Tensor,
        numbers: Tensor,
        radii: Tensor,
        cell: Tensor | None = None,
        pbc: Tensor | None = None,
    ) -> None:
        self.equilibrium = equilibrium
        m, n, _ = equilibrium.shape
        between = equilibrium.unsqueeze(1) - equilibrium.unsqueeze(2)
        # Translation to the image of j that is nearest to i, (M, N, N, 3).
        self.images = torch.zeros_like(between)
        if cell is not None and pbc is not None:
            self.images = _to_nearest(between, cell * pbc.unsqueeze(-1))
        distance = (between + self.images).square().sum(-1).sqrt()
        distance = distance + 1e3 * torch.eye(n).to(distance)
        ratio = distance / (radii.unsqueeze(2) + radii.unsqueeze(1))
        metal = ~torch.isin(numbers, numbers.new_tensor(_NONMETALS))
        metals = metal.unsqueeze(2).long() + metal.unsqueeze(1).long()
        bonded = (ratio < SPRING) & (metals == 0)
        self.first = n * torch.arange(m, device=bonded.device)
        self.terms = [
            self._bonds(bonded, ratio),
            self._angles(bonded, numbers.flatten() == 1),
            self._torsions(bonded, ratio),
            self._impropers(bonded),
            self._springs(metals == 2, ratio, *_AMONG_METALS),
            self._springs(metals == 1, ratio, *_TO_METALS),
        ]

    def _term(
        self, m: Tensor, atoms: Tensor, centre: int, q: _Coordinate, stiffness: Tensor
    ) -> _Terms:
        """Terms of structures m (T,), of atoms (T, a) counted within them.

        Each atom is taken as the image nearest to number ``centre`` of its term.
        """
        images = self.images[m[:, None], atoms[:, centre, None], atoms]
        flat = self.first[m, None] + atoms
        rest = q(self.equilibrium.reshape(-1, 3)[flat] + images)
        return _Terms(flat, images, q, rest, stiffness)

    def _bonds(self, bonded: Tensor, ratio: Tensor) -> _Terms:
        return self._springs(bonded, ratio, _BOND, _BADGER, SPRING)

    def _springs(
        self, pairs: Tensor, ratio: Tensor, strength: float, power: int, reach: float
    ) -> _Terms:
        """Morse terms of those pairs (M, N, N) that are within reach."""
        m, i, j = (pairs & (ratio < reach)).triu().nonzero(as_tuple=True)
        stiffness = strength * ratio[m, i, j].clamp(min=0.6) ** -power
        terms = self._term(m, torch.stack([i, j], 1), 0, _length, stiffness)
        return replace(terms, morse=True)

    @property
    def bonds(self) -> Tensor:
        """Flat indices of bonded atoms, but for bonds across a cell's face, (B, 2)."""
        bonds = self.terms[0]
        return bonds.atoms[(bonds.images == 0).all(-1).all(-1)]

    def _angles(self, bonded: Tensor, hydrogen: Tensor) -> _Terms:
        # (m, j, i, k): i and k on j, each pair once.
        pairs = (bonded.unsqueeze(3) & bonded.unsqueeze(2)).triu(1)
        m, j, i, k = pairs.nonzero(as_tuple=True)
        atoms, ones = torch.stack([i, j, k], 1), torch.ones_like(m)
        terms = self._term(m, atoms, 1, _half_angle, ones.to(self.equilibrium))
        ends = hydrogen[terms.atoms[:, 0]].long() + hydrogen[terms.atoms[:, 2]].long()
        # dq/dtheta = -sin(theta / 2).
        slope = 1.0 - 0.25 * terms.rest.squeeze(1).square()
        stiffness = slope.new_tensor(_ANGLE)[ends] / slope.clamp(min=0.1)
        softer = 1.0 - (1.0 - _LINEAR) * _linear(terms.rest).squeeze(1)
        terms.stiffness.copy_(stiffness * softer)
        return terms

    def _torsions(self, bonded: Tensor, ratio: Tensor) -> _Terms:
        m, j, k = bonded.triu().nonzero(as_tuple=True)
        row = torch.arange(len(m), device=m.device)
        on_j, on_k = bonded[m, j].clone(), bonded[m, k].clone()
        on_j[row, k] = False
        on_k[row, j] = False
        chains = on_j.unsqueeze(2) & on_k.unsqueeze(1)
        bond, i, l = chains.nonzero(as_tuple=True)  # noqa: E741
        keep = i != l  # three-membered rings
        bond, i, l = bond[keep], i[keep], l[keep]  # noqa: E741
        m, j, k = m[bond], j[bond], k[bond]
        total = _TORSION * torch.exp(_TORSION_GROWTH * (1.0 - ratio[m, j, k]))
        share = total / torch.bincount(bond, minlength=len(row)).clamp(min=1)[bond]
        terms = self._term(m, torch.stack([i, j, k, l], 1), 1, _twist, share)
        # Squared length of the twist vector, (sin(theta) sin(theta'))^2: a linear angle
        # has no torsion.
        length = terms.rest.square().sum(1)
        terms.stiffness.mul_(length / (length + 0.05).square())
        return terms

    def _impropers(self, bonded: Tensor) -> _Terms:
        m, j = (bonded.sum(2) == 3).nonzero(as_tuple=True)
        if not len(m):
            three = j.new_zeros((0, 3))
        else:
            three = bonded[m, j].int().topk(3, dim=1).indices
        atoms = torch.cat([j[:, None], three], 1)
        stiffness = torch.full(m.shape, _OUT_OF_PLANE).to(self.equilibrium)
        return self._term(m, atoms, 0, _pyramid, stiffness)

    def energies_and_forces(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Energies (M,) in eV and forces (M, N, 3) in eV/Å at displaced positions."""
        m, n, _ = positions.shape
        with torch.enable_grad():
            flat = positions.detach().reshape(-1, 3).requires_grad_()
            energies = flat.new_zeros(m)
            for terms in self.terms:
                moved = flat[terms.atoms] + terms.images
                stretch = terms.coordinate(moved) - terms.rest
                if terms.morse:
                    stretch = -torch.expm1(-_MORSE * stretch) / _MORSE
                each = 0.5 * terms.stiffness * stretch.square().sum(1)
                energies = energies.index_add(0, terms.atoms[:, 0] // n, each)
            (gradient,) = torch.autograd.grad(energies.sum(), flat)
        return energies.detach(), -gradient.reshape(m, n, 3)

    def hessian(self) -> Tensor:
        """Second derivatives at the minimum, plus a floor: (M, 3N, 3N) eV/Å^2."""
        m, n, _ = self.equilibrium.shape
        flat = self.equilibrium.reshape(-1, 3)
        hessian = flat.new_zeros(m * 3 * n * 3 * n)
        for terms in self.terms:
            rows = _rows(terms, flat)
            values = torch.einsum("t,tcx,tcy->txy", terms.stiffness, rows, rows)
            molecule = terms.atoms[:, 0] // n
            axes = torch.arange(3, device=flat.device)
            local = (3 * (terms.atoms % n).unsqueeze(2) + axes).flatten(1)
            where = (molecule[:, None, None] * 3 * n + local.unsqueeze(2)) * 3 * n
            where = where + local.unsqueeze(1)
            hessian.index_add_(0, where.flatten(), values.flatten())
        floor = _FLOOR * torch.eye(3 * n, dtype=flat.dtype, device=flat.device)
        return hessian.reshape(m, 3 * n, 3 * n) + floor


def hold(hessian: Tensor, fixed: Tensor) -> Tensor:
    """The Hessian (M, 3N, 3N) of a structure some of whose atoms (M, N) are held."""
    held = fixed.repeat_interleave(3, dim=1)
    free = (~held).to(hessian)
    kept = hessian * free.unsqueeze(2) * free.unsqueeze(1)
    return kept + torch.diag_embed(_HELD * (1.0 - free))


def _to_nearest(between: Tensor, cell: Tensor) -> Tensor:
    """Translations that make vectors (M, N, N, 3) short, by cells (M, 3, 3)."""
    vectors = between.flatten(1, 2)
    whole = (vectors @ torch.linalg.pinv(cell)).round()
    nearest: Tensor = -whole @ cell
    return nearest.reshape(between.shape)


def _rows(terms: _Terms, flat: Tensor) -> Tensor:
    """dq/dx at rest, (T, c, 3a)."""
    with torch.enable_grad():
        x = (flat[terms.atoms] + terms.images).detach().requires_grad_()
        q = terms.coordinate(x)
        rows = [
            torch.autograd.grad(q[:, c].sum(), x, retain_graph=True)[0].flatten(1)
            for c in range(q.shape[1])
        ]
    if terms.coordinate is _half_angle:
        rows.append(_linear_rows(x.detach(), terms.rest))
    return torch.stack(rows, 1)


def _linear_rows(x: Tensor, rest: Tensor) -> Tensor:
    """The second bending of a linear angle, which has no gradient of its own."""
    near, far = _unit(x[:, 0] - x[:, 1]), _unit(x[:, 2] - x[:, 1])
    any_axis = torch.eye(3).to(x)[near.abs().argmin(1)]
    bend = _unit(near + far + 1e-6 * torch.linalg.cross(near, any_axis))
    other = torch.linalg.cross(near, bend)
    over_i = other / (x[:, 0] - x[:, 1]).norm(dim=1, keepdim=True)
    over_k = other / (x[:, 2] - x[:, 1]).norm(dim=1, keepdim=True)
    rows = torch.cat([over_i, -over_i - over_k, over_k], 1)
    return rows * _linear(rest)


def _linear(rest: Tensor) -> Tensor:
    """1 for an angle of 180 degrees, 0 from about 160 down; ``rest`` is its q."""
    return torch.exp(-(rest / 0.15).square())


def _unit(vectors: Tensor) -> Tensor:
    return vectors / (vectors.square().sum(-1, keepdim=True) + _TINY).sqrt()


def _length(x: Tensor) -> Tensor:
    """Bond length."""
    return ((x[:, 0] - x[:, 1]).square().sum(1, keepdim=True) + _TINY).sqrt()


def _half_angle(x: Tensor) -> Tensor:
    """2 cos(theta / 2), which unlike cos(theta) has a slope at 180 degrees."""
    both = _unit(x[:, 0] - x[:, 1]) + _unit(x[:, 2] - x[:, 1])
    return (both.square().sum(1, keepdim=True) + _TINY).sqrt()


def _twist(x: Tensor) -> Tensor:
    """sin(theta) sin(theta') (cos(phi), sin(phi)) of a torsion."""
    a, b, c = (_unit(x[:, k + 1] - x[:, k]) for k in range(3))
    normal = torch.linalg.cross(b, c)
    cosine = (torch.linalg.cross(a, b) * normal).sum(1)
    return torch.stack([cosine, (a * normal).sum(1)], 1)


def _pyramid(x: Tensor) -> Tensor:
    """Triple product of the unit bonds of an atom: 0 when it is planar."""
    a, b, c = (_unit(x[:, k] - x[:, 0]) for k in (1, 2, 3))
    volume: Tensor = (a * torch.linalg.cross(b, c)).sum(1, keepdim=True)
    return volume
