"""What an example holds: features, configurations, and how a patch becomes one."""
