"""`zoo compare`: runs side by side in the terminal, and as one page.

runs.py reads them, comparison.py lines them up, text.py writes tables, page.py, charts.py and pictures.py the page.
A run is its folder (finished, stopped or still training), or a committed record. Figures stand beside each other only
with the hash of their protocol; where protocols differ, what differs in them is said.
"""
