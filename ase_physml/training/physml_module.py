"""Lightning module of PhysML, and the context of its losses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ase_physml.errors import RecipeError
from ase_physml.graph import AtomGraph, PeriodicEdgeList
from ase_physml.models.energy_model import EnergyModel
from ase_physml.models.physml.elements import radii_of
from ase_physml.models.physml.model import PhysML
from ase_physml.native import obstacle
from ase_physml.native.binding import failure
from ase_physml.training.batches import Batch
from ase_physml.training.compiled import CompiledEvaluator, Evaluator
from ase_physml.training.displacement import Displaced, Noise, displace
from ase_physml.training.distributed import Draws
from ase_physml.training.losses import FrameLoss
from ase_physml.training.losses.frames import Bound
from ase_physml.training.module import Metrics, TrainingModule
from ase_physml.training.native_evaluator import NativeEvaluator
from ase_physml.training.physml_recipe import PhysMLRecipe


@dataclass(frozen=True)
class _Answer:
    """Answer of the model to the structures of a batch, some of them displaced.

    Attributes:
        at_rest: Energies of those at rest, (D,) eV; None if they are not read.
        energies: Energies (M,), eV.
        forces: Forces (M, N, 3), eV/Å; None if they are not read.
        stress: Stress (M, 3, 3), eV/Å^3; None if it is not read.
        charges: Charges (M, N), e; None if the model has none.
        displaced: Energies of all where they were displaced to, (M,) eV; None if those
            are among ``energies``, or not read.
    """

    at_rest: Tensor | None
    energies: Tensor
    forces: Tensor | None
    stress: Tensor | None
    charges: Tensor | None = None
    displaced: Tensor | None = None


class FrameContext:
    """Batch and the model's answer to it, as losses read them.

    Forces are what costs, so each molecule's are computed once: of the first,
    displaced, ``displaced_share`` of the batch where they were moved to, of the others
    where they are.

    Args:
        batch: Structures.
        recipe: Settings of the losses.
        evaluator: Model.
        losses: Those that will read; what none of them reads is not computed.
        noise: Displacements; None if nothing is to be displaced.
    """

    def __init__(
        self,
        batch: Batch,
        recipe: PhysMLRecipe,
        evaluator: Evaluator,
        losses: Sequence[FrameLoss],
        noise: Noise | None = None,
    ) -> None:
        self.batch, self.recipe, self.evaluator = batch, recipe, evaluator
        self.model = evaluator.model
        self.noise = noise
        reading = [loss for loss in losses if loss.applies(batch)]
        self._displaces = any(loss.displaces for loss in reading)
        self._apart = any(isinstance(loss, Bound) and loss.apart for loss in reading)
        self._read = frozenset[str]().union(*(loss.reads for loss in reading))

    @property
    def seed(self) -> int:
        """Seed of all random numbers of this batch, in any number of processes."""
        return self.recipe.seed * 1_000_003 + self.batch.step

    @cached_property
    def label(self) -> Tensor:
        """Energies to be learned: totals less self-energies, (M,) eV, float64."""
        return self.batch.energies - self.model.reference_energy(
            self.batch.numbers
        ).sum(1)

    @cached_property
    def displaced(self) -> Displaced | None:
        """Displacements of the first molecules: batches are in random order."""
        if self.noise is None or not self._displaces:
            return None
        batch = self.batch
        some = math.ceil(self.recipe.displaced_share * batch.size)
        some = batch.size if self._apart else some
        first = batch.first(batch.share.count(some))
        if not len(first.numbers):
            return None

        def forces(shift: Tensor) -> Tensor:
            return self._free_forces(first, shift)

        random = Draws(self.seed, some, batch.share)
        radii = radii_of(first.numbers).to(first.positions)
        return displace(first, self.noise, random, radii, forces)

    @property
    def n_displaced(self) -> int:
        """Number of molecules whose forces are those where they were displaced to.

        They are the first ones of the batch; none if energies are taken apart.
        """
        if self.displaced is None or self._apart:
            return 0
        return len(self.displaced.shift)

    @property
    def at_rest(self) -> Tensor:
        """Energies where they are of the molecules that were displaced, (D,) eV."""
        if self._apart:
            return self._answer.energies
        return self._given(self._answer.at_rest, "energies")

    @property
    def displaced_energies(self) -> Tensor:
        """Energies of displaced molecules, (D,) eV."""
        if self._apart:
            return self._given(self._answer.displaced, "energies")
        return self._answer.energies[: self.n_displaced]

    @cached_property
    def energies(self) -> Tensor:
        """Energies of all molecules at rest, (M,) eV."""
        if not self.n_displaced:
            return self._answer.energies
        return torch.cat([self.at_rest, self._answer.energies[self.n_displaced :]])

    @property
    def forces(self) -> Tensor:
        """Forces, of the first where they were displaced to, (M, N, 3) eV/Å."""
        return self._given(self._answer.forces, "forces")

    @property
    def stress(self) -> Tensor:
        """Stress, of the first where they were displaced to, (M, 3, 3) eV/Å^3."""
        return self._given(self._answer.stress, "stress")

    @property
    def charges(self) -> Tensor:
        """Charges, of the first where they were displaced to, (M, N) e."""
        return self._given(self._answer.charges, "charges")

    def mask_logits(self, numbers: Tensor) -> Tensor:
        """Scores of elements of atoms, some of whose numbers (M, N) are hidden."""
        hidden = replace(self.batch, numbers=numbers)
        return self.evaluator.mask_logits(self._graph(hidden))

    @staticmethod
    def _given(answer: Tensor | None, what: str) -> Tensor:
        if answer is None:
            raise RuntimeError(f"a loss takes {what}, which its `reads` does not name")
        return answer

    def _graph(self, batch: Batch) -> AtomGraph:
        return batch.graph(self.model.config)

    def _free_forces(self, batch: Batch, shift: Tensor) -> Tensor:
        """Forces on structures that have moved, with no way back to the weights."""
        moved = replace(batch, positions=batch.positions + shift)
        _, forces = self.evaluator.energies_and_forces(self._graph(moved))
        free = forces.detach().reshape(shift.shape)
        if batch.fixed is None:
            return free
        return free.masked_fill(batch.fixed.unsqueeze(-1), 0.0)

    @cached_property
    def _answer(self) -> _Answer:
        if self._apart and self.displaced is not None:
            moved_to = self.batch.positions + self.displaced.shift
            there = self._graph(replace(self.batch, positions=moved_to))
            energies = self.evaluator.energies(there)
            return replace(self._evaluated(), displaced=energies)
        return self._evaluated()

    def _evaluated(self) -> _Answer:
        batch, moved, at_rest = self.batch, self.displaced, None
        if moved is not None and not self._apart:
            some = self.n_displaced
            if "energies" in self._read:
                at_rest = self.evaluator.energies(self._graph(batch.first(some)))
            first, others = batch.positions[:some], batch.positions[some:]
            there = torch.cat([first + moved.shift, others])
            batch = replace(batch, positions=there)
        graph, shape = self._graph(batch), batch.positions.shape
        if "stress" in self._read:
            # Batches of molecules have no labels of stress.
            assert isinstance(graph, PeriodicEdgeList)
            energies, forces, stress = self.evaluator.energies_forces_and_stress(graph)
            return _Answer(at_rest, energies, forces.reshape(shape), stress)
        if self._read & {"forces", "charges"}:
            energies, forces, charges = self.evaluator.with_charges(graph)
            if charges is not None:
                charges = charges.reshape(shape[:-1])
            return _Answer(at_rest, energies, forces.reshape(shape), None, charges)
        return _Answer(at_rest, self.evaluator.energies(graph), None, None)


def _plain(model: EnergyModel, recipe: PhysMLRecipe) -> Evaluator:
    """Evaluator without compilation.

    Raises:
        RecipeError: The recipe wants native code, which cannot do the model.
    """
    if recipe.backend == "torch":
        return Evaluator(model)
    if reason := obstacle(model):
        raise RecipeError(f"backend: native: the model {reason}; take backend: torch")
    if reason := failure():
        raise RecipeError(f"backend: native cannot be used: {reason}")
    assert isinstance(model, PhysML)
    return NativeEvaluator(model)


class PhysMLTraining(TrainingModule):
    """PhysML under the losses of a recipe."""

    model: EnergyModel

    def __init__(self, model: EnergyModel, recipe: PhysMLRecipe) -> None:
        super().__init__(model, recipe)
        self.measured = recipe.measured
        self.units = {loss.metric: loss.unit for loss in self.measured}
        self.plain = _plain(model, recipe)
        self.evaluator = CompiledEvaluator(model) if recipe.compile else self.plain
        self.errors: dict[str, list[Tensor]] = {}

    def context(self, batch: Batch) -> FrameContext:
        """Batch and answer of the model, as the losses of this step read them."""
        losses = self.recipe.losses_at(self.global_step).each
        noise = self.recipe.noise_at(self.global_step)
        return FrameContext(batch, self.recipe, self.evaluator, losses, noise)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect absolute errors; means are over the whole set, not over batches."""
        with torch.enable_grad():
            context = FrameContext(batch, self.recipe, self.plain, self.measured)
            for loss in self.measured:
                if loss.applies(batch):
                    flat = loss.errors(context).detach().flatten().double()
                    found = self.errors.setdefault(loss.metric, [])
                    found.append(flat[~flat.isnan()])

    def metrics(self) -> Metrics:
        """Mean absolute errors of the validation so far, eV and eV/Å, and their sum."""
        parts = {name: torch.cat(found) for name, found in self.errors.items()}
        means = {name: float(e.mean()) for name, e in parts.items() if len(e)}
        return {**means, "score": sum(means.values())}

    def forget(self) -> None:
        """Collect errors anew."""
        self.errors.clear()

    def make_optimizer(self) -> torch.optim.Optimizer:
        """AdamW or SOAP, as the recipe says, for all weights."""
        weights, recipe = self.model.parameters(), self.recipe
        if recipe.optimizer == "soap":
            from pytorch_optimizer import SOAP

            return SOAP(weights, lr=recipe.peak, weight_decay=recipe.weight_decay)
        return torch.optim.AdamW(
            weights, lr=recipe.peak, weight_decay=recipe.weight_decay, fused=True
        )
