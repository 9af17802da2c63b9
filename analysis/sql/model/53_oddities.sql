-- oddities: one row a span that says something no rule can follow, and one a model call whose layers both count
-- its tokens, with whether they count the same (BOUNDARIES.md, gaps).

-- Two counts of one thing are alike within this share; tokenizers round and streams are cut.
CREATE OR REPLACE TEMP MACRO is_alike(one, other) AS
    abs(one - other) <= 0.02 * greatest(one, other);

CREATE OR REPLACE TABLE oddities AS
WITH

-- Tries and parts of one call count apart: only a lone layer below another tells the same call.
layered AS (
    SELECT
        members.group_id,
        members.outer_id,
        members.node_id
    FROM members
    WHERE members.part = 'layer'
        AND is_model(members.type)
    QUALIFY count(*) OVER (PARTITION BY members.outer_id) = 1
),

counted AS (
    SELECT
        node_id,
        input_tokens,
        output_tokens,
        coalesce(cache_read_tokens, 0)      AS cached,
        coalesce(cache_write_tokens, 0)     AS stored,
        coalesce(reasoning_tokens, 0)       AS reasoned
    FROM spans
    WHERE input_tokens > 0
        OR output_tokens > 0
),

-- Some count cached and reasoning tokens within the others, some beside them: that is no contradiction.
compared AS (
    SELECT
        layered.group_id,
        bool_and(
            coalesce(
                is_alike(below.input_tokens, above.input_tokens)
                OR is_alike(below.input_tokens + below.cached, above.input_tokens)
                OR is_alike(below.input_tokens + below.cached + below.stored, above.input_tokens)
                OR is_alike(below.input_tokens, above.input_tokens + above.cached)
                OR is_alike(below.input_tokens, above.input_tokens + above.cached + above.stored),
                true
            )
            AND coalesce(
                is_alike(below.output_tokens, above.output_tokens)
                OR is_alike(below.output_tokens + below.reasoned, above.output_tokens)
                OR is_alike(below.output_tokens, above.output_tokens + above.reasoned),
                true
            )
        )  AS is_same
    FROM layered
    INNER JOIN counted AS below
        ON below.node_id = layered.node_id
    INNER JOIN counted AS above
        ON above.node_id = layered.outer_id
    GROUP BY layered.group_id
)

SELECT
    node_id,
    trace_no,
    cohort,
    service_name  AS service,
    'unknown_type'  AS oddity,
    true            AS is_odd
FROM spans
WHERE node_type IS NOT NULL
    AND NOT is_type(trim(lower(node_type)))
UNION ALL
SELECT
    nodes.node_id,
    nodes.trace_no,
    nodes.cohort,
    nodes.service,
    'token_mismatch',
    NOT compared.is_same
FROM compared
INNER JOIN nodes
    ON nodes.node_id = compared.group_id;
