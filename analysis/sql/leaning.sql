-- leaning: the traces of which a row leans on a statistic over all traces, and would now be another.
--
-- Asked after every load, of the kept tables: a part was loaded before the statistic was complete, or a
-- later dump has turned it.

WITH

inner_operations AS (
    SELECT
        cohort,
        service,
        type,
        operation
    FROM served
    GROUP BY ALL
    HAVING 2 * count(*) FILTER (has_caller) >= count(*)
),

answering AS (
    SELECT
        cohort,
        provider,
        request_model,
        min(response_model)  AS response_model
    FROM answers
    WHERE response_model IS NOT NULL
    GROUP BY
        cohort,
        provider,
        request_model
    HAVING min(response_model) = max(response_model)
),

placed AS (
    SELECT
        http_host,
        route,
        row_number() OVER (PARTITION BY http_host ORDER BY count(*) DESC, route)  AS place
    FROM routes
    GROUP BY
        http_host,
        route
)

SELECT served.trace_no
FROM served
LEFT JOIN inner_operations
    ON inner_operations.cohort = served.cohort
    AND inner_operations.service IS NOT DISTINCT FROM served.service
    AND inner_operations.type = served.type
    AND inner_operations.operation = served.operation
INNER JOIN nodes
    ON nodes.node_id = served.node_id
WHERE served.may_be_lost
    AND nodes.is_cut <> (served.is_program OR inner_operations.cohort IS NOT NULL)
UNION
SELECT answers.trace_no
FROM answers
LEFT JOIN answering
    ON answering.cohort = answers.cohort
    AND answering.provider IS NOT DISTINCT FROM answers.provider
    AND answering.request_model = answers.request_model
INNER JOIN calls
    ON calls.call_id = answers.call_id
WHERE calls.kind = 'model'
    AND calls.callee <> 'model:' || coalesce(answers.provider, '?') || '/'
        || coalesce(answering.response_model, answers.request_model)
UNION
SELECT routes.trace_no
FROM routes
INNER JOIN placed
    ON placed.http_host = routes.http_host
    AND placed.route = routes.route
INNER JOIN calls
    ON calls.call_id = routes.call_id
WHERE calls.callee = 'http:' || routes.http_host
    || CASE WHEN placed.place > max_routes() THEN routes.route ELSE '/{*}' END;
