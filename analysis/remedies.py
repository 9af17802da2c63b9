"""What mends what: the known remedies, and how it is seen that one has worked."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# A server that is busy or gone, or said nothing in time: calling it again at once makes it worse.
TRANSIENT = ("timeout", "unavailable", "rate_limited", "incomplete")


@dataclass(frozen=True)
class Remedy:
    """One known remedy."""

    name: str
    do: str
    proof: str  # what the next traces show when it works


REMEDIES: Mapping[str, Remedy] = MappingProxyType(
    {
        each.name: each
        for each in (
            Remedy(
                "time-out",
                "Give up after the time-out that `suggested_timeouts` names, and fall back.",
                "no call is longer than the time-out",
            ),
            Remedy(
                "idempotency key",
                "Send a key that stays the same over retries, and let the callee write once.",
                "no write is made twice after a time-out",
            ),
            Remedy(
                "scope",
                "Take the access out of the agent's token, or grant it in the contract.",
                "the access is unseen",
            ),
            Remedy(
                "context token",
                "Carry an immutable, versioned context token through every turn.",
                "no turn goes out with another context than the next one brings",
            ),
            Remedy(
                "circuit breaker",
                "Stop calling while the callee fails, and answer from a fallback.",
                "failures that start here reach no user",
            ),
            Remedy(
                "instrumentation",
                "Pass the trace context on at the cut, and export every service's spans.",
                "traces are complete",
            ),
            Remedy(
                "faster callee",
                "Make the callee faster or call it less: the time-out is there already.",
                "its tail is within its budget",
            ),
            Remedy(
                "mended callee",
                "Mend what fails there: no time-out or retry would have helped.",
                "its errors are gone",
            ),
        )
    }
)


def for_late(timeout_ms: float | None, limit_ms: float | None) -> Remedy:
    """Return the remedy of a boundary that makes requests late.

    Args:
        timeout_ms: After how long its callers give up, None where nobody says.
        limit_ms: What one call may take, None where nothing is promised.
    """
    is_limited = timeout_ms is not None and (limit_ms is None or timeout_ms <= limit_ms)
    return REMEDIES["faster callee" if is_limited else "time-out"]


def for_failing(error_class: str | None, *, is_duplicated: bool) -> Remedy:
    """Return the remedy of a boundary at which failures start that reach a user."""
    if is_duplicated:
        return REMEDIES["idempotency key"]
    return REMEDIES["circuit breaker" if error_class in TRANSIENT else "mended callee"]
