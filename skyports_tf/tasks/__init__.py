"""What a SkyPilot task file may say, part by part (entry: task.py)."""
