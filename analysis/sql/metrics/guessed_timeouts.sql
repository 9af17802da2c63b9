-- After how long do callers seem to give up, where no time-out is told?
--
-- unit: ms
-- better: neither
-- grain: cohort, boundary_id

WITH

-- What ended without an answer, or by a time-out of its own client. A status of the callee or of a gateway is an
-- answer, even one that says time-out. An agent or tool names what happened inside it.
unanswered AS (
    SELECT
        node_id,
        trace_no,
        error_class = 'incomplete'    AS is_unsaid
    FROM nodes
    WHERE role = 'leaf'
        AND (
            error_class = 'incomplete'
            OR error_class = 'timeout'
            AND regexp_matches(coalesce(error_type, exception_type), '(?i)timeout|timed.?out')
            AND NOT regexp_matches(coalesce(error_type, exception_type), '(?i)gateway')
        )
),

-- all spans of their traces: one of them may have had the time-out
endings AS (
    SELECT
        nodes.node_id,
        nodes.trace_no,
        nodes.start_ns,
        nodes.end_ns,
        nodes.composite_id,
        coalesce(groups.group_id, nodes.node_id)   AS group_id,
        unanswered.node_id IS NOT NULL             AS is_given_up
    FROM nodes
    SEMI JOIN unanswered AS met
        ON met.trace_no = nodes.trace_no
    LEFT JOIN groups
        ON groups.node_id = nodes.node_id
    LEFT JOIN unanswered
        ON unanswered.node_id = nodes.node_id
    WHERE nodes.role <> 'transparent'
),

given AS MATERIALIZED (
    SELECT
        calls.call_id,
        calls.boundary_no,
        unanswered.is_unsaid
    FROM calls
    INNER JOIN unanswered
        ON unanswered.node_id = calls.call_id
),

-- of each boundary that gave up anything, what all its calls say
usual AS (
    SELECT
        calls.boundary_no,
        count(*)                                                    AS calls,
        count(given.call_id)                                        AS given_up,
        max(calls.client_ms)                                        AS longest_ms,
        coalesce(max(calls.client_ms) FILTER (given.call_id IS NULL), 0)  AS answered_ms,
        -- Some clients never tell how a call ended.
        bool_or(calls.error_class IS DISTINCT FROM 'incomplete')    AS is_end_told,
        bool_or(calls.timeout_ms IS NOT NULL)                       AS is_timeout_told,
        max(calls.attempts)                                         AS most_attempts
    FROM calls
    LEFT JOIN given
        ON given.call_id = calls.call_id
    WHERE calls.boundary_no IN (SELECT boundary_no FROM given)
    GROUP BY calls.boundary_no
),

seen AS (
    SELECT
        calls.boundary_no,
        calls.call_id,
        calls.caller_id,
        calls.trace_id,
        calls.trace_no,
        calls.started_at,
        calls.start_ns,
        calls.end_ns,
        calls.client_ms,
        given.is_unsaid,
        ending.group_id,
        caller.group_id                              AS outer_id,
        caller.composite_id                          AS above_id,
        -- Over with its caller, who began earlier: the time may have been the caller's.
        given.is_unsaid
        AND calls.caller_id IS NOT NULL
        AND coalesce(
            abs(caller.end_ns - calls.end_ns) <= 5000000
            AND calls.start_ns - caller.start_ns > 0.02 * (calls.end_ns - calls.start_ns),
            true
        )                                            AS is_callers
    FROM given
    INNER JOIN calls
        ON calls.call_id = given.call_id
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
            other.is_given_up
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
    WHERE abs(seen.end_ns - outer_call.start_ns - outer_call.timeout_ms * 1e6) <= 5000000
),

marked AS (
    SELECT
        seen.*,
        overdue.call_id IS NOT NULL                 AS is_overdue,
        -- All of them lie within 2 % of one value.
        client_ms >= 0.98 / 1.02 * usual.longest_ms
        AND NOT is_callers
        AND NOT is_overdue
        AND together.call_id IS NULL                AS is_own
    FROM seen
    INNER JOIN usual
        ON usual.boundary_no = seen.boundary_no
    LEFT JOIN together
        ON together.call_id = seen.call_id
    LEFT JOIN overdue
        ON overdue.call_id = seen.call_id
),

counted AS (
    SELECT
        marked.boundary_no,
        median(marked.client_ms) FILTER (marked.is_own)             AS typical_ms,
        any_value(usual.calls)                                      AS calls,
        any_value(usual.given_up)                                   AS given_up,
        count(*) FILTER (marked.is_overdue)                         AS at_callers_deadline,
        count(*) FILTER (marked.is_own)                             AS at_longest,
        count(DISTINCT marked.trace_id) FILTER (marked.is_own)      AS traces,
        min(marked.client_ms) FILTER (marked.is_own) > any_value(usual.answered_ms)  AS is_after_answers,
        any_value(usual.is_end_told)                                AS is_end_told,
        any_value(usual.is_timeout_told)                            AS is_timeout_told,
        any_value(usual.most_attempts)                              AS most_attempts,
        min_by(marked.trace_id, (marked.started_at, marked.call_id))  AS example_trace_id
    FROM marked
    INNER JOIN usual
        ON usual.boundary_no = marked.boundary_no
    GROUP BY marked.boundary_no
)

SELECT
    boundaries.cohort,
    boundaries.boundary_id,
    boundaries.caller || ' → ' || boundaries.callee  AS boundary,
    -- Below 50 ms, clocks of whole milliseconds make any few calls look alike.
    CASE
        WHEN traces >= 5 AND 2 * at_longest >= given_up AND typical_ms >= 50
            AND is_after_answers AND is_end_told AND NOT is_timeout_told AND most_attempts = 1
        THEN typical_ms
    END                  AS guessed_timeout_ms,  -- guessed, never told; null where the evidence is not certain
    counted.calls,
    counted.given_up,                                    -- ended without an answer, or by a time-out of the caller's own
    counted.at_longest,                                  -- of these, as long as the longest call, all within 2 % of one value
    counted.traces,                                      -- that hold the ones as long
    counted.at_callers_deadline,                         -- of given_up, within 5 ms of what a span tells for their caller
    counted.example_trace_id
FROM counted
INNER JOIN boundaries
    ON boundaries.boundary_no = counted.boundary_no
ORDER BY
    boundaries.cohort,
    boundaries.boundary_id
