-- cuts: how far each span that a request waited for counts, before a sibling that ends later takes over
-- (METHODS.md, critical path; in closed form).
--
-- What a consumer does after a message was sent holds up nobody: its window is empty, and so is all below.
-- The walk over the cuts narrows each window to those above it: from the latest start to the earliest cut.

CREATE OR REPLACE TEMP TABLE waits AS
WITH

waited AS (
    SELECT
        nodes.node_id,
        nodes.parent_id,
        nodes.root_id,
        nodes.start_ns,
        nodes.end_ns,
        groups.part = 'consumer'  AS is_aside,
        bare_calls.call_id
    FROM nodes
    INNER JOIN groups
        ON groups.node_id = nodes.node_id
    LEFT JOIN bare_calls
        ON bare_calls.call_id = groups.group_id
    SEMI JOIN entries
        ON entries.request_id = nodes.root_id
)

SELECT
    * EXCLUDE (end_ns, is_aside),
    CASE
        WHEN parent_id IS NULL THEN end_ns
        WHEN is_aside THEN start_ns
        ELSE least(
            end_ns,
            coalesce(
                min(CASE WHEN NOT is_aside THEN start_ns END) OVER (
                    PARTITION BY coalesce(parent_id, -1 - node_id)
                    ORDER BY end_ns DESC, start_ns, node_id
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ),
                end_ns
            )
        )
    END  AS cut_ns
FROM waited;

CREATE OR REPLACE TEMP TABLE cuts AS
SELECT
    waits.rowid  AS place,
    above.rowid  AS parent_place,
    waits.*
FROM waits
LEFT JOIN waits AS above
    ON above.node_id = waits.parent_id;
