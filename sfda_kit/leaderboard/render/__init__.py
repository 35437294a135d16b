"""Renderers of a board: terminal, Markdown, LaTeX and CSV. They escape every string of a record."""
