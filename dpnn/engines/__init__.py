"""The engine seam: who computes the summed gradient of one step.

Read `protocol` first, then `worker` (what one shard does), `sums` (how partial sums meet), and the
engines from small to large: `local`, `job`, `resident`.
"""
