"""What the data cannot say is told; so are clocks, scopes and tools that do more than they say."""

import pytest

GAPS = "SELECT gap, service, found, total FROM gaps ORDER BY gap, service, found"


def test_every_hole_has_a_name_a_place_and_a_count(build, drawn, query):
    rows = drawn(
        """
http_server GET:/a 0..100 service_name=front
  internal work 10..90
    http_client crm.prod.svc 20..30 service_name=front http_method=GET
    http_client api.stripe.com 40..50 service_name=front http_method=GET
    db d 60..70 db_system=postgresql db_collection= service_name=front

http_server GET:/crm 0..9 service_name=crm parent=elsewhere is_parent_remote=true

http_server GET:/crm 0..9 service_name=crm parent=gone is_parent_remote=false

http_server GET:/crm 0..9 service_name=crm parent=who

http_server GET:/crm 0..9 service_name=crm user_agent=python-requests/2

agent a 0..9 service_name=unknown_service:python dropped_attributes_count=3
  tool t 1..2
        """
    )
    built = build(rows)

    assert query(built, GAPS) == [
        ("broken_propagation", "crm", 1, 4),
        ("dropped_attributes", "unknown_service:python", 1, 2),
        ("missing_server", "front", 1, 1),
        ("missing_upstream", "crm", 1, 4),
        ("span_loss", "crm", 1, 4),
        ("unclassified", "front", 1, 5),
        ("uninstrumented_peer", "front", 1, 1),
        ("unknown_orphan", "crm", 1, 4),
        ("unknown_service", "unknown_service:python", 2, 11),
        ("unresolved_resource", "front", 1, 1),
    ]
    assert query(built, "SELECT count(*) FROM gaps WHERE blinds IS NULL OR example_id IS NULL") == [
        (0,)
    ]
    frame = built.ask("gaps")
    assert frame["share"].between(0, 1).all()


def test_a_lake_without_holes_has_no_gaps(ask):
    drawing = """
http_server GET:/a 0..100 service_name=front
  http_client crm 20..50 http_method=GET
    http_server GET:/crm 25..45 service_name=crm
    """

    assert ask(GAPS, drawing) == []


def test_a_word_that_is_no_type_is_told_and_the_other_rules_decide(ask):
    drawing = """
agent a 0..100
  - search 10..90 node_type=Toool tool_name=search
  - lookup 10..90 node_type=Tool tool_name=lookup
    """

    assert ask(GAPS, drawing) == [("unknown_type", "app", 1, 3)]
    assert ask("SELECT name, type FROM nodes WHERE name <> 'a' ORDER BY name", drawing) == [
        ("lookup", "tool"),
        ("search", "tool"),
    ]


def test_layers_that_count_other_tokens_are_told(ask):
    drawing = """
agent a 0..100
  model m 1..9 input_tokens=100 output_tokens=10
    model m 2..8 input_tokens=150 output_tokens=10
  model m 11..19 input_tokens=100 output_tokens=50
    model m 12..18 input_tokens=101 output_tokens=40
  model m 21..29 input_tokens=1000 output_tokens=100
    model m 22..28 input_tokens=1019 output_tokens=100
  model m 31..39 input_tokens=100 output_tokens=10
    model m 32..38 input_tokens=20 cache_read_tokens=80 output_tokens=10
  model m 41..49 input_tokens=100 output_tokens=10
    model m 42..48 input_tokens=100 output_tokens=4 reasoning_tokens=6
  model m 51..59 input_tokens=100
    model m 52..54 input_tokens=40
    model m 55..58 input_tokens=60
  model m 61..69 input_tokens=100
    """

    # Two of five calls that two layers count; tries below one are no layers.
    sql = "SELECT found, total FROM gaps WHERE gap = 'token_mismatch'"
    assert ask(sql, drawing) == [(2, 5)]
    assert ask("SELECT count(*) FROM calls WHERE kind = 'model'", drawing) == [(7,)]


def clocks(drawn, ahead_ms, *, calls=20):
    """Twenty calls of one service by another, whose clock is ahead."""
    lines = ["agent a 0..100000 service_name=front host=here"]
    for number in range(calls):
        start = number * 100
        lines += [
            f"  http_client crm {start}..{start + 50} http_method=GET host=here",
            f"    http_server GET:/crm {start + 10 + ahead_ms}..{start + 30 + ahead_ms}"
            " service_name=crm host=there",
        ]
    return drawn("\n".join(lines))


@pytest.mark.parametrize(
    ("ahead_ms", "offset_ms", "is_capped"),
    # Between a client's start and end a server fits 10 ms after or 20 ms before; half of both is 5.
    [(0, 0, False), (15, 0, False), (500, 495, False), (-300, -305, False), (60_000, 10_000, True)],
)
def test_an_offset_is_told_where_no_common_time_explains_the_pairs(
    build, drawn, query, ahead_ms, offset_ms, is_capped
):
    sql = "SELECT client_clock, server_clock, pairs, offset_ms, is_capped FROM clocks"

    assert query(build(clocks(drawn, ahead_ms)), sql) == [
        ("here", "there", 20, offset_ms, is_capped)
    ]


def test_a_server_that_outlives_its_client_bounds_no_clock(ask):
    drawing = """
agent a 0..100 host=here
  http_client crm 10..20 host=here
    http_server GET:/crm 12..90 service_name=crm host=there
    """

    assert ask("SELECT count(*) FROM clocks", drawing) == [(0,)]


def test_a_tool_that_does_more_than_its_name_says_is_a_mismatch(ask):
    drawing = """
agent a 0..100
  tool get_orders 1..50
    http_client shop 2..40 http_method=GET
      http_server GET:/orders 3..39 service_name=shop
        db d 4..10 db_system=postgresql db_collection=orders db_operation=SELECT
        db d 11..20 db_system=postgresql db_collection=orders db_operation=UPDATE
  tool delete_order 60..70
    db d 61..62 db_system=postgresql db_collection=orders db_operation=DELETE
  tool get_nothing 80..90
    db d 81..82 db_system=postgresql db_collection=orders db_operation=SELECT
    """

    assert ask("SELECT callee, declared, reached, reached_callee FROM mismatches", drawing) == [
        ("tool:get_orders", "read", "write", "postgresql.orders")
    ]


def test_a_servers_tool_without_a_verb_does_what_is_seen_below_it(ask):
    drawing = """
agent a 0..100
  mcp_client frobnicate 1..50 mcp_server=shop
    mcp_server frobnicate 3..39 service_name=shop mcp_server=shop
      db d 11..20 db_system=postgresql db_collection=orders db_operation=DELETE
    """

    assert ask("SELECT access FROM accesses WHERE kind = 'mcp'", drawing) == [("delete",)]


def test_scopes_are_told_a_hop_with_what_is_new_to_the_one_above(build, drawn, query):
    rows = drawn(
        """
http_server GET:/a 0..100 service_name=front
  agent a 10..90
    tool get_orders 20..30
    mcp_client b 40..60
      mcp_server b 41..59 service_name=shop
        """
    )
    rows[0]["scopes_granted"] = ["orders:read"]
    rows[0]["attributes"] = [
        ("enduser.scope", "orders:read audit"),
        ("orch.auth.principal", "User"),
    ]
    rows[2]["scopes_granted"] = ["audit", "orders:read"]
    rows[4]["scopes_granted"] = ["orders:read", "orders:write"]
    rows[4]["scopes_required"] = ["orders:read", "admin"]

    sql = """
        SELECT coalesce(agent, service), granted, principal, added, is_inherited, lacking
        FROM scopes
        ORDER BY started_at
    """
    assert query(build(rows), sql) == [
        ("front", ["audit", "orders:read"], "user", None, None, []),
        ("a", ["audit", "orders:read"], None, [], True, []),
        ("a", ["orders:read", "orders:write"], None, ["orders:write"], False, ["admin"]),
    ]
