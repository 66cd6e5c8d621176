"""What a few scores can tell of configurations: pure statistics, which know of no study."""
