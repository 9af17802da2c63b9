-- Words: how a name, a path, a host or an error text is read (BOUNDARIES.md).

-- A name without what changes from run to run: UUIDs and hex of 16 digits or more.
CREATE OR REPLACE TEMP MACRO plain_name(raw) AS
    nullif(trim(regexp_replace(
        regexp_replace(
            raw,
            '[-_:. (]*\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b\)?',
            '', 'g'
        ),
        '[-_:. (]*\b(?:0x)?[0-9a-fA-F]{16,}\b\)?',
        '', 'g'
    )), '');

-- What a framework puts around the name of an agent or a tool.
CREATE OR REPLACE TEMP MACRO bare_name(raw) AS
    plain_name(regexp_replace(
        regexp_replace(
            raw,
            '^(?:invoke_agent|invoke_workflow|execute_tool|create_agent|running tool:|agent run|tools/call'
            || '|handoff to|execute_task|chat|autogen process)\s+',
            ''
        ),
        '\.(?:run|tool|agent|workflow|kickoff|task|mcp|invoke|stream|ainvoke|astream)$',
        ''
    ));

CREATE OR REPLACE TEMP MACRO is_id(segment) AS
    regexp_full_match(segment, '[0-9]+')
    OR regexp_full_match(segment, '[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}')
    OR regexp_full_match(segment, '[0-9a-fA-F]{16,}')
    OR (regexp_full_match(segment, '[A-Za-z0-9_-]{22,}=*') AND regexp_matches(segment, '[0-9]'))
    OR contains(segment, '@');

-- At most six segments: what stands deeper is data more often than design.
CREATE OR REPLACE TEMP MACRO path_template(path) AS
    '/' || array_to_string(
        list_transform(
            list_filter(string_split(split_part(path, '?', 1), '/'), lambda part: part <> '')[1:6],
            lambda part: CASE WHEN is_id(part) THEN '{id}' ELSE part END
        ),
        '/'
    );

-- How many routes that are guessed from paths a host may have.
CREATE OR REPLACE TEMP MACRO max_routes() AS 200;

-- What a server is asked for: GET /orders/{id}, or the span's own name.
CREATE OR REPLACE TEMP MACRO operation_name(type, method, route, path, name) AS
    CASE
        WHEN type = 'http_server'
        THEN concat_ws(' ', method, coalesce(route, path_template(path), plain_name(name)))
        ELSE coalesce(plain_name(name), '?')
    END;

-- crm://customers/3 -> crm://customers/{id}
CREATE OR REPLACE TEMP MACRO uri_template(uri) AS
    regexp_extract(uri, '^[^:]*://[^/]*')
    || CASE
        WHEN regexp_matches(uri, '^[^:]*://[^/]*/.')
        THEN path_template(regexp_replace(uri, '^[^:]*://[^/]*', ''))
        ELSE ''
    END;

CREATE OR REPLACE TEMP MACRO model_host(host) AS
    CASE
        WHEN host = 'api.openai.com' THEN 'openai'
        WHEN host LIKE '%.openai.azure.com' THEN 'azure.ai.openai'
        WHEN host = 'api.anthropic.com' THEN 'anthropic'
        WHEN host = 'generativelanguage.googleapis.com' THEN 'gcp.gemini'
        WHEN host LIKE '%aiplatform.googleapis.com' THEN 'gcp.vertex_ai'
        WHEN host LIKE 'bedrock-runtime.%.amazonaws.com' THEN 'aws.bedrock'
        WHEN host = 'api.mistral.ai' THEN 'mistral_ai'
        WHEN host LIKE 'api.cohere.%' THEN 'cohere'
        WHEN host = 'api.groq.com' THEN 'groq'
        WHEN host = 'api.deepseek.com' THEN 'deepseek'
        WHEN host = 'api.x.ai' THEN 'x_ai'
        WHEN host = 'openrouter.ai' THEN 'openrouter'
        WHEN host = 'api.together.xyz' THEN 'together_ai'
        WHEN host = 'api.perplexity.ai' THEN 'perplexity'
        WHEN host = 'api.fireworks.ai' THEN 'fireworks_ai'
    END;

-- Frameworks write themselves into the provider's key: not a provider .
CREATE OR REPLACE TEMP MACRO provider_name(raw) AS
    CASE
        WHEN lower(raw) IN (
            'langchain', 'langgraph', 'crewai', 'strands-agents', 'spring_ai',
            'microsoft.agent_framework', 'gcp.vertex.agent', 'az.ai.agents', 'litellm', 'autogen',
            'semantic_kernel', 'haystack', 'llama_index', 'pydantic_ai', 'openai_agents', ''
        ) THEN NULL
        WHEN lower(raw) IN ('az.ai.openai', 'azure', 'azure_openai') THEN 'azure.ai.openai'
        WHEN lower(raw) = 'az.ai.inference' THEN 'azure.ai.inference'
        WHEN lower(raw) IN ('vertex_ai', 'vertexai') THEN 'gcp.vertex_ai'
        WHEN lower(raw) IN ('gemini', 'google') THEN 'gcp.gemini'
        WHEN lower(raw) IN ('aws', 'amazon', 'bedrock') THEN 'aws.bedrock'
        WHEN lower(raw) IN ('mistralai', 'mistral') THEN 'mistral_ai'
        WHEN lower(raw) = 'xai' THEN 'x_ai'
        ELSE regexp_replace(lower(raw), '^(openai|anthropic|mistral|cohere|groq)\..*$', '\1')
    END;

CREATE OR REPLACE TEMP MACRO http_class(code) AS
    CASE
        WHEN code IN (408, 504) THEN 'timeout'
        WHEN code = 499 THEN 'cancelled'
        WHEN code IN (429, 402, 529) THEN 'rate_limited'
        WHEN code = 401 THEN 'authn'
        WHEN code = 403 THEN 'authz'
        WHEN code IN (404, 410) THEN 'not_found'
        WHEN code IN (409, 412, 423) THEN 'conflict'
        WHEN code IN (415, 422) THEN 'contract'
        WHEN code IN (502, 503) THEN 'unavailable'
        WHEN code = 501 THEN 'unimplemented'
        WHEN code BETWEEN 400 AND 499 THEN 'invalid_request'
        WHEN code BETWEEN 500 AND 599 THEN 'server_error'
    END;

CREATE OR REPLACE TEMP MACRO rpc_code(raw) AS
    coalesce(
        TRY_CAST(raw AS INTEGER),
        CASE upper(raw)
            WHEN 'OK' THEN 0 WHEN 'CANCELLED' THEN 1 WHEN 'UNKNOWN' THEN 2
            WHEN 'INVALID_ARGUMENT' THEN 3 WHEN 'DEADLINE_EXCEEDED' THEN 4 WHEN 'NOT_FOUND' THEN 5
            WHEN 'ALREADY_EXISTS' THEN 6 WHEN 'PERMISSION_DENIED' THEN 7
            WHEN 'RESOURCE_EXHAUSTED' THEN 8 WHEN 'FAILED_PRECONDITION' THEN 9
            WHEN 'ABORTED' THEN 10 WHEN 'OUT_OF_RANGE' THEN 11 WHEN 'UNIMPLEMENTED' THEN 12
            WHEN 'INTERNAL' THEN 13 WHEN 'UNAVAILABLE' THEN 14 WHEN 'DATA_LOSS' THEN 15
            WHEN 'UNAUTHENTICATED' THEN 16
        END
    );

CREATE OR REPLACE TEMP MACRO rpc_class(code) AS
    CASE
        WHEN code = 4 THEN 'timeout'
        WHEN code = 1 THEN 'cancelled'
        WHEN code = 8 THEN 'rate_limited'
        WHEN code = 16 THEN 'authn'
        WHEN code = 7 THEN 'authz'
        WHEN code = 5 THEN 'not_found'
        WHEN code IN (6, 9, 10) THEN 'conflict'
        WHEN code IN (3, 11, -32600) THEN 'invalid_request'
        WHEN code = 14 THEN 'unavailable'
        WHEN code IN (2, 13, 15, -32603) THEN 'server_error'
        WHEN code IN (12, -32601) THEN 'unimplemented'
        WHEN code IN (-32700, -32602) THEN 'contract'
        WHEN code BETWEEN -32099 AND -32000 THEN 'server_error'
    END;

CREATE OR REPLACE TEMP MACRO named_class(raw) AS
    CASE
        WHEN raw IS NULL THEN NULL
        WHEN regexp_matches(raw, '(?i)context_?length|context window') THEN 'context_overflow'
        WHEN regexp_matches(raw, '(?i)content_?filter|content ?policy') THEN 'content_filter'
        WHEN regexp_matches(raw, '(?i)timeout|timed out|deadline|etimedout|\b57014\b') THEN 'timeout'
        WHEN regexp_matches(raw, '(?i)cancel|aborterror|client disconnect') THEN 'cancelled'
        WHEN regexp_matches(raw, '(?i)rate_?limit|too_?many_?requests|throttl|quota|overloaded') THEN 'rate_limited'
        WHEN regexp_matches(raw, '(?i)authentication|unauthorized|invalidapikey|expiredtoken') THEN 'authn'
        WHEN regexp_matches(raw, '(?i)permission|forbidden|accessdenied|notauthorized') THEN 'authz'
        WHEN regexp_matches(raw, '(?i)not_?found|nosuch') THEN 'not_found'
        WHEN regexp_matches(raw, '(?i)conflict|duplicate|integrity|deadlock|\b40001\b|\b40p01\b') THEN 'conflict'
        WHEN regexp_matches(raw, '(?i)validation|schema|jsondecode|parse|serializ|badrequesterror|-32700|-32602')
        THEN 'contract'
        WHEN regexp_matches(
            raw,
            '(?i)connect|unavailable|\bdns|econn|remoteprotocol|brokenpipe|sslerror|circuitbreaker'
            || '|operationalerror'
        )
        THEN 'unavailable'
        WHEN regexp_matches(raw, '(?i)tool_error|tool_?exception|tool_?execution|toolerror') THEN 'tool_error'
        -- OpenAI's words for a 500; its number is masked.
        WHEN regexp_matches(raw, '(?i)internal|server[ _]?error|server had an error|apistatuserror|-32603')
        THEN 'server_error'
        WHEN regexp_matches(raw, '(?i)notimplemented|unimplemented|-32601') THEN 'unimplemented'
        WHEN regexp_matches(
            raw,
            '(?i)keyerror|typeerror|attributeerror|indexerror|nameerror|zerodivision|assertionerror'
        )
        THEN 'code_error'
    END;
