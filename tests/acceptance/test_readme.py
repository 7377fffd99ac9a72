"""What the README shows works as shown."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bohb_service.cli.master import main as master
from bohb_service.cli.worker import main as worker
from bohb_service.exit_codes import ExitCode
from tests.acceptance.study_files import OBJECTIVES

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def block(language, part):
    return next(text for kind, text in BLOCKS if kind == language and part in text)


def test_the_objective_of_the_readme_runs(run_cli, tmp_path):
    (tmp_path / "digits.py").write_text(block("python", "class Digits"))
    (tmp_path / "digits.yaml").write_text(block("yaml", "worker: digits.py:Digits") + "stop: {evaluations: 12}\n")
    check, run, results = (line.split("#")[0].split() for line in block("sh", "check digits.yaml").splitlines())
    assert run_cli(*check, cwd=tmp_path).returncode == 0
    ended = run_cli(*run, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Incumbent" in run_cli(*results, cwd=tmp_path).stdout


def test_the_script_of_the_readme_runs(tmp_path):
    (tmp_path / "digits.py").write_text(block("python", "class Digits"))
    script = block("python", "bohb_service.run(").replace("workers=2", "workers=2, stop={'evaluations': 12}")
    (tmp_path / "script.py").write_text(script)
    result = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "learning_rate" in result.stdout


def test_ask_tell_of_the_readme_runs():
    subprocess.run([sys.executable, "-c", block("python", "opt.ask()")], check=True, timeout=60)


def test_the_study_files_of_the_readme_are_legal(run_cli, tmp_path):
    space = block("yaml", "forbidden:")
    study = block("yaml", "warm_start: []").replace("space: null", space.strip() + "\n#")
    # The space is an example of all that there is, and of no built-in worker.
    (tmp_path / "study.yaml").write_text(study.replace("worker: sklearn-mlp", f"worker: {OBJECTIVES}:NoOp"))
    result = run_cli("bohb-master", "check", "study.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["cluster", "quickstart", "tiny"])
def test_the_shipped_studies_are_legal(run_cli, name):
    result = run_cli("bohb-master", "check", Path(__file__).parents[2] / "configs" / f"{name}.yaml")
    assert result.returncode == 0, result.stderr


def test_every_command_option_and_exit_code_is_in_the_readme():
    for name in (*master.commands, *worker.commands):
        program = "bohb-master" if name in master.commands else "bohb-worker"
        assert f"`{program} {name}" in README
    for command in (*master.commands.values(), worker, *worker.commands.values()):
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option not in {"--version", "--help"}:
                    assert option in README, f"{command.name}: {option} is not in the README"
    for code in ExitCode:
        assert re.search(rf"^\| .*\b{code.value}\b", README, re.MULTILINE)
