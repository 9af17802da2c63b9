-- keys: what may tie a trace to others: its conversations, its people, and the parents its fragments name.
--
-- What looks across traces is made again for those only that share one with what has changed.

CREATE OR REPLACE TABLE keys AS
SELECT DISTINCT
    trace_no,
    'conversation'                                                AS kind,
    (hash('conversation', cohort, conversation_id) >> 1)::BIGINT  AS key
FROM nodes
WHERE conversation_id IS NOT NULL
UNION
SELECT
    trace_no,
    'person',
    (hash('person', cohort, user_id) >> 1)::BIGINT
FROM root_marks
WHERE user_id IS NOT NULL
UNION
SELECT
    trace_no,
    'span',
    (hash('span', cohort, parent_span_id) >> 1)::BIGINT
FROM root_marks
WHERE parent_span_id IS NOT NULL;
