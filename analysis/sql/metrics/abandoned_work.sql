-- What was still done after the caller had given up?
--
-- unit: ms
-- better: lower
-- grain: cohort, boundary_id

WITH

-- a callee that worked longer than its caller waited; other clocks do not matter to that
given_up AS (
    SELECT *
    FROM calls
    WHERE abandoned_ms > 0
),

-- what the callee called once its caller had gone; only where one clock says both times
late AS (
    SELECT
        given_up.call_id                                    AS outer_id,
        count(*)                                            AS late_calls,
        count(*) FILTER (calls.access IN ('write', 'delete', 'admin'))  AS late_writes,
        sum(calls.cost_usd)                                 AS late_cost_usd
    FROM given_up
    INNER JOIN calls
        ON calls.outer_call_id = given_up.call_id
    WHERE calls.start_ns + coalesce(given_up.skew_ms, 0) * 1e6 > given_up.end_ns
    GROUP BY given_up.call_id
)

SELECT
    given_up.cohort,
    given_up.boundary_id,
    any_value(given_up.caller) || ' → ' || any_value(given_up.callee)  AS boundary,
    count(*)                                           AS abandoned,       -- calls whose callee went on
    count(DISTINCT given_up.unit_id)                   AS units,
    sum(given_up.abandoned_ms)                         AS abandoned_ms,    -- worked for nobody
    quantile_disc(given_up.client_ms, 0.5)             AS waited_p50_ms,   -- until the caller gave up
    coalesce(sum(late.late_calls), 0)::BIGINT          AS late_calls,      -- begun after that, by the callee itself
    coalesce(sum(late.late_writes), 0)::BIGINT         AS late_writes,     -- of them, those that change something
    coalesce(sum(late.late_cost_usd), 0)               AS late_cost_usd,
    arg_max(given_up.trace_id, (given_up.abandoned_ms, given_up.trace_id))  AS example_trace_id
FROM given_up
LEFT JOIN late
    ON late.outer_id = given_up.call_id
GROUP BY
    given_up.cohort,
    given_up.boundary_id
ORDER BY
    given_up.cohort,
    abandoned_ms DESC,
    given_up.boundary_id
