"""Hits to an answer: is there evidence, which sentences say it, and where exactly they stand."""
