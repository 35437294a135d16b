"""The contracts: one short class each. Plugins import them from ``sfda_kit``; only ``Bridge`` loads torch."""
