-- critical_path: one row a span that a request waited for (METHODS.md, critical path).
--
-- `self_ns` is its window without its children's: over a request they sum to the request.

CREATE OR REPLACE TABLE critical_path AS
WITH

walk AS (
    SELECT
        cuts.root_id,
        cuts.node_id,
        cuts.parent_id,
        walked.call_id,
        walked.from_ns,
        walked.until_ns
    FROM cuts
    INNER JOIN cuts_walked AS walked
        ON walked.place = cuts.place
    WHERE walked.from_ns < walked.until_ns
),

passed AS (
    SELECT
        parent_id,
        sum(until_ns - from_ns)::BIGINT  AS passed_ns
    FROM walk
    WHERE parent_id IS NOT NULL
    GROUP BY parent_id
)

SELECT
    walk.root_id                                                            AS request_id,
    entries.cohort,
    entries.trace_id,
    entries.trace_no,
    walk.node_id,
    walk.call_id,
    bare_calls.boundary_id,
    bare_calls.kind,
    (walk.until_ns - walk.from_ns - coalesce(passed.passed_ns, 0))::BIGINT  AS self_ns,
    walk.from_ns,
    walk.until_ns,
    nodes.service,
    -- Who has children works through them; a leaf's work is told by its name.
    parents.parent_id IS NULL                                               AS is_leaf,
    -- Requests that waited for a handoff are counted by its first span there.
    row_number() OVER (PARTITION BY walk.root_id, bare_calls.boundary_id ORDER BY walk.node_id) = 1  AS is_first,
    entries.weight,
    (hash(entries.unit_id) % 100)::UTINYINT                                 AS bucket
FROM walk
INNER JOIN entries
    ON entries.request_id = walk.root_id
INNER JOIN nodes
    ON nodes.node_id = walk.node_id
LEFT JOIN (
    SELECT DISTINCT parent_id
    FROM nodes
    WHERE parent_id IS NOT NULL
) AS parents
    ON parents.parent_id = walk.node_id
LEFT JOIN bare_calls
    ON bare_calls.call_id = walk.call_id
LEFT JOIN passed
    ON passed.parent_id = walk.node_id;
