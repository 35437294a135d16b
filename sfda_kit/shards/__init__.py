"""Tar shards in the WebDataset convention: finding, indexing once, reading at random, writing.

``tarfile`` of the standard library parses headers. ``webdataset`` reads shards as a stream, front to back, which a
shuffled, resumable run over a part of the rows cannot use. Its companion for random access, ``wids``, left the package
with version 1.0, cuts long names, checks no header and needs a list made beforehand.
"""
