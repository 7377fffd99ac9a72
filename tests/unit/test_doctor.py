"""What a doctor makes of facts, and that it sees the real ones."""

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bohb_service._version import VERSION
from bohb_service.cli.watch import warn_of_disk
from bohb_service.clock import SystemClock
from bohb_service.doctor import addresses, certificates, clocks, gpus, limits, ports, run_folder, versions
from bohb_service.doctor.finding import Finding, examine, to_dict, verdict
from bohb_service.doctor.master_side import MasterPlace, examine_master
from bohb_service.doctor.mounts import Mount, mount_of
from bohb_service.doctor.trial_journal import JournalTrial, try_journal
from bohb_service.doctor.wording import size, span
from bohb_service.errors import JournalError
from bohb_service.journal.run_directory import RunDirectory
from bohb_service.journal.sqlite import SqliteJournal
from bohb_service.rpc.messages import PROTOCOL_VERSION
from bohb_service.security.authority import make_credentials
from bohb_service.testing.clock import ManualClock
from bohb_service.worker import labels
from bohb_service.worker.control_groups import cpu_groups, memory_groups
from bohb_service.worker.devices import VISIBLE
from bohb_service.worker.labels import own_labels
from bohb_service.worker.nvml import Gpu, GpuReading, read_gpus

OWN = {"127.0.0.1": "lo", "10.0.0.5": "eth0", "::1": "lo"}
GPUS = GpuReading((Gpu("GPU-aa", "A", 1 << 34), Gpu("GPU-bb", "B", 1 << 35)), "555.1")
MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /home rw - nfs4 head:/export/home rw
31 30 0:41 / /home/ann/scratch\\040disk rw master:1 - xfs /dev/sdb rw
32 27 0:42 / /mnt rw - ext4 /dev/sdc rw
33 32 0:43 / /mnt rw - fuse.sshfs ann@far:/data rw
34 27 0:44 / /run rw - tmpfs tmpfs rw
35 27 0:45 / /ntfs rw - fuseblk /dev/sdd rw
a line of another form
"""


# -- findings --------------------------------------------------------------------------------------------------


def test_the_verdict_is_the_worst_of_all():
    good, poor, bad = Finding.ok("a", "x"), Finding.warn("b", "y", "z"), Finding.fail("c", "u", "v")

    assert verdict([]) == verdict([good]) == "ok"
    assert verdict([poor, good]) == "warn"
    assert to_dict([good, bad, poor]) == {
        "verdict": "fail",
        "findings": [
            {"check": "a", "status": "ok", "found": "x", "remedy": ""},
            {"check": "c", "status": "fail", "found": "u", "remedy": "v"},
            {"check": "b", "status": "warn", "found": "y", "remedy": "z"},
        ],
    }


def test_a_check_that_cannot_be_made_hides_no_other():
    def refused():
        raise JournalError("it is damaged; restore it")

    def unreadable():
        raise PermissionError(13, "Permission denied", "/etc/shadow")

    found = list(examine([("one", refused), ("two", unreadable), ("three", lambda: [Finding.ok("three", "fine")])]))

    assert [(f.check, f.status) for f in found] == [("one", "fail"), ("two", "warn"), ("three", "ok")]
    assert found[0].found == "it is damaged; restore it"
    assert found[1].found == "/etc/shadow cannot be looked at: Permission denied"


# -- addresses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "bind", "resolved", "status", "part"),
    [
        ("127.0.0.1", None, ("127.0.0.1",), "ok", "only workers of this machine"),
        ("localhost", None, ("::1", "127.0.0.1"), "ok", "only workers of this machine"),
        ("10.0.0.5", None, ("10.0.0.5",), "ok", "10.0.0.5 on eth0"),
        ("head", None, ("10.0.0.5",), "ok", "head (10.0.0.5 on eth0)"),
        ("head", None, ("127.0.1.1",), "warn", "takes its name for loopback"),
        ("nowhere", None, (), "fail", "cannot resolve"),
        ("0.0.0.0", None, ("0.0.0.0",), "fail", "nobody can connect to"),
        ("gate", None, ("203.0.113.7",), "fail", "another machine"),
        ("gate", "0.0.0.0", ("203.0.113.7",), "ok", "forwarded to this machine, which listens on 0.0.0.0"),
    ],
)
def test_what_workers_are_told(host, bind, resolved, status, part):
    finding = addresses.judge_told(host, bind, resolved, OWN)

    assert finding.status == status
    assert part in finding.found
    assert status == "ok" or "10.0.0.5" in finding.remedy


def test_the_addresses_of_this_machine():
    own = addresses.own_addresses()

    assert own["127.0.0.1"] == "lo"
    assert addresses.resolve("127.0.0.1") == ("127.0.0.1",)
    assert addresses.judge_own(OWN) == Finding.ok("addresses", "10.0.0.5 (eth0)")
    assert addresses.judge_own({"127.0.0.1": "lo"}).status == "warn"


# -- ports -----------------------------------------------------------------------------------------------------


def test_a_free_port_can_be_listened_on_and_reached():
    assert ports.check_port("127.0.0.1", "127.0.0.1", 0).status == "ok"
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    assert ports.check_port("127.0.0.1", "127.0.0.1", port).found == f"{port} is free, and 127.0.0.1:{port} leads to it"


def test_a_taken_port_is_told_with_its_holder():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        taken = ports.check_port("127.0.0.1", "127.0.0.1", port)
        own = ports.check_port("127.0.0.1", "127.0.0.1", port, own_pid=os.getpid())

    assert taken.status == "fail"
    assert f"{port} is taken by pid {os.getpid()}" in taken.found
    assert own == Finding.ok("port", f"{port} is that of this run's master, pid {os.getpid()}")


def test_a_port_that_its_name_does_not_lead_to_is_told():
    # 127.0.0.2 is loopback too, but nobody listens there.
    finding = ports.check_port("127.0.0.2", "127.0.0.1", 0)

    assert finding.status == "warn"
    assert "127.0.0.2" in finding.found


def test_a_port_whose_name_leads_to_something_else_is_told():
    with socket.create_server(("127.0.0.2", 0)) as elsewhere:
        port = elsewhere.getsockname()[1]
        finding = ports.check_port("127.0.0.2", "127.0.0.1", port)

    assert finding.status == "warn"
    assert f"127.0.0.2:{port} leads to something else that listens there" in finding.found


def test_the_port_of_the_last_master_is_looked_at(tmp_path):
    def look():
        (told,) = [found for found in examine_master(MasterPlace(tmp_path), SystemClock()) if found.check == "port"]
        return told

    assert "a free one is taken" in look().found
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        RunDirectory(tmp_path).write_port(port)
        taken = look()
    assert (taken.status, f"{port} is taken by pid {os.getpid()}" in taken.found) == ("warn", True)
    assert "the next one takes another port" in taken.found
    assert look().found == f"{port} is free, and 127.0.0.1:{port} leads to it"


def test_an_address_of_another_machine_cannot_be_listened_on():
    finding = ports.check_port("203.0.113.7", "203.0.113.7", 9090)

    assert finding.status == "fail"
    assert finding.found.startswith("cannot listen on 203.0.113.7:9090")


# -- certificates ----------------------------------------------------------------------------------------------


def test_credentials_and_their_dates(tmp_path):
    clock = ManualClock(SystemClock().now())
    make_credentials(tmp_path / "keys", ["head.example.org"], days=60, renew=False, clock=clock)

    good = certificates.check_bundles(tmp_path / "keys", clock, host="head.example.org")
    assert [finding.status for finding in good] == ["ok"] * 4
    assert "60 days" in good[0].found

    other = certificates.check_bundles(tmp_path / "keys", clock, host="other.example.org")
    assert [finding.check for finding in other if finding.status == "fail"] == ["names of the certificate"]

    clock.advance(40 * 86_400.0)
    (soon,) = certificates.check_credentials(tmp_path / "keys" / "worker", "worker", clock)
    assert soon.status == "warn"
    assert "--renew" in soon.remedy

    clock.advance(40 * 86_400.0)
    (late,) = certificates.check_credentials(tmp_path / "keys", "admin", clock)
    assert late.status == "fail"
    assert "has expired" in late.found


# -- clocks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skew_s", "uncertainty_s", "status", "part"),
    [
        (0.01, 0.01, "ok", "agree within 20 ms"),
        (-1.9, 0.0, "ok", "agree within 1.9 s"),
        (2.5, 1.0, "ok", "agree within 3.5 s"),
        (3600.0, 0.1, "warn", "60 min ahead of this machine"),
        (-90.0, 0.1, "warn", "90 s behind this machine"),
    ],
)
def test_clocks_that_differ(skew_s, uncertainty_s, status, part):
    finding = clocks.judge_skew("clock of the master", skew_s, "the master", uncertainty_s)

    assert finding.status == status
    assert part in finding.found


def test_the_clock_of_a_file_system_is_that_of_this_machine(tmp_path):
    assert abs(clocks.file_system_skew(tmp_path, SystemClock())) < clocks.MOST_SKEW_S
    behind = ManualClock(SystemClock().now() - 500.0)
    assert 400.0 < clocks.file_system_skew(tmp_path, behind) < 1500.0
    ahead = ManualClock(SystemClock().now() + 500.0)
    assert clocks.file_system_skew(tmp_path, ahead) < -400.0


def test_whether_the_clock_is_kept():
    assert clocks.is_synchronised() in {True, False, None}
    assert clocks.judge_synchronised(synchronised=True).status == "ok"
    assert clocks.judge_synchronised(synchronised=None).status == "ok"
    assert clocks.judge_synchronised(synchronised=False).status == "warn"


# -- file systems ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind", "is_network"),
    [
        ("/var/runs", "ext4", False),
        ("/home/ann/runs", "nfs4", True),
        ("/home/ann/scratch disk/x", "xfs", False),
        ("/mnt/x/y", "fuse.sshfs", True),
        ("/ntfs/x", "fuseblk", False),
        ("/run/x", "tmpfs", False),
    ],
)
def test_which_file_system_a_path_is_on(path, kind, is_network):
    mount = mount_of(Path(path), MOUNTS)

    assert mount is not None
    assert (mount.kind, mount.is_network) == (kind, is_network)


def test_the_start_of_a_run_warns_of_file_systems_that_machines_share(caplog):
    warn_of_disk(Path("/var/runs"), MOUNTS)
    assert caplog.text == ""
    warn_of_disk(Path("/home/ann/runs"), MOUNTS)
    assert "/home/ann/runs is on nfs4, a file system that machines share" in caplog.text


def test_the_real_file_systems_are_seen(tmp_path):
    # Other file systems are mounted in other places at each machine; that of the process table is at this one.
    assert mount_of(Path("/proc/self")).kind == "proc"
    assert mount_of(tmp_path) is not None
    assert mount_of(tmp_path, "nothing") is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "lustre", "gpfs", "beegfs", "ceph", "9p", "fuse.sshfs"])
def test_network_file_systems_are_refused_with_what_to_do_instead(kind):
    finding = run_folder.judge_mount(Path("/x/run"), Mount(Path("/x"), kind, "server:/x"))

    assert finding.status == "fail"
    assert "--nameserver" in finding.remedy
    assert "--run-dir" in finding.remedy


@pytest.mark.parametrize(("kind", "status"), [("ext4", "ok"), ("xfs", "ok"), ("tmpfs", "warn"), ("overlay", "warn")])
def test_other_file_systems(kind, status):
    assert run_folder.judge_mount(Path("/x/run"), Mount(Path("/x"), kind, "dev")).status == status


def test_a_journal_is_tried_and_nothing_is_left(tmp_path):
    trial = try_journal(tmp_path)

    assert trial.fault == ""
    assert trial.commit_s > 0
    assert list(tmp_path.iterdir()) == []


def in_a_process(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_disk_that_takes_no_journal_is_told(tmp_path):
    code = """
import resource, signal, sys
from pathlib import Path
from bohb_service.doctor.trial_journal import try_journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
print(try_journal(Path(sys.argv[1])).fault)
"""

    assert in_a_process(code, tmp_path).startswith("SQLite cannot write here: ")


@pytest.mark.parametrize(
    ("lock", "told"), [("fcntl.flock", "flock"), ("sqlite3.connect", "fcntl")], ids=["flock", "fcntl"]
)
def test_locks_that_do_not_hold_are_told(tmp_path, lock, told):
    """The locks are left out, as file systems do that accept them and do not keep them."""
    leave_out = {
        "fcntl.flock": "trial.fcntl.flock = lambda *_: None",
        "sqlite3.connect": """
connect = sqlite3.connect
class Unlocked(sqlite3.Connection):
    def execute(self, sql, *more):
        return super().execute("BEGIN" if sql == "BEGIN IMMEDIATE" else sql, *more)
trial.sqlite3.connect = lambda *a, **k: connect(*a, factory=Unlocked, **k)
""",
    }[lock]
    code = f"""
import fcntl, sqlite3, sys
from pathlib import Path
from types import SimpleNamespace
import bohb_service.doctor.trial_journal as trial
trial.fcntl = SimpleNamespace(flock=fcntl.flock, LOCK_EX=fcntl.LOCK_EX)
trial.sqlite3 = SimpleNamespace(connect=sqlite3.connect, Error=sqlite3.Error, Connection=sqlite3.Connection)
{leave_out}
print(trial.try_journal(Path(sys.argv[1])).fault)
"""

    assert f"({told})" in in_a_process(code, tmp_path)


def test_a_slow_disk_is_told():
    assert (
        run_folder.judge_trial(JournalTrial("", 0.5)).found
        == "safe, but each commit takes 500 ms, for which results wait"
    )
    assert run_folder.judge_trial(JournalTrial("", 0.001)).status == "ok"
    assert run_folder.judge_trial(JournalTrial("no locks")).status == "fail"


def test_a_run_directory_that_is_not_there_yet(tmp_path):
    findings = run_folder.check_run_directory(tmp_path / "runs" / "new", SystemClock())

    assert verdict(findings) != "fail"
    assert f"{tmp_path / 'runs' / 'new'}, to be made" in next(f.found for f in findings if f.check == "run directory")
    assert list(tmp_path.iterdir()) == []


def test_a_run_directory_that_is_there_is_not_said_to_be_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    findings = run_folder.check_run_directory(Path("run"), SystemClock())

    assert next(f.found for f in findings if f.check == "run directory") == "run: can be written"


def test_a_run_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    findings = run_folder.check_run_directory(tmp_path / "file" / "run", SystemClock())

    assert [f.status for f in findings if f.check == "run directory"] == ["fail"]


def test_the_journal_that_is_there_is_checked(tmp_path):
    directory = RunDirectory(tmp_path)
    assert run_folder.check_journal(directory) == []
    SqliteJournal.create(directory.journal, {"version": "0.0.9"}).close()
    assert "begun by version 0.0.9" in run_folder.check_journal(directory)[0].found

    directory.journal.write_bytes(b"x" * 5000)
    damaged = list(examine([("journal", lambda: run_folder.check_run_directory(tmp_path, SystemClock()))]))
    assert damaged[-1].status == "fail"
    assert "is damaged" in damaged[-1].found


# -- versions --------------------------------------------------------------------------------------------------


def test_versions_of_both_sides():
    assert VERSION in versions.judge_own().found
    assert versions.judge_other("the master", VERSION, PROTOCOL_VERSION).status == "ok"
    assert versions.judge_other("the master", "9.9", PROTOCOL_VERSION).status == "warn"
    assert versions.judge_other("the master", VERSION, PROTOCOL_VERSION + 1).status == "fail"
    assert versions.judge_workers("1.0", []).status == versions.judge_workers("1.0", ["1.0"]).status == "ok"
    mixed = versions.judge_workers("1.0", ["1.0", "0.9", "0.9"])
    assert (mixed.status, mixed.found) == ("warn", "3 there, 2 of 0.9; the master's is 1.0")


# -- GPUs ------------------------------------------------------------------------------------------------------


def test_gpus_and_which_of_them_are_seen():
    assert gpus.judge_gpus(GpuReading(), None) == [Finding.ok("GPUs", "none")]
    (listed,) = gpus.judge_gpus(GPUS, None)
    assert "2 with driver 555.1: A, 16.0 GiB, GPU-aa; B, 32.0 GiB, GPU-bb" in listed.found
    assert [f.status for f in gpus.judge_gpus(GPUS, None, "2.13.0+cpu")] == ["ok", "warn"]
    assert [f.status for f in gpus.judge_gpus(GPUS, None, "2.13.0+cu128")] == ["ok"]
    (hidden,) = gpus.judge_gpus(GpuReading(problem="the library nvidia-ml-py is not installed"), None)
    assert hidden.remedy == "pip install 'bohb-service[gpu]'"


@pytest.mark.parametrize(
    ("visible", "status"),
    [
        ("0,1", "ok"),
        ("GPU-bb", "ok"),
        ("GPU-a", "ok"),
        ("MIG-x", "fail"),
        ("MIG-GPU-aa/1/0", "ok"),
        ("GPU-", "fail"),
        ("", "warn"),
        ("NoDevFiles", "warn"),
        ("-1", "warn"),
        ("0,2", "fail"),
        ("GPU-c", "fail"),
        ("nonsense", "fail"),
    ],
)
def test_the_variable_that_hides_gpus(visible, status):
    assert gpus.judge_visible(visible, GPUS).status == status


@pytest.mark.parametrize(
    ("visible", "n_gpus"), [("0,GPU-x", 2), ("MIG-x,MIG-y", 1), ("nonsense", 0), ("0,nonsense,1", 1)]
)
def test_where_no_gpu_is_found_the_doctor_says_what_workers_believe(visible, n_gpus, monkeypatch):
    monkeypatch.setenv(VISIBLE, visible)
    none, told = gpus.judge_gpus(GpuReading(), visible)

    assert none == Finding.ok("GPUs", "none")
    assert told.status == ("fail" if "nonsense" in visible else "warn")
    assert f" {n_gpus} GPUs" in told.found
    if not read_gpus().gpus:
        assert own_labels({})["gpu"] == n_gpus


def test_device_files_without_a_driver_are_told(tmp_path):
    if read_gpus().gpus:
        pytest.skip("there are real GPUs here")
    assert read_gpus(tmp_path) == GpuReading()
    (tmp_path / "nvidia0").touch()
    assert read_gpus(tmp_path).problem


# -- limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("soft", "hard", "status", "part"),
    [
        (1024, 1 << 20, "ok", "65536, so room for 16384"),
        (1024, 1024, "warn", "1024, so room for 448"),
        (1500, 1500, "ok", "1500, so room for 686"),
        (256, 256, "fail", "256, too few to serve anybody"),
        (-1, -1, "ok", "65536"),
    ],
)
def test_for_how_many_connections_a_master_has_room(soft, hard, status, part):
    finding = limits.judge_open_files(soft, hard)

    assert finding.status == status
    assert part in finding.found


def test_open_files_of_a_worker():
    assert [limits.judge_worker_files(soft, 4096).status for soft in (64, 1024, -1)] == ["warn", "ok", "ok"]


@pytest.mark.parametrize(
    ("available_mib", "limit_mb", "status"),
    [(8000, None, "ok"), (8000, 9000, "warn"), (200, None, "warn"), (50, 10, "fail")],
)
def test_memory(available_mib, limit_mb, status):
    assert limits.judge_memory(limits.Memory(available_mib << 20), limits.WORKER_BYTES, limit_mb).status == status


def test_memory_is_that_of_the_tightest_control_group(tmp_path):
    own, root = tmp_path / "cgroup", tmp_path / "groups"
    inner = root / "slurm" / "job_1"
    inner.mkdir(parents=True)
    own.write_text("0::/slurm/job_1\n")
    for folder, most in ((inner, "max"), (root / "slurm", str(100 << 20))):
        (folder / "memory.max").write_text(most)
        (folder / "memory.current").write_text(str(40 << 20))

    assert limits.memory(memory_groups(root, own)) == limits.Memory(60 << 20, f"control group {root / 'slurm'}")

    own.write_text("5:cpu,memory:/slurm\n4:cpu:/\n")
    old = root / "memory" / "slurm"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text(str(70 << 20))
    (old / "memory.usage_in_bytes").write_text(str(60 << 20))
    assert limits.memory(memory_groups(root, own)) == limits.Memory(10 << 20, f"control group {old}")
    assert limits.memory(memory_groups(root, tmp_path / "absent")).limited_by == "this machine"


def test_cores_are_those_that_the_tightest_control_group_allows(tmp_path, monkeypatch):
    own, root = tmp_path / "cgroup", tmp_path / "groups"
    pod = root / "pods" / "one"
    pod.mkdir(parents=True)
    own.write_text("0::/pods/one\n")
    monkeypatch.setattr(labels, "cpu_groups", lambda: cpu_groups(root, own))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    told = []
    for quota in ("max 100000", "250000 100000", "20000 100000", "9900000 100000", "broken"):
        (pod / "cpu.max").write_text(f"{quota}\n")
        told.append(labels.own_cores())
    assert told == [64, 2, 1, 64, 64]
    (root / "pods" / "cpu.max").write_text("800000 100000\n")
    assert labels.own_cores() == 8

    own.write_text("4:cpu,cpuacct:/pods\n5:memory:/pods\n")
    old = root / "cpu" / "pods"
    old.mkdir(parents=True)
    (old / "cpu.cfs_period_us").write_text("50000\n")
    for quota in (-1, 150000):
        (old / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        told.append(labels.own_cores())
    assert told[-2:] == [64, 3]


def test_cores():
    assert "OMP_NUM_THREADS is not set" in limits.judge_cores(8, None).found
    assert limits.judge_cores(8, "2").found == "8; OMP_NUM_THREADS=2"
    assert limits.judge_cores(1, None).found == "1"


def test_a_limit_of_address_space_is_told():
    code = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
from bohb_service.doctor.limits import check_limits
print([finding.found for finding in check_limits(serves=False) if finding.check == "address space"])
"""
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        pytest.skip("it is limited here already")

    assert "limited to 16.0 GiB" in in_a_process(code)


# -- wording ---------------------------------------------------------------------------------------------------


def test_figures_are_put_for_people():
    assert [span(s) for s in (0.0, 0.02, 1.5, 42, 300, 7300, 400_000)] == [
        "1 ms",
        "20 ms",
        "1.5 s",
        "42 s",
        "5.0 min",
        "2.0 h",
        "5 days",
    ]
    assert [size(n) for n in (3 << 20, 1 << 30, 25 << 29)] == ["3 MiB", "1.0 GiB", "12.5 GiB"]
