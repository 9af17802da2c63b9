-- patterns: one row a request, way of calling and place in it, with what that cost on the critical path
-- (METHODS.md, patterns of calls). They overlap: a call may be part of several.

-- calls under requests, with what the path holds of each
CREATE OR REPLACE TEMP TABLE beside AS
SELECT
    calls.call_id,
    calls.caller_id,
    calls.boundary_id,
    calls.request_id,
    calls.start_ns,
    calls.end_ns,
    calls.is_error,
    calls.path_ns,
    coalesce(
        max(calls.end_ns) OVER (
            PARTITION BY calls.caller_id
            ORDER BY calls.start_ns, calls.call_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) <= calls.start_ns,
        true
    )                                    AS is_first,
    lead(calls.boundary_id) OVER siblings  AS next_boundary_id,
    lead(calls.start_ns) OVER siblings     AS next_start_ns,
    lead(calls.path_ns) OVER siblings      AS next_path_ns
FROM calls
SEMI JOIN entries
    ON entries.request_id = calls.request_id
WHERE calls.caller_id IS NOT NULL
WINDOW siblings AS (PARTITION BY calls.caller_id ORDER BY calls.start_ns, calls.call_id);

CREATE OR REPLACE TABLE patterns AS
WITH

-- Calls that follow one another, of which each may need the one before; which pairs do not, all requests tell.
serial AS (
    SELECT
        request_id,
        least(boundary_id, next_boundary_id)                                   AS boundary_id,
        greatest(boundary_id, next_boundary_id)                                AS other_boundary_id,
        count(*) FILTER (is_apart AND cost_ns IS NOT NULL)                     AS found,
        2 * count(*) FILTER (is_apart AND cost_ns IS NOT NULL)                 AS calls,
        2                                                                      AS most,
        coalesce(sum(CASE WHEN is_apart THEN cost_ns END), 0)::BIGINT          AS cost_ns,
        count(*) FILTER (NOT is_apart)                                         AS overlapping,
        count(*) FILTER (is_apart AND boundary_id < next_boundary_id)          AS forward,
        count(*) FILTER (is_apart AND boundary_id > next_boundary_id)          AS backward
    FROM (
        SELECT
            *,
            next_start_ns >= end_ns                                            AS is_apart,
            CASE WHEN path_ns IS NOT NULL AND next_path_ns IS NOT NULL THEN least(path_ns, next_path_ns) END  AS cost_ns
        FROM beside
        WHERE next_boundary_id <> boundary_id
    )
    GROUP BY
        request_id,
        least(boundary_id, next_boundary_id),
        greatest(boundary_id, next_boundary_id)
),

-- a failed call that is tried again is a retry; three that went well are one after another by design
repeated AS (
    SELECT
        request_id,
        boundary_id,
        count(*)                                       AS calls,
        coalesce(sum(path_ns) - max(path_ns), 0)       AS cost_ns
    FROM beside
    WHERE NOT is_error
    GROUP BY
        request_id,
        boundary_id,
        caller_id
    HAVING count(*) >= 3
),

islands AS (
    SELECT
        *,
        sum((is_first)::INTEGER) OVER (PARTITION BY caller_id ORDER BY start_ns, call_id)  AS island
    FROM beside
),

fans AS (
    SELECT
        any_value(islands.request_id)                               AS request_id,
        count(*)                                                    AS calls,
        arg_max(islands.call_id, (islands.end_ns, islands.call_id)) AS last_id,
        max(islands.end_ns, 2)[2]                                   AS second_end_ns
    FROM islands
    SEMI JOIN (
        SELECT caller_id
        FROM beside
        WHERE NOT is_first
    ) AS spreading
        ON spreading.caller_id = islands.caller_id
    GROUP BY
        islands.caller_id,
        islands.island
    HAVING count(*) >= 2
),

fanned AS (
    SELECT
        fans.request_id,
        beside.boundary_id,
        fans.calls,
        coalesce(greatest(
            0, critical_path.until_ns - greatest(critical_path.from_ns, fans.second_end_ns)
        ), 0)  AS cost_ns
    FROM fans
    INNER JOIN beside
        ON beside.call_id = fans.last_id
    LEFT JOIN critical_path
        ON critical_path.node_id = fans.last_id
),

chatty AS (
    SELECT
        calls.request_id,
        calls.boundary_id,
        count(*)                                    AS calls,
        coalesce(sum(calls.path_way_ns), 0)         AS way_ns
    FROM calls
    SEMI JOIN entries
        ON entries.request_id = calls.request_id
    WHERE calls.server_ms IS NOT NULL
    GROUP BY
        calls.request_id,
        calls.boundary_id
    HAVING count(*) >= 5
),

-- within a caller's window the path goes from one of its children to the next
steps AS (
    SELECT
        nodes.parent_id,
        critical_path.call_id,
        critical_path.boundary_id,
        critical_path.from_ns,
        critical_path.until_ns,
        lag(critical_path.until_ns) OVER (
            PARTITION BY nodes.parent_id
            ORDER BY critical_path.from_ns, critical_path.until_ns
        )  AS before_ns
    FROM critical_path
    INNER JOIN nodes
        ON nodes.node_id = critical_path.node_id
    WHERE nodes.parent_id IS NOT NULL
),

-- who has no child at all works, and leaves nothing unexplained
callers AS (
    SELECT critical_path.*
    FROM critical_path
    SEMI JOIN nodes
        ON nodes.parent_id = critical_path.node_id
),

pieces AS (
    SELECT
        callers.request_id,
        callers.boundary_id,
        CASE
            WHEN steps.call_id IS DISTINCT FROM callers.call_id THEN steps.boundary_id
        END                                                            AS other_boundary_id,
        steps.from_ns - coalesce(steps.before_ns, callers.from_ns)     AS self_ns
    FROM callers
    INNER JOIN steps
        ON steps.parent_id = callers.node_id
    UNION ALL
    -- after the last of them, or where there is none
    SELECT
        callers.request_id,
        callers.boundary_id,
        NULL,
        callers.until_ns - coalesce(ended.until_ns, callers.from_ns)
    FROM callers
    LEFT JOIN (
        SELECT
            parent_id,
            max(until_ns)  AS until_ns
        FROM steps
        GROUP BY parent_id
    ) AS ended
        ON ended.parent_id = callers.node_id
),

told AS (
    SELECT
        'serial'  AS pattern,
        *
    FROM serial
    UNION ALL BY NAME
    SELECT
        'repeated'                       AS pattern,
        request_id,
        boundary_id,
        count(*)                         AS found,
        sum(calls)::BIGINT               AS calls,
        max(calls)                       AS most,
        sum(cost_ns)::BIGINT             AS cost_ns
    FROM repeated
    GROUP BY
        request_id,
        boundary_id
    UNION ALL BY NAME
    SELECT
        'fan-out'                        AS pattern,
        request_id,
        boundary_id,
        count(*)                         AS found,
        sum(calls)::BIGINT               AS calls,
        max(calls)                       AS most,
        sum(cost_ns)::BIGINT             AS cost_ns
    FROM fanned
    GROUP BY
        request_id,
        boundary_id
    UNION ALL BY NAME
    SELECT
        'chatty'                                       AS pattern,
        request_id,
        boundary_id,
        1                                              AS found,
        calls,
        calls                                          AS most,
        round(way_ns * (calls - 1) / calls)::BIGINT    AS cost_ns
    FROM chatty
    UNION ALL BY NAME
    SELECT
        'unexplained'                    AS pattern,
        request_id,
        boundary_id,
        other_boundary_id,
        count(*)                         AS found,
        count(*)                         AS calls,
        1                                AS most,
        sum(self_ns)::BIGINT             AS cost_ns
    FROM pieces
    WHERE self_ns > 0
    GROUP BY
        request_id,
        boundary_id,
        other_boundary_id
)

SELECT
    entries.cohort,
    entries.trace_no,
    told.request_id,
    told.pattern,
    told.boundary_id,              -- null: the entry's
    told.other_boundary_id,
    told.found,
    told.calls,
    told.most,
    told.cost_ns,
    told.overlapping,              -- serial only: pairs seen at once
    told.forward,                  -- pairs of which the lesser id came first
    told.backward,
    entries.weight,
    (hash(entries.unit_id) % 100)::UTINYINT  AS bucket,
    -- told by whole/05_numbers.sql
    NULL::INTEGER                  AS variety_no
FROM told
INNER JOIN entries
    ON entries.request_id = told.request_id;
