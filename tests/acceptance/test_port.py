"""A worker that knows nothing but an address finds the next master of the run there."""

import os
import signal

from bohb_service.journal.run_directory import RunDirectory
from bohb_service.scheduler.events import WorkerJoined
from tests.acceptance.study_files import events_of, outcomes, wait_for_results, write_study
from tests.polling import wait_until


def test_a_worker_that_was_told_an_address_goes_on_with_the_next_master(run_cli, tmp_path):
    study = write_study(tmp_path, worker_options={"sleep_per_unit": 0.1}, stop={"brackets": 1}, refit=False)
    run = tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--run-dir", run)
    address = wait_until(RunDirectory(run).read_address, seconds=30)
    worker = run_cli.start("bohb-worker", "--nameserver", f"127.0.0.1:{address.port}", "--study", "test")
    wait_for_results(run, 2)
    os.killpg(master.process.pid, signal.SIGKILL)
    master.process.wait()

    again = run_cli.start("bohb-master", "run", study, "--run-dir", run)
    ended = again.wait(60)
    assert ended.returncode == 0, ended.stderr
    assert "the last one did" not in ended.stderr
    assert worker.wait(20).returncode == 0
    assert len(outcomes(run)) == 13
    assert len({event.pid for event in events_of(run, WorkerJoined)}) == 1
