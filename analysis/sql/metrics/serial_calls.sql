-- Which calls of one caller follow each other although they were seen not to need that?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id, other_boundary_id, bucket

WITH

followed AS (
    SELECT
        calls.cohort,
        calls.trace_id,
        calls.boundary_id,
        calls.end_ns,
        nodes.root_id,
        critical_path.until_ns - critical_path.from_ns  AS path_ns,
        lead(calls.boundary_id) OVER beside             AS next_boundary_id,
        lead(calls.start_ns) OVER beside                AS next_start_ns,
        lead(critical_path.until_ns - critical_path.from_ns) OVER beside  AS next_path_ns
    FROM calls
    INNER JOIN nodes
        ON nodes.node_id = calls.call_id
    LEFT JOIN critical_path
        ON critical_path.node_id = calls.call_id
    WHERE calls.caller_id IS NOT NULL
    WINDOW beside AS (PARTITION BY calls.caller_id ORDER BY calls.start_ns, calls.call_id)
),

pairs AS (
    SELECT
        *,
        next_start_ns < end_ns                        AS is_overlapping,
        least(boundary_id, next_boundary_id)          AS one_id,
        greatest(boundary_id, next_boundary_id)       AS two_id
    FROM followed
    WHERE next_boundary_id <> boundary_id
),

-- two that ran at once, or in either order, wait for nothing of each other: each at least twice
free AS (
    SELECT
        cohort,
        one_id,
        two_id,
        count(*) FILTER (is_overlapping)                                   AS overlapping,
        count(*) FILTER (NOT is_overlapping AND boundary_id = one_id)      AS one_first,
        count(*) FILTER (NOT is_overlapping AND boundary_id = two_id)      AS two_first
    FROM pairs
    GROUP BY
        cohort,
        one_id,
        two_id
    HAVING overlapping >= 2
        OR one_first >= 2 AND two_first >= 2
)

SELECT
    pairs.cohort,
    pairs.one_id                                                          AS boundary_id,
    pairs.two_id                                                          AS other_boundary_id,
    (hash(requests.unit_id) % 100)::INTEGER                   AS bucket,       -- hash of the unit
    count(*)                                                              AS found,        -- times one followed the other
    count(DISTINCT requests.request_id)                                   AS requests,
    count(DISTINCT requests.unit_id)                                      AS units,
    2 * count(*)                                                          AS calls,
    2                                                                     AS most,
    any_value(free.overlapping)                                           AS overlapping,  -- pairs seen at once
    any_value(least(free.one_first, free.two_first))                      AS reversed,     -- pairs in the rarer order
    coalesce(sum(requests.weight * least(pairs.path_ns, pairs.next_path_ns)), 0) / 1e6  AS cost_ms,  -- the shorter one's path
    arg_max(
        pairs.trace_id, (least(pairs.path_ns, pairs.next_path_ns), pairs.trace_id)
    )                                                                     AS example_trace_id
FROM pairs
INNER JOIN free
    ON free.cohort = pairs.cohort
    AND free.one_id = pairs.one_id
    AND free.two_id = pairs.two_id
INNER JOIN requests
    ON requests.request_id = pairs.root_id
WHERE NOT pairs.is_overlapping
    AND pairs.path_ns IS NOT NULL
    AND pairs.next_path_ns IS NOT NULL
GROUP BY
    pairs.cohort,
    pairs.one_id,
    pairs.two_id,
    bucket
ORDER BY
    pairs.cohort,
    pairs.one_id,
    pairs.two_id,
    bucket
