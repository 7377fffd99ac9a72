"""Workers inside a real Dask cluster: a scheduler and workers as processes of their own."""

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from bohb_service.fleet.dask import DaskLauncher
from bohb_service.fleet.fleet import Place
from bohb_service.fleet.staffing import Unit
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.results.run import load_run
from bohb_service.scheduler.events import WorkerJoined
from bohb_service.study import Dask
from tests.acceptance.study_files import events_of, outcomes, requeues, wait_for_results, write_study
from tests.chaos.proxy import Proxy
from tests.polling import wait_until

pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

N_TRIALS = 13


def own_address():
    """An address of this machine that is not a loopback one."""
    for addresses in psutil.net_if_addrs().values():
        for found in addresses:
            if found.family == socket.AF_INET and not found.address.startswith("127."):
                return found.address
    pytest.skip("this machine has no address but loopback ones")


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


class Cluster:
    """A Dask cluster, and a study whose workers run in it."""

    def __init__(self, run_cli, folder):
        self._cli, self.folder, self.run = run_cli, folder, folder / "run"
        self.host = own_address()
        self.port = free_port()
        self.scheduler = run_cli.start(
            "dask", "scheduler", "--host", "127.0.0.1", "--port", self.port, "--no-dashboard", "--no-jupyter"
        )
        wait_until(lambda: "Scheduler at" in self.scheduler.stderr, seconds=30)
        self.study = None

    def add(self):
        """One more Dask worker, without the nanny that would start it again."""
        return self._cli.start(
            "dask", "worker", f"tcp://127.0.0.1:{self.port}", "--no-nanny", "--no-dashboard", "--nthreads", 1,
            "--local-directory", self.folder,
        )  # fmt: skip

    def write(self, *, seconds, workers, scheduler=None):
        self.study = write_study(
            self.folder,
            worker_options={"sleep_per_unit": seconds},
            stop={"brackets": 1},
            refit=False,
            fleet={
                "workers": workers,
                "poll_seconds": 0.3,
                "idle_seconds": 1,
                "dask": {"scheduler": scheduler or f"tcp://127.0.0.1:{self.port}"},
            },
        )

    def start(self, *options):
        return self._cli.start(
            "bohb-master", "run", self.study, "--run-dir", self.run, "--fleet", "dask", "--host", self.host,
            "--insecure", *options, env={"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"},
        )  # fmt: skip

    def joined(self):
        """Names of the workers that have joined, or none before there is a journal."""
        return [event.worker for event in events_of(self.run, WorkerJoined)] if (self.run / "id").exists else []

    def bohb_workers(self):
        found = []
        for process in self._cli.survivors():
            # It may end at any moment.
            with contextlib.suppress(psutil.NoSuchProcess):
                if {"bohb_service.cli.worker", "--nameserver"} <= set(process.cmdline()):
                    found.append(process)
        return found

    def check_complete(self, master):
        ended = master.wait(120)
        assert ended.returncode == 0, ended.stderr
        assert len(outcomes(self.run)) == N_TRIALS
        wait_until(lambda: not self.bohb_workers(), seconds=20)


@pytest.fixture
def cluster(run_cli, tmp_path):
    return Cluster(run_cli, tmp_path)


def test_a_worker_of_dask_is_killed_and_another_comes_late(cluster):
    first, second = cluster.add(), cluster.add()
    cluster.write(seconds=0.6, workers=3)
    master = cluster.start()
    wait_for_results(cluster.run, 2)
    wait_until(lambda: len(cluster.bohb_workers()) == 2, seconds=20)
    first.process.kill()
    # What it held ends with it, and gives its trial back.
    wait_until(lambda: len(cluster.bohb_workers()) == 1, seconds=20)
    cluster.add()
    wait_until(lambda: len(cluster.bohb_workers()) == 2, seconds=30)
    cluster.check_complete(master)
    assert second.process.poll() is None
    assert {event.reason for event in requeues(cluster.run)} <= {"preempted", "unstarted"}
    assert max(trial.attempts for trial in load_run(cluster.run).trials) == 1
    assert len(set(cluster.joined())) >= 3


def test_an_adaptive_cluster_grows_for_the_study_and_is_empty_after_it(cluster, run_cli):
    adaptive = run_cli.start(sys.executable, Path(__file__).with_name("adaptive.py"))
    wait_until(lambda: adaptive.stdout.count("\n") >= 2, seconds=30)
    address, *sizes = adaptive.stdout.split()
    assert sizes == ["0"]
    cluster.write(seconds=1.0, workers=3, scheduler=address)
    cluster.check_complete(cluster.start())
    wait_until(lambda: adaptive.stdout.split()[-1] == "0", seconds=30)
    assert {"2", "3"} & set(adaptive.stdout.split())
    assert len({trial.worker for trial in load_run(cluster.run).trials}) >= 2


def test_the_client_is_disconnected_for_a_while(cluster):
    cluster.add()
    cluster.add()
    proxy = Proxy(lambda: ("127.0.0.1", cluster.port))
    try:
        cluster.write(seconds=0.6, workers=2, scheduler=f"tcp://127.0.0.1:{proxy.port}")
        master = cluster.start()
        wait_for_results(cluster.run, 2)
        workers = {process.pid for process in cluster.bohb_workers()}
        n = len(outcomes(cluster.run))
        proxy.hold()
        proxy.cut(1.0, 0, reset=True)
        wait_until(lambda: len(outcomes(cluster.run)) >= n + 2, seconds=30)
        proxy.release(reset=False)
        assert {process.pid for process in cluster.bohb_workers()} == workers
        cluster.check_complete(master)
    finally:
        proxy.close()
    assert requeues(cluster.run) == []


def test_a_worker_of_dask_that_is_frozen_holds_up_neither_the_study_nor_its_end(cluster):
    frozen = cluster.add()
    cluster.add()
    cluster.write(seconds=0.6, workers=2)
    master = cluster.start()
    wait_until(lambda: len(cluster.bohb_workers()) == 2, seconds=20)
    wait_for_results(cluster.run, 2)
    frozen.process.send_signal(signal.SIGSTOP)
    try:
        cluster.check_complete(master)
    finally:
        frozen.process.send_signal(signal.SIGCONT)
    # What it holds counted as there all the time, so nothing was started in its place.
    assert len(set(cluster.joined())) == 2


def test_units_are_told_in_the_order_of_their_age(cluster):
    place = Place(RunDirectory(cluster.run), "test", "head:1")
    launcher = DaskLauncher(place, Dask(scheduler=f"tcp://127.0.0.1:{cluster.port}"))
    first, second = launcher.start(20), launcher.start(2)
    assert launcher.units() == [Unit(name, is_running=False) for name in (*first, *second)]
    assert sorted([*second, *first]) == [*first, *second]
    launcher.cancel(first)
    assert [unit.name for unit in launcher.units()] == second
    launcher.cancel(second)
    assert launcher.units() == []


def test_the_next_master_finds_the_workers_of_a_killed_one(cluster):
    cluster.add()
    cluster.add()
    cluster.write(seconds=0.6, workers=2)
    port = free_port()
    master = cluster.start("--port", port)
    wait_until(lambda: len(cluster.bohb_workers()) == 2, seconds=20)
    wait_for_results(cluster.run, 2)
    workers = {process.pid for process in cluster.bohb_workers()}
    os.killpg(master.process.pid, signal.SIGKILL)
    master.process.wait()
    n = len(outcomes(cluster.run))
    again = cluster.start("--port", port)
    wait_for_results(cluster.run, n + 2)
    assert {process.pid for process in cluster.bohb_workers()} == workers
    cluster.check_complete(again)
    assert requeues(cluster.run) == []


def test_where_nobody_answers_that_is_told(cluster):
    cluster.write(seconds=0, workers=2, scheduler=f"tcp://127.0.0.1:{free_port()}")
    ended = cluster.start().wait()
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if "insecure: " not in line]
    assert line.startswith("error: fleet.dask: nobody answers at Dask's scheduler tcp://127.0.0.1:")
    assert line.endswith("is it up, and is the address right?")


def test_workers_that_cannot_work_are_told_with_their_last_words(cluster):
    cluster.add()
    cluster.write(seconds=0, workers=1)
    text = cluster.study.read_text().replace("scheduler:", "credentials: /nowhere\n    scheduler:")
    cluster.study.write_text(text)
    keys = cluster.folder / "keys"
    assert cluster._cli("bohb-master", "credentials", keys, "--host", cluster.host).returncode == 0
    master = cluster._cli.start(
        "bohb-master", "run", cluster.study, "--run-dir", cluster.run, "--fleet", "dask", "--host", cluster.host,
        "--credentials", keys,
    )  # fmt: skip
    wait_until(lambda: "workers end before they have joined the study" in master.stderr, seconds=60)
    assert str(Path("/nowhere")) in master.stderr
