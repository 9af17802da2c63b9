-- accesses: one row a call and resource touched (BOUNDARIES.md, access).
--
-- A declared sensitivity counts; without one the words of the name give a hint, marked as inferred.

CREATE OR REPLACE TABLE accesses AS
WITH

touches AS (
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
        calls.callee,
        calls.owner_service                                    AS service,
        calls.is_error,
        calls.started_at,
        calls.pilot_variant,
        resources.rows,
        resources.declared_sensitivity,
        unnest(resources.touched)                              AS touch
    FROM calls
    INNER JOIN resources
        ON resources.node_id = calls.call_id
    WHERE calls.kind NOT IN ('model', 'agent', 'guardrail', 'evaluator')
        OR calls.access <> 'none'
),

named AS (
    SELECT
        *,
        -- What the callee is called by all its parts is its name; only tables are told apart.
        CASE
            WHEN kind IN ('database', 'cache', 'storage', 'queue') THEN touch.resource
            ELSE callee
        END          AS resource,
        touch.topic  AS topic
    FROM touches
),

-- each topic is read once, however many calls have it
topics AS (
    SELECT
        topic,
        name_words(replace(replace(topic, '/', '_'), '.', '_'))  AS words
    FROM (
        SELECT DISTINCT topic
        FROM named
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
),

hinted AS (
    SELECT
        named.*,
        hints.tags
    FROM named
    LEFT JOIN hints
        ON hints.topic = named.topic
)

SELECT
    call_id,
    cohort,
    day,
    trace_id,
    trace_no,
    span_id,
    agent,
    caller,
    kind,
    resource,
    touch.access                                               AS access,
    service,
    is_error,
    rows,
    started_at,
    coalesce(declared_sensitivity, tags, [])                   AS sensitivity,
    declared_sensitivity IS NULL AND len(coalesce(tags, [])) > 0  AS is_sensitivity_inferred,
    pilot_variant
FROM hinted;
