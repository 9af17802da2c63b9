-- In which five minutes were how many calls slower than 95 of 100 are?
--
-- unit: calls
-- better: lower
-- grain: boundary_no, window_no

WITH

limits AS (
    SELECT
        boundary_no,
        quantile_disc(client_ms, 0.95)  AS limit_ms
    FROM calls
    GROUP BY boundary_no
),

told AS MATERIALIZED (
    SELECT
        calls.boundary_no,
        (calls.start_ns // 300000000000)::INTEGER            AS window_no,
        any_value(limits.limit_ms)                           AS limit_ms,
        count(*)                                             AS calls,
        count(*) FILTER (calls.client_ms > limits.limit_ms)  AS over
    FROM calls
    INNER JOIN limits
        ON limits.boundary_no = calls.boundary_no
    GROUP BY
        calls.boundary_no,
        window_no
)

SELECT
    told.boundary_no,                -- as in `boundary_names`
    told.window_no,                  -- five minutes since 1970
    told.limit_ms,                   -- p95 of the whole scope
    lengths.days,                    -- that the limit rests on
    told.calls,
    told.over                        -- calls slower than the limit
FROM told
INNER JOIN (
    SELECT
        boundary_no,
        count(DISTINCT window_no // 288)  AS days
    FROM told
    GROUP BY boundary_no
) AS lengths
    ON lengths.boundary_no = told.boundary_no
ORDER BY
    told.boundary_no,
    told.window_no
