-- dropped: one row a span that says it lost attributes, events or links before it was exported.

CREATE OR REPLACE TABLE dropped AS
SELECT
    node_id,
    trace_no,
    cohort,
    service_name                            AS service,
    coalesce(dropped_attributes_count, 0)   AS attributes,
    coalesce(dropped_events_count, 0)       AS events,
    coalesce(dropped_links_count, 0)        AS links
FROM spans
WHERE dropped_attributes_count > 0
    OR dropped_events_count > 0
    OR dropped_links_count > 0;
