"""JSON Schemas of what we read and of what we print."""
