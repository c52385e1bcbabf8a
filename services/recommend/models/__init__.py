"""What recommend takes up of the model store, and `attune models`, which shows it."""
