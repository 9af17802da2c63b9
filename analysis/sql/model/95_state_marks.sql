-- state_marks: one row a span that tells something of state (BOUNDARIES.md, conversations and state).
-- root_marks: one row a span at the top of its fragment, with what it says of where it belongs.
-- callee_marks: one row a span that serves a caller whose conversation is known.
--
-- Few spans tell something; where several instrumentations saw one call, its representative tells for all.

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

-- What is a habit (of an agent and whom it asks, say), told by all turns of a cohort.
CREATE OR REPLACE TEMP MACRO habit_of(signal, cohort, who) AS (hash(signal, cohort, who) >> 1)::BIGINT;

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

-- what a span says by itself
CREATE OR REPLACE TEMP TABLE told AS
WITH

-- Each host is read once, however many spans ask it.
state_hosts AS (
    SELECT server_address
    FROM (
        SELECT DISTINCT server_address
        FROM spans
        WHERE server_address IS NOT NULL
    )
    WHERE is_state_name(server_address)
),

said AS (
    SELECT
        spans.node_id,
        nodes.root_id,
        nodes.parent_id,
        nodes.end_ns,
        nodes.type,
        spans.turn_index                  AS told_turn,
        spans.user_id,
        spans.context_hash_in,
        spans.context_hash_out,
        spans.context_version,
        spans.context_store,
        spans.context_hit,
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
        END                               AS input_source,
        CASE WHEN spans.vendor_kind IS NOT NULL THEN graph_step_of(spans.attributes) END  AS graph_step,
        CASE
            WHEN spans.context_hit IS NOT NULL THEN spans.context_hit
            WHEN spans.cache_hit IS NOT NULL THEN spans.cache_hit
            WHEN nodes.type = 'object_store' AND spans.http_status IS NOT NULL THEN spans.http_status <> 404
            ELSE coalesce(spans.db_rows, spans.memory_record_count) > 0
        END                               AS is_hit,
        nodes.type IN ('db', 'cache', 'object_store', 'memory') AND state_hosts.server_address IS NOT NULL
                                          AS is_state_host,
        coalesce(nodes.error_type, nodes.exception_type, nodes.status_message) IS NOT NULL AND regexp_matches(
            concat_ws(' ', nodes.error_type, nodes.exception_type, nodes.status_message),
            'GraphInterrupt|NodeInterrupt|CallDeferred|ApprovalRequired'
        )                                 AS is_interrupt,
        -- What only carries a call is named by it, and is neither.
        nodes.parent_id IS NULL
            OR nodes.is_across
            OR nodes.type NOT IN ('noise', 'prompt', 'http_client', 'rpc_client', 'http_server', 'rpc_server')
                                          AS may_be_named,
        names.is_compaction AND may_be_named  AS is_compaction,
        names.is_turn_span AND may_be_named   AS is_turn_span,
        -- One trace holds a whole session: a socket that stays open, a client's session, a voice agent's.
        coalesce(spans.asgi_event LIKE 'websocket.%', false)
            OR nodes.parent_id IS NULL
                AND (
                    coalesce(spans.http_status = 101, false)
                    OR spans.vendor_kind IS NOT DISTINCT FROM 'session'
                    OR names.is_socket
                    OR nodes.type <> 'http_server' AND names.is_session
                )                         AS is_session
    FROM spans
    INNER JOIN nodes
        ON nodes.node_id = spans.node_id
    INNER JOIN names
        ON names.name = nodes.name
    LEFT JOIN state_hosts
        ON state_hosts.server_address = spans.server_address
)

SELECT * EXCLUDE (may_be_named)
FROM said
WHERE is_interrupt
    OR is_compaction
    OR is_turn_span
    OR is_session
    OR is_state_host
    OR is_hit IS NOT NULL
    OR coalesce(told_turn, context_version, message_count, graph_step) IS NOT NULL
    OR coalesce(user_id, context_hash_in, context_hash_out, context_store) IS NOT NULL
    OR coalesce(args_hash, input_hash) IS NOT NULL;

-- what the members of a group say of one call
CREATE OR REPLACE TEMP TABLE group_marks AS
SELECT
    groups.group_id,
    min(told.args_hash)                                                           AS args_hash,
    max(told.message_count)                                                       AS message_count,
    min(told.input_hash)
        FILTER (WHERE told.type = 'model' AND told.input_source IN ('message', 'hash'))  AS input_hash,
    bool_and(told.is_hit)                                                         AS is_hit,
    bool_or(told.context_hit IS NOT NULL OR told.context_store IS NOT NULL)       AS is_state_told,
    min(told.context_store)                                                       AS context_store,
    bool_or(told.is_state_host)                                                   AS is_state_host
FROM told
INNER JOIN groups
    ON groups.node_id = told.node_id
WHERE told.args_hash IS NOT NULL
    OR told.message_count IS NOT NULL
    OR told.input_hash IS NOT NULL
    OR told.is_hit IS NOT NULL
    OR told.context_store IS NOT NULL
    OR told.is_state_host
GROUP BY groups.group_id;

CREATE OR REPLACE TABLE root_marks AS
WITH

below AS (
    SELECT
        root_id,
        -- of several persons named in one fragment none is sure
        CASE WHEN count(DISTINCT user_id) = 1 THEN min(user_id) END  AS user_id,
        bool_or(is_session)
            OR bool_or(is_turn_span)
            OR min(told_turn) <> max(told_turn)                      AS is_session
    FROM told
    WHERE is_session
        OR is_turn_span
        OR user_id IS NOT NULL
        OR told_turn IS NOT NULL
    GROUP BY root_id
)

SELECT
    roots.node_id,
    roots.cohort,
    roots.trace_no,
    roots.start_ns,
    roots.end_ns,
    roots.type,
    roots.conversation_id,
    CASE WHEN roots.parent_state IN ('remote', 'missing') THEN spans.parent_span_id END  AS parent_span_id,
    roots.kind = 'CONSUMER'                                                       AS is_consumer,
    list_transform(
        spans.links, lambda link: {'trace_id': link.trace_id, 'span_id': link.span_id}
    )                                                                             AS links,
    -- how a caller would have written whom it called
    list_distinct(list_filter(
        CASE
            WHEN roots.type = 'http_server' THEN [
                'http:' || roots.service || coalesce(spans.http_route, path_template(spans.url_path)),
                'http:' || roots.service || path_template(spans.url_path),
                'http:' || spans.server_address || coalesce(spans.http_route, path_template(spans.url_path)),
                'http:' || spans.server_address || path_template(spans.url_path)
            ]
            WHEN roots.type = 'rpc_server' THEN ['rpc:' || spans.rpc_service || '/' || spans.rpc_method]
            WHEN roots.type = 'mcp_server' THEN [
                'mcp:' || spans.mcp_server || '/' || roots.label,
                'mcp:' || roots.service || '/' || roots.label,
                'mcp:' || spans.server_address || '/' || roots.label,
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
    coalesce(below.is_session, false)                                             AS is_session
FROM nodes AS roots
INNER JOIN spans
    ON spans.node_id = roots.node_id
LEFT JOIN below
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

-- A part of the system that was called by another: whether it says whose conversation it serves, and says what
-- its caller says.
CREATE OR REPLACE TABLE callee_marks AS
SELECT
    callee.node_id,
    callee.cohort,
    callee.trace_no,
    callee.root_id,
    callee.start_ns,
    habit_of(
        'S3', callee.cohort,
        CASE WHEN callee.type = 'agent' THEN 'agent:' || coalesce(callee.label, '?') ELSE 'service:' || callee.service END
    )
        AS habit_id,
    callee.is_conversation_told AND callee.conversation_id = caller.conversation_id
        AS is_conversation_kept
FROM nodes AS callee
LEFT JOIN calls
    ON calls.call_id = callee.node_id
    AND calls.kind = 'agent'
INNER JOIN nodes AS caller
    ON caller.node_id = coalesce(calls.caller_id, callee.parent_id)
WHERE caller.conversation_id IS NOT NULL
    AND caller.trace_no = callee.trace_no
    AND (
        callee.type IN ('http_server', 'rpc_server', 'mcp_server', 'queue_consumer')
            AND callee.is_across
            AND caller.service <> callee.service
        OR callee.type = 'agent' AND calls.call_id IS NOT NULL
    );

CREATE OR REPLACE TABLE state_marks AS
WITH

-- the first span of every step of a graph's run
steps AS (
    SELECT arg_min(told.node_id, (nodes.start_ns, nodes.span_id))  AS node_id
    FROM told
    INNER JOIN nodes
        ON nodes.node_id = told.node_id
    WHERE told.graph_step IS NOT NULL
    GROUP BY
        told.root_id,
        told.graph_step
),

-- An interrupt after which the models went on was answered within the request.
interrupts AS (
    SELECT told.node_id
    FROM told
    LEFT JOIN nodes AS models
        ON models.root_id = told.root_id
        AND models.type = 'model'
    WHERE told.is_interrupt
    GROUP BY
        told.node_id,
        told.end_ns
    HAVING coalesce(max(models.start_ns) <= told.end_ns, true)
),

-- what sets the turns of a session apart
turn_parts AS (
    SELECT nodes.node_id
    FROM nodes
    SEMI JOIN (
        SELECT node_id
        FROM root_marks
        WHERE is_session
    ) AS sessions
        ON sessions.node_id = nodes.root_id
    LEFT JOIN groups
        ON groups.node_id = nodes.node_id
    LEFT JOIN told
        ON told.node_id = nodes.node_id
    WHERE nodes.parent_id IS NOT NULL
        AND coalesce(nodes.agent_id = nodes.root_id, true)
        AND (
            told.is_turn_span
            OR groups.part = 'representative'
                AND nodes.type IN ('agent', 'workflow', 'model', 'tool', 'mcp_client', 'retriever')
        )
),

marked AS (
    SELECT node_id
    FROM told
    UNION
    SELECT group_id
    FROM group_marks
    UNION
    SELECT call_id
    FROM calls
    WHERE kind = 'model'
        AND input_tokens > 0
    UNION
    SELECT call_id
    FROM touched
    WHERE store IS NOT NULL
        OR len(written) > 0
    UNION
    FROM turn_parts
),

gathered AS (
    SELECT
        nodes.node_id,
        nodes.cohort,
        nodes.trace_no,
        nodes.root_id,
        nodes.span_id,
        nodes.start_ns,
        nodes.end_ns,
        nodes.type,
        told.told_turn,
        interrupts.node_id IS NOT NULL                                    AS is_interrupt,
        coalesce(told.is_compaction, false)                               AS is_compaction,
        coalesce(told.is_turn_span, false)                                AS is_turn_span,
        turn_parts.node_id IS NOT NULL                                    AS is_turn_part,
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
            WHEN nodes.type = 'model' AND calls.call_id IS NOT NULL THEN group_marks.input_hash
            WHEN nodes.type IN ('agent', 'workflow') OR nodes.parent_id IS NULL THEN told.input_hash
        END                                                               AS input_hash,
        told.input_source,
        -- No prompt is empty: nothing was counted.
        CASE WHEN nodes.type = 'model' THEN nullif(calls.input_tokens, 0) END  AS input_tokens,
        CASE WHEN nodes.type = 'model' THEN calls.cache_read_tokens END   AS cache_read_tokens,
        CASE WHEN nodes.type = 'model' AND calls.call_id IS NOT NULL THEN group_marks.message_count END
            AS message_count,
        CASE WHEN steps.node_id IS NOT NULL THEN told.graph_step END      AS graph_step
    FROM marked
    INNER JOIN nodes
        ON nodes.node_id = marked.node_id
    LEFT JOIN told
        ON told.node_id = marked.node_id
    LEFT JOIN calls
        ON calls.call_id = marked.node_id
        AND calls.kind IN ('model', 'tool', 'mcp', 'database', 'cache', 'storage', 'memory')
    LEFT JOIN group_marks
        ON group_marks.group_id = marked.node_id
    LEFT JOIN touched
        ON touched.call_id = marked.node_id
    LEFT JOIN steps
        ON steps.node_id = marked.node_id
    LEFT JOIN interrupts
        ON interrupts.node_id = marked.node_id
    LEFT JOIN turn_parts
        ON turn_parts.node_id = marked.node_id
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
    OR graph_step IS NOT NULL;
