"""A network whose worker gets SIGTERM in the middle of a budget."""

import random
import signal

from bohb_service.api.study_run import StudyRun
from bohb_service.results.run import load_run
from bohb_service.study import load_study
from tests.acceptance.study_files import requeues, write_study
from tests.polling import wait_until

EPOCHS = 200


def network_study(folder):
    folder.mkdir()
    return load_study(
        write_study(
            folder,
            worker="autonet",
            worker_options={"data": "digits", "horizon": EPOCHS, "device": "cpu"},
            space={"batch_size": [4, 8]},
            initial=[{"batch_size": 8}],
            fidelity={"min": EPOCHS, "max": EPOCHS, "integer": True},
            method="random",
            stop={"evaluations": 1},
            refit=False,
            seed=5,
        )
    )


def epoch_of(master):
    """The epoch that a worker told last; 0 before the first one."""
    return max(
        (trial["step"] or 0 for worker in master.status()["workers"] for trial in worker["trials"]),
        default=0,
    )


def test_a_network_whose_worker_is_preempted_goes_on_where_it_was(run_cli, tmp_path):
    quiet, stormy = tmp_path / "quiet", tmp_path / "stormy"
    with StudyRun(network_study(quiet), quiet / "run", workers=1) as reference:
        wait_until(lambda: reference.wait(0.1), seconds=120)
    after = random.Random(8).randint(3, 12)
    with StudyRun(network_study(stormy), stormy / "run") as master:
        first = run_cli.start("bohb-worker", "--run-dir", stormy / "run", "--name", "first")
        wait_until(lambda: epoch_of(master) >= after, seconds=60)
        first.process.send_signal(signal.SIGTERM)
        assert first.wait(30).returncode == 75, first.stderr
        assert not master.wait(0.0)
        last = run_cli.start("bohb-worker", "--run-dir", stormy / "run", "--name", "last")
        wait_until(lambda: master.wait(0.1), seconds=120)
        assert last.wait(30).returncode == 0, last.stderr
    (undisturbed,), (trial,) = load_run(quiet / "run").trials, load_run(stormy / "run").trials
    assert [(event.reason, event.used_attempt) for event in requeues(stormy / "run")] == [("preempted", False)]
    assert (trial.worker, trial.attempts) == ("last", 1)
    assert trial.loss == undisturbed.loss
    assert trial.continued_from == trial.info["epochs_resumed"] >= after
    assert trial.info["epochs_trained"] == EPOCHS - trial.info["epochs_resumed"]
    assert undisturbed.continued_from == 0.0
