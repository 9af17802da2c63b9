-- state_marks: one row a span that tells something of state (BOUNDARIES.md, conversations and state).
-- root_marks: one row a span at the top of its fragment, with what it says of where it belongs.
--
-- A span tells in few columns; where several instrumentations saw one call, its representative tells for all.

-- What keeps a conversation between its turns is called so: redis:sessions, checkpoints, memory:notes.
CREATE OR REPLACE TEMP MACRO is_state_name(text) AS
    regexp_matches(
        lower(text),
        '(^|[^a-z])(sessions?|checkpoints?|checkpointer|memory|memories|conversations?|threads?'
        || '|transcripts?|contexts?|chat_?history|message_?store|agent_?states?)([^a-z]|$)'
    )
    -- LangGraph's other tables are empty as a rule.
    AND NOT regexp_matches(lower(text), 'checkpoint_(writes|blobs|migrations)');

CREATE OR REPLACE TEMP MACRO is_compaction_name(text) AS
    regexp_matches(
        text,
        '(?i)(^|[^a-z])compact(ion|ing|_|$)'
        || '|summari[sz](e|ation|ing)[ _.-]?(history|conversation|messages?|context|memory|middleware)'
        || '|(history|conversation|messages?|context|memory)[ _.-]?(summar|compact|trim|prun)'
        || '|(trim|prune)[ _.-]?(history|conversation|messages?|context)'
    );

CREATE OR REPLACE TEMP MACRO is_turn_name(text) AS
    regexp_matches(text, '(?i)^agent[ _.-]?turn$');

-- LangGraph's step, as Traceloop, LangSmith and OpenInference write it.
CREATE OR REPLACE TEMP MACRO graph_step_of(attributes) AS
    TRY_CAST(coalesce(
        attributes['traceloop.association.properties.langgraph_step'],
        attributes['langsmith.metadata.langgraph_step'],
        nullif(regexp_extract(attributes['metadata'], '"langgraph_step": *([0-9]+)', 1), '')
    ) AS BIGINT);

-- Each name is read once, however many spans have it.
CREATE OR REPLACE TEMP TABLE names AS
SELECT
    name,
    is_compaction_name(name)                                                    AS is_compaction,
    is_turn_name(name)                                                          AS is_turn_span,
    regexp_matches(name, '(?i)(^|[^a-z])(websocket|realtime)([^a-z]|$)')        AS is_socket,
    regexp_matches(name, '(?i)(^|[^a-z]|agent|client)session([^a-z]|$)')        AS is_session
FROM (
    SELECT DISTINCT name
    FROM nodes
);

CREATE OR REPLACE TEMP TABLE told AS
SELECT
    nodes.node_id,
    nodes.cohort,
    nodes.trace_no,
    nodes.root_id,
    nodes.parent_id,
    nodes.span_id,
    nodes.start_ns,
    nodes.end_ns,
    nodes.type,
    nodes.label,
    nodes.service,
    nodes.agent_id,
    nodes.is_across,
    nodes.conversation_id,
    groups.group_id,
    groups.part,
    spans.parent_span_id,
    spans.links,
    spans.conversation_id                  AS told_conversation_id,
    spans.turn_index                       AS told_turn,
    spans.user_id,
    spans.context_hash_in,
    spans.context_hash_out,
    spans.context_version,
    spans.context_store,
    spans.context_hit,
    spans.server_address,
    spans.http_route,
    spans.url_path,
    spans.rpc_service,
    spans.rpc_method,
    spans.mcp_server,
    spans.args_hash,
    spans.input_hash,
    CASE WHEN nodes.type = 'model' THEN spans.input_message_count END  AS message_count,
    -- Of a whole prompt the hash changes with every call; of the last thing a person said it does not.
    CASE
        WHEN spans.input_hash IS NULL THEN NULL
        WHEN coalesce(
            spans.attributes['gen_ai.input.messages.length'], spans.attributes['gen_ai.input.messages'],
            spans.attributes['ai.prompt.messages.length'], spans.attributes['ai.prompt.messages']
        ) IS NOT NULL THEN 'message'
        -- What an agent's run came to holds answers of tools after what was asked.
        WHEN coalesce(
            spans.attributes['pydantic_ai.all_messages.length'], spans.attributes['pydantic_ai.all_messages']
        ) IS NOT NULL THEN NULL
        WHEN coalesce(
            spans.attributes['input.value.length'], spans.attributes['input.value'],
            spans.attributes['traceloop.entity.input.length'], spans.attributes['traceloop.entity.input'],
            spans.attributes['langfuse.observation.input.length'], spans.attributes['langfuse.observation.input'],
            spans.attributes['ai.prompt.length'], spans.attributes['ai.prompt'],
            spans.attributes['gen_ai.prompt.length'], spans.attributes['gen_ai.prompt']
        ) IS NOT NULL THEN 'whole'
        ELSE 'hash'
    END                                   AS input_source,
    CASE WHEN spans.vendor_kind IS NOT NULL THEN graph_step_of(spans.attributes) END  AS graph_step,
    CASE
        WHEN spans.context_hit IS NOT NULL THEN spans.context_hit
        WHEN spans.cache_hit IS NOT NULL THEN spans.cache_hit
        WHEN nodes.type = 'object_store' AND spans.http_status IS NOT NULL THEN spans.http_status <> 404
        ELSE coalesce(spans.db_rows, spans.memory_record_count) > 0
    END                                   AS is_hit,
    coalesce(nodes.error_type, nodes.exception_type, nodes.status_message) IS NOT NULL AND regexp_matches(
        concat_ws(' ', nodes.error_type, nodes.exception_type, nodes.status_message),
        'GraphInterrupt|NodeInterrupt|CallDeferred|ApprovalRequired'
    )                                     AS is_interrupt,
    names.is_compaction,
    names.is_turn_span,
    -- One trace holds a whole session: a socket that stays open, a client's session, a voice agent's.
    coalesce(spans.asgi_event LIKE 'websocket.%', false)
        OR nodes.parent_id IS NULL
            AND (
                coalesce(spans.http_status = 101, false)
                OR spans.vendor_kind = 'session'
                OR names.is_socket
                OR nodes.type <> 'http_server' AND names.is_session
            )                             AS is_session
FROM spans
INNER JOIN nodes
    ON nodes.node_id = spans.node_id
LEFT JOIN names
    ON names.name = nodes.name
LEFT JOIN groups
    ON groups.node_id = nodes.node_id
-- Most spans of a large system are plain steps and transport, and tell nothing here.
WHERE nodes.parent_id IS NULL
    OR nodes.is_across
    OR nodes.type NOT IN ('internal', 'step', 'noise', 'prompt', 'http_client', 'rpc_client', 'http_server', 'rpc_server')
    OR coalesce(spans.user_id, spans.asgi_event, spans.context_hash_in, spans.context_hash_out, spans.context_store) IS NOT NULL
    OR coalesce(spans.turn_index, spans.context_version) IS NOT NULL
    OR coalesce(spans.context_hit, spans.cache_hit) IS NOT NULL
    OR spans.vendor_kind IS NOT NULL
    OR coalesce(nodes.error_type, nodes.exception_type, nodes.status_message) IS NOT NULL
    OR nodes.type IN ('internal', 'step') AND (names.is_compaction OR names.is_turn_span);

-- what the members of a group say of one call
CREATE OR REPLACE TEMP TABLE group_marks AS
SELECT
    group_id,
    min(args_hash)                                                                AS args_hash,
    max(message_count)                                                            AS message_count,
    min(input_hash) FILTER (WHERE type = 'model' AND input_source IN ('message', 'hash'))  AS input_hash,
    bool_and(is_hit)                                                              AS is_hit,
    bool_or(context_hit IS NOT NULL OR context_store IS NOT NULL)                 AS is_state_told,
    min(context_store)                                                            AS context_store,
    bool_or(coalesce(is_state_name(server_address), false))                       AS is_state_host
FROM told
WHERE args_hash IS NOT NULL
    OR message_count IS NOT NULL
    OR input_hash IS NOT NULL
    OR is_hit IS NOT NULL
    OR context_store IS NOT NULL
    OR type IN ('db', 'cache', 'object_store', 'memory') AND is_state_name(server_address)
GROUP BY group_id;

CREATE OR REPLACE TABLE root_marks AS
SELECT
    roots.node_id,
    roots.cohort,
    roots.trace_no,
    roots.start_ns,
    roots.end_ns,
    roots.type,
    roots.conversation_id,
    CASE WHEN nodes.parent_state IN ('remote', 'missing') THEN roots.parent_span_id END  AS parent_span_id,
    nodes.kind = 'CONSUMER'                                                       AS is_consumer,
    list_transform(
        roots.links, lambda link: {'trace_id': link.trace_id, 'span_id': link.span_id}
    )                                                                             AS links,
    -- how a caller would have written whom it called
    list_distinct(list_filter(
        CASE
            WHEN roots.type = 'http_server' THEN [
                'http:' || roots.service || coalesce(roots.http_route, path_template(roots.url_path)),
                'http:' || roots.service || path_template(roots.url_path),
                'http:' || lower(roots.server_address) || coalesce(roots.http_route, path_template(roots.url_path)),
                'http:' || lower(roots.server_address) || path_template(roots.url_path)
            ]
            WHEN roots.type = 'rpc_server' THEN ['rpc:' || roots.rpc_service || '/' || roots.rpc_method]
            WHEN roots.type = 'mcp_server' THEN [
                'mcp:' || roots.mcp_server || '/' || roots.label,
                'mcp:' || roots.service || '/' || roots.label,
                'mcp:' || lower(roots.server_address) || '/' || roots.label,
                'mcp:?/' || roots.label,
                'tool:' || roots.label
            ]
            WHEN roots.type = 'tool' THEN ['tool:' || roots.label]
            WHEN roots.type IN ('agent', 'workflow') THEN ['agent:' || roots.label]
            ELSE []
        END,
        lambda name: name IS NOT NULL
    ))                                                                            AS served,
    below.user_id,
    below.is_session OR below.turn_spans > 0 OR below.told_turns > 1              AS is_session
FROM told AS roots
INNER JOIN nodes
    ON nodes.node_id = roots.node_id
INNER JOIN (
    SELECT
        root_id,
        -- of several persons named in one fragment none is sure
        CASE WHEN count(DISTINCT user_id) = 1 THEN min(user_id) END  AS user_id,
        bool_or(is_session)                                          AS is_session,
        count(*) FILTER (WHERE is_turn_span)                         AS turn_spans,
        count(DISTINCT told_turn)                                    AS told_turns
    FROM told
    GROUP BY root_id
) AS below
    ON below.root_id = roots.node_id
WHERE roots.parent_id IS NULL;

-- what one call touches of state, and what it writes
CREATE OR REPLACE TEMP TABLE touched AS
WITH

stores AS (
    SELECT
        resource,
        is_state_name(resource)  AS is_state
    FROM (
        SELECT DISTINCT resource
        FROM accesses
    )
)

SELECT
    accesses.call_id,
    min(accesses.access)                                                          AS access,
    bool_and(accesses.access IN ('read', 'none'))                                 AS is_reading,
    min(CASE
        WHEN accesses.kind NOT IN ('database', 'cache', 'storage', 'memory') AND group_marks.is_state_told IS NOT TRUE
        THEN NULL
        WHEN group_marks.is_state_told OR accesses.kind = 'memory' OR group_marks.is_state_host
            OR stores.is_state
        THEN coalesce(group_marks.context_store, accesses.resource)
    END)                                                                          AS store,
    list_sort(list(DISTINCT accesses.resource) FILTER (
        WHERE accesses.access IN ('write', 'delete', 'admin')
            AND accesses.kind IN ('database', 'cache', 'storage', 'memory', 'tool', 'mcp')
    ))                                                                            AS written
FROM accesses
LEFT JOIN stores
    ON stores.resource = accesses.resource
LEFT JOIN group_marks
    ON group_marks.group_id = accesses.call_id
GROUP BY accesses.call_id;

CREATE OR REPLACE TABLE state_marks AS
WITH

-- a part of the system that was called by another: the conversation of its caller, and what it says itself
callees AS (
    SELECT
        told.node_id,
        CASE WHEN told.type = 'agent' THEN 'agent:' || coalesce(told.label, '?') ELSE 'service:' || told.service END
            AS callee_key,
        caller.conversation_id  AS caller_conversation_id
    FROM told
    LEFT JOIN calls
        ON calls.call_id = told.node_id
        AND calls.kind = 'agent'
    INNER JOIN nodes AS caller
        ON caller.node_id = coalesce(calls.caller_id, told.parent_id)
    WHERE caller.conversation_id IS NOT NULL
        AND caller.trace_no = told.trace_no
        AND (
            told.type IN ('http_server', 'rpc_server', 'mcp_server', 'queue_consumer')
                AND told.is_across
                AND caller.service <> told.service
            OR told.type = 'agent' AND calls.call_id IS NOT NULL
        )
),

-- the first span of every step of a graph's run
steps AS (
    SELECT arg_min(node_id, (start_ns, span_id))  AS node_id
    FROM told
    WHERE graph_step IS NOT NULL
    GROUP BY
        root_id,
        graph_step
),

last_models AS (
    SELECT
        root_id,
        max(start_ns)  AS start_ns
    FROM told
    WHERE type = 'model'
    GROUP BY root_id
),

gathered AS (
    SELECT
        told.node_id,
        told.cohort,
        told.trace_no,
        told.root_id,
        told.span_id,
        told.start_ns,
        told.end_ns,
        told.type,
        told.conversation_id,
        told.told_turn,
        -- An interrupt after which the models went on was answered within the request.
        told.is_interrupt AND coalesce(last_models.start_ns <= told.end_ns, true)  AS is_interrupt,
        told.is_compaction,
        told.is_turn_span,
        root_marks.is_session
            AND told.parent_id IS NOT NULL
            AND coalesce(told.agent_id = told.root_id, true)
            AND (
                told.is_turn_span
                OR told.part = 'representative'
                    AND told.type IN ('agent', 'workflow', 'model', 'tool', 'mcp_client', 'retriever')
            )                                                             AS is_turn_part,
        told.context_hash_in,
        told.context_hash_out,
        told.context_version,
        coalesce(touched.is_reading, false)                               AS is_reading,
        touched.store,
        CASE WHEN touched.store IS NOT NULL THEN group_marks.is_hit END   AS is_hit,
        touched.written,
        calls.kind,
        calls.callee,
        coalesce(calls.owner_agent, calls.owner_service)                  AS agent,
        touched.access,
        calls.is_error,
        CASE WHEN calls.kind IN ('tool', 'mcp') THEN group_marks.args_hash END  AS args_hash,
        CASE
            WHEN told.type = 'model' AND calls.call_id IS NOT NULL THEN group_marks.input_hash
            WHEN told.type IN ('agent', 'workflow') OR told.parent_id IS NULL THEN told.input_hash
        END                                                               AS input_hash,
        told.input_source,
        -- No prompt is empty: nothing was counted.
        CASE WHEN told.type = 'model' THEN nullif(calls.input_tokens, 0) END  AS input_tokens,
        CASE WHEN told.type = 'model' THEN calls.cache_read_tokens END    AS cache_read_tokens,
        CASE WHEN told.type = 'model' AND calls.call_id IS NOT NULL THEN group_marks.message_count END
            AS message_count,
        CASE WHEN steps.node_id IS NOT NULL THEN told.graph_step END      AS graph_step,
        callees.callee_key,
        -- whether it says whose conversation it serves, and says what its caller says
        CASE
            WHEN callees.callee_key IS NOT NULL
            THEN told.told_conversation_id IS NOT DISTINCT FROM callees.caller_conversation_id
        END                                                               AS is_conversation_kept
    FROM told
    LEFT JOIN root_marks
        ON root_marks.node_id = told.root_id
    LEFT JOIN last_models
        ON last_models.root_id = told.root_id
    LEFT JOIN calls
        ON calls.call_id = told.node_id
        AND calls.kind IN ('model', 'tool', 'mcp', 'database', 'cache', 'storage', 'memory')
    LEFT JOIN group_marks
        ON group_marks.group_id = told.node_id
    LEFT JOIN touched
        ON touched.call_id = told.node_id
    LEFT JOIN steps
        ON steps.node_id = told.node_id
    LEFT JOIN callees
        ON callees.node_id = told.node_id
)

SELECT *
FROM gathered
WHERE is_interrupt
    OR is_compaction
    OR is_turn_part
    OR context_hash_in IS NOT NULL
    OR context_hash_out IS NOT NULL
    OR context_version IS NOT NULL
    OR store IS NOT NULL
    OR len(written) > 0
    OR args_hash IS NOT NULL
    OR input_hash IS NOT NULL AND input_source IS NOT NULL
    OR input_tokens IS NOT NULL
    OR message_count IS NOT NULL
    OR graph_step IS NOT NULL
    OR callee_key IS NOT NULL;
