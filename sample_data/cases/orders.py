"""A shop's order service: its agent begins to read payment data, until tokens are scoped.

The agent reads the customer in three requests of five. From the middle of the baseline on it also
reads payment methods, in four of five. The pilot's tokens are scoped to orders and customers.
"""

from sample_data import system
from sample_data.cases import stage
from sample_data.cases.stage import Call, Visit
from sample_data.handoffs import sql
from sample_data.record import Piece, Span
from sample_data.system import Endpoint, Host, Query

NUMBER = 3
CONVERSATIONS, TURNS = 1500, 1
CUSTOMERS_OF_FIVE = 3  # requests that read the customer
CREEP_DAY = 15  # from 0: half of the month
PAYMENTS_OF_FIVE = 4  # requests that read payment methods from that day on

AGENT = Host("order-service", "order-a", "2.2.0", "python", "shop", "scoped-tokens")
STOCK = Host("stock", "stock-a", "1.8.0", "java", "shop", "scoped-tokens")
LEVEL = Endpoint("GET", "stock:8080", "/v1/levels/{id}")


def _select(table: str, columns: str) -> Query:
    return Query(
        "SELECT",
        system.PSYCOPG,
        (
            ("db.system", "postgresql"),
            ("db.name", "shop"),
            ("db.statement", f"SELECT {columns} FROM {table} WHERE id = %s"),
            ("db.user", "order_agent"),
            ("net.peer.name", "shop-db"),
            ("net.peer.port", 5432),
        ),
    )


ORDERS = _select("orders", "id, state, total")
CUSTOMERS = _select("customers", "id, name, email, street")
PAYMENTS = _select("payment_methods", "id, iban, holder")


def reads_customer(visit: Visit) -> bool:
    """Whether the request needs the customer's data."""
    return visit.place % 5 < CUSTOMERS_OF_FIVE


def creeps(visit: Visit, cohort: str) -> bool:
    """Whether the agent reads payment data, which no task of it needs."""
    is_late = visit.day >= CREEP_DAY
    return cohort == "baseline" and is_late and (visit.place // 5) % 5 < PAYMENTS_OF_FIVE


def respond(visit: Visit, *, cohort: str, spans: list[Span]) -> float:
    """Write one request; return what it took."""
    is_pilot = cohort == "pilot"
    request = stage.begin(visit, AGENT, "order-agent", spans)
    at_ms = stage.ask_model(request, 5.0, stage.spent(visit, 300), 520)
    queries = [ORDERS]
    if reads_customer(visit):
        queries.append(CUSTOMERS)
    if creeps(visit, cohort):
        queries.append(PAYMENTS)

    def read(at: Piece, begin_ms: float) -> tuple[float, bool]:
        for query in queries:
            end_ms = begin_ms + stage.spent(visit, 6)
            sql(request.trace, at, query, begin_ms, end_ms)
            begin_ms = end_ms + 0.5
        return begin_ms, False

    at_ms = stage.use_tool(request, "get_order", at_ms + 1.0, read)
    fault = "outage-stock" if is_pilot and visit.day in stage.FAULT_DAYS else ""
    made = Call(LEVEL, STOCK, stage.spent(visit, 40), 400.0, None, (), fault)

    def look_up(at: Piece, begin_ms: float) -> tuple[float, bool]:
        return stage.call(request, at, begin_ms, made)

    at_ms = stage.use_tool(request, "stock_level", at_ms + 1.0, look_up)
    at_ms = stage.ask_model(request, at_ms + 1.0, stage.spent(visit, 340), 700)
    scope = "orders:read customers:read" if is_pilot else "shop:*"
    return stage.finish(request, path="/api/orders", at_ms=at_ms, own=(("enduser.scope", scope),))
