"""Bounds on what a source may make us hold in memory."""

# Largest file of a patch that is read, in bytes; the archive's largest has 29,192.
MAX_FILE_NBYTES = 16 * 2**20

# Largest extended header of a tar member that is read, in bytes.
MAX_HEADER_NBYTES = 2**20
