-- When did every span of the requests that made these calls begin and end?
--
-- unit: ms
-- better: neither
-- grain: node_id

WITH

touched AS (
    SELECT DISTINCT
        nodes.root_id  AS request_id
    FROM calls
    INNER JOIN nodes
        ON nodes.node_id = calls.call_id
),

-- the requests of `replay_requests`, of which those without such a call stay as they are
chosen AS (
    SELECT request_id
    FROM requests
    QUALIFY row_number() OVER (ORDER BY md5(trace_id), request_id) <= 200000
)

SELECT
    nodes.node_id,
    chosen.request_id,
    coalesce(nodes.parent_id, -1)  AS parent_id,           -- -1: none; ids do not fit into floats with gaps
    nodes.start_ns,
    nodes.end_ns,
    groups.part = 'consumer'     AS is_aside,              -- taken from a queue: nobody waits for it
    calls.boundary_id,                                     -- of the asked calls only
    calls.is_error
FROM chosen
SEMI JOIN touched
    ON touched.request_id = chosen.request_id
INNER JOIN nodes
    ON nodes.root_id = chosen.request_id
INNER JOIN groups
    ON groups.node_id = nodes.node_id
LEFT JOIN calls
    ON calls.call_id = nodes.node_id
WHERE NOT nodes.is_cyclic
ORDER BY
    chosen.request_id,
    nodes.start_ns,
    nodes.node_id
