-- Which writes were made again after a time-out, without a key that would make them one?
--
-- unit: writes
-- better: lower
-- grain: call_id

WITH

-- writes whose answer never came: only what their callers did is looked at
unanswered AS (
    SELECT
        caller_id,
        boundary_no
    FROM calls
    WHERE caller_id IS NOT NULL
        AND access = 'write'
        AND (error_class IN ('timeout', 'incomplete') OR abandoned_ms > 0)
),

tried AS (
    SELECT
        calls.*,
        lag(call_id) OVER alike               AS first_id,
        lag(end_ns) OVER alike                AS first_end_ns,
        lag(error_class) OVER alike           AS first_class,
        lag(server_ms) OVER alike             AS first_server_ms,
        lag(abandoned_ms) OVER alike          AS first_abandoned_ms,
        lag(has_idempotency_key) OVER alike   AS first_has_key
    FROM calls
    SEMI JOIN unanswered
        ON unanswered.caller_id = calls.caller_id
        AND unanswered.boundary_no = calls.boundary_no
    WHERE access = 'write'
        -- Made twice, these leave what they leave once (RFC 9110, 9.2.2).
        AND coalesce(http_method NOT IN ('PUT', 'DELETE'), true)
    WINDOW alike AS (PARTITION BY caller_id, boundary_no ORDER BY start_ns, call_id)
)

SELECT
    cohort,
    boundary_id,
    caller || ' → ' || callee                           AS boundary,
    trace_id,
    span_id,
    call_id,                                            -- the second write
    first_id,                                           -- the one whose answer never came
    first_class,
    -- A callee that was seen to work has very likely written; else nobody knows.
    CASE
        WHEN first_server_ms IS NOT NULL AND server_ms IS NOT NULL THEN 'both worked'
        WHEN first_server_ms IS NOT NULL THEN 'the first worked'
        ELSE 'unknown'
    END                                                 AS evidence,
    is_error                                            AS is_failed_again,
    started_at
FROM tried
WHERE (first_class IN ('timeout', 'incomplete') OR first_abandoned_ms > 0)
    AND start_ns >= first_end_ns
    AND NOT coalesce(has_idempotency_key, false)
    AND NOT coalesce(first_has_key, false)
ORDER BY
    cohort,
    started_at,
    call_id
