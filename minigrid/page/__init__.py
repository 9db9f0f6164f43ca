"""The self-contained page that shows every gate over a text."""
