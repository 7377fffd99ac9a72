"""The small target for tables, with models that misbehave in the middle of a search."""

import os
import time
from pathlib import Path

from tests.tabular_target import TreeTarget


class FaultyTree(TreeTarget):
    """A tree; of the evaluations of configurations from the second on some sleep, raise, or need 8 GB."""

    EXTRA = ("fault", "first", "pids")

    def train(self, config, effort, fold, *, seed, folder, report, progress):
        if pids := self.options.get("pids"):
            with Path(pids).open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()} {os.getppid()}\n")
        number = int(folder.parent.name) if folder.parent.name.isdecimal() else -1
        if number >= self.options.get("first", 1):
            match self.options.get("fault"):
                case "sleep":
                    time.sleep(3600)
                case "raise":
                    raise RuntimeError("the tree fell")
                case "memory":
                    held = [bytearray(b"x" * 2**26) for _ in range(128)]
                    time.sleep(len(held))
        return super().train(config, effort, fold, seed=seed, folder=folder, report=report, progress=progress)
