-- Which ways of calling cost requests time: one after another, again and again, all at once, too often, or unexplained?
--
-- unit: ms
-- better: lower
-- grain: cohort, pattern, boundary_id, other_boundary_id, bucket

WITH

sums AS (
    SELECT
        variety_no,
        bucket,
        count(*) FILTER (found > 0)                              AS requests,
        sum(found)::BIGINT                                       AS found,
        (sum(calls) FILTER (found > 0))::BIGINT                  AS calls,
        max(most)                                                AS most,
        coalesce(sum(weight * cost_ns) FILTER (found > 0), 0) / 1e6  AS cost_ms,
        sum(overlapping)                                         AS overlapping,
        sum(forward)                                             AS forward,
        sum(backward)                                            AS backward,
        max(cost_ns) FILTER (found > 0)                          AS most_ns
    FROM patterns
    -- What others waited for is theirs.
    ANTI JOIN joins
        ON joins.node_id = patterns.request_id
    GROUP BY
        variety_no,
        bucket
),

-- two that ran at once, or in either order, wait for nothing of each other: each at least twice
told AS (
    SELECT
        *,
        (sum(overlapping) OVER variety)::BIGINT                                     AS all_overlapping,
        least(sum(forward) OVER variety, sum(backward) OVER variety)::BIGINT        AS all_reversed,
        coalesce(most_ns = max(most_ns) OVER variety, false)                        AS is_most
    FROM sums
    WINDOW variety AS (PARTITION BY variety_no)
),

examples AS (
    SELECT
        patterns.variety_no,
        max(patterns.request_id)  AS request_id
    FROM patterns
    INNER JOIN (
        SELECT DISTINCT
            variety_no,
            most_ns
        FROM told
        WHERE is_most
    ) AS dearest
        ON dearest.variety_no = patterns.variety_no
        AND dearest.most_ns = patterns.cost_ns
    INNER JOIN requests
        ON requests.request_id = patterns.request_id
    WHERE patterns.found > 0
    GROUP BY patterns.variety_no
)

SELECT
    varieties.cohort,
    varieties.pattern,
    varieties.boundary_id,                                  -- whose time; null: the entry's
    varieties.other_boundary_id,                            -- the other of two, or the call before which nothing is explained
    told.bucket,                                            -- hash of the unit, for the bootstrap
    told.found,                                             -- how often
    told.requests,                                          -- that it was found in
    told.calls,
    told.most,                                              -- calls of one of them
    told.all_overlapping  AS overlapping,                   -- serial: pairs seen at once, of all buckets
    told.all_reversed     AS reversed,                      -- serial: pairs in the rarer order, of all buckets
    told.cost_ms,                                           -- on the critical path
    requests.trace_id     AS example_trace_id               -- where one cost most
FROM told
INNER JOIN varieties
    ON varieties.variety_no = told.variety_no
LEFT JOIN examples
    ON examples.variety_no = told.variety_no
LEFT JOIN requests
    ON requests.request_id = examples.request_id
WHERE told.requests > 0
    AND (varieties.pattern <> 'serial' OR told.all_overlapping >= 2 OR told.all_reversed >= 2)
ORDER BY
    varieties.cohort,
    varieties.pattern,
    varieties.boundary_id,
    varieties.other_boundary_id,
    told.bucket
