-- groups: one row a span, the handoff it is a part of (BOUNDARIES.md, folding).
--
-- A fold is an edge from a span to the one that already says the same; the end of the edges is the
-- representative. Edges follow parents and links from consumer to producer, so they form no circle.

CREATE OR REPLACE TEMP TABLE pairs AS
WITH

sent AS (
    SELECT
        nodes.node_id,
        nodes.cohort,
        nodes.trace_id,
        nodes.span_id
    FROM nodes
    WHERE type = 'queue_producer'
),

taken AS (
    SELECT
        nodes.node_id,
        nodes.solid_id,
        nodes.cohort
    FROM nodes
    WHERE type = 'queue_consumer'
        OR (type = 'agent' AND kind = 'CONSUMER')
),

linked AS (
    SELECT
        spans.node_id,
        spans.cohort,
        unnest(spans.links)  AS link
    FROM spans
    SEMI JOIN taken
        ON taken.node_id = spans.node_id
    WHERE len(spans.links) > 0
)

-- which consumer took which producer's message: by parent, else by link, in any trace
SELECT
    sent.node_id   AS producer_id,
    taken.node_id  AS consumer_id
FROM taken
INNER JOIN sent
    ON sent.node_id = taken.solid_id
UNION
SELECT
    sent.node_id,
    linked.node_id
FROM linked
INNER JOIN sent
    ON sent.cohort = linked.cohort
    AND sent.trace_id = linked.link.trace_id
    AND sent.span_id = linked.link.span_id;

CREATE OR REPLACE TEMP TABLE folds AS
WITH

-- a span beside the nearest one above it that says something
layers AS (
    SELECT
        inner_node.node_id,
        outer_node.node_id                             AS outer_id,
        inner_node.type,
        outer_node.type                                AS outer_type,
        inner_node.start_ns,
        inner_node.end_ns,
        inner_node.label IS NOT DISTINCT FROM outer_node.label AND inner_node.label IS NOT NULL AS has_same_label,
        inner_span.tool_call_id = outer_span.tool_call_id          AS has_same_call,
        inner_span.response_id <> outer_span.response_id           AS is_other_response,
        coalesce(inner_span.server_address, '')                    AS host
    FROM nodes AS inner_node
    INNER JOIN nodes AS outer_node
        ON outer_node.node_id = inner_node.solid_id
    INNER JOIN spans AS inner_span
        ON inner_span.node_id = inner_node.node_id
    INNER JOIN spans AS outer_span
        ON outer_span.node_id = outer_node.node_id
    WHERE inner_node.role <> 'transparent'
),

ruled AS (
    SELECT
        *,
        CASE
            WHEN type = outer_type
                AND type IN (
                    'model', 'embedding', 'reranker', 'retriever', 'mcp_client', 'db',
                    'http_client', 'rpc_client', 'http_server', 'object_store', 'cache',
                    'queue_producer'
                )
                AND is_other_response IS NOT TRUE
            THEN 'layer'
            WHEN type = 'tool' AND outer_type = 'tool' AND (has_same_label OR has_same_call IS TRUE) THEN 'layer'
            WHEN type IN ('agent', 'workflow') AND outer_type IN ('agent', 'workflow') AND has_same_label THEN 'layer'
            WHEN type = 'mcp_server' AND outer_type IN ('mcp_client', 'mcp_server') THEN 'server'
            WHEN type = 'mcp_client' AND outer_type = 'tool' THEN 'layer'
            -- What an MCP server or a consumer calls is its own handoff: only what carries a call folds.
            WHEN type IN ('http_client', 'rpc_client')
                AND outer_type IN (
                    'model', 'embedding', 'reranker', 'mcp_client', 'db', 'cache', 'object_store',
                    'queue_producer', 'queue_poll', 'memory', 'faas_client'
                )
            THEN 'transport'
            WHEN type IN ('http_server', 'rpc_server')
                AND outer_type IN (
                    'http_client', 'rpc_client', 'faas_client', 'model', 'embedding', 'reranker',
                    'mcp_client'
                )
            THEN 'server'
            WHEN type = 'mcp_server' AND outer_type = 'http_server' THEN 'server'
        END  AS part
    FROM layers
),

-- alike and one after the other they are attempts; side by side they are parts of one call
spaced AS (
    SELECT
        *,
        count(*) OVER alike                                                     AS alike_count,
        max(end_ns) OVER (
            alike ORDER BY start_ns, node_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) > start_ns                                                            AS is_beside
    FROM ruled
    WHERE part IS NOT NULL
    WINDOW alike AS (PARTITION BY outer_id, type, part, CASE WHEN part = 'transport' THEN host END)
),

repeated AS (
    SELECT
        outer_id,
        type,
        part,
        CASE WHEN part = 'transport' THEN host END  AS host
    FROM spaced
    WHERE part IN ('layer', 'transport')
        AND type NOT IN ('agent', 'workflow', 'tool')
    GROUP BY ALL
    HAVING count(*) > 1
        AND NOT coalesce(bool_or(is_beside), false)
),

-- an ORM and its driver tell the same query as siblings (F7)
queries AS (
    SELECT
        nodes.node_id,
        nodes.parent_id,
        nodes.start_ns,
        nodes.end_ns,
        nodes.scope_name,
        spans.query_text
    FROM nodes
    INNER JOIN spans
        ON spans.node_id = nodes.node_id
    WHERE nodes.type = 'db'
        AND nodes.parent_id IS NOT NULL
        AND spans.query_text IS NOT NULL
    WINDOW alike AS (PARTITION BY nodes.parent_id, spans.query_text)
    QUALIFY min(nodes.scope_name) OVER alike <> max(nodes.scope_name) OVER alike
),

twins AS (
    SELECT
        inner_query.node_id,
        min(outer_query.node_id)  AS outer_id
    FROM queries AS inner_query
    INNER JOIN queries AS outer_query
        ON outer_query.parent_id = inner_query.parent_id
        AND outer_query.query_text = inner_query.query_text
        AND outer_query.scope_name <> inner_query.scope_name
        AND outer_query.start_ns - 1000000 <= inner_query.start_ns
        AND outer_query.end_ns + 1000000 >= inner_query.end_ns
        AND (outer_query.end_ns - outer_query.start_ns, -outer_query.node_id)
            > (inner_query.end_ns - inner_query.start_ns, -inner_query.node_id)
    GROUP BY inner_query.node_id
)

SELECT
    spaced.node_id,
    spaced.outer_id,
    CASE WHEN repeated.outer_id IS NOT NULL THEN 'attempt' ELSE spaced.part END  AS part
FROM spaced
LEFT JOIN repeated
    ON repeated.outer_id = spaced.outer_id
    AND repeated.type = spaced.type
    AND repeated.part = spaced.part
    AND repeated.host IS NOT DISTINCT FROM CASE WHEN spaced.part = 'transport' THEN spaced.host END
ANTI JOIN pairs
    ON pairs.consumer_id = spaced.node_id
UNION ALL
SELECT
    consumer_id,
    min(producer_id),
    'consumer'
FROM pairs
GROUP BY consumer_id
UNION ALL
SELECT
    twins.node_id,
    twins.outer_id,
    'layer'
FROM twins
ANTI JOIN spaced
    ON spaced.node_id = twins.node_id;

-- `unit_id` is the part of the group on one side of a queue: what fails there fails alone.
CREATE OR REPLACE TABLE groups AS
WITH RECURSIVE walk AS (
    SELECT
        nodes.node_id,
        nodes.node_id     AS group_id,
        nodes.node_id     AS unit_id,
        'representative'  AS part,
        NULL::BIGINT      AS outer_id
    FROM nodes
    ANTI JOIN folds
        ON folds.node_id = nodes.node_id

    UNION ALL

    SELECT
        folds.node_id,
        walk.group_id,
        CASE WHEN folds.part = 'consumer' THEN folds.node_id ELSE walk.unit_id END,
        folds.part,
        folds.outer_id
    FROM walk
    INNER JOIN folds
        ON folds.outer_id = walk.node_id
)

SELECT
    walk.node_id,
    nodes.cohort,
    nodes.trace_id,
    walk.group_id,
    walk.part,
    walk.unit_id,
    walk.outer_id
FROM walk
INNER JOIN nodes
    ON nodes.node_id = walk.node_id
ORDER BY walk.node_id;
