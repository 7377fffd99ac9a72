"""What credentials were made, and what to do with them."""

import shlex
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from bohb_service.cli.blocks import command, facts, heading, plain, show, stack
from bohb_service.rpc.pyro import format_address
from bohb_service.security.authority import MadeCredentials

__all__ = ["credentials_view", "show"]

_PORT = 9090
"""An example: any free port will do, and a firewall has to let this one through."""


def credentials_view(made: MadeCredentials) -> RenderableType:
    """What was made, and the next commands.

    Args:
        made: What `bohb_service.security.authority.make_credentials` returned.
    """
    host = made.hosts[0]
    title = "New certificates in" if made.renewed else "Credentials in"
    rows: list[tuple[str, RenderableType]] = [
        ("master's names", plain(", ".join(made.hosts))),
        ("valid", f"{made.begins:%Y-%m-%d %H:%M} to {made.expires:%Y-%m-%d %H:%M} UTC"),
    ]
    return stack(
        (
            plain(f"{title} {made.directory}", "bold"),
            facts(rows),
            Text("  SHA-256 of the authority's certificate:", style="dim"),
            command(made.fingerprint),
            heading("Start the master again, here" if made.renewed else "Start the master, here"),
            command(f"bohb-master run FILE --host {host} --port {_PORT} --credentials {_quoted(made.directory)}"),
            heading("Let a node work for it, which needs nothing but the folder worker"),
            command(f"scp -r {_quoted(made.directory / 'worker')} NODE:bohb-keys"),
            command(f"bohb-worker --credentials bohb-keys --nameserver {format_address(host, _PORT)} --study NAME"),
            _note(made),
        )
    )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _note(made: MadeCredentials) -> RenderableType:
    if made.renewed:
        text = "Authority and tokens are the old ones: nodes can go on with their old folders until those expire."
    else:
        text = "Never copy authority and master: who has them can pose as the master."
    return Text(f"\n{text}", style="dim")
