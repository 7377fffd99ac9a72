"""YAML text to plain values, strictly: YAML 1.2 scalars, no duplicate keys, no tags, with line numbers.

PyYAML reads YAML 1.1: ``on`` and ``no`` are booleans there, ``1e-3`` is text, ``010`` is eight, and the
last of two equal keys wins silently. Here only ``true`` and ``false`` are booleans, every way to write
a number gives a number, and whatever cannot be meant is a problem with its line.
"""

import re
from typing import Any

import yaml

from bohb_service.study.problems import KeyPath, Problem, show

MAX_NODES = 200_000
"""Most values in one file, references counted as often as they are used."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
)
_HINTS = (
    ("expected ',' or", "a bracket is not closed, or a ',' is missing; add it"),
    ("'\\t'", "a tab stands where spaces are needed; indent with spaces"),
    (
        "mapping values are not allowed",
        "a ':' stands where none can be; check the indentation, and quote text with ': '",
    ),
    ("could not find expected ':'", "a key without ':' and a space after it; write 'key: value'"),
    ("but found '<block mapping start>'", "the indentation does not fit the lines above; align keys of one level"),
    ("but found '<scalar>'", "a quote or bracket ends too early or too late; check the quotes and indentation"),
    ("but found '<block sequence start>'", "a list item '-' stands where a key is needed; check the indentation"),
    ("but found '<block end>'", "a bracket '[' or '{' is not closed; close it"),
    ("but found '<stream end>'", "a bracket '[' or '{' is not closed; close it"),
    ("unexpected end of stream", "a quote or bracket is not closed before the end of the file; close it"),
    ("but found another document", "a second document begins here; keep one and remove the line '---'"),
    ("special characters are not allowed", "a control character; remove it"),
    ("undefined alias", "a reference '*name' without an anchor '&name' above; quote text that begins with '*'"),
    ("cannot start any token", "text may not begin with this character; put it in quotes"),
)


class YamlError(Exception):
    """The text is not YAML.

    Args:
        text: What is wrong and what to do.
        line: Where, from 1, if known.
    """

    def __init__(self, text: str, line: int | None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


class _Loader(yaml.SafeLoader):
    """Tells nulls, booleans and numbers from text by the rules of YAML 1.2."""


# An own table, where PyYAML would copy that of YAML 1.1 from the base class.
_Loader.yaml_implicit_resolvers = {}


for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def read_yaml(text: str) -> tuple[Any, dict[KeyPath, int], list[Problem]]:
    """Values of the one document in a text.

    Args:
        text: YAML.

    Returns:
        The value (None for an empty text), the line of every key and list item by its path, and the
        mistakes that do not make the text unreadable.

    Raises:
        YamlError: The text is not YAML, or has two documents.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"{error.context or ''} {error.problem or ''}"
        raise YamlError(f"not valid YAML: {_explain(what)}", mark.line + 1 if mark else None) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"not valid YAML: {_explain(str(error.reason))}", line) from error
    except RecursionError as error:
        raise YamlError("nested too deeply; write fewer levels of lists and mappings", None) from error
    if node is None:
        return None, {}, []
    reader = _NodeReader()
    value = reader.read(node, ())
    return value, reader.lines, reader.problems


def _explain(problem: str) -> str:
    """What the parser means, with the remedy."""
    plain = " ".join(problem.split())
    return next((hint for words, hint in _HINTS if words in plain), f"{plain}; check quotes and indentation")


class _NodeReader:
    """Turns a tree of nodes into values and collects lines and problems on the way."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._n_nodes = 0

    def read(self, node: yaml.Node, path: KeyPath) -> Any:
        """The value of a node; where it cannot be read, a problem is noted and the value is None."""
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise YamlError(f"more than {MAX_NODES} values, references included; write a smaller file", line)
        if id(node) in self._open:
            self._note(path, line, "a reference '*name' to something that contains it; write the value out")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
                return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node, path)
        finally:
            self._open.discard(id(node))
        self._refuse_tag(node, path)
        return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._note(path, line, "a key that is a list or a mapping; write text as key", hides=False)
            elif key_node.tag == f"{_TAG}merge":
                self._note((*path, "<<"), line, "merging of mappings is not supported; write the keys out")
            else:
                key = self._scalar(key_node, path)
                child = (*path, key)
                if key in result:
                    told = f"given twice, first on line {self.lines[child]}; remove one of them"
                    self._note(child, line, told, hides=False)
                    continue
                self.lines[child] = line
                result[key] = self.read(value_node, child)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = node.value
        try:
            match node.tag.removeprefix(_TAG):
                case "str" | "merge":
                    return text
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return int(text, {"0o": 8, "0x": 16}.get(text[:2].lower(), 10))
                case "float":
                    return float(re.sub(r"\.(inf|nan)$", r"\1", text.lower()))
        except ValueError:
            self._note(
                path, node.start_mark.line + 1, f"{show(text)} is not a number that can be read; write a shorter one"
            )
            return None
        self._refuse_tag(node, path)
        return None

    def _refuse_tag(self, node: yaml.Node, path: KeyPath) -> None:
        tag = f"!!{node.tag.removeprefix(_TAG)}" if node.tag.startswith(_TAG) else node.tag
        self._note(path, node.start_mark.line + 1, f"the tag {show(tag)} is not allowed; write the plain value")

    def _note(self, path: KeyPath, line: int, text: str, *, hides: bool = True) -> None:
        self.problems.append(Problem(path, text, line, hides=hides))
