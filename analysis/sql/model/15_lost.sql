-- lost: one row a span without a parent that something inside the system began (BOUNDARIES.md, lost callers).
--
-- A call stands at the top of its trace when its caller recorded nothing or passed no trace on. What
-- serves such a call is nobody's request, and the trace it begins is cut.

-- fragments that do an agent's work, whatever their root is called
CREATE OR REPLACE TEMP TABLE working AS
SELECT DISTINCT root_id
FROM tree
WHERE type IN ('agent', 'workflow', 'model');

CREATE OR REPLACE TEMP TABLE lost AS
WITH

-- what serves a call, and whether a program inside is seen to have made it
served AS (
    SELECT
        tree.node_id,
        tree.type,
        tree.parent_id,
        tree.parent_state,
        spans.cohort,
        spans.service_name,
        spans.is_parent_remote,
        operation_name(tree.type, spans.http_method, spans.http_route, spans.url_path, spans.name)  AS operation,
        -- A program's library, not a browser or a person's tool.
        regexp_matches(
            coalesce(spans.user_agent, ''),
            '(?i)^(python-httpx|python-requests|aiohttp|python/|okhttp|axios|node-fetch'
            || '|go-http-client|grpc-|openai/|[a-z]+-ai/)'
        )                                                                          AS is_program,
        CASE
            WHEN tree.parent_id IS NULL
            THEN tree.type = 'queue_consumer' AND len(coalesce(spans.links, [])) > 0
            ELSE lower(caller.sdk_language) IS DISTINCT FROM 'webjs'
        END                                                                        AS has_caller
    FROM tree
    INNER JOIN spans
        ON spans.node_id = tree.node_id
    LEFT JOIN spans AS caller
        ON caller.node_id = tree.parent_id
    WHERE tree.type IN ('http_server', 'rpc_server', 'mcp_server', 'queue_consumer')
        AND NOT tree.is_cyclic
        -- A server inside a server of its own process was called by nobody else.
        AND (tree.parent_id IS NULL OR tree.is_across OR caller.kind IN ('CLIENT', 'PRODUCER'))
),

-- Whom a program inside calls at least every second time, it called the other times too.
inner_operations AS (
    SELECT
        cohort,
        service_name,
        type,
        operation
    FROM served
    GROUP BY ALL
    HAVING 2 * count(*) FILTER (WHERE has_caller) >= count(*)
)

SELECT served.node_id
FROM served
LEFT JOIN inner_operations
    ON inner_operations.cohort = served.cohort
    AND inner_operations.service_name IS NOT DISTINCT FROM served.service_name
    AND inner_operations.type = served.type
    AND inner_operations.operation = served.operation
LEFT JOIN working
    ON working.root_id = served.node_id
WHERE served.parent_id IS NULL
    AND NOT served.has_caller
    AND (served.parent_state <> 'missing' OR served.is_parent_remote IS NULL)
    AND (served.is_program OR inner_operations.cohort IS NOT NULL)
    -- What does an agent's work is a request, whoever asked; a load generator may ask too.
    AND (working.root_id IS NULL OR served.type IN ('mcp_server', 'queue_consumer'))
UNION ALL
-- A call begins no trace by itself; a browser's does, and so does what a program does in idle times.
SELECT tree.node_id
FROM tree
INNER JOIN spans
    ON spans.node_id = tree.node_id
WHERE tree.parent_state IN ('root', 'remote')
    AND NOT tree.is_cyclic
    AND NOT is_composite(tree.type)
    AND NOT is_transparent(tree.type)
    AND tree.type NOT IN ('mcp_control', 'queue_poll', 'queue_admin')
    AND lower(spans.sdk_language) IS DISTINCT FROM 'webjs'
    AND len(coalesce(spans.links, [])) = 0;
