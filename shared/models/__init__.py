"""Versioned models: what `attune train` writes, and recommend and profile take up."""
