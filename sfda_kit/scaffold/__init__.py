"""New plugins: a complete distribution with parts that work, written from templates."""
