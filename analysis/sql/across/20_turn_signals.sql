-- turn_signals: one row a turn, a signal that could judge it, and the habit it leans on, lost or kept
-- (BOUNDARIES.md, state); turn_habits: what each turn adds to a habit. `state_signals` is made of both.
--
-- A turn is judged by a signal only where its traces tell what the signal needs, so every signal has its own
-- denominator.

-- Fewer input tokens than this share of the last turn's: a prompt shrinks that much when its history is gone,
-- not when a tool's answer was shorter. Our judgement.
CREATE OR REPLACE TEMP MACRO token_drop_ratio() AS 0.6;

-- Providers keep a prefix for about this long; a later turn finds none and has lost nothing.
CREATE OR REPLACE TEMP MACRO prefix_kept_ns() AS 300000000000;

CREATE OR REPLACE TEMP TABLE numbered_turns AS
SELECT
    *,
    CASE WHEN lag(turn_index) OVER conversation = turn_index - 1 THEN lag(turn_no) OVER conversation END  AS before_no,
    first_value(turn_no) OVER conversation                                                               AS first_no
FROM (
    SELECT
        *,
        row_number() OVER (ORDER BY conversation_no, turn_index)  AS turn_no
    FROM turns
)
WINDOW conversation AS (PARTITION BY conversation_no ORDER BY turn_no);

-- when each turn begins within its request
CREATE OR REPLACE TEMP TABLE turn_starts AS
SELECT
    asked_in_turns.request_id,
    asked_in_turns.from_ns,
    min(numbered_turns.turn_no)                                             AS turn_no,
    count(*) OVER (PARTITION BY asked_in_turns.request_id) = 1              AS is_alone
FROM asked_in_turns
INNER JOIN numbered_turns
    ON numbered_turns.turn_id = (
        hash(
            asked_in_turns.cohort, asked_in_turns.environment, asked_in_turns.conversation_id, asked_in_turns.turn_index
        ) >> 1
    )::BIGINT
GROUP BY
    asked_in_turns.request_id,
    asked_in_turns.from_ns;

-- what was told of state, turn by turn; nearly all requests are one turn, and only in a session does the time tell which
CREATE OR REPLACE TEMP TABLE turn_marks AS
SELECT
    state_marks.* EXCLUDE (trace_no, cohort, told_turn, is_turn_part, is_turn_span, is_interrupt),
    homes.request_id,
    turn_starts.turn_no
FROM state_marks
INNER JOIN homes
    ON homes.root_id = state_marks.root_id
INNER JOIN turn_starts
    ON turn_starts.request_id = homes.request_id
WHERE turn_starts.is_alone
UNION ALL
SELECT
    marked.*,
    parts.turn_no
FROM (
    SELECT
        state_marks.* EXCLUDE (trace_no, cohort, told_turn, is_turn_part, is_turn_span, is_interrupt),
        homes.request_id
    FROM state_marks
    INNER JOIN homes
        ON homes.root_id = state_marks.root_id
    WHERE homes.request_id IN (SELECT request_id FROM turn_starts WHERE NOT is_alone)
) AS marked
ASOF INNER JOIN (
    SELECT *
    FROM turn_starts
    WHERE NOT is_alone
) AS parts
    ON parts.request_id = marked.request_id
    AND parts.from_ns <= marked.start_ns;

-- what a turn tells as a whole, and beside it what the one before told
CREATE OR REPLACE TEMP TABLE turn_facts AS
WITH

facts AS (
    SELECT
        turn_no,
        -- the entry speaks for the turn, else who began first or ended last
        arg_min({'hash': context_hash_in, 'node_id': node_id}, (node_id <> root_id, start_ns, span_id))
            FILTER (WHERE context_hash_in IS NOT NULL)                           AS came_in,
        arg_max({'hash': context_hash_out, 'node_id': node_id}, (node_id = root_id, end_ns, span_id))
            FILTER (WHERE context_hash_out IS NOT NULL)                          AS went_out,
        min(context_version)                                                     AS version_in,
        coalesce(
            max(context_version) FILTER (WHERE NOT is_reading), max(context_version)
        )                                                                        AS version_out,
        bool_and(is_reading) FILTER (WHERE context_version IS NOT NULL)          AS is_only_read,
        arg_min(node_id, (context_version, start_ns, span_id))
            FILTER (WHERE context_version IS NOT NULL)                           AS version_node_id,
        bool_or(is_compaction)                                                   AS is_compacted,
        arg_min(
            {
                'agent': agent, 'callee': callee, 'tokens': input_tokens, 'cached': coalesce(cache_read_tokens, 0),
                'node_id': node_id
            },
            (start_ns, span_id)
        ) FILTER (WHERE type = 'model' AND input_tokens IS NOT NULL)             AS prompt,
        arg_min({'agent': agent, 'callee': callee, 'messages': message_count, 'node_id': node_id}, (start_ns, span_id))
            FILTER (WHERE message_count IS NOT NULL)                             AS history,
        arg_min({'callee': callee, 'cached': cache_read_tokens, 'at_ns': start_ns, 'node_id': node_id}, (start_ns, span_id))
            FILTER (WHERE cache_read_tokens IS NOT NULL)                         AS first_cached,
        arg_max({'callee': callee, 'cached': cache_read_tokens, 'at_ns': end_ns, 'node_id': node_id}, (start_ns, span_id))
            FILTER (WHERE cache_read_tokens IS NOT NULL)                         AS last_cached,
        -- the question as the entry told it, else as the first model was asked, else the whole prompt
        arg_min(
            {'source': input_source, 'hash': input_hash, 'node_id': node_id},
            (CASE
                WHEN input_source = 'hash' AND type <> 'model' THEN 1
                WHEN input_source = 'message' AND type = 'model' THEN 2
                ELSE 3
            END, start_ns, span_id)
        ) FILTER (WHERE input_hash IS NOT NULL AND kind IS DISTINCT FROM 'tool'
            AND input_source IS NOT NULL AND NOT (input_source = 'whole' AND type = 'model'))  AS question,
        arg_min({'step': graph_step, 'agent': agent, 'node_id': node_id}, (graph_step, start_ns, span_id))
            FILTER (WHERE graph_step IS NOT NULL)                                AS first_step
    FROM turn_marks
    GROUP BY turn_no
)

SELECT
    turns.turn_no,
    turns.before_no,
    turns.first_no,
    turns.conversation_no,
    turns.cohort,
    turns.turn_index,
    turns.start_ns,
    facts.* EXCLUDE (turn_no),
    before.came_in       AS came_in_before,
    before.went_out      AS went_out_before,
    before.version_out   AS version_out_before,
    before.version_node_id  AS version_node_id_before,
    coalesce(before.is_compacted, false) OR coalesce(facts.is_compacted, false)  AS is_compacted_between,
    before.prompt        AS prompt_before,
    before.history       AS history_before,
    before.last_cached   AS last_cached_before,
    opening.history      AS history_at_first,
    turn_before.is_failed  AS is_failed_before
FROM numbered_turns AS turns
INNER JOIN facts
    ON facts.turn_no = turns.turn_no
LEFT JOIN facts AS before
    ON before.turn_no = turns.before_no
LEFT JOIN numbered_turns AS turn_before
    ON turn_before.turn_no = turns.before_no
LEFT JOIN facts AS opening
    ON opening.turn_no = turns.first_no
    AND turns.turn_no > turns.first_no;

-- S1, S2, S5, S6, S11: a turn against the one before it
CREATE OR REPLACE TEMP TABLE turns_against_before AS
SELECT
    turn_no,
    'S1'                                                 AS signal,
    NULL::BIGINT                                         AS habit_id,
    came_in.hash <> went_out_before.hash                 AS is_lost,
    NULL::BOOLEAN                                        AS is_lost_by_habit,
    came_in.node_id                                      AS node_id,
    went_out_before.node_id                              AS earlier_node_id
FROM turn_facts
WHERE came_in IS NOT NULL
    AND went_out_before IS NOT NULL

UNION ALL

-- A turn that only reads may read the version that the last one wrote; one that writes must go on by one.
SELECT
    turn_no,
    'S2',
    NULL,
    version_in < version_out_before
        OR version_in - version_out_before > 1
        OR (version_out <= version_out_before AND NOT is_only_read),
    NULL,
    version_node_id,
    version_node_id_before
FROM turn_facts
WHERE version_in IS NOT NULL
    AND version_out_before IS NOT NULL

UNION ALL

-- Some providers count cached tokens within the input, some beside it: the prompt fell when it did either way.
SELECT
    turn_no,
    'S5',
    NULL,
    prompt.tokens < token_drop_ratio() * prompt_before.tokens
        AND prompt.tokens + prompt.cached < token_drop_ratio() * (prompt_before.tokens + prompt_before.cached),
    NULL,
    prompt.node_id,
    prompt_before.node_id
FROM turn_facts
WHERE prompt.agent IS NOT DISTINCT FROM prompt_before.agent
    AND prompt.callee = prompt_before.callee
    AND NOT is_compacted_between

UNION ALL

-- A history that is back at the length it had in the first turn was dropped too, where histories grow; a turn that
-- failed may have left nothing to keep.
SELECT
    turn_no,
    'S6',
    habit_of('S6', cohort, {'agent': history.agent, 'callee': history.callee}),
    history.messages < history_before.messages,
    NOT is_failed_before AND history.messages = history_before.messages AND history.messages = history_at_first.messages,
    history.node_id,
    history_before.node_id
FROM turn_facts
WHERE history.agent IS NOT DISTINCT FROM history_before.agent
    AND history.callee = history_before.callee
    AND NOT is_compacted_between

UNION ALL

SELECT
    turn_no,
    'S11',
    NULL,
    first_cached.cached = 0,
    NULL,
    first_cached.node_id,
    last_cached_before.node_id
FROM turn_facts
WHERE last_cached_before.cached > 0
    AND first_cached.callee = last_cached_before.callee
    AND first_cached.at_ns - last_cached_before.at_ns <= prefix_kept_ns();

-- S3: within a turn, whoever usually says whose conversation it serves says another, or none
CREATE OR REPLACE TEMP TABLE callees_in_turns AS
WITH

serving AS (
    SELECT
        callee_marks.*,
        homes.request_id
    FROM callee_marks
    INNER JOIN homes
        ON homes.root_id = callee_marks.root_id
),

in_turns AS (
    SELECT
        serving.*,
        turn_starts.turn_no
    FROM serving
    INNER JOIN turn_starts
        ON turn_starts.request_id = serving.request_id
    WHERE turn_starts.is_alone
    UNION ALL
    SELECT
        serving.*,
        parts.turn_no
    FROM (
        SELECT *
        FROM serving
        WHERE request_id IN (SELECT request_id FROM turn_starts WHERE NOT is_alone)
    ) AS serving
    ASOF INNER JOIN (
        SELECT *
        FROM turn_starts
        WHERE NOT is_alone
    ) AS parts
        ON parts.request_id = serving.request_id
        AND parts.from_ns <= serving.start_ns
)

SELECT
    turn_no,
    'S3'                                     AS signal,
    habit_id,
    bool_or(NOT is_conversation_kept)        AS is_lost,
    arg_min({'node_id': node_id, 'start_ns': start_ns}, (is_conversation_kept, start_ns, node_id))  AS first_mark
FROM in_turns
GROUP BY
    turn_no,
    habit_id;

-- S4: the same person begins anew soon after, and asks what was asked before
CREATE OR REPLACE TEMP TABLE people_again AS
WITH

-- conversations of one person, each with the one that went on last before it
begun AS (
    SELECT
        turns.conversation_no,
        turns.turn_no,
        turns.start_ns,
        lag(turns.conversation_no) OVER person                                     AS conversation_before_no,
        turns.start_ns - max(spoken.end_ns) OVER earlier                           AS idle_ns
    FROM numbered_turns AS turns
    INNER JOIN openers
        ON openers.request_id = turns.request_id
    INNER JOIN (
        SELECT
            conversation_no,
            max(end_ns)  AS end_ns
        FROM numbered_turns
        GROUP BY conversation_no
    ) AS spoken
        ON spoken.conversation_no = turns.conversation_no
    WHERE turns.turn_no = turns.first_no
        AND NOT turns.is_inferred
        AND openers.user_id IS NOT NULL
    WINDOW
        person AS (
            PARTITION BY turns.cohort, turns.environment, openers.user_id
            ORDER BY turns.start_ns, turns.turn_no
        ),
        earlier AS (
            PARTITION BY turns.cohort, turns.environment, openers.user_id
            ORDER BY turns.start_ns, turns.turn_no
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
),

questions AS (
    SELECT
        conversation_no,
        question.source,
        question.hash,
        min(question.node_id)  AS node_id
    FROM turn_facts
    WHERE question IS NOT NULL
    GROUP BY ALL
)

SELECT
    begun.turn_no,
    'S4'                          AS signal,
    questions.hash IS NOT NULL    AS is_lost,
    facts.question.node_id        AS node_id,
    questions.node_id             AS earlier_node_id
FROM begun
INNER JOIN turn_facts AS facts
    ON facts.turn_no = begun.turn_no
LEFT JOIN questions
    ON questions.conversation_no = begun.conversation_before_no
    AND questions.source = facts.question.source
    AND questions.hash = facts.question.hash
WHERE begun.idle_ns BETWEEN 0 AND idle_gap_ns()
    AND facts.question IS NOT NULL
    AND begun.conversation_before_no IN (SELECT conversation_no FROM questions);

-- S7: a tool that only reads is asked the same again, though nobody wrote meanwhile
CREATE OR REPLACE TEMP TABLE tools_again AS
WITH

reads AS (
    SELECT
        turn_marks.turn_no,
        turns.conversation_no,
        turns.first_no,
        turn_marks.node_id,
        turn_marks.span_id,
        turn_marks.callee,
        turn_marks.args_hash,
        turn_marks.start_ns,
        turn_marks.end_ns,
        coalesce(turn_marks.is_error, false)  AS is_error
    FROM turn_marks
    INNER JOIN numbered_turns AS turns
        ON turns.turn_no = turn_marks.turn_no
    WHERE turn_marks.args_hash IS NOT NULL
        AND turn_marks.access = 'read'
),

-- The last answer of an earlier turn; what failed then was never known.
last_answers AS (
    SELECT
        *,
        max(CASE WHEN NOT is_error THEN turn_no END) OVER alike                    AS answered_turn_no,
        arg_max(node_id, (end_ns, span_id)) FILTER (WHERE NOT is_error) OVER alike  AS answered_id,
        max(end_ns) FILTER (WHERE NOT is_error) OVER alike                         AS answered_ns
    FROM reads
    WINDOW alike AS (
        PARTITION BY conversation_no, callee, args_hash
        ORDER BY turn_no
        RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

repeated AS (
    SELECT *
    FROM last_answers
    WHERE answered_id IS NOT NULL
),

-- what a repeated read reads: itself, and all that was read while it ran
below AS (
    SELECT DISTINCT
        repeated.node_id,
        repeated.conversation_no,
        repeated.answered_ns,
        repeated.start_ns,
        accesses.resource
    FROM repeated
    INNER JOIN calls AS tool
        ON tool.call_id = repeated.answered_id
    INNER JOIN calls AS inside
        ON inside.trace_no = tool.trace_no
        AND inside.start_ns BETWEEN tool.start_ns AND tool.end_ns
    INNER JOIN accesses
        ON accesses.call_id = inside.call_id
    UNION
    -- Whatever a tool writes may be what another one reads.
    SELECT
        node_id,
        conversation_no,
        answered_ns,
        start_ns,
        'tool'
    FROM repeated
),

writes AS (
    SELECT DISTINCT
        turns.conversation_no,
        CASE WHEN turn_marks.kind IN ('tool', 'mcp') THEN 'tool' ELSE touched.resource END  AS resource,
        turn_marks.start_ns
    FROM turn_marks
    INNER JOIN numbered_turns AS turns
        ON turns.turn_no = turn_marks.turn_no
    CROSS JOIN unnest(turn_marks.written) AS touched(resource)
),

overwritten AS (
    SELECT DISTINCT below.node_id
    FROM below
    ASOF INNER JOIN writes
        ON writes.conversation_no = below.conversation_no
        AND writes.resource = below.resource
        AND writes.start_ns <= below.start_ns
    WHERE writes.start_ns >= below.answered_ns
)

SELECT
    last_answers.turn_no,
    'S7'                                                                        AS signal,
    bool_or(last_answers.answered_id IS NOT NULL AND overwritten.node_id IS NULL)  AS is_lost,
    arg_min(
        last_answers.node_id,
        (last_answers.answered_id IS NULL OR overwritten.node_id IS NOT NULL, last_answers.start_ns, last_answers.span_id)
    )                                                                           AS node_id,
    arg_min(
        last_answers.answered_id,
        (last_answers.answered_id IS NULL OR overwritten.node_id IS NOT NULL, last_answers.start_ns, last_answers.span_id)
    )                                                                           AS earlier_node_id
FROM last_answers
LEFT JOIN overwritten
    ON overwritten.node_id = last_answers.node_id
WHERE last_answers.turn_no > last_answers.first_no
GROUP BY last_answers.turn_no;

-- S8: the same question twice in one conversation
CREATE OR REPLACE TEMP TABLE questions_again AS
SELECT
    facts.turn_no,
    'S8'                                                    AS signal,
    lag(facts.turn_no) OVER alike IS NOT NULL               AS is_lost,
    facts.question.node_id                                  AS node_id,
    lag(facts.question.node_id) OVER alike                  AS earlier_node_id
FROM turn_facts AS facts
WHERE facts.question IS NOT NULL
WINDOW alike AS (
    PARTITION BY facts.conversation_no, facts.question.source, facts.question.hash
    ORDER BY facts.turn_no
)
QUALIFY facts.turn_no > facts.first_no;

-- S9, S13: what was asked of the store that keeps the conversation
CREATE OR REPLACE TEMP TABLE stores_in_turns AS
WITH

asked_stores AS (
    SELECT
        turn_marks.*,
        -- A read that a later one made good, of a slower store say, lost nothing.
        bool_or(turn_marks.is_hit AND turn_marks.is_reading) OVER later IS TRUE  AS is_found_later,
        turns.first_no
    FROM turn_marks
    INNER JOIN numbered_turns AS turns
        ON turns.turn_no = turn_marks.turn_no
    WHERE turn_marks.store IS NOT NULL
    WINDOW later AS (
        PARTITION BY turn_marks.turn_no
        ORDER BY turn_marks.start_ns, turn_marks.span_id
        ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
    )
),

-- The first turn finds nothing because nothing is there.
missed AS (
    SELECT
        turn_no,
        'S9'                                            AS signal,
        bool_or(NOT is_hit AND NOT is_found_later)      AS is_lost,
        arg_min(node_id, (is_hit OR is_found_later, start_ns, span_id))  AS node_id
    FROM asked_stores
    WHERE is_hit IS NOT NULL
        AND is_reading
        AND turn_no > first_no
    GROUP BY turn_no
),

used AS (
    SELECT
        turn_no,
        store,
        bool_or(is_reading) AND bool_or(NOT is_reading)  AS is_mutable,
        min(node_id)                                     AS node_id
    FROM asked_stores
    GROUP BY
        turn_no,
        store
)

SELECT
    *,
    NULL::BIGINT  AS earlier_node_id
FROM missed

UNION ALL

SELECT
    used.turn_no,
    'S13',
    bool_or(used.is_mutable) AND bool_and(facts.version_in IS NULL AND facts.came_in IS NULL AND facts.went_out IS NULL),
    arg_min(used.node_id, (NOT used.is_mutable, used.node_id)),
    NULL
FROM used
INNER JOIN turn_facts AS facts
    ON facts.turn_no = used.turn_no
GROUP BY used.turn_no;

-- S10: a graph that goes on from its checkpoint in other turns begins at its first step
CREATE OR REPLACE TEMP TABLE graphs_again AS
SELECT
    turn_no,
    'S10'                           AS signal,
    habit_of('S10', cohort, NULL)   AS habit_id,
    first_step.step <= 1            AS is_lost,
    first_step.node_id              AS node_id
FROM turn_facts
WHERE first_step IS NOT NULL
    AND turn_no > first_no;

-- S12: two requests of one conversation at once, both of which write the same
CREATE OR REPLACE TEMP TABLE races AS
WITH

ordered AS (
    SELECT
        asked_in_turns.request_id,
        numbered_turns.turn_no,
        asked_in_turns.start_ns,
        asked_in_turns.span_id,
        max(asked_in_turns.end_ns) OVER earlier                                      AS busy_until_ns,
        arg_max(asked_in_turns.request_id, (asked_in_turns.end_ns, asked_in_turns.span_id)) OVER earlier  AS busy_id
    FROM asked_in_turns
    INNER JOIN turn_starts
        ON turn_starts.request_id = asked_in_turns.request_id
        AND turn_starts.from_ns = asked_in_turns.from_ns
    INNER JOIN numbered_turns
        ON numbered_turns.turn_no = turn_starts.turn_no
    WINDOW earlier AS (
        PARTITION BY numbered_turns.conversation_no
        ORDER BY asked_in_turns.start_ns, asked_in_turns.span_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

at_once AS (
    SELECT
        request_id,
        turn_no,
        busy_id
    FROM ordered
    WHERE busy_until_ns > start_ns
        AND busy_id <> request_id
),

writes AS (
    SELECT
        turn_marks.request_id,
        touched.resource,
        min(turn_marks.node_id)  AS node_id
    FROM turn_marks
    CROSS JOIN unnest(turn_marks.written) AS touched(resource)
    WHERE turn_marks.kind IN ('database', 'cache', 'storage', 'memory')
    GROUP BY
        turn_marks.request_id,
        touched.resource
)

SELECT
    at_once.turn_no,
    'S12'                            AS signal,
    bool_or(other.node_id IS NOT NULL)  AS is_lost,
    coalesce(min(writes.node_id) FILTER (WHERE other.node_id IS NOT NULL), min(writes.node_id))  AS node_id,
    min(other.node_id)               AS earlier_node_id
FROM at_once
INNER JOIN writes
    ON writes.request_id = at_once.request_id
LEFT JOIN writes AS other
    ON other.request_id = at_once.busy_id
    AND other.resource = writes.resource
GROUP BY at_once.turn_no;

CREATE OR REPLACE TABLE turn_signals AS
WITH judged AS (
    FROM turns_against_before
    UNION ALL BY NAME
    SELECT
        callees_in_turns.* EXCLUDE (first_mark),
        first_mark.*
    FROM callees_in_turns
    UNION ALL BY NAME
    FROM people_again
    UNION ALL BY NAME
    FROM tools_again
    UNION ALL BY NAME
    FROM questions_again
    UNION ALL BY NAME
    FROM stores_in_turns
    UNION ALL BY NAME
    FROM graphs_again
    UNION ALL BY NAME
    FROM races
)

SELECT
    turns.trace_no,
    turns.turn_id,
    judged.* EXCLUDE (turn_no)
FROM judged
INNER JOIN numbered_turns AS turns
    ON turns.turn_no = judged.turn_no;

CREATE OR REPLACE TABLE turn_habits AS
WITH kept AS (
    -- agents whose prompts are seen to grow from turn to turn keep a history
    SELECT
        turn_no,
        habit_of('S6', cohort, {'agent': history.agent, 'callee': history.callee})  AS habit_id,
        history.messages > history_before.messages                                  AS is_kept
    FROM turn_facts
    WHERE history.agent IS NOT DISTINCT FROM history_before.agent
        AND history.callee = history_before.callee
    UNION ALL
    SELECT
        turn_no,
        habit_of('S10', cohort, NULL),
        first_step.step > 1
    FROM turn_facts
    WHERE first_step IS NOT NULL
        AND turn_no > first_no
)

SELECT
    turns.trace_no,
    kept.habit_id,
    kept.is_kept
FROM kept
INNER JOIN numbered_turns AS turns
    ON turns.turn_no = kept.turn_no;
