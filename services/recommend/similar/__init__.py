"""Item-to-item: for each item its best partners, learned by training (EASE or cosine)."""
