"""Dask: the same results, whatever dies on the way."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ase_physml.calculators.names import make_calculator
from ase_physml.data.frame import Frame
from ase_physml.data.label import label
from ase_physml.data.metadata import Metadata
from ase_physml.errors import DataError
from ase_physml.jobs.dask import DaskWorkers
from ase_physml.jobs.pool import Lost, Processes

pytest.importorskip("distributed")

META = Metadata("springs", equilibrium=False)
UNITS = [(start, range(start, start + 4)) for start in range(0, 40, 4)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskWorkers]:
    with pytest.MonkeyPatch.context() as patch:
        # Spawned processes look for modules where this one does.
        patch.syspath_prepend(Path(__file__).parents[1] / "data")
        with DaskWorkers("local:2") as workers:
            yield workers


@pytest.fixture
def frames() -> list[Frame]:
    random = np.random.default_rng(0)
    return [
        Frame(np.full(n, 6), random.normal(size=(n, 3)), name=f"frame {n}")
        for n in range(1, 41)
    ]


def squares(jobs: Sequence[int]) -> list[tuple[int, int]]:
    time.sleep(0.1)
    return [(job * job, os.getpid()) for job in jobs]


def deadly(number: int, how: str, jobs: Sequence[int]) -> list[int]:
    if number in jobs and how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if number in jobs:
        # Written to, so that it is there, until somebody stops it.
        held = [bytearray(os.urandom(2**20)) * 64 for _ in range(64)]
        return [len(held)]
    return [job * job for job in jobs]


def unlucky(jobs: Sequence[int]) -> list[int]:
    raise DataError("there is no potential here")


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(cluster: DaskWorkers) -> None:
    found: dict[int, int] = {}
    killed = 0
    for first, jobs, done in cluster.map_units(squares, UNITS):
        assert list(jobs) == list(range(first, first + 4))
        for job, result in zip(jobs, done, strict=True):
            assert not isinstance(result, Lost)
            found[job], worker = result
        if not killed:
            killed = worker
            os.kill(killed, signal.SIGKILL)
    assert found == {job: job * job for job in range(40)}


@pytest.mark.slow
def test_only_what_kills_its_worker_is_lost(cluster: DaskWorkers) -> None:
    found = {}
    work = partial(deadly, 13, "kill")
    for _, jobs, done in cluster.map_units(work, UNITS):
        found.update(zip(jobs, done, strict=True))
    lost = found.pop(13)
    assert isinstance(lost, Lost)
    assert "out of memory" in lost.reason
    assert found == {job: job * job for job in range(40) if job != 13}


@pytest.mark.slow
def test_a_worker_out_of_memory_is_stopped_and_the_rest_go_on() -> None:
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit="600MB",
            dashboard_address=":0",
            silence_logs="CRITICAL",
        ) as small,
        DaskWorkers(small.scheduler_address) as workers,
    ):
        work = partial(deadly, 2, "eat")
        found = {n: d for n, _, d in workers.map_units(work, [(0, [1]), (1, [2])])}
    assert found[0] == [1]
    assert isinstance(found[1][0], Lost)


@pytest.mark.slow
def test_labels_are_those_of_this_process(
    cluster: DaskWorkers, tmp_path: Path, frames: list[Frame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "data")
    name = "toy_calculators:Drifting"
    here, there = tmp_path / "here.h5", tmp_path / "there.h5"
    label(frames, here, make_calculator, name, META)
    report = label(frames, there, make_calculator, name, META, workers=cluster)
    assert report.labelled == len(frames)
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on(
    cluster: DaskWorkers, tmp_path: Path, frames: list[Frame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "data")
    name, out = "toy_calculators:Drifting", tmp_path / "out.h5"

    def stop(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(frames, out, make_calculator, name, META, workers=cluster, on_frames=stop)
    report = label(frames, out, make_calculator, name, META, workers=cluster)
    assert 0 < report.resumed < len(frames)
    whole = tmp_path / "whole.h5"
    label(frames, whole, make_calculator, name, META)
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_errors_of_the_work_reach_the_user(cluster: DaskWorkers) -> None:
    with pytest.raises(DataError, match="no potential here"):
        list(cluster.map_units(unlucky, UNITS))


@pytest.mark.slow
def test_a_scheduler_that_goes_away(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    options = ["--scheduler-file", file, "--no-dashboard", "--port", "0"]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as scheduler:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with DaskWorkers(str(file)) as workers:
            assert workers.threads == 0
            threading.Timer(1.0, scheduler.kill).start()
            with pytest.raises(DataError, match=r"went away; .* run the same command"):
                list(workers.map_units(squares, UNITS))


@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:1", "nonsense", "foo://x"])
def test_nobody_answers(scheduler: str) -> None:
    with pytest.raises(DataError, match=f"no Dask scheduler answers at {scheduler}"):
        DaskWorkers(scheduler, timeout=0.5).__enter__()


@pytest.mark.parametrize("scheduler", ["local:", "local:0", "local:two"])
def test_how_many_workers(scheduler: str) -> None:
    with pytest.raises(DataError, match="give local:N with N workers"):
        DaskWorkers(scheduler).__enter__()


def test_processes_are_workers_too() -> None:
    found = {
        n: d for n, _, d in Processes().map_units(lambda j: [-i for i in j], UNITS)
    }
    assert found[8] == [-8, -9, -10, -11]


def test_local_workers_listen_to_this_machine_only() -> None:
    psutil = pytest.importorskip("psutil")
    with DaskWorkers("local:1", timeout=60.0) as workers:
        while not workers.threads:
            time.sleep(0.05)
        here = psutil.Process()
        addresses = [
            connection.laddr.ip
            for process in (here, *here.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    assert addresses and set(addresses) == {"127.0.0.1"}
