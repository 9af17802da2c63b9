-- resources: one row a representative, what it touches and how (BOUNDARIES.md, access).
--
-- `resource` is the name shown, `touched` one entry a table, `topic` the words that hint at sensitivity.

CREATE OR REPLACE TEMP TABLE resources AS
WITH

read_spans AS (
    SELECT
        nodes.node_id,
        nodes.type,
        nodes.label,
        nodes.service,
        spans.db_system,
        spans.server_address,
        spans.network_peer,
        spans.peer_service,
        spans.db_namespace,
        spans.db_operation,
        spans.db_rows,
        spans.query_text,
        spans.query_summary,
        spans.name,
        spans.kind,
        spans.http_method,
        spans.http_route,
        spans.url_path,
        spans.graphql_operation,
        spans.destination,
        spans.message_system,
        spans.message_verb,
        spans.celery_task,
        spans.rpc_system,
        spans.rpc_service,
        spans.rpc_method,
        spans.mcp,
        spans.mcp_server,
        spans.mcp_resource_uri,
        spans.bucket,
        spans.faas_name,
        spans.operation,
        spans.memory_record_count,
        spans.resource_name,
        spans.resource_access,
        spans.resource_sensitivity,
        statements.statement,
        CASE WHEN spans.db_system = 'aws.dynamodb' THEN 'dynamodb' ELSE spans.db_system END  AS system,
        coalesce(spans.server_address, spans.network_peer)                                   AS peer,
        -- An operation may come as a list written as text.
        nullif(trim(spans.db_collection, '[]"'' '), '')                                      AS collection,
        CASE
            WHEN nodes.type IN ('db', 'cache') THEN coalesce(
                nullif(regexp_replace(spans.db_operation, '^(?i:batch|pipeline|multi|bulk)\s+', ''), ''),
                nullif(regexp_extract(spans.query_text, '^\s*([A-Za-z_]+)', 1), ''),
                nullif(regexp_extract(spans.query_summary, '^\s*([A-Za-z_.]+)', 1), ''),
                nullif(regexp_extract(split_part(spans.name, ' ', 1), '([A-Za-z_]+)$', 1), '')
            )
        END                                                                                  AS verb
    FROM spans
    INNER JOIN nodes
        ON nodes.node_id = spans.node_id
    SEMI JOIN candidates
        ON candidates.node_id = spans.node_id
    LEFT JOIN statements
        ON statements.query_text = spans.query_text
    WHERE nodes.role <> 'transparent'
),

families AS (
    SELECT
        *,
        CASE
            WHEN type = 'cache' AND system = 'memcached' THEN 'memcached'
            WHEN type = 'cache' THEN 'redis'
            WHEN type <> 'db' THEN type
            WHEN system = 'mongodb' THEN 'mongodb'
            WHEN system IN ('elasticsearch', 'opensearch') THEN 'elasticsearch'
            WHEN system = 'dynamodb'
                AND NOT coalesce(statement.verb IS NOT NULL AND lower(verb) = 'executestatement', false)
            THEN 'dynamodb'
            WHEN system IN (
                'pinecone', 'qdrant', 'chroma', 'chromadb', 'weaviate', 'milvus', 'lancedb',
                'marqo', 'pgvector', 'pg_vector', 'vespa'
            )
            THEN 'vector'
            ELSE 'sql'
        END                                                   AS family,
        coalesce(
            CASE WHEN starts_with(http_route, '/') THEN http_route ELSE '/' || http_route END,
            path_template(url_path)
        )                                                     AS route,
        concat_ws('.', system, db_namespace)                  AS database,
        -- An ARN or a queue's address ends in its name.
        plain_name(regexp_extract(destination, '([^:/]+)/?$', 1))  AS queue
    FROM read_spans
),

tables AS (
    SELECT
        *,
        CASE
            WHEN family NOT IN ('sql') OR collection IS NOT NULL THEN [collection]
            WHEN statement IS NOT NULL AND len(statement.reads || statement.writes) > 0
            THEN list_sort(list_distinct(statement.reads || statement.writes))
            WHEN query_summary IS NOT NULL
            THEN list_filter(string_split(query_summary, ' ')[2:], lambda word: word <> upper(word) AND word <> '')
            ELSE []
        END                                                   AS named_tables
    FROM families
),

named AS (
    SELECT
        *,
        list_filter(named_tables, lambda item: item IS NOT NULL)  AS table_names,
        CASE
            WHEN family IN ('rpc_client', 'rpc_server') THEN name_words(coalesce(rpc_method, name))
            WHEN family IN ('tool', 'mcp_client', 'mcp_server') THEN name_words(label)
        END                                                       AS words,
        sql_access(upper(coalesce(statement.verb, verb)))         AS statement_access
    FROM tables
),

worded AS (
    SELECT
        *,
        words_access(words[1], words[2], words[-1])  AS name_access
    FROM named
),

found AS (
    SELECT
        *,
        CASE
            WHEN family IN ('model', 'embedding', 'reranker') THEN 'model:' || label
            WHEN family IN ('agent', 'workflow', 'handoff') THEN 'agent:' || coalesce(label, '?')
            WHEN family = 'tool' THEN 'tool:' || coalesce(label, '?')
            WHEN family IN ('mcp_client', 'mcp_server') AND mcp_resource_uri IS NOT NULL THEN 'mcp:' || label
            WHEN family IN ('mcp_client', 'mcp_server', 'mcp_control') THEN
                'mcp:' || coalesce(mcp_server, CASE WHEN kind = 'SERVER' THEN service END, server_address, '?')
                || '/' || coalesce(label, mcp, '?')
            WHEN family = 'retriever' THEN 'retrieval:' || coalesce(label, '?')
            WHEN family IN ('guardrail', 'evaluator', 'memory') THEN family || ':' || coalesce(label, '?')
            WHEN family IN ('redis', 'memcached')
            THEN coalesce(system, 'cache') || ':' || coalesce(db_namespace, peer, '?')
            WHEN family IN ('sql', 'mongodb', 'elasticsearch', 'dynamodb', 'vector') THEN
                CASE
                    WHEN len(table_names) > 0
                    THEN concat_ws('.', nullif(database, ''), array_to_string(table_names, ','))
                    WHEN db_namespace IS NOT NULL THEN database
                    ELSE coalesce(system, 'db') || ':' || coalesce(peer, '?')
                END
            WHEN family = 'object_store' THEN 's3://' || coalesce(bucket, '?')
            WHEN family LIKE 'queue%' THEN
                coalesce(
                    message_system,
                    CASE WHEN rpc_system = 'aws-api' THEN 'aws_' || lower(rpc_service) END,
                    'queue'
                )
                || ':' || coalesce(queue, '?') || coalesce('/' || celery_task, '')
            WHEN family IN ('http_client', 'http_server')
            THEN 'http:' || coalesce(peer_service, peer, '?') || coalesce(route, '')
            WHEN rpc_system = 'aws-api' AND lower(rpc_service) IN ('secretsmanager', 'secrets manager', 'ssm')
            THEN 'secret:?'
            WHEN family IN ('rpc_client', 'rpc_server') THEN
                'rpc:' || CASE
                    WHEN rpc_service IS NULL AND contains(rpc_method, '/') THEN trim(rpc_method, '/')
                    WHEN contains(name, '/') AND rpc_service IS NULL AND rpc_method IS NULL AND rpc_system IS NOT NULL
                    THEN trim(name, '/')
                    ELSE coalesce(rpc_service, peer_service, CASE WHEN kind = 'CLIENT' THEN peer ELSE service END, '?')
                        || '/' || coalesce(rpc_method, plain_name(name), '?')
                END
            WHEN family = 'faas_client' THEN 'faas:' || coalesce(faas_name, '?')
            WHEN family = 'ui' THEN 'ui:' || coalesce(service, '?')
        END                                                   AS inferred_resource,
        CASE
            WHEN family = 'sql' THEN
                CASE
                    WHEN len(statement.writes) > 0 AND statement_access IN ('read', 'unknown') THEN 'write'
                    WHEN len(statement.writes) = 0 AND upper(statement.verb) = 'COPY' THEN 'read'
                    ELSE statement_access
                END
            WHEN family = 'redis' THEN redis_access(upper(verb))
            WHEN family = 'memcached' THEN memcached_access(lower(verb))
            WHEN family = 'mongodb' THEN mongodb_access(lower(verb))
            WHEN family = 'elasticsearch' THEN elasticsearch_access(lower(coalesce(db_operation, verb)))
            WHEN family = 'dynamodb' THEN dynamodb_access(lower(coalesce(db_operation, rpc_method, verb)))
            WHEN family = 'vector' THEN vector_access(lower(coalesce(db_operation, name)))
            WHEN family = 'object_store'
            THEN object_access(coalesce(rpc_method, regexp_extract(name, '([A-Za-z]+)$', 1)))
            WHEN family = 'queue_producer' THEN 'write'
            WHEN family = 'queue_consumer' THEN 'read'
            WHEN family = 'queue_poll' AND regexp_matches(coalesce(rpc_method, message_verb, ''), '(?i)^delete|purge')
            THEN 'delete'
            WHEN family = 'queue_poll' THEN 'read'
            WHEN family = 'queue_admin' THEN 'admin'
            WHEN family = 'retriever' THEN 'read'
            WHEN family = 'memory' THEN
                CASE
                    WHEN operation LIKE '%\_memory\_store' ESCAPE '\' THEN 'admin'
                    WHEN operation LIKE 'search%' THEN 'read'
                    WHEN operation LIKE 'delete%' THEN 'delete'
                    WHEN operation IS NOT NULL THEN 'write'
                    ELSE 'unknown'
                END
            WHEN family IN ('mcp_client', 'mcp_server') AND mcp LIKE 'resources/read%' THEN 'read'
            WHEN family IN ('mcp_client', 'mcp_server') AND mcp LIKE 'prompts/get%' THEN 'read'
            WHEN family IN ('tool', 'mcp_client', 'mcp_server') THEN name_access
            WHEN graphql_operation = 'query' THEN 'read'
            WHEN graphql_operation = 'mutation' THEN 'write'
            WHEN family IN ('http_client', 'http_server') THEN http_access(http_method, coalesce(url_path, http_route))
            WHEN family IN ('rpc_client', 'rpc_server') THEN name_access
            WHEN family = 'faas_client' THEN 'execute'
            ELSE 'none'
        END                                                   AS inferred_access,
        CASE
            WHEN family IN ('sql', 'mongodb', 'elasticsearch', 'dynamodb', 'vector')
            THEN array_to_string(table_names, ' ')
            WHEN family IN ('http_client', 'http_server') THEN route
            WHEN family LIKE 'queue%' THEN concat_ws(' ', queue, celery_task)
            WHEN family IN ('tool', 'mcp_client', 'mcp_server', 'retriever', 'memory') THEN label
            WHEN family IN ('rpc_client', 'rpc_server') THEN coalesce(rpc_method, rpc_service)
            WHEN family = 'object_store' THEN bucket
        END                                                   AS topic
    FROM worded
)

SELECT
    node_id,
    coalesce(resource_name, inferred_resource)                AS resource,
    coalesce(lower(resource_access), inferred_access)         AS access,
    CASE
        WHEN resource_name IS NOT NULL OR len(table_names) < 2
        THEN [{
            'resource': coalesce(resource_name, inferred_resource),
            'access': coalesce(lower(resource_access), inferred_access),
            'topic': topic
        }]
        -- A statement that writes one table reads the others.
        ELSE list_transform(table_names, lambda item: {
            'resource': concat_ws('.', nullif(database, ''), item),
            'access': CASE
                WHEN list_contains(coalesce(statement.writes, []), item) OR len(coalesce(statement.writes, [])) = 0
                THEN inferred_access
                ELSE 'read'
            END,
            'topic': item
        })
    END                                                       AS touched,
    resource_sensitivity                                      AS declared_sensitivity,
    coalesce(db_rows, memory_record_count)                    AS rows
FROM found;
