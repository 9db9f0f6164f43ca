"""A self-contained HTML page that shows every gate at every character of a text."""
