"""Mistakes are told in one message, with exit code 2 and without a traceback."""

import pytest
from click.testing import CliRunner

from bohb_service.cli.master import main as master
from bohb_service.cli.worker import main as worker
from tests.acceptance.study_files import write_study
from tests.unit.bad_studies import BAD_STUDIES


@pytest.mark.parametrize("bad", BAD_STUDIES, ids=lambda bad: bad.id)
def test_every_bad_study_file_is_refused_by_run_and_check(tmp_path, monkeypatch, bad):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / bad.file
    file.write_bytes(bad.text if isinstance(bad.text, bytes) else bad.text.encode())
    for command in ("run", "check"):
        result = CliRunner().invoke(master, [command, str(file)])
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert bad.phrase in result.stderr
        assert bad.path in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


SPACES = {
    "unknown kind": ({"x": {"type": "flaot", "low": 0, "high": 1}}, "space.x.type", "float"),
    "turned round": ({"x": [1.0, 0.0]}, "space.x", "low"),
    "log of zero": ({"x": {"type": "float", "low": 0, "high": 1, "log": True}}, "space.x.low", "log"),
    "no choices": ({"x": {"type": "categorical", "choices": []}}, "space.x.choices", ""),
    "unknown parent": ({"x": {"type": "float", "low": 0, "high": 1, "when": {"y": 1}}}, "space.x.when", "y"),
    "unknown key": ({"x": {"type": "float", "low": 0, "hihg": 1}}, "space.x.hihg", "high"),
    "default outside": ({"x": {"type": "int", "low": 0, "high": 3, "default": 9}}, "space.x.default", "9"),
    "empty": ({}, "space", ""),
}


@pytest.mark.parametrize("name", SPACES)
def test_every_bad_space_is_refused_with_its_path(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    space, path, phrase = SPACES[name]
    result = CliRunner().invoke(master, ["check", str(write_study(tmp_path, space=space))])
    assert result.exit_code == 2, result.output
    assert path in result.stderr
    assert phrase in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("initial", "phrase"),
    [
        ([{"x": 0.5}], "y"),
        ([{"x": 0.5, "y": 0.5, "z": 1}], "z"),
        ([{"x": 0.5, "y": 0.5}, {"x": 0.5, "y": 1.5}], "1.5"),
        ([{"x": "a", "y": 0.5}], "'a'"),
    ],
)
def test_initial_configurations_must_belong_to_the_space(tmp_path, monkeypatch, initial, phrase):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(master, ["check", str(write_study(tmp_path, initial=initial))])
    assert result.exit_code == 2, result.output
    assert f"initial.{len(initial) - 1}" in result.stderr
    assert phrase in result.stderr


@pytest.mark.parametrize(
    ("command", "arguments", "code", "phrase"),
    [
        (master, ["run"], 2, "FILE"),
        (master, ["run", "nothing.yaml"], 2, "nothing.yaml"),
        (master, ["run", "s.yaml", "--workers", "-1"], 2, "--workers"),
        (master, ["run", "s.yaml", "--port", "70000"], 2, "--port"),
        (master, ["run", "s.yaml", "--nameserver", "nowhere"], 2, "HOST:PORT"),
        (master, ["rnu", "s.yaml"], 2, "No such command"),
        (master, ["status", "nothing"], 5, "nothing"),
        (master, ["results", "nothing"], 5, "nothing"),
        (master, ["stop", "nothing"], 5, "nothing"),
        (worker, [], 2, "--run-dir"),
        (worker, ["--nameserver", "127.0.0.1:1"], 2, "--study"),
        (worker, ["--nameserver", "127.0.0.1"], 2, "HOST:PORT"),
        (worker, ["--run-dir", "x", "--nameserver", "127.0.0.1:1"], 2, "either"),
    ],
)
def test_wrong_command_lines_are_told(tmp_path, monkeypatch, command, arguments, code, phrase):  # noqa: PLR0917
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == code, result.output
    assert phrase in result.stderr
    assert "Traceback" not in result.stderr


def test_every_option_has_a_variable():
    for command in (*master.commands.values(), worker, *worker.commands.values()):
        for parameter in command.params:
            if parameter.name not in {"version", "help", "file", "target", "trial"}:
                assert parameter.envvar, f"{command.name}: {parameter.name} has no BOHB_ variable"
                assert parameter.envvar.startswith("BOHB_")


def test_an_address_that_cannot_be_listened_on_is_said_so(run_cli, tmp_path):
    for host, code, phrase, more in (
        ("192.0.2.1", 4, "cannot listen on 192.0.2.1", ["--insecure"]),
        ("0.0.0.0", 4, "no address that workers", []),
        ("192.0.2.1", 2, "bohb-master credentials keys --host 192.0.2.1", []),
        ("head.invalid", 2, "bohb-master credentials keys --host head.invalid", []),
    ):
        command = ["bohb-master", "run", write_study(tmp_path), "--host", host, "--run-dir", tmp_path / "run", *more]
        result = run_cli(*command)
        assert result.returncode == code
        assert phrase in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("option", ["--lease", "--grace"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
def test_times_are_finite(run_cli, tmp_path, option, value):
    result = run_cli("bohb-master", "run", write_study(tmp_path), option, value, "--run-dir", tmp_path / "run")
    assert result.returncode == 2
    assert option in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("host", ["head example", "10.1.2.3:90", "", "münchen.de"])
def test_a_host_that_is_none_is_said_so_and_nothing_is_warned_of(run_cli, tmp_path, host):
    result = run_cli("bohb-master", "run", write_study(tmp_path), "--host", host, "--run-dir", tmp_path / "run")
    assert result.returncode == 2
    assert "is no name or address of a machine" in result.stderr
    assert "insecure" not in result.stderr
