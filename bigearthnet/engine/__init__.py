"""The engine: builds the shards of a store from its sources, in two stages.

    sources ──► stage_one.fill_spool ──► spool ──► stage_two.write_shards ──► shards

`pipeline.run` runs both. The bytes of a shard depend on its patches alone: not on
the kind of the source, its order, the number of workers, or an interruption.
"""
