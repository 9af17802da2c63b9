-- state_signals: one row a turn and signal that could be judged, lost or kept (BOUNDARIES.md, state).
--
-- Some signals lean on what is the habit of all turns; the rest of what they judge is told in `turn_signals`.

-- What is done in at least this share of cases is done by design; what misses elsewhere is then a loss.
CREATE OR REPLACE TEMP MACRO habit_ratio() AS 0.2;

CREATE OR REPLACE TABLE state_signals AS
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
),

told AS (
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
        signal
)

SELECT
    turns.cohort,
    turns.environment,
    turns.conversation_id,
    turns.turn_index,
    told.signal,
    CASE
        WHEN told.signal IN ('S1', 'S2') THEN 'certain'
        WHEN told.signal IN ('S3', 'S6', 'S9') THEN 'strong'
        WHEN told.signal IN ('S4', 'S5', 'S7', 'S8', 'S10', 'S12') THEN 'medium'
        WHEN told.signal = 'S11' THEN 'weak'
        WHEN told.signal = 'S13' THEN 'risk'
    END                           AS strength,
    told.is_lost,
    told.example.node_id,
    told.example.earlier_node_id,
    turns.request_id,
    turns.trace_id,
    turns.service,
    turns.pilot_variant,
    turns.weight,
    turns.started_at,
    turns.is_inferred
FROM told
INNER JOIN turns
    ON turns.turn_id = told.turn_id
ORDER BY
    turns.cohort,
    turns.environment,
    turns.conversation_id,
    turns.turn_index,
    told.signal;
