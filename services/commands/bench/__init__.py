"""`attune bench`: measurements that repeat themselves and tell where the time goes."""
