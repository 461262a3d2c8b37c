"""Intake: a source's pages become articles, articles become passages."""
