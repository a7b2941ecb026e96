"""A calculator is what it computes, not what it is called."""

from pathlib import Path

import pytest
import torch
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator

from ase_physml.calculators.physml import PhysMLCalculator
from ase_physml.calculators.provenance import identity_of, model_identity
from ase_physml.jobs.identity import digest
from ase_physml.store.checkpoint import load_potentials, save_model


def test_a_potential_is_its_file(tiny_potential: Path, tmp_path: Path) -> None:
    name = tmp_path / "mine.pt"
    name.write_bytes(tiny_potential.read_bytes())
    one, two = identity_of(str(tiny_potential)), identity_of(str(name))
    assert digest(one) == digest(two) == digest(identity_of(PhysMLCalculator(name)))
    assert two["called"] == str(name)
    (model,), card = load_potentials(tiny_potential)
    with torch.no_grad():
        model.element_bias += 0.01
    save_model(name, model, card)
    assert digest(identity_of(str(name))) != digest(one)
    assert model_identity(name)["sha256"] != model_identity(tiny_potential)["sha256"]


def test_precision_and_order_of_members_count(members: list[Path]) -> None:
    plain = digest(identity_of(PhysMLCalculator(members)))
    assert plain != digest(identity_of(PhysMLCalculator(members[::-1])))
    assert plain != digest(identity_of(PhysMLCalculator(members, dtype="float32")))
    assert plain == digest(identity_of(PhysMLCalculator(members, device="cpu")))


def test_weights_without_a_file(tiny_potential: Path) -> None:
    (model,), _ = load_potentials(tiny_potential)
    before = digest(identity_of(PhysMLCalculator(model)))
    assert before == digest(identity_of(PhysMLCalculator(model)))
    with torch.no_grad():
        model.element_bias[0] += 0.01
    assert before != digest(identity_of(PhysMLCalculator(model)))


def test_others_are_class_version_and_parameters() -> None:
    about = identity_of(LennardJones(sigma=2.0))
    assert about["class"] == "ase.calculators.lj.LennardJones"
    assert about["package"].startswith("ase 3.")
    assert digest(about) == digest(identity_of(LennardJones(sigma=2)))
    assert digest(about) != digest(identity_of(LennardJones(sigma=2.1)))
    assert digest(identity_of("emt")) == digest(identity_of(EMT()))
    sums = [SumCalculator([EMT(), LennardJones(sigma=s)]) for s in (2.0, 2.0, 2.1)]
    one, same, other = (digest(identity_of(calculator)) for calculator in sums)
    assert one == same != other


def test_methods_of_tblite() -> None:
    pytest.importorskip("tblite")
    two, one = identity_of("tblite:GFN2-xTB"), identity_of("tblite:GFN1-xTB")
    assert two["package"].startswith("tblite ") and digest(two) != digest(one)


def test_the_source_of_a_factory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    head = "from ase.calculators.lj import LennardJones\n\ndef make():\n"
    for name, sigma in (("shop", 2), ("ship", 3)):
        body = f"    return LennardJones(sigma={sigma} - {sigma} + 2)\n"
        (tmp_path / f"{name}.py").write_text(head + body)
    assert digest(identity_of("shop:make")) == digest(identity_of("shop:make"))
    assert digest(identity_of("shop:make")) != digest(identity_of("ship:make"))
