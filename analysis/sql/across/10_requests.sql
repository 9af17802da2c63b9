-- requests: one row a user-facing entry, with its turn in the conversation (BOUNDARIES.md, conversations).
-- turns: one row a turn of a conversation; several requests may share one, one long trace may hold several.

-- Between two things of one turn a session does not stand still this long; a person who reads and answers does.
CREATE OR REPLACE TEMP MACRO turn_gap_ns() AS 2000000000;

-- Without a conversation id one person's requests to one service are a conversation until they rest this long.
CREATE OR REPLACE TEMP MACRO idle_gap_ns() AS 1800000000000;

-- entries that are nobody else's, each with the conversation it names or the one it is taken to be in
CREATE OR REPLACE TEMP TABLE openers AS
WITH

own AS (
    SELECT
        entries.*,
        root_marks.user_id,
        root_marks.is_session
    FROM entries
    INNER JOIN root_marks
        ON root_marks.node_id = entries.request_id
    ANTI JOIN joins
        ON joins.node_id = entries.request_id
    WHERE entries.is_conversing
),

rested AS (
    SELECT
        *,
        coalesce(start_ns - max(end_ns) OVER person >= idle_gap_ns(), true)  AS is_fresh
    FROM own
    WHERE conversation_id IS NULL
        AND user_id IS NOT NULL
    WINDOW person AS (
        PARTITION BY cohort, environment, tenant, service, user_id
        ORDER BY start_ns, span_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

inferred AS (
    SELECT
        request_id,
        'inferred:' || max(CASE WHEN is_fresh THEN request_order || '/' || span_id END) OVER person  AS conversation_id
    FROM (
        SELECT
            *,
            lpad(start_ns::VARCHAR, 20, '0')  AS request_order
        FROM rested
    )
    WINDOW person AS (
        PARTITION BY cohort, environment, tenant, service, user_id
        ORDER BY start_ns, span_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)

SELECT
    own.request_id,
    own.trace_no,
    own.trace_id,
    own.cohort,
    own.environment,
    own.pilot_variant,
    own.service,
    coalesce(own.conversation_id, inferred.conversation_id)  AS conversation_id,
    own.conversation_id IS NULL                              AS is_inferred,
    own.is_failed,
    own.weight,
    own.told_turn,
    own.user_id,
    own.start_ns,
    own.end_ns,
    own.span_id,
    coalesce(own.is_session, false)                          AS is_session
FROM own
LEFT JOIN inferred
    ON inferred.request_id = own.request_id
WHERE coalesce(own.conversation_id, inferred.conversation_id) IS NOT NULL;

-- one row a thing somebody asked: a request, or within a session each answer that a pause or a mark sets apart
CREATE OR REPLACE TEMP TABLE asked AS
WITH

parts AS (
    SELECT
        openers.request_id,
        state_marks.node_id,
        state_marks.span_id,
        state_marks.start_ns,
        state_marks.end_ns,
        state_marks.type,
        state_marks.told_turn,
        CASE WHEN state_marks.type = 'model' AND state_marks.input_source = 'message' THEN state_marks.input_hash END
            AS message_hash,
        state_marks.is_turn_span,
        bool_or(state_marks.is_turn_span) OVER (PARTITION BY openers.request_id)  AS has_turn_spans
    FROM state_marks
    INNER JOIN openers
        ON openers.request_id = state_marks.root_id
    WHERE state_marks.is_turn_part
        AND openers.is_session
),

before AS (
    SELECT
        *,
        max(end_ns) OVER earlier                                             AS busy_until_ns,
        last_value(message_hash IGNORE NULLS) OVER earlier                   AS last_hash,
        last_value(told_turn IGNORE NULLS) OVER earlier                      AS last_told
    FROM parts
    WHERE is_turn_span OR NOT has_turn_spans
    WINDOW earlier AS (
        PARTITION BY request_id
        ORDER BY start_ns, span_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

begun AS (
    SELECT
        *,
        is_turn_span
            OR type IN ('agent', 'workflow', 'model') AND (
                busy_until_ns IS NULL
                OR start_ns - busy_until_ns >= turn_gap_ns()
                OR message_hash <> last_hash
                OR told_turn <> last_told
            )  AS is_first
    FROM before
),

numbered AS (
    SELECT
        *,
        sum((is_first IS TRUE)::BIGINT) OVER (
            PARTITION BY request_id
            ORDER BY start_ns, span_id
        )  AS part
    FROM begun
),

split AS (
    SELECT
        request_id,
        part,
        arg_min(node_id, (start_ns, span_id))    AS node_id,
        arg_min(span_id, (start_ns, span_id))    AS span_id,
        min(start_ns)                            AS start_ns,
        max(end_ns)                              AS end_ns,
        min(told_turn)                           AS told_turn
    FROM numbered
    WHERE part > 0
    GROUP BY
        request_id,
        part
),

interrupted AS (
    SELECT DISTINCT homes.request_id
    FROM state_marks
    INNER JOIN homes
        ON homes.root_id = state_marks.root_id
    WHERE state_marks.is_interrupt
)

SELECT
    openers.* EXCLUDE (told_turn, start_ns, end_ns, span_id, is_session, user_id),
    coalesce(split.told_turn, CASE WHEN coalesce(split.part, 1) = 1 THEN openers.told_turn END)  AS told_turn,
    coalesce(split.node_id, openers.request_id)      AS node_id,
    coalesce(split.start_ns, openers.start_ns)       AS start_ns,
    coalesce(split.end_ns, openers.end_ns)           AS end_ns,
    coalesce(split.span_id, openers.span_id)         AS span_id,
    -- what comes before a session's first answer belongs to it
    CASE WHEN coalesce(split.part, 1) > 1 THEN split.start_ns ELSE 0 END                 AS from_ns,
    -- An interrupt is the last thing in its request, so in a session it is the last answer's.
    interrupted.request_id IS NOT NULL
        AND coalesce(split.part = max(split.part) OVER (PARTITION BY openers.request_id), true)  AS is_interrupted
FROM openers
LEFT JOIN split
    ON split.request_id = openers.request_id
LEFT JOIN interrupted
    ON interrupted.request_id = openers.request_id;

CREATE OR REPLACE TEMP TABLE asked_in_turns AS
WITH

-- Two overlap by more than half of the shorter one when the later begins before the earlier's middle, or the
-- earlier ends after the later's middle. Twice the middle is start and end together, a whole number.
beside AS (
    SELECT
        *,
        max(start_ns + end_ns) OVER earlier > 2 * start_ns
            OR 2 * max(end_ns) OVER earlier > start_ns + end_ns  AS is_beside,
        lag(is_interrupted) OVER conversation                    AS is_after_interrupt
    FROM asked
    WINDOW
        conversation AS (
            PARTITION BY cohort, environment, conversation_id
            ORDER BY start_ns, span_id
        ),
        earlier AS (
            PARTITION BY cohort, environment, conversation_id
            ORDER BY start_ns, span_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
)

SELECT
    * EXCLUDE (is_beside, is_after_interrupt),
    coalesce(is_after_interrupt AND NOT coalesce(is_beside, false), false)  AS is_resume,
    coalesce(
        told_turn,
        sum((NOT coalesce(is_beside OR is_after_interrupt, false))::BIGINT) OVER (
            PARTITION BY cohort, environment, conversation_id
            ORDER BY start_ns, span_id
        )::BIGINT
    )                                                                       AS turn_index
FROM beside;

CREATE OR REPLACE TABLE turns AS
SELECT
    cohort,
    environment,
    conversation_id,
    turn_index,
    (hash(cohort, environment, conversation_id, turn_index) >> 1)::BIGINT  AS turn_id,
    (hash(cohort, environment, conversation_id) >> 1)::BIGINT              AS conversation_no,
    arg_min(trace_no, (start_ns, span_id))         AS trace_no,
    arg_min(request_id, (start_ns, span_id))       AS request_id,
    arg_min(node_id, (start_ns, span_id))          AS node_id,
    arg_min(trace_id, (start_ns, span_id))         AS trace_id,
    arg_min(service, (start_ns, span_id))          AS service,
    arg_min(pilot_variant, (start_ns, span_id))    AS pilot_variant,
    arg_min(weight, (start_ns, span_id))           AS weight,
    make_timestamp(min(start_ns) // 1000)          AS started_at,
    min(start_ns)                                  AS start_ns,
    max(end_ns)                                    AS end_ns,
    count(DISTINCT request_id)                     AS requests,
    bool_or(is_resume)                             AS is_resume,
    bool_or(is_failed)                             AS is_failed,
    is_inferred
FROM asked_in_turns
GROUP BY
    cohort,
    environment,
    conversation_id,
    is_inferred,
    turn_index
ORDER BY
    cohort,
    environment,
    conversation_id,
    turn_index;

CREATE OR REPLACE TABLE requests AS
SELECT
    entries.* EXCLUDE (told_turn),
    CASE
        WHEN entries.conversation_id IS NOT NULL THEN coalesce(entries.told_turn, numbered.turn_index)
    END                                  AS turn_index,
    coalesce(numbered.is_resume, false)  AS is_resume,
    root_marks.user_id IS NOT NULL       AS is_user_told,
    -- Of the requests of one trace, the first stands for it.
    row_number() OVER trace_requests = 1 AS is_first_of_trace,
    bool_or(entries.is_failed) OVER (PARTITION BY entries.trace_no)  AS is_trace_failed,
    (hash(entries.unit_id) % 100)::UTINYINT  AS bucket,
    -- told by whole/05_numbers.sql
    NULL::INTEGER                        AS unit_no
FROM entries
LEFT JOIN root_marks
    ON root_marks.node_id = entries.request_id
ANTI JOIN joins
    ON joins.node_id = entries.request_id
LEFT JOIN (
    SELECT
        request_id,
        min(turn_index)                              AS turn_index,
        arg_min(is_resume, (start_ns, span_id))      AS is_resume
    FROM asked_in_turns
    WHERE NOT is_inferred
    GROUP BY request_id
) AS numbered
    ON numbered.request_id = entries.request_id
WINDOW trace_requests AS (PARTITION BY entries.trace_no ORDER BY entries.start_ns, entries.request_id)
ORDER BY entries.request_id;
