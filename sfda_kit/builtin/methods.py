"""The method ``source-only``, the baseline with which every table begins."""

from sfda_kit.interfaces.recipe import Recipe

SOURCE_ONLY = Recipe(summary="the source model on channel-copied target images")
