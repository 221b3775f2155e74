"""Raw columns to numbers: what is learned of them once, and how it is applied everywhere.

Read in this order: `wishes` (what a user says of columns), `raw` (Arrow columns to plain arrays),
`findings` (statistics that shards add up), `learning` (what is made of them), `encoders` (how a row
is encoded).
Driver and executor; needs NumPy and pyarrow.
"""
