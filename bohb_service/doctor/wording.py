"""How findings put figures."""

_MIB = 1 << 20
_GIB = 1 << 30


def span(seconds: float) -> str:
    """A time span of any size, in its largest unit."""
    if seconds < 1.0:
        return f"{max(1.0, 1000 * seconds):.0f} ms"
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.1f} {name}" if seconds < 10 * unit else f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} days"


def size(n_bytes: float) -> str:
    """A size in MiB or GiB."""
    return f"{n_bytes / _GIB:.1f} GiB" if n_bytes >= _GIB else f"{n_bytes / _MIB:.0f} MiB"
