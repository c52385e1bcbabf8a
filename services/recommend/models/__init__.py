"""What training leaves and recommend takes up: versioned snapshots, and later learned models."""
