-- resources: one row a candidate, what it touches and how (BOUNDARIES.md, access).
--
-- `resource` is the name shown. `touched` has one row a table, its `topic` hints at sensitivity.

-- verbs: one row a name of a tool or a method, and the access it means.
--
-- The verb leads; a vendor's prefix may stand before it, or the noun (customer_lookup). What stands behind the
-- last __ of mcp__shop__delete_order is the tool's own name, if a verb leads it.
CREATE OR REPLACE TEMP TABLE verbs AS
WITH

worded AS MATERIALIZED (
    SELECT
        name,
        name_words(name)  AS words,
        CASE WHEN contains(name, '__') THEN name_words(string_split(name, '__')[-1]) END  AS own_words
    FROM (
        SELECT DISTINCT
            CASE
                WHEN type IN ('tool', 'mcp_client', 'mcp_server') THEN label
                WHEN type IN ('rpc_client', 'rpc_server') THEN coalesce(rpc_method, name)
                WHEN type = 'db' AND query_text IS NULL THEN db_operation
            END  AS name
        FROM told
    )
    WHERE name IS NOT NULL
),

meant AS MATERIALIZED (
    SELECT
        name,
        CASE
            WHEN coalesce(verb_access(own_words[1]), noun_access(own_words[1])) IS NOT NULL THEN own_words
            ELSE words
        END  AS words
    FROM worded
),

weighed AS MATERIALIZED (
    SELECT
        name,
        words,
        list_transform(words, lambda word: verb_access(word))  AS by_verb,
        list_transform(words, lambda word: noun_access(word))  AS by_noun
    FROM meant
)

SELECT
    name,
    CASE
        WHEN words[1] IN ('create', 'drop', 'delete', 'alter')
            AND words[2] IN (
                'table', 'tables', 'role', 'roles', 'user', 'users', 'database', 'schema', 'bucket',
                'index', 'policy'
            )
        THEN 'admin'
        ELSE coalesce(
            by_verb[1],
            by_verb[2],
            by_verb[-1],
            list_filter(by_verb, lambda access: access IS NOT NULL)[1],
            by_noun[1],
            by_noun[2],
            by_noun[-1],
            'unknown'
        )
    END  AS access
FROM weighed;

-- who said it which way: the representative, or the stores below it together
CREATE OR REPLACE TEMP TABLE sayings AS
SELECT
    way,
    unnest(tellers, recursive := true)
FROM told;

CREATE OR REPLACE TEMP TABLE paths AS
SELECT
    way,
    coalesce(peer_service, peer, '?')  AS http_host,
    CASE
        WHEN http_route IS NOT NULL THEN CASE WHEN starts_with(http_route, '/') THEN '' ELSE '/' END || http_route
        ELSE path_template(url_path)
    END                                AS route,
    http_route IS NULL                 AS is_guessed
FROM told
WHERE type IN ('http_client', 'http_server');

-- routes: one row a call whose route is guessed from its path
CREATE OR REPLACE TABLE routes AS
SELECT
    nodes.trace_no,
    nodes.node_id  AS call_id,
    paths.http_host,
    paths.route
FROM paths
INNER JOIN sayings
    ON sayings.way = paths.way
INNER JOIN nodes
    ON nodes.node_id = sayings.node_id
WHERE paths.is_guessed
    AND paths.route IS NOT NULL;

CREATE OR REPLACE TEMP TABLE ways AS
WITH

families AS MATERIALIZED (
    SELECT
        told.way,
        told.type,
        CASE
            WHEN told.type = 'cache' AND told.db_system = 'memcached' THEN 'memcached'
            WHEN told.type = 'cache' THEN 'redis'
            WHEN told.type IN ('rpc_client', 'rpc_server') AND is_secret(told.rpc_system, told.rpc_service, told.rpc_method)
            THEN 'secret'
            WHEN told.type <> 'db' THEN told.type
            WHEN told.db_system = 'mongodb' THEN 'mongodb'
            WHEN told.db_system IN ('elasticsearch', 'opensearch') THEN 'elasticsearch'
            WHEN told.db_system IN ('aws.dynamodb', 'dynamodb')
                AND NOT (texts.statement.verb IS NOT NULL AND coalesce(lower(told.db_operation), '') = 'executestatement')
            THEN 'dynamodb'
            WHEN told.db_system IN (
                'pinecone', 'qdrant', 'chroma', 'chromadb', 'weaviate', 'milvus', 'lancedb',
                'marqo', 'pgvector', 'pg_vector', 'vespa'
            )
            THEN 'vector'
            ELSE 'sql'
        END                                                                       AS family,
        -- The text knows more than its summary, where it can be read.
        CASE
            WHEN len(texts.statement.reads || texts.statement.writes) > 0 THEN texts.statement
            WHEN len(summaries.statement.reads || summaries.statement.writes) > 0 THEN summaries.statement
            ELSE coalesce(texts.statement, summaries.statement)
        END                                                                       AS statement,
        CASE
            WHEN told.type IN ('db', 'cache') THEN coalesce(
                nullif(regexp_replace(told.db_operation, '^(?i:batch|pipeline|multi|bulk)\s+', ''), ''),
                nullif(regexp_extract(told.query_text, '^\s*([A-Za-z_]+)', 1), ''),
                nullif(regexp_extract(told.query_summary, '^\s*([A-Za-z_.]+)', 1), ''),
                nullif(regexp_extract(split_part(told.name, ' ', 1), '([A-Za-z_]+)$', 1), '')
            )
        END                                                                       AS verb,
        paths.http_host,
        paths.route,
        concat_ws('.', CASE WHEN told.db_system = 'aws.dynamodb' THEN 'dynamodb' ELSE told.db_system END, told.db_namespace)
            AS database
    FROM told
    LEFT JOIN statements AS texts
        ON texts.query_text = told.query_text
    LEFT JOIN summaries
        ON summaries.query_summary = told.query_summary
    LEFT JOIN paths
        ON paths.way = told.way
),

-- A host whose paths are data would have a boundary a call: the rarest of too many share one name.
placed AS MATERIALIZED (
    SELECT
        http_host,
        route,
        row_number() OVER (PARTITION BY http_host ORDER BY count(*) DESC, route)  AS place
    FROM (
        SELECT http_host, route
        FROM routes
        UNION ALL
        SELECT http_host, route
        FROM elsewhere_routes
    )
    GROUP BY
        http_host,
        route
),

tabled AS MATERIALIZED (
    SELECT
        families.way,
        CASE
            WHEN families.family <> 'sql' THEN list_filter([told.collection], lambda item: item IS NOT NULL)
            -- One table is what the collection says, in the words of who knows it better.
            WHEN told.collection IS NOT NULL AND len(coalesce(families.statement.reads || families.statement.writes, [])) < 2
            THEN [told.collection]
            ELSE list_sort(list_distinct(
                coalesce(families.statement.reads || families.statement.writes, [])
                || CASE
                    WHEN told.collection IS NULL
                        OR list_contains(
                            list_transform(
                                families.statement.reads || families.statement.writes,
                                lambda item: lower(string_split(item, '.')[-1])
                            ),
                            lower(string_split(told.collection, '.')[-1])
                        )
                    THEN []
                    ELSE [told.collection]
                END
            ))
        END                                                                       AS tables,
        CASE
            WHEN families.family <> 'sql' THEN NULL
            WHEN families.statement IS NULL AND sql_access(upper(families.verb)) = 'unknown'
            -- a procedure is named, an ORM's method too: findMany
            THEN CASE
                WHEN contains(told.db_operation, '_') OR contains(told.db_operation, '.') THEN 'execute'
                ELSE coalesce(verbs.access, 'unknown')
            END
            ELSE sql_access(upper(coalesce(families.statement.verb, families.verb)))
        END                                                                       AS statement_access
    FROM families
    INNER JOIN told
        ON told.way = families.way
    LEFT JOIN verbs
        ON verbs.name = told.db_operation
),

inferred AS MATERIALIZED (
    SELECT
        told.way,
        families.family,
        families.database,
        families.statement,
        tabled.tables,
        told.resource_name,
        told.resource_access,
        told.resource_sensitivity,
        CASE
            WHEN family IN ('model', 'embedding', 'reranker') THEN 'model:' || told.label
            WHEN family IN ('agent', 'workflow', 'handoff') THEN 'agent:' || coalesce(told.label, '?')
            WHEN family = 'tool' THEN 'tool:' || coalesce(told.label, '?')
            WHEN family IN ('mcp_client', 'mcp_server') AND told.is_mcp_resource THEN 'mcp:' || told.label
            WHEN family IN ('mcp_client', 'mcp_server', 'mcp_control') THEN
                'mcp:' || coalesce(told.mcp_server, CASE WHEN told.kind = 'SERVER' THEN told.service END, told.peer, '?')
                || '/' || coalesce(told.label, told.mcp, '?')
            WHEN family = 'retriever' THEN 'retrieval:' || coalesce(told.label, '?')
            WHEN family IN ('guardrail', 'evaluator', 'memory') THEN family || ':' || coalesce(told.label, '?')
            WHEN family IN ('redis', 'memcached')
            THEN coalesce(told.db_system, 'cache') || ':' || coalesce(told.db_namespace, told.peer, '?')
            WHEN family IN ('sql', 'mongodb', 'elasticsearch', 'dynamodb', 'vector') THEN
                CASE
                    WHEN len(tables) > 0 THEN concat_ws('.', nullif(database, ''), array_to_string(tables, ','))
                    WHEN told.db_namespace IS NOT NULL THEN database
                    ELSE coalesce(nullif(database, ''), 'db') || ':' || coalesce(told.peer, '?')
                END
            WHEN family = 'object_store' THEN 's3://' || coalesce(told.bucket, '?')
            WHEN family LIKE 'queue%' THEN
                coalesce(
                    told.messaging_system,
                    CASE WHEN told.messaging_operation IN ('apply_async', 'run') THEN 'celery' END,
                    CASE WHEN told.rpc_system = 'aws-api' THEN 'aws_' || lower(told.rpc_service) END,
                    'queue'
                )
                -- An ARN or a queue's address ends in its name.
                || ':' || coalesce(plain_name(regexp_extract(told.destination, '([^:/]+)/?$', 1)), '?')
                || CASE
                    WHEN regexp_extract(told.name, '^(?:apply_async|run)/(.+)$', 1) NOT IN ('', coalesce(told.destination, ''))
                    THEN '/' || regexp_extract(told.name, '^(?:apply_async|run)/(.+)$', 1)
                    ELSE ''
                END
            WHEN family IN ('http_client', 'http_server') THEN
                'http:' || families.http_host
                || CASE WHEN placed.place > max_routes() THEN '/{*}' ELSE coalesce(families.route, '') END
            WHEN family = 'secret' THEN 'secret:?'
            WHEN family IN ('rpc_client', 'rpc_server') THEN
                'rpc:' || CASE
                    WHEN told.rpc_service IS NULL AND contains(told.rpc_method, '/') THEN trim(told.rpc_method, '/')
                    WHEN told.rpc_service IS NULL AND told.rpc_method IS NULL
                        AND (
                            (told.rpc_system IS NOT NULL AND contains(told.name, '/'))
                            OR regexp_full_match(told.name, '/?[\w.$]+/\w+')
                        )
                    THEN trim(told.name, '/')
                    ELSE coalesce(
                        told.rpc_service, told.peer_service,
                        CASE WHEN family = 'rpc_client' THEN told.peer ELSE told.service END, '?'
                    )
                    || '/' || ltrim(coalesce(told.rpc_method, plain_name(told.name), '?'), '/')
                END
            WHEN family = 'faas_client' THEN 'faas:' || coalesce(told.faas_name, '?')
            WHEN family = 'ui' THEN 'ui:' || coalesce(told.service, '?')
        END                                                                       AS resource,
        CASE
            WHEN family = 'sql' THEN
                CASE
                    WHEN len(statement.writes) > 0 AND statement_access IN ('read', 'unknown') THEN 'write'
                    WHEN len(statement.writes) = 0 AND upper(statement.verb) = 'COPY' THEN 'read'
                    ELSE statement_access
                END
            WHEN family = 'redis' THEN redis_access(upper(verb))
            WHEN family = 'memcached' THEN memcached_access(lower(verb))
            -- a pipeline that ends in a collection writes it
            WHEN family = 'mongodb' AND lower(verb) = 'aggregate' AND regexp_matches(told.query_text, '\$(out|merge)\b')
            THEN 'write'
            WHEN family = 'mongodb' THEN mongodb_access(lower(verb))
            WHEN family = 'elasticsearch' THEN elasticsearch_access(ltrim(lower(coalesce(told.db_operation, verb)), '_'))
            WHEN family = 'dynamodb' THEN dynamodb_access(lower(coalesce(told.db_operation, told.rpc_method, verb)))
            WHEN family = 'vector' THEN vector_access(lower(coalesce(told.db_operation, told.name, verb)))
            WHEN family = 'object_store'
            THEN object_access(coalesce(told.rpc_method, regexp_extract(told.name, '([A-Za-z]+)$', 1)))
            WHEN family LIKE 'queue%'
            THEN queue_access(family, coalesce(told.rpc_method, told.messaging_operation, ''))
            WHEN family = 'retriever' THEN 'read'
            WHEN family = 'memory' THEN
                CASE
                    WHEN told.operation LIKE '%\_memory\_store' ESCAPE '\' THEN 'admin'
                    WHEN told.operation LIKE 'search%' THEN 'read'
                    WHEN told.operation LIKE 'delete%' THEN 'delete'
                    WHEN told.operation IS NOT NULL THEN 'write'
                    ELSE 'unknown'
                END
            WHEN family IN ('mcp_client', 'mcp_server')
                AND (told.mcp LIKE 'resources/read%' OR told.mcp LIKE 'prompts/get%')
            THEN 'read'
            WHEN family IN ('tool', 'mcp_client', 'mcp_server') THEN coalesce(verbs.access, 'unknown')
            WHEN told.graphql_operation = 'query' THEN 'read'
            WHEN told.graphql_operation = 'mutation' THEN 'write'
            WHEN family IN ('http_client', 'http_server')
            THEN http_access(told.http_method, coalesce(told.http_route, told.url_path))
            WHEN family = 'secret' THEN secret_access(told.rpc_method)
            WHEN family IN ('rpc_client', 'rpc_server') THEN coalesce(verbs.access, 'unknown')
            WHEN family = 'faas_client' THEN 'execute'
            ELSE 'none'
        END                                                                       AS access,
        CASE
            WHEN family IN ('sql', 'mongodb', 'elasticsearch', 'dynamodb', 'vector')
            THEN nullif(array_to_string(tables, ' '), '')
            WHEN family IN ('http_client', 'http_server') THEN families.route
            WHEN family LIKE 'queue%' THEN concat_ws(' ', plain_name(regexp_extract(told.destination, '([^:/]+)/?$', 1)), told.name)
            WHEN family IN ('tool', 'mcp_client', 'mcp_server', 'retriever', 'memory') THEN told.label
            WHEN family = 'secret' THEN 'secret'
            WHEN family IN ('rpc_client', 'rpc_server') THEN coalesce(told.rpc_method, told.rpc_service)
            WHEN family = 'object_store' THEN told.bucket
        END                                                                       AS topic
    FROM told
    INNER JOIN families
        ON families.way = told.way
    INNER JOIN tabled
        ON tabled.way = told.way
    LEFT JOIN verbs
        ON verbs.name = CASE
            WHEN told.type IN ('tool', 'mcp_client', 'mcp_server') THEN told.label
            ELSE coalesce(told.rpc_method, told.name)
        END
    LEFT JOIN placed
        ON placed.http_host = families.http_host
        AND placed.route = families.route
        AND told.http_route IS NULL
)

SELECT
    way,
    coalesce(resource_name, resource)                                             AS resource,
    coalesce(resource_access, access)                                             AS access,
    resource_sensitivity                                                          AS declared_sensitivity,
    CASE
        WHEN resource_name IS NOT NULL OR len(tables) < 2
        THEN [{
            'resource': coalesce(resource_name, resource),
            'access': coalesce(resource_access, access),
            'topic': topic
        }]
        -- A statement that writes one table reads the others.
        ELSE list_transform(tables, lambda item: {
            'resource': concat_ws('.', nullif(database, ''), item),
            'access': CASE
                WHEN resource_access IS NOT NULL THEN resource_access
                WHEN list_contains(coalesce(statement.writes, []), item) OR len(coalesce(statement.writes, [])) = 0
                THEN access
                ELSE 'read'
            END,
            'topic': item
        })
    END                                                                           AS touched
FROM inferred;

-- One call told by several stores: what the outermost leaves open the inner ones tell.
CREATE OR REPLACE TEMP TABLE layered AS
SELECT
    node_id,
    hash(list(way ORDER BY place))  AS way,
    list(way ORDER BY place)        AS ways,
    max(rows)                       AS rows
FROM sayings
WHERE NOT is_alone
GROUP BY node_id
HAVING min(way) <> max(way);

CREATE OR REPLACE TEMP TABLE touched AS
WITH

laid AS (
    SELECT
        stack.way,
        unnest(list_distinct(stack.ways))                                  AS told_way
    FROM (
        SELECT DISTINCT
            way,
            ways
        FROM layered
    ) AS stack
),

placed AS (
    SELECT
        laid.way,
        list_position(stack.ways, laid.told_way)                           AS place,
        ways.declared_sensitivity,
        unnest(ways.touched, recursive := true)
    FROM laid
    INNER JOIN (
        SELECT
            way,
            any_value(ways)  AS ways
        FROM layered
        GROUP BY way
    ) AS stack
        ON stack.way = laid.way
    INNER JOIN ways
        ON ways.way = laid.told_way
),

-- the same table under two names is one: shop.customers, customers
alike AS (
    SELECT
        way,
        lower(string_split(topic, '.')[-1])                                AS subject,
        access,
        min(place)                                                         AS place,
        arg_min(topic, place)                                              AS topic,
        arg_min(declared_sensitivity, place)                               AS declared_sensitivity,
        arg_min(resource, (contains(resource, '?'), place))                AS resource
    FROM placed
    GROUP BY ALL
)

SELECT
    way,
    first(resource) OVER subjects                                          AS resource,
    access,
    topic,
    first(declared_sensitivity IGNORE NULLS) OVER subjects                 AS declared_sensitivity,
    place
FROM alike
WINDOW subjects AS (
    PARTITION BY way, subject
    ORDER BY contains(resource, '?'), place, access
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
)
-- Who names no table, or no verb, adds nothing to those who do.
QUALIFY (subject IS NOT NULL OR max(subject) OVER (PARTITION BY way) IS NULL)
    AND (access <> 'unknown' OR bool_and(access = 'unknown') OVER subjects)
UNION ALL BY NAME
SELECT
    way,
    declared_sensitivity,
    unnest(touched, recursive := true),
    1 AS place
FROM ways;

CREATE OR REPLACE TEMP TABLE resources AS
WITH

-- the name shown is the outermost one that names a table, with all that is done
stacked AS (
    SELECT
        way,
        arg_min(resource, (contains(resource, '?'), place, resource))      AS resource,
        arg_max(access, access_rank(access))                               AS access
    FROM touched
    WHERE way IN (SELECT way FROM layered)
    GROUP BY way
)

SELECT
    sayings.node_id,
    sayings.way,
    sayings.rows,
    ways.resource,
    ways.access
FROM sayings
INNER JOIN ways
    ON ways.way = sayings.way
ANTI JOIN layered
    ON layered.node_id = sayings.node_id
WHERE sayings.is_alone
UNION ALL
SELECT
    layered.node_id,
    layered.way,
    layered.rows,
    stacked.resource,
    stacked.access
FROM layered
INNER JOIN stacked
    ON stacked.way = layered.way
UNION ALL
SELECT
    sayings.node_id,
    any_value(sayings.way),
    max(sayings.rows),
    any_value(ways.resource),
    any_value(ways.access)
FROM sayings
INNER JOIN ways
    ON ways.way = sayings.way
ANTI JOIN layered
    ON layered.node_id = sayings.node_id
WHERE NOT sayings.is_alone
GROUP BY sayings.node_id;
