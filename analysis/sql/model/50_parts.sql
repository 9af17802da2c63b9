-- parts: one row a group that may be a call, what its members say together (BOUNDARIES.md, folding).
--
-- The outermost names it, the innermost model counts, and tokens are never added. Most groups are one span.

-- rate.Rate/GetRates, however an instrumentation splits it; without a service, whose it is
CREATE OR REPLACE TEMP MACRO rpc_name(service, method, name, owner) AS
    'rpc:' || CASE
        WHEN service IS NULL AND contains(method, '/') THEN trim(method, '/')
        WHEN service IS NULL AND method IS NULL AND regexp_full_match(name, '/?[\w.$]+/\w+') THEN trim(name, '/')
        ELSE coalesce(service, owner, '?') || '/' || ltrim(coalesce(method, plain_name(name), '?'), '/')
    END;

CREATE OR REPLACE TEMP TABLE parts AS
WITH

said AS (
    SELECT
        members.group_id,
        members.is_alone,
        members.place,
        spans.cohort,
        members.type IN ('mcp_client', 'mcp_server')                        AS has_mcp,
        CASE
            WHEN is_model(members.type) AND members.label NOT LIKE '?/%'
            THEN split_part(members.label, '/', 1)
        END                                                                 AS provider,
        -- OpenInference has one key for both: a call that failed wrote there whom it asked.
        CASE
            WHEN is_model(members.type)
                AND spans.response_model <> 'unknown'
                AND (NOT members.is_error OR spans.response_model <> spans.request_model)
            THEN spans.response_model
        END                                                                 AS response_model,
        CASE
            WHEN is_model(members.type)
                AND (spans.request_model <> 'unknown' OR members.is_error AND spans.response_model <> 'unknown')
            THEN coalesce(nullif(spans.request_model, 'unknown'), spans.response_model)
        END                                                                 AS request_model,
        CASE WHEN is_model(members.type) THEN spans.input_tokens END        AS input_tokens,
        CASE WHEN is_model(members.type) THEN spans.output_tokens END       AS output_tokens,
        CASE WHEN is_model(members.type) THEN spans.cache_read_tokens END   AS cache_read_tokens,
        CASE WHEN is_model(members.type) THEN spans.cache_write_tokens END  AS cache_write_tokens,
        CASE WHEN is_model(members.type) THEN spans.reasoning_tokens END    AS reasoning_tokens,
        CASE
            WHEN is_model(members.type)
            THEN nullif(concat_ws(
                ', ',
                'temperature ' || spans.temperature,
                'top_p ' || spans.top_p,
                'max_tokens ' || spans.max_output_tokens
            ), '')
        END                                                                 AS model_parameters,
        spans.cost_usd,
        spans.first_chunk_ms,
        CASE
            WHEN members.type IN ('tool', 'mcp_client', 'mcp_server') AND spans.tool_name IS NOT NULL
            THEN members.label
        END                                                                 AS tool_name,
        CASE WHEN spans.mcp_resource_uri IS NOT NULL THEN uri_template(spans.mcp_resource_uri) END  AS mcp_uri,
        spans.mcp_server                                                    AS told_server,
        CASE WHEN members.type = 'mcp_server' THEN members.service END      AS serving_service,
        CASE WHEN members.type IN ('mcp_client', 'http_client') THEN spans.server_address END       AS server_host,
        CASE WHEN members.part = 'server' THEN members.service END                                  AS callee_service,
        CASE WHEN members.part = 'server' THEN spans.service_version END                            AS callee_version,
        CASE
            WHEN members.type = 'http_server' THEN coalesce(spans.http_route, path_template(spans.url_path))
        END                                                                 AS server_route,
        CASE
            WHEN members.part = 'server' AND members.type = 'rpc_server'
            THEN rpc_name(spans.rpc_service, spans.rpc_method, spans.name, members.service)
        END                                                                 AS server_method,
        CASE WHEN members.type IN ('http_client', 'http_server') THEN upper(spans.http_method) END  AS http_method,
        CASE WHEN members.type IN ('http_client', 'http_server') THEN spans.http_status END         AS http_status,
        CASE WHEN members.type IN ('http_client', 'http_server') THEN spans.api_version END         AS api_version,
        CASE WHEN NOT members.type LIKE 'queue%' THEN spans.retry_count END AS retry_count,
        members.fault_id,
        spans.pilot_variant,
        spans.message_sender                                                AS sender,
        spans.timeout_ms,
        spans.idempotency_key IS NOT NULL                                   AS has_idempotency_key,
        CASE WHEN members.part = 'representative' THEN spans.environment END           AS environment,
        CASE WHEN members.part = 'representative' THEN spans.tenant END                AS tenant,
        CASE WHEN members.part = 'representative' THEN spans.graph_node_parent_id END  AS graph_node_parent_id,
        CASE WHEN members.part = 'representative' THEN spans.handoff_from END          AS handoff_from
    FROM spans
    INNER JOIN members
        ON members.node_id = spans.node_id
    SEMI JOIN candidates
        ON candidates.node_id = members.group_id
)

SELECT * EXCLUDE (is_alone, place)
FROM said
WHERE is_alone
UNION ALL BY NAME
SELECT
    group_id,
    min(cohort)                          AS cohort,
    bool_or(has_mcp)                     AS has_mcp,
    arg_max(provider, place)             AS provider,
    arg_max(response_model, place)       AS response_model,
    arg_max(request_model, place)        AS request_model,
    max(input_tokens)                    AS input_tokens,
    max(output_tokens)                   AS output_tokens,
    max(cache_read_tokens)               AS cache_read_tokens,
    max(cache_write_tokens)              AS cache_write_tokens,
    max(reasoning_tokens)                AS reasoning_tokens,
    arg_max(model_parameters, place)     AS model_parameters,
    arg_max(cost_usd, place)             AS cost_usd,
    min(first_chunk_ms)                  AS first_chunk_ms,
    arg_min(tool_name, place)            AS tool_name,
    min(mcp_uri)                         AS mcp_uri,
    min(told_server)                     AS told_server,
    min(serving_service)                 AS serving_service,
    min(server_host)                     AS server_host,
    arg_max(callee_service, place)       AS callee_service,
    arg_max(callee_version, place)       AS callee_version,
    min(server_route)                    AS server_route,
    arg_min(server_method, place)        AS server_method,
    arg_min(http_method, place)          AS http_method,
    arg_min(http_status, place)          AS http_status,
    arg_min(api_version, place)          AS api_version,
    max(retry_count)                     AS retry_count,
    min(fault_id)                        AS fault_id,
    min(pilot_variant)                   AS pilot_variant,
    min(sender)                          AS sender,
    min(timeout_ms)                      AS timeout_ms,
    bool_or(has_idempotency_key)         AS has_idempotency_key,
    min(environment)                     AS environment,
    min(tenant)                          AS tenant,
    min(graph_node_parent_id)            AS graph_node_parent_id,
    min(handoff_from)                    AS handoff_from
FROM said
WHERE NOT is_alone
GROUP BY group_id;
