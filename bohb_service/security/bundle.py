"""What one side holds, and what the files are called."""

from typing import Literal, TypeAlias, get_args

from bohb_service.security.tokens import ROLES, Role

Kind: TypeAlias = Literal["master", "worker", "admin"]
"""Whom credentials belong to."""

KINDS: tuple[Kind, ...] = get_args(Kind)

AUTHORITY_FOLDER = "authority"
CA_FILE = "ca.pem"
CA_KEY_FILE = "ca-key.pem"
CERTIFICATE_FILE = "cert.pem"
KEY_FILE = "key.pem"


def token_file(role: Role) -> str:
    """Name of the file with the secret of a role."""
    return f"{role}.token"


def roles_of(kind: Kind) -> tuple[Role, ...]:
    """The roles whose secret a side of this kind holds: a master has to check them all."""
    return ROLES if kind == "master" else (kind,)
