"""An ingest's steps done by workers on several machines."""
