"""What trials need of a worker, by budget, and whether a worker has it."""

from collections.abc import Mapping
from dataclasses import dataclass

Label = float | str
"""A quantity of which a worker has so much, or a text that tells its kind."""

Labels = Mapping[str, Label]


@dataclass(frozen=True, slots=True)
class NeedRule:
    """Needs of all trials from a budget on.

    Attributes:
        min_budget: Smallest budget that it holds for.
        needs: What is needed: at least a number, or exactly a text.
    """

    min_budget: float
    needs: Labels


@dataclass(frozen=True, slots=True)
class Needs:
    """The needs of a study; later rules overrule earlier ones, name by name.

    Attributes:
        rules: The rules.
    """

    rules: tuple[NeedRule, ...] = ()

    def at(self, budget: float) -> Labels:
        """What a trial of this budget needs."""
        found: dict[str, Label] = {}
        for rule in self.rules:
            if budget >= rule.min_budget:
                found.update(rule.needs)
        return found

    def fits(self, budget: float, labels: Labels) -> bool:
        """Whether a worker with these labels can take trials of this budget."""
        return not self.rules or all(_has(labels.get(name), need) for name, need in self.at(budget).items())

    def ability(self, labels: Labels) -> tuple[bool, ...]:
        """What a worker can take, in a form that is equal for two workers exactly if they can take the same."""
        return tuple(self.fits(rule.min_budget, labels) for rule in self.rules)


def _has(label: Label | None, need: Label) -> bool:
    if isinstance(need, str):
        return label == need
    return need <= 0 or (label is not None and not isinstance(label, str) and label >= need)
