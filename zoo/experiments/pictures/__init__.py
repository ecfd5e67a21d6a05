"""The papers' figures, drawn from finished runs: one file a paper, and `drawing` for what they share.

A figure is a tensor of images [rows, columns, C, H, W] in [-1, 1], a captioned picture of such, or a matplotlib
Figure. Nothing here trains.
"""
