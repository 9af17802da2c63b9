-- open_traces: one row a trace in which a model or tool was asked, and whether whoever asked never told that it ended.

CREATE OR REPLACE TABLE open_traces AS
SELECT
    trace_no,
    any_value(cohort)             AS cohort,
    'service:' || min(service)    AS who,
    bool_or(is_open)              AS is_open
FROM (
    SELECT
        trace_no,
        cohort,
        service,
        type,
        parent_state IN ('missing', 'remote') AND type IN ('model', 'tool', 'mcp_client', 'step', 'retriever')
            AND NOT bool_or(is_user_facing OR type IN ('agent', 'workflow')) OVER (PARTITION BY trace_no)  AS is_open
    FROM nodes
    QUALIFY bool_or(type IN ('model', 'tool', 'mcp_client')) OVER (PARTITION BY trace_no)
)
WHERE type IN ('model', 'tool', 'mcp_client', 'step', 'retriever', 'agent', 'workflow')
GROUP BY trace_no;
