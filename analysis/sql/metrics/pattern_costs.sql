-- Which ways of calling cost requests time: one after another, again and again, all at once, too often, or unexplained?
--
-- unit: ms
-- better: lower
-- grain: cohort, pattern, boundary_id, other_boundary_id, bucket

WITH

known AS (
    SELECT
        request_id,
        trace_id,
        weight,
        bucket
    FROM requests
),

-- two that ran at once, or in either order, wait for nothing of each other: each at least twice
free AS (
    SELECT
        cohort,
        boundary_id,
        other_boundary_id,
        sum(overlapping)::BIGINT                      AS overlapping,
        least(sum(forward), sum(backward))::BIGINT    AS reversed
    FROM patterns
    WHERE pattern = 'serial'
    GROUP BY
        cohort,
        boundary_id,
        other_boundary_id
    HAVING sum(overlapping) >= 2
        OR least(sum(forward), sum(backward)) >= 2
),

costs AS (
    SELECT
        patterns.cohort,
        patterns.pattern,
        patterns.boundary_id,
        patterns.other_boundary_id,
        known.bucket,
        count(*)                                                              AS requests,
        sum(patterns.found)::BIGINT                                           AS found,
        sum(patterns.calls)::BIGINT                                           AS calls,
        max(patterns.most)                                                    AS most,
        sum(known.weight * patterns.cost_ns) / 1e6                            AS cost_ms,
        -- One whole number for both: comparing rows costs ten times as much.
        arg_max(
            patterns.request_id, patterns.cost_ns::HUGEINT * 9223372036854775808 + patterns.request_id
        )                                                                     AS example_id
    FROM patterns
    INNER JOIN known
        ON known.request_id = patterns.request_id
    WHERE patterns.found > 0
    GROUP BY
        patterns.cohort,
        patterns.pattern,
        patterns.boundary_id,
        patterns.other_boundary_id,
        known.bucket
)

SELECT
    costs.cohort,
    costs.pattern,
    costs.boundary_id,                                      -- whose time; null: the entry's
    costs.other_boundary_id,                                -- the other of two, or the call before which nothing is explained
    costs.bucket,                                           -- hash of the unit, for the bootstrap
    costs.found,                                            -- how often
    costs.requests,                                         -- that it was found in
    costs.calls,
    costs.most,                                             -- calls of one of them
    free.overlapping,                                       -- serial: pairs seen at once
    free.reversed,                                          -- serial: pairs in the rarer order
    costs.cost_ms,                                          -- on the critical path
    examples.trace_id  AS example_trace_id                  -- where it cost most
FROM costs
LEFT JOIN free
    ON costs.pattern = 'serial'
    AND free.cohort = costs.cohort
    AND free.boundary_id = costs.boundary_id
    AND free.other_boundary_id = costs.other_boundary_id
LEFT JOIN known AS examples
    ON examples.request_id = costs.example_id
WHERE costs.pattern <> 'serial'
    OR free.boundary_id IS NOT NULL
ORDER BY
    costs.cohort,
    costs.pattern,
    costs.boundary_id,
    costs.other_boundary_id,
    costs.bucket
