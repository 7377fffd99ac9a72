"""A TCP proxy between workers and master that cuts, holds, delays and loses what passes through it.

It forwards bytes and understands none of them, so it works with encrypted connections as well. A *reply* is what the
master sends after a worker has sent something.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Callable

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)


class _Link:
    """One connection and its continuation, both ends as streams."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        self.n_replies = 0
        self.awaits_reply = False

    def end(self, *, reset):
        """Close both ends, with a reset or in order."""
        for writer in (self.near, self.far):
            if reset:
                with contextlib.suppress(OSError):
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
            else:
                writer.close()


class Proxy:
    """Forwards connections; all faults may be ordered from any thread.

    Args:
        upstream: Says where the master listens now, or None if nowhere.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        effects: How often it did what.
    """

    def __init__(self, upstream: Callable[[], tuple[str, int] | None]) -> None:
        self.port = 0
        self.effects: Counter[str] = Counter()
        self._upstream = upstream
        self._links: list[_Link] = []
        self._orders: deque[str] = deque()
        self._delay = 0.0
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._thread = threading.Thread(target=self._run, name="chaos-proxy", daemon=True)
        ready = threading.Event()
        self._loop.call_soon(lambda: self._loop.create_task(self._listen(ready)))
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the proxy did not start")

    def close(self):
        """Cut everything and end."""
        self._do(self._loop.stop)
        self._thread.join()

    def hold(self):
        """Accept and read, but forward nothing."""
        self._do(self._open.clear)

    def release(self, *, reset):
        """Forward what was held, or reset the connections that it was held on."""
        if reset:
            self.cut(1.0, 0.0, reset=True)
        self._do(self._open.set)

    def delay(self, seconds):
        """Forward each piece so much later from now on."""
        self._do(lambda: setattr(self, "_delay", seconds))

    def cut(self, share, first, *, reset):
        """End a share of the connections, from one on that is chosen by a number in [0, 1)."""

        def cut():
            n = len(self._links)
            begin = int(first * n)
            victims = [self._links[(begin + i) % n] for i in range(max(1, round(share * n)))] if n else []
            for link in victims:
                link.end(reset=reset)
            self.effects["connections ended"] += len(victims)

        self._do(cut)

    def lose(self, what, n):
        """Lose the next ``n`` of a kind, each with its connection: ``request``, ``reply``, ``half a reply``."""
        self._do(lambda: self._orders.extend([what] * n))

    def _do(self, work):
        self._loop.call_soon_threadsafe(work)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _listen(self, ready):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        ready.set()

    async def _end(self):
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        for link in self._links:
            link.end(reset=True)
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _serve(self, reader, near):
        link = None
        try:
            await self._open.wait()
            address = self._upstream()
            if address is None:
                return
            far_reader, far = await asyncio.open_connection(*address)
            link = _Link(near, far)
            self._links.append(link)
            self.effects["connections"] += 1
            await asyncio.gather(self._pump(link, reader, far, "request"), self._pump(link, far_reader, near, "reply"))
        except OSError:
            pass
        finally:
            near.close()
            if link is not None:
                link.far.close()
                self._links.remove(link)

    async def _pump(self, link, reader, writer, what):
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._open.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                if self._is_lost(link, writer, what, data):
                    break
                writer.write(data)
                await writer.drain()
                self.effects["pieces"] += 1
            await self._open.wait()
        writer.close()

    def _is_lost(self, link, writer, what, data):
        """Whether a piece is lost, and its connection with it; the first replies, which open it, are not."""
        is_reply = what == "reply" and link.awaits_reply
        link.awaits_reply = what == "request"
        link.n_replies += is_reply
        if not self._orders or link.n_replies < 2 or (what == "reply" and not is_reply):
            return False
        order = self._orders[0]
        if not order.endswith(what):
            return False
        self._orders.popleft()
        self.effects[f"lost: {order}"] += 1
        if order.startswith("half"):
            writer.write(data[: len(data) // 2])
            link.end(reset=False)
        else:
            link.end(reset=True)
        return True
