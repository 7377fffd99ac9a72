"""The commands as a user runs them, with real processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bohb_service.results.run import load_run
from tests.acceptance.study_files import (
    OBJECTIVES,
    decisions,
    outcomes,
    status,
    wait_for_results,
    wait_until,
    write_study,
)

PLAN = 9 + 3 + 1 + 5 + 1 + 3  # the paper's rule for budgets 1..9, eta 3


def test_a_study_runs_to_its_end_and_tells_what_it_found(run_cli, tmp_path):
    study, run = write_study(tmp_path), tmp_path / "run"
    result = run_cli("bohb-master", "run", study, "--workers", 2, "--run-dir", run)
    assert result.returncode == 0, result.stderr
    for fact in ("Incumbent", "validation loss", "test error", "utilisation", "proposed by the model", str(run)):
        assert fact in result.stdout
    assert "trial completed" in result.stderr
    assert not run_cli.survivors()
    report = json.loads(run_cli("bohb-master", "results", run, "--json").stdout)
    assert report["evaluations"]["completed"] == PLAN
    assert report["incumbent"]["budget"] == 9
    assert report["refit"]["test_error"] < 1
    assert len(report["trials"]) == PLAN
    table = run_cli("bohb-master", "results", run)
    assert table.returncode == 0
    assert report["incumbent"]["trial"] in table.stdout


def test_the_same_command_again_only_tells_the_results(run_cli, tmp_path):
    study, run = write_study(tmp_path), tmp_path / "run"
    first = run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", run, "--json")
    before = outcomes(run)
    again = run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", run, "--json")
    assert again.returncode == 0, again.stderr
    assert outcomes(run) == before
    assert json.loads(again.stdout)["incumbent"] == json.loads(first.stdout)["incumbent"]
    without_workers = run_cli("bohb-master", "run", study, "--run-dir", run)
    assert without_workers.returncode == 0, without_workers.stderr
    assert "was finished before" in without_workers.stderr
    assert "Incumbent" in without_workers.stdout


def test_a_study_can_be_extended(run_cli, tmp_path):
    run = tmp_path / "run"
    assert run_cli("bohb-master", "run", write_study(tmp_path), "--workers", 1, "--run-dir", run).returncode == 0
    longer = write_study(tmp_path, stop={"brackets": 4})
    worker = run_cli.start("bohb-worker", "--run-dir", run)  # it waits a little, though the study has ended
    wait_until(lambda: "waiting for the master" in worker.stderr, seconds=30)
    assert run_cli("bohb-master", "run", longer, "--run-dir", run).returncode == 0
    assert worker.wait(20).returncode == 0
    assert len(outcomes(run)) == PLAN + 13


def test_files_that_only_help_others_cost_no_result(run_cli, tmp_path):
    study, run = write_study(tmp_path), tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--workers", 1, "--run-dir", run)
    wait_for_results(run, 1)
    (run / "master.json").unlink()
    for name in ("master.json", "ended"):
        (run / name).mkdir()
    ended = master.wait(60)
    assert (ended.returncode, "Incumbent" in ended.stdout) == (0, True)
    for name in ("master.json", "ended"):
        assert f"cannot write {run / name}" in ended.stderr


def test_a_file_is_no_run_directory(run_cli, tmp_path):
    wrong = run_cli("bohb-worker", "--run-dir", write_study(tmp_path))
    assert wrong.returncode == 2
    assert "is a file; give the run directory of the study" in wrong.stderr


def test_a_worker_that_comes_when_the_study_has_ended_does_not_stay(run_cli, tmp_path):
    study, run = write_study(tmp_path, stop={"brackets": 1}), tmp_path / "run"
    assert run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", run).returncode == 0
    late = run_cli.start("bohb-worker", "--run-dir", run).wait(100)
    assert late.returncode == 0
    assert "the study has ended" in late.stderr
    assert "worker ended" in late.stderr


def test_one_worker_makes_the_same_run_every_time(run_cli, tmp_path):
    study = write_study(tmp_path, stop={"brackets": 5}, seed=3)
    for name in ("a", "b"):
        assert run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", tmp_path / name).returncode == 0
    assert decisions(tmp_path / "a") == decisions(tmp_path / "b")
    assert load_run(tmp_path / "a").share_from_model > 0.2
    other = write_study(tmp_path, name="other", stop={"brackets": 5}, seed=4)
    assert run_cli("bohb-master", "run", other, "--workers", 1, "--run-dir", tmp_path / "c").returncode == 0
    assert decisions(tmp_path / "a")[0] != decisions(tmp_path / "c")[0]


def test_another_study_in_the_same_directory_is_refused(run_cli, tmp_path):
    run = tmp_path / "run"
    run_cli("bohb-master", "run", write_study(tmp_path), "--workers", 1, "--run-dir", run)
    before = outcomes(run)
    result = run_cli("bohb-master", "run", write_study(tmp_path, seed=1), "--workers", 1, "--run-dir", run)
    assert result.returncode == 5
    assert "seed was 0, now 1" in result.stderr
    assert "--run-dir" in result.stderr
    assert "Traceback" not in result.stderr
    assert outcomes(run) == before


def test_a_second_master_is_refused_with_the_firsts_pid_and_host(run_cli, tmp_path):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.5}), tmp_path / "run"
    first = run_cli.start("bohb-master", "run", study, "--workers", 1, "--run-dir", run)
    wait_for_results(run, 1)
    second = run_cli("bohb-master", "run", study, "--run-dir", run)
    assert second.returncode == 5
    assert f"pid {first.process.pid} on " in second.stderr
    assert first.process.poll() is None


def test_a_run_in_which_everything_fails_says_so(run_cli, tmp_path):
    run = tmp_path / "run"
    result = run_cli("bohb-master", "run", write_study(tmp_path, "AlwaysFails"), "--workers", 2, "--run-dir", run)
    assert result.returncode == 3
    assert "this objective always fails" in result.stdout
    assert load_run(run).incumbent is None


def test_a_search_without_a_final_model_is_no_success(run_cli, tmp_path):
    study = write_study(tmp_path, "CannotRefit", stop={"evaluations": 4})
    result = run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", tmp_path / "run")
    assert result.returncode == 6
    assert "failed: exception: RuntimeError: no room for the model" in result.stdout
    again = run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", tmp_path / "run")
    assert again.returncode == 6


def test_a_failing_region_is_left_alone(run_cli, tmp_path):
    study = write_study(tmp_path, "HalfRaises", stop={"brackets": 20})
    result = run_cli("bohb-master", "run", study, "--workers", 2, "--run-dir", tmp_path / "run")
    assert result.returncode == 0
    run = load_run(tmp_path / "run")
    picks = [t for t in run.trials if t.rung == 0 and t.origin == "model"]
    # What the first ones saw depends on which worker was faster.
    later = picks[len(picks) // 2 :]
    assert len(later) > 10
    assert sum(t.config["x"] > 0.5 for t in later) / len(later) < 0.3


def test_a_worker_started_first_waits_for_the_master(run_cli, tmp_path):
    study, run = write_study(tmp_path), tmp_path / "run"
    worker = run_cli.start("bohb-worker", "--run-dir", run)
    wait_until(lambda: "no master" in worker.stderr or "waiting" in worker.stderr)
    master = run_cli("bohb-master", "run", study, "--run-dir", run)
    assert master.returncode == 0, master.stderr
    assert worker.wait().returncode == 0
    assert len(outcomes(run)) == PLAN


def test_workers_find_the_master_through_the_name_server(run_cli, tmp_path):
    study, run = write_study(tmp_path), tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--run-dir", run)
    hint = wait_until(lambda: next((line for line in master.stderr.splitlines() if "--nameserver" in line), None))
    words = hint.split()
    worker = run_cli.start(words[0], *words[1:], cwd=tmp_path)
    assert master.wait().returncode == 0
    assert worker.wait().returncode == 0


def test_a_predecessors_worker_runs_unchanged(run_cli, tmp_path):
    study = write_study(tmp_path, "LegacyWorker", worker_options={"offset": 1.5})
    result = run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert load_run(tmp_path / "run").incumbent.loss >= 1.5


def test_directories_persist_from_budget_to_budget_and_across_workers(run_cli, tmp_path):
    study, run = write_study(tmp_path, "Remembers"), tmp_path / "run"
    assert run_cli("bohb-master", "run", study, "--workers", 2, "--run-dir", run).returncode == 0
    promoted = [trial for trial in load_run(run).trials if trial.rung > 0]
    assert promoted
    assert all(len(trial.info["before"]) == trial.rung for trial in promoted)


@pytest.mark.parametrize(
    ("stop", "check"),
    [
        ({"evaluations": 7}, lambda run: len(run.trials) == 7),
        ({"full_budgets": 2}, lambda run: 1.5 < run.spent <= 2.0 + 1e-9),
        ({"loss": 10.0, "brackets": 9}, lambda run: run.stop_reason == "loss" and len(run.trials) < 40),
        ({"seconds": 1.0}, lambda run: run.stop_reason == "seconds" and run.wall_s < 10),
    ],
    ids=["evaluations", "full-budgets", "loss", "seconds"],
)
def test_each_stopping_rule_ends_the_search(run_cli, tmp_path, stop, check):
    study = write_study(tmp_path, stop=stop, worker_options={"sleep_per_unit": 0.01})
    result = run_cli("bohb-master", "run", study, "--workers", 2, "--run-dir", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    run = load_run(tmp_path / "run")
    assert run.stop_reason == next(iter(stop))
    assert check(run)


def test_initial_configurations_come_first(run_cli, tmp_path):
    initial = [{"x": 0.3, "y": 0.7}, {"x": 0.0, "y": 1.0}]
    study = write_study(tmp_path, initial=initial)
    assert run_cli("bohb-master", "run", study, "--workers", 1, "--run-dir", tmp_path / "run").returncode == 0
    run = load_run(tmp_path / "run")
    assert [trial.config for trial in run.trials[:2]] == initial
    assert run.incumbent.config == initial[0]


def test_a_warm_start_lets_the_model_begin_at_once(run_cli, tmp_path):
    first = write_study(tmp_path, name="first", stop={"brackets": 6})
    assert run_cli("bohb-master", "run", first, "--workers", 2, "--run-dir", tmp_path / "first").returncode == 0
    second = write_study(tmp_path, name="second", warm_start=["first"])
    result = run_cli("bohb-master", "run", second, "--workers", 1, "--run-dir", tmp_path / "second")
    assert result.returncode == 0, result.stderr
    assert "model" in {trial.origin for trial in load_run(tmp_path / "second").trials[:6]}
    narrow = write_study(tmp_path, name="third", warm_start=["first"], space={"x": [0.0, 0.1], "z": [0, 3]})
    refused = run_cli("bohb-master", "run", narrow, "--workers", 1, "--run-dir", tmp_path / "third")
    assert refused.returncode == 2
    assert "warm_start.0" in refused.stderr


def test_check_shows_the_plan_and_its_cost(run_cli, tmp_path):
    study = write_study(tmp_path, limits={"seconds": 60})
    result = run_cli("bohb-master", "check", study)
    assert result.returncode == 0, result.stderr
    facts = json.loads(run_cli("bohb-master", "check", study, "--json").stdout)
    assert facts["plan"]["evaluations"] == PLAN
    assert [[rung["size"] for rung in bracket["rungs"]] for bracket in facts["cycle"]] == [[9, 3, 1], [5, 1], [3]]
    assert str(PLAN) in result.stdout
    assert not (tmp_path / "runs").exists()


def test_status_while_it_runs_and_stop(run_cli, tmp_path):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.1}), tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--workers", 2, "--run-dir", run)
    wait_for_results(run, 2)
    facts = status(run_cli, run)
    assert facts["state"] == "running"
    assert facts["master"]["pid"] == master.process.pid
    assert len(facts["workers"]) == 2
    assert run_cli("bohb-master", "stop", run).returncode == 0
    assert master.wait(20).returncode == 75
    assert status(run_cli, run)["state"] != "running"
    again = run_cli("bohb-master", "run", study, "--workers", 2, "--run-dir", run)
    assert again.returncode == 0, again.stderr
    assert len(outcomes(run)) == PLAN
    stopped = run_cli("bohb-master", "stop", run)
    assert stopped.returncode == 4
    assert "nothing to stop" in stopped.stderr


def test_a_worker_class_that_cannot_be_loaded_ends_the_run(run_cli, tmp_path):
    (tmp_path / "broken.py").write_text("import no_such_package_at_all\n")
    study = write_study(tmp_path)
    study.write_text(study.read_text().replace(f"{OBJECTIVES}:Quadratic", f"{tmp_path}/broken.py:W"))
    result = run_cli("bohb-master", "run", study, "--workers", 2, "--run-dir", tmp_path / "run")
    assert result.returncode == 2
    assert "no_such_package_at_all" in result.stderr
    assert "Traceback" not in result.stderr.splitlines()[-1]
    assert not run_cli.survivors()


def test_run_from_python(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import bohb_service\n"
        "class Parabola(bohb_service.Worker):\n"
        "    @staticmethod\n"
        "    def configuration_space():\n"
        "        from ConfigSpace import ConfigurationSpace\n"
        "        return ConfigurationSpace({'x': (-1.0, 1.0)})\n"
        "    def compute(self, config, budget, context):\n"
        "        return config['x'] ** 2\n"
        "if __name__ == '__main__':\n"
        "    run = bohb_service.run(Parabola, fidelity={'min': 1, 'max': 9}, workers=2, seed=1)\n"
        "    print(run.incumbent.loss, bohb_service.load_run('runs/Parabola').incumbent == run.incumbent)\n"
    )
    result = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    loss, same = result.stdout.split()
    assert float(loss) < 0.2
    assert same == "True"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_main_job_beats_the_default_network(run_cli, tmp_path):
    quickstart = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
    run = tmp_path / "run"
    result = run_cli("bohb-master", "run", quickstart, "--workers", 2, "--run-dir", run, timeout=540)
    assert result.returncode == 0, result.stderr
    report = json.loads(run_cli("bohb-master", "results", run, "--json").stdout)
    assert len({rung["budget"] for rung in report["per_rung"]}) == 4
    assert report["evaluations"]["completed"] == len(report["trials"]) == 69
    assert report["refit"]["test_error"] < 0.06
    assert report["refit"]["baseline"]["test_error"] > 0.09
    assert report["incumbent"]["loss"] < report["refit"]["baseline"]["validation_loss"]
    assert "points" in result.stdout
    assert "fewer errors" in result.stdout


def test_log_lines_of_both_sides_are_json_and_say_what_they_are_about(run_cli, tmp_path):
    study, run = write_study(tmp_path, "Quadratic", stop={"evaluations": 3}), tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--run-dir", run)
    worker = run_cli("bohb-worker", "--run-dir", run, "--name", "w1")
    assert (worker.returncode, master.wait().returncode) == (0, 0)
    said = [json.loads(line) for line in master.stderr.splitlines() if line.startswith("{")]
    done = [json.loads(line) for line in worker.stderr.splitlines()]

    assert {line["study"] for line in said} == {"test"}
    completed = next(line for line in said if line["message"] == "trial completed")
    assert {"trial", "lease", "worker", "loss"} <= completed.keys()
    assert {line["worker"] for line in done} == {"w1"}
    finished = next(line for line in done if line["message"] == "job finished")
    assert (finished["study"], finished["trial"], finished["lease"]) == ("test", "0.0", 0)


@pytest.mark.parametrize("command", [("bohb-master", "run", "x.yaml"), ("bohb-worker", "--run-dir", "x")])
def test_log_lines_have_one_form(run_cli, command):
    ended = run_cli(*command, "--log-json", "--log-text")

    assert ended.returncode == 2
    assert "give either --log-json or --log-text" in ended.stderr
