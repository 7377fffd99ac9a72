"""The version of the installed package."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("bohb-service")
except PackageNotFoundError:  # the source tree itself, not installed
    VERSION = "0+unknown"
"""Version as in the package's metadata."""
