-- times: one row a group of several spans, what its servers, its tries and its queue say of the time it took.
-- dispatched: one row a call within its caller's process, how long the caller took to come to it.

CREATE OR REPLACE TEMP TABLE times AS
WITH

-- the serving side, without the servers inside servers
servers AS (
    SELECT
        members.group_id,
        members.node_id,
        members.start_ns,
        members.end_ns
    FROM members
    LEFT JOIN members AS outer_member
        ON outer_member.node_id = members.outer_id
    WHERE members.part = 'server'
        AND outer_member.part IS DISTINCT FROM 'server'
),

serving AS (
    SELECT
        group_id,
        count(*)                                                AS servers,
        sum(end_ns - start_ns)                                  AS sum_ns,
        max_by(end_ns - start_ns, (end_ns, node_id))            AS last_ns,
        min(start_ns)                                           AS server_start_ns,
        max(end_ns)                                             AS server_end_ns
    FROM servers
    GROUP BY group_id
),

-- servers that worked at once: only the last of them is what the caller waited for
crowded AS (
    SELECT DISTINCT group_id
    FROM (
        SELECT
            servers.group_id,
            max(servers.end_ns) OVER (
                PARTITION BY servers.group_id
                ORDER BY servers.start_ns, servers.node_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) > servers.start_ns  AS is_beside
        FROM servers
        SEMI JOIN serving
            ON serving.group_id = servers.group_id
            AND serving.servers > 1
    )
    WHERE is_beside
),

attempted AS (
    SELECT
        group_id,
        max(attempts)                                          AS attempts,
        max_by(first_ms, (attempts, -began_ns, outer_id))      AS first_attempt_ms,
        max_by(last_ms, (attempts, -began_ns, outer_id))       AS last_attempt_ms
    FROM (
        SELECT
            members.group_id,
            members.outer_id,
            count(*)                                                        AS attempts,
            min(members.start_ns)                                                   AS began_ns,
            min_by(members.end_ns - members.start_ns, (members.start_ns, members.node_id)) / 1e6  AS first_ms,
            max_by(members.end_ns - members.start_ns, (members.start_ns, members.node_id)) / 1e6  AS last_ms
        FROM members
        INNER JOIN tree
            ON tree.node_id = members.node_id
        WHERE members.part = 'attempt'
        GROUP BY
            members.group_id,
            members.outer_id,
            members.type,
            -- Another host is another try's own series.
            tree.host_hash
    )
    GROUP BY group_id
),

-- from the moment a message was sent to the moment somebody took it
queued AS (
    SELECT
        pairs.producer_id                                                           AS group_id,
        bool_or(consumer.type = 'agent')                                            AS is_by_agent,
        min_by(consumer.label, (consumer.start_ns, consumer.node_id)) FILTER (consumer.type = 'agent')  AS agent,
        min_by(consumer.service, (consumer.start_ns, consumer.node_id))             AS service,
        min(CASE
            WHEN spans.enqueued_ns IS NOT NULL THEN consumer.start_ns - spans.enqueued_ns
            WHEN consumer.start_ns - producer.end_ns >= -2000000 THEN greatest(consumer.start_ns - producer.end_ns, 0)
            WHEN consumer.start_ns >= producer.start_ns THEN consumer.start_ns - producer.start_ns
        END) / 1e6                                                                  AS queue_ms,
        -- What Celery tries again it sends again, which is a call of its own.
        max(spans.retry_count) FILTER (spans.celery_state IS NULL) + 1              AS deliveries
    FROM pairs
    INNER JOIN nodes AS producer
        ON producer.node_id = pairs.producer_id
    INNER JOIN nodes AS consumer
        ON consumer.node_id = pairs.consumer_id
    INNER JOIN spans
        ON spans.node_id = pairs.consumer_id
    GROUP BY pairs.producer_id
)

SELECT
    sized.group_id,
    serving.servers,
    CASE WHEN crowded.group_id IS NULL THEN serving.sum_ns ELSE serving.last_ns END / 1e6  AS server_ms,
    serving.server_start_ns,
    serving.server_end_ns,
    greatest(attempted.attempts, queued.deliveries)  AS attempts,
    attempted.first_attempt_ms,
    attempted.last_attempt_ms,
    queued.queue_ms,
    queued.group_id IS NOT NULL          AS is_taken,
    coalesce(queued.is_by_agent, false)  AS is_taken_by_agent,
    queued.agent                         AS taking_agent,
    queued.service                       AS taking_service
FROM (
    SELECT DISTINCT group_id
    FROM members
    WHERE NOT is_alone
    UNION
    SELECT producer_id
    FROM pairs
) AS sized
LEFT JOIN serving
    ON serving.group_id = sized.group_id
LEFT JOIN crowded
    ON crowded.group_id = sized.group_id
LEFT JOIN attempted
    ON attempted.group_id = sized.group_id
LEFT JOIN queued
    ON queued.group_id = sized.group_id;

CREATE OR REPLACE TEMP TABLE dispatched AS
WITH

within AS (
    SELECT
        nodes.node_id,
        nodes.start_ns,
        nodes.end_ns,
        caller.node_id   AS caller_id,
        caller.start_ns  AS ready_ns
    FROM nodes
    SEMI JOIN candidates
        ON candidates.node_id = nodes.node_id
    INNER JOIN nodes AS caller
        ON caller.node_id = nodes.composite_id
        AND caller.service = nodes.service
        AND caller.host IS NOT DISTINCT FROM nodes.host
        AND caller.start_ns <= nodes.start_ns
        AND caller.end_ns >= nodes.start_ns
    WHERE NOT is_server(nodes.type)
),

-- at one instant ends come first, but for what takes no time
instants AS (
    SELECT
        node_id,
        caller_id,
        ready_ns,
        start_ns  AS at_ns,
        1         AS place,
        NULL      AS end_ns
    FROM within
    UNION ALL
    SELECT
        NULL,
        caller_id,
        NULL,
        end_ns,
        CASE WHEN start_ns < end_ns THEN 0 ELSE 2 END,
        end_ns
    FROM within
)

SELECT
    node_id,
    caller_id,
    (at_ns - greatest(ready_ns, max(end_ns) OVER earlier)) / 1e6  AS dispatch_ms
FROM instants
WINDOW earlier AS (
    PARTITION BY caller_id
    ORDER BY at_ns, place
    RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
)
QUALIFY node_id IS NOT NULL;
