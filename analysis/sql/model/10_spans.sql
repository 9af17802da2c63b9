-- spans: one row a span of the lake, with the keys the model joins on and the words it decides by.
--
-- The order of the keys, not of the files, numbers the rows: the same spans give the same ids.

CREATE OR REPLACE TEMP TABLE keys AS
SELECT
    cohort,
    trace_id,
    span_id,
    row_number() OVER (ORDER BY cohort, trace_id, start_ns, span_id)  AS node_id,
    dense_rank() OVER (ORDER BY cohort, trace_id)                     AS trace_no
FROM lake;

CREATE OR REPLACE TEMP TABLE spans AS
SELECT
    keys.node_id,
    keys.trace_no,
    -- Vercel's old spans append the caller's name to the operation.
    CASE
        WHEN lower(vendor_kind) LIKE 'ai.%' THEN lower(split_part(vendor_kind, ' ', 1))
        WHEN vendor_kind IS NULL AND operation LIKE 'ai.%' THEN lower(split_part(operation, ' ', 1))
        ELSE lower(vendor_kind)
    END                                                               AS vendor,
    lower(coalesce(mcp_method, CASE WHEN lower(rpc_system) = 'mcp' THEN rpc_method END)) AS mcp,
    lower(coalesce(messaging_operation, attributes['celery.action'])) AS message_verb,
    coalesce(
        messaging_system,
        CASE
            WHEN attributes['celery.action'] IS NOT NULL
                OR attributes['celery.task_name'] IS NOT NULL
                OR scope_name LIKE '%celery%' THEN 'celery'
        END
    )                                                                 AS message_system,
    upper(attributes['celery.state'])                                 AS celery_state,
    coalesce(
        attributes['celery.task_name'],
        CASE WHEN scope_name LIKE '%celery%' THEN regexp_extract(name, '^(?:apply_async|run)/(.+)$', 1) END
    )                                                                 AS celery_task,
    coalesce(model_host(lower(server_address)), '')                   AS host_provider,
    attributes['workflow.id']                                         AS workflow_id,
    attributes['faas.invoked_name']                                   AS invoked_function,
    lower(attributes['gen_ai.task.status'])                           AS task_status,
    attributes['pydantic_ai.tool.failure_stage']                      AS failure_stage,
    lake.* EXCLUDE (
        events, attributes, trace_state, scope_version, source_digest, source_record, content_hash,
        quality,
        dropped_attributes_count, dropped_events_count, dropped_links_count,
        -- no rule asks for these, and a column of every span costs time
        service_namespace, service_instance_id, boundary_name, user_id, total_tokens,
        cache_write_tokens, reasoning_tokens, is_stream, input_message_count, cache_hit, message_id,
        server_port, budget_ms, fallback, context_hash_in, context_hash_out, context_version,
        context_store, context_hit, args_hash, input_hash, scopes_granted, scopes_required,
        pilot_name, pilot_phase, fault_type, fault_target
    ) REPLACE (
        lower(operation) AS operation,
        -- A number that OTLP may name one day says nothing to today's rules.
        CASE WHEN kind ~ '^-?[0-9]+$' THEN 'UNSPECIFIED' ELSE kind END AS kind,
        -- LangChain's callbacks say whom they asked in a text of their own.
        coalesce(
            request_model,
            CASE
                WHEN response_model IS NOT NULL AND vendor_kind IS NOT NULL
                THEN nullif(regexp_extract(attributes['metadata'], '"ls_model_name": *"([^"]+)"', 1), '')
            END
        ) AS request_model,
        lower(db_system) AS db_system,
        lower(rpc_system) AS rpc_system,
        lower(server_address) AS server_address,
        nullif(service_name, '') AS service_name
    )
FROM lake
INNER JOIN keys
    ON keys.cohort = lake.cohort
    AND keys.trace_id = lake.trace_id
    AND keys.span_id = lake.span_id;
