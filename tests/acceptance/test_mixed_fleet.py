"""A fleet of workers with and without devices, on jobs that need them or not."""

from bohb_service.api.study_run import StudyRun
from bohb_service.results.run import load_run
from bohb_service.study import load_study
from tests.acceptance.study_files import write_study
from tests.polling import wait_until

N_GPU, N_CPU = 2, 6


def test_in_a_mixed_fleet_each_job_fits_and_hardly_anybody_waits(run_cli, tmp_path):
    """Two workers with a device and six without; the top rungs need one."""
    study = write_study(
        tmp_path,
        "Sleeps",
        worker_options={"seconds": 0.4},
        method="successive-halving",
        needs={"gpu": 1, "min_budget": 9},
        stop={"brackets": 30},
    )
    run = tmp_path / "run"
    with StudyRun(load_study(study), run, min_workers=N_GPU + N_CPU) as master:
        names = [f"gpu-{number}" for number in range(N_GPU)] + [f"cpu-{number}" for number in range(N_CPU)]
        for name in names:
            label = f"gpu={int(name.startswith('gpu'))}"
            run_cli.start("bohb-worker", "--run-dir", run, "--name", name, "--label", label)
        wait_until(lambda: master.wait(0.1), seconds=90)
    found = load_run(run)
    assert len(found.trials) == 30 * (9 + 3 + 1)
    on_top = {trial.worker for trial in found.trials if trial.budget == 9}
    assert on_top == {"gpu-0", "gpu-1"}
    assert {trial.worker for trial in found.trials} == set(names)
    assert found.utilisation >= 0.9
