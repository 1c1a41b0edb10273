"""Simulators behind wbench's generator interface, and the recipes of the protocol's datasets.

``plane_wave`` is the example to copy; ``sionna_38901`` runs the 3GPP TR 38.901 model. What a provider offers stands in
``provider.toml`` and is read without importing this package.
"""
