-- lost: one row a span without a parent that something inside the system began (BOUNDARIES.md, lost callers).
--
-- A call stands at the top of its trace when its caller recorded nothing or passed no trace on. What
-- serves such a call is nobody's request, and the trace it begins is cut.

-- fragments that do an agent's work, whatever their root is called
CREATE OR REPLACE TEMP TABLE working AS
SELECT DISTINCT root_id
FROM tree
WHERE type IN ('agent', 'workflow', 'model');

-- what serves a call, whether a program inside is seen to have made it, and whether it may be lost
CREATE OR REPLACE TABLE served AS
SELECT
    tree.node_id,
    tree.trace_no,
    tree.cohort,
    tree.service,
    tree.type,
    tree.operation,
    tree.is_program,
    CASE
        WHEN tree.parent_id IS NULL THEN tree.type = 'queue_consumer' AND tree.has_links
        ELSE tree.is_parent_browser IS NOT TRUE
    END                                                               AS has_caller,
    tree.parent_id IS NULL
        AND NOT (tree.type = 'queue_consumer' AND tree.has_links)
        AND (tree.parent_state <> 'missing' OR tree.is_parent_remote IS NULL)
        -- What does an agent's work is a request, whoever asked; a load generator may ask too.
        AND (working.root_id IS NULL OR tree.type IN ('mcp_server', 'queue_consumer'))  AS may_be_lost
FROM tree
LEFT JOIN working
    ON working.root_id = tree.node_id
WHERE tree.type IN ('http_server', 'rpc_server', 'mcp_server', 'queue_consumer')
    AND NOT tree.is_cyclic
    -- A server inside a server of its own process was called by nobody else.
    AND (tree.parent_id IS NULL OR tree.is_across OR tree.parent_kind IN ('CLIENT', 'PRODUCER'));

CREATE OR REPLACE TEMP TABLE lost AS
WITH

-- Whom a program inside calls at least every second time, it called the other times too.
inner_operations AS (
    SELECT
        cohort,
        service,
        type,
        operation
    FROM (
        SELECT cohort, service, type, operation, has_caller
        FROM served
        UNION ALL
        SELECT cohort, service, type, operation, has_caller
        FROM elsewhere_served
    )
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
WHERE served.may_be_lost
    AND (served.is_program OR inner_operations.cohort IS NOT NULL)
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
