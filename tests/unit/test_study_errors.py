"""Bad study files: one error that lists every mistake, in plain words, with its line."""

import re
import runpy
from pathlib import Path

import pytest

from bohb_service.errors import StudyError
from bohb_service.study import load_study, parse_study
from bohb_service.study.problems import show

BAD_STUDIES = runpy.run_path(str(Path(__file__).with_name("bad_studies.py")))["BAD_STUDIES"]

GOOD = "name: good\nworker: sklearn-mlp\nfidelity: {min: 1, max: 27}\n"


def mistakes(path):
    with pytest.raises(StudyError) as caught:
        load_study(path)
    lines = str(caught.value).split("\n")
    for line in lines:
        assert line.isprintable(), line
        assert not re.search(r"Input should|http|pydantic|type=|\bNone\b|valid dictionary", line), line
        assert not re.search(r"[^ ]{130}", line.replace(str(path), "").replace(str(path.parent), "")), line
        assert ";" in line, f"no advice: {line}"
    return lines


def write(tmp_path, text, name="study.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("bad", BAD_STUDIES, ids=lambda bad: bad.id)
def test_bad_study(tmp_path, bad):
    path = tmp_path / bad.file
    path.write_bytes(bad.text if isinstance(bad.text, bytes) else bad.text.encode())
    place = str(path) if bad.line is None else f"{path}:{bad.line}"
    prefix = f"{place}: {bad.path}: " if bad.path else f"{place}: "
    found = [line for line in mistakes(path) if line.startswith(prefix) and bad.phrase in line]
    assert len(found) == 1, mistakes(path)


def test_bad_studies_have_different_names():
    assert len({bad.id for bad in BAD_STUDIES}) == len(BAD_STUDIES) >= 30


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path):
    text = (
        "seed: -1\nname: 'a b'\nworker: train.py:Net\nfidelity:\n  min: '1'\n  max: .inf\n  step: 3\n"
        "method: {name: hyperband, density: own, eta: 0}\nstop: {loss: low}\nseed: 2\n"
        "initial: [1]\nspace: nowhere.json\n"
    )
    path = write(tmp_path, text)
    places = [line.removeprefix(f"{path}:").split(": ")[:2] for line in mistakes(path)]
    assert places == [
        ["1", "seed"],
        ["2", "name"],
        ["3", "worker"],
        ["5", "fidelity.min"],
        ["6", "fidelity.max"],
        ["7", "fidelity.step"],
        ["8", "method.eta"],
        ["8", "method.density"],
        ["9", "stop.loss"],
        ["10", "seed"],
        ["11", "initial[0]"],
        ["12", "space"],
    ]


def test_one_mistake_is_one_line(tmp_path):
    # What follows from a mistake, such as a range check against a value that is none, is not told.
    assert len(mistakes(write(tmp_path, GOOD.replace("min: 1", "min: .nan")))) == 1
    assert len(mistakes(write(tmp_path, GOOD.replace("min: 1", "min: abc")))) == 1
    assert len(mistakes(write(tmp_path, f"{GOOD}seed: {'9' * 5000}\n"))) == 1
    assert len(mistakes(write(tmp_path, GOOD + "fidelity: !mine {}\n"))) == 1
    assert len(mistakes(write(tmp_path, GOOD + "method: {name: x, num_samples: 3}\n"))) == 1
    assert len(mistakes(write(tmp_path, GOOD + "worker_options: {1: {2: 3}}\n"))) == 2


def test_a_flood_of_mistakes_is_cut(tmp_path):
    path = write(tmp_path, GOOD + "initial:\n" + "- 1\n" * 300)
    lines = mistakes(path)
    assert len(lines) == 51
    assert lines[-1] == f"{path}: and 250 more mistakes like these; mend the first ones"


def test_long_values_are_cut(tmp_path):
    for value in ("x" * 5000, "[" + "1, " * 5000 + "]", "{" + ", ".join(f"k{i}: {i}" for i in range(500)) + "}"):
        (line,) = mistakes(write(tmp_path, f"{GOOD}seed: {value}\n"))
        assert "…" in line
        assert len(line) < len(str(tmp_path)) + 200


def test_missing_file_and_directory(tmp_path):
    assert mistakes(tmp_path / "none.yaml") == [f"{tmp_path / 'none.yaml'}: does not exist; check the path"]
    assert mistakes(tmp_path / "none") == [f"{tmp_path / 'none'}: does not exist; check the path"]
    (tmp_path / "dir.yaml").mkdir()
    assert mistakes(tmp_path / "dir.yaml") == [f"{tmp_path / 'dir.yaml'}: is a directory; give the path of a file"]
    assert mistakes(tmp_path / ("n" * 400 + ".yaml"))[0].endswith(
        "cannot be read (File name too long); check the path and its permissions"
    )


def test_unreadable_file(tmp_path):
    path = tmp_path / "loop.yaml"
    path.symlink_to(path)
    (line,) = mistakes(path)
    assert "cannot be read (" in line


def test_too_many_values_by_references(tmp_path):
    bomb = "".join(f"  k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 9 if i else ['1'] * 9)}]\n" for i in range(9))
    (line,) = mistakes(write(tmp_path, f"{GOOD}worker_options:\n{bomb}"))
    assert "more than 200000 values, references included" in line


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("space.yaml", "a: 1\na: 2\n", "space.yaml:2: a: given twice, first on line 1; remove one of them"),
        (
            "space.yaml",
            "a: [1\n",
            "space.yaml:2: not valid YAML: a bracket is not closed, or a ',' is missing; add it",
        ),
        ("space.yaml", "x:\n  lower: .nan\n", "space.yaml:2: x.lower: NaN is not a number; write a finite number"),
        (
            "space.yaml",
            "- 1\n",
            "space.yaml:1: must hold a mapping, but the file holds a list; write a ConfigSpace file",
        ),
        ("space.yml", "", "space.yml:1: must hold a mapping, but the file holds nothing; write a ConfigSpace file"),
        ("space.json", '{"a": 1, "b": 1, "a": 2}', "space.json: the key 'a' is given twice; remove one of them"),
        (
            "space.json",
            '{\n"a" 1}',
            "space.json:2: not valid JSON: Expecting ':' delimiter; check commas, quotes and brackets",
        ),
        (
            "space.json",
            '{"a": Infinity}',
            "space.json: a: Infinity is infinite (or too large for a number); write a finite number",
        ),
        ("space.json", '{"a": ' + "9" * 5000 + "}", "space.json: a number of too many digits; write a shorter one"),
        ("space.json", "[" * 100_000, "space.json: nested too deeply; write fewer levels of lists and mappings"),
    ],
)
def test_mistakes_in_the_space_file_are_told_with_its_name(tmp_path, name, text, expected):
    write(tmp_path, text, name)
    lines = mistakes(write(tmp_path, f"{GOOD}space: {name}\nseed: -1\n"))
    assert len(lines) == 2
    assert lines[1] == f"{tmp_path.resolve()}/{expected}"


def test_keys_of_the_space_file_are_not_mistaken_for_keys_of_the_study(tmp_path):
    space = write(tmp_path, "seed: .nan\nname: .inf\n", "space.yaml")
    path = write(tmp_path, "worker: w\nfidelity: {min: 1, max: 2}\nspace: space.yaml\nseed: x\n")
    first, second, *others = mistakes(path)
    assert first.startswith(f"{path}:4: seed: must be a whole number, but 'x' is text")
    assert second.startswith(f"{path}: name: is missing")
    assert [line.split(": ")[:2] for line in others] == [
        [f"{space.resolve()}:1", "seed"],
        [f"{space.resolve()}:2", "name"],
    ]


def test_whole_numbers_end_at_64_bits(tmp_path):
    (line,) = mistakes(write(tmp_path, f"{GOOD}worker_options: {{a: {2**64}}}\n"))
    assert "does not fit into 64 bits" in line
    (line,) = mistakes(write(tmp_path, f"{GOOD}worker_options: {{a: {-(2**63) - 1}}}\n"))
    assert "does not fit into 64 bits" in line
    fitting = {"a": 2**64 - 1, "b": -(2**63)}
    assert load_study(write(tmp_path, f"{GOOD}worker_options: {fitting}\n")).worker_options == fitting


def test_fifty_levels_are_allowed(tmp_path):
    levels = "[" * 48 + "]" * 48
    assert load_study(write(tmp_path, f"{GOOD}worker_options: {{a: [{levels}]}}\n"))
    (line,) = mistakes(write(tmp_path, f"{GOOD}worker_options: {{a: [[[{levels}]]]}}\n"))
    assert "nested more than 50 levels deep" in line


def test_impossible_paths_do_not_exist(tmp_path):
    for name in ("n" * 5000, '"\\0"'):
        lines = mistakes(write(tmp_path, f"{GOOD}warm_start: [{name}]\n"))
        assert len(lines) == 1
        assert "does not exist" in lines[0]


def test_end_of_a_long_path_is_shown(tmp_path):
    (line,) = mistakes(write(tmp_path, f"{GOOD}space: {'d/' * 60}space.yaml\n"))
    assert "d/d/d/space.yaml' does not exist; check the path" in line


def test_mapping_from_python(tmp_path):
    data = {"name": "n", "worker": "w", "fidelity": {"min": 1, "max": 2}, "worker_options": {"a": {1, 2}, "b": 3j}}
    with pytest.raises(StudyError) as caught:
        parse_study(data, base=tmp_path, source="my study")
    advice = "write a number, text, a list or a mapping (a date is text: put it in quotes)"
    assert str(caught.value).split("\n") == [
        f"my study: worker_options.a: {{1, 2}} is of type set; {advice}",
        f"my study: worker_options.b: 3j is of type complex; {advice}",
    ]


def test_python_data_that_contains_itself(tmp_path):
    loop = []
    loop.extend([loop, loop])
    data = {"name": "n", "worker": "w", "fidelity": {"min": 1, "max": 2}, "initial": loop}
    with pytest.raises(StudyError, match="nested more than 50 levels deep"):
        parse_study(data, base=tmp_path, source="s")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (1.0, "1.0"),
        ("a\n'\x1b", '"a\\n\'\\x1b"'),
        ("x" * 74, "'" + "x" * 74 + "'"),
        ("x" * 75, "'" + "x" * 74 + "…"),
        (10**30, str(10**30)),
        (10**90, "1" + "0" * 74 + "…"),
        (10**1000, "a whole number of very many digits"),
        ({"a b": [1, {"c": 2.5}]}, "{'a b': [1, …]}"),
        ([1] * 1000, "[" + "1, " * 24 + "1,…"),
        (["y" * 100], "['" + "y" * 28 + "…]"),
    ],
)
def test_values_are_shown_on_one_short_line(value, shown):
    assert show(value) == shown


def test_values_of_any_shape_are_shown_at_once():
    value = [1] * 40
    for _ in range(40):
        value = [value] * 40
    assert len(show(value)) == 76
