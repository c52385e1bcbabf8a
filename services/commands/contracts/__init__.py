"""Generates docs/openapi.json and docs/asyncapi.yaml from the code: see `make docs`."""
