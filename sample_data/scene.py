"""What the parts of one request share: its luck, what is switched on, and what it adds up to."""

import hashlib
from dataclasses import dataclass, field

from sample_data import system
from sample_data.draws import Turn
from sample_data.faults import Faults, Tally
from sample_data.record import Trace
from sample_data.system import Attributes, Host


@dataclass
class Scene:
    """One request on its way."""

    turn: Turn
    cohort: str
    faults: Faults
    tally: Tally
    trace: Trace
    planner: Host
    conversation_id: str
    marks: list[tuple[str, str]] = field(default_factory=list)  # of injected faults, on the entry
    officer_tokens: int = 0
    model_usd: float = 0.0

    @property
    def is_pilot(self) -> bool:
        """Whether the pilot's remedies are in place."""
        return self.cohort == "pilot"

    @property
    def loses_state(self) -> bool:
        """Whether the session store has nothing: the pilot's context token outlives it."""
        return self.faults.state_lost and not self.is_pilot and self.turn.is_lost

    @property
    def input_tokens(self) -> int:
        """Input tokens of the first model call."""
        lost = self.faults.state_lost and not self.is_pilot
        return self.turn.held_tokens if lost else self.turn.kept_tokens

    def plant(self, fault: str) -> None:
        """Count one planted event."""
        self.tally.plant(fault, self.turn.trace_id, self.turn.start_ns)

    def mark(self, fault_id: str, fault_type: str, target: str) -> Attributes:
        """What an injected span says; the entry says it too, as baggage would."""
        marks = (
            ("orch.fault.id", fault_id),
            ("orch.fault.type", fault_type),
            ("orch.fault.target", target),
        )
        self.marks[:] = marks
        return marks

    def charge(self, model: str, input_tokens: int, output_tokens: int) -> float:
        """Add a model call to the request's cost and return it, in USD."""
        input_usd, output_usd = system.USD_A_MILLION_TOKENS[model]
        cost_usd = (input_tokens * input_usd + output_tokens * output_usd) / 1e6
        self.model_usd += cost_usd
        return cost_usd

    def context(self) -> Attributes:
        """The pilot's context token: what came in with the request and what goes out."""
        if not self.is_pilot:
            return ()
        number = self.turn.number
        came = (("orch.context.hash.in", self._token(number - 1)),) if number > 1 else ()
        return (*came, ("orch.context.hash.out", self._token(number)), *self.version())

    def version(self) -> Attributes:
        """The pilot's version of the context."""
        return (("orch.context.version", self.turn.number),) if self.is_pilot else ()

    def _token(self, number: int) -> str:
        return hashlib.sha256(f"{self.conversation_id}/{number}".encode()).hexdigest()[:12]
