import errno
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pytest

from bohb_service.errors import StudyError
from bohb_service.workers.common.folders import check_folder_option
from bohb_service.workers.common.restored import restored
from bohb_service.workers.common.sealed import SealedKind
from tests.sealing import facts_of, sealed_again

THING = SealedKind("thing", "thing.json", 3)
REMEDY = "copy the whole folder of the thing again from where it was saved, or train it again"


def save(path, content=b"weights" * 9):
    def fill(folder):
        (folder / "part").mkdir()
        (folder / "part" / "weights.bin").write_bytes(content)
        (folder / "steps.bin").write_bytes(b"steps")
        return {"rate": 0.1, "names": ["ä", "b"]}

    THING.save(path, fill)
    return path


def load(path):
    return THING.load(path, lambda facts: (facts["rate"], facts["names"], (path / "part/weights.bin").read_bytes()))


def damaged(message):
    return pytest.raises(StudyError, match=f"{message}.*{REMEDY}")


# Damage


def test_what_was_saved_is_read(tmp_path):
    assert load(save(tmp_path / "a")) == (0.1, ["ä", "b"], b"weights" * 9)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b" / "of a file manager").write_text("beside")
    assert load(tmp_path / "b") == load(tmp_path / "a")


def test_each_flipped_bit_of_each_file_is_noticed(tmp_path):
    folder = save(tmp_path / "a")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"thing.json", "weights.bin", "steps.bin"}
    for path in files:
        whole = path.read_bytes()
        for at in range(len(whole)):
            for bit in range(8):
                path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
                with pytest.raises(StudyError, match=rf"{path.name}: .*(copy the whole folder|another version)"):
                    load(folder)
        path.write_bytes(whole)
    load(folder)


@pytest.mark.parametrize("name", ["thing.json", "steps.bin", "part/weights.bin"])
def test_files_that_are_shorter_longer_swapped_or_gone_are_told(tmp_path, name):
    folder = save(tmp_path / "a")
    path, whole = folder / name, (folder / name).read_bytes()
    for content in (b"", whole[:-1], whole[: len(whole) // 2], whole + b"\0", whole + whole, whole[::-1]):
        path.write_bytes(content)
        with damaged(path.name):
            load(folder)
    other = folder / ("steps.bin" if name != "steps.bin" else "part/weights.bin")
    path.write_bytes(other.read_bytes())
    with damaged(path.name):
        load(folder)
    path.unlink()
    with pytest.raises(StudyError, match=rf"{path.name}: is missing.*{REMEDY}|there is no thing; a study with `refit"):
        load(folder)
    path.mkdir()
    with damaged(path.name):
        load(folder)


def test_a_file_of_another_folder_is_noticed(tmp_path):
    one, other = save(tmp_path / "a"), save(tmp_path / "b", b"others")
    shutil.copy(other / "part" / "weights.bin", one / "part")
    with damaged("weights.bin: was changed since it was saved: thing.json has another SHA-256 of it"):
        load(one)


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": 2}', '{"format": 1, "facts": {}}'])
def test_folders_of_other_versions_are_refused(tmp_path, content):
    (tmp_path / "thing.json").write_text(content)
    with pytest.raises(StudyError, match=r"thing.json: the thing was saved by another version .*; train it again"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["", "{", '{"format": 3}', '{"format": 3, "sha256": "\\ud800"}', "[" * 10**5])
def test_json_files_of_no_sense_are_told(tmp_path, content):
    (tmp_path / "thing.json").write_text(content)
    with damaged("thing.json"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["../mine", "/etc/passwd", "part/../../mine"])
def test_files_outside_of_the_folder_are_not_looked_at(tmp_path, name):
    (tmp_path / "mine").write_text("mine")
    folder = save(tmp_path / "a")
    path = folder / "thing.json"
    data = json.loads(path.read_text())
    sealed_again(folder, THING, files={**data["files"], name: "0" * 64})
    with damaged(f"thing.json: lists '{name}', which is not inside of the folder"):
        load(folder)


@pytest.mark.parametrize("files", [[], None, {"steps.bin": 5}, {"steps.bin/x": ""}, {"x" * 300: ""}])
def test_digests_of_no_sense_are_told(tmp_path, files):
    folder = save(tmp_path / "a")
    sealed_again(folder, THING, files=files)
    with damaged("a/"):
        load(folder)


def test_what_cannot_be_made_of_a_whole_folder_is_told(tmp_path):
    folder = save(tmp_path / "a")

    def fail(error):
        raise error

    with damaged(r"a: the thing cannot be read \(KeyError: 'x'\)"):
        THING.load(folder, lambda _: fail(KeyError("x")))
    for error in (StudyError("mine"), ImportError("mine"), MemoryError("mine")):
        with pytest.raises(type(error), match="mine"):
            THING.load(folder, lambda _, error=error: fail(error))


def test_facts_may_hold_what_looks_like_a_digest(tmp_path):
    folder = save(tmp_path / "a")
    digest = json.loads((folder / "thing.json").read_text())["sha256"]
    sealed_again(folder, THING, rate="0" * 64, names=[digest])
    assert load(folder)[:2] == ("0" * 64, [digest])
    assert facts_of(folder, THING) == {"rate": "0" * 64, "names": [digest]}


# Dataclasses from JSON values


@dataclass(frozen=True)
class Inner:
    count: int
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    inner: Inner
    rate: float
    is_on: bool
    levels: tuple[str, ...] | None
    labels: tuple[bool | int | float | str, ...] = ()
    many: tuple[Inner, ...] = ()


OUTER = Outer(Inner(3, "b"), 0.5, is_on=True, levels=("x", "\ud800"), labels=(True, 1, 1.5, "1"), many=(Inner(1),))


def test_a_dataclass_comes_back_from_json():
    data = json.loads(json.dumps(asdict(OUTER)))
    found = restored(Outer, data)
    assert found == OUTER
    assert [type(label) for label in found.labels] == [bool, int, float, str]
    assert restored(Outer, {**data, "levels": None, "rate": 2}) == Outer(
        OUTER.inner, 2.0, OUTER.is_on, None, OUTER.labels, OUTER.many
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"inner": {"count": 3}},
        {"inner": {"count": 3, "kind": "c"}},
        {"inner": {"count": 3, "kind": "a", "more": 1}},
        {"inner": {"count": True, "kind": "a"}},
        {"inner": {"count": 3.0, "kind": "a"}},
        {"inner": {"count": 3, "kind": ["a"]}},
        {"inner": [3, "a"]},
        {"rate": "0.5"},
        {"rate": True},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"rate": None},
        {"is_on": 1},
        {"levels": "xy"},
        {"levels": ["x", 1]},
        {"levels": {"x": 1}},
        {"labels": [None]},
        {"labels": [[1]]},
        {"many": [1]},
        {"unknown": 1},
    ],
)
def test_values_that_no_dataclass_has_are_refused(wrong):
    data = json.loads(json.dumps(asdict(OUTER)))
    with pytest.raises(ValueError, match=r"^(Inner|Outer)(\.\w+)?: "):
        restored(Outer, {**data, **wrong})
    for name in wrong:
        data.pop(name, None)
        with pytest.raises(ValueError, match="Outer: must have the names inner, rate"):
            restored(Outer, data if name in OUTER.__dataclass_fields__ else {**data, name: 1})


# Folders that an option names


@pytest.fixture
def place():
    """A folder that all users may look into, with what may be in the way."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "file").write_text("mine")
    (folder / "empty").mkdir()
    (folder / "work").mkdir()
    (folder / "work" / "thesis.txt").write_text("years")
    save(folder / "saved")
    (folder / "nowhere").symlink_to(folder / "not there")
    (folder / "link").symlink_to(folder / "saved")
    (folder / "loop").symlink_to(folder / "loop")
    yield folder
    shutil.rmtree(folder)


def look(folder):
    return {path: path.lstat().st_mtime_ns if path.is_file() else None for path in folder.rglob("*")}


GOOD = (
    "new",
    "new/er/est",
    "empty",
    "empty/new",
    "saved",
    "saved/new",
    "link",
    "link/new",
    "new/../other",
    "new/../saved",
    "x" * 200,
)
BAD = {
    "file": "something else is there, without a thing.json; it is not replaced",
    "work": "something else is there",
    "": "something else is there",
    "new/../work": "something else is there",
    "nowhere": "something else is there",
    "nowhere/new": "nowhere is no folder|File exists",
    "loop/new": "loop",
    "file/new": "file is no folder; name a folder elsewhere",
    "file/new/er": "file is no folder",
    "x" * 250: "cannot be written here .File name too long.; name a folder elsewhere",
    "new/" + "x" * 300: "cannot be written here .File name too long.",
    "nul\0": "cannot be written here .*null",
    "/proc/self/new": "cannot be written here",
    "/dev/null/new": "/dev/null is no folder",
    "/proc": "something else is there",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_folder_that_can_be_saved_is_not_refused_and_not_made(place, name):
    before = look(place)
    check_folder_option("model", str(place / name), "thing.json")
    assert look(place) == before
    assert load(save(place / name))


@pytest.mark.parametrize("name", BAD)
def test_a_folder_that_cannot_be_saved_is_refused_and_named(place, name):
    before = look(place)
    with pytest.raises(StudyError, match=f"^worker_options.model: .*({BAD[name]})"):
        check_folder_option("model", str(place / name), "thing.json")
    assert look(place) == before
    with pytest.raises((StudyError, OSError, ValueError, RuntimeError)):
        save(place / name)


def test_relative_folders_and_none(place, monkeypatch):
    monkeypatch.chdir(place / "work")
    before = look(place)
    check_folder_option("model", None, "thing.json")
    check_folder_option("model", "new", "thing.json")
    check_folder_option("model", "../new", "thing.json")
    check_folder_option("model", "no/../../new", "thing.json")
    assert look(place) == before
    with pytest.raises(StudyError, match="something else is there"):
        check_folder_option("model", ".", "thing.json")


@contextmanager
def plain_user():
    """This process without the rights of root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_folders_that_this_user_may_not_write_are_refused(place):
    place.chmod(0o555)
    (place / "empty").chmod(0o777)
    try:
        with plain_user():
            for name in ("new", "new/er", "empty", "saved"):
                with pytest.raises(StudyError, match=r"(cannot be written here .Permission denied|this user may not)"):
                    check_folder_option("model", str(place / name), "thing.json")
                with pytest.raises((StudyError, PermissionError)):
                    save(place / name)
            check_folder_option("model", str(place / "empty" / "new"), "thing.json")
            save(place / "empty" / "new")
    finally:
        place.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make folders of other users")
@pytest.mark.parametrize(("mode", "own"), [(0o1777, 0o777), (0o777, 0o755)])
def test_folders_of_other_users_that_cannot_be_replaced_are_refused(place, mode, own):
    place.chmod(mode)
    (place / "saved").chmod(own)
    with plain_user():
        with pytest.raises(StudyError, match="saved: this user may not replace it"):
            check_folder_option("model", str(place / "saved"), "thing.json")
        assert THING.load(place / "saved", lambda facts: facts["rate"]) == 0.1
        check_folder_option("model", str(place / "new"), "thing.json")
        save(place / "new")


def test_mounted_file_systems_are_refused():
    with pytest.raises(StudyError, match="a file system is mounted there, so that it cannot be replaced"):
        check_folder_option("model", "/proc", "version")


def test_a_full_disk_is_told(place, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(StudyError, match=r"worker_options.model: .*new cannot be written here \(No space left"):
        check_folder_option("model", str(place / "new"), "thing.json")


def test_a_folder_is_replaced_whole(place):
    before = look(place)

    def fail(folder):
        (folder / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        THING.save(place / "saved", fail)
    assert look(place) == before
    assert load(place / "saved")


def test_what_is_seen_only_once_all_of_a_path_is_there_is_not_replaced(place):
    with pytest.raises(StudyError, match="something else is there"):
        save(place / "new" / ".." / "work")
    assert (place / "work" / "thesis.txt").read_text() == "years"
