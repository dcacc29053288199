"""What `launch.py` does with what was typed."""
