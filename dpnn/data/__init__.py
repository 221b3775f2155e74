"""Rows to arrays. `shards` and `arrow` need no Spark; `ingest` is the driver's side."""
