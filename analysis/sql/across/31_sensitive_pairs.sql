-- passed: one row a call below which the same data are touched again, by another name.
-- sensitive_pairs: one row a trace, with what surely belongs to it, and two sensitive resources one agent touched in it.

CREATE OR REPLACE TABLE passed AS
SELECT DISTINCT
    groups.group_id  AS call_id,
    groups.trace_no
FROM calls
INNER JOIN groups
    ON groups.node_id = calls.caller_id
SEMI JOIN accesses
    ON accesses.call_id = calls.call_id
WHERE groups.group_id <> calls.call_id;

CREATE OR REPLACE TABLE sensitive_pairs AS
WITH

-- A tool above a table is the same data by another name: only what has no access below it is joined.
sensitive AS (
    SELECT
        accesses.agent,
        coalesce(trace_units.home_no, accesses.trace_no)                AS at_home_no,
        accesses.resource,
        any_value(accesses.cohort)                                      AS cohort,
        min(accesses.started_at)                                        AS seen_at,
        arg_min(accesses.call_id, (accesses.started_at, accesses.call_id))  AS call_id,
        any_value(calls.unit_id)                                        AS unit_id,
        any_value(calls.unit_no)                                        AS unit_no,
        list_distinct(flatten(list(DISTINCT accesses.sensitivity)))     AS sensitivity,
        bool_and(accesses.is_sensitivity_inferred)                      AS is_inferred
    FROM accesses
    INNER JOIN calls
        ON calls.call_id = accesses.call_id
    ANTI JOIN passed
        ON passed.call_id = accesses.call_id
    LEFT JOIN trace_units
        ON trace_units.trace_no = accesses.trace_no
    WHERE accesses.access <> 'none'
        AND len(list_filter(accesses.sensitivity, lambda tag: tag NOT IN ('public', 'internal'))) > 0
    GROUP BY
        accesses.agent,
        at_home_no,
        accesses.resource
)

-- Joined is dated by the later of the two.
SELECT
    one.at_home_no                                                      AS trace_no,
    one.cohort,
    one.agent,
    one.resource,
    other.resource                                                   AS other_resource,
    one.unit_id,
    greatest(one.seen_at, other.seen_at)                             AS started_at,
    CASE WHEN one.seen_at > other.seen_at THEN one.call_id ELSE other.call_id END  AS call_id,
    list_distinct(one.sensitivity || other.sensitivity)              AS sensitivity,
    one.is_inferred OR other.is_inferred                             AS is_inferred,
    -- of a new unit whole/05_numbers.sql tells it
    one.unit_no
FROM sensitive AS one
INNER JOIN sensitive AS other
    ON other.agent = one.agent
    AND other.at_home_no = one.at_home_no
    AND other.resource > one.resource;
