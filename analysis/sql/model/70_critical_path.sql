-- critical_path: one row a span that a request waited for (METHODS.md, critical path; in closed form).
--
-- A span is critical on one window, or not at all: from the latest start to the earliest cut among
-- itself and its ancestors. Only critical spans have critical children, so the walk stays short.
-- What a consumer does after a message was sent holds up nobody and is left out.

-- how far each span counts before a sibling that ends later takes over
CREATE OR REPLACE TEMP TABLE cuts AS
WITH

waited AS (
    SELECT
        nodes.node_id,
        nodes.parent_id,
        nodes.start_ns,
        nodes.end_ns,
        calls.call_id
    FROM nodes
    INNER JOIN groups
        ON groups.node_id = nodes.node_id
    LEFT JOIN calls
        ON calls.call_id = groups.group_id
    SEMI JOIN entries
        ON entries.request_id = nodes.root_id
    WHERE groups.part <> 'consumer'
)

SELECT
    node_id,
    parent_id,
    call_id,
    start_ns,
    least(
        end_ns,
        coalesce(
            min(start_ns) OVER (
                PARTITION BY parent_id
                ORDER BY end_ns DESC, start_ns, node_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ),
            end_ns
        )
    )  AS cut_ns
FROM waited
WHERE parent_id IS NOT NULL;

CREATE OR REPLACE TABLE critical_path AS
WITH RECURSIVE

walk AS (
    SELECT
        entries.request_id,
        entries.request_id  AS node_id,
        NULL::BIGINT         AS parent_id,
        calls.call_id,
        entries.start_ns    AS from_ns,
        entries.end_ns      AS until_ns
    FROM entries
    INNER JOIN groups
        ON groups.node_id = entries.request_id
    LEFT JOIN calls
        ON calls.call_id = groups.group_id
    WHERE entries.end_ns > entries.start_ns

    UNION ALL

    SELECT
        walk.request_id,
        cuts.node_id,
        walk.node_id,
        coalesce(cuts.call_id, walk.call_id),
        greatest(cuts.start_ns, walk.from_ns),
        least(cuts.cut_ns, walk.until_ns)
    FROM walk
    INNER JOIN cuts
        ON cuts.parent_id = walk.node_id
    WHERE greatest(cuts.start_ns, walk.from_ns) < least(cuts.cut_ns, walk.until_ns)
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
    walk.request_id,
    entries.cohort,
    entries.trace_id,
    walk.node_id,
    walk.call_id,
    calls.boundary_id,
    calls.kind,
    (walk.until_ns - walk.from_ns - coalesce(passed.passed_ns, 0))::BIGINT  AS self_ns,
    walk.from_ns,
    walk.until_ns
FROM walk
INNER JOIN entries
    ON entries.request_id = walk.request_id
LEFT JOIN calls
    ON calls.call_id = walk.call_id
LEFT JOIN passed
    ON passed.parent_id = walk.node_id
ORDER BY
    walk.request_id,
    walk.node_id;
