"""`bohb-worker --slots`: several workers of one machine, each with its device."""

import signal

import psutil

from bohb_service.api.study_run import StudyRun
from bohb_service.results.run import load_run
from bohb_service.study import load_study
from tests.acceptance.study_files import write_study
from tests.polling import wait_until


def test_each_slot_sees_its_own_of_the_visible_devices(run_cli, tmp_path):
    keys = {"worker_options": {"seconds": 0.05}, "method": "random", "stop": {"evaluations": 8}, "needs": {"gpu": 1}}
    study, run = write_study(tmp_path, "SeesDevices", **keys), tmp_path / "run"
    with StudyRun(load_study(study), run, min_workers=2) as master:
        slots = run_cli.start(
            "bohb-worker", "--run-dir", run, "--slots", 2, "--name", "node", env={"CUDA_VISIBLE_DEVICES": "3,GPU-x"}
        )
        wait_until(lambda: master.wait(0.1), seconds=30)
        assert slots.wait(20).returncode == 0
    seen = {trial.worker: trial.info["devices"] for trial in load_run(run).trials}
    assert seen == {"node.0": "3", "node.1": "GPU-x"}


def test_slots_are_preempted_together_and_when_their_parent_is_killed(run_cli, tmp_path):
    study, run = write_study(tmp_path, "Sleeps", worker_options={"seconds": 60.0}), tmp_path / "run"
    with StudyRun(load_study(study), run) as master:
        for number, code in ((signal.SIGTERM, 75), (signal.SIGKILL, -signal.SIGKILL)):
            slots = run_cli.start("bohb-worker", "--run-dir", run, "--slots", 2, "--preempt-grace", 0)
            wait_until(lambda: master.status()["evaluations"]["running"] == 2, seconds=30)
            workers = psutil.Process(slots.process.pid).children()
            assert len(workers) == 2
            slots.process.send_signal(number)
            assert slots.wait(20).returncode == code
            wait_until(lambda: not master.status()["workers"], seconds=20)
            psutil.wait_procs(workers, timeout=10)
        assert not master.status()["lost_workers"]
    assert load_run(run).requeues == {"preempted": 4}


def test_a_slot_that_is_killed_is_filled_again(run_cli, tmp_path):
    study, run = write_study(tmp_path, "Sleeps", worker_options={"seconds": 60.0}), tmp_path / "run"
    with StudyRun(load_study(study), run) as master:
        slots = run_cli.start("bohb-worker", "--run-dir", run, "--slots", 2, "--name", "node", "--preempt-grace", 0)
        wait_until(lambda: master.status()["evaluations"]["running"] == 2, seconds=30)
        for victim in psutil.Process(slots.process.pid).children():
            victim.kill()  # both at once: not even then is it over
        wait_until(lambda: len(master.status()["lost_workers"]) == 2, seconds=30)
        wait_until(lambda: master.status()["evaluations"]["running"] == 2, seconds=30)
        assert {worker["name"] for worker in master.status()["workers"]} == {"node.0.1", "node.1.1"}
        slots.process.send_signal(signal.SIGTERM)
        assert slots.wait(20).returncode == 75
    assert "a slot is filled again: its worker was killed by signal 9" in slots.stderr


def test_more_slots_than_devices_are_refused_in_one_line(run_cli, tmp_path):
    done = run_cli("bohb-worker", "--run-dir", tmp_path, "--slots", 2, env={"CUDA_VISIBLE_DEVICES": "0"})

    assert done.returncode == 2
    assert "--slots 2: 1 device with 1 slot each; ask for at most 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_label_without_a_name_is_refused_in_one_line(run_cli, tmp_path):
    done = run_cli("bohb-worker", "--run-dir", tmp_path, "--label", "=3")

    assert done.returncode == 2
    assert "'=3' is no KEY=VALUE, e.g. kind=a100" in done.stderr


def test_a_quantity_with_a_unit_is_refused_in_one_line(run_cli, tmp_path):
    done = run_cli("bohb-worker", "--run-dir", tmp_path, "--slots", 2, "--label", "memory_mb=16G")

    assert done.returncode == 2
    assert "--label has '16G' for 'memory_mb'; write how many MiB, as a number alone" in done.stderr
    assert "Traceback" not in done.stderr
