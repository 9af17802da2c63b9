-- accesses: one row a call, resource touched and way of touching it (BOUNDARIES.md, access).
--
-- A declared sensitivity counts; without one the words of the name give a hint, marked as inferred.

CREATE OR REPLACE TEMP TABLE hinted AS
WITH

-- each topic is read once, however many calls have it
topics AS (
    SELECT
        topic,
        name_words(replace(replace(topic, '/', '_'), '.', '_'))  AS words
    FROM (
        SELECT DISTINCT topic
        FROM touched
        WHERE topic IS NOT NULL
    )
),

hints AS (
    SELECT
        topic,
        list_filter([
            CASE
                WHEN list_has_any(words, [
                    'user', 'users', 'customer', 'customers', 'person', 'persons', 'people', 'contact',
                    'contacts', 'email', 'emails', 'address', 'addresses', 'phone', 'phones', 'profile',
                    'profiles'
                ]) THEN 'pii'
            END,
            CASE
                WHEN list_has_any(words, [
                    'payment', 'payments', 'card', 'cards', 'invoice', 'invoices', 'ledger', 'ledgers',
                    'salary', 'salaries', 'iban', 'account', 'accounts'
                ]) THEN 'financial'
            END,
            CASE
                WHEN list_has_any(words, [
                    'patient', 'patients', 'ehr', 'emr', 'diagnosis', 'diagnoses', 'triage', 'claim', 'claims'
                ]) THEN 'phi'
            END,
            CASE
                WHEN list_has_any(words, [
                    'secret', 'secrets', 'token', 'tokens', 'password', 'passwords', 'credential',
                    'credentials', 'key', 'keys', 'session', 'sessions'
                ]) THEN 'credential'
            END
        ], lambda tag: tag IS NOT NULL)  AS tags
    FROM topics
)

SELECT
    *,
    row_number() OVER same = 1                                                    AS is_first_of_resource,
    -- what a callee that has one name for all its parts does, in one way or in any
    row_number() OVER alike = 1                                                   AS is_first_of_access,
    row_number() OVER any_way = 1                                                 AS is_first
FROM (
    SELECT
        touched.way,
        touched.resource,
        touched.access,
        coalesce(touched.declared_sensitivity, hints.tags, [])                      AS sensitivity,
        touched.declared_sensitivity IS NULL AND len(coalesce(hints.tags, [])) > 0  AS is_sensitivity_inferred
    FROM touched
    LEFT JOIN hints
        ON hints.topic = touched.topic
)
-- Of several it is the one that says most of how sensitive it is.
WINDOW
    same AS (PARTITION BY way, resource ORDER BY access = 'none', access),
    alike AS (PARTITION BY way, access ORDER BY is_sensitivity_inferred, len(sensitivity) DESC, resource),
    any_way AS (PARTITION BY way ORDER BY access = 'none', is_sensitivity_inferred, len(sensitivity) DESC, access, resource);

CREATE OR REPLACE TABLE accesses AS
SELECT
    calls.call_id,
    calls.cohort,
    calls.day,
    calls.trace_id,
    calls.trace_no,
    calls.span_id,
    coalesce(calls.owner_agent, calls.owner_service, '?')  AS agent,
    calls.caller,
    calls.kind,
    -- What the callee is called by all its parts is its name; only tables are told apart.
    CASE
        WHEN calls.kind IN ('database', 'cache', 'storage', 'queue') THEN hinted.resource
        ELSE calls.callee
    END                                                    AS resource,
    -- A server's tool whose name tells nothing does what is seen below it.
    coalesce(refined.access, hinted.access)                AS access,
    calls.owner_service                                    AS service,
    calls.is_error,
    resources.rows,
    calls.started_at,
    hinted.sensitivity,
    hinted.is_sensitivity_inferred,
    calls.pilot_variant,
    calls.owner_agent,
    calls.service_version,
    calls.weight,
    CASE
        WHEN calls.kind IN ('database', 'cache', 'storage', 'queue') THEN hinted.is_first_of_resource
        ELSE hinted.is_first
    END                                                    AS is_first_of_call,  -- of several rows of a call and resource
    -- told by whole/05_numbers.sql
    NULL::INTEGER                                          AS unit_no,
    NULL::INTEGER                                          AS turn_no,
    NULL::INTEGER                                          AS access_no
FROM calls
INNER JOIN resources
    ON resources.node_id = calls.call_id
INNER JOIN hinted
    ON hinted.way = resources.way
LEFT JOIN reached AS refined
    ON refined.call_id = calls.call_id
    AND calls.kind = 'mcp'
    AND calls.access = 'unknown'
WHERE (calls.kind NOT IN ('model', 'agent', 'guardrail', 'evaluator') OR calls.access <> 'none')
    AND (
        calls.kind IN ('database', 'cache', 'storage', 'queue')
        OR CASE WHEN refined.access IS NULL THEN hinted.is_first_of_access ELSE hinted.is_first END
    );
