"""Candidates to be timed: PhysML presets and peers, all behind one function.

Peers have random weights where only speed matters. They are called at the lowest level
that takes structures, PhysML through its calculator, checks and all.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from ase import Atoms
from structures import alkane

from ase_physml import PhysMLCalculator
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML

Evaluate = Callable[[Sequence[Atoms]], Any]
"""Energies and forces of structures; a batch if the candidate can batch."""

PRESETS = {"64x2": (64, 2, 4, 24), "64x3": (64, 3, 4, 24), "128x4": (128, 4, 8, 32)}
CUTOFF = 5.0


def physml(
    device: str,
    preset: str,
    dtype: Literal["float32", "float64"],
    compiled: bool = False,
) -> Evaluate:
    """The calculator with random weights: time does not depend on them."""
    width, depth, heads, n_basis = PRESETS[preset]
    config = PhysMLConfig(width=width, depth=depth, heads=heads, n_basis=n_basis)
    calculator = PhysMLCalculator(
        PhysML(config), dtype=dtype, compiled=compiled, device=device
    )
    if compiled:  # for one molecule and for several
        calculator.calculate_many([alkane(8)])
        calculator.calculate_many([alkane(8)] * 2)
    return calculator.calculate_many


def torchmd_et(device: str, preset: str) -> Evaluate:
    """TorchMD-NET's equivariant transformer with its QM9 settings, float32."""
    model = build_et(preset, forces=True).to(device)

    def evaluate(structures: Sequence[Atoms]) -> Any:
        energies, forces = model(*(part.to(device) for part in _flat(structures)))
        return energies.detach().cpu().numpy(), forces.detach().cpu().numpy()

    return evaluate


def build_et(preset: str, forces: bool) -> Any:
    """The module, also for `training_step.py`."""
    from torchmdnet.models.model import create_model

    width, depth, heads, n_basis = PRESETS[preset]
    return create_model(
        {
            "model": "equivariant-transformer", "precision": 32, "prior_model": None,
            "embedding_dimension": width, "num_layers": depth, "num_heads": heads,
            "num_rbf": n_basis, "rbf_type": "expnorm", "trainable_rbf": False,
            "activation": "silu", "attn_activation": "silu", "cutoff_lower": 0.0,
            "cutoff_upper": CUTOFF, "max_z": 100, "max_num_neighbors": 128,
            "neighbor_embedding": True, "distance_influence": "both", "atom_filter": -1,
            "derivative": forces, "output_model": "Scalar",
            "reduce_op": "add", "check_errors": True,
        }
    )  # fmt: skip


def mace(device: str) -> Evaluate:
    """The architecture of MACE-OFF23 small (96x0e, two layers), float32."""
    torch.serialization.add_safe_globals([slice])  # e3nn 0.4 stores one
    from e3nn import o3
    from mace import data, modules, tools

    z_table = tools.AtomicNumberTable([1, 6, 7, 8])
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    model: Any = modules.ScaleShiftMACE(
        r_max=CUTOFF, num_bessel=8, num_polynomial_cutoff=5, max_ell=3,
        interaction_cls=block, interaction_cls_first=block, num_interactions=2,
        num_elements=4, hidden_irreps=o3.Irreps("96x0e"),
        MLP_irreps=o3.Irreps("16x0e"), atomic_energies=np.zeros(4),
        avg_num_neighbors=15.0, atomic_numbers=[1, 6, 7, 8], correlation=3,
        gate=torch.nn.functional.silu, atomic_inter_scale=1.0, atomic_inter_shift=0.0,
    ).float().to(device)  # fmt: skip
    loader = tools.torch_geometric.dataloader.Collater([], [])

    def evaluate(structures: Sequence[Atoms]) -> Any:
        graphs = [
            data.AtomicData.from_config(
                data.config_from_atoms(atoms), z_table=z_table, cutoff=CUTOFF
            )
            for atoms in structures
        ]
        out = model(loader(graphs).to(device).to_dict())
        return out["energy"].detach().cpu().numpy(), out[
            "forces"
        ].detach().cpu().numpy()

    return evaluate


def ani(device: str) -> Evaluate:
    """One network of the architecture of ANI-1x, float32."""
    from torchani.arch import simple_ani

    model = simple_ani(["H", "C", "N", "O"], "wb97x-631gd", repulsion=False).to(device)

    def evaluate(structures: Sequence[Atoms]) -> Any:
        largest = max(len(atoms) for atoms in structures)
        numbers = torch.full((len(structures), largest), -1)
        positions = torch.zeros(len(structures), largest, 3)
        for row, atoms in enumerate(structures):
            numbers[row, : len(atoms)] = torch.as_tensor(atoms.numbers)
            positions[row, : len(atoms)] = torch.as_tensor(atoms.positions)
        numbers, positions = numbers.to(device), positions.to(device).requires_grad_()
        energies = model((numbers, positions)).energies
        (gradient,) = torch.autograd.grad(energies.sum(), positions)
        return energies.detach().cpu().numpy(), -gradient.cpu().numpy()

    return evaluate


def gfn2() -> Evaluate:
    """GFN2-xTB by tblite, one structure after the other, each from scratch."""
    from tblite.ase import TBLite

    def evaluate(structures: Sequence[Atoms]) -> Any:
        results = []
        for atoms in structures:
            calculator = TBLite(method="GFN2-xTB", verbosity=0)
            calculator.calculate(atoms, ["energy", "forces"])
            results.append(calculator.results)
        return results

    return evaluate


def _flat(structures: Sequence[Atoms]) -> tuple[torch.Tensor, ...]:
    numbers = torch.as_tensor(np.concatenate([a.numbers for a in structures])).long()
    positions = np.concatenate([a.positions for a in structures])
    owner = np.repeat(np.arange(len(structures)), [len(a) for a in structures])
    return numbers, torch.as_tensor(positions).float(), torch.as_tensor(owner)


CANDIDATES: dict[str, Callable[[str], Evaluate]] = {
    "PhysML 64x3": lambda d: physml(d, "64x3", "float64"),
    "PhysML 64x3 float32": lambda d: physml(d, "64x3", "float32"),
    "PhysML 64x3 float32 compiled": lambda d: physml(d, "64x3", "float32", True),
    "ET 64x3": lambda d: torchmd_et(d, "64x3"),
    "PhysML 128x4": lambda d: physml(d, "128x4", "float64"),
    "PhysML 128x4 float32": lambda d: physml(d, "128x4", "float32"),
    "PhysML 128x4 float32 compiled": lambda d: physml(d, "128x4", "float32", True),
    "ET 128x4": lambda d: torchmd_et(d, "128x4"),
    "MACE 96x0e": mace,
    "ANI": ani,
    "GFN2-xTB": lambda _: gfn2(),
}


def available(names: Sequence[str], device: str) -> dict[str, Evaluate]:
    """Candidates that are installed, on a device; says which are not."""
    found = {}
    for name in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[name] = CANDIDATES[name](device)
        except ImportError as error:
            print(f"without {name}: {error}", flush=True)
    return found
