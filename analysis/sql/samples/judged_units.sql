-- How many conversations had so many turns judged, and lost so many of them?
--
-- unit: turns
-- better: lower
-- grain: cohort, turn_index, judged, lost

WITH

-- At one turn number a conversation has one turn.
at_turns AS (
    SELECT
        cohort,
        turn_index,
        weight                                         AS judged,
        CASE WHEN is_lost THEN weight ELSE 0 END       AS lost,
        count(*)                                       AS units,
        count(*)                                       AS turns
    FROM judged_turns
    GROUP BY ALL
),

-- At the first turn nothing was there to be kept.
later AS (
    SELECT
        cohort,
        judged,
        lost,
        count(*)             AS units,
        sum(turns)::BIGINT   AS turns
    FROM (
        SELECT
            any_value(cohort)                                        AS cohort,
            sum(weight)                                              AS judged,
            coalesce(sum(weight) FILTER (is_lost), 0)                AS lost,
            count(*)                                                 AS turns
        FROM judged_turns
        WHERE turn_index > 1
        GROUP BY conversation_no
    )
    GROUP BY
        cohort,
        judged,
        lost
)

SELECT
    cohort,
    turn_index,                             -- null: all turns after the first together
    judged::DOUBLE  AS judged,              -- turns of each, as many as they stand for where traces were sampled
    lost::DOUBLE    AS lost,                -- of these, by a certain or a strong signal
    units,                                  -- conversations of which this is true
    turns                                   -- turns of all of them
FROM (
    FROM at_turns
    UNION ALL BY NAME
    FROM later
)
ORDER BY
    cohort,
    turn_index,
    judged,
    lost
