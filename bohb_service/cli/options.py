"""What the options of both commands have in common."""

import math
from collections.abc import Callable
from typing import Any

import click


def option(name: str, *more: str, **settings: Any) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """A click option with the variable ``BOHB_NAME``, which its help shows.

    Args:
        name: The option, e.g. ``--run-dir``.
        *more: Further names, as click takes them.
        **settings: Passed to `click.option`.
    """
    variable = "BOHB_" + name.removeprefix("--").replace("-", "_").upper()
    return click.option(name, *more, envvar=variable, show_envvar=True, **settings)


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
