"""What makes a run safe: stage contract, keys, store, engine, events, lock."""
