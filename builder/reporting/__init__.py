"""The page that `builder.report` writes: charts, a map and a gallery of a store."""
