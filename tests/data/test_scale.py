"""A million frames take the memory of ten thousand."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from ase_physml.data.dataset import RaggedSet
from ase_physml.data.importers.opening import open_source
from ase_physml.data.index_split import Split

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FEW, MANY = 10_000, 1_000_000


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> tuple[Callable[..., None], Callable]:
    """The generator of files, and what measures a command."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return (
        import_module("transition1x_like").generate,
        import_module("scale").in_child,
    )


@pytest.mark.slow
def test_transition1x_is_imported_and_split_in_bounded_memory(
    scale: tuple[Callable, Callable], tmp_path: Path
) -> None:
    generate, in_child = scale
    physml = [sys.executable, "-m", "ase_physml.cli", "data"]
    memory, seconds = {}, {}
    for frames in (FEW, MANY):
        source = tmp_path / f"{frames}.source.h5"
        data, split = tmp_path / f"{frames}.h5", tmp_path / f"{frames}.json"
        generate(source, frames)
        assert open_source(source).count() == frames
        importing = [*physml, "import", str(source), str(data), "--precision", "f4"]
        seconds[frames], memory[frames], _ = in_child(importing)
        source.unlink()
        by = ["--by", "reaction"]
        _, more, _ = in_child([*physml, "split", str(data), str(split), *by])
        memory[frames] = max(memory[frames], more)
        assert len(RaggedSet(data)) == frames
        assert Split.load(split).size == frames
    assert memory[MANY] < memory[FEW] + 150.0
    assert seconds[MANY] < 1.5 * MANY / FEW * seconds[FEW]
