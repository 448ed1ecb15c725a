"""Side-by-side measurements against the programs people would use instead."""
