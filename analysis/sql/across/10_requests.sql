-- requests: one row a user-facing entry, with its turn in the conversation (BOUNDARIES.md, conversations).

CREATE OR REPLACE TABLE requests AS
WITH

-- a request that runs beside an earlier one for more than half its time belongs to the same turn
openings AS (
    SELECT
        *,
        coalesce(
            max(end_ns) OVER turn - start_ns
                <= 0.5 * least(
                    end_ns - start_ns,
                    arg_max(end_ns - start_ns, end_ns) OVER turn
                ),
            true
        )  AS is_opening
    FROM entries
    WHERE conversation_id IS NOT NULL
        AND is_conversing
    WINDOW turn AS (
        PARTITION BY cohort, conversation_id, environment
        ORDER BY start_ns, span_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

turns AS (
    SELECT
        request_id,
        sum(CASE WHEN is_opening THEN 1 ELSE 0 END) OVER (
            PARTITION BY cohort, conversation_id, environment
            ORDER BY start_ns, span_id
        )  AS turn_index
    FROM openings
)

SELECT
    entries.* EXCLUDE (told_turn, is_conversing),
    CASE
        WHEN entries.conversation_id IS NOT NULL THEN coalesce(entries.told_turn, turns.turn_index::BIGINT)
    END  AS turn_index
FROM entries
LEFT JOIN turns
    ON turns.request_id = entries.request_id
ORDER BY entries.request_id;
