-- members: one row a span that says something, in the group it is a part of; candidates: the groups that may be calls.

CREATE OR REPLACE TEMP MACRO is_model(type) AS
    type IN ('model', 'embedding', 'reranker');

CREATE OR REPLACE TEMP MACRO is_server(type) AS
    type IN ('http_server', 'rpc_server', 'mcp_server', 'queue_consumer');

CREATE OR REPLACE TEMP TABLE members AS
WITH

sizes AS (
    SELECT
        groups.group_id,
        count(DISTINCT nodes.service) > 1  AS has_services
    FROM groups
    INNER JOIN nodes
        ON nodes.node_id = groups.node_id
    WHERE nodes.role <> 'transparent'
        AND groups.group_id IN (SELECT group_id FROM groups WHERE part <> 'representative')
    GROUP BY groups.group_id
)

SELECT
    groups.group_id,
    groups.part,
    groups.outer_id,
    sizes.group_id IS NULL                      AS is_alone,
    coalesce(sizes.has_services, false)         AS has_services,
    -- outermost first, then earliest, and one whole number: comparing rows costs ten times as much
    CASE
        WHEN sizes.group_id IS NOT NULL
        THEN least(nodes.depth, 65535)::HUGEINT * 1298074214633706907132624082305024
            + nodes.start_ns::HUGEINT * 562949953421312 + (nodes.node_id >> 14)
    END                                         AS place,
    nodes.node_id,
    nodes.type,
    nodes.kind,
    nodes.service,
    nodes.label,
    nodes.start_ns,
    nodes.end_ns,
    nodes.is_error,
    nodes.fault_id
FROM groups
INNER JOIN nodes
    ON nodes.node_id = groups.node_id
LEFT JOIN sizes
    ON sizes.group_id = groups.group_id
WHERE nodes.role <> 'transparent';

-- a handoff marker and the agent it led to: the first later one of that name, beside the marker's own if it can be
CREATE OR REPLACE TEMP TABLE handed AS
WITH

markers AS (
    SELECT
        marker.node_id                             AS marker_id,
        marker.agent_id                            AS owner_id,
        marker.trace_no,
        marker.start_ns,
        coalesce(owner.agent_id, -1)               AS level,
        replace(lower(marker.label), ' ', '_')     AS name
    FROM nodes AS marker
    LEFT JOIN nodes AS owner
        ON owner.node_id = marker.agent_id
    WHERE marker.type = 'handoff'
),

-- what a marker asks for, what it would rather have first; an agent answers to each of these
asked AS (
    SELECT
        marker_id,
        owner_id,
        trace_no,
        start_ns,
        unnest(
            CASE
                WHEN name IS NULL THEN [{'level': level, 'name': '', 'choice': 1}]
                ELSE [{'level': level, 'name': name, 'choice': 1}, {'level': -2, 'name': name, 'choice': 2}]
            END,
            recursive := true
        )
    FROM markers
),

answering AS (
    SELECT
        nodes.trace_no,
        nodes.start_ns,
        nodes.node_id,
        unnest([
            {'level': coalesce(nodes.agent_id, -1), 'name': ''},
            {'level': coalesce(nodes.agent_id, -1), 'name': replace(lower(nodes.label), ' ', '_')},
            {'level': -2, 'name': replace(lower(nodes.label), ' ', '_')}
        ], recursive := true)
    FROM nodes
    WHERE nodes.type = 'agent'
        AND nodes.trace_no IN (SELECT trace_no FROM markers)
),

-- No marker leads to its own agent: there the next one counts.
in_order AS (
    SELECT
        *,
        lead(node_id) OVER (PARTITION BY trace_no, level, name ORDER BY start_ns, node_id)  AS next_id
    FROM answering
    QUALIFY row_number() OVER (PARTITION BY trace_no, level, name, start_ns ORDER BY node_id) = 1
),

found AS (
    SELECT
        asked.marker_id,
        asked.owner_id,
        asked.start_ns,
        asked.choice,
        CASE
            WHEN in_order.node_id = asked.owner_id THEN in_order.next_id
            ELSE in_order.node_id
        END  AS agent_id
    FROM asked
    ASOF INNER JOIN in_order
        ON in_order.trace_no = asked.trace_no
        AND in_order.level = asked.level
        AND in_order.name = asked.name
        AND in_order.start_ns >= asked.start_ns
)

SELECT
    marker_id,
    owner_id,
    start_ns,
    min_by(agent_id, choice)  AS agent_id
FROM found
WHERE agent_id IS NOT NULL
GROUP BY
    marker_id,
    owner_id,
    start_ns;

CREATE OR REPLACE TEMP TABLE candidates AS
SELECT members.node_id
FROM members
INNER JOIN nodes
    ON nodes.node_id = members.node_id
ANTI JOIN handed
    ON handed.marker_id = members.node_id
WHERE members.part = 'representative'
    AND members.type <> 'mcp_control'
    AND (
        members.kind IN ('CLIENT', 'PRODUCER')
        OR nodes.is_across
        OR members.has_services
        OR members.type IN (
            'model', 'embedding', 'reranker', 'retriever', 'tool', 'mcp_client', 'agent',
            'workflow', 'guardrail', 'evaluator', 'memory', 'handoff'
        )
        OR members.kind IN ('INTERNAL', 'UNSPECIFIED')
        AND members.type IN ('db', 'cache', 'object_store', 'faas_client', 'queue_producer', 'queue_poll')
    )
    -- An entry nobody is seen to call is no boundary.
    AND NOT (
        nodes.parent_id IS NULL
        AND members.kind <> 'PRODUCER'
        AND (is_server(members.type) OR members.type IN ('ui', 'agent', 'workflow'))
    );
