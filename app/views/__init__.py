"""The pages, one question each."""
