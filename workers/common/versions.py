"""Versions of libraries, for results depend on them to the last bit."""

from importlib.metadata import PackageNotFoundError, version


def versions(*packages: str) -> dict[str, str]:
    """The versions of those of the packages that are installed.

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
