-- folds: one row a span, and the span that already says the same, if there is one (BOUNDARIES.md, folding).
--
-- Where such edges end is the representative. They follow parents, and links from consumer to producer.

CREATE OR REPLACE TEMP TABLE pairs AS
WITH

taken AS (
    SELECT
        node_id,
        solid_id,
        trace_no,
        cohort,
        has_links,
        message_hash
    FROM tree
    WHERE type = 'queue_consumer'
        OR (type = 'agent' AND (kind = 'CONSUMER' OR has_links))
),

linked AS (
    SELECT
        node_id,
        (hash(cohort, link.trace_id, link.span_id) >> 1)::BIGINT  AS producer_id
    FROM (
        SELECT
            spans.node_id,
            spans.cohort,
            unnest(spans.links)  AS link
        FROM spans
        SEMI JOIN taken
            ON taken.node_id = spans.node_id
            AND taken.has_links
    )
)

-- which consumer took which producer's message: by parent, by link in any trace, by the message's id in its own
SELECT
    sent.node_id   AS producer_id,
    taken.node_id  AS consumer_id,
    sent.start_ns  AS sent_ns
FROM taken
INNER JOIN tree AS sent
    ON sent.node_id = taken.solid_id
    AND sent.type = 'queue_producer'
UNION
SELECT
    sent.node_id,
    linked.node_id,
    sent.start_ns
FROM linked
INNER JOIN tree AS sent
    ON sent.node_id = linked.producer_id
    AND sent.type = 'queue_producer'
UNION
SELECT
    sent.node_id,
    taken.node_id,
    sent.start_ns
FROM taken
INNER JOIN tree AS sent
    ON sent.trace_no = taken.trace_no
    AND sent.message_hash = taken.message_hash
    AND sent.type = 'queue_producer';

CREATE OR REPLACE TEMP TABLE edges AS
WITH

-- a span beside the nearest one above it that says something
layers AS (
    SELECT
        lower.node_id,
        upper.node_id                                  AS outer_id,
        lower.type,
        upper.type                                     AS outer_type,
        lower.start_ns,
        lower.end_ns,
        lower.label = upper.label                      AS has_same_label,
        lower.call_hash = upper.call_hash              AS has_same_call,
        lower.answer_hash <> upper.answer_hash         AS is_other_response,
        lower.host_hash                                AS host
    FROM tree AS lower
    INNER JOIN tree AS upper
        ON upper.node_id = lower.solid_id
    WHERE lower.role <> 'transparent'
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
            WHEN type = 'tool' AND outer_type = 'tool' AND (has_same_label IS TRUE OR has_same_call IS TRUE) THEN 'layer'
            WHEN type IN ('agent', 'workflow') AND outer_type IN ('agent', 'workflow') AND has_same_label IS TRUE THEN 'layer'
            WHEN type = 'mcp_server' AND outer_type IN ('mcp_client', 'mcp_server') THEN 'server'
            WHEN type = 'mcp_client' AND outer_type = 'tool' THEN 'layer'
            -- What an MCP server or a consumer calls is its own handoff: only what carries a call folds.
            WHEN type IN ('http_client', 'rpc_client')
                AND outer_type IN (
                    'model', 'embedding', 'reranker', 'mcp_client', 'db', 'cache', 'object_store',
                    'queue_producer', 'queue_poll', 'queue_admin', 'mcp_control', 'memory', 'faas_client'
                )
            THEN 'transport'
            WHEN type IN ('http_server', 'rpc_server')
                AND outer_type IN (
                    'http_client', 'rpc_client', 'faas_client', 'model', 'embedding', 'reranker',
                    'mcp_client', 'mcp_control', 'db', 'cache', 'object_store', 'queue_producer',
                    'queue_poll', 'queue_admin', 'memory'
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
        node_id,
        parent_id,
        start_ns,
        end_ns,
        scope,
        query_hash
    FROM tree
    WHERE type = 'db'
        AND parent_id IS NOT NULL
        AND query_hash IS NOT NULL
    WINDOW alike AS (PARTITION BY parent_id, query_hash)
    QUALIFY min(scope) OVER alike <> max(scope) OVER alike
),

twins AS (
    SELECT
        inner_query.node_id,
        min_by(outer_query.node_id, (outer_query.start_ns, outer_query.node_id))  AS outer_id
    FROM queries AS inner_query
    INNER JOIN queries AS outer_query
        ON outer_query.parent_id = inner_query.parent_id
        AND outer_query.query_hash = inner_query.query_hash
        AND outer_query.scope <> inner_query.scope
        AND outer_query.start_ns - 1000000 <= inner_query.start_ns
        AND outer_query.end_ns + 1000000 >= inner_query.end_ns
        AND (outer_query.end_ns - outer_query.start_ns, -outer_query.start_ns, -outer_query.node_id)
            > (inner_query.end_ns - inner_query.start_ns, -inner_query.start_ns, -inner_query.node_id)
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
    min_by(producer_id, (sent_ns, producer_id)),
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

CREATE OR REPLACE TEMP TABLE folds AS
SELECT
    tree.rowid                               AS place,
    outer_span.rowid                         AS outer_place,
    tree.node_id,
    edges.outer_id,
    coalesce(edges.part, 'representative')   AS part,
    coalesce(edges.part = 'consumer', false) AS is_taking
FROM tree
LEFT JOIN edges
    ON edges.node_id = tree.node_id
LEFT JOIN tree AS outer_span
    ON outer_span.node_id = edges.outer_id;
