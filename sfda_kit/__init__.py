"""sfda-kit: source-free adaptation across sensors, one plugin at a time.

What is public stands in ``__init__.pyi``, by name and the module it comes from; a name is imported when it is first
used, so that declaring a part loads no torch. Every other module is internal and may change with any version.
"""

import lazy_loader

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
