"""How long a wait may last: what `tests/stack/patience.ts` says, whose factor comes by the environment."""
import os

HUNG_SECS = 120
CALL_SECS = 60
MOST = 6


def patience():
    """How many times longer than on a quiet machine things may take here and now."""
    load = os.getloadavg()[0] / len(os.sched_getaffinity(0))
    return min(MOST, max(1.0, float(os.environ.get("TIDEMARK_PATIENCE") or 1), load))


def hung_after():
    """Seconds after which something that has not come counts as hung."""
    return HUNG_SECS * patience()


def call_limit():
    """Seconds within which a server answers a single request. It may be away meanwhile: whoever asked asks again."""
    return CALL_SECS * patience()
