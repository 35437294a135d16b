"""The contracts: one short class each. Plugins import them from ``sfda_kit``; torch is loaded only with ``Bridge``."""
