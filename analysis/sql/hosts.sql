-- hosts: one row a call at the top of a trace that surely was made by something running in its own process at that
-- moment (BOUNDARIES.md, joins).
--
-- What runs and has nothing running below it may be the caller, if it runs as long as the call does. Two that may be
-- are none, but two calls of one tool by one agent are told by the tool's name. All that ran in a process, in any
-- trace, tells; so this is asked of all traces at once, and before what looks across those that share something.

-- Of the calls of one callee that could be placed so many must lie in something that calls: what a program does
-- on its own falls beside it as well.
CREATE OR REPLACE TEMP MACRO hosted_ratio() AS 0.9;

-- Where more runs at once nothing is told; it bounds the work.
CREATE OR REPLACE TEMP MACRO max_running() AS 64;

-- What has no parent and follows no link; with a parent elsewhere another process made it. A table of its own, so that
-- few of them are seen to be few.
CREATE OR REPLACE TEMP TABLE alone AS
SELECT
    node_id,
    trace_no,
    cohort,
    service,
    host,
    conversation_id,
    start_ns,
    end_ns
FROM nodes
WHERE is_cut
    AND parent_state = 'root'
    AND role = 'leaf';

CREATE OR REPLACE TEMP TABLE astray AS
SELECT
    alone.*,
    calls.kind,
    calls.callee
FROM alone
INNER JOIN calls
    ON calls.call_id = alone.node_id;

CREATE OR REPLACE TEMP TABLE processes AS
SELECT
    nodes.cohort,
    nodes.service,
    nodes.host,
    row_number() OVER ()  AS process_no
FROM nodes
INNER JOIN (
    SELECT DISTINCT
        cohort,
        service,
        host
    FROM astray
) AS calling
    ON calling.cohort = nodes.cohort
    AND calling.service = nodes.service
    AND calling.host IS NOT DISTINCT FROM nodes.host
WHERE nodes.type IN ('agent', 'workflow', 'tool')
GROUP BY
    nodes.cohort,
    nodes.service,
    nodes.host;

CREATE OR REPLACE TEMP TABLE calling AS
SELECT
    astray.*,
    processes.process_no
FROM astray
INNER JOIN processes
    ON processes.cohort = astray.cohort
    AND processes.service = astray.service
    AND processes.host IS NOT DISTINCT FROM astray.host;

-- what ran in these processes, but for such calls and what is below them
CREATE OR REPLACE TEMP TABLE here AS
SELECT
    nodes.node_id,
    nodes.parent_id,
    nodes.composite_id,
    nodes.agent_id,
    nodes.trace_no,
    nodes.type,
    nodes.role,
    nodes.start_ns,
    nodes.end_ns,
    processes.process_no
FROM nodes
INNER JOIN processes
    ON processes.cohort = nodes.cohort
    AND processes.service = nodes.service
    AND processes.host IS NOT DISTINCT FROM nodes.host
ANTI JOIN astray
    ON astray.node_id = nodes.root_id
WHERE NOT nodes.is_cyclic
    AND nodes.start_ns < nodes.end_ns;

CREATE OR REPLACE TEMP TABLE beside AS
WITH

instants AS (
    SELECT
        process_no,
        NULL      AS astray_id,
        start_ns  AS at_ns,
        1         AS running
    FROM here
    UNION ALL
    SELECT
        process_no,
        NULL,
        end_ns,
        -1
    FROM here
    UNION ALL
    SELECT
        process_no,
        node_id,
        start_ns,
        0
    FROM calling
)

SELECT
    astray_id,
    sum(running) OVER (
        PARTITION BY process_no
        ORDER BY at_ns
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )  AS running
FROM instants
QUALIFY astray_id IS NOT NULL;

CREATE OR REPLACE TEMP TABLE holding AS
WITH

-- A span lies in at most two stretches of the power of two above its length: who looks for what runs at an instant
-- looks into one stretch of each length.
stretches AS (
    SELECT
        *,
        unnest(list_distinct([start_ns >> level, end_ns >> level]))  AS stretch
    FROM (
        SELECT
            *,
            floor(log2(end_ns - start_ns))::INTEGER + 1  AS level
        FROM here
    )
),

-- Made before it is joined, or the stretch would be no key of the join.
looks AS MATERIALIZED (
    SELECT
        calling.node_id,
        calling.start_ns,
        calling.end_ns,
        calling.process_no,
        levels.level,
        calling.start_ns >> levels.level  AS stretch
    FROM calling
    INNER JOIN beside
        ON beside.astray_id = calling.node_id
        AND beside.running BETWEEN 1 AND max_running()
    INNER JOIN (
        SELECT DISTINCT
            process_no,
            level
        FROM stretches
    ) AS levels
        ON levels.process_no = calling.process_no
),

running AS (
    SELECT
        looks.node_id  AS astray_id,
        stretches.* EXCLUDE (level, stretch),
        stretches.end_ns >= looks.end_ns  AS is_holding
    FROM looks
    INNER JOIN stretches
        ON stretches.process_no = looks.process_no
        AND stretches.level = looks.level
        AND stretches.stretch = looks.stretch
        AND stretches.start_ns <= looks.start_ns
        AND stretches.end_ns > looks.start_ns
),

-- a step that leads to what calls is only its frame
frames AS (
    SELECT DISTINCT here.parent_id  AS node_id
    FROM here
    WHERE here.role = 'composite'
        AND here.parent_id IS NOT NULL
)

SELECT
    running.astray_id,
    CASE running.role
        WHEN 'composite' THEN running.node_id
        WHEN 'transparent' THEN running.composite_id
    END  AS caller_id
FROM running
ANTI JOIN running AS below
    ON below.astray_id = running.astray_id
    AND below.parent_id = running.node_id
LEFT JOIN frames
    ON frames.node_id = running.node_id
    AND running.role = 'transparent'
WHERE running.is_holding
    AND frames.node_id IS NULL;

CREATE OR REPLACE TABLE hosts AS
WITH

-- one caller, or several of one name that one agent called
told AS (
    SELECT
        holding.astray_id,
        count(DISTINCT coalesce(holding.caller_id, -1))  AS callers,
        min(caller.node_id)                            AS caller_id,
        min(speaker_of(caller.type, caller.label, caller.service))  AS caller,
        min(caller.agent_id)                           AS agent_id,
        count(DISTINCT coalesce(holding.caller_id, -1)) = 1
            OR count(caller.agent_id) = count(*)
                AND min(caller.agent_id) = max(caller.agent_id)
                AND count(DISTINCT speaker_of(caller.type, caller.label, caller.service)) = 1  AS is_one,
        coalesce(bool_and(
            caller.type IN ('agent', 'workflow', 'tool', 'retriever', 'guardrail', 'evaluator', 'memory')
            AND caller.service = calling.service
            AND caller.host IS NOT DISTINCT FROM calling.host
            AND caller.end_ns >= calling.end_ns
            AND (caller.conversation_id = calling.conversation_id) IS NOT FALSE
        ) AND count(caller.node_id) = count(*), false)  AS is_fit
    FROM holding
    INNER JOIN calling
        ON calling.node_id = holding.astray_id
    LEFT JOIN nodes AS caller
        ON caller.node_id = holding.caller_id
    GROUP BY holding.astray_id
),

-- Where several things run and any may have called, nothing is said for or against.
placed AS (
    SELECT
        calling.node_id,
        calling.trace_no,
        calling.process_no,
        calling.kind,
        calling.callee,
        CASE WHEN told.callers = 1 THEN told.caller_id END                           AS caller_id,
        CASE WHEN told.callers = 1 THEN told.caller_id ELSE told.agent_id END        AS joined_id,
        told.caller,
        coalesce(told.is_one AND told.is_fit, false)                                 AS is_found
    FROM calling
    INNER JOIN beside
        ON beside.astray_id = calling.node_id
    LEFT JOIN told
        ON told.astray_id = calling.node_id
    WHERE beside.running <= max_running()
        AND coalesce(told.callers = 1 OR told.is_one AND told.is_fit, true)
)

SELECT
    placed.node_id,
    placed.trace_no,
    placed.joined_id,
    joined.trace_no  AS joined_trace_no,
    placed.caller_id,
    placed.caller
FROM (
    SELECT *
    FROM placed
    WINDOW alike AS (PARTITION BY process_no, kind, callee)
    QUALIFY is_found
        AND count(*) FILTER (is_found) OVER alike >= hosted_ratio() * count(*) OVER alike
) AS placed
INNER JOIN nodes AS joined
    ON joined.node_id = placed.joined_id;
