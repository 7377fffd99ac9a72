"""How figures and texts of users are shown to people."""

from collections.abc import Mapping
from typing import Any

from bohb_service.cli.log_format import one_line


def duration(seconds: float) -> str:
    """A time span in its two largest units, e.g. ``0.41 s``, ``12 s``, ``3 min 05 s``, ``2 h 03 min``, ``1 d 04 h``."""
    if seconds < 9.95:
        return f"{seconds:.2g} s" if seconds < 0.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02} h"


def figure(value: float | None) -> str:
    """A loss or other measured number with four significant digits; a dash if there is none."""
    return "-" if value is None else f"{value:.4g}"


def budget(value: float) -> str:
    """A budget: whole numbers in full, others with four significant digits."""
    return f"{value:.15g}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def amount(value: float, unit: str) -> str:
    """A budget with its unit, e.g. ``9 epochs`` or ``1 epoch``; the default unit reads ``budget 9``."""
    if unit == "budget":
        return f"budget {budget(value)}"
    word = unit[:-1] if value == 1 and unit.endswith("s") and not unit.endswith("ss") else unit
    return f"{budget(value)} {one_line(word)}"


def percent(share: float | None) -> str:
    """A fraction as whole percents; a dash if there is none."""
    return "-" if share is None else f"{100 * share:.0f} %"


def plural(count: int, noun: str) -> str:
    """A number with its noun, which gets an s where there is not exactly one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def setting(value: Any) -> str:
    """The value of a hyperparameter on one line; numbers with six significant digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return one_line(str(value))


def settings(config: Mapping[str, Any]) -> list[str]:
    """The hyperparameters of a configuration as ``name=value``."""
    return [f"{one_line(str(name))}={setting(value)}" for name, value in config.items()]
