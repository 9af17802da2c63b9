-- groups: one row a span, the handoff it is a part of (BOUNDARIES.md, folding).
--
-- `unit_id` is the part of the group on one side of a queue: what fails there fails alone.

CREATE OR REPLACE TABLE groups AS
SELECT
    folds.node_id,
    nodes.cohort,
    nodes.trace_id,
    nodes.trace_no,
    walked.group_id,
    folds.part,
    walked.unit_id,
    folds.outer_id
FROM folds
INNER JOIN folds_walked AS walked
    ON walked.place = folds.place
INNER JOIN nodes
    ON nodes.node_id = folds.node_id;
