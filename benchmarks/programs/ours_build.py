"""Ours: `builder.build`, from an archive or a folder to shards, all of it timed."""

from __future__ import annotations

from clock import Clock, count_bytes, parse_arguments, report

from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from builder.build import build


def main() -> None:
    """Builds `--config` with every patch, in the formats of `--formats`."""
    arguments, clock = parse_arguments(formats=str, config=str), Clock()
    options = BuildOptions(include_excluded=True, quiet=True)
    with clock.running():
        result = build(
            arguments.source,
            arguments.work / "data",
            get_config(arguments.config, RELEASES),
            options,
            formats=arguments.formats.split(","),
        )
    stored = sum(shard.num_patches for shard in result.shards)
    report(stored, clock.seconds, count_bytes(arguments.work / "data"))


if __name__ == "__main__":
    main()
