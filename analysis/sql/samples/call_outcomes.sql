-- How did each call end, and what became of its failure?
--
-- unit: calls
-- better: lower
-- grain: call_id

WITH RECURSIVE

risen AS (
    SELECT
        failure_id,
        call_id,
        parent_failure_id,
        outcome,
        0  AS hops
    FROM failures

    UNION ALL

    SELECT
        risen.failure_id,
        risen.call_id,
        above.parent_failure_id,
        above.outcome,
        risen.hops + 1
    FROM risen
    INNER JOIN model.main.failures AS above
        ON above.failure_id = risen.parent_failure_id
    -- Deeper chains end as what is told there.
    WHERE risen.hops < 64
),

ends AS (
    SELECT
        call_id,
        arg_max(outcome, (hops, failure_id))  AS outcome
    FROM risen
    GROUP BY call_id
)

SELECT
    calls.call_id,
    calls.cohort,
    calls.boundary_id,
    calls.trace_id,
    calls.request_id,                       -- of the tree it is in, whether or not that is a request
    calls.unit_id,
    calls.start_ns,
    calls.end_ns,
    calls.client_ms,
    calls.is_error,
    calls.attempts,                         -- tries inside the call
    calls.fault_id,
    calls.weight,
    ends.outcome                            -- where the failure ended: root, retried_ok, fallback_ok, degraded, handled ...
FROM calls
LEFT JOIN ends
    ON ends.call_id = calls.call_id
