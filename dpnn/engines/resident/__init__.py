"""The resident engine: one Spark job for the whole fit, whose tasks stay and exchange sums.

Read `tree` (who adds what), `root` (a step as the driver sees it), `member` (as a task sees it);
then `wire` and `secret` (frames and who may speak), `door`, `roster`, `generation` (who is here),
`links` and `arena` (how vectors move), and last `engine` and `task`, the only ones that know Spark.
"""
