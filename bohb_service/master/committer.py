"""Group commit: one thread makes events durable, in the order in which they happened."""

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence

from bohb_service.clock import Clock, SystemClock
from bohb_service.journal.journal import Journal
from bohb_service.scheduler.events import Event

Entry = tuple[float, Event]

_BUSY_S = 0.002
"""When events come so soon after a commit, others will follow, and ..."""

_LINGER_S = 0.001
"""... are waited for this long: a commit costs as much as several exchanges."""


class Committer:
    """Appends events to the journal in the background and says when they are durable.

    All methods are called on one thread, the event loop's; so are the callbacks, through ``post``.

    Args:
        journal: Where events go.
        post: Runs a callback soon on the event loop's thread.
        on_durable: Hears of events once they are durable.
        on_failure: Hears once that the journal cannot be written; nothing is acknowledged after that.
        clock: Tells how close together commits are.
    """

    def __init__(
        self,
        journal: Journal,
        post: Callable[[Callable[[], None]], None],
        on_durable: Callable[[Sequence[Entry]], None],
        on_failure: Callable[[Exception], None],
        clock: Clock | None = None,
    ) -> None:
        self._journal = journal
        self._post = post
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._clock = clock or SystemClock()
        self._appended = 0
        self._durable = 0
        self._failed = False
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._condition = threading.Condition()
        self._gathered: list[Entry] = []
        self._entries: list[Entry] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="bohb-journal", daemon=True)
        self._thread.start()

    def add(self, entries: Sequence[Entry]) -> None:
        """Take events that have just happened."""
        if not entries:
            return
        self._appended += len(entries)
        if not self._gathered:
            # Once the loop has gone round: what all peers have said by then is written in one go.
            self._post(self._hand_over)
        self._gathered.extend(entries)

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Run a callback when everything added so far is durable; at once if it is already."""
        if self._failed:
            return
        if self._durable == self._appended:
            callback()
        else:
            self._waiting.append((self._appended, callback))

    def stop(self) -> None:
        """Call nobody back any more."""
        self._failed = True
        self._waiting.clear()

    def close(self) -> None:
        """Make the rest durable and end the thread."""
        self._hand_over()
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join()

    def _hand_over(self) -> None:
        with self._condition:
            if not self._entries:  # else the thread is busy, or was notified already
                self._condition.notify()
            self._entries.extend(self._gathered)
        self._gathered.clear()

    def _run(self) -> None:
        busy_until = -math.inf
        while True:
            with self._condition:
                while not self._entries and not self._closing:
                    self._condition.wait()
                if self._clock.monotonic() < busy_until and not self._closing:
                    self._condition.wait(_LINGER_S)
                entries, self._entries = self._entries, []
            if not entries:
                return
            try:
                self._journal.append(entries)
            except Exception as error:  # noqa: BLE001  (whatever it is, nothing may be acknowledged after it)
                self._post(lambda error=error: self._fail(error))  # type: ignore[misc]  # bound early
                return
            self._post(lambda entries=entries: self._done(entries))  # type: ignore[misc]  # bound early
            busy_until = self._clock.monotonic() + _BUSY_S

    def _done(self, entries: Sequence[Entry]) -> None:
        self._durable += len(entries)
        while not self._failed and self._waiting and self._waiting[0][0] <= self._durable:
            self._waiting.popleft()[1]()
        self._on_durable(entries)

    def _fail(self, error: Exception) -> None:
        self.stop()
        self._on_failure(error)
