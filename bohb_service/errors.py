"""The exception tree. Every message names what is wrong, the value, and what to do.

BohbError
├── StudyError               the user's input: study file, options, configurations   (exit code 2)
│   ├── SpaceError           a search space or a configuration that does not fit it
│   ├── WorkerSpecError      the worker named by the study cannot be loaded
│   └── CredentialsError     certificates and tokens cannot be used or made
├── JournalError             the run directory cannot be used                         (exit code 5)
│   ├── JournalCorruptError  not a journal of this program, or damaged
│   ├── RunMismatchError     the journal belongs to another study
│   ├── RunLockedError       another master serves this run directory
│   └── JournalWriteError    an append failed, e.g. the disk is full
└── TransportError           talking to the master failed
    ├── ListenError              the address cannot be listened on: the port is taken (exit code 4)
    ├── MasterUnreachableError   nobody answers                                       (exit code 4)
    │   └── StudyEndedError          since the study has ended
    └── ProtocolError        an answer or a request that the protocol does not allow
        ├── AuthenticationError  one end does not accept the other's certificate or token
        └── UnknownSessionError  the master was restarted: register again
"""


class BohbError(Exception):
    """Base of all errors that this package raises on purpose."""


class StudyError(BohbError):
    """The user's input is wrong; the message has the path of the key, the value, and the remedy."""


class SpaceError(StudyError):
    """A search space cannot be used, or a configuration does not belong to it."""


class WorkerSpecError(StudyError):
    """The worker that a study names cannot be found, imported, or is not a worker."""


class CredentialsError(StudyError):
    """Credentials cannot be made, or those given cannot be used: missing, damaged, expired, or open to others."""


class JournalError(BohbError):
    """The run directory or its journal cannot be used."""


class JournalCorruptError(JournalError):
    """The file is not a journal of this program, was written by a newer version, or is damaged."""


class RunMismatchError(JournalError):
    """The run directory holds the journal of another study."""


class RunLockedError(JournalError):
    """Another live master serves this run directory."""


class JournalWriteError(JournalError):
    """An append could not be made durable; nothing that was not durable has been acknowledged."""


class TransportError(BohbError):
    """Communication between a worker or command and the master failed."""


class ListenError(TransportError):
    """A master cannot listen on its address, e.g. because its port is taken."""


class MasterUnreachableError(TransportError):
    """No master answers at the given address."""


class StudyEndedError(MasterUnreachableError):
    """No master answers, since the study has ended; one may come if it is to go on under wider stopping rules."""


class ProtocolError(TransportError):
    """A message that the protocol does not allow, or a peer of another protocol version."""


class AuthenticationError(ProtocolError):
    """Master and client do not accept each other's certificate or token."""


class UnknownSessionError(ProtocolError):
    """The master does not know the worker's session, e.g. because it was restarted: register again."""
