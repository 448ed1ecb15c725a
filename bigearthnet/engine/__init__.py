"""The engine: one pass over a source into a spool, then sorted shards.

    source ──► spool.spool_patches ──► spool buckets ──► shards.write_shards ──► store

Stages take and return plain values and paths; nothing is kept in the process between
them. The bytes of a shard depend on its patches alone, never on the source's kind, its
order, the number of workers, or an interruption.
"""
