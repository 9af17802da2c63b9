-- Calls that begin a trace and were joined to their caller in the same process get its name, and their trace its agent.
--
-- A model that grows keeps its calls: what an earlier dump made certain and a later one does not is taken back.

CREATE OR REPLACE TEMP TABLE moved AS
WITH

below AS (
    SELECT
        joins.node_id      AS root_id,
        joins.trace_no,
        hosts.caller_id,
        hosts.caller,
        nodes.service,
        agent.label        AS agent
    FROM joins
    INNER JOIN hosts
        ON hosts.node_id = joins.node_id
    INNER JOIN nodes
        ON nodes.node_id = hosts.joined_id
    LEFT JOIN nodes AS agent
        ON agent.node_id = CASE
            WHEN nodes.type IN ('agent', 'workflow') THEN nodes.node_id
            ELSE nodes.agent_id
        END
    WHERE joins.evidence = 'process'
),

-- what each call says of itself, without any join
own AS (
    SELECT
        calls.call_id,
        calls.kind,
        calls.callee,
        calls.owner_service,
        calls.caller_id                                                                          AS earlier_id,
        nodes.root_id,
        CASE WHEN calls.is_joined AND above.node_id IS NULL THEN NULL ELSE calls.caller_id END    AS caller_id,
        CASE
            WHEN calls.is_joined AND above.node_id IS NULL THEN 'service:' || coalesce(calls.owner_service, '?')
            ELSE calls.caller
        END                                                                                      AS caller,
        CASE WHEN NOT calls.is_joined THEN calls.owner_agent END                                 AS owner_agent
    FROM calls
    INNER JOIN nodes
        ON nodes.node_id = calls.call_id
    LEFT JOIN nodes AS above
        ON above.node_id = calls.caller_id
        AND above.trace_no = calls.trace_no
    WHERE calls.is_joined
        OR calls.trace_no IN (SELECT trace_no FROM below)
),

told AS (
    SELECT
        own.call_id,
        own.kind,
        own.callee,
        own.owner_service,
        own.earlier_id,
        coalesce(own.caller_id, below.caller_id)                                  AS caller_id,
        CASE WHEN own.caller_id IS NULL THEN coalesce(below.caller, own.caller) ELSE own.caller END  AS caller,
        coalesce(own.owner_agent, below.agent)                                    AS owner_agent,
        below.root_id IS NOT NULL                                                 AS is_joined
    FROM own
    LEFT JOIN below
        ON below.root_id = own.root_id
        AND own.owner_agent IS NULL
        AND (
            own.caller_id IS NOT NULL
            OR own.caller = 'service:' || below.service
        )
)

SELECT
    * EXCLUDE (kind, callee),
    substr(md5(concat_ws(chr(31), caller, kind, callee)), 1, 16)  AS boundary_id,
    coalesce(owner_agent, owner_service)                          AS agent
FROM told;

UPDATE model.calls
SET
    caller = moved.caller,
    caller_id = moved.caller_id,
    owner_agent = moved.owner_agent,
    boundary_id = moved.boundary_id,
    boundary_no = NULL,
    worker_no = NULL,
    is_joined = moved.is_joined
FROM moved
WHERE moved.call_id = calls.call_id;

-- Retries are told by whose calls they are.
UPDATE model.calls
SET since_failed_ns = again.since_failed_ns
FROM (
    SELECT
        calls.call_id,
        CASE
            WHEN calls.caller_id IS NOT NULL AND lag(calls.is_error) OVER alike
                AND lag(calls.end_ns) OVER alike <= calls.start_ns
            THEN calls.start_ns - lag(calls.end_ns) OVER alike
        END  AS since_failed_ns
    FROM calls
    WHERE calls.caller_id IN (
            SELECT caller_id
            FROM moved
            UNION ALL
            SELECT earlier_id
            FROM moved
        )
        OR calls.call_id IN (SELECT call_id FROM moved)
    WINDOW alike AS (PARTITION BY calls.caller_id, calls.boundary_id ORDER BY calls.start_ns, calls.call_id)
) AS again
WHERE again.call_id = calls.call_id
    AND again.since_failed_ns IS DISTINCT FROM calls.since_failed_ns;

UPDATE model.accesses
SET
    caller = moved.caller,
    owner_agent = moved.owner_agent,
    agent = coalesce(moved.agent, '?'),
    access_no = NULL
FROM moved
WHERE moved.call_id = accesses.call_id;

UPDATE model.failures
SET boundary_id = moved.boundary_id
FROM moved
WHERE moved.call_id = failures.call_id;

UPDATE model.mismatches
SET
    boundary_id = moved.boundary_id,
    owner_agent = moved.owner_agent
FROM moved
WHERE moved.call_id = mismatches.call_id;

UPDATE model.scopes
SET
    boundary_id = moved.boundary_id,
    agent = moved.agent
FROM moved
WHERE moved.call_id = scopes.call_id;
