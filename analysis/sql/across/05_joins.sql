-- joins: one row a fragment that surely belongs below a span of another trace (BOUNDARIES.md, conversations).
--
-- Two spans that could be it are none: nothing here is guessed.

CREATE OR REPLACE TABLE joins AS
WITH

pointing AS (
    SELECT
        node_id,
        cohort,
        trace_no,
        start_ns,
        end_ns,
        conversation_id,
        is_consumer,
        unnest(links)  AS link
    FROM root_marks
    WHERE len(links) > 0
),

-- Unless a message was sent there, a link to what does not hold all of it is a reference, to an earlier turn say.
linked AS (
    SELECT
        pointing.node_id,
        min(target.node_id)   AS joined_id,
        min(target.trace_no)  AS joined_trace_no
    FROM pointing
    INNER JOIN nodes AS target
        ON target.cohort = pointing.cohort
        AND target.trace_id = pointing.link.trace_id
        AND target.span_id = pointing.link.span_id
    WHERE target.trace_no <> pointing.trace_no
    GROUP BY pointing.node_id
    HAVING count(DISTINCT target.node_id) = 1
        AND bool_and(
            target.kind = 'PRODUCER'
            OR pointing.is_consumer
            OR target.start_ns <= pointing.start_ns
                AND target.end_ns >= pointing.end_ns
                AND (target.conversation_id = pointing.conversation_id) IS NOT FALSE
        )
),

parented AS (
    SELECT
        root_marks.node_id,
        min(target.node_id)   AS joined_id,
        min(target.trace_no)  AS joined_trace_no
    FROM root_marks
    INNER JOIN nodes AS target
        ON target.cohort = root_marks.cohort
        AND target.span_id = root_marks.parent_span_id
    WHERE target.trace_no <> root_marks.trace_no
    GROUP BY root_marks.node_id
    HAVING count(*) = 1
),

-- calls of one callee in one conversation nobody is seen to serve, with the two that end last so far
unserved AS (
    SELECT
        cohort,
        conversation_id,
        callee,
        start_ns,
        call_id,
        max(end_ns, 2) OVER begun              AS last_ends,
        arg_max(call_id, end_ns) OVER begun    AS call_ending_last,
        arg_max(trace_no, end_ns) OVER begun   AS trace_ending_last
    FROM calls
    WHERE conversation_id IS NOT NULL
        AND observed_side IN ('client', 'in_process')
        AND kind IN ('tool', 'mcp', 'service', 'agent')
    WINDOW begun AS (
        PARTITION BY cohort, conversation_id, callee
        ORDER BY start_ns
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
),

-- the roots that name their conversation, by each name a caller may have for them
serving AS (
    SELECT
        node_id,
        cohort,
        trace_no,
        conversation_id,
        start_ns,
        end_ns,
        unnest(served)  AS callee
    FROM root_marks
    WHERE conversation_id IS NOT NULL
        AND len(served) > 0
),

-- a call that began last before a root, or still ran then, holds all of it, and it alone does
held AS (
    SELECT
        serving.node_id,
        min(unserved.call_ending_last)   AS joined_id,
        min(unserved.trace_ending_last)  AS joined_trace_no
    FROM serving
    ASOF INNER JOIN unserved
        ON unserved.cohort = serving.cohort
        AND unserved.conversation_id = serving.conversation_id
        AND unserved.callee = serving.callee
        AND unserved.start_ns <= serving.start_ns
    WHERE unserved.last_ends[1] >= serving.end_ns
    GROUP BY serving.node_id
    HAVING count(DISTINCT unserved.call_ending_last) = 1
        AND bool_and(coalesce(unserved.last_ends[2] < serving.end_ns, true))
        AND bool_and(unserved.trace_ending_last <> serving.trace_no)
),

found AS (
    SELECT
        *,
        'link'  AS evidence
    FROM linked
    UNION ALL
    SELECT
        *,
        'remote_parent'
    FROM parented
    UNION ALL
    SELECT
        *,
        'conversation'
    FROM held
    UNION ALL
    SELECT
        node_id,
        joined_id,
        joined_trace_no,
        'process'
    FROM hosts
),

-- What is there to be followed counts more than what fits.
best AS (
    SELECT
        node_id,
        arg_min(
            {'joined_id': joined_id, 'joined_trace_no': joined_trace_no, 'evidence': evidence},
            CASE evidence WHEN 'link' THEN 1 WHEN 'remote_parent' THEN 2 WHEN 'conversation' THEN 3 ELSE 4 END
        )  AS join_found
    FROM found
    GROUP BY node_id
)

SELECT
    root_marks.cohort,
    root_marks.node_id,
    root_marks.trace_no,
    join_found.joined_id        AS joined_id,
    join_found.joined_trace_no  AS joined_trace_no,
    join_found.evidence         AS evidence
FROM best
INNER JOIN root_marks
    ON root_marks.node_id = best.node_id
ORDER BY root_marks.node_id;

-- homes: one row a fragment, the request it is a part of: its own, the one it is joined to, or the only one of
-- its trace, for a fragment that lost its parent.
CREATE OR REPLACE TEMP TABLE homes AS
WITH RECURSIVE

up AS (
    SELECT
        joins.node_id   AS root_id,
        nodes.root_id   AS above_id,
        joins.joined_trace_no
    FROM joins
    INNER JOIN nodes
        ON nodes.node_id = joins.joined_id
),

-- from join to join; a circle of links ends where it began
climb AS (
    SELECT
        root_id,
        above_id,
        joined_trace_no,
        1  AS steps
    FROM up

    UNION ALL

    SELECT
        climb.root_id,
        up.above_id,
        up.joined_trace_no,
        climb.steps + 1
    FROM climb
    INNER JOIN up
        ON up.root_id = climb.above_id
    WHERE climb.steps < 64
        AND up.above_id <> climb.root_id
),

tops AS (
    SELECT
        root_id,
        arg_max(above_id, steps)         AS above_id,
        arg_max(joined_trace_no, steps)  AS trace_no
    FROM climb
    GROUP BY root_id
),

own AS (
    SELECT
        entries.request_id,
        entries.trace_no
    FROM entries
    ANTI JOIN joins
        ON joins.node_id = entries.request_id
),

alone AS (
    SELECT
        trace_no,
        min(request_id)  AS request_id
    FROM own
    GROUP BY trace_no
    HAVING count(*) = 1
)

SELECT
    root_marks.node_id                                AS root_id,
    root_marks.trace_no,
    tops.root_id IS NOT NULL                          AS is_joined,
    coalesce(own.request_id, alone.request_id)        AS request_id
FROM root_marks
LEFT JOIN tops
    ON tops.root_id = root_marks.node_id
LEFT JOIN own
    ON own.request_id = coalesce(tops.above_id, root_marks.node_id)
LEFT JOIN alone
    ON alone.trace_no = coalesce(tops.trace_no, root_marks.trace_no);
