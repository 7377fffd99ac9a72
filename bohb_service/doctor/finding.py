"""What a check has found."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from bohb_service.errors import BohbError

Status = Literal["ok", "warn", "fail"]
"""How a finding is to be taken, from good to bad."""

_ORDER = get_args(Status)


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact, and what to do about it.

    Attributes:
        check: What was looked at, a few words.
        status: ``ok``; ``warn``: it will work, but not as well or as long as it should; ``fail``: it will not work.
        found: What is there, one line.
        remedy: What to do; empty where there is nothing to be done.
    """

    check: str
    status: Status
    found: str
    remedy: str = ""

    @classmethod
    def ok(cls, check: str, found: str) -> Self:
        """Nothing is to be done."""
        return cls(check, "ok", found)

    @classmethod
    def warn(cls, check: str, found: str, remedy: str) -> Self:
        """It will work, but not as well or as long as it should."""
        return cls(check, "warn", found, remedy)

    @classmethod
    def fail(cls, check: str, found: str, remedy: str) -> Self:
        """It will not work."""
        return cls(check, "fail", found, remedy)

    @classmethod
    def of_error(cls, check: str, error: BohbError, remedy: str = "") -> Self:
        """A failure told by one of our errors.

        Args:
            check: What was looked at.
            error: What happened.
            remedy: What to do, where the message does not say it.
        """
        return cls(check, "fail", str(error), remedy)


def verdict(findings: Iterable[Finding]) -> Status:
    """The worst status of all; ``ok`` without any."""
    return max((finding.status for finding in findings), key=_ORDER.index, default="ok")


def to_dict(findings: Iterable[Finding]) -> dict[str, Any]:
    """The findings as plain data: ``verdict``, and ``findings`` with the keys of `Finding`."""
    listed = list(findings)
    return {"verdict": verdict(listed), "findings": [asdict(finding) for finding in listed]}


Check = Callable[[], Iterable[Finding]]


def examine(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """What the checks find, one after another; one that cannot be made is a finding, and hides no other.

    Args:
        checks: Pairs of a name, for a check that fails as such, and the check.
    """
    for name, check in checks:
        try:
            yield from check()
        except BohbError as error:
            yield Finding.of_error(name, error)
        except OSError as error:
            found = f"{error.filename or 'this'} cannot be looked at: {error.strerror or error}"
            yield Finding.warn(name, found, "mend the rights of this user, or look at it by hand")
