"""The Lightning module: which losses, of which structures, at which weight."""

import math
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from ase_physml.graph import MASK, AtomGraph, PeriodicEdgeList
from ase_physml.models.physml.model import PhysML
from ase_physml.training import losses
from ase_physml.training.batches import Batch
from ase_physml.training.compiled import CompiledEvaluator, Evaluator
from ase_physml.training.distributed import Draws, Mean, nothing, over_all, weighted
from ase_physml.training.noise import Noise, follow, relax_stiff
from ase_physml.training.recipe import LossWeights, Recipe
from ase_physml.training.schedule import warm_cosine
from ase_physml.training.valence import ValenceField, hold

# Of all losses, in one order for all processes.
_NAMES = [loss.name for loss in fields(LossWeights)]


@dataclass(frozen=True)
class Displaced:
    """Displaced copies of the first molecules of a batch.

    Attributes:
        shift: (M, N, 3) Å.
        pull: Forces of the generic force field there, (M, N, 3) eV/Å.
        hessian: Of that force field at rest, (M, 3N, 3N) eV/Å^2.
        near: Displaced by less than the reach of denoising, (M,).
    """

    shift: Tensor
    pull: Tensor
    hessian: Tensor
    near: Tensor


class PhysMLTraining(pl.LightningModule):
    """PhysML under the losses of a recipe.

    MAM is a pass of its own: hidden atoms have no energy.
    """

    def __init__(self, model: PhysML, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.recipe = recipe
        self.plain = Evaluator(model)
        self.evaluator = CompiledEvaluator(model) if recipe.compile else self.plain
        self.validation: dict[str, list[Tensor]] = {}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Sum of weighted losses; each is logged under ``train/``."""
        stage, _ = self.recipe.stage_at(self.global_step)
        noise = stage.noise or self.recipe.noise
        terms = self.loss_terms(batch, stage.losses, noise)
        own, means = over_all(terms, _NAMES, batch.share.world)
        for name, value in {**means, "total": weighted(means, stage.losses)}.items():
            self.log(
                f"train/{name}",
                value,
                on_step=False,
                on_epoch=True,
                batch_size=batch.size,
            )
        return nothing(self.model) + weighted(own, stage.losses)

    def loss_terms(
        self, batch: Batch, weights: LossWeights, noise: Noise
    ) -> dict[str, Mean]:
        """Unweighted losses of a batch; those with weight zero are not computed.

        Forces are what costs, so each molecule's are computed once: of the first,
        displaced, ``displaced_share`` of the batch where they were moved to, of the
        others where they are.
        """
        moved = self._displace(batch, weights, noise)
        here, at_rest, some = batch, None, 0
        if moved is not None:
            some = len(moved.shift)
            at_rest = self.evaluator.energies(self._graph(batch.first(some)))
            first, others = batch.positions[:some], batch.positions[some:]
            here = replace(batch, positions=torch.cat([first + moved.shift, others]))
        energies, forces, stress = self._evaluate(here, weights)
        terms: dict[str, Mean] = {}
        if moved is not None and at_rest is not None:
            terms = self._displaced_terms(moved, weights, at_rest, energies, forces)
            energies = torch.cat([at_rest, energies[some:]])
        if weights.energy and not (batch.relative or batch.energies.isnan().all()):
            label = self._label(batch, energies)
            loss = losses.energy_loss(energies, label, self.recipe.huber)
            terms["energy"] = Mean(loss, _known(label))
        if weights.difference and batch.group is not None:
            label = self._label(batch, energies)
            terms["difference"] = Mean(
                *losses.difference_loss(
                    energies, label, batch.group, self.recipe.huber_difference
                )
            )
        if forces is not None:
            terms |= self._force_terms(batch, weights, forces, some)
        if stress is not None and batch.stress is not None:
            # Of structures that were moved it is another than the label.
            label = batch.stress[some:]
            loss = losses.stress_loss(stress[some:], label)
            terms["stress"] = Mean(loss, _known(label))
        if weights.mask and batch.step % self.recipe.mask_every == 0:
            terms["mask"] = self._mask_term(batch)
        if not batch.share.count(batch.size):
            return {name: Mean(term.value, 0) for name, term in terms.items()}
        return terms

    def _label(self, batch: Batch, energies: Tensor) -> Tensor:
        """Energies to be learned: totals less self-energies, (M,) eV."""
        reference = self.model.reference_energy(batch.numbers).sum(1)
        return (batch.energies - reference).to(energies.dtype)

    def _graph(self, batch: Batch) -> AtomGraph:
        return batch.graph(self.model.config)

    def _evaluate(
        self, batch: Batch, weights: LossWeights
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Energies, and forces and stress if a loss of such a batch needs them."""
        graph = self._graph(batch)
        physics = weights.denoise or weights.zero_force
        if weights.stress and _has_stress(batch):
            return self._with_stress(self.evaluator, batch, graph)
        if physics if batch.equilibrium else weights.forces:
            energies, forces = self.evaluator.energies_and_forces(graph)
            return energies, forces.reshape(batch.positions.shape), None
        return self.evaluator.energies(graph), None, None

    @staticmethod
    def _with_stress(
        evaluator: Evaluator, batch: Batch, graph: AtomGraph
    ) -> tuple[Tensor, Tensor, Tensor]:
        # Batches of molecules have no labels of stress.
        assert isinstance(graph, PeriodicEdgeList)
        energies, forces, stress = evaluator.energies_forces_and_stress(graph)
        return energies, forces.reshape(batch.positions.shape), stress

    def _force_terms(
        self, batch: Batch, weights: LossWeights, forces: Tensor, some: int
    ) -> dict[str, Mean]:
        if not batch.equilibrium:
            if not weights.forces:
                return {}
            loss = losses.force_loss(forces, batch.forces, self.recipe.huber_forces)
            return {"forces": Mean(loss, _known(batch.forces))}
        if weights.zero_force and some < len(forces):
            fixed = None if batch.fixed is None else batch.fixed[some:]
            loss = losses.zero_force_loss(forces[some:], fixed)
            free = forces[some:, :, 0].numel() if fixed is None else (~fixed).sum()
            return {"zero_force": Mean(loss, free)}
        return {}

    def _displace(
        self, batch: Batch, weights: LossWeights, noise: Noise
    ) -> Displaced | None:
        """Displacements of the first molecules: batches are in random order."""
        if not (batch.equilibrium and (weights.bound or weights.denoise)):
            return None
        some = math.ceil(self.recipe.displaced_share * batch.size)
        random = Draws(self._seed(batch), some, batch.share)
        first = batch.first(batch.share.count(some))
        if not len(first.numbers):
            return None
        at_rest = first.positions
        radii = self.model.radii[self.model.species_of[first.numbers]]
        field = ValenceField(at_rest, first.numbers, radii, first.cell, first.pbc)
        hessian = field.hessian()
        if first.fixed is not None:
            hessian = hold(hessian, first.fixed)
        thermal = hessian if noise.thermal_share else None
        shift = noise.sample(at_rest, random, thermal, field.bonds)
        if noise.relaxed:
            shift = relax_stiff(shift, at_rest, field, hessian, noise.relaxed, random)
        if first.fixed is not None:
            shift = shift.masked_fill(first.fixed.unsqueeze(-1), 0.0)
        if noise.followed:
            steps = noise.steps_to_follow(random)
            shift = follow(shift, partial(self._forces_at, first), hessian, steps)
        _, pull = field.energies_and_forces(at_rest + shift)
        near = shift.square().mean((1, 2)) < noise.reach**2
        return Displaced(shift, pull, hessian, near)

    def _forces_at(self, batch: Batch, shift: Tensor) -> Tensor:
        """Forces on structures that have moved, with no way back to the weights."""
        moved = replace(batch, positions=batch.positions + shift)
        _, forces = self.evaluator.energies_and_forces(self._graph(moved))
        free = forces.detach().reshape(shift.shape)
        if batch.fixed is None:
            return free
        return free.masked_fill(batch.fixed.unsqueeze(-1), 0.0)

    def _displaced_terms(
        self,
        moved: Displaced,
        weights: LossWeights,
        at_rest: Tensor,
        energies: Tensor,
        forces: Tensor | None,
    ) -> dict[str, Mean]:
        some = len(moved.shift)
        terms = {}
        if weights.bound:
            margin = 0.5 * self.recipe.margin * moved.shift.square().sum((1, 2))
            loss = losses.bound_loss(at_rest, energies[:some], margin)
            terms["bound"] = Mean(loss, some)
        if weights.denoise and forces is not None and moved.near.any():
            near = moved.near
            compliance = torch.linalg.inv(moved.hessian[near])
            loss = losses.denoising_loss(
                forces[:some][near], moved.pull[near], compliance
            )
            terms["denoise"] = Mean(loss, near.sum())
        return terms

    def _mask_term(self, batch: Batch) -> Mean:
        # Numbers of their own, whatever displacements took.
        random = Draws(~self._seed(batch), batch.size, batch.share)
        masked = losses.mask_atoms(batch.numbers, self.recipe.mask_share, random)
        logits = self.evaluator.mask_logits(self._graph(replace(batch, numbers=masked)))
        loss = losses.mask_loss(
            logits.reshape(*masked.shape, -1), batch.numbers, masked
        )
        return Mean(self.recipe.mask_every * loss, (masked == MASK).sum())

    def _seed(self, batch: Batch) -> int:
        return self.recipe.seed * 1_000_003 + batch.step

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect absolute errors; means are over the whole set, not over batches."""
        with torch.enable_grad():
            energies, forces, stress = self._everything(batch)
        label = self._label(batch, batch.energies)
        if not batch.relative:
            self._collect("mae_energy", (energies - label).abs())
        if batch.group is not None:
            errors, compared = losses.centred_errors(energies, label, batch.group)
            self._collect("mae_difference", errors[compared].abs())
        if batch.equilibrium:
            free = forces if batch.fixed is None else forces[~batch.fixed]
            self._collect("mae_zero_force", free.abs())
        else:
            self._collect("mae_forces", (forces - batch.forces).abs())
        if stress is not None and batch.stress is not None:
            self._collect("mae_stress", (stress - batch.stress).abs())

    def _everything(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        graph = self._graph(batch)
        if _has_stress(batch):
            return self._with_stress(self.plain, batch, graph)
        energies, forces = self.plain.energies_and_forces(graph)
        return energies, forces.reshape(batch.positions.shape), None

    def _collect(self, name: str, errors: Tensor) -> None:
        flat = errors.detach().flatten().double()
        self.validation.setdefault(name, []).append(flat[~flat.isnan()])

    def metrics(self) -> dict[str, float]:
        """Mean absolute errors of the validation so far, eV and eV/Å, and their sum."""
        parts = {name: torch.cat(found) for name, found in self.validation.items()}
        means = {name: float(e.mean()) for name, e in parts.items() if len(e)}
        return {**means, "score": sum(means.values())}

    def on_validation_epoch_end(self) -> None:
        """Log the metrics under ``val/``."""
        for name, value in self.metrics().items():
            self.log(f"val/{name}", value, prog_bar=name != "score", sync_dist=True)
        self.forget()

    def forget(self) -> None:
        """Collect errors anew."""
        self.validation.clear()

    def configure_optimizers(self) -> Any:
        """The recipe's optimizer, with a warm-up and a cosine in every stage."""
        first = self.recipe.stages[0].learning_rate
        optimizer = make_optimizer(self.model, self.recipe, first)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(self.recipe, step) / first
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def make_optimizer(
    model: PhysML, recipe: Recipe, learning_rate: float
) -> torch.optim.Optimizer:
    """Optimizer of a recipe for all weights of a model."""
    if recipe.optimizer == "soap":
        from pytorch_optimizer import SOAP

        return SOAP(
            model.parameters(), lr=learning_rate, weight_decay=recipe.weight_decay
        )
    return torch.optim.AdamW(
        model.parameters(),
        lr=learning_rate,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def _has_stress(batch: Batch) -> bool:
    return batch.stress is not None and not bool(batch.stress.isnan().all())


def _known(labels: Tensor) -> Tensor:
    return (~labels.isnan()).sum()


def learning_rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step: linear warm-up, then a cosine, in its stage."""
    stage, within = recipe.stage_at(step)
    part = warm_cosine(within, stage.steps, stage.warmup, stage.final)
    return stage.learning_rate * part
