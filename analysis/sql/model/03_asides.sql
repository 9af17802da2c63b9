-- asides: the attributes of the spans that have one of the few keys no column has and a rule asks for.
--
-- To read the map of every span costs as much as ten columns, and five scans would; few spans have such a key.

CREATE OR REPLACE TEMP TABLE asides AS
SELECT
    (hash(cohort, trace_id, span_id) >> 1)::BIGINT  AS node_id,
    attributes
FROM lake
WHERE list_has_any(map_keys(attributes), [
    'ai.prompt',
    'ai.prompt.length',
    'ai.prompt.messages',
    'ai.prompt.messages.length',
    'celery.action',
    'celery.state',
    'celery.task_name',
    'entity.2.name',
    'faas.invoked_name',
    'fastmcp.component.key',
    'gen_ai.input.messages',
    'gen_ai.input.messages.length',
    'gen_ai.prompt',
    'gen_ai.prompt.length',
    'gen_ai.task.status',
    'input.value',
    'input.value.length',
    'langfuse.observation.input',
    'langfuse.observation.input.length',
    'langsmith.metadata.langgraph_step',
    'metadata',
    'model_name',
    'orch.auth.delegated',
    'orch.auth.principal',
    'pydantic_ai.all_messages',
    'pydantic_ai.all_messages.length',
    'pydantic_ai.tool.failure_stage',
    'traceloop.association.properties.langgraph_step',
    'traceloop.entity.input',
    'traceloop.entity.input.length',
    'workflow.id'
])
    -- Scopes stand under many keys, and one of them fills the column.
    OR scopes_granted IS NOT NULL
    OR scopes_required IS NOT NULL;
