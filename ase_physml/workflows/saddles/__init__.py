"""Saddles: the search, the ways down from them, the certificate, files."""
