"""Circuits as other tools write and read them: EAP-IG / MIB circuit-track JSON, GraphML, networkx node-link JSON."""
