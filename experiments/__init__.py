"""Questions put to the models, each in a folder with its runs, its metrics, its figure and a page of text."""
