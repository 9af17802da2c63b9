"""What a call touches, and how: stores, layers, verbs and scopes (BOUNDARIES.md, access)."""

ACCESSES = "SELECT resource, access FROM accesses ORDER BY resource, access"


def touched(ask, drawing):
    """Resources and accesses of one drawing below an agent."""
    return ask(ACCESSES, f"agent a 0..1000\n{drawing}")


def test_the_driver_below_an_orm_tells_the_table_and_what_is_done_to_it(model, query):
    built = model("""
agent a 0..100
  db o 1..9 db_system=postgresql db_namespace=shop db_collection=
    db d 2..8 db_system=postgresql db_namespace=shop db_collection=customers db_operation=DELETE
    """)

    assert query(built, "SELECT resource, access, sensitivity FROM accesses") == [
        ("postgresql.shop.customers", "delete", ["pii"])
    ]
    assert query(built, "SELECT callee, access FROM calls") == [
        ("postgresql.shop.customers", "delete")
    ]


def test_every_statement_of_one_commit_is_an_access(ask):
    drawing = """
  db commit 10..90 db_system=postgresql db_namespace=shop db_collection= db_operation=COMMIT
    db one 20..30 db_system=postgresql db_namespace=shop db_collection=orders db_operation=INSERT
    db two 40..50 db_system=postgresql db_namespace=shop db_collection=stock db_operation=UPDATE
    db three 60..70 db_system=postgresql db_namespace=shop db_collection=carts db_operation=DELETE
    """

    assert touched(ask, drawing) == [
        ("postgresql.shop.carts", "delete"),
        ("postgresql.shop.orders", "write"),
        ("postgresql.shop.stock", "write"),
    ]


def test_one_table_under_two_names_is_one_access(ask):
    drawing = """
  db o 1..9 db_system=postgresql db_namespace=shop db_collection=public.users db_operation=SELECT
    db d 2..8 db_system=postgresql db_namespace=shop db_collection=users db_operation=SELECT
    """

    assert touched(ask, drawing) == [("postgresql.shop.public.users", "read")]


def test_each_verb_of_a_summary_has_its_own_targets(build, drawn, query):
    summaries = ["INSERT audit SELECT users", "SELECT a DELETE b", "SELECT ORDERS"]
    line = "\n  db d {0}..{0}.5 db_system=postgresql db_collection="
    rows = drawn("agent a 0..100" + "".join(line.format(place) for place in range(3)))
    for row, summary in zip(rows[1:], summaries, strict=True):
        row["query_summary"] = summary

    assert query(build(rows), ACCESSES) == [
        ("postgresql.ORDERS", "read"),
        ("postgresql.a", "read"),
        ("postgresql.audit", "write"),
        ("postgresql.b", "delete"),
        ("postgresql.users", "read"),
    ]


def test_a_named_collection_does_not_hide_the_other_tables_of_its_text(build, drawn, query):
    rows = drawn("agent a 0..100\n  db d 10..90 db_system=postgresql db_collection=audit")
    rows[1]["query_text"] = "INSERT INTO audit SELECT * FROM users"

    assert query(build(rows), ACCESSES) == [
        ("postgresql.audit", "write"),
        ("postgresql.users", "read"),
    ]


def test_the_verb_of_a_name_is_its_access(ask):
    accesses = {
        "get_orders": "read",
        "store-get_price": "read",
        "mcp__store__list_items": "read",
        "check-list__delete_order": "delete",
        "open_meteo_get_forecast": "read",
        "schedule_lookup": "read",
        "customer_lookup": "read",
        "store_document": "write",
        "schedule": "write",
        "drop_table": "admin",
        "run_sql": "execute",
        "frobnicate": "unknown",
    }

    drawing = "\n".join(f"  tool {name} {i}..{i}.5" for i, name in enumerate(accesses))
    assert dict(touched(ask, drawing)) == {f"tool:{name}": what for name, what in accesses.items()}


def test_small_tables_of_systems(build, drawn, query):
    told = {
        "rpc_system=aws-api rpc_service=SQS rpc_method=DeleteQueue": ("aws_sqs:?", "admin"),
        "rpc_system=aws-api rpc_service=SQS rpc_method=DeleteMessage": ("aws_sqs:?", "delete"),
        "rpc_system=aws-api rpc_service=SNS rpc_method=CreateTopic": ("aws_sns:?", "admin"),
        "messaging_operation=apply_async destination=mail": ("celery:mail", "write"),
        "rpc_system=aws-api rpc_service=SSM rpc_method=GetParameter": ("secret:?", "read"),
        "rpc_system=aws-api rpc_service=secretsmanager rpc_method=PutResourcePolicy": (
            "secret:?",
            "admin",
        ),
        "db_system=elasticsearch db_operation=_search db_collection=logs": (
            "elasticsearch.logs",
            "read",
        ),
        "db_system=postgresql db_operation=prune_orders": ("postgresql:?", "execute"),
        "db_system=postgresql db_operation=findMany": ("postgresql:?", "read"),
    }
    lines = [f"  - x {i}..{i}.5 kind=CLIENT {columns}" for i, columns in enumerate(told)]
    built = build(drawn("\n".join(["agent a 0..100", *lines])))

    sql = "SELECT resource, access FROM accesses ORDER BY started_at"
    assert query(built, sql) == list(told.values())


def test_secrets_are_always_told_as_credentials(ask):
    drawing = """
agent a 0..9
  - x 1..2 kind=CLIENT rpc_system=aws-api rpc_service=SSM rpc_method=GetParameter
    """

    assert ask("SELECT sensitivity, is_sensitivity_inferred FROM accesses", drawing) == [
        (["credential"], True)
    ]


def test_a_pipeline_that_ends_in_a_collection_writes(build, drawn, query):
    rows = drawn(
        "agent a 0..100\n  db d 10..90 db_system=mongodb db_collection=sales db_operation=aggregate"
    )
    rows[1]["query_text"] = '[{"$match":{"x":"?"}},{"$out":"?"}]'

    assert query(build(rows), ACCESSES) == [("mongodb.sales", "write")]


def test_a_host_whose_paths_are_data_has_no_boundary_a_call(ask):
    lines = [
        f"  http_client h {i}..{i + 1} http_method=GET url_path=/page-{i:03}" for i in range(230)
    ]
    lines += [
        f"  http_client h {i}..{i + 1} http_method=GET url_path=/often" for i in range(300, 303)
    ]
    lines += [
        f"  http_client told {i}..{i + 1} http_method=GET http_route=/r/{i}"
        for i in range(310, 315)
    ]

    drawing = "\n".join(["agent a 0..1000", *lines])
    assert ask(
        """
        SELECT
            count(DISTINCT callee),
            count(*) FILTER (callee = 'http:h/{*}'),
            count(*) FILTER (callee = 'http:h/often')
        FROM calls
        WHERE callee LIKE 'http:h/%'
        """,
        drawing,
    ) == [(201, 31, 3)]
    assert ask("SELECT count(DISTINCT callee) FROM calls WHERE callee LIKE '%told%'", drawing) == [
        (5,)
    ]
