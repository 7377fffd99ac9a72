"""What the options of both commands have in common."""

import math
from collections.abc import Callable
from typing import Any

import click

from bohb_service.errors import StudyError


def option(name: str, *more: str, **settings: Any) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """A click option with the variable ``BOHB_NAME``, which its help shows.

    Args:
        name: The option, e.g. ``--run-dir``.
        *more: Further names, as click takes them.
        **settings: Passed to `click.option`.
    """
    variable = "BOHB_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, *more, envvar=variable, show_envvar=True, **settings)


def log_options(command: click.decorators.FC) -> click.decorators.FC:
    """A command with the options that say how log lines read."""
    as_text = option("--log-text", is_flag=True, help="Log as text, also where stderr is no terminal.")
    as_json = option("--log-json", is_flag=True, help="Log as JSON lines, also in a terminal.")
    return as_json(as_text(command))


def wants_json(*, log_json: bool, log_text: bool) -> bool | None:
    """How log lines are to read: as JSON, as text, or None where neither was said.

    Raises:
        StudyError: Both were.
    """
    if log_json and log_text:
        raise StudyError("give either --log-json or --log-text")
    return log_json if log_json or log_text else None


class Seconds(click.FloatRange):
    """A finite number of seconds."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number, checked."""
        seconds: float = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is no finite number of seconds", param, ctx)
        return seconds


class Address(click.ParamType[str]):
    """``HOST:PORT``, with brackets around an IPv6 address."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address, checked."""
        text = str(value)
        host, separator, port = text.rpartition(":")
        if not separator or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
            self.fail(f"{text!r} is no HOST:PORT, e.g. 10.0.0.5:9090", param, ctx)
        if ":" in host and not (host.startswith("[") and host.endswith("]")):
            self.fail(f"{text!r}: write an IPv6 address in brackets, e.g. [::1]:9090", param, ctx)
        return text


class Listen(click.ParamType[tuple[str, int]]):
    """``PORT`` on loopback, or ``HOST:PORT``; port 0 takes a free one."""

    name = "[host:]port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Host, without brackets, and port, checked."""
        if isinstance(value, tuple):
            return value
        text = str(value)
        host, _, port = text.rpartition(":")
        if not (port.isascii() and port.isdigit()) or int(port) > 65535 or (":" in text and not host):
            self.fail(f"{text!r} is no PORT or HOST:PORT, e.g. 9091 or 10.0.0.5:9091", param, ctx)
        if ":" in host and not (host.startswith("[") and host.endswith("]")):
            self.fail(f"{text!r}: write an IPv6 address in brackets, e.g. [::1]:9091", param, ctx)
        return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


class Budgets(click.ParamType[tuple[float, ...]]):
    """Positive numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers, checked, in the order given."""
        if isinstance(value, tuple):
            return value
        numbers = []
        for text in str(value).split(","):
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if not 0 < number < math.inf:
                self.fail(f"{text!r} in {value!r} is no positive number; write e.g. 1,3,9,27", param, ctx)
            numbers.append(number)
        return tuple(numbers)


class Setting(click.ParamType[tuple[str, Any]]):
    """``KEY=VALUE``, the value as a study file would have it.

    Args:
        example: Of a setting.
    """

    name = "key=value"

    def __init__(self, example: str = "dataset=iris") -> None:
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """The key and its plain value."""
        from bohb_service.study.plain import to_plain
        from bohb_service.study.yaml_reader import YamlError, read_yaml

        if isinstance(value, tuple):
            return value
        key, separator, text = str(value).partition("=")
        if not separator or not key.strip():
            self.fail(f"{value!r} is no KEY=VALUE, e.g. {self._example}", param, ctx)
        try:
            content, _, problems = read_yaml(text)
        except YamlError as error:
            self.fail(f"{value!r}: {error.text}", param, ctx)
        plain, faults = to_plain(content)
        for problem in (*problems, *faults):
            self.fail(f"{value!r}: {problem.text}", param, ctx)
        return key.strip(), plain
