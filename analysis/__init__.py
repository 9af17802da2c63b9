"""Questions asked of the lake: knows DuckDB, numpy and scipy, no wire and no widgets."""
