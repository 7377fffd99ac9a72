import contextlib
import gc
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bohb_service.errors import JournalCorruptError, JournalError, JournalWriteError, RunLockedError
from bohb_service.journal.codec import decode_event, decode_events, encode_event
from bohb_service.journal.memory import MemoryJournal
from bohb_service.journal.replay import replay
from bohb_service.journal.run_directory import MasterAddress, RunDirectory
from bohb_service.journal.sqlite import APPLICATION_ID, SqliteJournal
from bohb_service.scheduler.events import StudyStopped
from bohb_service.testing.journal_conformance import ONE_OF_EACH, JournalConformance


class TestMemoryJournal(JournalConformance):
    def make(self):
        return MemoryJournal()


class TestSqliteJournal(JournalConformance):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path):
        self.path = tmp_path / "journal.sqlite"
        self.journals = []
        yield
        for journal in self.journals:
            journal.close()

    def make(self):
        self.journals.append(SqliteJournal.create(self.path, {"study": "{}"}))
        return self.journals[-1]

    def test_it_is_all_there_when_opened_again(self):
        self.make().append([(1.0, event) for event in ONE_OF_EACH])
        again = SqliteJournal.open(self.path)
        again.append([(2.0, StudyStopped("more"))])
        assert len(list(again.read())) == len(ONE_OF_EACH) + 1
        assert again.meta == {"study": "{}"}
        again.close()

    def test_a_reader_sees_what_a_live_writer_committed(self):
        writer = self.make()
        reader = SqliteJournal.open(self.path, read_only=True)
        writer.append([(1.0, StudyStopped("a"))])
        assert [record.seq for record in reader.read()] == [1]
        with pytest.raises(JournalWriteError):
            reader.append([(1.0, StudyStopped("b"))])
        reader.close()

    def test_create_never_overwrites(self):
        self.make()
        with pytest.raises(JournalError, match="exists already"):
            self.make()

    def test_commits_are_synced(self):
        journal = self.make()
        assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert journal._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_a_failed_append_leaves_nothing_behind(self):
        journal = self.make()
        journal.append([(1.0, StudyStopped("a"))])
        journal._connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(JournalWriteError, match="nothing that was acknowledged is lost"):
            journal.append([(1.0, StudyStopped("b" * 100_000))])
        assert [record.seq for record in journal.read()] == [1]

    def test_it_is_marked_as_ours(self):
        journal = self.make()
        assert journal._connection.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"BOHB"),)
        assert journal._connection.execute("PRAGMA user_version").fetchone() == (1,)

    def test_what_a_kill_left_half_made_is_no_obstacle(self):
        draft = self.path.with_name("journal.sqlite.new")
        draft.write_bytes(b"SQLite format 3\0 and then the power went")
        assert list(self.make().read()) == []
        assert not draft.exists()

    def test_a_reader_that_came_first_sees_what_is_written_later(self):
        self.make().close()
        reader = SqliteJournal.open(self.path, read_only=True)
        writer = SqliteJournal.open(self.path)
        writer.append([(1.0, StudyStopped("a"))])
        assert [record.seq for record in reader.read()] == [1]
        reader.close()
        writer.close()

    def test_in_a_folder_that_is_not_ours_a_reader_leaves_no_files_and_sees_a_live_writer(self, monkeypatch):
        monkeypatch.setattr(os, "access", lambda *_: False)
        writer = self.make()
        writer.append([(1.0, StudyStopped("a"))])
        reader = SqliteJournal.open(self.path, read_only=True)
        assert [record.seq for record in reader.read()] == [1]
        reader.close()
        writer.close()
        reader = SqliteJournal.open(self.path, read_only=True)
        assert [record.seq for record in reader.read()] == [1]
        assert [file.name for file in self.path.parent.iterdir()] == [self.path.name]
        reader.close()
        writer = SqliteJournal.open(self.path)
        writer.append([(2.0, StudyStopped("b"))])
        assert [record.seq for record in writer.read()] == [1, 2]
        writer.close()

    def test_damage_that_comes_to_light_while_reading_is_told(self):
        journal = self.make()
        journal._connection.execute("DROP TABLE events")
        with pytest.raises(JournalCorruptError, match=r"journal\.sqlite is damaged"):
            list(journal.read())

    def test_a_place_that_cannot_be_written_is_said_so(self):
        with pytest.raises(JournalWriteError, match="check permissions and free space"):
            SqliteJournal.create(self.path.parent / "nowhere" / "journal.sqlite", {})


HOLDER = """
import sys
from pathlib import Path
from bohb_service.journal.run_directory import RunDirectory
with RunDirectory(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_journal_that_was_removed_under_its_writer_takes_nothing_more(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal.create(path, {})
    journal.append([(1.0, StudyStopped("a"))])
    path.unlink()
    with pytest.raises(JournalWriteError, match="removed or replaced"):
        journal.append([(1.0, StudyStopped("b"))])
    journal.close()


def _expect_untouched(path: Path, match: str) -> None:
    before = path.read_bytes()
    for read_only in (True, False):
        with pytest.raises(JournalCorruptError, match=match):
            SqliteJournal.open(path, read_only=read_only)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal.sqlite"
    path.write_text("these are my notes, not a journal\n" * 50)
    _expect_untouched(path, "no journal")


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (x)")
    connection.close()
    _expect_untouched(path, "another program")


def test_a_newer_format_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    _expect_untouched(path, "format 99")


def test_a_damaged_page_is_noticed(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal.create(path, {})
    journal.append([(1.0, StudyStopped("x" * 500)) for _ in range(200)])
    journal.close()
    data = bytearray(path.read_bytes())
    data[8192:12288] = bytes(4096)
    path.write_bytes(data)
    with pytest.raises(JournalCorruptError):
        list(SqliteJournal.open(path).read())


def test_a_missing_record_is_noticed(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal.create(path, {})
    journal.append([(1.0, StudyStopped(str(i))) for i in range(5)])
    journal._connection.execute("DELETE FROM events WHERE seq = 3")
    with pytest.raises(JournalCorruptError, match="lacks record 3"):
        list(journal.read())
    journal.close()


@pytest.mark.parametrize(
    ("kind", "text"),
    [("Unheard", "{}"), ("StudyStopped", "{}"), ("StudyStopped", "not json"), ("TrialCompleted", '{"trial": "x.y"}')],
)
def test_an_event_that_cannot_be_read_is_named(kind, text):
    with pytest.raises(JournalCorruptError, match=re.escape(kind)):
        decode_event(kind, text)


def test_events_are_the_same_together_as_one_by_one():
    rows = [encode_event(event) for event in ONE_OF_EACH]
    assert list(decode_events(rows)) == [decode_event(*row) for row in rows] == list(ONE_OF_EACH)
    assert list(decode_events([])) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("Unheard", "{}"),
        ("StudyStopped", "{}"),
        ("StudyStopped", "not json"),
        ("StudyStopped", "[1]"),
        ("StudyReopened", "{},{}"),
        ("StudyReopened", ""),
        ("TrialCompleted", '{"trial": "x.y"}'),
        ("TrialLeased", '{"trial":"0.0","bracket":0,"budget":1,"lease":0,"attempt":1,"worker":7}'),
    ],
)
def test_an_event_among_others_that_cannot_be_read_is_named_when_it_comes(kind, text):
    good = encode_event(StudyStopped("a"))
    events = decode_events([good, good, (kind, text), good])
    assert [next(events), next(events)] == [StudyStopped("a")] * 2
    with pytest.raises(JournalCorruptError, match=re.escape(kind)):
        next(events)


def test_a_replay_tells_which_file_and_record_are_wrong_and_collects_again(tmp_path):
    journal = SqliteJournal.create(tmp_path / "journal.sqlite", {})
    journal.append([(1.0, StudyStopped("a")), (2.0, StudyStopped("b"))])
    seen = []
    replay(journal, lambda record: seen.append((record.seq, gc.isenabled())))
    assert seen == [(1, False), (2, False)]
    assert gc.isenabled()

    def refuse(_record):
        raise KeyError("no")

    with pytest.raises(JournalCorruptError, match=r"journal\.sqlite: record 1 contradicts"):
        replay(journal, refuse)
    journal._connection.execute("UPDATE events SET body = 'no json' WHERE seq = 2")
    with pytest.raises(JournalCorruptError, match=r"journal\.sqlite: .*cannot read: StudyStopped 'no json'"):
        replay(journal, seen.append)
    assert gc.isenabled()
    journal.close()


def test_a_missing_journal_is_said_so(tmp_path):
    with pytest.raises(JournalError, match="no journal at"):
        SqliteJournal.open(tmp_path / "nothing.sqlite")


def test_somebody_else_who_writes_is_told(tmp_path):
    mine = SqliteJournal.create(tmp_path / "j.sqlite", {})
    other = SqliteJournal.open(tmp_path / "j.sqlite")
    other.append([(1.0, StudyStopped("loss"))])
    with pytest.raises(JournalWriteError, match=r"somebody else writes to .* end the other master"):
        mine.append([(2.0, StudyStopped("seconds"))])
    mine.close()
    other.close()


def test_what_cannot_be_a_journal_is_told(tmp_path):
    with pytest.raises(JournalError, match="is no file; it is left as it is"):
        SqliteJournal.open(tmp_path)
    (tmp_path / "empty.sqlite").touch()
    for read_only in (True, False):
        with pytest.raises(JournalCorruptError, match=r"empty\.sqlite is empty; it is left as it is"):
            SqliteJournal.open(tmp_path / "empty.sqlite", read_only=read_only)
    assert (tmp_path / "empty.sqlite").stat().st_size == 0


def test_only_one_process_serves_a_run_and_death_frees_it(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.prepare()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HOLDER,
            str(directory.path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunLockedError, match=rf"pid {holder.pid} on "), directory.locked():
            pass
        (directory.path / "master.lock").unlink()
        with pytest.raises(RunLockedError, match="is served by another master"), directory.locked():
            pass
        holder.kill()
    with directory.locked():
        pass


def test_the_address_is_told_and_withdrawn(tmp_path):
    directory = RunDirectory(tmp_path)
    assert directory.read_address() is None
    address = MasterAddress("127.0.0.1", 4711, "s", "identity", 1, "head", "127.0.0.1")
    directory.write_address(address)
    assert directory.read_address() == address
    directory.address_file.write_text("{half")
    assert directory.read_address() is None
    directory.remove_address()
    directory.remove_address()
    directory.address_file.mkdir()
    with pytest.raises(JournalWriteError, match=r"cannot write .*master\.json"):
        directory.remove_address()


def test_an_unusable_run_directory_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="choose another"):
        RunDirectory(tmp_path / "file" / "run").prepare()


def test_a_log_without_its_journal_is_told_not_taken_over(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal.create(path, {"study": "old"})
    journal.append([(1.0, StudyStopped("a"))])
    path.rename(tmp_path / "moved")
    with pytest.raises(JournalError, match=r"journal\.sqlite-wal is there without its journal"):
        SqliteJournal.create(path, {"study": "new"})
    journal.close()


def test_a_damaged_journal_and_its_log_are_left_as_they_are(tmp_path):
    path, log = tmp_path / "journal.sqlite", tmp_path / "journal.sqlite-wal"
    journal = SqliteJournal.create(path, {"study": "s"})
    journal.append([(float(n), StudyStopped("x" * 500)) for n in range(200)])
    older = path.read_bytes()  # without what is in the log only
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
    journal.append([(float(n), StudyStopped("y" * 500)) for n in range(300)])
    kept = log.read_bytes()
    journal.close()
    path.write_bytes(older)
    log.write_bytes(kept)
    with pytest.raises(JournalError, match=r"journal\.sqlite"):
        SqliteJournal.open(path)
    assert (path.read_bytes(), log.read_bytes()) == (older, kept)
