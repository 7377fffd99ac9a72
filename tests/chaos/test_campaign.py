"""The campaign in its short form, and its parts."""

import random
import sys

import pytest

from tests.chaos.campaign import main
from tests.chaos.faults import KINDS, draw_fault
from tests.chaos.plan import draw_plan
from tests.chaos.processes import Site

MANY_LINES = """
import logging, sys
from bohb_service.clock import SystemClock
from bohb_service.worker.job_lines import JobLines

logging.basicConfig(level=logging.INFO, stream=sys.stderr)
lines = JobLines(SystemClock())
for lease in range(3000):
    lines.acknowledged([lease])
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_hundred_faults_leave_nothing_wrong(tmp_path, capsys):
    code = main(["--seed", "20261124", "--faults", "200", "--folder", str(tmp_path / "chaos")])
    assert code == 0, capsys.readouterr().out


def test_what_is_drawn_follows_from_the_seed():
    drawn = [[draw_plan(rng), *(draw_fault(rng) for _ in range(50))] for rng in map(random.Random, (7, 7, 8))]
    assert drawn[0] == drawn[1] != drawn[2]
    kinds = {draw_fault(random.Random(seed)).kind for seed in range(500)}
    assert kinds == set(KINDS)
    assert "full disk" not in {draw_fault(random.Random(seed), without=("full disk",)).kind for seed in range(500)}


def test_no_line_of_a_worker_is_left_out(tmp_path):
    plan = draw_plan(random.Random(7))
    site = Site(tmp_path / "run", plan, "127.0.0.1:1", with_disk=False)
    process = site._start("lines", [sys.executable, "-c", MANY_LINES]).process
    assert process.wait(60) == 0
    log = (tmp_path / "run" / "logs" / "lines.jsonl").read_text()
    assert log.count("outcomes acknowledged") == 3000
