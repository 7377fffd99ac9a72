"""Saved folders whose files were changed by one who knows of their digests."""

import json
from pathlib import Path

HEAD = ("format", "sha256", "files")


def facts_of(folder, kind):
    """The facts of a folder as they were given when it was saved.

    Args:
        folder: The folder.
        kind: Its `SealedKind`.
    """
    data = json.loads((Path(folder) / kind.facts).read_text())
    return {name: value for name, value in data.items() if name not in HEAD}


def sealed_again(folder, kind, **changes):
    """Make all digests of a folder right for the files as they are now.

    Args:
        folder: The folder.
        kind: Its `SealedKind`.
        **changes: Facts that become others.
    """
    kind.seal(Path(folder), {**facts_of(folder, kind), **changes})
