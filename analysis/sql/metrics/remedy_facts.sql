-- What tells which remedy a handoff lacks?
--
-- unit: calls
-- better: neither
-- grain: cohort, boundary_id

WITH

-- failures that start at a handoff and reach a user, by what they are
classes AS (
    SELECT
        cohort,
        boundary_id,
        error_class,
        sum(origin_weight)  AS weight
    FROM failures
    WHERE is_origin
        AND is_visible
        AND boundary_id IS NOT NULL
    GROUP BY
        cohort,
        boundary_id,
        error_class
),

foremost AS (
    SELECT
        cohort,
        boundary_id,
        error_class
    FROM classes
    QUALIFY row_number() OVER (
        PARTITION BY cohort, boundary_id
        ORDER BY weight DESC, error_class
    ) = 1
)

SELECT
    calls.cohort,
    calls.boundary_id,
    count(*)                           AS calls,
    count(calls.timeout_ms)            AS calls_with_timeout,  -- that tell after how long their caller gives up
    max(calls.timeout_ms)::DOUBLE      AS timeout_ms,          -- the longest that one of them tells
    any_value(foremost.error_class)    AS error_class          -- of most failures that reach a user
FROM calls
LEFT JOIN foremost
    ON foremost.cohort = calls.cohort
    AND foremost.boundary_id = calls.boundary_id
GROUP BY
    calls.cohort,
    calls.boundary_id
ORDER BY
    calls.cohort,
    calls.boundary_id
