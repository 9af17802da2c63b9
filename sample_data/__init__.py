"""A seeded agent system with planted faults, written as OTLP."""
