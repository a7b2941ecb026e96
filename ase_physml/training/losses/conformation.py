"""Errors of predicted conformations (PhysChem Eqs 12-13, HamNet 14-16).

All of them compare positions with ``graph.positions`` without caring how either lies
in space; those of distances do not see handedness, those after Kabsch do. A molecule
of one atom is always right. Distances are between the atoms of the graph, that is,
heavy atoms. Where ``graph.positions`` is NaN, losses leave the molecule out and its
metrics are NaN. Recipes name the losses: `conformation_losses`.
"""

import torch
from torch import Tensor

from ase_physml.bonded_graph import BondedGraph
from ase_physml.errors import DataError
from ase_physml.segment import segment_sum

# Keeps the derivative of a square root finite at zero; below rounding at 1 Å.
_TINY = 1e-16


def conn_loss(
    graph: BondedGraph, positions: Tensor, hops: int | None = 3, norm: bool = False
) -> Tensor:
    """Conn-k: squared errors of distances within k bonds (PhysChem Eq 12).

    ``(1/n) sum_ij C_ij / sqrt(L_i L_j) (D_ij - D'_ij)^2`` with C_ij = 1 within k hops,
    self included, and L its row sums; a sum, where the paper prints the norm of the
    matrix whose elements are summed.

    Args:
        graph: With the true positions.
        positions: Predicted, Å, shape (..., N, 3); leading axes for a trajectory.
        hops: The k; None for all pairs, which is the mean of `distance_mse`.
        norm: The norm as printed.

    Returns:
        Mean over molecules, Å^2, shape (...).
    """
    found = _distances(graph, positions)
    if not norm:
        return conn_loss_of_distances(graph, found, hops)
    elements = _conn_elements(graph, found, hops) / graph.n_atoms[_molecules(graph)]
    squares = 2 * _per_molecule(graph, elements.square())
    return mean_known(graph, (squares + _TINY).sqrt())


def conn_loss_of_distances(
    graph: BondedGraph, distances: Tensor, hops: int | None = 3
) -> Tensor:
    """`conn_loss` of distances that no positions need have, Å, shape (..., P)."""
    weighted = _conn_elements(graph, distances, hops)
    return mean_known(graph, 2 * _per_molecule(graph, weighted) / graph.n_atoms)


def _conn_elements(graph: BondedGraph, distances: Tensor, hops: int | None) -> Tensor:
    """Weighted squared errors of distances, Å^2, (..., P)."""
    errors = (distances - _distances(graph, _truth(graph))).square()
    return errors * _conn_weights(graph, hops)


def _conn_weights(graph: BondedGraph, hops: int | None) -> Tensor:
    """``L^-1/2 C L^-1/2`` at the pairs, (P,)."""
    near = torch.ones_like(graph.hops) if hops is None else graph.hops <= hops
    near = near.to(graph.masses.dtype)
    around = segment_sum(near.repeat(2), graph.pairs.flatten(), len(graph.masses))
    return near * (1 + around)[graph.pairs].prod(0).rsqrt()


def trajectory_loss(
    graph: BondedGraph,
    trajectory: Tensor,
    hops: int | None = 3,
    decay: float = 0.625,
    from_start: bool = False,
    norm: bool = False,
    z: float | None = None,
) -> Tensor:
    """Conn-k of every step, the last weighing most (PhysChem Eq 13), Å^2.

    Args:
        graph: With the true positions.
        trajectory: Conformations in the order of time, Å, shape (T + 1, N, 3).
        hops: The k of Conn-k.
        decay: eta; step t weighs ``eta^(T - t)``, and all weights sum to one.
        from_start: Count the conformation before the first step too.
        norm: As of `conn_loss`.
        z: As of `decay_weights`.
    """
    counted = trajectory if from_start else trajectory[1:]
    losses = conn_loss(graph, counted, hops, norm)
    return losses @ decay_weights(len(losses), decay, z).to(losses)


def decay_weights(steps: int, decay: float, z: float | None = None) -> Tensor:
    """``eta^(steps - 1), ..., eta, 1`` over z; without z scaled to sum to one."""
    weights = decay ** torch.arange(steps - 1, -1, -1, dtype=torch.float64)
    return weights / (weights.sum() if z is None else z)


def adj_loss(
    graph: BondedGraph, positions: Tensor, power: int = 3, root: bool = False
) -> Tensor:
    """ADJ-k: errors of squared distances along k bonds (HamNet Eq 16), Å^4.

    ``(1/n) sum_ij (A^k)_ij (|r_ij|^2 - |r'_ij|^2)^2``, mean over molecules. A is the
    normalised adjacency with self loops: without them, three steps along bonds never
    end two bonds away, and no bond angle would count.

    Args:
        graph: With the true positions.
        positions: Predicted, Å, shape (N, 3).
        power: The k of ADJ-k.
        root: The root of each molecule's, Å^2.
    """
    errors = _square_errors(graph, positions).square() * _walks(graph, power)
    found = 2 * _per_molecule(graph, errors) / graph.n_atoms
    return mean_known(graph, (found + _TINY).sqrt() if root else found)


def squared_distance_loss(graph: BondedGraph, positions: Tensor) -> Tensor:
    """``sqrt((1/n^2) sum_ij (|r_ij|^2 - |r'_ij|^2)^2)`` (HamNet Eq 15), Å^2, (M,)."""
    errors = _square_errors(graph, positions).square()
    squared = 2 * _per_molecule(graph, errors) / graph.n_atoms.square()
    return _known_only(graph, (squared + _TINY).sqrt())


def _square_errors(graph: BondedGraph, positions: Tensor) -> Tensor:
    """Errors of squared distances of the pairs, Å^2, (P,)."""
    predicted = _gaps(graph, positions).square().sum(-1)
    return predicted - _gaps(graph, _truth(graph)).square().sum(-1)


def _walks(graph: BondedGraph, power: int) -> Tensor:
    """``(D^-1/2 (A + I) D^-1/2)^k`` at the pairs, (P,)."""
    largest = int(graph.n_atoms.max())
    dense = torch.eye(largest).to(graph.masses).repeat(graph.n_molecules, 1, 1)
    place, molecule = graph.place, graph.molecule
    dense[molecule[graph.source], place[graph.source], place[graph.target]] = 1.0
    scale = dense.sum(-1).rsqrt()
    dense = scale.unsqueeze(-1) * dense * scale.unsqueeze(-2)
    first, second = graph.pairs
    walks: Tensor = torch.linalg.matrix_power(dense, power)
    return walks[molecule[first], place[first], place[second]]


def kabsch_loss(graph: BondedGraph, positions: Tensor) -> Tensor:
    """K-RMSD, mass-weighted, mean over molecules (HamNet Eq 14), Å."""
    return mean_known(graph, kabsch_rmsd(graph, positions, mass_weighted=True))


def kabsch_rmsd(
    graph: BondedGraph,
    positions: Tensor,
    mass_weighted: bool = False,
    mirror: bool = False,
) -> Tensor:
    """Root mean square distance after the best rotation and shift, Å, shape (M,).

    The derivative is exact without one of the singular value decomposition, which
    would fail for planar molecules: at the best rotation, a small turn of it changes
    nothing. Kabsch, Acta Cryst. A 32, 922 (1976).

    Args:
        graph: With the true positions.
        positions: Predicted, Å, shape (N, 3).
        mass_weighted: Weigh atoms by mass, in the fit and in the mean.
        mirror: Let the fit use the mirror image as well: handedness does not count.
    """
    weights = graph.masses if mass_weighted else torch.ones_like(graph.masses)
    total = _sum_atoms(graph, weights)
    moved = _centred(graph, positions, weights)
    fixed = _centred(graph, _truth(graph), weights)
    rotations = _best_rotations(graph, moved * weights.unsqueeze(-1), fixed, mirror)
    shifts = (moved.unsqueeze(-2) @ rotations[graph.molecule]).squeeze(-2) - fixed
    squared = _sum_atoms(graph, shifts.square().sum(-1) * weights) / total
    return _known_only(graph, (squared + _TINY).sqrt())


def _best_rotations(
    graph: BondedGraph, moved: Tensor, fixed: Tensor, mirror: bool
) -> Tensor:
    """R that brings ``moved @ R`` closest to ``fixed``, without gradient, (M, 3, 3)."""
    with torch.no_grad():
        products = (moved.unsqueeze(-1) * fixed.unsqueeze(-2)).double()
        # A diverged prediction shall give a NaN loss, and no error from LAPACK.
        covariance = _sum_atoms(graph, products).nan_to_num()
        u, _, vh = torch.linalg.svd(covariance)
        if not mirror:
            # From u and vh: a planar molecule's covariance has no sign of its own.
            u[:, :, 2] *= torch.linalg.det(u @ vh).sign().unsqueeze(-1)
        rotations: Tensor = (u @ vh).to(moved)
    return rotations


def distance_mse(graph: BondedGraph, positions: Tensor) -> Tensor:
    """``(1/n^2) sum_ij (D_ij - D'_ij)^2`` of each molecule, Å^2, shape (M,)."""
    return distance_mse_of_distances(graph, _distances(graph, positions))


def distance_mse_of_distances(graph: BondedGraph, distances: Tensor) -> Tensor:
    """`distance_mse` of distances that no positions need have, Å, shape (P,)."""
    errors = (distances - _distances(graph, _truth(graph))).square()
    squared = 2 * _per_molecule(graph, errors) / graph.n_atoms.square()
    return _known_only(graph, squared)


def distance_rms(graph: BondedGraph, positions: Tensor) -> Tensor:
    """Root of `distance_mse`, Å, shape (M,).

    Its mean over molecules is what PhysChem's tables call "Distance MSE".
    """
    return distance_mse(graph, positions).sqrt()


def legacy_hamnet_distance(graph: BondedGraph, positions: Tensor) -> Tensor:
    """``sum_ij ((D_ij - D'_ij) / n^2)^2`` of each molecule, shape (M,).

    As HamNet's own code has its "distance loss"; only for comparison with its Table 1.
    """
    return distance_mse(graph, positions) / graph.n_atoms.square()


def conformation_errors(graph: BondedGraph, positions: Tensor) -> dict[str, Tensor]:
    """Every metric of each molecule, shape (M,): Å, of squares Å^2."""
    return {
        "distance_rms": distance_rms(graph, positions),
        "distance_mse": distance_mse(graph, positions),
        "kabsch_rmsd": kabsch_rmsd(graph, positions),
        "kabsch_rmsd_or_mirror": kabsch_rmsd(graph, positions, mirror=True),
        "kabsch_rmsd_by_mass": kabsch_rmsd(graph, positions, mass_weighted=True),
        "squared_distances": squared_distance_loss(graph, positions),
        "legacy_hamnet_distance": legacy_hamnet_distance(graph, positions),
    }


def _truth(graph: BondedGraph) -> Tensor:
    if graph.positions is None:
        raise DataError(
            "these molecules have no conformation to compare with: give positions"
        )
    # Numbers for what is unknown, so that no gradient turns NaN; they count nowhere.
    return graph.positions.nan_to_num()


def known(graph: BondedGraph) -> Tensor:
    """Molecules with a conformation, bool of shape (M,)."""
    assert graph.positions is not None
    unknown = graph.positions.isnan().any(-1).to(graph.masses)
    return _sum_atoms(graph, unknown) == 0


def _known_only(graph: BondedGraph, molecules: Tensor) -> Tensor:
    return torch.where(known(graph), molecules, torch.nan)


def mean_known(graph: BondedGraph, molecules: Tensor) -> Tensor:
    """Mean over molecules with a conformation: (..., M) to (...)."""
    there = known(graph)
    return torch.where(there, molecules, 0.0).sum(-1) / there.sum().clamp(min=1)


def _gaps(graph: BondedGraph, positions: Tensor) -> Tensor:
    """Vectors between the atoms of each pair: (..., N, 3) to (..., P, 3)."""
    first, second = graph.pairs
    return positions.index_select(-2, second) - positions.index_select(-2, first)


def _distances(graph: BondedGraph, positions: Tensor) -> Tensor:
    """Distances of the atoms of each pair, Å: (..., N, 3) to (..., P)."""
    return (_gaps(graph, positions).square().sum(-1) + _TINY).sqrt()


def _per_molecule(graph: BondedGraph, values: Tensor) -> Tensor:
    """Sum over the pairs of each molecule: (..., P) to (..., M)."""
    molecule = _molecules(graph)
    return segment_sum(values.movedim(-1, 0), molecule, graph.n_molecules).movedim(
        0, -1
    )


def _molecules(graph: BondedGraph) -> Tensor:
    """Molecule of each pair, (P,)."""
    return graph.molecule[graph.pairs[0]]


def _sum_atoms(graph: BondedGraph, values: Tensor) -> Tensor:
    """Sum over the atoms of each molecule: (N, ...) to (M, ...)."""
    return segment_sum(values, graph.molecule, graph.n_molecules)


def _centred(graph: BondedGraph, positions: Tensor, weights: Tensor) -> Tensor:
    """Positions (N, 3) from the weighted centre of their molecule."""
    weights = weights.unsqueeze(-1)
    centres = _sum_atoms(graph, positions * weights) / _sum_atoms(graph, weights)
    return positions - centres[graph.molecule]
