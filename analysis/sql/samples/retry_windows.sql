-- How many tries did each handoff see in each five minutes?
--
-- unit: tries
-- better: lower
-- grain: cohort, boundary_id, window_at

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    boundaries.boundary_no,
    told.window_no,                                                    -- five minutes since 1970
    make_timestamp(told.window_no::BIGINT * 300000000)  AS window_at,
    told.calls,
    told.logical,                                                      -- calls that were meant
    told.tries,                                                        -- calls and the tries inside them
    told.weighed_tries,                                                -- tries these stand for, where traces were sampled
    told.failed
FROM (
    SELECT
        boundary_no,
        (start_ns // 300000000000)::INTEGER         AS window_no,
        count(*)                                    AS calls,
        count(*) - count(since_failed_ns)           AS logical,
        sum(greatest(attempts, 1))::BIGINT          AS tries,
        sum(weight * greatest(attempts, 1))         AS weighed_tries,
        count(*) FILTER (is_error)                  AS failed
    FROM calls
    GROUP BY
        boundary_no,
        window_no
) AS told
INNER JOIN boundaries
    ON boundaries.boundary_no = told.boundary_no
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id,
    told.window_no
