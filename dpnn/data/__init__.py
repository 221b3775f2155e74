"""Rows to arrays: a DataFrame, Parquet or NumPy arrays become a `Dataset`: named splits in shards.

Read in this order: `shards` (what a shard is and how steps cut it), `placement` (which row goes
where), `dtypes` (what numbers are kept as), `dataset` (the public face), `arrays` (from NumPy);
then for Spark `ingest` (driver), `ingest_tasks`, `splits`, `arrow`, `ordering` and `files`
(executors), and `spark_shards` (driver: where they lie, and what is done when they are lost).
`checks` words what is wrong with rows. Only `ingest`, `columns`, `frames` and `spark_shards` need
pyspark.
"""
