"""`bohb-master credentials`: what it prints can be copied, compared and read by programs."""

import hashlib
import json
import re
import ssl

import pytest
from click.testing import CliRunner

from bohb_service.cli.master import main
from bohb_service.security.credentials import load_credentials


def invoke(*arguments, **more):
    return CliRunner().invoke(main, ["credentials", *map(str, arguments)], **more)


def test_it_says_what_was_made_and_what_comes_next(tmp_path):
    directory = tmp_path / "my credentials"
    result = invoke(directory, "--host", "head", "--host", "10.0.0.5", "--days", "30")

    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert "head, 10.0.0.5, localhost, 127.0.0.1, ::1" in result.stdout
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert f"bohb-master run FILE --host head --port 9090 --credentials '{directory}'" in lines
    assert f"scp -r '{directory}/worker' NODE:bohb-keys" in lines
    assert "bohb-worker --credentials bohb-keys --nameserver head:9090 --study NAME" in lines
    der = ssl.PEM_cert_to_DER_cert((directory / "authority" / "ca.pem").read_text())
    assert hashlib.sha256(der).hexdigest().upper() in {line.replace(":", "") for line in lines}
    end = load_credentials(directory, "master").expires
    assert f"to {end:%Y-%m-%d %H:%M} UTC" in result.stdout
    for file in directory.rglob("*.token"):
        assert file.read_text().strip() not in result.stdout


def test_an_ipv6_address_is_shown_as_it_must_be_typed(tmp_path):
    result = invoke(tmp_path / "c", "--host", "2001:db8::5")

    assert "--host 2001:db8::5 --port 9090" in result.stdout
    assert "--nameserver [2001:db8::5]:9090" in result.stdout


def test_renewal_is_told_as_such(tmp_path):
    assert invoke(tmp_path / "c", "--host", "head").exit_code == 0
    result = invoke(tmp_path / "c", "--renew", "--host", "other")

    assert result.exit_code == 0, result.output
    assert "New certificates in" in result.stdout
    assert "head, other, localhost" in result.stdout
    assert "Authority and tokens are the old ones" in result.stdout


def test_json_is_for_programs(tmp_path):
    made = json.loads(invoke(tmp_path / "c", "--host", "head", "--json").stdout)
    renewed = json.loads(invoke(tmp_path / "c", "--renew", "--json").stdout)

    assert made["directory"] == str(tmp_path / "c")
    assert made["hosts"] == ["head", "localhost", "127.0.0.1", "::1"]
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", made["authority_sha256"])
    assert (made["renewed"], renewed["renewed"]) == (False, True)
    assert renewed["authority_sha256"] == made["authority_sha256"]


def test_options_may_come_from_variables(tmp_path):
    result = invoke(env={"BOHB_CREDENTIALS": str(tmp_path / "c"), "BOHB_HOST": "head 10.0.0.5", "BOHB_DAYS": "3"})

    assert result.exit_code == 0, result.output
    assert "head, 10.0.0.5, localhost" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["c"], "--host head.example.org"),
        (["c", "--host", "head:1"], "without a port"),
        (["c", "--host", "head", "--days", "0"], "--days 0"),
        (["c", "--renew"], "nothing to renew"),
        (["there", "--host", "head"], "exists"),
        ([], "DIRECTORY"),
    ],
)
def test_mistakes_are_told_with_exit_code_2(tmp_path, monkeypatch, arguments, phrase):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    result = invoke(*arguments)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert phrase in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_the_command_as_a_process(run_cli, tmp_path):
    result = run_cli("bohb-master", "credentials", "made", "--host", "head", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for kind in ("master", "worker", "admin"):
        load_credentials(tmp_path / "made", kind)
    refused = run_cli("bohb-master", "credentials", "made", "--host", "head", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--renew" in refused.stderr
