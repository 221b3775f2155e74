"""Every touch of a Spark session: shipping, jobs, errors, files, sources. Driver."""
