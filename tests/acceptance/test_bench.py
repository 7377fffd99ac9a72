"""`bohb-worker bench`: the evidence for a fidelity, from real evaluations."""

import json
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner

from bohb_service.cli.worker import main as worker
from tests.acceptance.study_files import OBJECTIVES, write_study
from tests.polling import wait_until

CONFIGS = Path(__file__).parents[2] / "configs"
TRAINS = f"{OBJECTIVES}:Trains"
KEYS = {
    "worker",
    "worker_options",
    "fidelity",
    "seed",
    "end",
    "verdict",
    "budgets",
    "cost_exponent",
    "correlations",
    "continuations",
    "configurations",
    "evaluations",
}


def bench(run_cli, *arguments):
    result = run_cli("bohb-worker", "bench", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_worker_that_continues_is_told_from_its_costs_and_losses(run_cli):
    report = bench(run_cli, TRAINS, "--budgets", "1,3,9", "--option", "step_s=0.02", "--configurations", 8)
    assert report.keys() == KEYS
    assert report["worker_options"] == {"step_s": 0.02}
    assert [budget["budget"] for budget in report["budgets"]] == [1, 3, 9]
    assert [budget["evaluated"] for budget in report["budgets"]] == [8, 8, 8]
    assert len(report["evaluations"]) == 24
    by_place = {(each["configuration"], each["budget"]): each["loss"] for each in report["evaluations"]}
    for number, values in enumerate(report["configurations"]):
        for budget in (1, 3, 9):
            assert by_place[number, budget] == values["x"] + values["y"] / budget
    assert [(each["configuration"], each["budget"]) for each in report["continuations"]] == [
        (number, budget) for number in range(3) for budget in (1, 3, 9)
    ]
    assert all(each["is_equal"] for each in report["continuations"])
    at_nine = [each for each in report["continuations"] if each["budget"] == 9]
    assert all(each["fresh"]["seconds"] >= 0.18 for each in at_nine)
    assert all(each["continued"]["seconds"] < each["fresh"]["seconds"] for each in at_nine)
    assert "Continuing gives the loss of a fresh run bit for bit, in 6 of 6 cases" in report["verdict"][1]
    assert not run_cli.survivors()


def test_the_same_command_finds_the_same_losses_and_another_seed_others(run_cli):
    command = (TRAINS, "--budgets", "1,3", "--configurations", 3)
    first, again, other = (bench(run_cli, *command, *more) for more in ((), (), ("--seed", 1)))
    losses = [[each["loss"] for each in report["evaluations"]] for report in (first, again, other)]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize("width", [60, 80])
def test_the_tables_of_the_tiny_study(run_cli, width):
    command = ("bohb-worker", "bench", CONFIGS / "tiny.yaml", "--configurations", 5)
    result = run_cli.start(*command, env={"COLUMNS": str(width)}).wait()
    assert result.returncode == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert text.startswith("sklearn-mlp: 5 random configurations, seed 0 Cost epochs completed failed time cost")
    for fact in (
        "growth budget to the power of",
        "Losses epochs min 25 % median 75 % max",
        "Rank correlation (Spearman) 3 epochs 9 epochs",
        "chosen at regret at 9 epochs of a random third",
        "Continuing in the same directory",
        "Verdict",
        "Continuing gives the loss of a fresh run bit for bit, in 6 of 6 cases",
    ):
        assert fact in text
    assert "NO" not in text.split("Verdict")[0]
    assert "[1/25] configuration 0 at budget 1 (warm-up): loss" in result.stderr
    assert max(map(len, result.stdout.splitlines())) <= width


def test_options_and_budgets_of_the_command_overrule_the_study(run_cli, tmp_path):
    keys = {"worker_options": {"drift": 1.0, "noise": 0}, "fidelity": {"name": "steps", "min": 1, "max": 9}}
    study = write_study(tmp_path, "Trains", seed=5, **keys)
    report = bench(run_cli, study, "--configurations", 3, "--budgets", "4,2", "--option", "drift=0.5")
    assert report["worker_options"] == {"drift": 0.5, "noise": 0}
    assert (report["seed"], report["fidelity"]) == (5, "steps")
    assert [budget["budget"] for budget in report["budgets"]] == [2, 4]
    assert [each["is_equal"] for each in report["continuations"]] == [True, False] * 3
    assert "Continuing is not the same as a fresh run in 3 of 3 cases" in report["verdict"][1]


def test_an_objective_without_a_seed_is_called_not_reproducible(run_cli):
    report = bench(run_cli, TRAINS, "--budgets", "1,3", "--configurations", 3, "--option", "noise=1")
    assert report["verdict"][1].startswith("Not reproducible: configuration 0 at 1 gave ")


def test_failures_rank_last_and_are_counted(run_cli):
    command = (TRAINS, "--budgets", "1,9", "--configurations", 12, "--option", "fail_above=0.5")
    report = bench(run_cli, *command)
    n_failed = sum(values["x"] > 0.5 for values in report["configurations"])
    assert 0 < n_failed < 12
    assert [budget["failed"] for budget in report["budgets"]] == [n_failed] * 2
    assert [pair["configurations"] for pair in report["correlations"]] == [12]
    failures = {each["failure"] for each in report["evaluations"]} - {None}
    assert failures == {"exception: ValueError: x is too large"}
    shown = run_cli("bohb-worker", "bench", *command)
    assert f"{2 * n_failed}x exception: ValueError: x is too large" in " ".join(shown.stdout.split())


def test_limits_of_the_study_hold_and_nothing_completed_is_exit_code_3(run_cli, tmp_path):
    study = write_study(
        tmp_path, "Sleeps", worker_options={"seconds": 60}, limits={"seconds": 0.2}, fidelity={"min": 1, "max": 3}
    )
    result = run_cli("bohb-worker", "bench", study, "--configurations", 2)
    assert result.returncode == 3, result.stderr
    assert "4x timeout: passed the limit of 0.2 s" in " ".join(result.stdout.split())
    assert "Cannot be told: nothing was completed at the largest budget, 3." in " ".join(result.stdout.split())
    assert not run_cli.survivors()


def test_directories_are_removed_as_soon_as_they_are_not_needed(run_cli):
    report = bench(run_cli, f"{OBJECTIVES}:IsAlone", "--budgets", "1,3", "--configurations", 4)
    assert {each["failure"] for each in report["evaluations"]} == {None}
    assert len(report["continuations"]) == 6


def test_a_finite_space_is_evaluated_once(run_cli, tmp_path):
    study = write_study(tmp_path, "SumOfValues", space={"x": [0, 2], "y": 5})
    report = bench(run_cli, study, "--budgets", "1,3")
    assert sorted(values["x"] for values in report["configurations"]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("number", "code", "end", "words"),
    [(signal.SIGINT, 130, "interrupted", "Interrupted"), (signal.SIGTERM, 143, "terminated", "Terminated")],
)
def test_a_signal_ends_it_with_what_was_found(run_cli, number, code, end, words):
    for form in ("json", "table"):
        more = ["--json"] if form == "json" else []
        running = run_cli.start("bohb-worker", "bench", TRAINS, "--budgets", "1,3,100", "--option", "step_s=0.3", *more)
        wait_until(lambda running=running: "[3/46]" in running.stderr, seconds=30)
        running.process.send_signal(number)
        ended = running.wait()
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
        if form == "json":
            report = json.loads(ended.stdout)
            assert report.keys() == KEYS
            assert report["end"] == end
            assert [budget["evaluated"] for budget in report["budgets"]] == [1, 1, 0]
        else:
            assert f"{words} before everything was evaluated." in ended.stdout
            assert "1 of 12 random configurations" in ended.stdout
        assert not run_cli.survivors()


def test_the_time_limit_ends_it_with_what_was_found(run_cli):
    report = bench(run_cli, TRAINS, "--budgets", "0.001,1", "--option", "step_s=100", "--seconds", 5)
    assert report["end"] == "seconds"
    assert [budget["evaluated"] for budget in report["budgets"]] == [1, 0]
    assert report["verdict"] == ["Cannot be told: nothing was completed at the largest budget, 1."]


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        ([], "Missing argument 'TARGET'"),
        (["nothing.yaml"], "nothing.yaml"),
        (["study.json", "--budgets", "1,3"], "or give a study file (.yaml, .yml, .toml)"),
        (["objective.py", "--budgets", "1,3"], "names a file, but no class; write 'objective.py:'"),
        (["nothing.py:Class", "--budgets", "1,3"], "nothing.py' does not exist"),
        (["no.such.module:Class", "--budgets", "1,3"], "there is no module"),
        (["sklearn-mpl", "--budgets", "1,3"], "sklearn-mlp"),
        ([f"{OBJECTIVES}:Trians", "--budgets", "1,3"], "Trains"),
        ([f"{OBJECTIVES}:NotAWorker", "--budgets", "1,3"], "does not define compute"),
        ([f"{OBJECTIVES}:SumOfValues", "--budgets", "1,3"], "has no search space of its own"),
        ([TRAINS], "--budgets: must be given"),
        ([TRAINS, "--budgets", "1,x"], "'x' in '1,x' is no positive number"),
        ([TRAINS, "--budgets", "0,1"], "'0' in '0,1' is no positive number"),
        ([TRAINS, "--budgets", "1,inf"], "'inf' in '1,inf' is no positive number"),
        ([TRAINS, "--budgets", ""], "'' in '' is no positive number"),
        ([TRAINS, "--budgets", "3,3"], "there is only one budget, 3"),
        ([TRAINS, "--budgets", "1,3", "--option", "drift"], "'drift' is no KEY=VALUE"),
        ([TRAINS, "--budgets", "1,3", "--option", "drift=[1"], "not valid YAML"),
        ([TRAINS, "--budgets", "1,3", "--option", "drift=.nan"], "not a number"),
        ([TRAINS, "--budgets", "1,3", "--option", "dirft=1"], "drift"),
        ([TRAINS, "--budgets", "1,3", "--configurations", "0"], "--configurations"),
        ([TRAINS, "--budgets", "1,3", "--seed", "-1"], "--seed"),
        ([TRAINS, "--budgets", "1,3", "--seconds", "0"], "--seconds"),
        ([TRAINS, "--budgets", "1,3", "--seconds", "nan"], "--seconds"),
        ([str(CONFIGS / "tiny.yaml"), "--budgets", "1,2.5"], "2.5 is no whole number"),
    ],
)
def test_misuse_is_told_in_one_message(tmp_path, monkeypatch, arguments, phrase):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(worker, ["bench", *arguments])
    assert result.exit_code == 2, result.output
    assert phrase in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_worker_that_cannot_be_set_up_is_told(run_cli, tmp_path):
    study = write_study(tmp_path, "FailsInSetup", worker_options={"folder": str(tmp_path), "pattern": "xxx"})
    result = run_cli("bohb-worker", "bench", study)
    assert result.returncode == 2
    assert "setup failed 3 times in a row" in result.stderr
    assert "the data set is not there" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not run_cli.survivors()
