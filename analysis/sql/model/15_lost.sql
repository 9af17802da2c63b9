-- lost: one row a span without a parent that something inside the system began (BOUNDARIES.md, lost callers).
--
-- A call stands at the top of its trace when its caller recorded nothing or passed no trace on. What
-- serves such a call is nobody's request, and the trace it begins is cut.

-- fragments that do an agent's work, whatever their root is called
CREATE OR REPLACE TEMP TABLE working AS
SELECT DISTINCT root_id
FROM tree
WHERE type IN ('agent', 'workflow', 'model');

-- what serves a call, and whether a program inside is seen to have made it
CREATE OR REPLACE TABLE served AS
SELECT
    node_id,
    trace_no,
    cohort,
    service,
    type,
    operation,
    is_program,
    parent_id IS NULL                                          AS is_top,
    parent_state <> 'missing' OR is_parent_remote IS NULL      AS is_begun,
    CASE
        WHEN parent_id IS NULL THEN type = 'queue_consumer' AND has_links
        ELSE is_parent_browser IS NOT TRUE
    END                                                        AS has_caller
FROM tree
WHERE type IN ('http_server', 'rpc_server', 'mcp_server', 'queue_consumer')
    AND NOT is_cyclic
    -- A server inside a server of its own process was called by nobody else.
    AND (parent_id IS NULL OR is_across OR parent_kind IN ('CLIENT', 'PRODUCER'));

CREATE OR REPLACE TEMP TABLE lost AS
WITH

-- Whom a program inside calls at least every second time, it called the other times too.
inner_operations AS (
    SELECT
        cohort,
        service,
        type,
        operation
    FROM served
    GROUP BY ALL
    HAVING 2 * count(*) FILTER (has_caller) >= count(*)
)

SELECT served.node_id
FROM served
LEFT JOIN inner_operations
    ON inner_operations.cohort = served.cohort
    AND inner_operations.service IS NOT DISTINCT FROM served.service
    AND inner_operations.type = served.type
    AND inner_operations.operation = served.operation
LEFT JOIN working
    ON working.root_id = served.node_id
WHERE served.is_top
    AND NOT served.has_caller
    AND served.is_begun
    AND (served.is_program OR inner_operations.cohort IS NOT NULL)
    -- What does an agent's work is a request, whoever asked; a load generator may ask too.
    AND (working.root_id IS NULL OR served.type IN ('mcp_server', 'queue_consumer'))
UNION ALL
-- A call begins no trace by itself; a browser's does, and so does what a program does in idle times.
SELECT node_id
FROM tree
WHERE parent_state IN ('root', 'remote')
    AND NOT is_cyclic
    AND NOT is_composite(type)
    AND NOT is_transparent(type)
    AND type NOT IN ('mcp_control', 'queue_poll', 'queue_admin')
    AND is_browser IS NOT TRUE
    AND NOT has_links;
