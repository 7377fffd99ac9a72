"""Budgets that are whole numbers."""

from bohb_service.errors import StudyError

from .shown import shown

_SLACK = 1e-6
"""The budgets of a schedule are quotients; an error of rounding is no reason to refuse one."""


def whole_number(budget: float) -> int | None:
    """The budget as a whole number; None if it is none."""
    number = round(budget)
    return number if abs(budget - number) <= _SLACK else None


def whole_epochs(budget: float) -> int:
    """The budget as a number of epochs.

    Raises:
        StudyError: It is not a whole number of at least 1.
    """
    epochs = whole_number(budget)
    if epochs is None or epochs < 1:
        raise StudyError(
            f"budget {shown(budget)} is not a whole number of epochs; declare the fidelity of the study as "
            "integer, from 1"
        )
    return epochs
