"""Documents, and the code that fills measured figures into Markdown pages."""
