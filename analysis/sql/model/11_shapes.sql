-- shapes: one row a span, what its own attributes say it is, and no more than walks and folds need to know
-- (BOUNDARIES.md, types D0 to D11).
--
-- `decision` is the rule and the type; the first rule that matches wins. D12 and D13 need the tree.
-- What is only ever held against another span's (a call's id, an answer's, a host, a query) is kept as a hash.

-- the closed set that `orch.node.type` may name; another word is no type
CREATE OR REPLACE TEMP MACRO is_type(word) AS
    word IN (
        'agent', 'workflow', 'step', 'handoff', 'model', 'embedding', 'reranker', 'retriever', 'tool',
        'mcp_client', 'mcp_server', 'mcp_control', 'guardrail', 'evaluator', 'memory', 'prompt',
        'http_client', 'http_server', 'rpc_client', 'rpc_server', 'faas_client', 'db', 'cache',
        'object_store', 'queue_producer', 'queue_consumer', 'queue_poll', 'queue_admin', 'ui',
        'internal', 'noise'
    );

CREATE OR REPLACE TEMP TABLE shapes AS
WITH

-- what one name says, before it is known which name counts
evidence AS (
    SELECT
        node_id,
        trace_no,
        parent_key,
        cohort,
        parent_span_id,
        name,
        kind,
        service_name,
        scope_name,
        is_parent_remote,
        sdk_language,
        links,
        start_ns,
        end_ns,
        conversation_id,
        node_type,
        asgi_event,
        operation,
        vendor,
        handoff_to,
        tool_name,
        tool_call_id,
        mcp,
        mcp_resource_uri,
        a2a_method,
        agent_name,
        agent_id,
        entity_name,
        graph_node_id,
        executor_id,
        workflow_name,
        workflow_id,
        provider,
        host_provider,
        request_model,
        response_model,
        bare_model,
        response_id,
        request_type,
        data_source_id,
        guardrail_name,
        evaluation_name,
        memory_store,
        message_verb,
        message_id,
        db_system,
        query_text,
        bucket,
        rpc_system,
        rpc_service,
        rpc_method,
        invoked_function,
        faas_trigger,
        http_method,
        http_route,
        url_path,
        graphql_operation,
        server_address,
        user_agent,
        CASE
            WHEN operation IN (
                'chat', 'text_completion', 'generate_content', 'completion', 'completions',
                'generate', 'responses', 'llm_request', 'model_request'
            )
            THEN 'model'
            WHEN operation = 'embeddings' THEN 'embedding'
            WHEN operation IN ('retrieval', 'vector_db_retrieve') THEN 'retriever'
            WHEN operation = 'rerank' THEN 'reranker'
            WHEN operation LIKE 'execute_tool%' THEN 'tool'
            WHEN operation LIKE '%\_memory' ESCAPE '\' OR operation LIKE '%\_memory\_store' ESCAPE '\' THEN 'memory'
        END AS terminal,
        CASE
            WHEN vendor IN ('llm', 'generation', 'model', 'completion') THEN 'model'
            WHEN vendor IN ('embedding', 'embedder') THEN 'embedding'
            WHEN vendor IN ('reranker', 'retriever', 'tool', 'agent', 'workflow', 'prompt', 'guardrail', 'evaluator')
            THEN vendor
            WHEN vendor = 'flow' THEN 'workflow'
            WHEN vendor = 'vector_store' THEN 'retriever'
            WHEN vendor IN ('chain', 'task', 'parser', 'session', 'chat_client', 'advisor') THEN 'step'
            WHEN vendor = 'ai.toolcall' THEN 'tool'
            WHEN vendor LIKE 'ai.%.doembed%' THEN 'embedding'
            WHEN vendor LIKE 'ai.%.dogenerate%' OR vendor LIKE 'ai.%.dostream%' THEN 'model'
            WHEN vendor LIKE 'ai.%' THEN 'workflow'
        END AS by_vendor,
        CASE
            WHEN operation = 'invoke_agent' THEN 'agent'
            WHEN operation IN ('invoke_workflow', 'framework') THEN 'workflow'
            WHEN operation IN ('plan', 'execute_task', 'agent_step', 'execute_event_loop_cycle', 'chain') THEN 'step'
        END AS orchestrator,
        kind IN ('CLIENT', 'SERVER') AS is_wire,
        destination IS NOT NULL OR message_system IS NOT NULL OR message_verb IS NOT NULL AS has_message,
        rpc_system = 'aws-api' AND lower(rpc_service) IN ('sqs', 'sns', 'kinesis', 'eventbridge') AS is_aws_message,
        db_system IS NOT NULL
            OR db_namespace IS NOT NULL
            OR query_text IS NOT NULL
            OR db_operation IS NOT NULL AS has_db,
        http_method IS NOT NULL
            OR http_status IS NOT NULL
            OR http_route IS NOT NULL
            OR url_path IS NOT NULL AS has_http,
        coalesce(scope_name LIKE 'autogen %', false) AS is_autogen
    FROM spans
),

decided AS (
    SELECT
        *,
        CASE
            WHEN node_type IS NOT NULL AND is_type(trim(lower(node_type))) THEN 'D0 ' || trim(lower(node_type))

            WHEN asgi_event IS NOT NULL
                OR (kind = 'INTERNAL' AND regexp_matches(name, ' (http|websocket) (send|receive)$'))
                OR (name = 'connect' AND db_system IS NOT NULL AND query_text IS NULL)
                OR regexp_matches(query_text, '(?i)^\s*select\s+[1?]\s*;?\s*$')
                OR name = 'workflow.build' OR name LIKE 'edge\_group.process%' ESCAPE '\'
                OR operation = 'create_agent'
                OR (is_autogen AND message_verb IN ('create', 'receive'))
                OR vendor = 'event'
            THEN 'D1 noise'

            WHEN operation IN ('handoff', 'goto') OR vendor = 'handoff' OR handoff_to IS NOT NULL
                OR (
                    vendor = 'tool'
                    AND (lower(name) LIKE 'handoff to %' OR tool_name LIKE 'transfer\_to\_%' ESCAPE '\')
                )
            THEN 'D2 handoff'

            WHEN mcp IS NOT NULL AND is_wire THEN
                CASE
                    WHEN mcp IN (
                        'initialize', 'ping', 'server/discover', 'resources/subscribe',
                        'resources/unsubscribe'
                    )
                        OR mcp LIKE 'notifications/%' OR mcp LIKE '%/list' OR mcp LIKE 'logging/%'
                        OR mcp LIKE 'roots/%' OR mcp LIKE 'completion/%'
                    THEN 'D3 mcp_control'
                    WHEN kind = 'SERVER' THEN 'D3 mcp_server'
                    ELSE 'D3 mcp_client'
                END
            WHEN a2a_method IS NOT NULL AND is_wire THEN 'D3 agent'

            WHEN terminal IS NOT NULL THEN 'D4 ' || terminal
            WHEN by_vendor IS NOT NULL THEN 'D4 ' || by_vendor
            WHEN orchestrator IS NOT NULL THEN 'D4 ' || orchestrator

            WHEN tool_name IS NOT NULL OR tool_call_id IS NOT NULL THEN 'D5 tool'
            WHEN guardrail_name IS NOT NULL THEN 'D5 guardrail'
            WHEN evaluation_name IS NOT NULL THEN 'D5 evaluator'
            WHEN response_model IS NOT NULL OR request_type IS NOT NULL
                OR (request_model IS NOT NULL AND request_model IS DISTINCT FROM bare_model)
            THEN
                CASE lower(request_type)
                    WHEN 'rerank' THEN 'D5 reranker'
                    WHEN 'embedding' THEN 'D5 embedding'
                    ELSE 'D5 model'
                END
            -- Baggage copied onto every span names the agent on its calls too: those are no agents.
            WHEN (agent_name IS NOT NULL OR agent_id IS NOT NULL)
                AND NOT has_message AND NOT has_db AND NOT has_http AND rpc_system IS NULL
            THEN 'D5 agent'
            WHEN name LIKE 'workflow.run%' AND (workflow_name IS NOT NULL OR workflow_id IS NOT NULL) THEN 'D5 workflow'
            WHEN executor_id IS NOT NULL THEN 'D5 agent'

            WHEN is_autogen AND message_verb = 'process' THEN 'D6 agent'
            WHEN is_aws_message AND regexp_matches(rpc_method, '^(Send|Publish|PutEvents|PutRecord)')
            THEN 'D6 queue_producer'
            WHEN is_aws_message AND regexp_matches(rpc_method, '^(Receive|Delete|ChangeMessage|GetRecords)')
            THEN 'D6 queue_poll'
            WHEN is_aws_message THEN 'D6 queue_admin'
            WHEN has_message OR kind IN ('PRODUCER', 'CONSUMER') THEN
                CASE
                    WHEN message_verb IN ('send', 'publish', 'create', 'apply_async') THEN 'D6 queue_producer'
                    WHEN message_verb IN ('process', 'deliver', 'run') THEN 'D6 queue_consumer'
                    WHEN message_verb IN ('receive', 'poll') AND kind = 'CONSUMER' THEN 'D6 queue_consumer'
                    WHEN message_verb IN ('receive', 'poll', 'settle', 'ack') THEN 'D6 queue_poll'
                    WHEN kind IN ('CONSUMER', 'SERVER') THEN 'D6 queue_consumer'
                    WHEN kind IN ('PRODUCER', 'CLIENT') THEN 'D6 queue_producer'
                    ELSE 'D6 queue_admin'
                END

            WHEN db_system IN ('redis', 'memcached', 'valkey', 'keydb', 'dragonfly', 'hazelcast', 'aerospike')
            THEN 'D7 cache'
            WHEN has_db THEN 'D7 db'
            WHEN bucket IS NOT NULL OR (rpc_system = 'aws-api' AND lower(rpc_service) = 's3') THEN 'D7 object_store'

            WHEN invoked_function IS NOT NULL THEN 'D8 faas_client'
            WHEN faas_trigger = 'http' THEN 'D8 http_server'
            WHEN faas_trigger = 'pubsub' THEN 'D8 queue_consumer'
            WHEN rpc_system IS NOT NULL AND kind = 'SERVER' THEN 'D8 rpc_server'
            WHEN rpc_system IS NOT NULL THEN 'D8 rpc_client'

            WHEN has_http AND kind = 'CLIENT' AND host_provider <> '' THEN 'D9 model'
            WHEN has_http AND kind = 'CLIENT' THEN 'D9 http_client'
            WHEN (has_http OR graphql_operation IS NOT NULL) AND kind = 'SERVER' THEN 'D9 http_server'

            WHEN lower(sdk_language) = 'webjs'
                OR scope_name IN (
                    '@opentelemetry/instrumentation-document-load',
                    '@opentelemetry/instrumentation-user-interaction'
                )
            THEN 'D10 ui'

            WHEN kind = 'CLIENT' THEN 'D11 rpc_client'
            WHEN kind = 'SERVER' THEN 'D11 rpc_server'
            ELSE 'D11 internal'
        END AS decision
    FROM evidence
),

typed AS (
    SELECT
        * EXCLUDE (decision),
        split_part(decision, ' ', 1)  AS rule,
        split_part(decision, ' ', 2)  AS type
    FROM decided
)

SELECT
    node_id,
    trace_no,
    parent_key,
    parent_span_id IS NULL                          AS is_root,
    cohort,
    rule,
    type,
    CASE
        WHEN type = 'agent' THEN coalesce(
            plain_name(agent_name),
            CASE WHEN vendor IN ('agent', 'workflow') THEN plain_name(entity_name) END,
            plain_name(graph_node_id), plain_name(executor_id), bare_name(name)
        )
        WHEN type IN ('workflow', 'step') THEN coalesce(
            -- A step may prove to be a whole run (D12), whose name is its own.
            CASE WHEN type = 'workflow' THEN plain_name(workflow_name) END,
            CASE WHEN vendor IN ('agent', 'workflow') THEN plain_name(entity_name) END,
            plain_name(agent_name), bare_name(name)
        )
        WHEN type IN ('tool', 'mcp_client', 'mcp_server') THEN coalesce(
            plain_name(tool_name),
            CASE WHEN vendor = 'tool' THEN plain_name(entity_name) END,
            uri_template(mcp_resource_uri),
            CASE WHEN type = 'tool' THEN bare_name(name) ELSE mcp END
        )
        WHEN type = 'handoff' THEN plain_name(coalesce(
            handoff_to,
            regexp_extract(tool_name, '^transfer_to_(.+)$', 1),
            nullif(regexp_extract(name, '(?i)handoff to (.+)$', 1), '')
        ))
        WHEN type IN ('model', 'embedding', 'reranker') THEN
            coalesce(provider_name(provider), nullif(host_provider, ''), '?') || '/'
            || coalesce(nullif(response_model, 'unknown'), nullif(request_model, 'unknown'), '?')
        WHEN type IN ('retriever', 'guardrail', 'evaluator', 'memory') THEN coalesce(
            -- A store's id is its name, and no run's.
            CASE WHEN type = 'retriever' THEN data_source_id END,
            plain_name(CASE type
                WHEN 'guardrail' THEN guardrail_name
                WHEN 'evaluator' THEN evaluation_name
                WHEN 'memory' THEN memory_store
            END),
            plain_name(entity_name),
            bare_name(name)
        )
    END  AS label,
    kind,
    service_name                                    AS service,
    scope_name                                      AS scope,
    is_parent_remote,
    lower(sdk_language) = 'webjs'                   AS is_browser,
    coalesce(len(links) > 0, false)                 AS has_links,
    start_ns,
    end_ns,
    conversation_id,
    CASE WHEN type = 'tool' AND tool_call_id IS NOT NULL THEN hash(tool_call_id) END  AS call_hash,
    CASE WHEN response_id IS NOT NULL THEN hash(response_id) END                      AS answer_hash,
    CASE WHEN message_id IS NOT NULL AND type IN ('queue_producer', 'queue_consumer') THEN hash(message_id) END  AS message_hash,
    CASE WHEN type IN ('http_client', 'rpc_client') THEN hash(server_address) END     AS host_hash,
    CASE WHEN type = 'db' AND query_text IS NOT NULL THEN hash(query_text) END        AS query_hash,
    CASE
        WHEN type IN ('http_server', 'rpc_server', 'mcp_server', 'queue_consumer', 'internal')
        THEN operation_name(type, http_method, http_route, url_path, name)
    END                                             AS operation,
    -- A program's library, not a browser or a person's tool.
    type IN ('http_server', 'rpc_server', 'mcp_server', 'queue_consumer') AND user_agent IS NOT NULL
        AND regexp_matches(
            user_agent,
            '(?i)^(python-httpx|python-requests|aiohttp|python/|okhttp|axios|node-fetch'
            || '|go-http-client|grpc-|(async)?(azure)?openai/|[a-z]+-ai/)'
        )                                           AS is_program,
    type IN ('http_server', 'rpc_server', 'ui', 'internal')
        AND regexp_matches(
            coalesce(http_route, url_path, ''),
            '^/(health|ready|live)[^/]*(/|$)|^/metrics$|^/favicon\.ico$'
        )                                           AS is_probe
FROM typed;
