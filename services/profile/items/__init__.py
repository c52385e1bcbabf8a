"""Items: the catalogue in memory, who is interested in what, and moments when an item changes."""
