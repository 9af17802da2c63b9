-- spans: one row a span of the lake, with the keys the model joins on and the words it decides by.
--
-- A view: whoever asks reads the columns it names from the files and no others. The ids are hashes of the
-- spans' own, so the same span has the same id in every model, whatever else the lake holds.

CREATE OR REPLACE TEMP VIEW spans AS
WITH

numbered AS (
    SELECT
        -- 63 bits, for the engine's integers have a sign
        (hash(cohort, trace_id, span_id) >> 1)::BIGINT  AS node_id,
        (hash(cohort, trace_id) >> 1)::BIGINT           AS trace_no,
        CASE
            WHEN parent_span_id <> span_id THEN (hash(cohort, trace_id, parent_span_id) >> 1)::BIGINT
        END                                             AS parent_key,
        * EXCLUDE (attributes)
    FROM lake
),

whole AS (
    SELECT
        numbered.*,
        asides.attributes
    FROM numbered
    LEFT JOIN asides
        ON asides.node_id = numbered.node_id
)

SELECT
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
    -- A key this bare says model wherever people price cars.
    CASE WHEN request_model IS NOT NULL AND response_model IS NULL THEN attributes['model_name'] END AS bare_model,
    attributes['faas.invoked_name']                                   AS invoked_function,
    lower(attributes['gen_ai.task.status'])                           AS task_status,
    attributes['pydantic_ai.tool.failure_stage']                      AS failure_stage,
    start_ns + duration_ns                                            AS end_ns,
    * REPLACE (
        lower(operation) AS operation,
        -- A number that OTLP may name one day says nothing to today's rules.
        CASE WHEN kind ~ '^-?[0-9]+$' THEN 'UNSPECIFIED' ELSE kind END AS kind,
        -- LangChain's callbacks say whom they asked in a text of their own.
        coalesce(
            request_model,
            CASE
                WHEN response_model IS NOT NULL AND vendor_kind IS NOT NULL
                THEN nullif(regexp_extract(attributes['metadata'], '"ls_model_name": *"([^"]+)"', 1), '')
                -- Monocle tells the model as the second thing its span is about.
                WHEN vendor_kind = 'llm' THEN attributes['entity.2.name']
            END
        ) AS request_model,
        coalesce(
            tool_name,
            CASE
                WHEN coalesce(mcp_method, CASE WHEN lower(rpc_system) = 'mcp' THEN rpc_method END) IS NOT NULL
                THEN nullif(regexp_extract(attributes['fastmcp.component.key'], '^(?:tool:)?([^:@]+)(?:@|$)', 1), '')
            END
        ) AS tool_name,
        lower(db_system) AS db_system,
        lower(rpc_system) AS rpc_system,
        lower(server_address) AS server_address,
        nullif(service_name, '') AS service_name
    )
FROM whole;
