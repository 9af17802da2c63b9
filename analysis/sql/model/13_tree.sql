-- tree: one row a span, its final type and the ancestors that matter (BOUNDARIES.md, types D12).
--
-- `solid_id` is the nearest ancestor that is not transparent, `composite_id` the nearest that may call,
-- `agent_id` the nearest agent or workflow, `root_id` the top of the fragment.

CREATE OR REPLACE TEMP TABLE placed AS
WITH

-- D12: the topmost step that leads to work is the run as a whole
workflows AS (
    SELECT DISTINCT reached.top_id AS node_id
    FROM reached
    INNER JOIN parents
        ON parents.node_id = reached.node_id
    WHERE parents.type IN ('model', 'tool', 'embedding', 'retriever', 'agent', 'handoff', 'mcp_client', 'mcp_server')
        AND reached.top_id IS NOT NULL
)

SELECT
    parents.node_id,
    CASE WHEN reached.node_id IS NOT NULL THEN parents.parent_id END                     AS parent_id,
    reached.node_id IS NULL                                                              AS is_cyclic,
    CASE WHEN workflows.node_id IS NOT NULL AND parents.type = 'step' THEN 'workflow' ELSE parents.type END AS type,
    CASE WHEN workflows.node_id IS NOT NULL AND parents.type = 'step' THEN 'D12' ELSE parents.rule END AS rule,
    CASE
        WHEN parents.is_root THEN 'root'
        WHEN reached.node_id IS NOT NULL AND parents.parent_id IS NOT NULL THEN 'present'
        WHEN parents.is_parent_remote THEN 'remote'
        ELSE 'missing'
    END                                                                                  AS parent_state,
    parents.parent_id IS NOT NULL AND (
        parents.is_parent_remote IS TRUE
        OR parents.service IS DISTINCT FROM parents.parent_service
    )                                                                                    AS is_across,
    spans.conversation_id
FROM parents
INNER JOIN spans
    ON spans.node_id = parents.node_id
LEFT JOIN reached
    ON reached.node_id = parents.node_id
LEFT JOIN workflows
    ON workflows.node_id = parents.node_id;

CREATE OR REPLACE TEMP TABLE tree AS
WITH RECURSIVE walk AS (
    SELECT
        node_id,
        type,
        node_id       AS root_id,
        NULL::BIGINT  AS solid_id,
        NULL::BIGINT  AS composite_id,
        NULL::BIGINT  AS agent_id,
        conversation_id,
        0             AS depth
    FROM placed
    WHERE parent_id IS NULL

    UNION ALL

    SELECT
        child.node_id,
        child.type,
        walk.root_id,
        CASE WHEN is_transparent(walk.type) THEN walk.solid_id ELSE walk.node_id END,
        CASE WHEN is_composite(walk.type) THEN walk.node_id ELSE walk.composite_id END,
        CASE WHEN walk.type IN ('agent', 'workflow') THEN walk.node_id ELSE walk.agent_id END,
        coalesce(child.conversation_id, walk.conversation_id),
        walk.depth + 1
    FROM walk
    INNER JOIN placed AS child
        ON child.parent_id = walk.node_id
)

SELECT
    walk.*,
    placed.parent_id,
    placed.parent_state,
    placed.is_cyclic,
    placed.is_across,
    placed.rule
FROM walk
INNER JOIN placed
    ON placed.node_id = walk.node_id;
