-- reached: one row a span that hangs below a root, with the topmost step or composite above it.
--
-- A circle of parents hangs below no root and is not here, so the walk always ends.

CREATE OR REPLACE TEMP TABLE parents AS
SELECT
    child.node_id,
    parent.node_id                        AS parent_id,
    child.service_name                    AS service,
    parent.service_name                   AS parent_service,
    child.kind,
    parent.kind                           AS parent_kind,
    child.parent_span_id IS NULL          AS is_root,
    child.is_parent_remote,
    types.rule,
    -- Some exporters write no kind at all: then another service's span is a call served (D11).
    CASE
        WHEN types.type = 'internal' AND child.kind = 'UNSPECIFIED'
            AND (parent.node_id IS NULL OR parent.service_name IS DISTINCT FROM child.service_name)
        THEN 'rpc_server'
        ELSE types.type
    END                                   AS type
FROM spans AS child
INNER JOIN types
    ON types.node_id = child.node_id
LEFT JOIN spans AS parent
    ON parent.trace_no = child.trace_no
    AND parent.span_id = child.parent_span_id
    AND parent.node_id <> child.node_id;

CREATE OR REPLACE TEMP MACRO is_composite(type) AS
    type IN (
        'agent', 'workflow', 'tool', 'retriever', 'guardrail', 'evaluator', 'memory', 'mcp_server',
        'http_server', 'rpc_server', 'queue_consumer', 'ui'
    );

CREATE OR REPLACE TEMP MACRO is_transparent(type) AS
    type IN ('step', 'internal', 'prompt', 'noise');

CREATE OR REPLACE TEMP TABLE reached AS
WITH RECURSIVE walk AS (
    SELECT
        node_id,
        CASE WHEN type = 'step' OR is_composite(type) THEN node_id END  AS top_id
    FROM parents
    WHERE parent_id IS NULL

    UNION ALL

    SELECT
        child.node_id,
        coalesce(
            walk.top_id,
            CASE WHEN child.type = 'step' OR is_composite(child.type) THEN child.node_id END
        )
    FROM walk
    INNER JOIN parents AS child
        ON child.parent_id = walk.node_id
)

SELECT
    node_id,
    top_id
FROM walk;
