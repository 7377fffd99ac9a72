"""Workers whose machine is taken away again and again."""

import random
import signal

from bohb_service.api.study_run import StudyRun
from bohb_service.results.run import load_run
from bohb_service.study import load_study
from tests.acceptance.preemptible import STEPS_PER_UNIT
from tests.acceptance.study_files import decisions, requeues, write_study
from tests.polling import wait_until

PREEMPTIBLE = f"{__file__.rpartition('/')[0]}/preemptible.py:Steps"
UNITS = 9 + 3 * 2 + 6 + 5 * 3 + 6 + 3 * 9  # of one cycle, where each rung goes on from the one before
N_PREEMPTIONS = 20


def stepping_study(folder, step_s=0.002):
    folder.mkdir()
    options = {"folder": str(folder), "step_s": step_s}
    return load_study(write_study(folder, worker=PREEMPTIBLE, worker_options=options, seed=3))


def n_steps(folder):
    file = folder / "steps"
    return file.stat().st_size if file.exists() else 0


def test_twenty_preemptions_cost_no_attempt_and_no_budget_and_change_no_decision(run_cli, tmp_path):
    quiet, stormy = tmp_path / "quiet", tmp_path / "stormy"
    with StudyRun(stepping_study(quiet), quiet / "run", workers=1) as reference:
        wait_until(lambda: reference.wait(0.1), seconds=60)
    draw = random.Random(20)
    with StudyRun(stepping_study(stormy), stormy / "run") as master:
        for number in range(N_PREEMPTIONS):
            worker = run_cli.start("bohb-worker", "--run-dir", stormy / "run", "--name", f"w{number}")
            target = n_steps(stormy) + draw.randint(1, 40)
            wait_until(lambda target=target: n_steps(stormy) >= target, seconds=30)
            worker.process.send_signal(draw.choice([signal.SIGTERM, signal.SIGUSR1]))
            assert worker.wait(20).returncode == 75, worker.stderr
        assert not master.wait(0.0)
        assert not master.status()["lost_workers"]
        last = run_cli.start("bohb-worker", "--run-dir", stormy / "run")
        wait_until(lambda: master.wait(0.1), seconds=60)
        assert last.wait(20).returncode == 0
    assert decisions(stormy / "run") == decisions(quiet / "run")
    assert n_steps(stormy) == n_steps(quiet) == UNITS * STEPS_PER_UNIT
    returned = requeues(stormy / "run")
    assert len(returned) > N_PREEMPTIONS // 2
    assert {(event.reason, event.used_attempt) for event in returned} <= {("preempted", False), ("unstarted", False)}
    assert {trial.attempts for trial in load_run(stormy / "run").trials} == {1}
