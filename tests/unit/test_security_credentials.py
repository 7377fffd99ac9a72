"""Credentials are loaded only when they are whole, private, of the right side and valid now."""

import os
import shlex
import shutil
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization

from bohb_service.clock import SystemClock
from bohb_service.errors import CredentialsError
from bohb_service.security.authority import make_credentials
from bohb_service.security.credentials import (
    check_host,
    client_context,
    days_left,
    load_credentials,
    server_context,
)
from bohb_service.testing.clock import ManualClock

DAY = 86_400.0
KINDS = ("master", "worker", "admin")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for name in ("ours", "other"):
        make_credentials(folder / name, ["head"], days=30, clock=SystemClock())
    return folder


@pytest.fixture
def ours(made, tmp_path):
    """A copy of the credentials that a test may spoil."""
    return shutil.copytree(made / "ours", tmp_path / "ours")


def refusal(path, kind, clock=None):
    with pytest.raises(CredentialsError) as caught:
        load_credentials(path, kind, clock)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "roles"), [("master", {"worker", "admin"}), ("worker", {"worker"}), ("admin", {"admin"})]
)
def test_each_side_finds_its_own_in_the_whole_directory_and_in_a_copied_folder(ours, tmp_path, kind, roles):
    copied = shutil.copytree(ours / kind, tmp_path / "anywhere")

    for path, directory in ((ours, ours / kind), (copied, copied)):
        loaded = load_credentials(path, kind)
        assert (loaded.directory, loaded.kind, loaded.tokens.keys()) == (directory, kind, roles)
        assert {loaded.ca.parent, loaded.certificate.parent, loaded.key.parent} == {directory}
        for role, token in loaded.tokens.items():
            assert token.hex() == (ours / role / f"{role}.token").read_text().strip()
            assert len(token) == 32


@pytest.mark.parametrize("host", ["head", "HEAD", "localhost", "127.0.0.1", "::1"])
def test_a_master_may_be_called_by_the_names_in_its_certificate(ours, host):
    check_host(load_credentials(ours, "master"), host)


@pytest.mark.parametrize("host", ["other", "head.example", "10.0.0.5", "127.0.0.2", "2001:db8::1", "", "a b", ".x"])
def test_another_name_is_refused_with_the_command_that_adds_it(ours, host):
    with pytest.raises(CredentialsError) as caught:
        check_host(load_credentials(ours, "master"), host)
    assert f"--host {host} is not among the names of the master's certificate" in str(caught.value)
    assert str(caught.value).endswith(f"bohb-master credentials {ours} --renew --host {shlex.quote(host)}")
    if host == "other":
        make_credentials(ours, [host], renew=True, clock=SystemClock())
        check_host(load_credentials(ours, "master"), host)


def test_a_copied_folder_of_a_master_is_renewed_elsewhere(ours):
    with pytest.raises(CredentialsError, match="bohb-master credentials DIRECTORY --renew --host other"):
        check_host(load_credentials(ours / "master", "master"), "other")


def test_tokens_are_not_shown(ours):
    loaded = load_credentials(ours, "master")

    for token in loaded.tokens.values():
        assert repr(token)[2:-1] not in repr(loaded)
        assert token.hex() not in repr(loaded)
    assert "tokens=" not in repr(loaded)


def test_the_end_is_known(ours):
    loaded = load_credentials(ours, "worker")

    assert loaded.expires.tzinfo is UTC
    assert days_left(loaded, loaded.expires.timestamp() - 1.5 * DAY) == 1.5
    assert days_left(loaded, loaded.expires.timestamp() + DAY) == -1
    assert abs(days_left(loaded, time.time()) - 30) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_needed(ours, kind):
    for file in sorted((ours / kind).iterdir()):
        content = file.read_bytes()
        file.unlink()
        told = refusal(ours, kind)
        assert f"has no {file.name}" in told
        assert f"copy the folder {kind!r}" in told
        file.mkdir()
        told = refusal(ours, kind)
        assert f"cannot read {file}" in told
        file.rmdir()
        file.touch(0o600)
        file.write_bytes(content)
    load_credentials(ours, kind)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644])
def test_files_open_to_others_are_refused_with_the_command_that_closes_them(ours, mode):
    for file in sorted((ours / "worker").iterdir()):
        file.chmod(mode)
        told = refusal(ours / "worker", "worker")
        assert f"{file} can be read or written by other users (mode {mode:04o})" in told
        assert told.endswith(f"type: chmod -R go= {ours / 'worker'}")
        file.chmod(0o400)
    load_credentials(ours, "worker")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_write_into_is_refused(ours, mode):
    (ours / "worker").chmod(mode)

    assert f"type: chmod -R go= {ours / 'worker'}" in refusal(ours, "worker")


@pytest.fixture
def give_away(monkeypatch):
    """Makes something another user's: the user 4242 as seen from here."""
    other = 4242

    def give(path):
        if os.geteuid() == 0:
            os.chown(path, other, -1)
        else:
            real = os.fstat
            number = path.stat().st_ino

            def seen(descriptor):
                status = real(descriptor)
                is_it = status.st_ino == number
                return os.stat_result((*status[:4], other, *status[5:])) if is_it else status

            monkeypatch.setattr(os, "fstat", seen)

    return give


@pytest.mark.parametrize("name", ["", "ca.pem", "cert.pem", "key.pem", "worker.token"])
def test_what_belongs_to_another_user_is_refused(ours, give_away, name):
    give_away(ours / "worker" / name)

    told = refusal(ours, "worker")
    assert f"{ours / 'worker' / name} belongs to user 4242, neither to you (user {os.geteuid()}) nor to root" in told


@pytest.mark.parametrize("name", ["authority", "authority/ca-key.pem", "admin/key.pem", "master/cert.pem"])
def test_a_renewal_refuses_what_belongs_to_another_user_and_what_others_can_read(ours, give_away, name):
    mode = (ours / name).stat().st_mode
    (ours / name).chmod(mode | 0o022)
    with pytest.raises(CredentialsError, match=r"other users.*type: chmod -R go="):
        make_credentials(ours, [], renew=True, clock=SystemClock())
    (ours / name).chmod(mode)
    give_away(ours / name)
    with pytest.raises(CredentialsError, match="belongs to user 4242"):
        make_credentials(ours, [], renew=True, clock=SystemClock())


def test_what_is_read_is_what_was_judged(ours, monkeypatch):
    """Somebody exchanges the token and the folder right after they were opened."""
    real, token = os.fstat, ours / "worker" / "worker.token"
    before = load_credentials(ours, "worker").tokens

    def exchange(descriptor):
        if token.exists():
            (ours / "worker").rename(ours / "away")
            shutil.copytree(ours / "away", ours / "worker")
            token.unlink()
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", exchange)
    assert load_credentials(ours, "worker").tokens == before
    assert not token.exists()


def test_a_named_pipe_holds_nobody_up(ours):
    (ours / "worker" / "key.pem").unlink()
    os.mkfifo(ours / "worker" / "key.pem", 0o600)

    assert f"cannot read {ours / 'worker' / 'key.pem'}: it is no regular file" in refusal(ours, "worker")


def test_the_command_to_type_is_quoted(ours, tmp_path):
    copied = shutil.copytree(ours / "worker", tmp_path / "a b")
    (copied / "key.pem").chmod(0o644)

    assert refusal(copied, "worker").endswith(f"chmod -R go= '{copied}'")


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "g" * 64, "0" * 31 + "\n" + "0" * 32, "é" * 64, "F" * 64])
def test_what_is_no_token_is_refused(ours, text):
    (ours / "worker" / "worker.token").write_text(text)

    told = refusal(ours, "worker")
    assert f"{ours / 'worker' / 'worker.token'} is no token: 64 digits of 0-9 and a-f are expected" in told
    assert text == "" or text not in told


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_damaged_files_are_refused(ours, name, content):
    (ours / "admin" / name).write_bytes(content)

    told = refusal(ours, "admin")
    assert f"the credentials in {ours / 'admin'} cannot be used" in told
    assert "damaged" in told
    assert "copy the folder from the head node again" in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_another_certificate_is_refused(made, ours, kind):
    shutil.copy(made / "other" / kind / "key.pem", ours / kind / "key.pem")

    assert "key.pem is not the key of cert.pem" in refusal(ours, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_an_authority_of_another_run_is_refused(made, ours, kind):
    shutil.copy(made / "other" / kind / "ca.pem", ours / kind / "ca.pem")

    told = refusal(ours, kind)
    assert f"{ours / kind / 'cert.pem'} is not a certificate of" in told
    assert f"the authority in {ours / kind / 'ca.pem'}" in told


def test_an_encrypted_key_is_refused_without_asking_for_its_password(ours):
    key = ours / "worker" / "key.pem"
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )

    assert "damaged" in refusal(ours, "worker")


@pytest.mark.parametrize(("given", "needed"), [("worker", "admin"), ("admin", "worker"), ("worker", "master")])
def test_the_folder_of_another_side_is_refused(ours, given, needed):
    assert f"holds no credentials of {'an' if needed == 'admin' else 'a'} {needed}" in refusal(ours / given, needed)


@pytest.mark.parametrize(("given", "needed"), [("worker", "admin"), ("admin", "worker")])
def test_the_certificate_of_another_client_is_refused_also_beside_the_right_token(ours, given, needed):
    for name in ("cert.pem", "key.pem"):
        shutil.copy(ours / given / name, ours / needed / name)

    assert f"is the certificate of {'an' if given == 'admin' else 'a'} {given}" in refusal(ours, needed)


@pytest.mark.parametrize(("given", "needed"), [("worker", "master"), ("master", "worker"), ("master", "admin")])
def test_the_certificate_of_the_other_side_of_connections_is_refused(ours, given, needed):
    for name in ("cert.pem", "key.pem"):
        shutil.copy(ours / given / name, ours / needed / name)

    assert "unsuitable certificate purpose" in refusal(ours, needed)


def test_a_folder_that_is_not_there_is_named_with_the_command_that_makes_it(tmp_path):
    told = refusal(tmp_path / "none", "worker")

    assert f"there is no folder {tmp_path / 'none'}" in told
    assert "`bohb-master credentials DIRECTORY --host NAME`" in told
    (tmp_path / "file").touch()
    assert "there is no folder" in refusal(tmp_path / "file", "worker")


@pytest.mark.parametrize("kind", KINDS)
def test_an_expired_certificate_is_refused_with_its_date_and_the_remedy(ours, kind):
    expires = load_credentials(ours, kind).expires.timestamp()

    load_credentials(ours, kind, ManualClock(expires))
    told = refusal(ours, kind, ManualClock(expires + 1))
    assert f"has expired on {datetime.fromtimestamp(expires, UTC):%Y-%m-%d %H:%M:%S} UTC" in told
    assert "`bohb-master credentials DIRECTORY --renew`" in told


def test_a_clock_that_is_behind_is_told(tmp_path):
    begins = make_credentials(tmp_path / "new", ["head"], clock=SystemClock()).begins.timestamp()

    load_credentials(tmp_path / "new", "worker", ManualClock(begins))
    told = refusal(tmp_path / "new", "worker", ManualClock(begins - 1))
    assert f"valid only from {datetime.fromtimestamp(begins, UTC):%Y-%m-%d %H:%M:%S} UTC on" in told
    assert f"clock says {datetime.fromtimestamp(begins - 1, UTC):%Y-%m-%d %H:%M:%S} UTC" in told
    assert "`date -u`" in told


def test_a_worker_loads_no_library_for_certificates(ours):
    code = (
        "import sys, pathlib\n"
        "from bohb_service.security.credentials import client_context, load_credentials\n"
        "client_context(load_credentials(pathlib.Path(sys.argv[1]), 'worker'))\n"
        "sys.exit('cryptography' in sys.modules)\n"
    )

    assert subprocess.run([sys.executable, "-c", code, str(ours)], timeout=60, check=False).returncode == 0


def test_contexts_are_as_strict_as_promised(ours):
    server, client = server_context(load_credentials(ours, "master")), client_context(load_credentials(ours, "worker"))

    for context in (server, client):
        assert context.minimum_version == context.maximum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        assert context.options & ssl.OP_NO_COMPRESSION
        assert len(context.get_ca_certs()) == 1
    assert client.check_hostname
    assert server.num_tickets == 0


def test_files_that_vanish_after_loading_are_told(ours):
    loaded = load_credentials(ours, "worker")
    loaded.key.unlink()

    with pytest.raises(CredentialsError, match="cannot be used"):
        client_context(loaded)
