-- Which calls outlived their caller's patience, began after it, or may take longer than it waits?
--
-- unit: calls
-- better: lower
-- grain: call_id

WITH

-- the handoff in whose callee a call was made
outer_calls AS (
    SELECT
        inner_call.call_id,
        outer_call.timeout_ms                                                  AS outer_timeout_ms,
        inner_call.start_ns + coalesce(outer_call.skew_ms, 0) * 1e6 > outer_call.end_ns  AS is_after,
        outer_call.abandoned_ms > 0                                            AS is_given_up
    FROM calls AS inner_call
    INNER JOIN groups
        ON groups.node_id = inner_call.caller_id
    INNER JOIN calls AS outer_call
        ON outer_call.call_id = groups.group_id
        AND outer_call.call_id <> inner_call.call_id
)

SELECT
    calls.call_id,
    calls.boundary_id,
    calls.cohort,
    calls.unit_id,
    calls.start_ns,
    greatest(coalesce(calls.attempts, 1), 1)::INTEGER       AS tries,           -- itself and the tries inside it
    calls.server_ms IS NOT NULL AND calls.client_ms IS NOT NULL  AS is_seen_whole,  -- by caller and callee
    coalesce(calls.abandoned_ms > 0, false)                 AS is_given_up,     -- its callee worked on after that
    coalesce(calls.abandoned_ms, 0)                         AS abandoned_ms,
    coalesce(outer_calls.is_given_up AND outer_calls.is_after, false)  AS is_late,  -- its caller's caller had gone
    calls.timeout_ms IS NOT NULL AND outer_calls.outer_timeout_ms IS NOT NULL  AS is_allowed,  -- both time-outs are told
    coalesce(
        calls.timeout_ms * greatest(calls.attempts, 1) >= outer_calls.outer_timeout_ms,
        false
    )                                                       AS is_at_odds,
    calls.weight
FROM calls
LEFT JOIN outer_calls
    ON outer_calls.call_id = calls.call_id
