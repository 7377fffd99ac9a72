"""What may be meant by a name that nobody knows."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[str], at_most: int = 1) -> str:
    """``did you mean 'x' or 'y'?`` with those known names that look like this one, best first; empty if none does.

    Case does not matter, nor whether words are joined by dashes or underscores.

    Args:
        name: What was written.
        known: What could have been meant.
        at_most: Most names offered.
    """
    by_form: dict[str, str] = {}
    for candidate in known:
        by_form.setdefault(_form(candidate), candidate)
    near = difflib.get_close_matches(_form(str(name)), by_form, n=at_most)
    return f"did you mean {' or '.join(repr(by_form[form]) for form in near)}?" if near else ""


def _form(name: str) -> str:
    return name.lower().replace("-", "_")
