"""Experiments: a folder for each question, with its code, the metrics of its runs, its figures and a page."""
