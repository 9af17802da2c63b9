-- reaches: one row a call with the call above it, in the traces where a tool may do more than its name says.
--
-- The walk finds, of a call and all below it, one with the most access.

CREATE OR REPLACE TEMP TABLE reaching AS
SELECT
    calls.call_id,
    groups.group_id              AS above_id,
    access_rank(calls.access)    AS rank
FROM calls
SEMI JOIN (
    SELECT trace_no
    FROM calls
    GROUP BY trace_no
    HAVING max(access_rank(access)) > min(access_rank(access)) FILTER (kind IN ('tool', 'mcp'))
) AS mixed
    ON mixed.trace_no = calls.trace_no
LEFT JOIN groups
    ON groups.node_id = calls.caller_id;

CREATE OR REPLACE TEMP TABLE reaches AS
SELECT
    reaching.rowid  AS place,
    above.rowid     AS parent_place,
    reaching.call_id,
    reaching.rank
FROM reaching
LEFT JOIN reaching AS above
    ON above.call_id = reaching.above_id
    AND above.call_id <> reaching.call_id;
