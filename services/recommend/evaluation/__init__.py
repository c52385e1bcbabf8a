"""`attune evaluate`: recommendation methods compared on held-out data, honest by construction."""
