-- clocks: how far one clock is ahead of another, per five minutes (BOUNDARIES.md, clocks).
--
-- A server works while its client waits: each such pair bounds the server's clock against the client's. No time
-- of a span is changed; who sets a time of one clock against another's may take `offset_ms` off.

-- More than this is no drift but a wrong date.
CREATE OR REPLACE TEMP MACRO max_offset_ms() AS 10000;

CREATE OR REPLACE TABLE clocks AS
WITH

pairs AS (
    SELECT
        client.cohort,
        coalesce(client.host, client.service, '?')                     AS client_clock,
        coalesce(server.host, server.service, '?')                     AS server_clock,
        time_bucket(INTERVAL 5 MINUTE, make_timestamp(client.start_ns // 1000))  AS window_at,
        (server.end_ns - client.end_ns) / 1e6                          AS lower_ms,
        (server.start_ns - client.start_ns) / 1e6                      AS upper_ms
    FROM groups
    INNER JOIN nodes AS server
        ON server.node_id = groups.node_id
    INNER JOIN nodes AS client
        ON client.node_id = groups.outer_id
    WHERE groups.part = 'server'
        AND client.type IN ('http_client', 'rpc_client', 'mcp_client', 'faas_client')
        -- A server that outlives its client was left alone and bounds nothing.
        AND server.end_ns - server.start_ns <= client.end_ns - client.start_ns
),

bounds AS (
    SELECT
        cohort,
        client_clock,
        server_clock,
        window_at,
        count(*)                                AS pairs,
        quantile_cont(lower_ms, 0.95)           AS lower_ms,
        quantile_cont(upper_ms, 0.05)           AS upper_ms
    FROM pairs
    WHERE client_clock <> server_clock
    GROUP BY ALL
)

SELECT
    cohort,
    client_clock,
    server_clock,
    window_at,
    pairs,
    lower_ms,
    upper_ms,
    CASE
        WHEN lower_ms <= 0 AND upper_ms >= 0 THEN 0
        ELSE greatest(-max_offset_ms(), least(max_offset_ms(), (lower_ms + upper_ms) / 2))
    END                                         AS offset_ms,
    NOT (lower_ms <= 0 AND upper_ms >= 0)
        AND abs(lower_ms + upper_ms) / 2 > max_offset_ms()  AS is_capped
FROM bounds
ORDER BY ALL;
