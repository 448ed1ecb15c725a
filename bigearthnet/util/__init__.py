"""What every room uses: files, locks, processes, options, progress, commands."""
