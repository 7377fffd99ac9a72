"""Proposals ahead of demand: one thread computes suggestions, so that the event loop never does."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bohb_service.optimizer.observation import Observation, Suggestion
from bohb_service.optimizer.sampler import Sampler


class Proposer:
    """Computes suggestions in order of their numbers.

    Args:
        make_sampler: Builds the sampler; called in the thread, because it imports heavy packages.
        observations: All observations; appended to by the event loop, read here.
        taken: Values of all configurations suggested before.
        deliver: Hears of each suggestion ``(number, suggestion)``, on this thread.
        on_failure: Hears of an error that ends the thread, on this thread.
    """

    def __init__(
        self,
        make_sampler: Callable[[], Sampler],
        observations: Sequence[Observation],
        taken: Sequence[Mapping[str, Any]],
        deliver: Callable[[int, Suggestion], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._make_sampler = make_sampler
        self._observations = observations
        self._taken = list(taken)
        self._deliver = deliver
        self._on_failure = on_failure
        self._condition = threading.Condition()
        self._target = len(self._taken)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="bohb-proposer", daemon=True)
        self._thread.start()

    def request(self, target: int) -> None:
        """Compute until there are ``target`` suggestions in all; never fewer than asked before."""
        if target > self._target:
            with self._condition:
                self._target = target
                self._condition.notify()

    def close(self) -> None:
        """End the thread after the suggestion that it computes now."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            sampler = self._make_sampler()
            while self._wait_for_work():
                number = len(self._taken)
                # A snapshot by length: the list only grows, and results that arrive meanwhile are not looked at.
                observations = self._observations[: len(self._observations)]
                suggestion = sampler.suggest(number, observations, self._taken)
                self._taken.append(suggestion.values)
                self._deliver(number, suggestion)
        except Exception as error:  # noqa: BLE001  (whatever breaks the sampler must end the run, not hang it)
            self._on_failure(error)

    def _wait_for_work(self) -> bool:
        with self._condition:
            while self._target <= len(self._taken) and not self._closing:
                self._condition.wait()
            return not self._closing
