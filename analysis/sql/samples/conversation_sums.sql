-- What did every conversation take, of all that is in the lake?
--
-- unit: calls
-- better: lower
-- grain: cohort, unit_id

SELECT
    cohort,
    hash(conversation_id)                AS unit_id,
    count(conversation_id) > 0           AS is_named,         -- else calls of no conversation
    sum(calls)::BIGINT                   AS calls,
    sum(tool_calls)::BIGINT              AS tool_calls,
    sum(model_calls)::BIGINT             AS model_calls,
    sum(input_tokens)::BIGINT            AS input_tokens,
    sum(output_tokens)::BIGINT           AS output_tokens,
    sum(cost_usd)                        AS cost_usd,
    sum(weight) / sum(calls)             AS weight           -- conversations this one stands for
FROM trace_usage
GROUP BY
    cohort,
    hash(conversation_id)
