"""What a master says of itself to whoever may call it, in a form that other versions can read too."""

from dataclasses import asdict, dataclass
from typing import Any

from bohb_service.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class About:
    """What a machine needs to know to find out whether a worker could work there.

    Attributes:
        version: Version of this package.
        protocol: `bohb_service.rpc.messages.PROTOCOL_VERSION` of the master.
        now: The master's clock, seconds since the Unix epoch.
        study: Name of the study.
        study_id: Content of the file ``id`` in its folder of configurations.
        worker_spec: Worker class of the study.
        worker_options: Keyword arguments of its constructor.
        configurations: Folder of the per-configuration directories on the master's file system.
        limit_memory_mb: Resident memory allowed to one evaluation, in MiB, or None.
        peer: Address from which the master was asked, as it sees it.
    """

    version: str
    protocol: int
    now: float
    study: str
    study_id: str
    worker_spec: str
    worker_options: dict[str, Any]
    configurations: str
    limit_memory_mb: int | None
    peer: str = ""


def to_plain(about: About) -> dict[str, Any]:
    """The plain form."""
    return asdict(about)


def from_plain(plain: Any) -> About:
    """What is in a plain form; what a newer master says beyond it is ignored.

    Raises:
        ProtocolError: Something is missing.
    """
    match plain:
        case {
            "version": str() as version,
            "protocol": int() as protocol,
            "now": int() | float() as now,
            "study": str() as study,
            "study_id": str() as study_id,
            "worker_spec": str() as spec,
            "worker_options": dict() as options,
            "configurations": str() as folder,
            "limit_memory_mb": int() | None as limit,
            "peer": str() as peer,
        }:
            return About(version, protocol, float(now), study, study_id, spec, options, folder, limit, peer)
    raise ProtocolError("the master says of itself what this version does not understand")
