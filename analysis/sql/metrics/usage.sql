-- Who calls how often, fails how often, and spends how many tokens and how much money?
--
-- unit: calls
-- better: lower
-- grain: cohort, told_by, name

WITH

-- Summed first, by what tells all three of them.
summed AS (
    SELECT
        cohort,
        owner_agent,
        kind,
        CASE WHEN kind IN ('model', 'tool', 'mcp') THEN callee END  AS callee,
        CASE WHEN kind = 'model' THEN caller END                    AS caller,
        count(*)                            AS calls,
        count(*) FILTER (is_error)          AS failed,
        count(input_tokens)                 AS counted_calls,
        sum(input_tokens)                   AS input_tokens,
        sum(output_tokens)                  AS output_tokens,
        sum(cache_read_tokens)              AS cache_read_tokens,
        sum(cache_write_tokens)             AS cache_write_tokens,
        sum(reasoning_tokens)               AS reasoning_tokens,
        count(cost_usd)                     AS priced_calls,
        sum(cost_usd)                       AS cost_usd,
        sum(weight)                         AS weighed_calls,
        sum(weight * cost_usd)              AS weighed_cost_usd
    FROM calls
    GROUP BY ALL
),

told AS (
    SELECT
        *,
        unnest([
            {'told_by': 'agent', 'name': owner_agent},
            {'told_by': 'model', 'name': CASE WHEN kind = 'model' THEN callee END},
            -- A tool's own calls count for it, and so do the tokens of the models that it asks itself.
            {
                'told_by': 'tool',
                'name': CASE
                    WHEN kind IN ('tool', 'mcp') THEN callee
                    WHEN kind = 'model' AND starts_with(caller, 'tool:') THEN caller
                END
            }
        ], recursive := true)
    FROM summed
)

SELECT
    cohort,
    told_by,                                                 -- agent, model or tool; each adds up to all calls
    name,                                                    -- null: what none of them did
    sum(calls)::BIGINT                  AS calls,            -- handoffs, those to models included
    sum(failed)::BIGINT                 AS failed,
    coalesce(sum(calls) FILTER (kind = 'model'), 0)::BIGINT  AS model_calls,
    sum(counted_calls)::BIGINT          AS counted_calls,    -- model calls that tell their tokens
    sum(input_tokens)::BIGINT           AS input_tokens,     -- as told; cached ones within, where the provider counts so
    sum(output_tokens)::BIGINT          AS output_tokens,
    sum(cache_read_tokens)::BIGINT      AS cache_read_tokens,
    sum(cache_write_tokens)::BIGINT     AS cache_write_tokens,
    sum(reasoning_tokens)::BIGINT       AS reasoning_tokens,
    sum(priced_calls)::BIGINT           AS priced_calls,     -- that tell their cost; the others are not free
    sum(cost_usd)                       AS cost_usd,
    sum(weighed_calls)                  AS weighed_calls,    -- calls these stand for, where traces were sampled
    sum(weighed_cost_usd)               AS weighed_cost_usd
FROM told
GROUP BY
    cohort,
    told_by,
    name
ORDER BY
    cohort,
    told_by,
    cost_usd DESC NULLS LAST,
    calls DESC,
    name
