"""Dumps in, Parquet out: knows OTLP and Arrow, no SQL, no statistics."""
