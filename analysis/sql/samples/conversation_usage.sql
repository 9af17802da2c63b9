-- What did every conversation take?
--
-- unit: calls
-- better: lower
-- grain: cohort, unit_id

SELECT
    cohort,
    hash(conversation_id)                AS unit_id,
    count(conversation_id) > 0           AS is_named,         -- else calls of no conversation
    count(*)                             AS calls,
    count(*) FILTER (is_error)           AS failed,
    count(*) FILTER (kind IN ('tool', 'mcp'))  AS tool_calls,
    count(*) FILTER (kind = 'model')     AS model_calls,
    sum(input_tokens)::BIGINT            AS input_tokens,
    sum(output_tokens)::BIGINT           AS output_tokens,
    count(cost_usd)                      AS priced_calls,
    sum(cost_usd)                        AS cost_usd,
    avg(weight)                          AS weight           -- conversations this one stands for
FROM calls
GROUP BY
    cohort,
    hash(conversation_id)
