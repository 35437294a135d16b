"""Renderers of a board: terminal, Markdown, LaTeX, CSV. Every string of a record is escaped on its way out."""
