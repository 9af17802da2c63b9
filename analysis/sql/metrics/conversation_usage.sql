-- What did every conversation take?
--
-- unit: calls
-- better: lower
-- grain: cohort, conversation_id

SELECT
    cohort,
    conversation_id,                                         -- null: calls of no conversation
    count(*)                             AS calls,
    count(*) FILTER (is_error)           AS failed,
    count(*) FILTER (kind IN ('tool', 'mcp'))  AS tool_calls,
    count(*) FILTER (kind = 'model')     AS model_calls,
    count(DISTINCT trace_no)             AS traces,
    sum(input_tokens)::BIGINT            AS input_tokens,
    sum(output_tokens)::BIGINT           AS output_tokens,
    count(cost_usd)                      AS priced_calls,
    sum(cost_usd)                        AS cost_usd,
    avg(weight)                          AS weight,          -- conversations this one stands for
    min_by(trace_id, (started_at, call_id))  AS first_trace_id
FROM calls
GROUP BY
    cohort,
    conversation_id
ORDER BY
    cohort,
    cost_usd DESC NULLS LAST,
    input_tokens DESC NULLS LAST,
    conversation_id
