"""Proposals ahead of demand: one thread computes suggestions, so that the event loop never does."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

from bohb_service.optimizer.observation import Observation, Suggestion
from bohb_service.optimizer.sampler import Sampler

T = TypeVar("T")


class Prefix(Sequence[T]):
    """What an append-only sequence holds now, without a copy: what is appended later is not seen.

    Args:
        whole: The sequence; it only grows.
    """

    def __init__(self, whole: Sequence[T]) -> None:
        self._whole = whole
        self._length = len(whole)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self._whole[i] for i in range(*index.indices(self._length))]
        return self._whole[range(self._length)[index]]


class Proposer:
    """Computes suggestions in order of their numbers.

    Attributes:
        target: How many there shall be in all, as far as asked.

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
        self.target = len(self._taken)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="bohb-proposer", daemon=True)
        self._thread.start()

    def request(self, target: int) -> None:
        """Compute until there are ``target`` suggestions in all; never fewer than asked before."""
        if target > self.target:
            with self._condition:
                self.target = target
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
                suggestion = sampler.suggest(number, Prefix(self._observations), self._taken)
                self._taken.append(suggestion.values)
                self._deliver(number, suggestion)
        except Exception as error:  # noqa: BLE001  (whatever breaks the sampler must end the run, not hang it)
            self._on_failure(error)

    def _wait_for_work(self) -> bool:
        with self._condition:
            while self.target <= len(self._taken) and not self._closing:
                self._condition.wait()
            return not self._closing
