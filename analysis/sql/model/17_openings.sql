-- openings: one row a span that somebody outside waited for (BOUNDARIES.md, types D13).
--
-- A parent that was lost is a hole in the trace; a parent elsewhere is a client we cannot see.

CREATE OR REPLACE TEMP TABLE openings AS
WITH

-- what only carries an MCP call is the call, and nobody's request
carrying AS (
    SELECT DISTINCT solid_id
    FROM tree
    WHERE type IN ('mcp_server', 'mcp_control')
        AND solid_id IS NOT NULL
),

tops AS (
    SELECT
        tree.node_id,
        tree.trace_no,
        tree.start_ns,
        CASE
            WHEN tree.type IN ('http_server', 'rpc_server', 'ui')
            THEN lost.node_id IS NULL AND carrying.solid_id IS NULL AND NOT tree.is_probe
            WHEN tree.parent_state = 'root' AND tree.type IN ('agent', 'workflow')
            THEN NOT (tree.kind = 'CONSUMER' AND tree.has_links)
            WHEN tree.parent_state = 'root' AND tree.type IN ('internal', 'step', 'prompt', 'noise')
            THEN working.root_id IS NOT NULL
            ELSE false
        END                                           AS is_entry,
        tree.type IN ('agent', 'workflow')
            AND tree.is_orphan
            AND NOT (tree.kind = 'CONSUMER' AND tree.has_links)  AS may_be_entry
    FROM tree
    LEFT JOIN carrying
        ON carrying.solid_id = tree.node_id
    LEFT JOIN working
        ON working.root_id = tree.node_id
    LEFT JOIN lost
        ON lost.node_id = tree.node_id
    WHERE tree.parent_id IS NULL
        AND NOT tree.is_cyclic
        AND (tree.parent_state IN ('root', 'remote') OR tree.is_parent_remote IS NULL)
)

SELECT node_id
FROM tops
WHERE is_entry
UNION ALL
-- The first agent below a caller we cannot see stands for the request, where nothing else of its trace does.
SELECT min_by(node_id, (start_ns, node_id)) FILTER (may_be_entry)
FROM tops
GROUP BY trace_no
HAVING NOT bool_or(is_entry)
    AND bool_or(may_be_entry);
