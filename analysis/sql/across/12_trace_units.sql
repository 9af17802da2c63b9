-- trace_units: one row a trace that is a request's, or a part of another: whose work it is, and in which turn it was done.
--
-- Its calls are of that unit, too.

CREATE OR REPLACE TABLE trace_units AS
WITH

parts AS (
    SELECT DISTINCT
        trace_no,
        joined_trace_no
    FROM joins
),

told AS (
    SELECT
        trace_no,
        trace_no  AS home_no,
        unit_id,
        conversation_id,
        turn_index
    FROM requests
    UNION ALL
    SELECT
        parts.trace_no,
        parts.joined_trace_no,
        requests.unit_id,
        requests.conversation_id,
        requests.turn_index
    FROM parts
    LEFT JOIN requests
        ON requests.trace_no = parts.joined_trace_no
    ANTI JOIN requests AS own
        ON own.trace_no = parts.trace_no
)

SELECT
    trace_no,
    -- null in what follows: it surely belongs to one of several, and to which is not told
    CASE WHEN min(home_no) = max(home_no) THEN min(home_no) END  AS home_no,
    CASE WHEN min(unit_id) = max(unit_id) THEN min(unit_id) END  AS unit_id,
    CASE
        WHEN count(*) = 1 AND min(turn_index) IS NOT NULL
        THEN (hash(min(conversation_id), min(turn_index)) >> 1)::BIGINT
    END                                                          AS turn_key,
    -- told by whole/05_numbers.sql
    NULL::INTEGER                                                AS turn_no
FROM told
GROUP BY trace_no;

UPDATE model.calls
SET
    unit_id = own.unit_id,
    unit_no = NULL
FROM (
    SELECT
        calls.call_id,
        coalesce(trace_units.unit_id, calls.conversation_id, calls.trace_id)  AS unit_id
    FROM calls
    LEFT JOIN trace_units
        ON trace_units.trace_no = calls.trace_no
) AS own
WHERE own.call_id = calls.call_id
    AND own.unit_id <> calls.unit_id;
