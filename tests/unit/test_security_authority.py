"""Credentials are made whole or not at all, for their owner alone, and renewed without locking anybody out."""

import os
import shutil
import time
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from bohb_service.clock import SystemClock
from bohb_service.errors import CredentialsError
from bohb_service.security import authority, private_files
from bohb_service.security.authority import make_credentials
from bohb_service.security.credentials import load_credentials
from bohb_service.testing.clock import ManualClock

DAY = 86_400.0
LAYOUT = {
    "authority": {"ca.pem", "ca-key.pem"},
    "master": {"ca.pem", "cert.pem", "key.pem", "worker.token", "admin.token"},
    "worker": {"ca.pem", "cert.pem", "key.pem", "worker.token"},
    "admin": {"ca.pem", "cert.pem", "key.pem", "admin.token"},
}
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def make(directory, *hosts, clock=None, **options):
    return make_credentials(directory, hosts, clock=clock or SystemClock(), **options)


def refusal(directory, *hosts, **options):
    with pytest.raises(CredentialsError) as caught:
        make(directory, *hosts, **options)
    return str(caught.value)


def certificate_in(folder, name="cert.pem"):
    return x509.load_pem_x509_certificate((folder / name).read_bytes())


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def umask():
    """Nothing is taken away from the modes that files are made with."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_layout_modes_and_tokens(tmp_path, umask):
    make(tmp_path / "c", "head")

    assert {folder.name: {file.name for file in folder.iterdir()} for folder in (tmp_path / "c").iterdir()} == LAYOUT
    for path in (tmp_path / "c", *(tmp_path / "c").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    read = contents(tmp_path / "c")
    assert len({content for name, content in read.items() if name.endswith(".token")}) == 2
    assert len({content for name, content in read.items() if name.endswith("key.pem")}) == 4
    for role in ("worker", "admin"):
        assert read[f"master/{role}.token"] == read[f"{role}/{role}.token"]
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_files_are_private_from_the_first_moment(tmp_path, umask, monkeypatch):
    """Seen from inside the writing: mode and content of each file when it is made, not when all is done."""
    seen = []
    real = os.open

    def watched(path, flags, mode=0o777, **more):
        descriptor = real(path, flags, mode, **more)
        seen.append((os.fstat(descriptor).st_mode & 0o777, os.fstat(descriptor).st_size))
        parent = os.stat(os.path.dirname(path)).st_mode & 0o777  # noqa: PTH116, PTH120
        assert parent == 0o700
        return descriptor

    monkeypatch.setattr(private_files.os, "open", watched)
    make(tmp_path / "c", "head")

    assert seen == [(0o600, 0)] * sum(map(len, LAYOUT.values()))


def test_missing_parents_are_made(tmp_path):
    assert make(tmp_path / "a" / "b" / "c", "head").directory == tmp_path / "a" / "b" / "c"


def test_certificates_say_what_they_are_for(tmp_path):
    clock = ManualClock(1_800_000_000.0)
    made = make(tmp_path / "c", "Head.Example.org", "10.0.0.5", "fe80::0:5", "head", "head", "::1", days=7, clock=clock)
    ca = certificate_in(tmp_path / "c" / "authority", "ca.pem")

    assert made.hosts == ("head.example.org", "10.0.0.5", "fe80::5", "head", *LOOPBACK)
    assert made.expires.timestamp() == clock.now() + 7 * DAY
    assert clock.now() - made.begins.timestamp() == 300
    assert not made.renewed
    for kind, purpose in (
        ("master", ExtendedKeyUsageOID.SERVER_AUTH),
        ("worker", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("admin", ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        certificate = certificate_in(tmp_path / "c" / kind)
        certificate.verify_directly_issued_by(ca)
        assert (tmp_path / "c" / kind / "ca.pem").read_bytes() == (tmp_path / "c" / "authority" / "ca.pem").read_bytes()
        extensions = {type(each.value): each for each in certificate.extensions}
        assert list(extensions[x509.ExtendedKeyUsage].value) == [purpose]
        assert extensions[x509.BasicConstraints].critical
        assert not extensions[x509.BasicConstraints].value.ca
        assert extensions[x509.KeyUsage].critical
        assert not extensions[x509.KeyUsage].value.key_cert_sign
        assert (x509.SubjectAlternativeName in extensions) == (kind == "master")
        assert certificate.not_valid_before_utc == made.begins
        assert certificate.not_valid_after_utc == made.expires
    names = certificate_in(tmp_path / "c" / "master").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["head.example.org", "head", "localhost"]
    assert list(map(str, names.value.get_values_for_type(x509.IPAddress))) == [
        "10.0.0.5",
        "fe80::5",
        "127.0.0.1",
        "::1",
    ]
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


def test_two_runs_share_nothing(tmp_path):
    one, other = make(tmp_path / "one", "head"), make(tmp_path / "other", "head")

    assert one.fingerprint != other.fingerprint
    assert not set(contents(tmp_path / "one").values()) & set(contents(tmp_path / "other").values())
    subjects = {certificate_in(tmp_path / name / "authority", "ca.pem").subject for name in ("one", "other")}
    assert len(subjects) == 2


HOSTS = {
    "": "it is empty",
    "head:9090": "without a port",
    "10.0.0.5:9090": "without a port",
    "[::1]": "without brackets",
    "[::1]:9090": "without brackets",
    "*.example.org": "wildcards are not used",
    "a b": "letters, digits and dashes",
    " head": "letters, digits and dashes",
    "head\n": "letters, digits and dashes",
    "-head": "letters, digits and dashes",
    "head-": "letters, digits and dashes",
    "head..org": "letters, digits and dashes",
    "head.": "letters, digits and dashes",
    "x" * 64 + ".org": "letters, digits and dashes",
    "x." * 127: "at most 253",
    "head\0.org": "letters, digits and dashes",
    "bücher.example": "xn--",
    "https://head": "without protocol and path",
    "10.0.0.0/8": "without protocol and path",
    "10.0.0.256": "four numbers from 0 to 255",
    "10.0.0": "four numbers from 0 to 255",
    "7": "four numbers from 0 to 255",
    "0.0.0.0": "nobody can connect to it",
    "::": "nobody can connect to it",
    "224.0.0.1": "nobody can connect to it",
    "fe80::1%eth0": "without %",
}


@pytest.mark.parametrize("host", HOSTS, ids=repr)
def test_what_is_no_host_is_refused_and_nothing_is_made(tmp_path, host):
    told = refusal(tmp_path / "c", "head", host)

    assert "--host" in told
    assert HOSTS[host] in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "host", ["x." * 126 + "x", "x" * 63, "a_b", "xn--bcher-kva.example", "1.example", "2001:db8::1"]
)
def test_unusual_hosts_are_possible(tmp_path, host):
    assert make(tmp_path / "c", host).hosts == (host, *LOOPBACK)
    load_credentials(tmp_path / "c", "master")


def test_without_a_host_there_is_an_example(tmp_path):
    told = refusal(tmp_path / "c d")

    assert told.startswith("--host is missing")
    assert f"`bohb-master credentials '{tmp_path / 'c d'}' --host head.example.org" in told


@pytest.mark.parametrize("days", [-1, 0, 3651, 10**9])
def test_days_have_a_range(tmp_path, days):
    assert f"--days {days}" in refusal(tmp_path / "c", "head", days=days)
    assert not list(tmp_path.iterdir())
    make(tmp_path / "c", "head", days=3650)
    assert f"--days {days}" in refusal(tmp_path / "c", renew=True, days=days)


def test_what_is_there_is_never_overwritten(tmp_path):
    make(tmp_path / "made", "head")
    before = contents(tmp_path / "made")
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    assert "--renew" in refusal(tmp_path / "made", "head")
    for name in ("file", "folder", "link"):
        assert f"{tmp_path / name} exists" in refusal(tmp_path / name, "head")
    assert contents(tmp_path / "made") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "link", "made"]


@pytest.mark.parametrize("after", range(16))
def test_a_disk_that_fills_up_leaves_nothing(tmp_path, monkeypatch, after):
    left = iter(range(after))
    real = os.fsync

    def full(descriptor):
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(private_files.os, "fsync", full)
    if after >= sum(map(len, LAYOUT.values())):
        make(tmp_path / "c", "head")
        return
    assert "No space left on device; free some space" in refusal(tmp_path / "c", "head")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()

    assert f"cannot write {tmp_path / 'file' / 'c'}" in refusal(tmp_path / "file" / "c", "head")


def test_a_rival_wins_whole(tmp_path, monkeypatch):
    real = private_files.Path.rename

    def late(draft, path):
        monkeypatch.setattr(private_files.Path, "rename", real)
        make(path, "rival")
        return real(draft, path)

    monkeypatch.setattr(private_files.Path, "rename", late)

    assert "cannot write" in refusal(tmp_path / "c", "head")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert make(tmp_path / "c", renew=True).hosts[0] == "rival"


def test_renewal_keeps_all_but_the_certificates(tmp_path, umask):
    clock = ManualClock(time.time() - 10 * DAY)
    first = make(tmp_path / "c", "head", "10.0.0.5", days=11, clock=clock)
    before = contents(tmp_path / "c")
    clock.advance(10 * DAY)

    second = make(tmp_path / "c", "new", "head", renew=True, days=50, clock=clock)

    after = contents(tmp_path / "c")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"master/cert.pem", "worker/cert.pem", "admin/cert.pem"}
    assert after.keys() == before.keys()
    assert second.renewed
    assert second.hosts == ("head", "10.0.0.5", "new", *LOOPBACK)
    assert second.fingerprint == first.fingerprint
    assert second.expires - first.expires == timedelta(days=49)
    for kind in ("master", "worker", "admin"):
        load_credentials(tmp_path / "c", kind)
        assert (tmp_path / "c" / kind / "cert.pem").stat().st_mode & 0o777 == 0o600


def test_a_renewal_that_is_cut_short_leaves_every_folder_usable(tmp_path, monkeypatch):
    make(tmp_path / "c", "head", days=5)
    real = private_files.write_private

    def full(path, content):
        real(path, content)
        if "worker" in str(path):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(private_files, "write_private", full)

    assert "No space left" in refusal(tmp_path / "c", renew=True)
    files = {folder.name: {file.name for file in folder.iterdir()} for folder in (tmp_path / "c").iterdir()}
    assert files == LAYOUT
    for kind in ("master", "worker", "admin"):
        load_credentials(tmp_path / "c", kind)


def test_there_must_be_something_to_renew(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        assert f"{path} has no folder 'authority', so there is nothing to renew" in refusal(path, renew=True)


@pytest.mark.parametrize("name", ["authority/ca-key.pem", "authority/ca.pem", "master/cert.pem", "worker/key.pem"])
def test_renewal_needs_the_whole_directory(tmp_path, name):
    make(tmp_path / "c", "head")
    file = tmp_path / "c" / name
    file.write_bytes(b"nonsense")
    assert f"a file in {tmp_path / 'c'} is damaged" in refusal(tmp_path / "c", renew=True)
    file.unlink()
    assert f"cannot read {file}" in refusal(tmp_path / "c", renew=True)


def test_renewal_refuses_an_authority_with_another_key(tmp_path):
    make(tmp_path / "one", "head")
    make(tmp_path / "other", "head")
    shutil.copy(tmp_path / "other" / "authority" / "ca-key.pem", tmp_path / "one" / "authority" / "ca-key.pem")

    assert "the authority's key is not that of its certificate" in refusal(tmp_path / "one", renew=True)


def test_certificates_do_not_outlive_their_authority(tmp_path):
    clock = ManualClock(time.time())
    make(tmp_path / "c", "head", clock=clock)
    before = contents(tmp_path / "c")
    clock.advance(7000 * DAY)

    assert "cannot be valid longer than their authority" in refusal(tmp_path / "c", renew=True, clock=clock)
    assert contents(tmp_path / "c") == before
    assert make(tmp_path / "c", renew=True, days=299, clock=clock).renewed


def test_facts_are_plain(tmp_path):
    made = make(tmp_path / "c", "head", clock=ManualClock(1_800_000_000.0), days=1)

    assert made.to_dict() == {
        "directory": str(tmp_path / "c"),
        "hosts": ["head", *LOOPBACK],
        "authority_sha256": made.fingerprint,
        "valid_from": "2027-01-15T07:55:00+00:00",
        "valid_until": "2027-01-16T08:00:00+00:00",
        "renewed": False,
    }
    assert authority.DAYS == 365
