"""Rows to arrays: a DataFrame, Parquet or NumPy arrays become shards.

Read in this order: `shards` (what a shard is and how steps cut it), `placement` (which row goes
where), `arrays` (NumPy to shards); then for Spark `ingest` (driver), `ingest_tasks`, `arrow` and
`files` (executors). `checks` words what is wrong with rows; `columns`, `source` and `shipping` are
the driver's helpers. Only `ingest`, `columns`, `source` and `shipping` need pyspark.
"""
