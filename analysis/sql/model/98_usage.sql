-- trace_usage: one row a trace, and conversation or none, with what its calls took.

CREATE OR REPLACE TABLE trace_usage AS
SELECT
    trace_no,
    any_value(cohort)                                    AS cohort,
    conversation_id,
    count(*)::INTEGER                                    AS calls,
    (count(*) FILTER (is_error))::INTEGER                AS failed,
    (count(*) FILTER (kind IN ('tool', 'mcp')))::INTEGER AS tool_calls,
    (count(*) FILTER (kind = 'model'))::INTEGER          AS model_calls,
    sum(input_tokens)::BIGINT                            AS input_tokens,
    sum(output_tokens)::BIGINT                           AS output_tokens,
    count(cost_usd)::INTEGER                             AS priced_calls,
    sum(cost_usd)                                        AS cost_usd,
    sum(weight)                                          AS weight    -- calls these stand for, where traces were sampled
FROM calls
GROUP BY
    trace_no,
    conversation_id;
