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

joined AS (
    SELECT
        child.rowid                                          AS place,
        parent.rowid                                         AS parent_place,
        child.* EXCLUDE (type, parent_key),
        -- Some exporters write no kind at all: then another service's span is a call served (D11).
        CASE
            WHEN child.type = 'internal' AND child.kind = 'UNSPECIFIED'
                AND (parent.node_id IS NULL OR parent.service IS DISTINCT FROM child.service)
            THEN 'rpc_server'
            ELSE child.type
        END                                                  AS type,
        parent.kind                                          AS parent_kind,
        parent.is_browser                                    AS is_parent_browser,
        parent.service                                       AS parent_service
    FROM shapes AS child
    LEFT JOIN shapes AS parent
        ON parent.node_id = child.parent_key
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
