"""`bohb-master run --metrics` and the dashboard for it."""

import json
import re
import signal
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.acceptance.study_files import wait_for_results, write_study

DASHBOARD = json.loads((Path(__file__).parents[2] / "configs" / "grafana.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
SELDOM = {"bohb_requeued_total", "bohb_refused_peers_total", "bohb_certificate_expiry_seconds"}
LABELS = {"study", "study_id", "version", "state", "status", "budget", "reason", "origin", "method", "le"}


@pytest.fixture
def page(run_cli, tmp_path):
    """What a master shows in the middle of a study."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    study = write_study(tmp_path, "Quadratic", stop={"evaluations": 100_000}, worker_options={"sleep_per_unit": 0.01})
    run_dir = tmp_path / "run"
    master = run_cli.start("bohb-master", "run", study, "--run-dir", run_dir, "--workers", 2, "--metrics", port)
    wait_for_results(run_dir, 20)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    master.process.send_signal(signal.SIGTERM)
    assert master.wait().returncode == 143
    assert f"http://127.0.0.1:{port}/metrics" in master.stderr
    return list(text_string_to_metric_families(text))


def test_a_real_master_shows_its_figures_and_the_dashboard_asks_for_no_others(page):
    samples = [sample for family in page for sample in family.samples]
    names = {sample.name for sample in samples}
    asked = set(re.findall(r"\b(?:bohb|process)_[a-z_]+", " ".join(EXPRESSIONS)))

    assert asked - SELDOM <= names
    assert {
        sample.value for sample in samples if sample.name == "bohb_workers" and sample.labels["state"] == "lost"
    } == {0}
    assert sum(sample.value for sample in samples if sample.name == "bohb_evaluations_total") >= 20
    # However many configurations there are, the number of series stays.
    assert {label for sample in samples for label in sample.labels} <= LABELS
    assert len(samples) < 300


def test_every_figure_is_on_the_dashboard(page):
    shown = " ".join(EXPRESSIONS) + json.dumps(DASHBOARD["templating"])

    assert [family.name for family in page if family.name.startswith("bohb_") and family.name not in shown] == []


def test_the_dashboard_is_whole():
    identities = [panel["id"] for panel in DASHBOARD["panels"]]

    assert len(set(identities)) == len(identities)
    assert all('instance="$instance"' in expression for expression in EXPRESSIONS)
    for one in DASHBOARD["panels"]:
        for other in DASHBOARD["panels"]:
            assert one is other or not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _overlap(one, other):
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    return not beside and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]


def test_an_address_that_is_taken_ends_the_command(run_cli, tmp_path):
    study = write_study(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        place = f"127.0.0.1:{holder.getsockname()[1]}"
        ended = run_cli("bohb-master", "run", study, "--run-dir", tmp_path / "run", "--metrics", place)

    assert ended.returncode == 4
    assert f"error: cannot show metrics at {place}: Address already in use; give another --metrics" in ended.stderr
