"""Programs that measure the core, and the history of what was measured (`history.jsonl`; `splax bench` appends)."""
