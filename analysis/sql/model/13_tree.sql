-- tree: one row a span, its final type and the ancestors that matter (BOUNDARIES.md, types D12).
--
-- `solid_id` is the nearest ancestor that is not transparent, `composite_id` the nearest that may call,
-- `agent_id` the nearest agent or workflow, `root_id` the top of the fragment.

CREATE OR REPLACE TEMP TABLE tree AS
WITH

-- a trace with one conversation gives it to all its spans
conversations AS (
    SELECT
        trace_no,
        CASE WHEN min(conversation_id) = max(conversation_id) THEN min(conversation_id) END  AS conversation_id
    FROM branches
    WHERE is_told
    GROUP BY trace_no
)

SELECT
    branches.* EXCLUDE (
        place, parent_place, type, rule, is_step, is_composite, is_transparent, is_agent, is_work, is_told,
        conversation_id
    ),
    CASE WHEN walked.is_run THEN 'workflow' ELSE branches.type END    AS type,
    CASE WHEN walked.is_run THEN 'D12' ELSE branches.rule END         AS rule,
    CASE
        WHEN branches.is_root THEN 'root'
        WHEN walked.parent_id IS NOT NULL THEN 'present'
        WHEN branches.is_parent_remote THEN 'remote'
        ELSE 'missing'
    END                                                               AS parent_state,
    CASE
        WHEN walked.is_run OR branches.is_composite THEN 'composite'
        WHEN branches.is_transparent THEN 'transparent'
        ELSE 'leaf'
    END                                                               AS role,
    coalesce(conversations.conversation_id, teller.conversation_id)   AS conversation_id,
    branches.is_told                                                  AS is_conversation_told,
    walked.* EXCLUDE (place, is_run, told_by_id)
FROM branches
INNER JOIN branches_walked AS walked
    ON walked.place = branches.place
LEFT JOIN conversations
    ON conversations.trace_no = branches.trace_no
-- Where a trace has several, the nearest span above counts.
LEFT JOIN branches AS teller
    ON teller.node_id = walked.told_by_id
    AND conversations.conversation_id IS NULL;
