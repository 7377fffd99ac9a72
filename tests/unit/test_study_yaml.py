"""Scalars of YAML 1.2, where PyYAML would follow YAML 1.1; and no input that ends in another exception."""

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bohb_service.errors import StudyError
from bohb_service.study import Study, load_study, parse_study
from bohb_service.study.yaml_reader import YamlError, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("on", "on"),
        ("Off", "Off"),
        ("yes", "yes"),
        ("n", "n"),
        ("y", "y"),
        ("null", None),
        ("~", None),
        ("", None),
        ("nULL", "nULL"),
        ("12", 12),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b1", "0b1"),
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5e+3", -1500.0),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        ("e3", "e3"),
        (".", "."),
        ("-", [None]),
        ("+", "+"),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
        ("=", "="),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("!!int '3'", 3),
        ("[on, {a: off}]", ["on", {"a": "off"}]),
        ("&a [1, 2]", [1, 2]),
        ("[&a {x: 1}, *a]", [{"x": 1}, {"x": 1}]),
    ],
)
def test_scalars(text, value):
    read, _, problems = read_yaml(text)
    assert not problems
    assert read == value
    assert type(read) is type(value)


def test_not_a_number_is_read():
    assert math.isnan(read_yaml(".nan")[0])


@pytest.mark.parametrize("text", ["!!int abc", "!!float x", "!!set {a}", "!!binary aGk=", "!mine [1]", "!!omap [a: 1]"])
def test_tags_that_do_not_fit_are_problems(text):
    value, _, problems = read_yaml(text)
    assert value is None
    assert len(problems) == 1


def test_lines_of_keys_and_items():
    _, lines, _ = read_yaml("\na: 1\nb:\n  c: {d: 2,\n    e: 3}\n  f:\n  - 1\n  - g: 2\n")
    assert lines == {
        (): 2,
        ("a",): 2,
        ("b",): 3,
        ("b", "c"): 4,
        ("b", "c", "d"): 4,
        ("b", "c", "e"): 5,
        ("b", "f"): 6,
        ("b", "f", 0): 7,
        ("b", "f", 1): 8,
        ("b", "f", 1, "g"): 8,
    }


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([*Study.model_fields, "min", "max", "eta", "sede"])
VALUES = PLAIN | st.dictionaries(
    KEYS | st.sampled_from(["brackets", "seconds", "integer", "attempts"]), PLAIN, max_size=3
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_mapping_is_a_study_or_a_study_error(changes):
    data = {"name": "n", "worker": "w", "fidelity": {"min": 1, "max": 27}, **changes}
    message = ""
    try:
        study = parse_study(data, base=Path("/"), source="s")
    except StudyError as error:
        message = str(error)
    else:
        assert Study.from_json(study.to_json()) == study
    assert all(line.startswith("s: ") and line.isprintable() for line in message.split("\n") if message)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@,?~<1.\t\n ", max_size=30))
def test_any_text_is_yaml_or_a_yaml_error(text):
    message = ""
    try:
        read_yaml(text)
    except YamlError as error:
        message = error.text
    assert "\n" not in message


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40), st.sampled_from([".yaml", ".toml"]))
def test_any_file_is_a_study_error(content, suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"s{suffix}"
        path.write_bytes(content)
        with pytest.raises(StudyError):
            load_study(path)
