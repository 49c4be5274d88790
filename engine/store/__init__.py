"""Runs on disk: each a folder of JSON and safetensors, found through an index, never lost half written."""
