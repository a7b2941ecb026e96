"""Which losses are taken of which structures, checked against the bare model."""

from dataclasses import replace

import pytest
import torch

from ase_physml.graph import AllPairs
from ase_physml.models.energy_model import energy_and_forces
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.training.batches import Batch
from ase_physml.training.displacement import Noise
from ase_physml.training.distributed import Mean
from ase_physml.training.losses import frames as losses
from ase_physml.training.physml_module import FrameContext, PhysMLTraining
from ase_physml.training.physml_recipe import FrameLosses, PhysMLRecipe, Source, Stage

weighing = FrameLosses.from_weights
ALL = weighing(energy=1, zero_force=1, bound=1, mask=1, denoise=1, forces=1)


NOISE = Noise(power=1.0, thermal_share=0.5)


def training(**values: object) -> PhysMLTraining:
    torch.manual_seed(0)
    config = PhysMLConfig(width=16, depth=1, heads=2, n_basis=8)
    sources = (Source("none"),)
    recipe = PhysMLRecipe(name="test", sources=sources, model=config, **values)
    return PhysMLTraining(PhysML(config), recipe)


def context_of(
    module: PhysMLTraining, batch: Batch, losses: FrameLosses, noise: Noise
) -> FrameContext:
    return FrameContext(batch, module.recipe, module.evaluator, losses.each, noise)


def terms_of(
    module: PhysMLTraining, batch: Batch, losses: FrameLosses, noise: Noise = NOISE
) -> dict[str, Mean]:
    return losses.terms(context_of(module, batch, losses, noise))


def batch(equilibrium: bool = True, labels: bool = True) -> Batch:
    random = torch.Generator().manual_seed(1)
    ethane = torch.tensor(
        [[0, 0, 0], [1.5, 0, 0], [-0.5, 1, 0], [-0.5, -0.5, 0.9], [2, -1, 0]]
    )
    positions = ethane + 0.1 * torch.randn(4, 5, 3, generator=random)
    energies = torch.randn(4, generator=random).double()
    forces = torch.randn(4, 5, 3, generator=random)
    return Batch(
        step=3,
        numbers=torch.tensor([[6, 6, 1, 1, 8]]).repeat(4, 1),
        positions=positions,
        energies=energies if labels else torch.full_like(energies, torch.nan),
        forces=forces,
        equilibrium=equilibrium,
    )


def test_energies_are_those_at_rest_though_some_molecules_are_moved() -> None:
    module, rest = training(displaced_share=0.5), batch()
    terms = terms_of(module, rest, ALL)
    energies, forces = energy_and_forces(
        module.model, AllPairs(rest.numbers, rest.positions)
    )
    expected = losses.label_loss(energies.molecules, rest.energies.float(), None)
    torch.testing.assert_close(terms["energy"].value, expected)
    # The first half of the batch was moved.
    still = losses.zero_force_loss(forces[2:])
    torch.testing.assert_close(terms["zero_force"].value, still)
    assert set(terms) == {"energy", "zero_force", "bound", "mask", "denoise"}


def test_bound_compares_each_molecule_with_itself() -> None:
    # Noise of 3 Å throws atoms together or apart: every molecule must change.
    module, noise = training(displaced_share=1.0, margin=1e3), Noise(3.0, 0.0)
    weights = weighing(energy=0, bound=1)
    rest = batch()
    (name, term), *others = terms_of(module, rest, weights, noise).items()
    assert name == "bound"
    assert not others
    moved = context_of(module, rest, weights, noise).displaced
    assert moved is not None
    energy = [
        module.model(AllPairs(rest.numbers, positions)).molecules
        for positions in (rest.positions, rest.positions + moved.shift)
    ]
    margin = 500.0 * moved.shift.square().sum((1, 2))
    torch.testing.assert_close(term.value, losses.bound_loss(*energy, margin))


def test_the_papers_bound_moves_all_molecules_and_no_forces() -> None:
    module, noise = training(displaced_share=0.5), Noise(3.0, 0.0)
    weights = weighing(energy=1, zero_force=1, bound={"weight": 1, "apart": True})
    rest = batch()
    terms = terms_of(module, rest, weights, noise)
    moved = context_of(module, rest, weights, noise).displaced
    assert moved is not None and len(moved.shift) == 4
    energies, forces = energy_and_forces(
        module.model, AllPairs(rest.numbers, rest.positions)
    )
    there = AllPairs(rest.numbers, rest.positions + moved.shift)
    bound = losses.bound_loss(energies.molecules, module.model(there).molecules, 0.0)
    torch.testing.assert_close(terms["bound"].value, bound)
    still = losses.zero_force_loss(forces)
    torch.testing.assert_close(terms["zero_force"].value, still)
    expected = losses.label_loss(energies.molecules, rest.energies.float(), None)
    torch.testing.assert_close(terms["energy"].value, expected)


def test_the_papers_bound_leaves_nothing_to_denoise() -> None:
    for apart, denoise, wrong in ((True, 1.0, 1), (True, 0.0, 0), (False, 1.0, 0)):
        bound = {"weight": 1.0, "apart": apart}
        stage = Stage(losses=weighing(energy=1, bound=bound, denoise=denoise))
        recipe = training(stages=(stage,)).recipe
        assert sum("denoise reads" in one for one in recipe.mistakes()) == wrong


def test_following_takes_displacements_downhill_in_the_model() -> None:
    module, weights = (
        training(displaced_share=1.0),
        weighing(energy=0, denoise=1),
    )
    rest, noise = batch(), Noise(0.3, 0.0)
    fixed = torch.zeros_like(rest.numbers, dtype=torch.bool)
    fixed[:, 0] = True
    rest = replace(rest, step=0, fixed=fixed)
    most = replace(noise, followed=40)
    plain, followed = (
        context_of(module, rest, weights, n).displaced for n in (noise, most)
    )
    assert plain is not None
    assert followed is not None
    assert (followed.shift[:, 0] == 0.0).all()
    energies = [
        module.model(AllPairs(rest.numbers, rest.positions + moved.shift)).molecules
        for moved in (plain, followed)
    ]
    assert (energies[1] < energies[0]).all()


def test_no_molecule_left_at_rest_gives_no_zero_force_term() -> None:
    assert "zero_force" not in terms_of(training(displaced_share=1.0), batch(), ALL)


def test_labelled_forces_are_for_structures_off_equilibrium() -> None:
    off = terms_of(training(), batch(equilibrium=False), ALL)
    assert set(off) == {"energy", "forces", "mask"}
    assert "forces" not in terms_of(training(), batch(), ALL)


def test_unlabelled_structures_take_part_in_the_rest() -> None:
    terms = terms_of(training(), batch(labels=False), ALL)
    assert set(terms) == {"zero_force", "bound", "mask", "denoise"}
    assert all(term.value.isfinite() for term in terms.values())


def test_losses_of_weight_zero_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = training()

    def refuse(*_arguments: object) -> None:
        raise AssertionError("forces were computed")

    monkeypatch.setattr(module.evaluator, "energies_and_forces", refuse)
    assert set(terms_of(module, batch(), weighing())) == {"energy"}


def test_masking_is_rarer_but_as_heavy() -> None:
    module = training(mask_every=2)
    weights = weighing(energy=0, mask=1)
    assert not terms_of(module, batch(), weights)  # step 3
    even = Batch(**{**batch().__dict__, "step": 4})
    twice = terms_of(module, even, weights)["mask"]
    once = terms_of(training(), even, weights)["mask"]
    torch.testing.assert_close(twice.value, 2 * once.value)


def test_learning_rate_warms_up_and_falls_in_every_stage() -> None:
    stages = (
        Stage(100, learning_rate=1e-3, warmup=10, final=0.1),
        Stage(200, learning_rate=4e-4, warmup=20, final=0.01),
    )
    recipe = PhysMLRecipe(name="test", sources=(Source("none"),), stages=stages)
    rates = [recipe.peak * recipe.schedule(step) for step in range(300)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates[:100]) == rates[9] == pytest.approx(1e-3)
    assert rates[99] == pytest.approx(1e-4, rel=0.02)
    assert rates[100] == pytest.approx(2e-5)
    assert max(rates[100:]) == pytest.approx(4e-4)
    assert rates[299] == pytest.approx(4e-6, rel=0.05)
