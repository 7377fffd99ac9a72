"""`bohb-master logs` after a real run."""

import json

import pytest

from tests.acceptance.study_files import write_study


@pytest.fixture
def failed(run_cli, tmp_path):
    """A run in which everything failed."""
    study = write_study(tmp_path, "AlwaysFails", stop={"evaluations": 3})
    ended = run_cli("bohb-master", "run", study, "--run-dir", tmp_path / "run", "--workers", 1)
    assert ended.returncode == 3, ended.stderr
    return tmp_path / "run"


def test_the_traceback_of_a_failed_trial_is_shown(run_cli, failed):
    listed = run_cli("bohb-master", "logs", failed)
    assert listed.returncode == 0
    assert "3 failed trials of 3" in listed.stdout
    command = listed.stdout.strip().splitlines()[-1].split()
    shown = run_cli(*command)

    assert shown.returncode == 0, shown.stderr
    assert "Traceback (most recent call last):" in shown.stdout
    assert 'raise RuntimeError("this objective always fails")' in shown.stdout

    here = {"BOHB_RUN_DIR": str(failed)}
    assert run_cli("bohb-master", "logs", env=here).stdout == listed.stdout
    assert run_cli("bohb-master", "logs", failed, env={"BOHB_RUN_DIR": "elsewhere"}).stdout == listed.stdout
    told = json.loads(run_cli("bohb-master", "logs", command[-1], "--json", env=here).stdout)
    (attempt,) = told["attempts"]
    assert (attempt["end"], attempt["reason"]) == ("failed", "exception")
    assert "Traceback" in attempt["detail"]
    all_told = json.loads(run_cli("bohb-master", "logs", failed, "--json").stdout)
    assert [trial["state"] for trial in all_told] == ["failed"] * 3


def test_what_cannot_be_shown_is_told(run_cli, failed, tmp_path):
    unknown = run_cli("bohb-master", "logs", failed, "99.0")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "trial 99.0 was not begun" in unknown.stderr
    assert run_cli("bohb-master", "logs", tmp_path, "1.0").returncode == 5
    nowhere = run_cli("bohb-master", "logs")
    assert nowhere.returncode == 2
    assert "Missing argument 'DIRECTORY'" in nowhere.stderr
