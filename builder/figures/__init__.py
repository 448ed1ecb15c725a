"""What a table of patches counts, and whether that is what was published."""
