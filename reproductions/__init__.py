"""One script for each paper: its recipes, its studies, and what they reached."""
