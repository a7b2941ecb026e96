"""Several processes learn what one would."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ase_physml.models.physml.config import PhysMLConfig
from ase_physml.models.physml.model import PhysML
from ase_physml.store.checkpoint import load_potential
from ase_physml.training.batches import Batch
from ase_physml.training.callbacks import read_metrics
from ase_physml.training.displacement import Noise
from ase_physml.training.distributed import Draws, Mean, Shard, over_all, weighted
from ase_physml.training.physml_module import FrameContext, PhysMLTraining
from ase_physml.training.physml_recipe import FrameLosses, PhysMLRecipe, Source

RECIPE = """
name: tiny
sources:
  - {{path: {sets}/labelled.h5, split: {sets}/split.json}}
  - {{path: {sets}/equilibrium.h5}}
  - {{path: {sets}/forces.h5}}
model: {{width: 16, depth: 1, heads: 2, n_basis: 8}}
stages:
  - steps: 24
    warmup: 2
    losses: {{energy: 1.0, forces: 0.1, zero_force: 0.1, bound: 0.1, mask: 0.01,
              denoise: 0.1}}
noise: {{sigma: 0.3, power: 1.0, thermal_share: 0.5, pulled_share: 0.5, relaxed: 2,
        followed: 2}}
batch_size: 5
steps_per_epoch: 8
mask_every: 2
"""
WEIGHTS = FrameLosses.from_weights(
    energy=1, forces=0.1, zero_force=0.2, bound=0.3, mask=0.1, denoise=0.4
)
NOISE = Noise(
    sigma=0.1,
    power=1.0,
    thermal_share=0.5,
    reach=0.05,
    pulled_share=0.5,
    relaxed=1,
    followed=2,
)


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_draws_do_not_depend_on_the_processes(world: int) -> None:
    whole = Draws(3, 5)
    expected = [whole.uniform(4), whole.normal(2, 3)]
    found = [torch.full_like(one, torch.nan) for one in expected]
    for rank in range(world):
        share = Shard(rank, world)
        draws = Draws(3, 5, share)
        for one, part in zip(
            found, [draws.uniform(4), draws.normal(2, 3)], strict=True
        ):
            one[rank::world] = part[: share.count(5)]
    assert all(map(torch.equal, found, expected))


def batch(count: int, equilibrium: bool) -> Batch:
    random = torch.Generator().manual_seed(1)
    ethane = torch.tensor(
        [[0, 0, 0], [1.5, 0, 0], [-0.5, 1, 0], [-0.5, -0.5, 0.9], [2, -1, 0]]
    )
    energies = torch.randn(count, generator=random).double()
    energies[1:2] = torch.nan
    return Batch(
        step=4,
        numbers=torch.tensor([[6, 6, 1, 1, 8]]).repeat(count, 1),
        positions=ethane + 0.1 * torch.randn(count, 5, 3, generator=random),
        energies=energies,
        forces=torch.randn(count, 5, 3, generator=random),
        equilibrium=equilibrium,
        fixed=torch.rand(count, 5, generator=random) < 0.2,
    )


def part_of(whole: Batch, share: Shard) -> Batch:
    return replace(whole._each(share.of), share=share, whole=len(whole.numbers))


def meet(
    monkeypatch: pytest.MonkeyPatch, all_terms: Sequence[dict[str, Mean]]
) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """`over_all` in every process, as if they had met."""
    names = [*WEIGHTS.weights]
    tables: list[Tensor] = []
    world = len(all_terms)
    monkeypatch.setattr(torch.distributed, "all_reduce", tables.append)
    for terms in all_terms:
        over_all(terms, names, world)
    total = torch.stack(tables).sum(0)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda t: t.copy_(total))
    return [over_all(terms, names, world) for terms in all_terms]


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize("equilibrium", [True, False])
def test_the_gradient_is_that_of_one_process(
    monkeypatch: pytest.MonkeyPatch, world: int, count: int, equilibrium: bool
) -> None:
    torch.manual_seed(0)
    config = PhysMLConfig(width=16, depth=1, heads=2, n_basis=8)
    sources = (Source("none"),)
    recipe = PhysMLRecipe(name="test", sources=sources, model=config, mask_every=2)
    module = PhysMLTraining(PhysML(config).double(), recipe)
    whole = batch(count, equilibrium)
    whole = replace(
        whole, positions=whole.positions.double(), forces=whole.forces.double()
    )

    def gradient(terms: dict[str, Tensor]) -> Tensor:
        module.zero_grad()
        # Heads that have no part in a loss have no gradient of their own: zero.
        zero = 0.0 * torch.cat([p.flatten() for p in module.parameters()]).sum()
        (zero + weighted(terms, WEIGHTS.weights)).backward()
        return torch.cat([p.grad.flatten() for p in module.parameters()])

    def terms_of(batch: Batch) -> dict[str, Mean]:
        given = (module.recipe, module.evaluator, WEIGHTS.each, NOISE)
        return WEIGHTS.terms(FrameContext(batch, *given))

    terms = terms_of(whole)
    own, expected = over_all(terms, [], 1)
    wanted = gradient(own)
    ranks = [Shard(rank, world) for rank in range(world)]
    shared = [terms_of(part_of(whole, r)) for r in ranks]
    found = torch.zeros_like(wanted)
    for own, means in meet(monkeypatch, shared):
        assert means.keys() == expected.keys()
        for name, mean in means.items():
            torch.testing.assert_close(mean, expected[name])
        found += gradient(own) / world
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)


def train(recipe: Path, out: Path, *options: str) -> dict[str, Tensor]:
    command = [
        sys.executable, "-m", "ase_physml.cli", "train", str(recipe), "--out", str(out),
        "--accelerator", "cpu", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("result:") == 1
    model, _ = load_potential(out / "tiny.pt")
    return model.state_dict()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=2e-5, rtol=1e-3)


def agree(one: Path, other: Path) -> None:
    """Losses of every epoch, which unlike averaged weights forget nothing."""
    ours, theirs = (read_metrics(folder / "csv") for folder in (one, other))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert [step for step, _ in ours[name]] == [step for step, _ in theirs[name]]
        values = [[value for _, value in run[name]] for run in (ours, theirs)]
        assert values[1] == pytest.approx(values[0], rel=1e-3, abs=1e-6), name


@pytest.mark.slow
def test_two_processes_and_one_end_alike_and_resume_each_other(
    sets: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(RECIPE.format(sets=sets))
    two = ("--devices", "2")
    alone = train(recipe, tmp_path / "one")
    together = train(recipe, tmp_path / "two", *two)
    same(alone, together)
    agree(tmp_path / "one", tmp_path / "two")
    # One file each, of the first process.
    assert len(list((tmp_path / "two" / "csv").iterdir())) == 1
    for first, then in (((), two), (two, ())):
        out = tmp_path / f"then{len(then)}"
        # One epoch, and then the time is up.
        train(recipe, out, "--max-time", "00:00:00:00", *first)
        same(alone, train(recipe, out, "--resume", "last", *then))
        agree(tmp_path / "one", out)
