"""Reads search spaces from study files and from files of ConfigSpace."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bohb_service.errors import SpaceError
from bohb_service.space.search_space import SearchSpace
from bohb_service.space.serial import load_space
from bohb_service.space.short_form import read_short_form
from bohb_service.space.wording import Place, show


class _Loader(yaml.SafeLoader):
    """Reads what ConfigSpace writes: it tags tuples as Python's."""

    def read_tuple(self, node: yaml.SequenceNode) -> list[Any]:
        """The items, as of any other list."""
        return self.construct_sequence(node)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _Loader.read_tuple)


def read_space(source: Mapping[str, Any] | Path) -> SearchSpace:
    """The space of a mapping, or of a ``.json`` or ``.yaml`` file.

    A mapping with a list under the key ``hyperparameters`` is ConfigSpace's own serialised form. All others are the
    short form, from names to hyperparameters:

    .. code-block:: yaml

        learning_rate: {type: float, low: 1.0e-4, high: 1.0e-1, log: true}     # log and default are optional
        layers: {type: int, low: 1, high: 4, default: 2}
        momentum: {type: float, low: 0, high: 1, prior: {normal: [0.9, 0.1]}}  # mean, deviation
        warmup: {type: float, low: 0, high: 1, prior: {beta: [2, 5]}}          # alpha, beta
        activation: {type: categorical, choices: [relu, tanh], weights: [0.8, 0.2]}
        size: {type: ordinal, sequence: [small, medium, large]}
        loss: {type: constant, value: hinge}

        dropout: [0.0, 0.5]        # short for float; of two whole numbers, for int
        solver: [adam, sgd]        # short for categorical: any other list
        epochs: 10                 # short for constant: any single value

        beta: {type: float, low: 0.8, high: 0.99, when: {solver: adam}}         # active only if this is met
        nesterov: {type: categorical, choices: [true, false], when: {solver: [sgd], layers: {gt: 1, lt: 4}}}

        forbidden:                 # each item forbids what fits all of it; a list stands for any of its values
          - {activation: tanh, layers: [3, 4]}

    A condition on several hyperparameters wants all of them; on one, ``value`` means equal, ``[value, ...]`` one of
    them, and ``{gt: value}``, ``{lt: value}``, ``{ne: value}`` more than, less than, and not equal. It is not met where
    the hyperparameter that it asks about is inactive.

    Args:
        source: The mapping, or the path of a file with it.

    Raises:
        SpaceError: The file cannot be read, or the space has a mistake. The message begins with the path of the key,
            such as ``space.learning_rate.high``; for a file, with its name.
    """
    if isinstance(source, Path):
        place, content = Place(source=str(source)), _file_content(source)
    else:
        place, content = Place(path="space"), source
    if not isinstance(content, Mapping):
        raise place.error(f"{show(content)} is no mapping of names to hyperparameters")
    is_serialised = isinstance(content.get("hyperparameters"), list)
    space = load_space(content, place) if is_serialised else read_short_form(content, place)
    try:
        return SearchSpace(space)
    except SpaceError as error:
        raise place.error(str(error)) from error


def _file_content(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(f"{path}: cannot be read: {error}; give the path of a .json or .yaml file") from error
    match path.suffix.lower():
        case ".json":
            try:
                return json.loads(text)
            except json.JSONDecodeError as error:
                raise SpaceError(f"{path}: not valid JSON: {error}") from error
        case ".yaml" | ".yml":
            try:
                return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
            except yaml.YAMLError as error:
                raise SpaceError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    raise SpaceError(f"{path}: the kind of file {path.suffix!r} is unknown; allowed: '.json', '.yaml', '.yml'")
