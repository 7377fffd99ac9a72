"""The live view in a real terminal."""

import sys

import pexpect
from pexpect import EOF

from tests.acceptance.study_files import wait_for_results, write_study


def test_a_terminal_gets_a_live_view_and_the_summary(tmp_path):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.02}), tmp_path / "run"
    command = ["-m", "bohb_service.cli.master", "run", str(study), "--workers", "2", "--run-dir", str(run)]
    terminal = pexpect.spawn(sys.executable, command, dimensions=(24, 80), timeout=60, encoding="utf-8")
    for fact in ("full budgets spent", "Incumbent", "bracket", "2 workers", "finished, all brackets are done"):
        terminal.expect_exact(fact)
    terminal.expect(EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_ctrl_c_in_the_terminal_drains_and_the_workers_go_with_it(run_cli, tmp_path):
    study, run = write_study(tmp_path, worker_options={"sleep_per_unit": 0.1}), tmp_path / "run"
    command = ["-m", "bohb_service.cli.master", "run", str(study), "--workers", "2", "--run-dir", str(run)]
    env = run_cli.environment()
    terminal = pexpect.spawn(sys.executable, command, dimensions=(24, 80), timeout=60, encoding="utf-8", env=env)
    terminal.expect_exact("2 workers")
    wait_for_results(run, 2)
    terminal.sendcontrol("c")
    terminal.expect_exact("Ctrl-C again ends at once")
    terminal.expect_exact("interrupted")
    terminal.expect(EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert not run_cli.survivors()
