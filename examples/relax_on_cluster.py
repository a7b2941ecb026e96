"""Relax many molecules on the workers of a cluster, here or under Slurm.

    python examples/relax_on_cluster.py molecules.smi --workers 2
    python examples/relax_on_cluster.py molecules.smi --workers 200 --slurm short

Needs Dask (pip install 'ase-physml[dask]'), and under Slurm dask-jobqueue, which
submits the workers as jobs; jobs that end, or nodes that die, lose nothing. The same
from the command line, once a cluster runs: physml relax ... --scheduler ADDRESS.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ase import Atoms

from ase_physml import (
    DaskWorkers,
    PhysMLError,
    Relaxed,
    read_inputs,
    relax_on,
    write_relaxed,
)

# One thread each; and Dask is kept from trimming memory and from its profiler, which
# take a third of the time of a worker that has small molecules.
PROLOGUE = [
    "export OMP_NUM_THREADS=1 MALLOC_TRIM_THRESHOLD_=268435456",
    "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=false",
]


@contextmanager
def slurm(partition: str, workers: int) -> Iterator[str]:
    """Workers as Slurm jobs of four each; gives the address of their scheduler."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise SystemExit(
            "--slurm needs dask-jobqueue: pip install dask-jobqueue"
        ) from None
    with SLURMCluster(
        queue=partition,
        cores=4,
        processes=4,
        memory="16GB",
        walltime="04:00:00",
        job_script_prologue=PROLOGUE,
    ) as cluster:
        cluster.adapt(maximum=workers)
        yield cluster.scheduler_address


@contextmanager
def here(workers: int) -> Iterator[str]:
    """Scheduler of as many processes of this machine."""
    yield f"local:{workers}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("smiles", type=Path, help="file of lines `SMILES name`")
    parser.add_argument("--model", default="qm9.pt")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slurm", metavar="PARTITION")
    parser.add_argument("--out", type=Path, default=Path("relaxed.h5"))
    options = parser.parse_args()
    # Each line has a SMILES, perhaps a name; one that cannot be read is no end of all.
    read = dict(read_inputs([str(options.smiles)]))
    starts = {name: one for name, one in read.items() if isinstance(one, Atoms)}
    for name, error in read.items():
        if name not in starts:
            print(f"{name}: failed: {error}", flush=True)
    names = list(starts)
    found: dict[str, Relaxed] = {}

    def done(index: int, outcome: Relaxed | Exception) -> None:
        if isinstance(outcome, Relaxed):
            found[names[index]] = outcome
            said = f"{outcome.energies[-1]:.4f} eV after {outcome.steps} steps"
        else:
            said = f"failed: {outcome}"
        print(f"{names[index]}: {said}", flush=True)

    workers = options.workers
    cluster = slurm(options.slurm, workers) if options.slurm else here(workers)
    with cluster as scheduler, DaskWorkers(scheduler, timeout=60.0) as pool:
        relax_on(pool, list(starts.values()), options.model, fmax=0.02, on_done=done)
    if not found:
        raise PhysMLError("nothing was relaxed")
    write_relaxed(options.out, found, options.model)
    print(f"{len(found)} of {len(read)} written to {options.out}")


if __name__ == "__main__":
    main()
