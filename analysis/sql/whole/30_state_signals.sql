-- state_signals: one row a turn and signal that could be judged, lost or kept (BOUNDARIES.md, state).
--
-- Some signals lean on what is the habit of all turns; the rest of what they judge is told in `turn_signals`.

-- What is done in at least this share of cases is done by design; what misses elsewhere is then a loss.
CREATE OR REPLACE TEMP MACRO habit_ratio() AS 0.2;

CREATE OR REPLACE TABLE judged_signals AS
WITH

habits AS (
    SELECT habit_id
    FROM (
        SELECT
            habit_id,
            is_kept
        FROM turn_habits
        UNION ALL
        SELECT
            habit_id,
            is_conversation_kept
        FROM callee_marks
    )
    GROUP BY habit_id
    HAVING avg(is_kept::INTEGER) >= habit_ratio()
),

judged AS (
    SELECT
        turn_signals.* EXCLUDE (is_lost),
        coalesce(is_lost OR habits.habit_id IS NOT NULL AND is_lost_by_habit, false)  AS is_lost
    FROM turn_signals
    LEFT JOIN habits
        ON habits.habit_id = turn_signals.habit_id
    WHERE turn_signals.signal NOT IN ('S3', 'S10')
        OR habits.habit_id IS NOT NULL
)

SELECT
    turn_id,
    signal,
    bool_or(is_lost)  AS is_lost,
    arg_min(
        {'node_id': node_id, 'earlier_node_id': earlier_node_id}, (NOT is_lost, start_ns, node_id)
    )                 AS example
FROM judged
GROUP BY
    turn_id,
    signal;

-- judged_turns: one row a turn that a certain or a strong signal could judge, and which of them did.
CREATE OR REPLACE TABLE judged_turns AS
SELECT
    turns.cohort,
    turns.environment,
    turns.conversation_id,
    turns.conversation_no,
    turns.turn_index,
    turns.trace_id,
    turns.service,
    turns.pilot_variant,
    turns.weight,
    turns.started_at,
    judged.* EXCLUDE (turn_id)
FROM (
    SELECT
        turn_id,
        bool_or(is_lost)                                    AS is_lost,
        list_sort(list(signal) FILTER (WHERE is_lost))      AS signals,    -- that say so
        bool_or(signal = 'S1')                              AS has_s1,
        bool_or(signal = 'S2')                              AS has_s2,
        bool_or(signal = 'S3')                              AS has_s3,
        bool_or(signal = 'S6')                              AS has_s6,
        bool_or(signal = 'S9')                              AS has_s9
    FROM judged_signals
    WHERE signal IN ('S1', 'S2', 'S3', 'S6', 'S9')
    GROUP BY turn_id
) AS judged
INNER JOIN turns
    ON turns.turn_id = judged.turn_id
WHERE NOT turns.is_inferred;

CREATE OR REPLACE VIEW state_signals AS
SELECT
    turns.cohort,
    turns.environment,
    turns.conversation_id,
    turns.conversation_no,
    turns.turn_index,
    judged_signals.signal,
    CASE
        WHEN judged_signals.signal IN ('S1', 'S2') THEN 'certain'
        WHEN judged_signals.signal IN ('S3', 'S6', 'S9') THEN 'strong'
        WHEN judged_signals.signal IN ('S4', 'S5', 'S7', 'S8', 'S10', 'S12') THEN 'medium'
        WHEN judged_signals.signal = 'S11' THEN 'weak'
        WHEN judged_signals.signal = 'S13' THEN 'risk'
    END  AS strength,
    judged_signals.is_lost,
    judged_signals.example.node_id,
    judged_signals.example.earlier_node_id,
    turns.request_id,
    turns.trace_no,
    turns.trace_id,
    turns.service,
    turns.pilot_variant,
    turns.weight,
    turns.started_at,
    turns.is_inferred
FROM judged_signals
INNER JOIN turns
    ON turns.turn_id = judged_signals.turn_id;
