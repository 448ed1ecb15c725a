"""What `builder.synthesize` makes a synthetic patch of: classes, pixels, files."""
