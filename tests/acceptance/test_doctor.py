"""The doctors of both commands, beside real masters and workers."""

import json
import os
import signal
import socket

import pytest

from bohb_service.doctor.addresses import outer_of, own_addresses
from bohb_service.journal.run_directory import RunDirectory
from tests.acceptance.study_files import wait_for_results, write_study
from tests.polling import wait_until


def examine(run_cli, command, *options, code=0):
    """The findings by check; the command ends as expected, and quietly."""
    result = run_cli(command, "doctor", *options, "--json")
    assert result.returncode == code, result.stdout + result.stderr
    assert result.stderr == ""
    told = json.loads(result.stdout)
    assert told["verdict"] == ("fail" if code else told["verdict"])
    return {finding["check"]: finding for finding in told["findings"]}


def address_of(directory):
    return wait_until(lambda: RunDirectory(directory).read_address(), seconds=30)


def test_both_doctors_beside_a_master_with_credentials(run_cli, tmp_path):
    keys, run_dir = tmp_path / "keys", tmp_path / "run"
    made = run_cli("bohb-master", "credentials", keys, "--host", "127.0.0.1")
    assert made.returncode == 0, made.stderr
    study = write_study(tmp_path, "Sleeps", stop={"evaluations": 100_000}, worker_options={"seconds": 0.2})
    run_cli.start("bohb-master", "run", study, "--run-dir", run_dir, "--workers", 1, "--credentials", keys)
    wait_for_results(run_dir, 1)
    address = address_of(run_dir)

    of_master = examine(run_cli, "bohb-master", "--run-dir", run_dir, "--credentials", keys, "--port", address.port)
    assert of_master["running master"]["status"] == "ok"
    assert "serves study 'test': running" in of_master["running master"]["found"]
    assert of_master["versions of the workers"]["found"].startswith("1 there, all ")
    assert of_master["port"]["found"] == f"{address.port} is that of this run's master, pid {address.pid}"
    assert of_master["names of the certificate"]["status"] == "ok"
    assert of_master["journal"]["status"] == of_master["journal on this disk"]["status"] == "ok"

    nameserver = ("--nameserver", f"127.0.0.1:{address.port}", "--study", "test")
    of_worker = examine(run_cli, "bohb-worker", *nameserver, "--credentials", keys / "worker")
    assert "it sees this machine as 127.0.0.1" in of_worker["master"]["found"]
    assert of_worker["version of the master"]["status"] == of_worker["clock of the master"]["status"] == "ok"
    assert of_worker["worker class"]["status"] == "ok"
    assert "the master's" in of_worker["files"]["found"]
    # The same, found by itself.
    assert examine(run_cli, "bohb-worker", "--run-dir", run_dir)["credentials of a worker"]["status"] == "ok"

    # Who comes with the wrong thing is told what is wrong.
    stranger = examine(run_cli, "bohb-worker", *nameserver, code=1)
    assert "speaks TLS: give --credentials" in stranger["master"]["found"]
    elsewhere = examine(run_cli, "bohb-worker", *nameserver[:2], "--study", "none", "--credentials", keys, code=1)
    assert "does not know study 'none'; it knows test" in elsewhere["master"]["found"]
    other = tmp_path / "other"
    assert run_cli("bohb-master", "credentials", other, "--host", "127.0.0.1").returncode == 0
    assert examine(run_cli, "bohb-worker", *nameserver, "--credentials", other, code=1)["master"]["status"] == "fail"

    # Nobody has joined or left because of all that.
    status = json.loads(run_cli("bohb-master", "status", run_dir, "--json").stdout)
    assert len(status["workers"]) == 1
    assert status["lost_workers"] == []

    os.kill(address.pid, signal.SIGKILL)
    wait_until(lambda: not _answers(address.port))
    dead = examine(run_cli, "bohb-master", "--run-dir", run_dir)["running master"]
    assert dead["status"] == "warn"
    assert "does not answer" in dead["found"]


def _answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_a_worker_class_that_this_machine_lacks(run_cli, tmp_path):
    found = examine(run_cli, "bohb-worker", "--worker", "no.such:Thing", code=1)

    assert found["worker class"]["status"] == "fail"
    assert "install on this machine what the objective needs" in found["worker class"]["remedy"]
    assert "master" not in found


def test_an_open_door_and_a_taken_port_are_told(run_cli, tmp_path):
    outer = next(iter(outer_of(own_addresses())), None)
    if outer is None:
        pytest.skip("this machine has no address beside loopback")
    with socket.create_server((outer, 0)) as holder:
        options = ("--host", outer, "--port", holder.getsockname()[1], "--run-dir", tmp_path / "run")
        found = examine(run_cli, "bohb-master", *options, code=1)
    assert (found["port"]["status"], found["security"]["status"]) == ("fail", "fail")
    assert "bohb-master credentials" in found["security"]["found"]
    assert examine(run_cli, "bohb-master", *options, "--insecure")["security"]["status"] == "warn"


def test_the_view_has_every_finding_with_its_remedy(run_cli, tmp_path):
    options = ("--run-dir", tmp_path, "--nameserver", "127.0.0.1:1")
    told = examine(run_cli, "bohb-master", *options, code=1)
    shown = run_cli("bohb-master", "doctor", *options, env={"COLUMNS": "200"})

    assert shown.returncode == 1
    text = " ".join(shown.stdout.split())
    for check, finding in told.items():
        assert f"{finding['status']} {check}" in text
        assert finding["remedy"] in text
    assert text.endswith("It will not work: one thing must be mended.")


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("bohb-master", ("--insecure", "--credentials", "x")),
        ("bohb-worker", ("--insecure", "--credentials", "x")),
        ("bohb-worker", ("--nameserver", "a:1")),
        ("bohb-worker", ("--nameserver", "a:1", "--study", "s", "--run-dir", "x")),
    ],
)
def test_options_that_do_not_go_together(run_cli, command, options):
    result = run_cli(command, "doctor", *options)

    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stdout == ""
