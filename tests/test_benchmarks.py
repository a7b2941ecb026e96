"""Benchmarks run: they call what users never do, and nothing else would notice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("script", "options", "said"),
    [
        (
            "training_step",
            "--presets 64x2 --molecules 2 --rounds 1 --no-compile --no-peers",
            "PhysML 64x2, all four + denoising",
        ),
        ("molecular", "--batches 2 --rounds 1", "inference, 2"),
    ],
)
def test_a_small_run_writes_its_figures(
    script: str, options: str, said: str, tmp_path: Path
) -> None:
    line = [sys.executable, str(BENCHMARKS / f"{script}.py"), *options.split()]
    done = subprocess.run(
        [*line, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert said in json.dumps(json.loads((tmp_path / f"{script}.json").read_text()))
    assert (tmp_path / f"{script}.md").read_text().startswith("1 threads")
