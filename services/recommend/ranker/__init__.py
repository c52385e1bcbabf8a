"""The learned ranker: what it is trained from, its training, and the trees it is served with."""
