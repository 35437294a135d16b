"""Tools for plugin authors: conformance suites to inherit, and small networks and signals to feed them.

A plugin's test is a subclass::

    from sfda_kit.testing import AlignerConformance

    class TestMyTerm(AlignerConformance):
        name = "my-term"

One of a data set also says how to write a small one: ``def make(self, folder)``.

The functions ``small_...`` make networks, signals and other inputs of a part. Fixtures (``sfda_network``,
``sfda_step_signals``, ``sfda_bridge_signals``, ``sfda_bank``, ``sfda_cache``, ``sfda_folder``) come with the installed
pytest plugin.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # the suites need torch
