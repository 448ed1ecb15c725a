"""Limits on the memory and the work that a damaged or hostile source can cause."""

# Largest file of a patch that is read, in bytes; the archive's largest has 29,192.
MAX_FILE_NBYTES = 2**20

# Largest extended header of a tar member that is read, in bytes; real ones have some
# hundred, of which extended attributes of a file system take most.
MAX_HEADER_NBYTES = 2**16

# Longest name of a member, in characters: PATH_MAX of Linux.
MAX_NAME = 4096

# What folders and extended headers of a tar file may take: so many bytes, enough for a
# folder of each patch before the first file, and this part of what was read so far; of
# the archive they take a twentieth.
MAX_OVERHEAD_NBYTES = 2**29
MAX_OVERHEAD_PART = 4

# Zeros that may follow the end of a tar file, in bytes; GNU tar writes up to 10,240.
MAX_PADDING_NBYTES = 2**26

# Files of other programs that an archive may begin with, and for how many bytes of it
# there may be one more: `._` files, one for each of a patch's, have 4 KiB or less, and
# lie beside files of 14 KiB on average.
MAX_LITTER = 100_000
LITTER_SPACING = 4096

# Files that are collected of one folder before they are bad, and files of one folder
# after which the source is; a patch has 13.
MAX_FILES = 64
MAX_FOLDER_FILES = 10_000
