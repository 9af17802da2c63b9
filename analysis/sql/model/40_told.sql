-- told: one row a distinct way to say what is touched, and the spans that said it (BOUNDARIES.md, access).
--
-- Spans repeat each other: what a resource is called and how it is used is worked out once a way, not once a
-- span. Besides the representatives the stores below them speak: an ORM names no table, its driver does.

CREATE OR REPLACE TEMP MACRO is_store(type) AS
    type IN ('db', 'cache', 'object_store', 'queue_producer');

CREATE OR REPLACE TEMP TABLE told AS
WITH

saying AS (
    SELECT
        {
            'node_id': members.group_id,
            'place': members.place,
            'is_alone': members.is_alone,
            'rows': coalesce(spans.db_rows, spans.memory_record_count)
        }                                                                         AS teller,
        members.type,
        members.label,
        CASE WHEN members.type IN ('mcp_server', 'rpc_server', 'ui') THEN members.service END  AS service,
        CASE WHEN members.type IN ('mcp_client', 'mcp_server') THEN members.kind END           AS kind,
        spans.db_system,
        coalesce(spans.server_address, spans.network_peer)                        AS peer,
        spans.peer_service,
        spans.db_namespace,
        -- a list may come written as text
        nullif(trim(spans.db_collection, '[]"'' '), '')                           AS collection,
        spans.db_operation,
        spans.query_text,
        spans.query_summary,
        -- A name often holds an id: it is asked only where no key says more.
        CASE
            WHEN members.type IN ('db', 'cache') AND coalesce(spans.db_operation, spans.query_text) IS NULL
                OR members.type IN ('object_store', 'rpc_client', 'rpc_server')
                OR (members.type LIKE 'queue%' AND spans.messaging_operation IN ('apply_async', 'run'))
            THEN spans.name
        END                                                                       AS name,
        spans.http_method,
        spans.http_route,
        CASE WHEN spans.http_route IS NULL THEN spans.url_path END                AS url_path,
        spans.graphql_operation,
        spans.destination,
        spans.messaging_system,
        spans.messaging_operation,
        spans.rpc_system,
        spans.rpc_service,
        spans.rpc_method,
        spans.mcp,
        spans.mcp_server,
        spans.mcp_resource_uri IS NOT NULL                                        AS is_mcp_resource,
        spans.bucket,
        spans.faas_name,
        spans.operation,
        spans.resource_name,
        lower(spans.resource_access)                                              AS resource_access,
        spans.resource_sensitivity
    FROM spans
    INNER JOIN members
        ON members.node_id = spans.node_id
    SEMI JOIN candidates
        ON candidates.node_id = members.group_id
    WHERE members.part = 'representative'
        OR (members.part IN ('layer', 'attempt') AND is_store(members.type))
)

SELECT
    hash(*COLUMNS(* EXCLUDE (teller)))           AS way,
    list(teller)                                 AS tellers,
    any_value(COLUMNS(* EXCLUDE (teller)))
FROM saying
GROUP BY way;

-- Each text is read once. `statement_of` and `summary_of` are in ingest.query_text.
CREATE OR REPLACE TEMP TABLE statements AS
SELECT
    query_text,
    statement_of(query_text)  AS statement
FROM (
    SELECT DISTINCT query_text
    FROM told
    WHERE query_text IS NOT NULL
);

CREATE OR REPLACE TEMP TABLE summaries AS
SELECT
    query_summary,
    summary_of(query_summary)  AS statement
FROM (
    SELECT DISTINCT query_summary
    FROM told
    WHERE query_summary IS NOT NULL
);
