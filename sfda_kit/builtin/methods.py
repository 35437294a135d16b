"""The baseline every table begins with."""

from sfda_kit.interfaces.recipe import Recipe

SOURCE_ONLY = Recipe(summary="the source model on channel-copied target images")
