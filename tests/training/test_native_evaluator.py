"""Training by native code: the same losses, the same gradients."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ase_physml.errors import RecipeError
from ase_physml.graph import AllPairs
from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.training.batches import Batch
from ase_physml.training.compiled import Evaluator
from ase_physml.training.displacement import Noise
from ase_physml.training.distributed import weighted
from ase_physml.training.native_evaluator import NativeEvaluator
from ase_physml.training.physml_module import FrameContext, PhysMLTraining
from ase_physml.training.physml_recipe import FrameLosses, PhysMLRecipe, Source

ALL = FrameLosses.from_weights(
    energy=1, zero_force=1, bound=1, mask=0.1, denoise=1, forces=1, charges=1, dipole=1
)
NOISE = Noise(power=1.0, thermal_share=0.5)


def training(**values: object) -> PhysMLTraining:
    torch.manual_seed(0)
    model = values.pop("model", {})
    config = PhysMLConfig(width=16, depth=1, heads=2, n_basis=8, **model)  # type: ignore[arg-type]
    sources = (Source("none"),)
    recipe = PhysMLRecipe(name="test", sources=sources, model=config, **values)  # type: ignore[arg-type]
    return PhysMLTraining(PhysML(config).double(), recipe)


def batch(equilibrium: bool) -> Batch:
    random = torch.Generator().manual_seed(1)
    ethane = [[0, 0, 0], [1.5, 0, 0], [-0.5, 1, 0], [-0.5, -0.5, 0.9], [2, -1, 0]]
    noise = 0.1 * torch.randn(4, 5, 3, generator=random, dtype=torch.float64)
    return Batch(
        step=3,
        numbers=torch.tensor([[6, 6, 1, 1, 8]]).repeat(4, 1),
        positions=torch.tensor(ethane, dtype=torch.float64) + noise,
        energies=torch.randn(4, generator=random).double(),
        forces=torch.randn(4, 5, 3, generator=random).double(),
        equilibrium=equilibrium,
    )


def graph() -> AllPairs:
    given = batch(True)
    return AllPairs(given.numbers, given.positions)


def gradients(
    module: PhysMLTraining, given: Batch, losses: FrameLosses
) -> list[Tensor]:
    context = FrameContext(given, module.recipe, module.evaluator, losses.each, NOISE)
    terms = losses.terms(context)
    value = weighted({k: v.value for k, v in terms.items()}, losses.weights)
    module.model.zero_grad()
    value.backward()
    return [
        torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for p in module.model.parameters()
    ]


@pytest.mark.parametrize("equilibrium", [True, False])
@pytest.mark.parametrize("terms", ["paper", "physical"])
def test_losses_have_the_gradients_that_torch_gives(
    terms: str, equilibrium: bool
) -> None:
    given = batch(equilibrium)
    if terms == "physical":
        random = torch.Generator().manual_seed(2)
        charges = 0.1 * torch.randn(4, 5, generator=random).double()
        dipoles = torch.randn(4, 3, generator=random).double()
        given = replace(given, labels={"charges": charges, "dipole": dipoles})
    names = (
        ALL.weights if terms == "physical" else set(ALL.weights) - {"charges", "dipole"}
    )
    losses = replace(ALL, each=tuple(one for one in ALL.each if one.name in names))
    by_torch = training(model={"pair_terms": terms})
    native = training(model={"pair_terms": terms}, backend="native")
    found = gradients(native, given, losses)
    expected = gradients(by_torch, given, losses)
    size = sum(float(one.square().sum()) for one in expected) ** 0.5
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5 * size, rtol=0.0)


def test_weights_that_change_by_stealth_are_noticed() -> None:
    """Averages of weights are put in place without a word to autograd."""
    module = training(backend="native")
    evaluator = module.evaluator
    with torch.no_grad():
        before = evaluator.energies(graph())
        assert torch.equal(evaluator.energies(graph()), before)
        weight = next(module.model.parameters())
        weight.data.copy_(weight.data + 0.1)
        after = evaluator.energies(graph())
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, Evaluator(module.model).energies(graph()))


def test_a_second_gradient_has_tables_of_its_own() -> None:
    module = training(backend="native")
    evaluator = module.evaluator
    assert isinstance(evaluator, NativeEvaluator)
    found = []
    for _ in range(2):
        module.model.zero_grad()
        evaluator.energies(graph()).sum().backward()
        found.append(module.model.element_bias.grad)
    torch.testing.assert_close(found[0], found[1])


def test_numbers_out_of_range_are_left_to_torch() -> None:
    module = training(backend="native")
    assert isinstance(module.model, PhysML)
    assert module.model.pair_energy is not None
    with torch.no_grad():
        module.model.pair_energy.first.bias += 2000.0
        module.model.pair_energy.second.weight *= 1e-3
    expected = Evaluator(module.model).energies(graph())
    torch.testing.assert_close(module.evaluator.energies(graph()), expected)


@pytest.mark.parametrize(
    ("values", "said"),
    [({"cls": "one-way"}, "CLS"), ({"pair_terms": "printed"}, "as printed")],
)
def test_models_that_it_cannot_do_are_refused(
    values: dict[str, object], said: str
) -> None:
    with pytest.raises(RecipeError, match=f"backend: native: .*{said}"):
        training(model=values, backend="native")


def test_native_code_is_not_compiled() -> None:
    recipe = training().recipe
    assert isinstance(recipe, PhysMLRecipe)
    both = replace(recipe, backend="native", compile=True)
    assert any("compiled already" in reason for reason in both.mistakes())
