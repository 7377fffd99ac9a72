"""Versions of libraries, for results depend on them to the last bit."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def versions(*packages: str) -> Mapping[str, str]:
    """The versions of those of the packages that are installed, looked up once in a process.

    Args:
        *packages: Names as they are installed by.
    """
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
