"""What a user writes as YAML: read safely, with the place of every part (entry: source.py)."""
