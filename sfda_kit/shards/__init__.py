"""Tar shards in the WebDataset convention: found, indexed once, read at random, written.

Headers are parsed by ``tarfile`` of the standard library. ``webdataset`` reads shards as a stream, front to back,
which a shuffled, resumable run over a part of the rows cannot use; its companion for random access, ``wids``, left
the package with version 1.0, cuts long names, checks no header and needs a list made beforehand.
"""
