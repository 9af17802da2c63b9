-- After how long do callers seem to give up, where no time-out is told?
--
-- unit: ms
-- better: neither
-- grain: cohort, boundary_id

WITH

-- What ended without an answer, or by a time-out of its own client. A status of the callee or of a gateway is an
-- answer, even one that says time-out. An agent or tool names what happened inside it.
endings AS (
    SELECT
        nodes.node_id,
        nodes.trace_no,
        nodes.start_ns,
        nodes.end_ns,
        nodes.composite_id,
        nodes.role,
        coalesce(groups.group_id, nodes.node_id)                                  AS group_id,
        nodes.role = 'leaf' AND coalesce(nodes.error_class = 'incomplete', false)  AS is_unsaid,
        nodes.role = 'leaf' AND coalesce(
            nodes.error_class = 'timeout'
            AND regexp_matches(coalesce(nodes.error_type, nodes.exception_type), '(?i)timeout|timed.?out')
            AND NOT regexp_matches(coalesce(nodes.error_type, nodes.exception_type), '(?i)gateway'),
            false
        )                                                                         AS is_named
    FROM nodes
    LEFT JOIN groups
        ON groups.node_id = nodes.node_id
    WHERE nodes.role <> 'transparent'
),

seen AS (
    SELECT
        calls.*,
        ending.group_id,
        ending.is_unsaid,
        ending.is_unsaid OR ending.is_named          AS is_given_up,
        caller.group_id                              AS outer_id,
        caller.composite_id                          AS above_id,
        -- Over with its caller, who began earlier: the time may have been the caller's.
        ending.is_unsaid
        AND calls.caller_id IS NOT NULL
        AND coalesce(
            abs(caller.end_ns - calls.end_ns) <= 5000000
            AND calls.start_ns - caller.start_ns > 0.02 * (calls.end_ns - calls.start_ns),
            true
        )                                            AS is_callers,
        max(calls.client_ms) OVER (PARTITION BY calls.cohort, calls.boundary_id)  AS longest_ms
    FROM calls
    INNER JOIN endings AS ending
        ON ending.node_id = calls.call_id
    LEFT JOIN endings AS caller
        ON caller.node_id = calls.caller_id
),

-- Calls that ended together with what else was given up, or with what else its caller, or who called that, had
-- running: one of them had the time-out, and nobody knows which. Who names a time-out had one.
together AS (
    SELECT DISTINCT seen.call_id
    FROM seen
    INNER JOIN endings AS other
        ON other.trace_no = seen.trace_no
        AND other.group_id <> seen.group_id
        AND abs(other.end_ns - seen.end_ns) <= 5000000
        AND other.start_ns < seen.end_ns
    WHERE seen.is_unsaid
        AND (
            other.is_unsaid
            OR other.is_named
            OR other.composite_id IN (seen.caller_id, seen.above_id)
                AND other.group_id IS DISTINCT FROM seen.outer_id
        )
),

-- calls that ended when the time was over that their caller had itself been given
overdue AS (
    SELECT seen.call_id
    FROM seen
    INNER JOIN calls AS outer_call
        ON outer_call.call_id = seen.outer_id
        AND outer_call.call_id <> seen.call_id
    WHERE seen.is_given_up
        AND abs(seen.end_ns - outer_call.start_ns - outer_call.timeout_ms * 1e6) <= 5000000
),

marked AS (
    SELECT
        seen.*,
        overdue.call_id IS NOT NULL                 AS is_overdue,
        -- All of them lie within 2 % of one value.
        client_ms >= 0.98 / 1.02 * longest_ms       AS is_near,
        is_near
        AND is_given_up
        AND NOT is_callers
        AND NOT is_overdue
        AND together.call_id IS NULL                AS is_own
    FROM seen
    LEFT JOIN together
        ON together.call_id = seen.call_id
    LEFT JOIN overdue
        ON overdue.call_id = seen.call_id
),

counted AS (
    SELECT
        cohort,
        boundary_id,
        any_value(caller) || ' → ' || any_value(callee)             AS boundary,
        median(client_ms) FILTER (is_own)                           AS typical_ms,
        count(*)                                                    AS calls,
        count(*) FILTER (is_given_up)                               AS given_up,
        count(*) FILTER (is_overdue)                                AS at_callers_deadline,
        count(*) FILTER (is_own)                                    AS at_longest,
        count(DISTINCT trace_id) FILTER (is_own)                    AS traces,
        min(client_ms) FILTER (is_own)
        > coalesce(max(client_ms) FILTER (NOT is_given_up), 0)      AS is_after_answers,
        -- Some clients never tell how a call ended.
        bool_or(error_class IS DISTINCT FROM 'incomplete')          AS is_end_told,
        bool_or(timeout_ms IS NOT NULL)                             AS is_timeout_told,
        max(attempts)                                               AS most_attempts,
        min_by(trace_id, (started_at, call_id)) FILTER (is_given_up)  AS example_trace_id
    FROM marked
    GROUP BY
        cohort,
        boundary_id
)

SELECT
    cohort,
    boundary_id,
    boundary,
    -- Below 50 ms, clocks of whole milliseconds make any few calls look alike.
    CASE
        WHEN traces >= 5 AND 2 * at_longest >= given_up AND typical_ms >= 50
            AND is_after_answers AND is_end_told AND NOT is_timeout_told AND most_attempts = 1
        THEN typical_ms
    END                  AS guessed_timeout_ms,  -- guessed, never told; null where the evidence is not certain
    calls,
    given_up,                                    -- ended without an answer, or by a time-out of the caller's own
    at_longest,                                  -- of these, as long as the longest call, all within 2 % of one value
    traces,                                      -- that hold the ones as long
    at_callers_deadline,                         -- of given_up, within 5 ms of what a span tells for their caller
    example_trace_id
FROM counted
WHERE given_up > 0
ORDER BY
    cohort,
    boundary_id
