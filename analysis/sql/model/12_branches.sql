-- branches: one row a span with its parent's place, and what a walk up the tree stops at.
--
-- A place is a row of `shapes`. The walk over the branches (analysis/walks.py) finds the ancestors that matter.

CREATE OR REPLACE TEMP MACRO is_composite(type) AS
    type IN (
        'agent', 'workflow', 'tool', 'retriever', 'guardrail', 'evaluator', 'memory', 'mcp_server',
        'http_server', 'rpc_server', 'queue_consumer', 'ui'
    );

CREATE OR REPLACE TEMP MACRO is_transparent(type) AS
    type IN ('step', 'internal', 'prompt', 'noise');

CREATE OR REPLACE TEMP TABLE branches AS
WITH

-- Some exporters write no kind at all: there the tree tells who serves and who asks (D11).
kindless AS (
    SELECT
        node_id,
        trace_no,
        parent_key,
        service
    FROM shapes
    WHERE kind = 'UNSPECIFIED'
        AND type = 'internal'
),

-- In a trace of agents a root is the run, not a server.
agentic AS (
    SELECT DISTINCT shapes.trace_no
    FROM shapes
    SEMI JOIN kindless
        ON kindless.trace_no = shapes.trace_no
    WHERE shapes.rule IN ('D2', 'D3', 'D4', 'D5')
),

-- whose work is all done by other services
asking AS (
    SELECT kindless.node_id
    FROM kindless
    INNER JOIN shapes AS child
        ON child.parent_key = kindless.node_id
    WHERE kindless.parent_key IS NOT NULL
    GROUP BY
        kindless.node_id,
        kindless.service
    HAVING bool_and(coalesce(child.service <> kindless.service, false))
),

joined AS (
    SELECT
        child.rowid                                          AS place,
        parent.rowid                                         AS parent_place,
        child.* EXCLUDE (type, parent_key),
        -- A span that is its own parent has none to look for.
        child.parent_key IS NOT NULL AND parent.node_id IS NULL  AS is_orphan,
        CASE
            WHEN child.type = 'internal' AND child.kind = 'UNSPECIFIED'
                AND (
                    (parent.node_id IS NULL AND agentic.trace_no IS NULL)
                    OR parent.service <> child.service
                )
            THEN 'rpc_server'
            WHEN asking.node_id IS NOT NULL AND parent.node_id IS NOT NULL THEN 'rpc_client'
            ELSE child.type
        END                                                  AS type,
        parent.kind                                          AS parent_kind,
        parent.is_browser                                    AS is_parent_browser,
        parent.service                                       AS parent_service
    FROM shapes AS child
    LEFT JOIN shapes AS parent
        ON parent.node_id = child.parent_key
    LEFT JOIN agentic
        ON agentic.trace_no = child.trace_no
    LEFT JOIN asking
        ON asking.node_id = child.node_id
)

SELECT
    *,
    parent_place IS NOT NULL AND (is_parent_remote IS TRUE OR service IS DISTINCT FROM parent_service)  AS is_across,
    type = 'step'                                            AS is_step,
    is_composite(type)                                       AS is_composite,
    is_transparent(type)                                     AS is_transparent,
    type IN ('agent', 'workflow')                            AS is_agent,
    type IN (
        'model', 'tool', 'embedding', 'retriever', 'agent', 'handoff', 'mcp_client', 'mcp_server'
    )                                                        AS is_work,
    conversation_id IS NOT NULL                              AS is_told
FROM joined;
