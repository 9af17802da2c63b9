-- How many calls outlived their caller's patience, or began after it?
--
-- unit: calls
-- better: lower
-- grain: cohort, boundary_id, bucket

WITH

-- what a callee called once its caller had gone; only where one clock says both times
late AS (
    SELECT
        inner_call.boundary_no,
        inner_call.bucket,
        count(*)                AS late,
        sum(inner_call.weight)  AS weighed_late
    FROM calls AS inner_call
    INNER JOIN (
        SELECT
            call_id,
            end_ns - coalesce(skew_ms, 0) * 1e6  AS gone_ns
        FROM calls
        WHERE abandoned_ms > 0
    ) AS given_up
        ON given_up.call_id = inner_call.outer_call_id
    WHERE inner_call.start_ns > given_up.gone_ns
    GROUP BY
        inner_call.boundary_no,
        inner_call.bucket
),

abandoned AS (
    SELECT
        boundary_no,
        bucket,
        count(*)                    AS abandoned,
        sum(weight)                 AS weighed_abandoned,
        sum(weight * abandoned_ms)  AS abandoned_ms
    FROM calls
    WHERE abandoned_ms > 0
        AND server_ms IS NOT NULL
        AND client_ms IS NOT NULL
    GROUP BY
        boundary_no,
        bucket
),

counted AS (
    SELECT
        boundary_no,
        bucket,
        count(*)                                                                    AS calls,
        sum(weight)                                                                 AS weighed_calls,
        count(*) FILTER (server_ms IS NOT NULL AND client_ms IS NOT NULL)           AS seen,
        sum(weight) FILTER (server_ms IS NOT NULL AND client_ms IS NOT NULL)        AS weighed_seen
    FROM calls
    GROUP BY
        boundary_no,
        bucket
),

met AS (
    SELECT
        boundary_no,
        count_units(unit_no)                                                                   AS units,
        count_units(CASE WHEN server_ms IS NOT NULL AND client_ms IS NOT NULL THEN unit_no END)  AS seen_units
    FROM calls
    GROUP BY boundary_no
)

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    counted.bucket,                                                  -- hash of the unit, for the interval
    counted.calls,
    counted.weighed_calls,                                           -- calls these stand for, where traces were sampled
    counted.seen,                                                    -- by caller and callee
    coalesce(counted.weighed_seen, 0)         AS weighed_seen,
    met.units,                                                       -- conversations, else traces, of all buckets
    met.seen_units,                                                  -- that have calls seen by both
    coalesce(abandoned.abandoned, 0)          AS abandoned,          -- of these: the callee worked on
    coalesce(abandoned.weighed_abandoned, 0)  AS weighed_abandoned,
    coalesce(abandoned.abandoned_ms, 0)       AS abandoned_ms,       -- for nobody
    coalesce(late.late, 0)                    AS late,               -- made when the caller's caller had given up
    coalesce(late.weighed_late, 0)            AS weighed_late
FROM counted
INNER JOIN boundaries
    ON boundaries.boundary_no = counted.boundary_no
INNER JOIN met
    ON met.boundary_no = counted.boundary_no
LEFT JOIN abandoned
    ON abandoned.boundary_no = counted.boundary_no
    AND abandoned.bucket = counted.bucket
LEFT JOIN late
    ON late.boundary_no = counted.boundary_no
    AND late.bucket = counted.bucket
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id,
    counted.bucket
