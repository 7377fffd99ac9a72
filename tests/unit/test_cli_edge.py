"""Errors become one message and an exit code; addresses are checked."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from bohb_service import errors
from bohb_service.cli.edge import exit_code_of, guarded
from bohb_service.cli.master import main as master
from bohb_service.cli.options import Address
from bohb_service.exit_codes import ExitCode
from bohb_service.master.terms import Terms

CODES = {
    errors.BohbError: 1,
    errors.StudyError: 2,
    errors.SpaceError: 2,
    errors.WorkerSpecError: 2,
    errors.CredentialsError: 2,
    errors.JournalError: 5,
    errors.JournalCorruptError: 5,
    errors.RunMismatchError: 5,
    errors.RunLockedError: 5,
    errors.JournalWriteError: 5,
    errors.TransportError: 4,
    errors.ListenError: 4,
    errors.MasterUnreachableError: 4,
    errors.StudyEndedError: 4,
    errors.ProtocolError: 4,
    errors.AuthenticationError: 2,
    errors.UnknownSessionError: 4,
}


def run(raised):
    @click.command()
    @guarded
    def command():
        raise raised

    return CliRunner().invoke(command)


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_every_error_of_ours_has_its_exit_code(kind):
    assert exit_code_of(kind("x")) == CODES[kind]
    result = run(kind("what is wrong; what to do"))
    assert result.exit_code == CODES[kind]
    assert result.stderr == "error: what is wrong; what to do\n"
    assert result.stdout == ""


def test_all_errors_are_in_the_table():
    ours = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.BohbError)}
    assert ours == set(CODES)


def test_an_interrupt_is_told():
    result = run(KeyboardInterrupt())
    assert (result.exit_code, result.stderr) == (130, "error: interrupted\n")


def test_a_bug_is_called_one_and_how_to_see_more(monkeypatch):
    result = run(ZeroDivisionError("by zero"))
    assert result.exit_code == 1
    assert result.stderr == (
        "error: internal error: ZeroDivisionError: by zero; this is a bug, please report it "
        "(set BOHB_DEBUG=1 to see where it comes from)\n"
    )
    monkeypatch.setenv("BOHB_DEBUG", "1")
    for error in (ZeroDivisionError("by zero"), errors.StudyError("wrong")):
        result = run(error)
        assert result.stderr.startswith("Traceback")
        assert "raise raised" in result.stderr
        assert f"error: {'wrong' if isinstance(error, errors.StudyError) else 'internal'}" in result.stderr


@pytest.mark.parametrize(
    ("raised", "code", "text"),
    [
        (click.UsageError("no such thing"), 2, "Error: no such thing"),
        (click.Abort(), 1, "Aborted!"),
        (click.exceptions.Exit(7), 7, ""),
        (SystemExit(ExitCode.NO_RESULT), 3, ""),
    ],
)
def test_what_click_knows_is_left_to_it(raised, code, text):
    result = run(raised)
    assert result.exit_code == code
    assert text in result.stderr
    assert "internal" not in result.stderr


def test_a_value_is_returned_and_names_are_kept():
    @guarded
    def command(number, *, plus):
        """Add."""
        return number + plus

    assert command(1, plus=2) == 3
    assert (command.__name__, command.__doc__) == ("command", "Add.")


def test_a_reader_that_has_left_is_no_error(tmp_path):
    script = tmp_path / "talks.py"
    script.write_text(
        "import sys\n"
        "from bohb_service.cli.edge import guarded\n"
        "@guarded\n"
        "def talk():\n"
        "    while True:\n"
        "        print('x' * 100, flush=True)\n"
        "talk()\n"
        "sys.exit(9)\n"
    )
    reader, writer = os.pipe()
    with subprocess.Popen([sys.executable, str(script)], stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        os.read(reader, 10)
        os.close(reader)
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("text", ["head:9090", "10.0.0.5:1", "[::1]:65535", "a.b-c.d:80"])
def test_addresses_are_taken_as_they_are(text):
    assert Address().convert(text, None, None) == text


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("head", "no HOST:PORT"),
        ("head:", "no HOST:PORT"),
        (":9090", "no HOST:PORT"),
        ("head:0", "no HOST:PORT"),
        ("head:65536", "no HOST:PORT"),
        ("head:-1", "no HOST:PORT"),
        ("head:http", "no HOST:PORT"),
        ("", "no HOST:PORT"),
        ("::1:9090", "in brackets"),
        ("[::1:9090", "in brackets"),
        ("::1]:9090", "in brackets"),
    ],
)
def test_what_is_no_address_is_refused_with_an_example(text, phrase):
    with pytest.raises(click.BadParameter, match=phrase) as caught:
        Address().convert(text, None, None)
    assert repr(text) in str(caught.value)


def test_the_times_of_a_run_are_by_default_those_of_the_master():
    options = {option.name: option.default for option in master.commands["run"].params}
    times = {"lease_s": options["lease"], "grace_s": options["grace"], "hold_s": options["continue_wait"]}
    assert Terms.of(**times) == Terms()
