"""The three ways in which a study names its worker class."""

import keyword
import re
from typing import NamedTuple

FORMS = "the name of an installed worker (sklearn-mlp), package.module:Class, or path/to/file.py:Class"

_ENTRY_POINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class WorkerName(NamedTuple):
    """A worker's name in its parts.

    Attributes:
        target: Entry point, module, or file.
        class_name: The class in the module or file; None for an entry point.
    """

    target: str
    class_name: str | None

    @property
    def is_file(self) -> bool:
        """Whether the target is a Python file."""
        return self.class_name is not None and self.target.endswith(".py")


def split_worker(text: str) -> WorkerName:
    """The parts of a worker's name.

    Args:
        text: An entry point, ``package.module:Class`` or ``path/to/file.py:Class``.

    Raises:
        ValueError: It has none of these forms; the message says what to write.
    """
    target, colon, class_name = text.rpartition(":")
    if not colon:
        if _ENTRY_POINT.fullmatch(text):
            return WorkerName(text, None)
        if text.endswith(".py"):
            raise ValueError(f"names a file, but no class; write '{text}:' and the name of the class")
        module, dot, last = text.rpartition(".")
        if dot and _is_dotted(text):
            raise ValueError(f"names no class; write '{module}:{last}' if {last} is the class")
        raise ValueError(f"is not the name of a worker; write {FORMS}")
    if not class_name.isidentifier() or keyword.iskeyword(class_name):
        raise ValueError(f"has no class name after the last ':'; write {FORMS}")
    if not (_is_dotted(target) or (target.endswith(".py") and target.strip() == target and "\0" not in target)):
        raise ValueError(f"has neither a module nor a .py file before the last ':'; write {FORMS}")
    return WorkerName(target, class_name)


def is_same_class(one: str, other: str) -> bool:
    """Whether two names may be those of the same class: equal, or files of the same name in different places."""
    return one == other or (".py:" in one and one.rpartition("/")[2] == other.rpartition("/")[2])


def _is_dotted(text: str) -> bool:
    """Whether the text is a module's name."""
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in text.split("."))
