-- times: one row a group of several spans, what its servers, its tries and its queue say of the time it took.

CREATE OR REPLACE TEMP TABLE times AS
WITH

-- the serving side, without the servers inside servers
serving AS (
    SELECT
        members.group_id,
        count(*)                                                                    AS servers,
        CASE
            WHEN sum(members.end_ns - members.start_ns) <= max(members.end_ns) - min(members.start_ns)
            THEN sum(members.end_ns - members.start_ns)
            ELSE max_by(members.end_ns - members.start_ns, (members.end_ns, members.node_id))
        END / 1e6                                                                   AS server_ms,
        min(members.start_ns)                                                       AS server_start_ns,
        max(members.end_ns)                                                         AS server_end_ns
    FROM members
    LEFT JOIN members AS outer_member
        ON outer_member.node_id = members.outer_id
    WHERE members.part = 'server'
        AND outer_member.part IS DISTINCT FROM 'server'
    GROUP BY members.group_id
),

attempted AS (
    SELECT
        group_id,
        max(attempts)                                          AS attempts,
        max_by(first_ms, (attempts, -began_ns, outer_id))      AS first_attempt_ms,
        max_by(last_ms, (attempts, -began_ns, outer_id))       AS last_attempt_ms
    FROM (
        SELECT
            group_id,
            outer_id,
            count(*)                                                        AS attempts,
            min(start_ns)                                                   AS began_ns,
            min_by(end_ns - start_ns, (start_ns, node_id)) / 1e6            AS first_ms,
            max_by(end_ns - start_ns, (start_ns, node_id)) / 1e6            AS last_ms
        FROM members
        WHERE part = 'attempt'
        GROUP BY
            group_id,
            outer_id,
            type
    )
    GROUP BY group_id
),

-- from the moment a message was sent to the moment somebody took it
queued AS (
    SELECT
        pairs.producer_id                                                           AS group_id,
        min(CASE
            WHEN spans.enqueued_ns IS NOT NULL THEN consumer.start_ns - spans.enqueued_ns
            WHEN consumer.start_ns - producer.end_ns >= -2000000 THEN greatest(consumer.start_ns - producer.end_ns, 0)
            WHEN consumer.start_ns >= producer.start_ns THEN consumer.start_ns - producer.start_ns
        END) / 1e6                                                                  AS queue_ms
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
    serving.server_ms,
    serving.server_start_ns,
    serving.server_end_ns,
    attempted.attempts,
    attempted.first_attempt_ms,
    attempted.last_attempt_ms,
    queued.queue_ms,
    queued.group_id IS NOT NULL  AS is_taken
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
LEFT JOIN attempted
    ON attempted.group_id = sized.group_id
LEFT JOIN queued
    ON queued.group_id = sized.group_id;
